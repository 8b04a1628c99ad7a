//! HTTP ingest: `POST` or `PUT /ingest/ID` with the stream key as bearer; the body is the broadcast, for as long as it lasts.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt as _};
use gateway::address::limited_by;
use gateway::ingest::{self, BeginError, Config, End};
use http::header::{self, HeaderMap, HeaderValue};
use http::{StatusCode, Version};

use crate::broadcast::Refusal;
use crate::http::peer::Client;
use crate::problem::Problem;
use crate::services::Shared;
use crate::telemetry::Gauge;

/// What a refused encoder may go on sending while it reads why. A connection closed at once would be reset, and the answer
/// lost with it.
const PARTING_TIME: Duration = Duration::from_secs(2);
const PARTING_BYTES: usize = 4 << 20;

/// `POST /ingest/{id}`, `PUT /ingest/{id}`. Answers when the body has ended, or when it cannot go on.
pub async fn publish(
    State(services): State<Shared>,
    client: Client,
    Path(id): Path<String>,
    version: Version,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let body = body.into_data_stream();
    let (result, rest) = receive(&services, &client, &id, &headers, body).await;
    if let Some(rest) = rest {
        tokio::spawn(let_finish(rest));
    }
    let mut response = match result {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(problem) => {
            tracing::info!(broadcast = id, peer = %client.ip, %problem, "upload refused or ended");
            problem.into_response()
        }
    };
    if version < Version::HTTP_2 && response.status() != StatusCode::NO_CONTENT {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// The whole of it; gives back a body that was not read to its end.
async fn receive<S, E>(
    services: &Shared,
    client: &Client,
    id: &str,
    headers: &HeaderMap,
    body: S,
) -> (Result<(), Problem>, Option<S>)
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    let Some(key) = bearer(headers) else { return (Err(Problem::StreamKey), Some(body)) };
    if let Err(problem) = services.rates.joins.check(&limited_by(client.ip)) {
        return (Err(problem), Some(body));
    }
    let config = Config::default();
    let recognised = match ingest::recognise(body, config).await {
        Ok(recognised) => recognised,
        Err((error, body)) => return (Err(not_recognised(error)), Some(body)),
    };
    let container = recognised.container();
    let (publisher, mut session) = match services.registry.publish_to(id, key, client.ip.to_string()).await {
        Ok(granted) => granted,
        Err(refusal) => return (Err(refused(refusal)), Some(recognised.into_body())),
    };
    let _gauge = Gauge::up("oriel_http_uploads");
    tracing::info!(peer = %client.ip, broadcast = id, ?container, "publisher connected by HTTP");
    let (ended, body) = recognised.publish(publisher, services.drain.clone()).await;
    if matches!(ended, Ok(End::Complete)) {
        session.goodbye();
    }
    tracing::info!(peer = %client.ip, broadcast = id, how = ?ended.as_ref().ok(), "publisher left");
    match ended {
        Ok(End::Complete) => (Ok(()), None),
        Ok(End::Dropped) => (Err(Problem::Malformed("the body broke off".into())), None),
        Ok(End::Silent) => {
            let seconds = config.idle.as_secs();
            (Err(Problem::Timeout(format!("nothing came for {seconds} s").into())), Some(body))
        }
        Ok(End::Stopped) => (Err(refused(Refusal::Draining)), Some(body)),
        Err(error) => (Err(unusable(&error)), Some(body)),
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, key) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

fn not_recognised(error: BeginError) -> Problem {
    match error {
        BeginError::Unknown(error) => unusable(&error),
        error @ BeginError::Dropped => Problem::Malformed(error.to_string().into()),
        error @ BeginError::Silent(_) => Problem::Timeout(error.to_string().into()),
    }
}

fn unusable(error: &ingest::Error) -> Problem {
    match error {
        error if error.is_ended() => refused(Refusal::Over),
        ingest::Error::Malformed { .. } => Problem::Invalid(error.to_string().into()),
        error => Problem::UnsupportedMedia(error.to_string().into()),
    }
}

fn refused(refusal: Refusal) -> Problem {
    match refusal {
        Refusal::UnknownKey => Problem::StreamKey,
        Refusal::Busy => Problem::Conflict(refusal.to_string().into()),
        Refusal::Over => Problem::Gone(refusal.to_string().into()),
        Refusal::Draining | Refusal::Unavailable => Problem::Unavailable(refusal.to_string().into()),
    }
}

/// Reads on for a moment, so that the peer gets to read the answer.
async fn let_finish<S, E>(mut body: S)
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    let reading = async {
        let mut bytes = 0;
        while let Some(Ok(more)) = body.next().await {
            bytes += more.len();
            if bytes > PARTING_BYTES {
                return;
            }
        }
    };
    let _gone_or_not = tokio::time::timeout(PARTING_TIME, reading).await;
}
