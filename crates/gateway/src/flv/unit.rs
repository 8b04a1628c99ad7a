//! What a viewer is sent at a time: the tags of one flush, serialised at most once for each framing.

use std::sync::{Arc, OnceLock};

use bytes::{BufMut, Bytes, BytesMut};
use live::Format;

use super::mux::Tag;
use super::tag::TagKind;
use crate::rtmp::{PLAY_CHUNK_SIZE, write_message};

/// The RTMP message stream that plays go out on.
const PLAY_STREAM_ID: u32 = 1;

/// How tags are wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// FLV tags.
    Flv,
    /// FLV tags with `onOrielClock` script tags between them, for players that show their delay.
    FlvWithClock,
    /// RTMP chunks.
    Rtmp,
}

/// The tags of one flush.
#[derive(Debug)]
pub(super) struct Unit {
    /// Counts the packager's units.
    pub sequence: u64,
    /// Whether a viewer can start here.
    pub keyframe: bool,
    /// Media time of the first tag, microseconds.
    pub time_us: i64,
    /// How the tags are coded; the same `Arc` until it changes.
    pub format: Arc<Format>,
    /// Bytes the unit holds, about.
    pub size: usize,
    tags: Vec<Tag>,
    serialised: [OnceLock<Bytes>; 3],
}

impl Unit {
    pub fn new(sequence: u64, keyframe: bool, time_us: i64, format: Arc<Format>, tags: Vec<Tag>) -> Self {
        let size = tags.iter().map(Tag::len).sum();
        Self { sequence, keyframe, time_us, format, size, tags, serialised: Default::default() }
    }

    /// Time stamp of the first tag.
    pub fn timestamp_ms(&self) -> u32 {
        self.tags.first().map_or(0, |tag| tag.timestamp_ms)
    }

    /// The bytes that every viewer of this framing writes: made by the first that asks, shared by the rest.
    pub fn bytes(&self, framing: Framing) -> &Bytes {
        let slot = match framing {
            Framing::Flv => 0,
            Framing::FlvWithClock => 1,
            Framing::Rtmp => 2,
        };
        self.serialised[slot].get_or_init(|| serialise(&self.tags, framing, true))
    }
}

/// Serialises tags that lead a viewer in, metadata included.
pub(super) fn lead_in(tags: &[Tag], framing: Framing) -> Bytes {
    serialise(tags, framing, false)
}

fn serialise(tags: &[Tag], framing: Framing, within: bool) -> Bytes {
    let mut out = BytesMut::with_capacity(tags.iter().map(|tag| tag.len() + 16).sum());
    for tag in tags {
        // Script tags within the stream are the clock's. Others would list them as a track of their own.
        if within && tag.kind == TagKind::Script && framing != Framing::FlvWithClock {
            continue;
        }
        match framing {
            Framing::Flv | Framing::FlvWithClock => put_flv(&mut out, tag),
            Framing::Rtmp => put_rtmp(&mut out, tag),
        }
    }
    out.freeze()
}

/// ```text
/// type | size (24) | time stamp, low 24 bits | high 8 bits | stream id 0 (24) | body | size of all before (32)
/// ```
fn put_flv(out: &mut BytesMut, tag: &Tag) {
    let [high, a, b, c] = tag.timestamp_ms.to_be_bytes();
    out.put_u8(tag.kind as u8);
    out.put_uint(tag.len() as u64, 3);
    out.put_slice(&[a, b, c, high, 0, 0, 0]);
    out.put_slice(&tag.head);
    out.put_slice(&tag.payload);
    out.put_u32(tag.len() as u32 + 11);
}

fn put_rtmp(out: &mut BytesMut, tag: &Tag) {
    let chunk_stream = match tag.kind {
        TagKind::Audio => 4,
        TagKind::Script => 5,
        TagKind::Video => 6,
    };
    let payload = [&tag.head[..], &tag.payload[..]];
    write_message(out, chunk_stream, tag.kind as u8, tag.timestamp_ms, PLAY_STREAM_ID, &payload, PLAY_CHUNK_SIZE);
}

/// The FLV file header and the size of the tag before the first, for what the format holds.
pub(super) fn file_header(format: &Format) -> Bytes {
    let tracks = u8::from(format.audio.is_some()) << 2 | u8::from(format.video.is_some());
    Bytes::copy_from_slice(&[b'F', b'L', b'V', 1, tracks, 0, 0, 0, 9, 0, 0, 0, 0])
}
