//! Media as one long upload: the containers that encoders send as the body of a request, or over SRT.
//!
//! [`recognise`] tells the container by its first bytes and [`Recognised::publish`] reads it for as long as it lasts.
//! Underneath, without I/O: [`sniff`], [`Upload`] and the demuxers in `flv`, `ts`, `mp4` and `matroska`, which say what they
//! find as [`Media`]; `feed` hands that to the broadcast.

mod error;
mod feed;
pub(crate) mod media;
pub(crate) mod nal;
mod session;
pub mod sniff;
mod upload;

pub use error::Error;
pub use media::Media;
pub use session::{BeginError, Config, End, Recognised, recognise};
pub use sniff::Container;
pub use upload::Upload;
