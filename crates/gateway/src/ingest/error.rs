//! Why an upload cannot go on.

use live::{FormatError, WriteError};

use crate::flv;

/// What was wrong with the media. The text goes to the encoder.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The first bytes belong to no container that is taken.
    #[error("this is {0}; send FLV, MPEG-TS, fragmented MP4 or Matroska/WebM")]
    Unknown(String),
    /// The container breaks its own rules.
    #[error("{container}: {what}, at byte {at}")]
    Malformed { container: &'static str, at: u64, what: String },
    /// A track is coded in a way that Oriel does not carry.
    #[error("codec {0} is not supported: send H.264, HEVC or AV1 video and AAC or Opus audio")]
    Codec(String),
    /// A track's codec configuration does not parse.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// An FLV tag could not be taken.
    #[error("FLV: {0}")]
    Flv(#[from] flv::Error),
    /// The broadcast refused a frame.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl Error {
    /// Whether the broadcast is over, which is nobody's mistake.
    pub fn is_ended(&self) -> bool {
        matches!(self, Self::Write(WriteError::Ended) | Self::Flv(flv::Error::Write(WriteError::Ended)))
    }
}
