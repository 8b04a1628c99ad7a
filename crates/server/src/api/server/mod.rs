//! The server itself: its clock, and whether it is well.

use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};

use super::types::Time;
use crate::clock::now_ms;
use crate::services::Shared;

/// The database answers well within this, or the server is not ready.
const PATIENCE: Duration = Duration::from_secs(2);

/// The server's clock, for a client to learn its offset.
#[utoipa::path(
    get, path = "/api/v1/time", tag = "server", operation_id = "readTime",
    responses((status = OK, description = "Now", body = Time)),
)]
pub async fn time() -> Response {
    ([(header::CACHE_CONTROL, "no-store")], axum::Json(Time { now_ms: now_ms() })).into_response()
}

/// The process answers.
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// The server can do its work: it is not stopping, its listeners are up, its database answers.
pub async fn readyz(State(services): State<Shared>) -> Response {
    let fault = if services.drain.is_cancelled() {
        Some("stopping".to_owned())
    } else if services.addresses.get().is_none() {
        Some("starting".to_owned())
    } else {
        match tokio::time::timeout(PATIENCE, services.store.ping()).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(format!("database: {error}")),
            Err(_) => Some("database: no answer in time".to_owned()),
        }
    };
    match fault {
        None => "ready\n".into_response(),
        Some(fault) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {fault}\n")).into_response(),
    }
}
