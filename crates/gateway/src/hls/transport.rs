//! Segments as transport streams, for players from before fragmented MP4. A pure function of the segment, like all else here.

use bytes::Bytes;

use crate::ingest::Media;
use crate::{mp4, ts};

/// Rewrites a segment with its initialisation section. `None`: its codecs have no place in a transport stream.
pub(super) fn segment(init: &[u8], body: &[u8]) -> Option<Bytes> {
    let mut found = Vec::new();
    let mut demuxer = mp4::Demuxer::new();
    for bytes in [init, body] {
        demuxer.push(bytes, &mut found).ok()?;
    }
    let (mut video, mut audio, mut pictures, mut sounds) = (None, None, Vec::new(), Vec::new());
    for media in found {
        match media {
            Media::VideoFormat(format) => video = Some(format),
            Media::AudioFormat(format) => audio = Some(format),
            Media::Video(frame) => pictures.push(frame),
            Media::Audio(frame) => sounds.push(frame),
            Media::Tracks { .. } => {}
        }
    }
    ts::segment(video.as_ref(), audio.as_ref(), &pictures, &sounds)
}
