//! From FLV tags in to FLV bytes out, through the media model: real encodings, the shared packager, slow viewers.

use std::time::Duration;

use bytes::{Buf, Bytes};
use gateway::flv::{Config, Demuxer, Framing, Packagers, TagKind, Viewer};
use live::{Broadcast, Directory, Publisher};

/// Everything here is in memory: what has not come by now will not come.
const PATIENCE: Duration = Duration::from_secs(5);

/// One tag of a file.
#[derive(Clone, Debug)]
struct Tag {
    kind: TagKind,
    timestamp_ms: u32,
    body: Bytes,
}

impl Tag {
    fn is_video_frame(&self) -> bool {
        self.kind == TagKind::Video && self.body[1] == 1
    }

    fn is_audio_frame(&self) -> bool {
        self.kind == TagKind::Audio && self.body[1] == 1
    }

    fn is_keyframe(&self) -> bool {
        self.is_video_frame() && self.body[0] >> 4 == 1
    }

    fn composition_ms(&self) -> i32 {
        i32::from_be_bytes([self.body[2], self.body[3], self.body[4], 0]) >> 8
    }
}

/// Reads a whole file: header, then tags whose trailing sizes must be right.
fn read_file(mut file: Bytes) -> Vec<Tag> {
    assert_eq!(&file[..3], b"FLV");
    file.advance(13);
    read_tags(file)
}

fn read_tags(mut file: Bytes) -> Vec<Tag> {
    let mut tags = Vec::new();
    while file.remaining() > 0 {
        let kind = match file.get_u8() {
            8 => TagKind::Audio,
            9 => TagKind::Video,
            18 => TagKind::Script,
            other => panic!("tag type {other}"),
        };
        let size = file.get_uint(3) as usize;
        let (low, high) = (file.get_uint(3) as u32, u32::from(file.get_u8()));
        assert_eq!(file.get_uint(3), 0);
        let body = file.split_to(size);
        assert_eq!(file.get_u32() as usize, size + 11);
        tags.push(Tag { kind, timestamp_ms: high << 24 | low, body });
    }
    tags
}

fn fixture(name: &str) -> Vec<Tag> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/flv").join(name);
    read_file(std::fs::read(path).expect("a fixture").into())
}

fn broadcast() -> Broadcast {
    Directory::standalone().open("abcdefghjkmnp", Default::default()).unwrap()
}

fn push(publisher: &mut Publisher, tags: &[Tag]) {
    let mut demuxer = Demuxer::new();
    for tag in tags {
        demuxer.push(tag.kind, tag.timestamp_ms, tag.body.clone(), publisher).unwrap();
    }
}

async fn next(viewer: &mut Viewer) -> Option<Bytes> {
    tokio::time::timeout(PATIENCE, viewer.next()).await.expect("bytes in time").expect("a viewer that keeps up")
}

/// All that a viewer gets until the broadcast ends.
async fn read_all(viewer: &mut Viewer) -> Bytes {
    let mut all = Vec::new();
    while let Some(bytes) = next(viewer).await {
        all.extend_from_slice(&bytes);
    }
    all.into()
}

/// Plays a file through a broadcast to one viewer who was there from the start.
async fn through(name: &str) -> (Vec<Tag>, Vec<Tag>) {
    let source = fixture(name);
    let broadcast = broadcast();
    let packagers = Packagers::default();
    let mut viewer = packagers.join(&broadcast, Framing::Flv);
    let reading = tokio::spawn(async move { read_all(&mut viewer).await });
    let mut publisher = broadcast.publish(String::new()).unwrap();
    let mut demuxer = Demuxer::new();
    for tag in &source {
        demuxer.push(tag.kind, tag.timestamp_ms, tag.body.clone(), &mut publisher).unwrap();
        // Lets the packager keep pace, as it does with a live encoder.
        tokio::task::yield_now().await;
    }
    drop(publisher);
    while packagers.viewers(broadcast.id()) == 0 {
        tokio::task::yield_now().await;
    }
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    broadcast.end();
    (source, read_file(reading.await.unwrap()))
}

fn frames(tags: &[Tag], wanted: fn(&Tag) -> bool) -> Vec<&Tag> {
    tags.iter().filter(|tag| wanted(tag)).collect()
}

