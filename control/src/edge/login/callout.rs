//! Somebody else decides: an HTTP server of the operator's is asked.

use std::net::IpAddr;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode, Uri, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::{Denied, LoginError};

/// How long it may take.
const TIMEOUT: Duration = Duration::from_secs(3);
/// The header of its answer that names the user.
const USER: &str = "x-user";

/// Whom to ask.
pub struct Callout {
    host: String,
    port: u16,
    uri: Uri,
}

impl Callout {
    /// Checks the URL.
    pub fn new(url: &str) -> Result<Callout, LoginError> {
        let wrong = || LoginError::new("callout", format!("`{url}` is no http:// URL"));
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let host = uri.host().filter(|_| uri.scheme_str() == Some("http"));
        let host = host.ok_or_else(wrong)?.trim_matches(['[', ']']).to_owned();
        let port = uri.port_u16().unwrap_or(80);
        Ok(Callout { host, port, uri })
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
        let stream = TcpStream::connect((self.host.as_str(), self.port))
            .await
            .ok()?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake::<_, Body>(TokioIo::new(stream))
                .await
                .ok()?;
        let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
        let authority = self.uri.authority()?.as_str();
        let mut request = Request::get(path).header(header::HOST, authority);
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
        let connection = AbortOnDrop(tokio::spawn(connection));
        let response = sender.send_request(request).await.ok()?;
        drop(connection);
        let user = response.headers().get(USER).map(HeaderValue::to_str);
        let user = user.and_then(Result::ok).map(str::to_owned);
        Some((response.status(), user))
    }
}

/// A task that ends with whoever waits for it.
struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
