//! Media over QUIC: the relay's sessions are let in to broadcasts that exist, over UDP or over a WebSocket of ours.

use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use gateway::address::limited_by;
use gateway::moq::{Certificate, PATH, Running, WebSockets, subprotocol};
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::http::peer::{Client, Peer};
use crate::problem::Problem;
use crate::services::Shared;

/// What the routes need of the relay.
#[derive(Clone)]
struct Doors {
    services: Shared,
    sockets: WebSockets,
    certificate: Certificate,
}

/// The HTTP side: sessions over WebSocket, and the certificate's hash for browsers.
pub fn router(services: Shared, sockets: WebSockets, certificate: Certificate) -> Router {
    Router::new().route("/moq/{id}", any(upgrade)).route("/certificate.sha256", get(hash)).with_state(Doors {
        services,
        sockets,
        certificate,
    })
}

/// Decides on sessions until the relay has ended.
pub async fn admit(mut running: Running, services: Shared) {
    while let Some(request) = running.accept().await {
        let joins = request.peer().map(|peer| services.rates.joins.check(&limited_by(peer.ip())));
        let allowed = !matches!(joins, Some(Err(_))) && !services.drain.is_cancelled();
        let live = request.broadcast().is_some_and(|id| services.directory.get(id).is_some());
        if allowed && live {
            tracing::debug!(peer = ?request.peer(), broadcast = request.broadcast(), "moq session");
            request.accept();
        } else {
            request.reject();
        }
    }
    if let Err(error) = running.ended().await {
        tracing::error!(%error, "media over QUIC is down");
    }
}

async fn hash(State(doors): State<Doors>) -> Result<Response, Problem> {
    let hash = doors.certificate.sha256().await.ok_or_else(|| Problem::not_found("there is no certificate"))?;
    let headers = [(header::CONTENT_TYPE, "text/plain"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, hash).into_response())
}

/// The WebSocket handshake (RFC 6455 section 4.2), which axum's own does not leave the raw connection after.
async fn upgrade(State(doors): State<Doors>, client: Client, request: Request) -> Result<Response, Problem> {
    let accept = handshake(&request)?;
    if doors.services.drain.is_cancelled() {
        return Err(Problem::Unavailable("the server is stopping; try again in a minute".into()));
    }
    let id = request.uri().path().strip_prefix(PATH).unwrap_or_default();
    if doors.services.directory.get(id).is_none() {
        return Err(Problem::not_found("this broadcast is not live"));
    }
    let offered = text(request.headers(), header::SEC_WEBSOCKET_PROTOCOL.as_str());
    let chosen = subprotocol(offered).map_err(|error| Problem::invalid(error.to_string()))?;
    let port = request.extensions().get::<Peer>().map_or(0, |peer| peer.address.port());
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    if let Some(chosen) = chosen.as_deref().and_then(|name| HeaderValue::from_str(name).ok()) {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, chosen);
    }
    tokio::spawn(serve(doors, request, SocketAddr::new(client.ip, port), chosen));
    Ok(response)
}

async fn serve(doors: Doors, mut request: Request, peer: SocketAddr, chosen: Option<String>) {
    let upgraded = match hyper::upgrade::on(&mut request).await {
        Ok(upgraded) => TokioIo::new(upgraded),
        Err(error) => return tracing::debug!(%error, "upgrade failed"),
    };
    let uri = request.uri();
    let served = doors.sockets.serve(upgraded, peer, uri.path(), uri.query(), chosen.as_deref()).await;
    if let Err(error) = served {
        tracing::debug!(%peer, %error, "moq session over WebSocket ended");
    }
}

/// The value of `Sec-WebSocket-Accept`, when the request is an upgrade to WebSocket.
fn handshake(request: &Request) -> Result<HeaderValue, Problem> {
    let headers = request.headers();
    let asks = request.method() == Method::GET
        && text(headers, "upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
        && text(headers, "sec-websocket-version") == Some("13");
    let key = headers.get(header::SEC_WEBSOCKET_KEY).filter(|_| asks);
    let key = key.ok_or_else(|| Problem::Malformed("this address speaks WebSocket or WebTransport only".into()))?;
    HeaderValue::from_str(&derive_accept_key(key.as_bytes())).map_err(Problem::internal)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
