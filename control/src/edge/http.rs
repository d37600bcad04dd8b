//! What is at which URL.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;

use super::browsers::{self, Browsers};
use super::files::{self, Tree};

/// What is served beside the WebSocket.
#[derive(Clone)]
pub struct Pages {
    /// Whether the demo page is.
    pub demo: bool,
    /// Where the files are, if not inside the program.
    pub folder: Option<PathBuf>,
}

/// Everything a browser may ask for.
pub fn router(browsers: Arc<Browsers>, pages: Pages) -> Router {
    let sockets = Router::new()
        .route("/ws/webrtc/{application}", get(browsers::handshake))
        .with_state(browsers);
    let mut routes = Router::new().route("/sdk/{*path}", get(sdk));
    if pages.demo {
        routes = routes
            .route("/", get(|| async { Redirect::temporary("/demo/") }))
            .route("/demo", get(|| async { Redirect::permanent("/demo/") }))
            .route("/demo/", get(demo_index))
            .route("/demo/{*path}", get(demo));
    }
    routes.with_state(pages).merge(sockets).fallback(nothing)
}

async fn sdk(State(pages): State<Pages>, Path(path): Path<String>) -> Response {
    files::file(Tree::Sdk, &path, pages.folder.as_deref()).await
}

async fn demo_index(State(pages): State<Pages>) -> Response {
    files::file(Tree::Demo, "", pages.folder.as_deref()).await
}

async fn demo(State(pages): State<Pages>, Path(path): Path<String>) -> Response {
    files::file(Tree::Demo, &path, pages.folder.as_deref()).await
}

async fn nothing() -> Response {
    (StatusCode::NOT_FOUND, "nothing here\n").into_response()
}
