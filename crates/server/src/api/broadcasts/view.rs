//! A broadcast as the API shows it: what is remembered, with what is known now.

use super::urls::Outside;
use crate::api::types::{Audio, Broadcast, Location, Media, Video, Visibility};
use crate::services::Services;

pub fn view(services: &Services, outside: &Outside, row: store::Broadcast) -> Broadcast {
    let remembered = (row.state.into(), row.interrupted_ms.is_some());
    let over = row.state.is_over();
    let (state, interrupted) = services.registry.now(&row.id).filter(|_| !over).unwrap_or(remembered);
    let format = services.directory.get(&row.id).and_then(|broadcast| broadcast.format());
    Broadcast {
        urls: outside.urls(&row.id),
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
        viewers: services.rooms.viewers(&row.id),
        hearts: services.rooms.hearts(&row.id),
        media: format.map(media),
        id: row.id,
    }
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
