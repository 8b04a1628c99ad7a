//! Random broadcasts obey every rule at every step.

use live::{Item, Kind};
use proptest::prelude::*;

use super::media::{Encoder, Ingest, format, other_format};
use super::play::Play;
use crate::hls::fmp4::VIDEO_TRACK;

fn encoder() -> impl Strategy<Value = Encoder> {
    let fps = prop_oneof![
        Just(24.0),
        Just(25.0),
        Just(29.97),
        Just(30.0),
        Just(50.0),
        Just(60.0),
        Just(12.0),
        Just(5.0),
        Just(2.0),
        3.0..75.0f64
    ];
    let gops = prop::collection::vec(prop_oneof![1u32..20, 20u32..130, 130u32..300], 1..4);
    let late = prop::collection::vec(-60_000i64..180_000, 1..6);
    let tracks = prop_oneof![8 => Just((true, true)), 1 => Just((true, false)), 1 => Just((false, true))];
    (fps, gops, 0u32..4, any::<bool>(), late, 1.0..25.0f64, tracks).prop_map(
        |(fps, gops, b_frames, milliseconds, audio_late_us, seconds, (video, audio))| Encoder {
            video,
            audio,
            fps,
            gops,
            b_frames,
            milliseconds,
            audio_late_us,
            seconds,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn every_playlist_obeys_the_rules(sessions in prop::collection::vec((encoder(), any::<bool>()), 1..5), first in 0u64..1000) {
        let mut ingest = Ingest::new(first);
        for (encoder, other) in &sessions {
            let format = if *other && encoder.video { other_format(encoder.audio) } else { format(encoder.video, encoder.audio) };
            ingest.session_as(encoder, format);
        }
        let lead = |item: &&Item| matches!(item, Item::Frame(frame) if frame.kind == Kind::Video);
        let sent = ingest.items.iter().filter(lead).count();
        let play = Play::all(ingest.items);
        play.assert_valid();
        prop_assert_eq!(sent, play.samples(VIDEO_TRACK), "every picture is in a segment");
    }
}
