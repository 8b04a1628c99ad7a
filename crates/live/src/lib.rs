//! What a live broadcast is.
//!
//! A [`Directory`] holds the broadcasts this node can serve. A [`Broadcast`] has at most one [`Publisher`] at a time and any
//! number of [`Subscriber`]s; it outlives the publisher's connection, so that an encoder may drop and return. Media is tracks
//! of groups of [`Frame`]s; a group begins with a keyframe and carries a [`Mark`] with its capture time and segment number.
//!
//! Underneath, a broadcast is a moq broadcast with a hang catalog, so that MoQ players and other nodes read the very same
//! groups. This crate and `gateway::moq` are the only places that name those crates.
//!
//! Elsewhere: protocols (`gateway`), who may publish or watch (`server`), the conversation (`room`).

pub mod capture_sei;

mod broadcast;
mod clock;
mod directory;
mod format;
mod frame;
mod ingest;
mod marks;
mod publisher;
mod reorder;
mod segments;
mod stats;
mod subscriber;

pub use broadcast::{Broadcast, Phase, PublishError, Settings};
pub use clock::unix_us;
pub use directory::{Directory, DirectoryError};
pub use format::{AudioCodec, AudioFormat, Format, FormatError, VideoCodec, VideoFormat};
pub use frame::{CaptureSource, Captured, Frame, Kind, Mark, SourceFrame};
pub use ingest::KEPT as GROUPS_KEPT;
pub use publisher::{Publisher, WriteError};
pub use reorder::Reorder;
pub use segments::{Place, Segments, TARGET as SEGMENT_TARGET};
pub use stats::{Bitrates, Stats};
pub use subscriber::{Item, Start, Subscriber};
