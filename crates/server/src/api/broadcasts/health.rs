//! The upload of one's own broadcast, measured, with advice.

use axum::extract::{Path, State};
use live::{CaptureSource, Stats, VideoCodec};

use super::find_own;
use crate::api::auth::SignedIn;
use crate::api::types::{Bitrate, Capture, Health};
use crate::broadcast::advice::{Upload, warnings};
use crate::problem::Problem;
use crate::services::Shared;

/// How the upload is doing.
#[utoipa::path(
    get, path = "/api/v1/broadcasts/{id}/health", tag = "broadcasts", operation_id = "readHealth",
    params(("id" = String, Path, description = "The broadcast")),
    responses((status = OK, description = "Measurements and advice", body = Health)),
)]
pub async fn health(
    State(services): State<Shared>,
    SignedIn(caller): SignedIn,
    Path(id): Path<String>,
) -> Result<axum::Json<Health>, Problem> {
    find_own(&services, &id, &caller).await?;
    let (stats, format) = match services.directory.get(&id) {
        Some(broadcast) => (broadcast.stats(), broadcast.format().unwrap_or_default()),
        None => (Stats::default(), live::Format::default()),
    };
    Ok(axum::Json(judge(stats, &format)))
}

fn judge(stats: Stats, format: &live::Format) -> Health {
    let video = format.video.as_ref();
    let upload = Upload {
        connected: stats.connected,
        uptime: stats.uptime,
        video_bps: stats.bitrate.video_bps,
        audio_bps: stats.bitrate.audio_bps,
        fps: stats.fps,
        declared_fps: video.and_then(|video| video.fps),
        keyframe_interval: stats.keyframe_interval,
        b_frames: stats.b_frames,
        has_video: video.is_some(),
        has_audio: format.audio.is_some(),
        common_codec: video.is_none_or(|video| video.codec == VideoCodec::H264),
    };
    Health {
        connected: stats.connected,
        peer: Some(stats.peer).filter(|peer| !peer.is_empty()),
        uptime_ms: millis(stats.uptime),
        bitrate_bps: Bitrate { video: stats.bitrate.video_bps, audio: stats.bitrate.audio_bps },
        fps: (stats.fps * 10.0).round() / 10.0,
        keyframe_interval_ms: stats.keyframe_interval.map(millis),
        b_frames: stats.b_frames,
        capture: match stats.capture {
            Some(CaptureSource::Device) => Capture::Device,
            Some(CaptureSource::Ingest) | None => Capture::Ingest,
        },
        warnings: warnings(&upload),
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
