//! Matroska and WebM (RFC 9559) as a stream.
//!
//! [`ebml`] reads elements, [`tracks`] says what `Tracks` announces, [`Demuxer`] is all of it.

mod demux;
mod ebml;
mod tracks;

pub use demux::Demuxer;
