//! The sound: a tick on each second of the wall clock over a soft steady tone, as AAC.
//!
//! rusty_aac encodes whole recordings, not streams (`next_packet` gives nothing before `finish`), and this sound repeats: 40 s
//! are 1875 frames of 1024 samples at 48 kHz, ten seconds go four times into them, and 440 Hz has a whole number of cycles
//! in them. So one round of 40 s is encoded at the start, with a little of itself before and after, and then played for
//! ever. Sound frame `n` begins `n` * 1024 / 48000 s after 1970-01-01 UTC.

use std::f32::consts::TAU;

use bytes::Bytes;
use rusty_aac::{AacEncoder, AacEncoderConfig, WindowShape};

use super::Error;

/// Samples per second.
pub const RATE: u32 = 48_000;
pub const CHANNELS: u32 = 2;
/// Samples in one coded frame.
pub const SAMPLES_PER_FRAME: u32 = 1024;

const ROUND_FRAMES: u64 = 1875;
const ROUND_SAMPLES: u64 = ROUND_FRAMES * SAMPLES_PER_FRAME as u64;
/// Frames encoded before and after the round, so that it begins and ends as it would in the middle of a recording.
const MARGIN_FRAMES: u64 = 8;

/// -40 dBFS at 440 Hz: hardly heard, but a gap in it shows at once in a measurement.
pub(super) const TONE: f32 = 0.01;
pub(super) const TONE_HZ: f32 = 440.0;
const TICK: f32 = 0.5;
const TICK_HZ: f32 = 1000.0;
const TENTH_TICK_HZ: f32 = 2000.0;
const TICK_SAMPLES: u64 = RATE as u64 * 30 / 1000;

/// The coded round of sound.
pub(super) struct Loop {
    frames: Vec<Bytes>,
}

impl Loop {
    pub fn encode(bitrate_bps: u32) -> Result<Self, Error> {
        let fail = |err: rusty_aac::Error| Error::Sound(err.to_string());
        // Pure tones: the KBD window, sharper in frequency, has 31 dB of signal to noise where the default sine window has 24.
        let window_shape = WindowShape::Kbd;
        let mut encoder =
            AacEncoder::new(AacEncoderConfig { bitrate_bps, window_shape, ..AacEncoderConfig::default() });
        let per_frame = u64::from(SAMPLES_PER_FRAME);
        let start = ROUND_SAMPLES - MARGIN_FRAMES * per_frame;
        let samples = start..start + ROUND_SAMPLES + 2 * MARGIN_FRAMES * per_frame;
        let pcm: Vec<f32> = samples.flat_map(|n| [sample(n); CHANNELS as usize]).collect();
        encoder.push_pcm(&pcm, CHANNELS as u16, RATE).map_err(fail)?;
        encoder.finish();
        let coded = std::iter::from_fn(|| encoder.next_packet().ok());
        // Packet k completes block k - 1: a decoder that has had it puts that block out.
        let round = coded.skip(1 + MARGIN_FRAMES as usize).take(ROUND_FRAMES as usize);
        let frames: Vec<Bytes> = round.map(|packet| packet.data.into()).collect();
        match frames.len() as u64 == ROUND_FRAMES {
            true => Ok(Self { frames }),
            false => Err(Error::Sound(format!("{} frames came out of {ROUND_FRAMES}", frames.len()))),
        }
    }

    /// The sound frame with this number, counted from 1970.
    pub fn frame(&self, number: u64) -> Bytes {
        self.frames[(number % ROUND_FRAMES) as usize].clone()
    }
}

/// AudioSpecificConfig (ISO/IEC 14496-3 1.6.2.1).
pub(super) fn description() -> Bytes {
    rusty_aac::audio_specific_config_bytes(RATE, CHANNELS as u16).into()
}

/// When a sound frame begins, in microseconds since 1970.
pub(super) fn start_us(frame: u64) -> u64 {
    frame * 64_000 / 3
}

/// The first sound frame that begins at a time in microseconds since 1970 or after it.
pub(super) fn first_from(unix_us: u64) -> u64 {
    (unix_us * 3).div_ceil(64_000)
}

/// The sound as it is before coding: sample `n` since 1970, both channels alike.
pub(super) fn sample(n: u64) -> f32 {
    let n = n % ROUND_SAMPLES;
    let cycles = |hz: f32| (n as f64 * f64::from(hz) / f64::from(RATE)).fract() as f32 * TAU;
    let tone = TONE * cycles(TONE_HZ).sin();
    let (second, at) = (n / u64::from(RATE), n % u64::from(RATE));
    if at >= TICK_SAMPLES {
        return tone;
    }
    let hz = if second.is_multiple_of(10) { TENTH_TICK_HZ } else { TICK_HZ };
    let envelope = 0.5 - 0.5 * (at as f32 / TICK_SAMPLES as f32 * TAU).cos();
    tone + TICK * envelope * cycles(hz).sin()
}
