//! Waking up browsers that hibernate: the application's push server is told, by POST, and knows how to reach the device.
//!
//! Nobody waits for its answer. If it does not come, or says no, the log says so; what the browser is wanted for waits as
//! long as it would have waited anyway.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, header};
use tokio::sync::Semaphore;

use super::StartError;
use super::place::Place;
use crate::config::Config;
use crate::jsonrtc::Members;
use crate::limits::PUSHES_MAX;

/// How long the server may take.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The push servers of all applications.
pub struct Pushes {
    places: HashMap<String, Place>,
    free: Arc<Semaphore>,
}

impl Pushes {
    /// Those of the configuration.
    ///
    /// # Errors
    /// What is no `http://` URL.
    pub fn of(config: &Config) -> Result<Pushes, StartError> {
        let mut places = HashMap::new();
        for (name, application) in &config.applications {
            if let Some(url) = &application.push {
                let place = Place::read(url);
                let place = place.ok_or_else(|| StartError::Push(name.clone(), url.clone()))?;
                places.insert(name.clone(), place);
            }
        }
        let free = Arc::new(Semaphore::new(PUSHES_MAX));
        Ok(Pushes { places, free })
    }

    /// Tells the application's server, if it has one, without waiting for it.
    pub fn tell(&self, application: &str, told: Members) {
        let Some(place) = self.places.get(application).cloned() else {
            return;
        };
        let Ok(permit) = self.free.clone().try_acquire_owned() else {
            tracing::warn!("applications.{application}.push: too much to do, a browser sleeps on");
            return;
        };
        let application = application.to_owned();
        tokio::spawn(async move {
            let told = tokio::time::timeout(TIMEOUT, post(&place, told)).await;
            if let Err(why) = told.unwrap_or(Err("no answer in time".to_owned())) {
                tracing::warn!("applications.{application}.push: {why}");
            }
            drop(permit);
        });
    }
}

async fn post(place: &Place, told: Members) -> Result<(), String> {
    let body = serde_json::to_vec(&told).map_err(|error| error.to_string())?;
    let request = Request::post(place.path())
        .header(header::HOST, place.authority())
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CONTENT_LENGTH, body.len())
        .body(Body::from(body))
        .map_err(|error| error.to_string())?;
    match place.exchange(request).await.map(|answer| answer.status()) {
        Some(status) if status.is_success() => Ok(()),
        Some(status) => Err(format!("it answers {status}")),
        None => Err("nobody answers".to_owned()),
    }
}
