//! The operator's pages over HTTP.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::{mpsc, oneshot};

use super::core::Input;
use super::relay_link::RelayCounters;
use crate::admin;
use crate::metrics::{Counters, Gauge, Gauges};

/// How long the gateway may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// Where the numbers come from.
#[derive(Clone)]
pub struct Numbers {
    /// Control's own.
    pub gateway: mpsc::Sender<Input>,
    /// The relay's.
    pub relay: RelayCounters,
}

impl Numbers {
    async fn ask(&self) -> Option<(Counters, Gauges)> {
        let (asker, answer) = oneshot::channel();
        let asked = async {
            self.gateway.send(Input::Numbers(asker)).await.ok()?;
            answer.await.ok()
        };
        tokio::time::timeout(ANSWER_TIMEOUT, asked)
            .await
            .ok()
            .flatten()
    }
}

/// `/healthz` and `/metrics`.
pub fn router(numbers: Numbers) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/metrics", get(metrics))
        .with_state(numbers)
}

/// 200 while control can set up chats; else 503 and why not.
async fn healthz(State(numbers): State<Numbers>) -> Response {
    match numbers.ask().await {
        None => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the gateway does not answer\n",
        )
            .into_response(),
        Some((_, gauges)) if gauges.value(Gauge::RelayShards) == 0 => {
            (StatusCode::SERVICE_UNAVAILABLE, "no relay is attached\n").into_response()
        }
        Some(_) => "ok\n".into_response(),
    }
}

async fn metrics(State(numbers): State<Numbers>) -> Response {
    let Some((counters, gauges)) = numbers.ask().await else {
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            "the gateway does not answer\n",
        )
            .into_response();
    };
    let page = admin::page(&counters, &gauges, &numbers.relay.numbers());
    let headers = [(
        header::CONTENT_TYPE,
        "text/plain; version=0.0.4; charset=utf-8",
    )];
    (headers, page).into_response()
}
