//! HLS: `GET /hls/ID/FILE`. Players on other sites may ask too, so every answer, a failure as well, carries CORS headers.

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use gateway::hls::{Error, Reply, Request};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};

use crate::http::peer::Client;
use crate::problem::Problem;
use crate::services::Shared;

const ANYONE: (HeaderName, HeaderValue) = (header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));

/// A playlist, a segment, a part or an initialisation section. May wait for media that is about to come.
pub async fn get(
    State(services): State<Shared>,
    client: Client,
    Path((id, file)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    method: Method,
    headers: HeaderMap,
) -> Response {
    let answered = answer(&services, &client, &id, &file, query.as_deref(), &headers).await;
    let mut response = match answered {
        Ok(reply) => deliver(reply, &headers),
        Err(problem) => problem.into_response(),
    };
    if method == Method::HEAD {
        *response.body_mut() = Body::empty();
    }
    response.headers_mut().insert(ANYONE.0, ANYONE.1);
    response
}

/// The preflight that a browser sends before it asks for a byte range from another site.
pub async fn options() -> Response {
    let headers = [
        ANYONE,
        (header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD")),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("range")),
        (header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400")),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

async fn answer(
    services: &Shared,
    client: &Client,
    id: &str,
    file: &str,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<Reply, Problem> {
    let request = Request::parse(file, query).map_err(|bad| problem(bad.into()))?;
    let broadcast = services.directory.get(id).ok_or_else(|| Problem::not_found("this broadcast is not live"))?;
    if matches!(request, Request::Media(_) | Request::MediaPlain | Request::Ts) {
        let program = headers.get(header::USER_AGENT).map_or(&[][..], HeaderValue::as_bytes);
        services.pulls.hls(id, client.ip, program);
    }
    tokio::select! {
        reply = services.hls.get(&broadcast, request) => reply.map_err(problem),
        () = services.drain.cancelled() => Err(Problem::Unavailable("the server is stopping; try again".into())),
    }
}

fn problem(error: Error) -> Problem {
    match error {
        Error::BadRequest(bad) => Problem::Malformed(bad.to_string().into()),
        Error::NotFound => Problem::not_found("there is no such file in this broadcast, or not any more"),
        Error::NoTransport => Problem::not_found(error.to_string()),
        late @ Error::Late(_) => Problem::Unavailable(late.to_string().into()),
    }
}

fn deliver(reply: Reply, request: &HeaderMap) -> Response {
    let varies = reply.gzip.is_some();
    let gzip = reply.gzip.filter(|_| accepts_gzip(request));
    let compressed = gzip.is_some();
    let body = gzip.unwrap_or(reply.body);
    let mut response = Body::from(body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(reply.content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(reply.cache_control));
    if varies {
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
    if compressed {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|coding| {
        let (name, quality) = coding.split_once(';').unwrap_or((coding, ""));
        name.trim().eq_ignore_ascii_case("gzip") && quality.trim() != "q=0"
    })
}
