use std::f32::consts::TAU;

use rusty_aac::{AacEncoder, AacEncoderConfig};

use super::*;

const LEVEL: f32 = 0.4;

/// A tone of 440 Hz coded as AAC-LC.
fn tone(rate: u32, channels: u16, seconds: u32) -> (Vec<u8>, Vec<Vec<u8>>) {
    let mut encoder = AacEncoder::new(AacEncoderConfig { bitrate_bps: 128_000, ..AacEncoderConfig::default() });
    let sample = |n: u32| (n as f32 * 440.0 * TAU / rate as f32).sin() * LEVEL;
    let pcm: Vec<f32> = (0..rate * seconds).flat_map(|n| vec![sample(n); channels.into()]).collect();
    encoder.push_pcm(&pcm, channels, rate).expect("a usual form");
    encoder.finish();
    let frames = std::iter::from_fn(|| encoder.next_packet().ok()).map(|packet| packet.data).collect();
    (rusty_aac::audio_specific_config_bytes(rate, channels).to_vec(), frames)
}

fn convert(rate: u32, channels: u16) -> (Vec<OpusPacket>, Vec<f32>) {
    let (config, frames) = tone(rate, channels, 3);
    let mut to_opus = ToOpus::new(&config, rate, channels.into()).expect("AAC-LC");
    let frame_us = |n: usize| (n * AAC_SAMPLES) as i64 * 1_000_000 / i64::from(rate);
    let packets: Vec<OpusPacket> = frames
        .iter()
        .enumerate()
        .flat_map(|(n, frame)| to_opus.push(1_000_000 + frame_us(n), frame).expect("it decodes"))
        .collect();
    let mut decoder = opus::Decoder::new(48_000, Channels::Stereo).expect("a usual form");
    let mut heard = Vec::new();
    for packet in &packets {
        let mut pcm = [0.0; 1920];
        let samples = decoder.decode_float(&packet.data, &mut pcm, false).expect("our own packet");
        heard.extend_from_slice(&pcm[..samples * 2]);
    }
    (packets, heard)
}

#[test]
fn the_tone_comes_out_at_its_pitch_and_level_from_every_rate() {
    for (rate, channels) in [(48_000, 2), (44_100, 2), (48_000, 1), (32_000, 2), (24_000, 2)] {
        let (packets, heard) = convert(rate, channels);
        // Two of the three seconds, without what the codecs need to begin.
        let steady = &heard[48_000..][..48_000 * 3];
        let mean = steady.iter().map(|s| s * s).sum::<f32>() / steady.len() as f32;
        let level = mean.sqrt() * std::f32::consts::SQRT_2;
        assert!((level / LEVEL - 1.0).abs() < 0.1, "{rate} Hz, {channels} channels: level {level}");
        for channel in 0..2 {
            let one: Vec<f32> = steady.iter().skip(channel).step_by(2).copied().collect();
            let rises = one.windows(2).filter(|pair| pair[0] < 0.0 && pair[1] >= 0.0).count();
            assert!((658..=662).contains(&rises), "{rate} Hz, channel {channel}: {rises} cycles in 1.5 s");
        }
        assert!(packets.len() >= 140, "{rate} Hz: {} packets", packets.len());
        assert!(packets.windows(2).all(|pair| pair[1].pts_us - pair[0].pts_us == 20_000));
        assert!((packets[0].pts_us - 1_000_000).abs() < 50_000);
    }
}

#[test]
fn a_gap_stays_a_gap() {
    let (config, frames) = tone(48_000, 2, 2);
    let mut to_opus = ToOpus::new(&config, 48_000, 2).expect("AAC-LC");
    let mut times = Vec::new();
    for (n, frame) in frames.iter().take(60).enumerate() {
        let gap_us = if n >= 30 { 500_000 } else { 0 };
        let packets = to_opus.push(n as i64 * 1024 * 1_000_000 / 48_000 + gap_us, frame).expect("it decodes");
        times.extend(packets.into_iter().map(|packet| packet.pts_us));
    }
    let steps: Vec<i64> = times.windows(2).map(|pair| pair[1] - pair[0]).filter(|step| *step != 20_000).collect();
    assert_eq!(steps.len(), 1);
    assert!((500_000..560_000).contains(&steps[0]), "{steps:?}");
}

#[test]
fn what_is_no_aac_is_an_error_and_no_panic() {
    assert!(ToOpus::new(&[], 48_000, 2).is_err());
    assert!(ToOpus::new(&[0xff; 40], 48_000, 2).is_err());
    let (config, _) = tone(48_000, 2, 1);
    let mut to_opus = ToOpus::new(&config, 48_000, 2).expect("AAC-LC");
    let mut state = 1u32;
    let ended = (0..10_000).any(|n| {
        let garbage: Vec<u8> = (0..n % 700)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect();
        to_opus.push(n * 21_333, &garbage).is_err()
    });
    // Some garbage decodes by chance; either way it is told or it goes on.
    let _ = ended;
}
