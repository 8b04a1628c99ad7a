//! SRT: publishers by their stream key, in the stream id.

use gateway::srt::stream_id::{self, StreamId};
use gateway::srt::{End, Error, Listener, Publish};

use crate::broadcast;
use crate::services::Shared;
use crate::tasks::Tasks;
use crate::telemetry::Gauge;

/// Accepts until the drain begins; each connection is a task of `tasks`.
pub async fn serve(mut listener: Listener, services: Shared, tasks: Tasks) {
    while let Some(request) = listener.accept().await {
        let services = services.clone();
        tasks.spawn(async move {
            if let Err(error) = publish(request, services).await {
                tracing::info!(%error, "srt connection failed");
            }
        });
    }
}

async fn publish(request: Publish, services: Shared) -> Result<(), Error> {
    use gateway::srt::Refusal;
    let peer = request.peer();
    let wanted = match stream_id::parse(request.stream_id()) {
        Ok(wanted) => wanted,
        Err(error) => {
            tracing::info!(%peer, %error, "publisher refused");
            let refusal = match error {
                stream_id::Error::NoKey => Refusal::BadRequest,
                stream_id::Error::Mode => Refusal::BadMode,
            };
            request.reject(refusal).await;
            return Ok(());
        }
    };
    let StreamId { broadcast, key } = wanted;
    let granted = match broadcast {
        Some(id) => services.registry.publish_to(&id, &key, peer.to_string()).await,
        None => services.registry.publish(&key, peer.to_string()).await,
    };
    let (publisher, mut session) = match granted {
        Ok(granted) => granted,
        Err(refusal) => {
            tracing::info!(%peer, %refusal, "publisher refused");
            request.reject(answer(refusal)).await;
            return Ok(());
        }
    };
    let _gauge = Gauge::up("oriel_srt_connections");
    tracing::info!(%peer, broadcast = session.broadcast(), "publisher connected by SRT");
    let ended = request.accept(publisher).await;
    if matches!(ended, Ok(End::Said)) {
        session.goodbye();
    }
    tracing::info!(%peer, broadcast = session.broadcast(), how = ?ended.as_ref().ok(), "publisher left");
    ended.map(drop)
}

/// What the encoder is told.
fn answer(refusal: broadcast::Refusal) -> gateway::srt::Refusal {
    use gateway::srt::Refusal;
    match refusal {
        broadcast::Refusal::UnknownKey => Refusal::BadKey,
        broadcast::Refusal::Busy => Refusal::AlreadyLive,
        broadcast::Refusal::Over => Refusal::Ended,
        broadcast::Refusal::Draining | broadcast::Refusal::Unavailable => Refusal::Unavailable,
    }
}
