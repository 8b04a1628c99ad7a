//! What playlists say, rule by rule, over every playlist of a broadcast. Rules about requests are in [`super::requests`].

use live::{Item, Kind};

use super::media::{Encoder, Ingest, WALL_US, other_format};
use super::play::Play;
use crate::hls::Config;
use crate::hls::playlist::{self, Extent, Report};
use crate::hls::segmenter::Segmenter;
use crate::hls::timing;
use crate::hls::validator::{Playlist, Segment};

const PART_US: i64 = 210_000;

fn play(encoder: Encoder) -> Play {
    let play = Play::all(Ingest::once(&encoder));
    play.assert_valid();
    play
}

/// Two sessions with a pause between them.
fn interrupted() -> Play {
    let mut ingest = Ingest::new(100);
    ingest.session(&Encoder { seconds: 7.0, ..Encoder::default() });
    ingest.now_us += 9_000_000;
    ingest.session(&Encoder { seconds: 7.0, ..Encoder::default() });
    let play = Play::all(ingest.items);
    play.assert_valid();
    play
}

/// Duration of every part of the last playlist that is not its segment's last.
fn inner_parts(play: &Play) -> Vec<i64> {
    let segments = play.last().segments.iter();
    segments
        .flat_map(|segment| segment.parts.split_last().map_or(&[][..], |(_, inner)| inner))
        .map(|part| part.duration_us)
        .collect()
}

fn durations(list: &Playlist) -> Vec<i64> {
    list.segments.iter().map(Segment::duration_us).collect()
}

#[test]
fn rule_1_parts_are_whole_frames_within_the_target_at_every_usual_rate() {
    for fps in [15.0, 20.0, 23.976, 24.0, 25.0, 29.97, 30.0, 48.0, 50.0, 59.94, 60.0] {
        for b_frames in [0, 2] {
            let play = play(Encoder {
                fps,
                b_frames,
                milliseconds: true,
                gops: vec![(fps * 2.0) as u32],
                ..Encoder::default()
            });
            let frame_us = 1e6 / fps;
            for us in inner_parts(&play) {
                assert!((178_500..=PART_US).contains(&us), "{fps} Hz: part of {us} us");
                let frames = us as f64 / frame_us;
                assert!((frames - frames.round()).abs() * frame_us < 1500.0, "{fps} Hz: {us} us is between frames");
            }
        }
    }
}

#[test]
fn rule_1_holds_where_no_whole_number_of_frames_fits() {
    for fps in [12.0, 9.0, 4.0, 1.0] {
        let parts = inner_parts(&play(Encoder { fps, gops: vec![8], ..Encoder::default() }));
        assert!(!parts.is_empty() && parts.iter().all(|us| (178_500..=PART_US).contains(us)), "{fps} Hz: {parts:?}");
    }
}

#[test]
fn rule_1_counts_decode_time() {
    // With B-frames presentation times of a part spread over more than the target; decode times do not.
    let play = play(Encoder { b_frames: 3, ..Encoder::default() });
    assert!(inner_parts(&play).iter().all(|us| *us == 200_000));
}

#[test]
fn rules_2_and_3_the_head_never_changes() {
    let mut ingest = Ingest::new(1);
    for (fps, gop) in [(30.0, 60), (60.0, 15), (12.0, 100), (2.0, 3)] {
        ingest.session(&Encoder { fps, gops: vec![gop], seconds: 9.0, ..Encoder::default() });
    }
    let play = Play::all(ingest.items);
    play.assert_valid();
    for list in &play.lists {
        assert_eq!(
            (list.target_duration_s, list.part_target_us, list.part_hold_back_us),
            (Some(4), Some(PART_US), Some(630_000))
        );
    }
}

