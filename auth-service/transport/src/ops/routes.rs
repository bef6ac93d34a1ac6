//! What every operations port answers.

use axum::{
    Router,
    extract::State,
    http::{
        StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
    response::IntoResponse,
    routing::get,
};
use serde_json::json;

use super::Readiness;
use crate::metrics::{self, Metrics};

/// `/healthz`, `/readyz` and `/metrics`.
pub fn routes(readiness: Readiness, metrics: Metrics) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(scrape))
        .with_state((readiness, metrics))
}

async fn healthz() -> impl IntoResponse {
    ([(CACHE_CONTROL, "no-store")], "ok\n")
}

async fn readyz(State((readiness, _)): State<(Readiness, Metrics)>) -> impl IntoResponse {
    let found = readiness.look().await;
    let status = match found.is_empty() {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    let not_ready = found.iter().map(|found| json!({ "what": found.what, "why": found.why }));
    let not_ready: Vec<_> = not_ready.collect();
    let body = json!({ "ready": found.is_empty(), "not_ready": not_ready });
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")];
    (status, headers, format!("{body}\n"))
}

async fn scrape(State((readiness, metrics)): State<(Readiness, Metrics)>) -> impl IntoResponse {
    metrics.set_ready(readiness.look().await.is_empty());
    let headers = [(CONTENT_TYPE, metrics::FORMAT), (CACHE_CONTROL, "no-store")];
    (headers, metrics.render())
}
