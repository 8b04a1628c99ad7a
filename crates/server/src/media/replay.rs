//! Replays: `GET /replay/ID/FILE` as HLS, `GET /replay/ID.mp4` as one file. Byte ranges everywhere, so that players seek and
//! downloads resume.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use gateway::archive::{Content, Error, Range, Replay, Request};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};

use crate::api::auth::Caller;
use crate::broadcast::names::is_id;
use crate::problem::Problem;
use crate::services::Shared;

const ANYONE: (HeaderName, HeaderValue) = (header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));

/// What a program on another site may read of an answer.
const EXPOSED: (HeaderName, HeaderValue) = (
    header::ACCESS_CONTROL_EXPOSE_HEADERS,
    HeaderValue::from_static("content-range, content-length, accept-ranges, etag"),
);

/// A file of a replay as HLS.
pub async fn file(
    State(services): State<Shared>,
    caller: Caller,
    Path((id, file)): Path<(String, String)>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    let answered = match Request::parse(&file) {
        Some(request) => answer(&services, caller, &id, request, &headers).await,
        None => Err(no_file()),
    };
    finish(answered, &method)
}

/// `GET /replay/{file}`, `file` being `ID.mp4`: all of a replay.
pub async fn download(
    State(services): State<Shared>,
    caller: Caller,
    Path(file): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    let answered = match file.strip_suffix(".mp4") {
        Some(id) => {
            answer(&services, caller, id, Request::Download, &headers).await.map(|response| named(response, id))
        }
        None => Err(no_file()),
    };
    finish(answered, &method)
}

fn finish(answered: Result<Response, Problem>, method: &Method) -> Response {
    let mut response = answered.unwrap_or_else(IntoResponse::into_response);
    if *method == Method::HEAD {
        *response.body_mut() = Body::empty();
    }
    let headers = response.headers_mut();
    headers.insert(ANYONE.0, ANYONE.1);
    headers.insert(EXPOSED.0, EXPOSED.1);
    response
}

async fn answer(
    services: &Shared,
    Caller(user): Caller,
    id: &str,
    request: Request,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let none = || Problem::not_found("there is no replay of this broadcast");
    if !is_id(id) {
        return Err(none());
    }
    let rule = services.access.rule(&services.store, id).await?.ok_or_else(none)?;
    let open = rule.is_open();
    let replay = services.archive.open(id).await.map_err(problem)?;
    // While it is live, the replay holds what the viewers of the broadcast have seen or may go back to.
    let rewinding = rule.live && replay.rewinds_to(request);
    if !open && !rewinding && !rule.is_owner(user.as_ref()) {
        return Err(none());
    }
    deliver(&replay, request, open, headers).await
}

async fn deliver(replay: &Replay, request: Request, open: bool, headers: &HeaderMap) -> Result<Response, Problem> {
    let content = replay.get(request).await.map_err(problem)?;
    let tag = HeaderValue::from_str(&format!("\"{}\"", content.tag)).map_err(Problem::internal)?;
    let cache_control = match (open, content.fixed) {
        // An hour: a replay may be deleted or made private.
        (true, true) => "public, max-age=3600, immutable",
        (false, true) => "private, max-age=3600, immutable",
        (true, false) => "no-cache",
        (false, false) => "private, no-cache",
    };
    let unchanged = headers.get(header::IF_NONE_MATCH).is_some_and(|known| *known == tag);
    let mut response = match unchanged {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => body(content, asked(headers, &tag)),
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache_control));
    headers.insert(header::ETAG, tag);
    Ok(response)
}

/// The range that is asked for; none when it is of other bytes than those there are now.
fn asked<'a>(headers: &'a HeaderMap, tag: &HeaderValue) -> Option<&'a HeaderValue> {
    let same = headers.get(header::IF_RANGE).is_none_or(|known| known == tag);
    headers.get(header::RANGE).filter(|_| same)
}

fn body(content: Content, range: Option<&HeaderValue>) -> Response {
    let size = content.size;
    let kind = HeaderValue::from_static(content.content_type);
    let range = range.map_or(Range::Whole, |header| Range::parse(header.as_bytes(), size));
    let (status, wanted) = match range {
        Range::Whole => (StatusCode::OK, 0..size),
        Range::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Range::Unsatisfiable => {
            let all = [(header::CONTENT_RANGE, format!("bytes */{size}"))];
            return (StatusCode::RANGE_NOT_SATISFIABLE, all).into_response();
        }
    };
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(wanted.end - wanted.start));
    if status == StatusCode::PARTIAL_CONTENT {
        let place = format!("bytes {}-{}/{size}", wanted.start, wanted.end - 1);
        headers.insert(header::CONTENT_RANGE, HeaderValue::from_str(&place).expect("digits and punctuation"));
    }
    (status, headers, Body::from_stream(content.read(wanted))).into_response()
}

/// A browser that is sent here by a link saves the file.
fn named(mut response: Response, id: &str) -> Response {
    if response.status().is_success()
        && let Ok(value) = HeaderValue::from_str(&format!("inline; filename=\"oriel-{id}.mp4\""))
    {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, value);
    }
    response
}

fn no_file() -> Problem {
    Problem::not_found("a replay has no such file")
}

pub fn problem(error: Error) -> Problem {
    match error {
        Error::NotFound => no_file(),
        Error::Store(error) => {
            tracing::warn!(%error, "object store");
            Problem::Unavailable("the store of replays does not answer at the moment; try again".into())
        }
        error => Problem::internal(error),
    }
}