#[test]
fn rule_3_a_long_group_is_split_at_the_target_duration() {
    let play = play(Encoder { gops: vec![250], seconds: 33.0, ..Encoder::default() });
    let lasted = durations(play.last());
    assert_eq!(lasted[..3], [4_000_000, 4_000_000, 333_333]);
    let independent = |segment: &Segment| segment.parts[0].independent;
    let starts: Vec<_> = play.lists.iter().filter_map(|list| list.segments.last()).map(independent).collect();
    assert!(starts.contains(&false) && starts[0]);
    assert!(!play.last().independent_segments, "not all segments begin with a keyframe");
}

#[test]
fn rule_3_a_lead_track_that_stands_still_never_makes_a_segment_too_long() {
    let mut items = Ingest::once(&Encoder { gops: vec![600], ..Encoder::default() });
    let hole = 13_000_000..20_500_000;
    items.retain(
        |item| !matches!(item, Item::Frame(frame) if frame.kind == Kind::Video && hole.contains(&frame.dts_us)),
    );
    let mut at = 0;
    // The ingest would have counted without the missing frames.
    let mut segments = live::Segments::new(100);
    items.retain(|item| {
        let Item::Frame(frame) = item else { return true };
        if frame.kind == Kind::Video {
            at = segments.place(frame.dts_us, frame.keyframe, at == 0).number;
        }
        true
    });
    let play = Play::all(items);
    play.assert_valid();
    assert_eq!(durations(play.last())[0], 4_000_000);
    assert!(play.last().segments[1].discontinuity);
}

#[test]
fn rules_4_and_9_the_server_control_follows_the_targets() {
    let list = Playlist::parse(&play(Encoder::default()).full_text());
    assert!(list.part_hold_back_us >= list.part_target_us.map(|us| 3 * us));
    assert_eq!(list.can_skip_until_us, Some(24_000_000));
    assert!(list.can_block);
}

#[test]
fn rule_9_only_what_is_old_enough_is_skipped_and_nothing_else() {
    let mut play = Play::new();
    let (mut skips, mut full) = (0, 0);
    for item in Ingest::once(&Encoder { seconds: 60.0, ..Encoder::default() }) {
        play.item(item);
        let delta = Playlist::parse(&play.delta_text());
        match delta.skipped {
            Some(skipped) => {
                assert!(skipped > 0 && delta.duration_us() >= 24_000_000);
                assert!(play.full_text().len() > play.delta_text().len());
                skips += 1;
            }
            None => {
                assert_eq!(play.delta_text(), play.full_text());
                full += 1;
            }
        }
    }
    assert!(skips > 100 && full > 100, "{skips} {full}");
    play.assert_valid();
}

#[test]
fn rule_10_the_hint_names_the_part_that_follows() {
    // The validator compares each hint with the part that came; here, that there were hints up to the end.
    for play in [play(Encoder::default()), interrupted(), play(Encoder { gops: vec![250], ..Encoder::default() })] {
        let (last, before) = play.lists.split_last().expect("played");
        assert!(before.iter().all(|list| list.hint.is_some()));
        assert!(last.ended && last.hint.is_none());
    }
}

#[test]
fn rule_11_every_other_rendition_is_reported() {
    let play = play(Encoder::default());
    let reports = [Report { uri: "audio.m3u8".into(), last_msn: 109, last_part: 3 }];
    let list = Playlist::parse(&playlist::low_latency(&play.window, Extent::Full, &reports));
    assert_eq!(list.reports.len(), 1);
    assert_eq!((list.reports[0].last_msn, list.reports[0].last_part), (Some(109), Some(3)));
    // A broadcast is one muxed rendition: there is no other to report.
    assert!(play.lists.iter().all(|list| list.reports.is_empty()));
}

#[test]
fn rule_12_audio_alone_has_parts_too() {
    let play = play(Encoder { video: false, ..Encoder::default() });
    let newest = play.lists.iter().filter_map(|list| list.segments.last());
    assert!(newest.clone().all(|segment| !segment.parts.is_empty()));
    assert!(newest.flat_map(|segment| &segment.parts).all(|part| part.independent));
    assert!(inner_parts(&play).iter().all(|us| (178_500..=PART_US).contains(us)));
}

