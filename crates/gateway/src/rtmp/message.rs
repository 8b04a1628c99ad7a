//! Message types, and the small messages of fixed form: protocol control and user control (Adobe RTMP 1.0, 5.4 and 7.1.7).
//!
//! How messages travel is in `chunk`; what a command says is in `command`.

use bytes::{Buf, Bytes};

/// Message type ids (Adobe RTMP 1.0, sections 5.4 and 7.1).
pub mod type_id {
    /// The sender cuts its next chunks to this size.
    pub const SET_CHUNK_SIZE: u8 = 1;
    /// The sender gives up the message it had begun on a chunk stream.
    pub const ABORT: u8 = 2;
    /// The sender has received this many bytes in all.
    pub const ACKNOWLEDGEMENT: u8 = 3;
    /// An event: stream begin, stream end, ping.
    pub const USER_CONTROL: u8 = 4;
    /// The sender wants an acknowledgement each time it has sent this many bytes.
    pub const WINDOW_ACKNOWLEDGEMENT: u8 = 5;
    /// The receiver may have this many bytes under way.
    pub const SET_PEER_BANDWIDTH: u8 = 6;
    /// The body of an FLV audio tag.
    pub const AUDIO: u8 = 8;
    /// The body of an FLV video tag.
    pub const VIDEO: u8 = 9;
    /// Data (stream metadata), AMF3 form: one zero byte, then AMF0 values.
    pub const DATA_AMF3: u8 = 15;
    /// A command, AMF3 form: one zero byte, then AMF0 values.
    pub const COMMAND_AMF3: u8 = 17;
    /// Data (stream metadata), AMF0 values.
    pub const DATA: u8 = 18;
    /// A command, AMF0 values.
    pub const COMMAND: u8 = 20;
    /// Several audio, video and data messages in one.
    pub const AGGREGATE: u8 = 22;
}

/// What a protocol control or user control message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// All bytes the peer has received, modulo 2^32.
    Acknowledgement(u32),
    /// Bytes between two acknowledgements that the peer expects of us.
    Window(u32),
    /// Bytes that we may have unacknowledged towards the peer.
    PeerBandwidth(u32),
    /// A ping with its time stamp, to be sent back.
    Ping(u32),
    /// The answer to our ping.
    Pong(u32),
    /// The stream with this id begins.
    StreamBegin(u32),
    /// The stream with this id is over.
    StreamEof(u32),
}

/// A control message that is shorter than its form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("control message of type {type_id} has only {length} bytes")]
pub struct Truncated {
    /// Its message type id.
    pub type_id: u8,
    /// The bytes it has.
    pub length: usize,
}

const EVENT_STREAM_BEGIN: u16 = 0;
const EVENT_STREAM_EOF: u16 = 1;
const EVENT_PING: u16 = 6;
const EVENT_PONG: u16 = 7;

impl Control {
    /// Reads a message of type 3, 4, 5 or 6; `None` for an event that nobody here acts on (buffer length, stream dry).
    pub fn read(type_id: u8, payload: &[u8]) -> Result<Option<Self>, Truncated> {
        let truncated = Truncated { type_id, length: payload.len() };
        let mut body = payload;
        if type_id != type_id::USER_CONTROL {
            let value = body.try_get_u32().map_err(|_| truncated)?;
            return Ok(match type_id {
                type_id::ACKNOWLEDGEMENT => Some(Self::Acknowledgement(value)),
                type_id::WINDOW_ACKNOWLEDGEMENT => Some(Self::Window(value)),
                // The fifth byte says hard, soft or dynamic; all three are a bound to whoever honours it.
                type_id::SET_PEER_BANDWIDTH => Some(Self::PeerBandwidth(value)),
                _ => None,
            });
        }
        let event = body.try_get_u16().map_err(|_| truncated)?;
        let make = match event {
            EVENT_STREAM_BEGIN => Self::StreamBegin,
            EVENT_STREAM_EOF => Self::StreamEof,
            EVENT_PING => Self::Ping,
            EVENT_PONG => Self::Pong,
            _ => return Ok(None),
        };
        Ok(Some(make(body.try_get_u32().map_err(|_| truncated)?)))
    }

