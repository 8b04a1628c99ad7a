//! Some seconds of the synthetic broadcast, coded once and then sent over and over, so that a load test spends no time on
//! encoding. Eight seconds are a whole number of frames of both tracks, so the loop has no seam in time.

use std::time::{Duration, UNIX_EPOCH};

use anyhow::Context;
use bytes::Bytes;
use codec::synth::{Config, Synth, Track};

/// Length of the loop.
pub const LENGTH: Duration = Duration::from_secs(8);
/// What the stream is to have, sound included. The picture is too easy to fill it, so each frame is padded.
const BITRATE_BPS: u64 = 1_500_000;

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
        let config = Config::default();
        let mut synth = Synth::new(config, UNIX_EPOCH).context("the clip")?;
        let mut frames = Vec::new();
        while synth.next_due().1 < UNIX_EPOCH + LENGTH {
            let coded = synth.next(synth.next_due().1).context("the clip")?;
            let at = Duration::from_micros(u64::try_from(coded.pts_us).context("the clip begins before itself")?);
            frames.push(ClipFrame { track: coded.track, at, keyframe: coded.keyframe, payload: coded.payload });
        }
        pad(&mut frames);
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

/// Brings the frames up to [`BITRATE_BPS`], each by the same number of bytes: a filler data unit (H.264 7.3.2.7) after the
/// slice.
fn pad(frames: &mut [ClipFrame]) {
    let bytes: u64 = frames.iter().map(|frame| frame.payload.len() as u64).sum();
    let pictures = frames.iter().filter(|frame| frame.track == Track::Video).count() as u64;
    let wanted = BITRATE_BPS / 8 * LENGTH.as_secs();
    let Some(unit) = (wanted.saturating_sub(bytes) / pictures.max(1)).checked_sub(4).filter(|&unit| unit > 2) else {
        return;
    };
    let mut filler = (unit as u32).to_be_bytes().to_vec();
    filler.push(12);
    filler.resize(3 + unit as usize, 0xff);
    filler.push(0x80);
    for frame in frames.iter_mut().filter(|frame| frame.track == Track::Video) {
        frame.payload = [&frame.payload[..], &filler].concat().into();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clip_has_its_bitrate_and_goes_round_without_a_seam() {
        let clip = Clip::encode().expect("encodes");
        assert!(clip.bitrate_bps().abs_diff(BITRATE_BPS) < BITRATE_BPS / 100, "{}", clip.bitrate_bps());
        let of = |track| clip.rounds().take(1300).filter(move |(_, frame)| frame.track == track);
        let keyframes: Vec<u128> =
            of(Track::Video).filter(|(_, frame)| frame.keyframe).map(|(at, _)| at.as_millis()).collect();
        assert_eq!(keyframes[..8], [0, 2000, 4000, 6000, 8000, 10_000, 12_000, 14_000]);
        for (track, step_us) in [(Track::Video, 33_334), (Track::Audio, 21_334)] {
            let times: Vec<Duration> = of(track).map(|(at, _)| at).collect();
            assert!(times.windows(2).all(|w| (w[1] - w[0]).as_micros().abs_diff(step_us) <= 1), "{track:?}");
        }
    }
}
