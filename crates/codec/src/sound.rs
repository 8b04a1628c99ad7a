//! AAC to Opus, for those who can only hear Opus.

use std::panic::{AssertUnwindSafe, catch_unwind};

use opus::{Application, Bitrate, Channels, Encoder};
use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler};
use symphonia_codec_aac::AacDecoder;
use symphonia_core::codecs::audio::well_known::CODEC_ID_AAC;
use symphonia_core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia_core::packet::PacketRef;
use symphonia_core::units::{Duration, Timestamp};

/// Clear for music in stereo.
const BITRATE_BPS: i32 = 128_000;
/// What speech and music need of Opus' best; half of the time of 10 for no difference that is heard.
const COMPLEXITY: i32 = 7;
/// Samples of each channel in an AAC-LC frame.
const AAC_SAMPLES: usize = 1024;
/// Opus has rates of its own; all others are resampled to the highest.
const OPUS_RATES: [u32; 5] = [48_000, 24_000, 16_000, 12_000, 8_000];
/// A packet's duration, milliseconds.
const PACKET_MS: usize = 20;
/// The largest packet that Opus makes of it (RFC 6716 section 3.2.1).
const MOST_BYTES: usize = 1275;
/// A time stamp further from the count of samples is a gap, which is kept.
const SLACK_US: i64 = 60_000;
/// Frames in a row that do not decode, after which there is no use in going on.
const MOST_BAD: u32 = 100;

/// Why sound cannot be converted.
#[derive(Debug, thiserror::Error)]
pub enum SoundError {
    /// Only AAC-LC with one or two channels is decoded.
    #[error("AAC of this kind is not converted: {0}")]
    Unsupported(String),
    /// The frames do not decode.
    #[error("the AAC frames do not decode: {0}")]
    Damaged(String),
    /// Opus or the resampler refused its settings.
    #[error("{0}")]
    Setup(String),
}

/// A packet of Opus: two channels, 20 ms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpusPacket {
    pub pts_us: i64,
    pub data: Vec<u8>,
}

/// Converts one track.
pub struct ToOpus {
    decoder: AacDecoder,
    channels: usize,
    rate: u32,
    resampler: Option<Fft<f32>>,
    encoder: Encoder,
    encoder_rate: u32,
    /// Decoded and resampled, two channels by turns, not yet encoded.
    waiting: Vec<f32>,
    /// Time of the first sample waiting.
    waiting_us: i64,
    bad: u32,
}

impl ToOpus {
    /// From an AudioSpecificConfig with its rate and channels.
    pub fn new(config: &[u8], rate: u32, channels: u32) -> Result<Self, SoundError> {
        let mut params = AudioCodecParameters::new();
        params.for_codec(CODEC_ID_AAC).with_extra_data(config.into());
        let decoder = guarded(|| AacDecoder::try_new(&params, &AudioDecoderOptions::default()))
            .map_err(SoundError::Unsupported)?;
        let setup = |error: &dyn std::fmt::Display| SoundError::Setup(error.to_string());
        let (encoder_rate, resampler) = match OPUS_RATES.contains(&rate) {
            true => (rate, None),
            false => {
                let fft = Fft::new(rate as usize, 48_000, AAC_SAMPLES, 2, FixedSync::Input);
                (48_000, Some(fft.map_err(|error| setup(&error))?))
            }
        };
        let mut encoder =
            Encoder::new(encoder_rate, Channels::Stereo, Application::Audio).map_err(|error| setup(&error))?;
        encoder.set_bitrate(Bitrate::Bits(BITRATE_BPS)).map_err(|error| setup(&error))?;
        encoder.set_complexity(COMPLEXITY).map_err(|error| setup(&error))?;
        Ok(Self {
            decoder,
            channels: channels.clamp(1, 2) as usize,
            rate,
            resampler,
            encoder,
            encoder_rate,
            waiting: Vec::new(),
            waiting_us: i64::MIN,
            bad: 0,
        })
    }

    /// Takes a frame; gives the packets that are full now.
    pub fn push(&mut self, pts_us: i64, frame: &[u8]) -> Result<Vec<OpusPacket>, SoundError> {
        let packet = PacketRef::new(0, Timestamp::new(0), Duration::new(AAC_SAMPLES as u64), frame);
        let mut pcm: Vec<f32> = Vec::new();
        let decoder = &mut self.decoder;
        let decoded = guarded(|| decoder.decode_ref(&packet).map(|buffer| buffer.copy_to_vec_interleaved(&mut pcm)));
        if let Err(reason) = decoded {
            self.bad += 1;
            self.decoder.reset();
            return if self.bad > MOST_BAD { Err(SoundError::Damaged(reason)) } else { Ok(Vec::new()) };
        }
        self.bad = 0;
        let stereo: Vec<f32> = match self.channels {
            1 => pcm.iter().flat_map(|sample| [*sample, *sample]).collect(),
            _ => pcm,
        };
        let late_us = self.resampler.as_ref().map_or(0, |fft| fft.output_delay() as i64 * 1_000_000 / 48_000);
        let resampled = self.resample(stereo)?;
        let expected_us = self.waiting_us.saturating_add(self.samples_us(self.waiting.len() / 2));
        let begins_us = pts_us.saturating_sub(late_us);
        if self.waiting_us == i64::MIN || begins_us.abs_diff(expected_us) > SLACK_US as u64 {
            self.waiting.clear();
            self.waiting_us = begins_us;
        }
        self.waiting.extend_from_slice(&resampled);
        self.encode()
    }

    fn resample(&mut self, pcm: Vec<f32>) -> Result<Vec<f32>, SoundError> {
        let Some(fft) = &mut self.resampler else { return Ok(pcm) };
        if pcm.len() != AAC_SAMPLES * 2 {
            return Ok(Vec::new());
        }
        let setup = |error: &dyn std::fmt::Display| SoundError::Setup(error.to_string());
        let input = InterleavedSlice::new(&pcm, 2, AAC_SAMPLES).map_err(|error| setup(&error))?;
        Ok(fft.process(&input, None).map_err(|error| setup(&error))?.take_data())
    }

    fn encode(&mut self) -> Result<Vec<OpusPacket>, SoundError> {
        let size = self.encoder_rate as usize / 1000 * PACKET_MS * 2;
        let mut packets = Vec::new();
        while self.waiting.len() >= size {
            let data = self.encoder.encode_vec_float(&self.waiting[..size], MOST_BYTES);
            let data = data.map_err(|error| SoundError::Setup(error.to_string()))?;
            packets.push(OpusPacket { pts_us: self.waiting_us, data });
            self.waiting.drain(..size);
            self.waiting_us += PACKET_MS as i64 * 1000;
        }
        Ok(packets)
    }

    fn samples_us(&self, samples: usize) -> i64 {
        samples as i64 * 1_000_000 / i64::from(self.encoder_rate)
    }

    /// Samples per second of what comes in.
    pub fn rate(&self) -> u32 {
        self.rate
    }
}

/// Runs the decoder over bytes from outside: what it takes for a bug of its own is one more frame that does not decode.
fn guarded<T, E: std::fmt::Display>(run: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err("it contradicts itself".into()),
    }
}

#[cfg(test)]
mod tests;
