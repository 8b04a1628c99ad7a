use openh264::decoder::Decoder;
use openh264::formats::YUVSource;
use rusty_aac::AacDecoder;

use super::*;
use crate::clock_code;

/// 2026-11-21 10:01:58.123456 UTC.
const START: Duration = Duration::from_micros(1_795_255_318_123_456);

fn start() -> SystemTime {
    UNIX_EPOCH + START
}

fn small() -> Config {
    Config { width: 320, height: 180, bitrate_bps: 200_000, gop: 10, ..Config::default() }
}

/// Annex B of one frame, parameter sets included.
fn annex_b(avcc: &[u8], access_unit: &[u8]) -> Vec<u8> {
    let sets = h264::parameter_sets(avcc).expect("our own record parses");
    let slices = h264::nals(access_unit, 4).expect("our own access unit parses");
    let nals = sets.sps.into_iter().chain(sets.pps).chain(slices);
    nals.flat_map(|nal| [&h264::START_CODE[..], nal].concat()).collect()
}

/// Averages n x n pixels, as a scaler does.
fn shrink(luma: &[u8], stride: usize, width: usize, height: usize, n: usize) -> Vec<u8> {
    let (w, h) = (width / n, height / n);
    let pixel = |i: usize| {
        let (x, y) = (i % w * n, i / w * n);
        let sum: usize = (0..n * n).map(|k| usize::from(luma[(y + k / n) * stride + x + k % n])).sum();
        (sum / (n * n)) as u8
    };
    (0..w * h).map(pixel).collect()
}

fn run(synth: &mut Synth, frames: usize) -> Vec<Encoded> {
    let mut made = Vec::new();
    while made.len() < frames {
        let due = synth.next_due().1;
        made.push(synth.next(due).expect("the synth encodes"));
    }
    made
}

#[test]
fn the_clock_is_read_from_every_coded_720p_frame_and_from_a_third_of_its_size() {
    let mut synth = Synth::new(Config::default(), start()).expect("the default configuration works");
    let avcc = synth.video_description();
    let mut decoder = Decoder::new().expect("the decoder starts");
    for _ in 0..75 {
        let due = UNIX_EPOCH + Duration::from_micros(synth.origin_us + synth.frame_us(synth.frame));
        let coded = synth.next_video(due).expect("the synth encodes");
        let picture = decoder.decode(&annex_b(&avcc, &coded.payload)).expect("it decodes").expect("without delay");
        let unix_ms = coded.captured.duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64;
        assert_eq!(clock_code::read(picture.y(), picture.strides().0, 1280, 720), Some(unix_ms));
        let third = shrink(picture.y(), picture.strides().0, 1280, 720, 3);
        assert_eq!(clock_code::read(&third, 426, 426, 240), Some(unix_ms), "at a third");
    }
}

#[test]
fn every_gop_begins_with_an_idr_and_no_other_frame_is_one() {
    let mut synth = Synth::new(small(), start()).expect("starts");
    let video: Vec<Encoded> = run(&mut synth, 160).into_iter().filter(|f| f.track == Track::Video).collect();
    for (i, frame) in video.iter().enumerate() {
        let nals = h264::nals(&frame.payload, 4).expect("lengths add up");
        let idr = nals.iter().any(|nal| h264::kind(nal) == h264::IDR);
        assert_eq!((frame.keyframe, idr), (i % 10 == 0, i % 10 == 0), "frame {i}");
        assert!(nals.iter().all(|nal| matches!(h264::kind(nal), h264::SLICE | h264::IDR)), "no parameter sets inside");
        assert_eq!(frame.pts_us, i as i64 * 1_000_000 / 30);
    }
}

#[test]
fn media_time_rises_over_both_tracks_and_sound_has_no_gap() {
    let mut synth = Synth::new(small(), start()).expect("starts");
    let made = run(&mut synth, 300);
    assert!(made.is_sorted_by_key(|frame| frame.pts_us));
    let sound: Vec<i64> = made.iter().filter(|f| f.track == Track::Audio).map(|f| f.pts_us).collect();
    assert!((0..21_334).contains(&sound[0]), "{}", sound[0]);
    assert!(sound.windows(2).all(|w| (21_333..=21_334).contains(&(w[1] - w[0]))));
}

