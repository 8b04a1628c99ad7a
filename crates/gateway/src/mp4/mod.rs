//! Fragmented MP4 (ISO/IEC 14496-12) as it is uploaded. What Oriel writes itself is in `hls`.
//!
//! [`Demuxer`] reads boxes, [`sieve`] leaves out what nobody needs, [`tracks`] says what a `moov` announces, [`fragment`] finds the frames of a `moof` in its `mdat`.

mod boxes;
mod demux;
mod fragment;
mod sieve;
mod tracks;

pub use demux::Demuxer;
pub(crate) use sieve::sieve;
