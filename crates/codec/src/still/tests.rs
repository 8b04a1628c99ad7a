use std::time::UNIX_EPOCH;

use proptest::prelude::*;

use super::*;
use crate::synth::{Config, Synth};

fn keyframe(width: u32, height: u32) -> (Vec<u8>, Vec<u8>) {
    let config = Config { width, height, bitrate_bps: 400_000, ..Config::default() };
    let mut synth = Synth::new(config, UNIX_EPOCH).expect("starts");
    let frame = synth.next_video(UNIX_EPOCH).expect("encodes");
    (synth.video_description().to_vec(), frame.payload.to_vec())
}

/// Width and height in the JPEG's SOF0 segment.
fn size(jpeg: &[u8]) -> (u16, u16) {
    let sof = jpeg.windows(2).position(|w| w == [0xff, 0xc0]).expect("a baseline JPEG");
    let short = |at: usize| u16::from_be_bytes([jpeg[sof + at], jpeg[sof + at + 1]]);
    (short(7), short(5))
}

#[test]
fn a_keyframe_becomes_a_jpeg_of_at_most_640_pixels() {
    for ((width, height), expected) in
        [((1280, 720), (640, 360)), ((320, 180), (320, 180)), ((720, 1280), (360, 640)), ((1920, 1080), (640, 360))]
    {
        let (avcc, access_unit) = keyframe(width, height);
        let jpeg = jpeg(&avcc, &access_unit).expect("decodes");
        assert!(jpeg.starts_with(&[0xff, 0xd8]) && jpeg.ends_with(&[0xff, 0xd9]));
        assert_eq!(size(&jpeg), expected);
    }
}

#[test]
fn the_colours_survive() {
    // Pure limited-range white, black and the accent's orange, as HD pictures code them.
    let mut small =
        Small { width: 3, height: 1, planes: [vec![235, 16, 178], vec![128, 128, 78], vec![128, 128, 165]] };
    small.convert_colours(true);
    assert_eq!((small.planes[0][0], small.planes[0][1]), (255, 0));
    assert_eq!((small.planes[1][0], small.planes[2][0]), (128, 128));
    // Rgb(255, 180, 84) in the JPEG matrix.
    for (plane, expected) in [191i32, 68, 173].into_iter().enumerate() {
        assert!((i32::from(small.planes[plane][2]) - expected).abs() <= 3, "{plane}: {}", small.planes[plane][2]);
    }
}

#[test]
fn a_picture_that_is_too_large_never_reaches_the_decoder() {
    // Baseline, level 5.1: ids and lengths 0, picture order type 2, one reference, 1024 x 1024 macroblocks.
    let size = "000000000010000000000";
    let bits = format!("1 1 011 010 0 {size} {size} 1 1 0 0 1").replace(' ', "");
    let sps =
        bits.as_bytes().chunks(8).map(|byte| byte.iter().enumerate().fold(0, |b, (i, c)| b | (c - b'0') << (7 - i)));
    let sps: Vec<u8> = [0x67, 66, 0, 51].into_iter().chain(sps).collect();
    let huge = crate::h264::avcc(&sps, &[0x68, 0xce, 0x3c, 0x80]);
    let error = jpeg(&huge, &[0, 0, 0, 2, 0x65, 0x88]).expect_err("refused");
    assert!(matches!(error, StillError::TooLarge { width: 16384, height: 16384 }), "{error}");
}

#[test]
fn nothing_empty_or_truncated_panics() {
    let (avcc, access_unit) = keyframe(320, 180);
    assert!(matches!(jpeg(&[], &access_unit), Err(StillError::Record)));
    assert!(matches!(jpeg(&avcc, &[]), Err(StillError::AccessUnit)));
    assert!(matches!(jpeg(&avcc, &access_unit[..access_unit.len() - 1]), Err(StillError::AccessUnit)));
    for cut in 0..avcc.len() {
        assert!(jpeg(&avcc[..cut], &access_unit).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn mutated_keyframes_give_a_picture_or_an_error(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        in_record in any::<bool>(),
    ) {
        static KEYFRAME: std::sync::OnceLock<(Vec<u8>, Vec<u8>)> = std::sync::OnceLock::new();
        let (mut avcc, mut access_unit) = KEYFRAME.get_or_init(|| keyframe(320, 180)).clone();
        for (at, value) in edits {
            let target = if in_record { &mut avcc } else { &mut access_unit };
            let at = at.index(target.len());
            target[at] = value;
        }
        if let Ok(jpeg) = jpeg(&avcc, &access_unit) {
            prop_assert!(jpeg.starts_with(&[0xff, 0xd8]));
        }
    }

    #[test]
    fn noise_gives_an_error(avcc in prop::collection::vec(any::<u8>(), 0..64), access_unit in prop::collection::vec(any::<u8>(), 0..512)) {
        prop_assert!(jpeg(&avcc, &access_unit).is_err());
    }
}