    /// The type id and payload that say this.
    pub fn write(self) -> (u8, Vec<u8>) {
        let event = |kind: u16, value: u32| {
            let payload = [&kind.to_be_bytes()[..], &value.to_be_bytes()[..]].concat();
            (type_id::USER_CONTROL, payload)
        };
        match self {
            Self::Acknowledgement(bytes) => (type_id::ACKNOWLEDGEMENT, bytes.to_be_bytes().to_vec()),
            Self::Window(bytes) => (type_id::WINDOW_ACKNOWLEDGEMENT, bytes.to_be_bytes().to_vec()),
            Self::PeerBandwidth(bytes) => {
                // 2: dynamic, what every server sends; clients ignore it or take it for a hard bound.
                let payload = [&bytes.to_be_bytes()[..], &[2]].concat();
                (type_id::SET_PEER_BANDWIDTH, payload)
            }
            Self::Ping(time) => event(EVENT_PING, time),
            Self::Pong(time) => event(EVENT_PONG, time),
            Self::StreamBegin(stream) => event(EVENT_STREAM_BEGIN, stream),
            Self::StreamEof(stream) => event(EVENT_STREAM_EOF, stream),
        }
    }
}

/// Which elementary stream a media message belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaKind {
    /// The payload is the body of an FLV audio tag.
    Audio,
    /// The payload is the body of an FLV video tag.
    Video,
    /// The payload is the body of an FLV script tag: AMF0, first the name of the handler (`onMetaData`).
    Script,
}

/// One audio, video or script message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// What the payload is.
    pub kind: MediaKind,
    /// Decoding time in milliseconds, modulo 2^32 (it wraps after 49.7 days).
    pub timestamp_ms: u32,
    /// The body of an FLV tag.
    pub payload: Bytes,
}

/// The AMF0 string that encoders put before their metadata; FLV files and players do not have it.
const SET_DATA_FRAME: &[u8] = b"\x02\x00\x0d@setDataFrame";

impl Media {
    /// Reads a message of type 8, 9, 15 or 18; `None` for every other type.
    pub fn read(type_id: u8, timestamp_ms: u32, mut payload: Bytes) -> Option<Self> {
        let kind = match type_id {
            type_id::AUDIO => MediaKind::Audio,
            type_id::VIDEO => MediaKind::Video,
            type_id::DATA => MediaKind::Script,
            type_id::DATA_AMF3 => {
                if payload.first() == Some(&0) {
                    payload.advance(1);
                }
                MediaKind::Script
            }
            _ => return None,
        };
        if kind == MediaKind::Script && payload.starts_with(SET_DATA_FRAME) {
            payload.advance(SET_DATA_FRAME.len());
        }
        Some(Self { kind, timestamp_ms, payload })
    }
}

/// Takes an aggregate message (type 22) apart: FLV tags one after the other, each followed by its length.
///
/// ```text
/// | type 1 | length 3 | timestamp 3 + 1 (high byte last) | stream id 3 | payload | 11 + length, 4 bytes |
/// ```
/// The tags' times count from the first one, which has the time of the aggregate. A tag that is cut off ends it.
#[derive(Debug, Default)]
pub struct Aggregate {
    rest: Bytes,
    /// Added to each tag's own time stamp; known from the first tag on.
    offset_ms: Option<u32>,
    timestamp_ms: u32,
}

impl Aggregate {
    /// An aggregate with the time of its message.
    pub fn new(timestamp_ms: u32, payload: Bytes) -> Self {
        Self { rest: payload, offset_ms: None, timestamp_ms }
    }
}

impl Iterator for Aggregate {
    type Item = Media;

