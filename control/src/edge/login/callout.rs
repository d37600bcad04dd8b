//! Somebody else decides: an HTTP server of the operator's is asked.

use std::net::IpAddr;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode, header};

use super::super::place::Place;
use super::{Denied, LoginError};

/// How long it may take.
const TIMEOUT: Duration = Duration::from_secs(3);
/// The header of its answer that names the user.
const USER: &str = "x-user";

/// Whom to ask.
pub struct Callout(Place);

impl Callout {
    /// Checks the URL.
    pub fn new(url: &str) -> Result<Callout, LoginError> {
        let wrong = || LoginError::new("callout", format!("`{url}` is no http:// URL"));
        Place::read(url).map(Callout).ok_or_else(wrong)
    }

    /// Who the browser is.
    pub async fn ask(
        &self,
        shown: &HeaderMap,
        token: Option<&str>,
        source: IpAddr,
    ) -> Result<String, Denied> {
        let answer = tokio::time::timeout(TIMEOUT, self.exchange(shown, token, source)).await;
        let Ok(Some((status, user))) = answer else {
            tracing::warn!("login.callout: no answer");
            return Err(Denied::Unavailable);
        };
        match (status, user) {
            (StatusCode::OK, Some(user)) => Ok(user),
            (StatusCode::UNAUTHORIZED, _) => Err(Denied::Unproven),
            (StatusCode::FORBIDDEN, _) => Err(Denied::Forbidden),
            (status, _) => {
                tracing::warn!(%status, "login.callout: neither a user nor a refusal");
                Err(Denied::Unavailable)
            }
        }
    }

    async fn exchange(
        &self,
        shown: &HeaderMap,
        token: Option<&str>,
        source: IpAddr,
    ) -> Option<(StatusCode, Option<String>)> {
        let Callout(place) = self;
        let mut request = Request::get(place.path()).header(header::HOST, place.authority());
        for name in [header::AUTHORIZATION, header::COOKIE, header::ORIGIN] {
            if let Some(value) = shown.get(&name) {
                request = request.header(name, value);
            }
        }
        if let Some(token) = token.filter(|_| !shown.contains_key(header::AUTHORIZATION)) {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        request = request.header("x-forwarded-for", source.to_string());
        let request = request.body(Body::empty()).ok()?;
        let response = place.exchange(request).await?;
        let user = response.headers().get(USER).map(HeaderValue::to_str);
        let user = user.and_then(Result::ok).map(str::to_owned);
        Some((response.status(), user))
    }
}
