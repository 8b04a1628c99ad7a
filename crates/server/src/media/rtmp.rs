//! RTMP and RTMPS: publishers by their stream key, players by the broadcast's id.

use crate::tasks::Tasks;
use gateway::flv::Framing;
use gateway::rtmp::{Error, Goodbye, Listener, Play, Publish, Request};

use super::viewers::Protocol;
use crate::broadcast;
use crate::services::Shared;
use crate::telemetry::Gauge;
use gateway::address::limited_by;

/// Application names: publish to one, play from the other.
pub const PUBLISH_APP: &str = "live";
pub const PLAY_APP: &str = "play";

/// Accepts until the drain begins; each connection is a task of `tasks`.
pub async fn serve(mut listener: Listener, services: Shared, tasks: Tasks) {
    while let Some(request) = listener.accept().await {
        let services = services.clone();
        tasks.spawn(async move {
            let _gauge = Gauge::up("oriel_rtmp_connections");
            let ended = match request {
                // On the heap, so that a player's task has not the size of a publisher's.
                Request::Publish(publish) => Box::pin(self::publish(publish, services)).await,
                Request::Play(play) => Box::pin(self::play(play, services)).await,
            };
            match ended {
                Ok(()) => {}
                Err(error @ Error::TooSlow { .. }) => {
                    metrics::counter!("oriel_slow_viewers_total").increment(1);
                    tracing::info!(%error, "player closed");
                }
                Err(error) => tracing::info!(%error, "rtmp connection failed"),
            }
        });
    }
}

async fn publish(request: Publish, services: Shared) -> Result<(), Error> {
    if request.app() != PUBLISH_APP {
        request.reject(gateway::rtmp::Refusal::BadAddress).await;
        return Ok(());
    }
    let (peer, secure) = (request.peer(), request.secure());
    let (publisher, mut session) = match services.registry.publish(request.key(), peer.to_string()).await {
        Ok(granted) => granted,
        Err(refusal) => {
            tracing::info!(%peer, %refusal, "publisher refused");
            request.reject(answer(refusal)).await;
            return Ok(());
        }
    };
    tracing::info!(%peer, secure, broadcast = session.broadcast(), software = request.software(), "publisher connected");
    let ended = request.until(services.drain.clone()).accept(publisher).await;
    if matches!(ended, Ok(Goodbye::Said)) {
        session.goodbye();
    }
    tracing::info!(%peer, broadcast = session.broadcast(), how = ?ended.as_ref().ok(), "publisher left");
    ended.map(drop)
}

async fn play(request: Play, services: Shared) -> Result<(), Error> {
    use gateway::rtmp::Refusal;
    if request.app() != PLAY_APP {
        request.reject(Refusal::BadAddress).await;
        return Ok(());
    }
    if services.rates.joins.check(&limited_by(request.peer().ip())).is_err() {
        request.reject(Refusal::Busy).await;
        return Ok(());
    }
    let id = request.name().to_owned();
    let broadcast = services.directory.get(&id).filter(|broadcast| broadcast.phase() != live::Phase::Ended);
    let Some(broadcast) = broadcast else {
        request.reject(Refusal::NoSuchBroadcast).await;
        return Ok(());
    };
    let _pull = services.pulls.join(&id, Protocol::Rtmp);
    let viewer = services.flv.join(&broadcast, Framing::Rtmp);
    request.until(services.drain.clone()).accept(viewer).await
}

/// What the encoder is told.
fn answer(refusal: broadcast::Refusal) -> gateway::rtmp::Refusal {
    use gateway::rtmp::Refusal;
    match refusal {
        broadcast::Refusal::UnknownKey => Refusal::BadKey,
        broadcast::Refusal::Busy => Refusal::AlreadyLive,
        broadcast::Refusal::Over => Refusal::Ended,
        broadcast::Refusal::Draining => Refusal::ShuttingDown,
        broadcast::Refusal::Unavailable => Refusal::Busy,
    }
}
