//! FLV, which RTMP carries tag by tag and HTTP carries as a file that never ends.
//!
//! [`FileReader`] finds the tags of a file, [`Demuxer`] turns a publisher's tags into frames. [`Packagers`] turn a broadcast into tags once per node; every RTMP and
//! HTTP-FLV [`Viewer`] writes the same bytes.

mod demux;
mod file;
mod mux;
mod packager;
mod ring;
mod seat;
mod tag;
mod unit;
mod viewer;

pub use demux::{Demuxer, Error};
pub use file::{FileReader, Tag};
pub use packager::{Config, Packagers};
pub use tag::TagKind;
pub use unit::Framing;
pub use viewer::{TooSlow, Viewer};
