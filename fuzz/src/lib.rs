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

    pub use demux::Error;
    pub use tag::TagKind;

    /// Reads one tag body.
    pub fn parse(kind: TagKind, timestamp_ms: u32, body: bytes::Bytes) {
        // An error is as good as a tag; only a panic or an endless loop is wrong.
        let _ = demux::parse(kind, timestamp_ms, &body);
    }
}

/// What the demuxers of containers find, and why they fail.
#[cfg(feature = "flv")]
#[path = "../../crates/gateway/src/ingest"]
pub mod ingest {
    mod error;
    pub(crate) mod media;
    pub(crate) mod nal;

    pub use error::Error;
    pub use media::Media;
}

#[cfg(feature = "flv")]
#[path = "../../crates/gateway/src/ts/mod.rs"]
pub mod ts;

#[cfg(feature = "flv")]
#[path = "../../crates/gateway/src/mp4/mod.rs"]
pub mod mp4;

#[cfg(feature = "flv")]
#[path = "../../crates/gateway/src/matroska/mod.rs"]
pub mod matroska;

/// What players ask for.
#[path = "../../crates/gateway/src/hls/request.rs"]
pub mod hls_request;

/// The stream id of SRT callers.
#[path = "../../crates/gateway/src/srt/stream_id.rs"]
pub mod srt_stream_id;

/// What a page says to a room.
pub mod room {
    #[path = "../../../crates/room/src/frame.rs"]
    pub mod frame;
}

/// Kind, times and bytes of what a demuxer found, for comparing.
#[cfg(feature = "flv")]
pub fn described(media: &ingest::Media) -> String {
    use ingest::Media::{Audio, AudioFormat, Tracks, Video, VideoFormat};
    match media {
        Tracks { video, audio } => format!("tracks {video} {audio}"),
        VideoFormat(format) => format!("video {}", format.codec_string),
        AudioFormat(format) => format!("audio {}", format.codec_string),
        Video(frame) => format!("picture {} {} {}", frame.pts_us, frame.dts_us, frame.payload.len()),
        Audio(frame) => format!("sound {} {}", frame.pts_us, frame.payload.len()),
    }
}

/// Cuts `bytes` into parts as short as `step`.
pub fn in_steps(bytes: &[u8], step: usize) -> impl Iterator<Item = &[u8]> {
    bytes.chunks(step.max(1))
}
