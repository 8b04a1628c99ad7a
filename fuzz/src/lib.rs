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
    pub mod file;
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

/// The checker of a server's playlists.
#[path = "../../crates/gateway/src/hls/validator/mod.rs"]
pub mod hls_validator;

/// The stream id of SRT callers, and what stands before the protocol's code.
#[path = "../../crates/gateway/src/srt"]
pub mod srt {
    pub mod guard;
    pub mod stream_id;
}

/// HLS, as far as the archive stands on it.
#[cfg(feature = "flv")]
#[allow(dead_code, reason = "the archive needs little of it")]
#[path = "../../crates/gateway/src/hls"]
mod hls {
    mod fmp4;
    mod part;
    mod planner;
    mod playlist;
    mod request;
    mod segmenter;
    mod timing;
    mod transport;
    mod window;

    pub(crate) use fmp4::{AUDIO_TRACK, Init, VIDEO_TIMESCALE, VIDEO_TRACK, fnv1a, ticks};
    pub(crate) use playlist::step_up;
    pub(crate) use request::{between, hash, number};
    pub(crate) use timing::{DateTime, Seconds, TARGET_SECONDS, us};

    use std::time::Duration;

    #[derive(Clone, Debug)]
    pub(crate) struct Config {
        pub part_target: Duration,
        pub window: Duration,
        pub kept: Duration,
        pub max_bytes: usize,
    }
}

/// What is read of a replay.
#[cfg(feature = "flv")]
#[allow(dead_code, reason = "what only writing needs")]
#[path = "../../crates/gateway/src/archive"]
pub mod archive {
    mod boxes;
    mod download;
    mod index;
    mod playlist;
    mod request;
    mod spill;

    use std::time::Duration;

    use bytes::Bytes;

    pub use index::{Index, Segment};
    pub use request::{Range, Request};

    /// Reads pages, and gives the index.
    pub fn read(pages: &[&[u8]]) -> Index {
        let mut index = Index::default();
        pages.iter().for_each(|page| index.read_page(page));
        index
    }

    /// All that is rendered from an index.
    pub fn render(index: &Index) -> [String; 4] {
        let whole = |live| playlist::whole(index, live);
        [playlist::multivariant(index), whole(true), whole(false), playlist::rewind(index, Duration::from_secs(20))]
    }

    /// The pages that would be written of an index.
    pub fn pages(index: &Index) -> Vec<Vec<u8>> {
        let mut pages: Vec<u64> = index.segments.iter().map(|segment| segment.n / index::PAGE_SEGMENTS).collect();
        pages.dedup();
        pages.into_iter().map(|page| index.page(page * index::PAGE_SEGMENTS)).collect()
    }

    /// The header of a download with these init segments.
    pub fn header(index: &Index, inits: &[Bytes]) -> Option<Bytes> {
        download::Header::new(index, inits).map(|header| header.bytes)
    }

    /// Changes a segment as recording and reading do.
    pub fn moved(segment: &Bytes, shift_us: i64, audio_rate: Option<u32>) -> Bytes {
        let (moved, _) = boxes::retime(segment, shift_us, audio_rate);
        let mut moved = moved.to_vec();
        boxes::assign(&mut moved, |track| Some((track.wrapping_add(1), 2)));
        moved.into()
    }

    /// What is found of a segment that was being recorded.
    pub fn spilled(file: Bytes) -> Option<(Segment, Bytes)> {
        let found = spill::Spilled::parse(file)?;
        Some((found.segment(1), found.body))
    }
}

/// Offers of WebRTC peers.
#[cfg(feature = "flv")]
#[allow(dead_code, reason = "what only sessions need")]
#[path = "../../crates/gateway/src/rtc"]
pub mod offers {
    mod error;
    mod offer;
    mod sdp;

    use std::time::Instant;

    pub use error::Error;
    pub use offer::{Fragment, Offer};
    use str0m::config::DtlsCert;
    use str0m::rtp::Extension;
    use str0m::{Candidate, IceCreds, Rtc, RtcConfig};

    /// Answers an offer as the endpoint does.
    pub fn answer(offer: Offer, certificate: &DtlsCert) -> Result<String, Error> {
        let answer = session(offer, certificate)?.1;
        let _ = (sdp::accepts(&answer, "video"), sdp::accepts(&answer, "audio"));
        Ok(sdp::with_stereo(&answer))
    }

    /// The session that answers an offer at 192.0.2.1:9, and its answer.
    pub fn session(offer: Offer, certificate: &DtlsCert) -> Result<(Rtc, String), Error> {
        let mut config = RtcConfig::new()
            .set_ice_lite(true)
            .set_dtls_cert(certificate.clone())
            .clear_codecs()
            .enable_h264(true)
            .enable_opus(true, false);
        config.extension_map().set(9, Extension::AbsoluteCaptureTime);
        let mut rtc = config.set_local_ice_credentials(IceCreds::new()).build(Instant::now());
        let address = ([192, 0, 2, 1], 9).into();
        rtc.add_local_candidate(Candidate::host(address, "udp").expect("an address of a host"));
        let answer = rtc.sdp_api().accept_offer(offer.sdp)?.to_sdp_string();
        Ok((rtc, answer))
    }
}

// What a page says to a room knows one number of the store, which would bring a database.
extern crate self as store;

/// Colours of hearts.
pub const COLOURS: usize = 6;

/// What a page says to a room.
#[path = "../../crates/room/src"]
pub mod room {
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

/// Lets the code survive what it survives in the server, panics of some dependencies: the fuzzer's own hook ends the process before
/// anybody can. A panic that nobody catches still does.
pub fn survive() {
    std::panic::set_hook(Box::new(|panic| {
        if !panic.location().is_some_and(|at| at.file().contains("/registry/src/")) {
            eprintln!("{panic}");
        }
    }));
}

/// Cuts `bytes` into parts as short as `step`.
pub fn in_steps(bytes: &[u8], step: usize) -> impl Iterator<Item = &[u8]> {
    bytes.chunks(step.max(1))
}

/// The target of a container's demuxer: the last byte says how short the parts are that the rest comes in.
#[macro_export]
macro_rules! container {
    ($container:ident) => {
        fn found(input: &[u8], step: usize) -> (Vec<String>, bool) {
            let mut demuxer = oriel_fuzz::$container::Demuxer::new();
            let mut found = Vec::new();
            let failed = oriel_fuzz::in_steps(input, step).any(|part| demuxer.push(part, &mut found).is_err());
            (found.iter().map(oriel_fuzz::described).collect(), failed)
        }

        libfuzzer_sys::fuzz_target!(init: oriel_fuzz::survive(), |input: &[u8]| {
            let Some((&step, input)) = input.split_last() else { return };
            let whole = found(input, usize::MAX);
            assert_eq!(whole, found(input, usize::from(step) + 1));
        });
    };
}
