//! WHIP (RFC 9725): `POST /whip/ID` or `/whip` with the stream key as bearer token and an offer; then the session's own
//! address, for what is trickled (PATCH) and for the end (DELETE). Pages on other sites may publish too: there is no cookie
//! in it.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{Extension, Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, patch};
use axum::{RequestExt as _, body::Bytes};
use gateway::address::limited_by;
use gateway::rtc::{Endpoint, Error, Fragment, Goodbye, Offer, Publish, endpoint::reachable};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{StatusCode, Uri};

use crate::broadcast::{Refusal, Session};
use crate::http::peer::{Client, Peer};
use crate::problem::Problem;
use crate::services::{Services, Shared};

const SDP: &str = "application/sdp";
const FRAGMENT: &str = "application/trickle-ice-sdpfrag";

/// CORS, for every answer.
const ANYONE: [(HeaderName, HeaderValue); 2] = [
    (header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
    (header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("location, etag, accept-patch, oriel-clock")),
];

/// `POST`: answers the offer and starts the session.
pub async fn create(
    State(services): State<Shared>,
    client: Client,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Response {
    open(publish(services, client, peer, request).await)
}

/// What a session's address understands.
pub fn session() -> MethodRouter<Shared> {
    patch(trickle).delete(end).options(options)
}

/// The preflight of a page on another site.
pub async fn options() -> Response {
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST, PATCH, DELETE")),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("authorization, content-type, if-match")),
        (header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400")),
        (HeaderName::from_static("accept-post"), HeaderValue::from_static(SDP)),
    ];
    open(Ok((StatusCode::NO_CONTENT, headers).into_response()))
}

/// `PATCH`: candidates are not needed, since the server makes no checks; restarting ICE is a new session.
pub(super) async fn trickle(
    State(services): State<Shared>,
    Path((_, session)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    open(trickled(&services, &session, &headers, &body))
}

/// `DELETE`: the publisher stops. Answered when the broadcast can be published to again.
pub(super) async fn end(State(services): State<Shared>, Path((_, session)): Path<(String, String)>) -> Response {
    open(ended(&services, &session).await)
}

async fn publish(services: Shared, client: Client, peer: Peer, request: Request) -> Result<Response, Problem> {
    services.rates.joins.check(&limited_by(client.ip))?;
    let endpoint = endpoint(&services)?.clone();
    let path = request.uri().path().trim_end_matches('/').to_owned();
    let key = bearer(request.headers()).ok_or(Problem::StreamKey)?.to_owned();
    let offer = offer(request).await?;
    let id = services.registry.broadcast_of(&key).await.map_err(refused)?;
    // The key alone says which broadcast; an id in the address must be that one's.
    if path.strip_prefix("/whip/").is_some_and(|named| named != id) {
        return Err(Problem::Conflict("this stream key belongs to another broadcast".into()));
    }
    // Before the broadcast is touched: a bad offer must not start it.
    let addresses = announced(&services, &endpoint, &client, &peer);
    let publish = endpoint.publish(offer, limited_by(client.ip), &addresses).map_err(turned_down)?;
    let source = SocketAddr::new(client.ip, peer.address.port());
    let (publisher, session) = services.registry.publish(&key, source.to_string()).await.map_err(|refusal| {
        tracing::info!(peer = %source, %refusal, "publisher refused");
        refused(refusal)
    })?;
    let response = created(&format!("/whip/{id}/{}", publish.id()), publish.answer(), &endpoint, publish.id())?;
    services.tasks.spawn(carry(services.clone(), publish, publisher, session, source));
    Ok(response)
}

/// The session, from its answer to its end.
async fn carry(services: Shared, publish: Publish, publisher: live::Publisher, mut session: Session, peer: SocketAddr) {
    let broadcast = session.broadcast().to_owned();
    tracing::info!(%peer, broadcast, protocol = "whip", "publisher connected");
    match publish.accept(publisher, services.drain.clone()).await {
        Ok(goodbye) => {
            if goodbye == Goodbye::Said {
                session.goodbye();
            }
            tracing::info!(%peer, broadcast, how = ?goodbye, "publisher left");
        }
        Err(error) => tracing::info!(%peer, broadcast, %error, "publisher failed"),
    }
}

pub(super) fn created(location: &str, answer: &str, endpoint: &Endpoint, session: &str) -> Result<Response, Problem> {
    let tag = endpoint.entity_tag(session).map(|tag| format!("\"{tag}\"")).unwrap_or_default();
    let value = |text: &str| HeaderValue::from_str(text).map_err(Problem::internal);
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(SDP)),
        (header::LOCATION, value(location)?),
        (header::ETAG, value(&tag)?),
        (HeaderName::from_static("accept-patch"), HeaderValue::from_static(FRAGMENT)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((StatusCode::CREATED, headers, answer.to_owned()).into_response())
}

fn trickled(services: &Services, session: &str, headers: &HeaderMap, body: &[u8]) -> Result<Response, Problem> {
    let tag = endpoint(services)?.entity_tag(session).ok_or_else(no_session)?;
    if !is(headers, FRAGMENT) {
        return Err(Problem::UnsupportedMediaType);
    }
    let text = std::str::from_utf8(body).map_err(|_| Problem::Malformed("the fragment is not text".into()))?;
    let wanted = headers.get(header::IF_MATCH).and_then(|value| value.to_str().ok());
    let restarts = wanted == Some("*") && Fragment::parse(text).ufrag.is_some();
    if restarts || wanted.is_some_and(|wanted| wanted != "*" && wanted.trim_matches('"') != tag) {
        return Err(Problem::invalid("this session does not restart ICE: end it and make another"));
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn ended(services: &Services, session: &str) -> Result<Response, Problem> {
    match endpoint(services)?.close(session).await {
        true => Ok(StatusCode::OK.into_response()),
        false => Err(no_session()),
    }
}

/// The offer in a request's body.
pub(super) async fn offer(request: Request) -> Result<Offer, Problem> {
    if !is(request.headers(), SDP) {
        return Err(Problem::UnsupportedMediaType);
    }
    let text: String = request.extract().await.map_err(|rejection: axum::extract::rejection::StringRejection| {
        match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Problem::TooLarge,
            _ => Problem::Malformed(rejection.body_text().into()),
        }
    })?;
    Offer::parse(&text).map_err(turned_down)
}

/// Where the peer may find our UDP port.
pub(super) fn announced(services: &Services, endpoint: &Endpoint, client: &Client, peer: &Peer) -> Vec<SocketAddr> {
    let bound = endpoint.local_addr();
    let configured = services.config.rtc.announced(bound.port()).expect("checked at the start");
    if !configured.is_empty() {
        return configured;
    }
    let named = client.host.parse::<Uri>().ok().and_then(|uri| uri.host()?.trim_matches(['[', ']']).parse().ok());
    // A proxy came to an address of its own network.
    let direct = (!services.proxies.trusts(peer.address.ip())).then(|| peer.local.ip().to_canonical());
    reachable(bound, named.into_iter().chain(direct).collect::<Vec<IpAddr>>())
}

pub(super) fn endpoint(services: &Services) -> Result<&Endpoint, Problem> {
    if services.drain.is_cancelled() {
        return Err(Problem::Unavailable("the server is stopping; try again in a minute".into()));
    }
    services.rtc.as_ref().ok_or_else(|| Problem::not_found("WebRTC is off on this server"))
}

/// The status for an offer that is turned down.
pub(super) fn turned_down(error: Error) -> Problem {
    match error {
        Error::Sdp(_) => Problem::Malformed(error.to_string().into()),
        Error::Unplayable(_) => Problem::Conflict(error.to_string().into()),
        Error::Full | Error::NoAddress => Problem::Unavailable(error.to_string().into()),
        _ => Problem::invalid(error.to_string()),
    }
}

fn refused(refusal: Refusal) -> Problem {
    match refusal {
        Refusal::UnknownKey => Problem::StreamKey,
        Refusal::Busy | Refusal::Over => Problem::Conflict(refusal.to_string().into()),
        Refusal::Draining | Refusal::Unavailable => Problem::Unavailable(refusal.to_string().into()),
    }
}

fn no_session() -> Problem {
    Problem::not_found("there is no such session, or not any more")
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn is(headers: &HeaderMap, kind: &str) -> bool {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    given.split(';').next().is_some_and(|given| given.trim().eq_ignore_ascii_case(kind))
}

/// The answer, open to pages of other sites.
pub(super) fn open(result: Result<Response, Problem>) -> Response {
    let mut response = result.unwrap_or_else(IntoResponse::into_response);
    for (name, value) in ANYONE {
        response.headers_mut().insert(name, value);
    }
    if response.status() == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}
