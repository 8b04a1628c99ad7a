//! Any two packagers of a broadcast give the same bytes under the same names.

use live::Item;

use super::media::{Encoder, Ingest};
use super::play::Play;

/// The items a packager gets that subscribes at the `n`-th group start: the format, then that group on, and of the audio what
/// was sent from there on.
fn joined(items: &[Item], n: usize) -> Vec<Item> {
    let starts =
        items.iter().enumerate().filter(|(_, item)| matches!(item, Item::Frame(frame) if frame.mark.is_some()));
    let at = starts.map(|(at, _)| at).nth(n).expect("that many groups");
    let format = items[..at].iter().rev().find(|item| matches!(item, Item::Format(_))).expect("format first").clone();
    std::iter::once(format).chain(items[at..].iter().cloned()).collect()
}

fn assert_same(early: &Play, late: &Play) {
    assert!(late.files.len() > 20, "{} files are compared", late.files.len());
    for (name, bytes) in &late.files {
        assert_eq!(early.files.get(name), Some(bytes), "{name}");
    }
    let (early, late) = (early.last(), late.last());
    let common = early.segments.len().min(late.segments.len());
    let tail = |list: &crate::hls::validator::Playlist| list.segments[list.segments.len() - common..].to_vec();
    let (mut early, mut late) = (tail(early), tail(late));
    // Where its own list begins, the late one has nothing that its first segment could continue or not.
    early[0].discontinuity = false;
    late[0].discontinuity = false;
    assert_eq!(early, late);
}

fn joins(items: Vec<Item>, groups: &[usize]) {
    let early = Play::all(items.clone());
    early.assert_valid();
    for n in groups {
        let late = Play::all(joined(&items, *n));
        late.assert_valid();
        assert_same(&early, &late);
    }
}

#[test]
fn joining_at_another_group_gives_the_same_bytes() {
    joins(Ingest::once(&Encoder::default()), &[1, 2, 5]);
}

#[test]
fn joining_gives_the_same_bytes_with_b_frames_and_late_audio() {
    let encoder =
        Encoder { b_frames: 2, milliseconds: true, audio_late_us: vec![30_000, 90_000], ..Encoder::default() };
    joins(Ingest::once(&encoder), &[1, 3, 6]);
}

#[test]
fn joining_within_a_gathered_segment_gives_the_same_bytes() {
    joins(Ingest::once(&Encoder { gops: vec![10], ..Encoder::default() }), &[1, 2, 7]);
}

#[test]
fn joining_at_a_split_group_gives_the_same_bytes() {
    joins(Ingest::once(&Encoder { gops: vec![250], seconds: 30.0, ..Encoder::default() }), &[1, 2]);
}

#[test]
fn joining_audio_alone_gives_the_same_bytes() {
    joins(Ingest::once(&Encoder { video: false, ..Encoder::default() }), &[1, 4]);
}

#[test]
fn joining_in_a_later_session_gives_the_same_bytes() {
    let mut ingest = Ingest::new(100);
    let encoder = Encoder { seconds: 9.0, ..Encoder::default() };
    ingest.session(&encoder);
    ingest.session(&encoder);
    ingest.session(&encoder);
    joins(ingest.items, &[1, 5, 6, 11]);
}

#[test]
fn the_order_in_which_tracks_arrive_does_not_matter_within_the_allowed_lag() {
    let on_time = Play::all(Ingest::once(&Encoder::default()));
    for late_us in [-150_000, 60_000, 150_000, 200_000] {
        let encoder = Encoder { audio_late_us: vec![late_us], ..Encoder::default() };
        let late = Play::all(Ingest::once(&encoder));
        late.assert_valid();
        let differs = |name: &&String| on_time.files.get(*name) != late.files.get(*name);
        let different: Vec<_> = late.files.keys().filter(differs).collect();
        // Audio that was sent before the first keyframe is in neither.
        assert!(different.len() <= if late_us < 0 { 2 } else { 0 }, "{late_us}: {different:?}");
    }
}
