//! The chunk stream: messages cut into chunks, so that a long one does not hold up a short one (Adobe RTMP 1.0, 5.3).
//!
//! ```text
//! basic header    | format 2 bits | chunk stream id 6 bits (0: one more byte follows, 1: two) |
//! message header  format 0: | timestamp 3 | length 3 | type 1 | stream id 4 (little endian) |
//!                 format 1: | delta 3     | length 3 | type 1 |
//!                 format 2: | delta 3     |
//!                 format 3: nothing: the next chunk of a message, or a message like the one before
//! extended        | timestamp or delta 4 |  when the three bytes are ff ff ff; then on format 3 too
//! payload         at most the sender's chunk size
//! ```
//!
//! Every bound that a peer's chunks must keep is in [`Limits`]; each has its own [`Error`].

mod reader;
#[cfg(test)]
mod tests;
mod writer;

pub use reader::{ExtendedTimestamps, Reader};
pub use writer::{PLAY_CHUNK_SIZE, write_message};

use super::message::type_id;
use bytes::Bytes;

/// The chunk size in force until a peer sets another one, in bytes.
pub const INITIAL_CHUNK_SIZE: usize = 128;

/// The time field's value that says: the time is in the extended field.
const EXTENDED: u32 = 0xff_ffff;

/// One message, put together from its chunks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What it is, see [`type_id`].
    pub type_id: u8,
    /// The stream it belongs to; 0 is the connection itself.
    pub stream_id: u32,
    /// Milliseconds, modulo 2^32.
    pub timestamp_ms: u32,
    /// The whole payload.
    pub payload: Bytes,
}

/// What a peer may make us hold. All in bytes but the number of chunk streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest chunk size a peer may set.
    pub chunk_size: usize,
    /// A video or aggregate message.
    pub video: usize,
    /// An audio message.
    pub audio: usize,
    /// Commands, data and every type that is not known.
    pub command: usize,
    /// Received parts of messages that are not complete yet, over all chunk streams.
    pub partial: usize,
    /// Chunk streams that a peer may use at the same time.
    pub chunk_streams: usize,
}

impl Limits {
    /// For a peer that nobody has accepted yet, and for players: no media, so nothing is large.
    pub const REQUEST: Self = Self {
        chunk_size: 1 << 20,
        video: 64 << 10,
        audio: 64 << 10,
        command: 64 << 10,
        partial: 128 << 10,
        chunk_streams: 16,
    };
    /// For an accepted publisher, and for a client that plays. 8 MiB is a keyframe of 4 s at 16 Mbit/s.
    pub const MEDIA: Self = Self { video: 8 << 20, audio: 1 << 20, partial: 10 << 20, ..Self::REQUEST };

    /// Protocol and user control messages have at most 10 bytes; the rest is room for what is not specified yet.
    const CONTROL: usize = 128;

    fn of(&self, message_type: u8) -> usize {
        match message_type {
            type_id::VIDEO | type_id::AGGREGATE => self.video,
            type_id::AUDIO => self.audio,
            type_id::SET_CHUNK_SIZE..=type_id::SET_PEER_BANDWIDTH => Self::CONTROL,
            _ => self.command,
        }
    }
}

/// Why a peer's chunks cannot be read. The connection is over: nothing says where the next chunk begins.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Set Chunk Size with 0.
    #[error("peer set a chunk size of zero")]
    ChunkSizeZero,
    /// Set Chunk Size above [`Limits::chunk_size`].
    #[error("peer set a chunk size of {size} bytes, {limit} are allowed")]
    ChunkSizeTooLarge { size: usize, limit: usize },
    /// A header announces more than [`Limits`] allow for its type.
    #[error("message of type {type_id} has {length} bytes, {limit} are allowed")]
    MessageTooLarge { type_id: u8, length: usize, limit: usize },
    /// More than [`Limits::partial`] bytes wait for the rest of their message.
    #[error("more than {limit} bytes of messages are incomplete")]
    TooManyPartialBytes { limit: usize },
    /// More than [`Limits::chunk_streams`] were used.
    #[error("more than {limit} chunk streams are in use")]
    TooManyChunkStreams { limit: usize },
    /// A header that refers to the one before, on a chunk stream that has none.
    #[error("chunk of format {format} is the first on chunk stream {csid}")]
    NoPreviousHeader { csid: u32, format: u8 },
    /// A new message begins on a chunk stream before the one under way is complete.
    #[error("chunk stream {csid} begins a message inside another one")]
    HeaderInsideMessage { csid: u32 },
    /// Set Chunk Size or Abort with less than its four bytes.
    #[error("control message of type {type_id} has only {length} bytes")]
    TruncatedControl { type_id: u8, length: usize },
}
