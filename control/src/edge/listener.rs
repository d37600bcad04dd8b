//! HTTP connections: how many, and how long each may take.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ConnectInfo;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::limits::{HTTP_CONNECTIONS_MAX, HTTP_HEAD_BYTES_MAX, HTTP_HEAD_MS};

/// Pause after the kernel could not give us a connection (too many open files).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until it is told to stop; then connections that are no WebSockets are cut, as they are when they
/// are older than `age_max`.
pub async fn serve(
    listener: TcpListener,
    routes: Router,
    age_max: Option<Duration>,
    mut stopping: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(HTTP_CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        // An error means that the semaphore was closed, which nobody does, or the server dropped.
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            _ = stopping.wait_for(|stop| *stop) => return,
        };
        match accepted {
            Some((stream, remote, place)) => {
                let routes = routes.clone();
                connections.spawn(async move {
                    connection(stream, remote, routes, age_max).await;
                    drop(place);
                });
            }
            None => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// The next connection, once there is a place for it. `None`: the kernel had none to give.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, remote)) => Some((stream, remote, place)),
        Err(error) => {
            tracing::warn!("a connection was not accepted: {error}");
            None
        }
    }
}

/// One connection, until it ends, is too old, or becomes a WebSocket.
async fn connection(
    stream: TcpStream,
    remote: SocketAddr,
    routes: Router,
    age_max: Option<Duration>,
) {
    // Frames are small and wait for no more. Without the option they are only slower.
    let _ = stream.set_nodelay(true);
    let routes = routes.layer(Extension(ConnectInfo(remote)));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(HTTP_HEAD_MS))
        .max_buf_size(HTTP_HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes))
        .with_upgrades();
    let served = match age_max {
        Some(age) => tokio::time::timeout(age, served).await.unwrap_or(Ok(())),
        None => served.await,
    };
    if let Err(error) = served {
        tracing::debug!("an HTTP connection ended: {error}");
    }
}
