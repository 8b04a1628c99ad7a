//! Fragmented MP4 (ISO/IEC 14496-12, as HLS wants it): one init segment per format, one `moof` + `mdat` per part.
//!
//! Pure: formats and samples in, bytes out. Where parts end is the business of [`super::segmenter`].
//!
//! ```text
//! init:  ftyp moov( mvhd trak(video, id 1) trak(audio, id 2) mvex(trex trex) )
//! part:  [prft] moof( mfhd traf(tfhd tfdt trun) traf(tfhd tfdt trun) ) mdat( video samples, audio samples )
//! ```

mod fragment;
mod init;

pub(super) use fragment::{Reference, Sample, Track, fragment};
pub(crate) use init::fnv1a;
pub use init::{Init, InitError};

/// Ticks per second of the video track: divides every usual frame rate and the milliseconds of RTMP.
pub(crate) const VIDEO_TIMESCALE: u32 = 90_000;

/// Track ids, the same in every broadcast whichever tracks it has.
pub(crate) const VIDEO_TRACK: u32 = 1;
pub(crate) const AUDIO_TRACK: u32 = 2;

/// Media time in a track's ticks, rounded down: `live` rounds audio times up so that this finds the very sample again.
pub(crate) fn ticks(time_us: i64, timescale: u32) -> i64 {
    // 128 bits: microseconds times a sample rate overflow 64 after a year and a half.
    (i128::from(time_us) * i128::from(timescale)).div_euclid(1_000_000) as i64
}
