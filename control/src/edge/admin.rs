//! The operator's pages over HTTP.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::sync::{mpsc, oneshot};

use super::inputs::{Input, Tracer};
use super::packages;
use super::relay_link::RelayCounters;
use crate::admin;
use crate::metrics::{Counters, Gauge, Gauges};

/// How long the gateway may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// Lines of a trace that wait for its reader.
const TRACE_QUEUE_MAX: usize = 1000;

/// Where the numbers come from.
#[derive(Clone)]
pub struct Numbers {
    /// Control's own.
    pub gateway: mpsc::Sender<Input>,
    /// The relay's.
    pub relay: RelayCounters,
    /// Who reads packages anew.
    pub packages: mpsc::Sender<packages::Ask>,
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
pub fn numbers(numbers: Numbers) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/metrics", get(metrics))
        .with_state(numbers)
}

/// What `causeway script` asks of a control that runs. It shows what users write: never for browsers.
pub fn scripts(numbers: Numbers) -> Router {
    Router::new()
        .route("/scripts/reload", post(reload))
        .route("/scripts/trace", get(trace))
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

/// 200 when the packages that were read are in use; 422 and what is wrong with them, else.
async fn reload(State(numbers): State<Numbers>) -> Response {
    let (asker, answer) = oneshot::channel();
    let told = match numbers.packages.send(asker).await {
        Ok(()) => answer.await.ok(),
        Err(_) => None,
    };
    match told {
        Some(Ok(())) => "the packages were read anew\n".into_response(),
        Some(Err(sentence)) => {
            (StatusCode::UNPROCESSABLE_ENTITY, format!("{sentence}\n")).into_response()
        }
        None => (StatusCode::SERVICE_UNAVAILABLE, "control is ending\n").into_response(),
    }
}

#[derive(serde::Deserialize)]
struct Wished {
    user: Option<String>,
}

/// What scripts do from now on, a line of JSON for each run, until whoever asked hangs up.
async fn trace(State(numbers): State<Numbers>, Query(wished): Query<Wished>) -> Response {
    let (lines, traced) = mpsc::channel(TRACE_QUEUE_MAX);
    let tracer = Tracer {
        user: wished.user,
        lines,
        lost: 0,
    };
    if numbers.gateway.send(Input::Trace(tracer)).await.is_err() {
        return (StatusCode::SERVICE_UNAVAILABLE, "control is ending\n").into_response();
    }
    let next = |mut traced: mpsc::Receiver<String>| async {
        let line = traced.recv().await?;
        Some((Ok::<_, std::convert::Infallible>(line), traced))
    };
    let lines = futures_util::stream::unfold(traced, next);
    let headers = [(header::CONTENT_TYPE, "application/x-ndjson")];
    (headers, Body::from_stream(lines)).into_response()
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
