//! HTTP: every route in one place, and around them who asks, what is refused, and what every answer carries.

pub mod deadline;
pub mod direct;
pub mod headers;
pub mod listener;
pub mod peer;
pub mod rate;
pub mod same_origin;
pub mod site;
pub mod slots;

use std::time::Instant;

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::{any, get, post};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};

use crate::problem::{self, Problem};
use crate::services::Shared;
use crate::{api, conversation, media};

use headers::Trusted;
use peer::Peer;

/// The whole of the HTTP listener. `moq` is the relay's own part, when it is on.
pub fn router(services: Shared, moq: Option<Router>) -> Router {
    let (described, _) = api::router();
    let trusted = Trusted(services.config.tls.cert.is_some() || public_https(&services));
    let limits = &services.config.limits;

    // Only here: cross-site writes, bodies, compression. Media below is sent as it is; the one body there, an upload, has no
    // end by nature and bounds of its own, and its key comes in a header that no other site can make a browser send.
    let documents = described
        .route("/api/openapi.json", get(api::docs::document))
        .route("/api/docs", get(api::docs::page))
        .route("/api/docs/{file}", get(api::docs::file))
        .route("/api/{*rest}", any(api::docs::nothing))
        .fallback(site::serve)
        .layer(from_fn_with_state(services.public_host.clone(), same_origin::check))
        .layer(DefaultBodyLimit::max(limits.body_bytes))
        .layer(compression());

    let media = Router::new()
        .route("/live/{file}", get(media::flv::get))
        .route("/ingest/{id}", post(media::ingest::publish).put(media::ingest::publish))
        .route("/hls/{id}/{file}", get(media::hls::get).options(media::hls::options))
        .route("/whep/{id}", post(media::whep::create).options(media::whip::options))
        .route("/whep/{id}/{session}", media::whip::session())
        .route("/whip", post(media::whip::create).options(media::whip::options))
        .route("/whip/{id}", post(media::whip::create).options(media::whip::options))
        .route("/whip/{id}/{session}", media::whip::session())
        .route("/replay/{file}", get(media::replay::download).options(media::hls::options))
        .route("/api/v1/broadcasts/{id}/room", any(conversation::socket::get))
        .layer(DefaultBodyLimit::max(limits.body_bytes));

    // Playlists of hours are text worth compressing; segments are let be.
    let replays = Router::new()
        .route("/replay/{id}/{file}", get(media::replay::file).options(media::hls::options))
        .layer(compression());

    let mut router = media
        .merge(replays)
        .merge(documents)
        .route("/healthz", get(api::server::healthz))
        .route("/readyz", get(api::server::readyz))
        .with_state(services.clone());
    if let Some(moq) = moq {
        router = router.merge(moq);
    }
    // The last is the outermost.
    router
        .layer(from_fn(problems))
        .layer(from_fn_with_state(trusted, headers::add))
        .layer(from_fn(measure))
        .layer(from_fn_with_state(services, introduce))
}

fn public_https(services: &Shared) -> bool {
    services.config.http.public_url.as_ref().is_some_and(|url| url.starts_with("https://"))
}

/// Text worth compressing; pictures, fonts and media are compressed already.
fn compression() -> CompressionLayer<impl Predicate> {
    let predicate = SizeAbove::new(512)
        .and(NotForContentType::const_new("image/jpeg"))
        .and(NotForContentType::const_new("image/png"))
        .and(NotForContentType::const_new("image/webp"))
        .and(NotForContentType::const_new("font/"))
        .and(NotForContentType::const_new("video/"));
    CompressionLayer::new().gzip(true).compress_when(predicate)
}

/// Tells the request who its client is.
async fn introduce(State(services): State<Shared>, mut request: Request, next: Next) -> Response {
    let Some(peer) = request.extensions().get::<Peer>().copied() else {
        return Problem::internal("the request came without its connection").render(request.uri().path());
    };
    let authority = request.uri().authority().map(ToString::to_string);
    let client = services.proxies.client(peer, request.headers(), authority.as_deref());
    request.extensions_mut().insert(client);
    next.run(request).await
}

/// Failures leave as problem documents, whoever failed.
async fn problems(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    problem::finish(next.run(request).await, &path)
}

/// Counts requests by what they are for. Paths of routes, never of requests: those are without bound.
async fn measure(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().as_str().to_owned();
    let route = request.extensions().get::<MatchedPath>().map_or("site", |path| path.as_str()).to_owned();
    let response = next.run(request).await;
    let status = response.status().as_u16().to_string();
    metrics::histogram!("oriel_http_request_seconds", "method" => method, "route" => route, "status" => status)
        .record(started.elapsed().as_secs_f64());
    response
}