#[tokio::test]
async fn every_frame_comes_out_as_it_went_in() {
    for name in ["plain.flv", "bframes.flv", "video_only.flv"] {
        let (source, result) = through(name).await;
        for wanted in [Tag::is_video_frame as fn(&Tag) -> bool, Tag::is_audio_frame] {
            let (before, after) = (frames(&source, wanted), frames(&result, wanted));
            // Sound before the first keyframe has no picture to go with and is left out.
            let early = before.len() - after.len();
            assert!(early <= 2, "{name}: {early} frames are missing");
            for (before, after) in before[early..].iter().zip(&after) {
                assert_eq!(
                    before.body.slice(5.min(before.body.len())..),
                    after.body.slice(5.min(after.body.len())..),
                    "{name}"
                );
            }
        }
    }
}

#[tokio::test]
async fn b_frames_keep_their_presentation_and_get_rising_decode_times() {
    let (source, result) = through("bframes.flv").await;
    let (source, result) = (frames(&source, Tag::is_video_frame), frames(&result, Tag::is_video_frame));
    let shown = |tags: &[&Tag]| -> Vec<i64> {
        let first = i64::from(tags[0].timestamp_ms) + i64::from(tags[0].composition_ms());
        tags.iter().map(|tag| i64::from(tag.timestamp_ms) + i64::from(tag.composition_ms()) - first).collect()
    };
    for (before, after) in shown(&source).iter().zip(shown(&result)) {
        assert!((before - after).abs() <= 1, "{before} became {after}");
    }
    assert!(result.iter().all(|tag| tag.composition_ms() >= 0));
    assert!(result.windows(2).all(|pair| pair[1].timestamp_ms > pair[0].timestamp_ms));
    assert!(result.iter().any(|tag| tag.composition_ms() > 33));
}

#[tokio::test]
async fn sound_alone_plays() {
    let (source, result) = through("audio_only.flv").await;
    assert_eq!(frames(&source, Tag::is_audio_frame).len(), frames(&result, Tag::is_audio_frame).len());
    assert_eq!(result[0].kind, TagKind::Script);
}

#[tokio::test]
async fn a_late_viewer_starts_with_the_newest_keyframe() {
    let broadcast = broadcast();
    let packagers = Packagers::default();
    let mut publisher = broadcast.publish(String::new()).unwrap();
    push(&mut publisher, &fixture("plain.flv"));
    let mut viewer = packagers.join(&broadcast, Framing::Flv);
    let mut bytes = next(&mut viewer).await.unwrap().to_vec();
    for _ in 0..2 {
        bytes.extend(next(&mut viewer).await.unwrap());
    }
    let tags = read_file(bytes.into());
    let kinds: Vec<_> = tags.iter().take(3).map(|tag| tag.kind).collect();
    assert_eq!(kinds, [TagKind::Script, TagKind::Video, TagKind::Audio]);
    let first = tags.iter().find(|tag| tag.is_video_frame()).unwrap();
    assert!(first.is_keyframe());
    // Five seconds of media with a keyframe each two: the newest group is the third.
    let first_ms = tags.iter().find(|tag| tag.is_keyframe()).unwrap().timestamp_ms;
    assert!((13_000..16_000).contains(&first_ms), "{first_ms}");
}

#[tokio::test]
async fn all_framings_carry_the_same_frames_and_only_one_the_clock() {
    let broadcast = broadcast();
    let packagers = Packagers::default();
    let mut publisher = broadcast.publish(String::new()).unwrap();
    push(&mut publisher, &fixture("plain.flv"));
    let mut counts = Vec::new();
    for framing in [Framing::Flv, Framing::FlvWithClock] {
        let mut viewer = packagers.join(&broadcast, framing);
        let mut bytes = Vec::new();
        for _ in 0..10 {
            bytes.extend(next(&mut viewer).await.unwrap());
        }
        let tags = read_file(bytes.into());
        let clocks = tags.iter().filter(|tag| tag.body.windows(12).any(|window| window == b"onOrielClock")).count();
        counts.push((tags.len() - clocks, clocks));
    }
    assert_eq!(counts[0].0, counts[1].0);
    assert_eq!((counts[0].1, counts[1].1), (0, 1));
}

