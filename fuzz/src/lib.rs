//! The parsers of bytes from outside, for the fuzz targets.
//!
//! The modules are included by path instead of through their crate: `gateway` brings the whole media and HTTP stack,
//! which would take many minutes to build with sanitizers, and these parsers need next to nothing of it.

/// RTMP without I/O.
#[path = "../../crates/gateway/src/rtmp"]
pub mod rtmp {
    pub mod amf;
    pub mod chunk;
    pub mod command;
    pub mod handshake;
    pub mod link;
    pub mod message;
    pub mod refusal;
    pub mod session;

    /// The client's side.
    pub mod client {
        pub mod session;
    }
}

/// H.264 out of RTP.
#[path = "../../crates/gateway/src/rtc/publish"]
pub mod rtc {
    pub mod h264;
}

/// FLV tags.
#[cfg(feature = "flv")]
#[path = "../../crates/gateway/src/flv"]
pub mod flv {
    pub mod demux;
    #[expect(dead_code, reason = "the numbers that only writing needs")]
    mod tag;

    pub use tag::TagKind;

    /// Reads one tag body.
    pub fn parse(kind: TagKind, timestamp_ms: u32, body: bytes::Bytes) {
        // An error is as good as a tag; only a panic or an endless loop is wrong.
        let _ = demux::parse(kind, timestamp_ms, &body);
    }
}

/// Cuts `bytes` into parts as short as `step`.
pub fn in_steps(bytes: &[u8], step: usize) -> impl Iterator<Item = &[u8]> {
    bytes.chunks(step.max(1))
}
