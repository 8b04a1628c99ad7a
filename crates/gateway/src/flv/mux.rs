//! From frames of the media model to FLV tag bodies.

use bytes::Bytes;
use live::{AudioCodec, AudioFormat, Format, Frame, Kind, VideoCodec, VideoFormat};

use super::tag::{self, TagKind, packet};
use crate::rtmp::amf::{Value, Writer};

/// One tag: a few bytes of our own and a payload that is shared, never copied per viewer.
#[derive(Clone, Debug)]
pub(super) struct Tag {
    pub kind: TagKind,
    /// Decode time, milliseconds of media time. Wraps as RTMP's does.
    pub timestamp_ms: u32,
    pub head: Bytes,
    pub payload: Bytes,
}

impl Tag {
    pub fn len(&self) -> usize {
        self.head.len() + self.payload.len()
    }
}

/// Media time to the 32-bit milliseconds of a tag.
pub(super) fn tag_ms(us: i64) -> u32 {
    (us / 1000) as u32
}

/// The tags a viewer needs before the first frame: metadata and codec configurations.
pub(super) fn header(format: &Format, timestamp_ms: u32) -> Vec<Tag> {
    let tag = |kind, (head, payload)| Tag { kind, timestamp_ms, head, payload };
    // At time 0, where every encoder puts it: ffmpeg makes a track of its own out of metadata that comes later.
    let mut tags = vec![Tag { timestamp_ms: 0, ..tag(TagKind::Script, (metadata(format), Bytes::new())) }];
    tags.extend(format.video.as_deref().map(|video| tag(TagKind::Video, video_header(video))));
    tags.extend(format.audio.as_deref().map(|audio| tag(TagKind::Audio, audio_header(audio))));
    tags
}

fn video_header(format: &VideoFormat) -> (Bytes, Bytes) {
    let head = match fourcc(format.codec) {
        None => vec![tag::KEYFRAME << 4 | tag::LEGACY_AVC, tag::SEQUENCE_HEADER, 0, 0, 0],
        Some(fourcc) => [&[tag::ENHANCED | tag::KEYFRAME << 4 | packet::SEQUENCE_START][..], &fourcc[..]].concat(),
    };
    (head.into(), format.description.clone())
}

fn audio_header(format: &AudioFormat) -> (Bytes, Bytes) {
    let head = match format.codec {
        AudioCodec::Aac => vec![tag::LEGACY_AAC, tag::SEQUENCE_HEADER],
        AudioCodec::Opus => [&[tag::SOUND_ENHANCED << 4 | packet::SEQUENCE_START][..], &tag::OPUS[..]].concat(),
    };
    (head.into(), format.description.clone())
}

/// The tag of a frame; `None` when the format lacks its track.
pub(super) fn frame(format: &Format, frame: &Frame) -> Option<Tag> {
    let timestamp_ms = tag_ms(frame.dts_us);
    let (kind, head) = match frame.kind {
        Kind::Video => {
            let composition_ms = tag_ms(frame.pts_us).wrapping_sub(timestamp_ms);
            (TagKind::Video, video_head(format.video.as_ref()?.codec, frame.keyframe, composition_ms))
        }
        Kind::Audio => (TagKind::Audio, audio_head(format.audio.as_ref()?.codec)),
    };
    Some(Tag { kind, timestamp_ms, head, payload: frame.payload.clone() })
}

fn video_head(codec: VideoCodec, keyframe: bool, composition_ms: u32) -> Bytes {
    let frame_type = if keyframe { tag::KEYFRAME } else { tag::INTER_FRAME };
    let [_, a, b, c] = composition_ms.to_be_bytes();
    let head = match (codec, fourcc(codec)) {
        (_, None) => vec![frame_type << 4 | tag::LEGACY_AVC, tag::RAW, a, b, c],
        (VideoCodec::Av1, Some(fourcc)) => {
            [&[tag::ENHANCED | frame_type << 4 | packet::CODED_FRAMES][..], &fourcc[..]].concat()
        }
        (_, Some(fourcc)) => {
            [&[tag::ENHANCED | frame_type << 4 | packet::CODED_FRAMES][..], &fourcc[..], &[a, b, c][..]].concat()
        }
    };
    head.into()
}

fn audio_head(codec: AudioCodec) -> Bytes {
    match codec {
        AudioCodec::Aac => Bytes::from_static(&[tag::LEGACY_AAC, tag::RAW]),
        AudioCodec::Opus => {
            Bytes::from_static(&[tag::SOUND_ENHANCED << 4 | packet::CODED_FRAMES, b'O', b'p', b'u', b's'])
        }
    }
}

/// H.264 stays in the legacy form, which every player reads.
fn fourcc(codec: VideoCodec) -> Option<[u8; 4]> {
    match codec {
        VideoCodec::H264 => None,
        VideoCodec::Hevc => Some(tag::HEVC),
        VideoCodec::Av1 => Some(tag::AV1),
    }
}

/// The script tag at each group start that maps media time to wall time: `onOrielClock {pts_ms, captured_ms}`.
pub(super) fn clock(frame: &Frame) -> Option<Tag> {
    let mark = frame.mark?;
    let body = Writer::default().text("onOrielClock").object(&[
        ("pts_ms", Value::Number(frame.pts_us as f64 / 1000.0)),
        ("captured_ms", Value::Number(mark.captured.unix_us as f64 / 1000.0)),
    ]);
    let (timestamp_ms, head) = (tag_ms(frame.dts_us), body.finish().into());
    Some(Tag { kind: TagKind::Script, timestamp_ms, head, payload: Bytes::new() })
}

fn metadata(format: &Format) -> Bytes {
    let mut fields = vec![("encoder", Value::String("Oriel".into()))];
    if let Some(video) = &format.video {
        fields.push(("width", Value::Number(video.width.into())));
        fields.push(("height", Value::Number(video.height.into())));
        fields.extend(video.fps.map(|fps| ("framerate", Value::Number(fps))));
        let codec = fourcc(video.codec).map_or(tag::LEGACY_AVC.into(), |fourcc| u32::from_be_bytes(fourcc).into());
        fields.push(("videocodecid", Value::Number(codec)));
    }
    if let Some(audio) = &format.audio {
        let codec = match audio.codec {
            AudioCodec::Aac => tag::SOUND_AAC.into(),
            AudioCodec::Opus => u32::from_be_bytes(tag::OPUS).into(),
        };
        fields.push(("audiocodecid", Value::Number(codec)));
        fields.push(("audiosamplerate", Value::Number(audio.rate.into())));
        fields.push(("stereo", Value::Boolean(audio.channels > 1)));
    }
    Writer::default().text("onMetaData").object(&fields).finish().into()
}
