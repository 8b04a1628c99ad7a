//! WHEP: `POST /whep/ID` with an offer that receives. The session's own address is as WHIP's.

use std::net::SocketAddr;

use axum::extract::{Extension, Path, Request, State};
use axum::response::Response;
use gateway::address::limited_by;
use gateway::rtc::{Left, Play};
use http::header::HeaderName;
use live::Broadcast;

use super::viewers::{Protocol, Pull};
use super::whip;
use crate::http::peer::{Client, Peer};
use crate::problem::Problem;
use crate::services::Shared;

/// Unix time of media time 0, microseconds.
const CLOCK: HeaderName = HeaderName::from_static("oriel-clock");

/// `POST`: answers the offer and starts the session.
pub async fn create(
    State(services): State<Shared>,
    client: Client,
    Extension(peer): Extension<Peer>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    whip::open(play(services, client, peer, &id, request).await)
}

async fn play(services: Shared, client: Client, peer: Peer, id: &str, request: Request) -> Result<Response, Problem> {
    services.rates.joins.check(&limited_by(client.ip))?;
    let endpoint = whip::endpoint(&services)?.clone();
    let broadcast = services
        .directory
        .get(id)
        .filter(|broadcast| broadcast.phase() != live::Phase::Ended)
        .ok_or_else(|| Problem::not_found("this broadcast is not live"))?;
    let offer = whip::offer(request).await?;
    let addresses = whip::announced(&services, &endpoint, &client, &peer);
    let play = endpoint.play(offer, limited_by(client.ip), &addresses, &broadcast).map_err(whip::turned_down)?;
    let mut response = whip::created(&format!("/whep/{id}/{}", play.id()), play.answer(), &endpoint, play.id())?;
    // RTP time is media time, so that with this a page knows when each picture was taken.
    response.headers_mut().insert(CLOCK, broadcast.zero_unix_us().into());
    let pull = services.pulls.join(id, Protocol::Whep);
    let source = SocketAddr::new(client.ip, peer.address.port());
    services.tasks.spawn(carry(services.clone(), play, broadcast, pull, source));
    Ok(response)
}

/// The session, from its answer to its end.
async fn carry(services: Shared, play: Play, broadcast: Broadcast, _pull: Pull, peer: SocketAddr) {
    let ended = play.accept(&services.webrtc, &broadcast, services.drain.clone()).await;
    match ended {
        Ok(left) => {
            if left == Left::TooSlow {
                metrics::counter!("oriel_slow_viewers_total").increment(1);
            }
            tracing::debug!(%peer, broadcast = broadcast.id(), ?left, "webrtc viewer left");
        }
        Err(error) => tracing::debug!(%peer, broadcast = broadcast.id(), %error, "webrtc viewer failed"),
    }
}