#[test]
fn a_late_caller_skips_pictures_and_stays_on_the_clock() {
    let mut synth = Synth::new(small(), start()).expect("starts");
    synth.next_video(start()).expect("encodes");
    let late = synth.next_video(start() + Duration::from_millis(500)).expect("encodes");
    assert_eq!((late.pts_us, late.keyframe), (500_000, true), "the keyframe of frame 10 was skipped");
    let next = synth.next_video(start() + Duration::from_millis(501)).expect("encodes");
    assert_eq!((next.pts_us, next.keyframe), (533_333, false));
    let keyframes = (17..41).filter(|&n| {
        let frame = synth.next_video(start() + Duration::from_micros(n * 1_000_000 / 30)).expect("encodes");
        assert_eq!(frame.keyframe, frame.payload[4] & 0x1f == h264::IDR);
        frame.keyframe
    });
    assert_eq!(keyframes.collect::<Vec<_>>(), [20, 30, 40]);
}

#[test]
fn a_jump_of_the_wall_clock_does_not_jump_media_time() {
    for jump in [Duration::from_secs(3600), Duration::ZERO] {
        let mut synth = Synth::new(small(), start()).expect("starts");
        let before = run(&mut synth, 100).last().expect("made some").pts_us;
        let there = UNIX_EPOCH + Duration::from_secs(1_700_000_000) + jump;
        let video = synth.next_video(there).expect("encodes");
        let sound = synth.next_audio(there);
        for frame in [&video, &sound] {
            assert!((-40_000..80_000).contains(&(frame.pts_us - before)), "{before} {frame:?}");
        }
        assert!(synth.next_due().1.duration_since(there).is_ok_and(|wait| wait < Duration::from_millis(50)));
    }
}

#[test]
fn decoded_sound_is_the_tone_and_the_ticks_without_gap_or_click_across_the_loop_seam() {
    let sound = Loop::encode(96_000).expect("encodes");
    let mut decoder = AacDecoder::with_config_bytes(&sound::description()).expect("the description parses");
    // From 2 s before the seam to 2 s after it. The first output is the decoder's run-in.
    let first = 1875 - 94;
    let mut decoded = Vec::new();
    for frame in first..first + 190 {
        let pcm = decoder.decode(&sound.frame(frame), None).expect("decodes").samples;
        decoded.extend(pcm.iter().step_by(2).copied());
    }
    let origin = first * 1024;
    let at = |i: usize| (f64::from(decoded[i]), f64::from(sound::sample(origin + i as u64)));
    let (mut signal, mut noise) = (0.0, 0.0);
    for start in (2048..decoded.len() - 480).step_by(480) {
        let block: Vec<(f64, f64)> = (start..start + 480).map(at).collect();
        let energy = |f: &dyn Fn(&(f64, f64)) -> f64| block.iter().map(f).sum::<f64>();
        let (s, n) = (energy(&|b| b.1 * b.1), energy(&|b| (b.0 - b.1).powi(2)));
        assert!((energy(&|b| b.0 * b.0) / s).sqrt() > 0.8, "a gap at sample {start}");
        // A tick's window spreads its noise over what follows: there at least 30 dB below the tick, elsewhere 15 dB below
        // the tone that is itself at -40 dBFS.
        let since_tick = (origin + start as u64 + 2048) % 48_000;
        let bound = if since_tick < 6000 { 480.0 * 4e-5 } else { s / 30.0 };
        assert!(n < bound, "a click at sample {start}, {since_tick}: {:.1} dB", 10.0 * (s / n).log10());
        (signal, noise) = (signal + s, noise + n);
    }
    assert!(signal / noise > 1000.0, "signal to noise {:.1} dB", 10.0 * f64::log10(signal / noise));
}

#[test]
fn impossible_configurations_are_refused() {
    let refused = |config| matches!(Synth::new(config, start()), Err(Error::Config(_)));
    assert!(refused(Config { width: 1281, ..Config::default() }));
    assert!(refused(Config { height: 0, ..Config::default() }));
    assert!(refused(Config { fps: 0, ..Config::default() }));
    assert!(refused(Config { gop: 0, ..Config::default() }));
    assert!(refused(Config { bitrate_bps: 1, ..Config::default() }));
    assert!(refused(Config { audio_bitrate_bps: 1, ..Config::default() }));
}
