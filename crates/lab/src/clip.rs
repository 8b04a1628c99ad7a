//! Some seconds of the synthetic broadcast, coded once and then sent over and over, so that a load test spends no time on
//! encoding. Eight seconds are a whole number of frames of both tracks, so the loop has no seam in time.

use std::time::{Duration, UNIX_EPOCH};

use anyhow::Context;
use bytes::Bytes;
use codec::synth::{Config, Synth, Track};

/// Length of the loop.
pub const LENGTH: Duration = Duration::from_secs(8);
/// What the video encoder is asked for; with the sound, which has 96 kbit/s, the stream has about 1.5 Mbit/s.
const VIDEO_BPS: u32 = 1_680_000;

/// One coded frame of the clip.
#[derive(Clone)]
pub struct ClipFrame {
    pub track: Track,
    /// Within the clip.
    pub at: Duration,
    pub keyframe: bool,
    /// H.264 access unit with 4-byte lengths and no stamp, or a raw AAC access unit.
    pub payload: Bytes,
}

/// The coded loop, frames of both tracks in order of time.
pub struct Clip {
    pub avcc: Bytes,
    /// AudioSpecificConfig.
    pub asc: Bytes,
    pub fps: u32,
    frames: Vec<ClipFrame>,
}

impl Clip {
    /// Encodes the clip: 720p30, keyframes 2 s apart. Takes about two seconds of a core.
    pub fn encode() -> anyhow::Result<Self> {
        let config = Config { bitrate_bps: VIDEO_BPS, ..Config::default() };
        let mut synth = Synth::new(config, UNIX_EPOCH).context("the clip")?;
        let mut frames = Vec::new();
        while synth.next_due().1 < UNIX_EPOCH + LENGTH {
            let coded = synth.next(synth.next_due().1).context("the clip")?;
            let at = Duration::from_micros(u64::try_from(coded.pts_us).context("the clip begins before itself")?);
            frames.push(ClipFrame { track: coded.track, at, keyframe: coded.keyframe, payload: coded.payload });
        }
        Ok(Self { avcc: synth.video_description(), asc: synth.audio_description(), fps: config.fps, frames })
    }

    /// The frames, for ever: time from the beginning of the first round.
    pub fn rounds(&self) -> impl Iterator<Item = (Duration, &ClipFrame)> {
        (0u32..).flat_map(|round| self.frames.iter().map(move |frame| (LENGTH * round + frame.at, frame)))
    }

    /// Media bits a second, no container counted.
    pub fn bitrate_bps(&self) -> u64 {
        self.frames.iter().map(|frame| frame.payload.len() as u64 * 8).sum::<u64>() / LENGTH.as_secs()
    }
}

/// FLV tag body (which is an RTMP message's payload) that carries the avcC record.
pub fn video_header(avcc: &[u8]) -> Vec<u8> {
    [&[0x17, 0, 0, 0, 0], avcc].concat()
}

/// FLV tag body that carries the AudioSpecificConfig.
pub fn audio_header(asc: &[u8]) -> Vec<u8> {
    [&[0xaf, 0], asc].concat()
}

/// FLV tag body of an H.264 access unit whose composition time is 0.
pub fn video_body(keyframe: bool, access_unit: &[u8]) -> Vec<u8> {
    [&[if keyframe { 0x17 } else { 0x27 }, 1, 0, 0, 0], access_unit].concat()
}

/// FLV tag body of an AAC access unit.
pub fn audio_body(access_unit: &[u8]) -> Vec<u8> {
    [&[0xaf, 1], access_unit].concat()
}
