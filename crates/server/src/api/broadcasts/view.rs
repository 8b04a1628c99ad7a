//! A broadcast as the API shows it: what is remembered, with what is known now.

use super::urls::Outside;
use crate::api::types::{Audio, Broadcast, Location, Media, Video, Visibility};
use crate::services::Services;

pub async fn view(services: &Services, outside: &Outside, row: store::Broadcast) -> Broadcast {
    let remembered = (row.state.into(), row.interrupted_ms.is_some());
    let over = row.state.is_over();
    let (state, interrupted) = services.registry.now(&row.id).filter(|_| !over).unwrap_or(remembered);
    let format = services.directory.get(&row.id).and_then(|broadcast| broadcast.format());
    let (viewers, hearts) = audience(services, &row.id).await;
    let rewinds = !over && services.config.recording.dvr_s > 0 && services.archive.is_recording(&row.id);
    Broadcast {
        urls: outside.urls(&row.id, rewinds),
        owner: row.owner.into(),
        title: row.title,
        state,
        interrupted,
        visibility: match row.visibility {
            store::Visibility::Public => Visibility::Public,
            store::Visibility::Unlisted => Visibility::Unlisted,
        },
        location: row.location.map(|at| Location { lat: at.lat, lng: at.lng }),
        created_at_ms: row.created_ms,
        started_at_ms: row.started_ms,
        ended_at_ms: row.ended_ms,
        viewers,
        hearts,
        media: format.map(media),
        id: row.id,
    }
}

/// All broadcasts of a list.
pub async fn views(services: &Services, outside: &Outside, rows: Vec<store::Broadcast>) -> Vec<Broadcast> {
    let mut broadcasts = Vec::with_capacity(rows.len());
    for row in rows {
        broadcasts.push(view(services, outside, row).await);
    }
    broadcasts
}

/// Viewers now and hearts so far: from the room when it is open, else what is remembered.
async fn audience(services: &Services, id: &str) -> (u64, u64) {
    if let Some(room) = services.rooms.room(id) {
        return (room.viewers().into(), u64::try_from(room.hearts()).unwrap_or(0));
    }
    let hearts = services.store.heart_total(id).await.unwrap_or_else(|error| {
        tracing::warn!(%error, broadcast = id, "hearts not known");
        0
    });
    (services.pulls.count(id).into(), u64::try_from(hearts).unwrap_or(0))
}

fn media(format: live::Format) -> Media {
    Media {
        video: format.video.map(|video| Video {
            codec: video.codec_string.clone(),
            width: video.width,
            height: video.height,
            fps: video.fps,
            reorder: video.reorder,
        }),
        audio: format.audio.map(|audio| Audio {
            codec: audio.codec_string.clone(),
            rate: audio.rate,
            channels: audio.channels,
        }),
    }
}