#[tokio::test]
async fn viewers_share_the_bytes() {
    let broadcast = broadcast();
    let packagers = Packagers::default();
    let mut publisher = broadcast.publish(String::new()).unwrap();
    push(&mut publisher, &fixture("plain.flv"));
    let mut first = packagers.join(&broadcast, Framing::Flv);
    let mut second = packagers.join(&broadcast, Framing::Flv);
    // File header and lead-in are each viewer's own.
    for _ in 0..2 {
        next(&mut first).await;
        next(&mut second).await;
    }
    for _ in 0..20 {
        let (a, b) = (next(&mut first).await.unwrap(), next(&mut second).await.unwrap());
        assert_eq!(a.as_ptr(), b.as_ptr());
    }
}

#[tokio::test]
async fn a_slow_viewer_skips_to_a_keyframe_and_others_notice_nothing() {
    let broadcast = broadcast();
    let packagers = Packagers::new(Config { max_lag: Duration::from_secs(1), ..Config::default() });
    let mut publisher = broadcast.publish(String::new()).unwrap();
    let mut slow = packagers.join(&broadcast, Framing::Flv);
    let mut quick = packagers.join(&broadcast, Framing::Flv);
    let source = fixture("plain.flv");
    let mut demuxer = Demuxer::new();
    let mut quick_bytes = Vec::new();
    let mut slow_bytes = Vec::new();
    let last_keyframe = source.iter().rposition(Tag::is_keyframe).unwrap();
    for (n, tag) in source.iter().enumerate() {
        demuxer.push(tag.kind, tag.timestamp_ms, tag.body.clone(), &mut publisher).unwrap();
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        while let Some(Ok(Some(bytes))) = futures::FutureExt::now_or_never(quick.next()) {
            quick_bytes.extend(bytes);
        }
        // The slow one reads its lead-in and first frames and then nothing until the newest group is well under way.
        if n == 10 {
            for _ in 0..3 {
                slow_bytes.extend(next(&mut slow).await.unwrap());
            }
        }
    }
    while let Some(Ok(Some(bytes))) = futures::FutureExt::now_or_never(slow.next()) {
        slow_bytes.extend(bytes);
    }
    let quick = read_file(quick_bytes.into());
    let video = source.iter().filter(|tag| tag.is_video_frame()).count();
    let seen = quick.iter().filter(|tag| tag.is_video_frame()).count();
    assert!(video - seen <= 2, "the quick viewer saw {seen} of {video}");
    let slow = read_file(slow_bytes.into());
    let after_gap: Vec<_> = slow.iter().filter(|tag| tag.is_video_frame()).skip(1).collect();
    let step = after_gap.windows(2).find(|pair| pair[1].timestamp_ms - pair[0].timestamp_ms > 100);
    let resumed = step.map_or(after_gap[0], |pair| pair[1]);
    assert!(resumed.is_keyframe(), "went on in the middle of a group");
    assert_eq!(resumed.body.len(), source[last_keyframe].body.len());
}

#[tokio::test]
async fn a_flush_interval_gathers_frames() {
    tokio::time::pause();
    let broadcast = broadcast();
    let packagers = Packagers::new(Config { flush: Duration::from_millis(100), ..Config::default() });
    let mut viewer = packagers.join(&broadcast, Framing::Flv);
    let mut publisher = broadcast.publish(String::new()).unwrap();
    let mut demuxer = Demuxer::new();
    let source: Vec<Tag> = fixture("video_only.flv").into_iter().take(50).collect();
    let mut sends = 0;
    for tag in &source {
        demuxer.push(tag.kind, tag.timestamp_ms, tag.body.clone(), &mut publisher).unwrap();
        tokio::time::sleep(Duration::from_millis(33)).await;
        while let Some(Ok(Some(_))) = futures::FutureExt::now_or_never(viewer.next()) {
            sends += 1;
        }
    }
    // 48 frames in 1.6 s: one send each 100 to 133 ms, and the lead-in.
    assert!((10..=20).contains(&sends), "{sends} sends");
}