#[test]
fn rule_13_a_new_connection_is_a_discontinuity() {
    let play = interrupted();
    let breaks: Vec<_> = play.last().segments.iter().filter(|segment| segment.discontinuity).collect();
    assert_eq!(breaks.len(), 1);
    assert_eq!(breaks[0].discontinuities, 1);
    assert!(play.full_text().contains("#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"init-"));
}

#[test]
fn rule_13_removed_discontinuities_are_counted() {
    let mut ingest = Ingest::new(100);
    for _ in 0..12 {
        ingest.session(&Encoder { seconds: 8.0, ..Encoder::default() });
    }
    let play = Play::all(ingest.items);
    play.assert_valid();
    let last = play.last();
    assert!(last.discontinuity_sequence >= 6, "{}", last.discontinuity_sequence);
    assert_eq!(last.segments.last().expect("listed").discontinuities, 11);
}

#[test]
fn rule_13_a_new_format_is_a_discontinuity_with_its_own_map() {
    let mut ingest = Ingest::new(100);
    let encoder = Encoder { seconds: 6.0, ..Encoder::default() };
    ingest.session(&encoder);
    ingest.change_format(&encoder, other_format(true));
    let play = Play::all(ingest.items);
    play.assert_valid();
    let maps: Vec<_> =
        play.last().segments.iter().map(|segment| (segment.discontinuity, segment.map.clone())).collect();
    assert!(maps[3].0 && maps[3].1 != maps[2].1 && maps[4].1 == maps[3].1, "{maps:?}");
}

#[test]
fn rule_14_numbers_grow_by_one_for_every_removed_segment() {
    let play = play(Encoder { seconds: 90.0, ..Encoder::default() });
    let first: Vec<_> = play.lists.iter().map(|list| list.media_sequence).collect();
    assert_eq!((first[0], first[first.len() - 1]), (100, 127));
    assert!(first.windows(2).all(|pair| pair[1] - pair[0] <= 1));
}

#[test]
fn rule_14_numbers_go_on_after_a_restart() {
    let encoder = Encoder { seconds: 10.0, ..Encoder::default() };
    let before = play(encoder.clone());
    let mut ingest = Ingest::new(before.last().segments.last().expect("listed").msn + 1);
    ingest.session(&encoder);
    let after = Play::all(ingest.items);
    after.assert_valid();
    assert_eq!(after.lists[0].media_sequence, 105);
}

#[test]
fn rule_14_lost_groups_leave_numbers_out_and_never_repeat_one() {
    let items = Ingest::once(&Encoder { gops: vec![10], ..Encoder::default() });
    let mut play = Play::new();
    let lost = 13_100_000..16_200_000;
    for item in items {
        if !matches!(&item, Item::Frame(frame) if frame.kind == Kind::Video && lost.contains(&frame.dts_us)) {
            play.item(item);
        }
    }
    let mut seen = 0;
    for list in &play.lists {
        assert!(list.segments.windows(2).all(|pair| pair[0].msn + 1 == pair[1].msn));
        let newest = list.segments.last().expect("listed").msn;
        assert!(newest >= seen);
        seen = newest;
    }
    assert!(play.last().media_sequence > 100);
    assert_eq!(play.last().segments[0].discontinuities, 1, "what follows does not continue what was there");
}

#[test]
fn rule_15_the_date_is_capture_time_by_media_time() {
    let play = interrupted();
    let first = &play.last().segments[0];
    assert_eq!(first.date_ms, Some((WALL_US + 10_000_000) / 1000));
    let second = play.last().segments.iter().find(|segment| segment.discontinuity).expect("two sessions");
    assert!(second.date_ms.expect("written") - first.date_ms.expect("written") > 15_000);
    // A split segment has no mark of its own: its date follows from the group's.
    let split = self::play(Encoder { gops: vec![250], ..Encoder::default() });
    let dates: Vec<_> = split.last().segments.iter().map(|segment| segment.date_ms.expect("written")).collect();
    assert_eq!(dates[1] - dates[0], 4000);
}

#[test]
fn rule_16_segments_begin_with_a_keyframe() {
    let play = play(Encoder { gops: vec![50, 10, 70], b_frames: 2, ..Encoder::default() });
    assert!(play.last().independent_segments);
    assert!(play.last().segments.iter().all(|segment| segment.parts.first().is_none_or(|part| part.independent)));
    assert!(play.full_text().contains("#EXT-X-VERSION:9\n"));
    assert!(playlist::plain(&play.window).contains("#EXT-X-VERSION:6\n"));
}

#[test]
fn rule_16_the_multivariant_playlist_describes_the_stream() {
    let muxed = play(Encoder { fps: 29.97, ..Encoder::default() });
    let text = playlist::multivariant(&muxed.window, "media.m3u8");
    assert!(
        text.contains("CODECS=\"avc1.42c01f,mp4a.40.2\",RESOLUTION=1280x720,FRAME-RATE=29.970\nmedia.m3u8\n"),
        "{text}"
    );
    let bandwidth =
        |text: &str| text.split("BANDWIDTH=").nth(1).and_then(|rest| rest.split(',').next()?.parse::<u64>().ok());
    assert!(bandwidth(&text).is_some_and(|bps| bps >= muxed.window.peak_bps));
    let audio = play(Encoder { video: false, ..Encoder::default() });
    let text = playlist::multivariant(&audio.window, "media-plain.m3u8");
    assert!(text.contains("CODECS=\"mp4a.40.2\"\nmedia-plain.m3u8\n"), "{text}");
}

#[test]
fn the_bandwidth_is_sane_before_the_first_segment_is_complete() {
    let mut play = Play::new();
    let items = Ingest::once(&Encoder::default());
    items.into_iter().take(80).for_each(|item| play.item(item));
    assert_eq!(play.window.last_complete(), None);
    let text = playlist::multivariant(&play.window, "media.m3u8");
    assert!(text.contains("BANDWIDTH=4000000,"), "{text}");
}

#[test]
fn files_stay_after_playlists_have_dropped_them_and_then_go() {
    let play = play(Encoder { seconds: 120.0, ..Encoder::default() });
    let first = play.last().media_sequence;
    assert!(play.window.segment(first - 18).is_some(), "a player with an old playlist still gets them");
    assert!(play.window.segment(first - 20).is_none(), "they do not stay for ever");
}

#[test]
fn memory_is_bounded_whatever_the_bit_rate() {
    let mut play = Play::with(Config { max_bytes: 200_000, ..Config::default() });
    for item in Ingest::once(&Encoder { seconds: 40.0, ..Encoder::default() }) {
        play.item(item);
        let bytes: usize =
            play.window.listed().filter_map(|segment| segment.body.as_ref()).map(bytes::Bytes::len).sum();
        assert!(bytes <= 200_000, "{bytes}");
    }
    play.assert_valid();
}

#[test]
fn audio_that_never_comes_holds_nothing_back() {
    let mut items = Ingest::once(&Encoder::default());
    items.retain(|item| !matches!(item, Item::Frame(frame) if frame.kind == Kind::Audio));
    let mut segmenter = Segmenter::new(PART_US, timing::us(live::SEGMENT_TARGET));
    let (mut sent_us, mut given_us) = (0, 0);
    for item in items {
        let mut out = Vec::new();
        match item {
            Item::Format(format) => segmenter.format(&format, &mut out).expect("usable"),
            Item::Frame(frame) => {
                sent_us = frame.dts_us - 10_000_000;
                segmenter.frame(frame, &mut out);
            }
            Item::Interrupted => {}
        }
        for output in out {
            if let crate::hls::segmenter::Output::Part(part) = output {
                given_us += part.duration_us;
            }
        }
        assert!(sent_us - given_us <= 500_000, "{sent_us} us sent, {given_us} us given");
    }
}
