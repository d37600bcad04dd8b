//! An HTTP server of the operator's, which is asked or told something: one connection for each exchange.

use axum::body::Body;
use axum::http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Where it is.
#[derive(Clone, Debug)]
pub struct Place {
    host: String,
    port: u16,
    uri: Uri,
}

impl Place {
    /// Reads an `http://` URL. `None`: it is another one, or none.
    pub fn read(url: &str) -> Option<Place> {
        let uri: Uri = url.parse().ok()?;
        let host = uri.host().filter(|_| uri.scheme_str() == Some("http"));
        let host = host?.trim_matches(['[', ']']).to_owned();
        let port = uri.port_u16().unwrap_or(80);
        Some(Place { host, port, uri })
    }

    /// What is asked for there.
    pub fn path(&self) -> &str {
        self.uri.path_and_query().map_or("/", |path| path.as_str())
    }

    /// The value of the header Host.
    pub fn authority(&self) -> &str {
        self.uri
            .authority()
            .map_or("", |authority| authority.as_str())
    }

    /// Sends a request; its answer, with a body that nobody reads. `None`: there is none.
    pub async fn exchange(&self, request: Request<Body>) -> Option<Response<Incoming>> {
        let stream = TcpStream::connect((self.host.as_str(), self.port))
            .await
            .ok()?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake::<_, Body>(TokioIo::new(stream))
                .await
                .ok()?;
        let connection = AbortOnDrop(tokio::spawn(connection));
        let response = sender.send_request(request).await.ok()?;
        drop(connection);
        Some(response)
    }
}

/// A task that ends with whoever waits for it.
struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