    fn next(&mut self) -> Option<Media> {
        const HEADER_BYTES: usize = 11;
        const TRAILER_BYTES: usize = 4;
        loop {
            let header = self.rest.get(..HEADER_BYTES)?;
            let length = u32::from_be_bytes([0, header[1], header[2], header[3]]) as usize;
            let time = u32::from_be_bytes([header[7], header[4], header[5], header[6]]);
            let type_id = header[0];
            if self.rest.len() < HEADER_BYTES + length {
                self.rest.clear();
                return None;
            }
            let payload = self.rest.slice(HEADER_BYTES..HEADER_BYTES + length);
            self.rest.advance((HEADER_BYTES + length + TRAILER_BYTES).min(self.rest.len()));
            let base = self.timestamp_ms;
            let offset = *self.offset_ms.get_or_insert_with(|| base.wrapping_sub(time));
            if let Some(media) = Media::read(type_id, time.wrapping_add(offset), payload) {
                return Some(media);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_control_message_reads_back() {
        let all = [
            Control::Acknowledgement(7),
            Control::Window(2_500_000),
            Control::PeerBandwidth(u32::MAX),
            Control::Ping(1),
            Control::Pong(2),
            Control::StreamBegin(1),
            Control::StreamEof(1),
        ];
        for control in all {
            let (type_id, payload) = control.write();
            assert_eq!(Control::read(type_id, &payload), Ok(Some(control)));
            let short = &payload[..1];
            assert_eq!(Control::read(type_id, short), Err(Truncated { type_id, length: 1 }));
        }
    }

    #[test]
    fn unknown_user_control_events_are_ignored() {
        let set_buffer_length = [0, 3, 0, 0, 0, 1, 0, 0, 0x0b, 0xb8];
        assert_eq!(Control::read(type_id::USER_CONTROL, &set_buffer_length), Ok(None));
    }

    #[test]
    fn metadata_loses_the_encoders_prefix_and_the_amf3_byte() {
        let amf0 = Bytes::from([SET_DATA_FRAME, b"\x02\x00\x01x"].concat());
        let amf3 = Bytes::from([b"\0", SET_DATA_FRAME, b"\x02\x00\x01x"].concat());
        for (type_id, payload) in [(type_id::DATA, amf0), (type_id::DATA_AMF3, amf3)] {
            let media = Media::read(type_id, 5, payload).expect("data is media");
            assert_eq!((media.kind, media.timestamp_ms), (MediaKind::Script, 5));
            assert_eq!(&media.payload[..], b"\x02\x00\x01x");
        }
    }

    fn tag(type_id: u8, time: u32, payload: &[u8]) -> Vec<u8> {
        let [high, t1, t2, t3] = time.to_be_bytes();
        let length = payload.len() as u8;
        let header = [type_id, 0, 0, length, t1, t2, t3, high, 0, 0, 0];
        [&header[..], payload, &(11 + u32::from(length)).to_be_bytes()].concat()
    }

    #[test]
    fn an_aggregate_falls_apart_into_messages_that_count_from_its_time() {
        let tags = [tag(9, 0x0100_0000, b"key"), tag(4, 0, b"??"), tag(8, 0x0100_0017, b"snd")].concat();
        let media: Vec<_> = Aggregate::new(5000, tags.into()).collect();
        let seen: Vec<_> = media.iter().map(|m| (m.kind, m.timestamp_ms, &m.payload[..])).collect();
        assert_eq!(seen, [(MediaKind::Video, 5000, &b"key"[..]), (MediaKind::Audio, 5023, &b"snd"[..])]);
    }

    #[test]
    fn a_cut_off_aggregate_ends_at_its_last_whole_tag() {
        let whole = [tag(8, 0, b"first"), tag(8, 20, b"second")].concat();
        for cut in 0..whole.len() {
            let count = Aggregate::new(0, Bytes::copy_from_slice(&whole[..cut])).count();
            assert!(count <= 2, "at most the two that are there");
        }
        assert_eq!(Aggregate::new(0, whole.into()).count(), 2);
    }
}
