//! What requests get and how long they wait: Safari's pattern, scripted, among others. Time is paused, so nothing sleeps.

use std::sync::Arc;
use std::time::Duration;

use live::Item;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::media::{Encoder, Ingest};
use super::play::Play;
use crate::hls::packager::Packager;
use crate::hls::validator::{Playlist, Validator};
use crate::hls::{Config, Error, Reply, Request};

/// A broadcast that goes on when the test says so, and its packager.
struct Stage {
    play: Play,
    items: std::vec::IntoIter<Item>,
    packager: Arc<Packager>,
}

impl Stage {
    fn new(encoder: Encoder) -> Self {
        let items = Ingest::once(&encoder).into_iter();
        Self { play: Play::new(), items, packager: Arc::new(Packager::new(Config::default())) }
    }

    /// Plays until the part after (`msn`, `part`) is the next.
    fn until(mut self, msn: u64, part: usize) -> Self {
        self.play_to(msn, part);
        self
    }

    fn play_to(&mut self, msn: u64, part: usize) {
        while self.play.window.next_part().is_none_or(|next| next <= (msn, part)) {
            self.play.item(self.items.next().expect("the broadcast lasts that long"));
        }
        self.packager.publish(&self.play.window);
    }

    fn end(&mut self) {
        self.play.end();
        self.packager.publish(&self.play.window);
    }

    fn ask(&self, file: &str, query: &str) -> JoinHandle<Result<Reply, Error>> {
        let packager = self.packager.clone();
        let request = Request::parse(file, Some(query)).map_err(Error::from);
        tokio::spawn(async move {
            let visit = packager.visit();
            visit.packager().answer(request?).await
        })
    }

    async fn get(&self, file: &str, query: &str) -> Result<Reply, Error> {
        self.ask(file, query).await.expect("does not panic")
    }

    async fn list(&self, query: &str) -> Playlist {
        parse(self.get("media.m3u8", query).await)
    }
}

fn parse(reply: Result<Reply, Error>) -> Playlist {
    Playlist::parse(std::str::from_utf8(&reply.expect("answered").body).expect("text"))
}

/// Lets every task run as far as it can.
async fn settle() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

fn status(reply: Result<Reply, Error>) -> u16 {
    reply.map_or_else(|err| err.status(), |_| 200)
}

#[tokio::test(start_paused = true)]
async fn rule_5_a_part_alone_and_a_segment_too_far_are_400() {
    let stage = Stage::new(Encoder::default()).until(102, 4);
    assert_eq!(status(stage.get("media.m3u8", "_HLS_part=2").await), 400);
    assert_eq!(status(stage.get("media.m3u8", "_HLS_msn=105&_HLS_part=0").await), 400);
    assert_eq!(status(stage.get("media.m3u8", "_HLS_msn=101&_HLS_part=0").await), 200);
    let allowed = stage.ask("media.m3u8", "_HLS_msn=104");
    settle().await;
    assert!(!allowed.is_finished(), "two ahead is waited for");
    assert_eq!(status(stage.get("nothing.m3u8", "").await), 404);
}

#[tokio::test(start_paused = true)]
async fn rule_6_a_segment_alone_is_waited_for_until_it_is_complete() {
    let mut stage = Stage::new(Encoder::default()).until(102, 4);
    let asked = stage.ask("media.m3u8", "_HLS_msn=102");
    settle().await;
    assert!(!asked.is_finished());
    stage.play_to(102, 8);
    settle().await;
    assert!(!asked.is_finished(), "parts of it are not enough");
    stage.play_to(103, 0);
    let list = parse(asked.await.expect("does not panic"));
    assert!(list.segments.iter().any(|segment| segment.msn == 102 && segment.whole.is_some()));
}

#[tokio::test(start_paused = true)]
async fn a_part_is_waited_for_and_answered_at_once_when_it_is_there() {
    let mut stage = Stage::new(Encoder::default()).until(102, 4);
    assert_eq!(
        stage.list("_HLS_msn=102&_HLS_part=4").await.segments.last().map(|segment| segment.parts.len()),
        Some(5)
    );
    let asked = stage.ask("media.m3u8", "_HLS_msn=102&_HLS_part=5");
    settle().await;
    assert!(!asked.is_finished());
    stage.play_to(102, 5);
    assert_eq!(parse(asked.await.expect("does not panic")).segments.last().map(|segment| segment.parts.len()), Some(6));
}

#[tokio::test(start_paused = true)]
async fn a_player_that_asks_for_nothing_in_particular_gets_a_whole_segment() {
    let mut stage = Stage::new(Encoder::default()).until(100, 4);
    let (low_latency, plain) = (stage.ask("media.m3u8", ""), stage.ask("media-plain.m3u8", ""));
    settle().await;
    assert!(!low_latency.is_finished() && !plain.is_finished());
    assert_eq!(status(stage.get("media.m3u8", "_HLS_msn=100&_HLS_part=4").await), 200, "who knows parts does not wait");
    stage.play_to(101, 0);
    for asked in [low_latency, plain] {
        assert!(parse(asked.await.expect("does not panic")).segments[0].whole.is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn rule_7_a_part_past_the_end_of_a_segment_is_the_first_of_the_next() {
    // Two seconds at 30 Hz are ten parts: 102.0 to 102.9.
    let mut stage = Stage::new(Encoder::default()).until(102, 9);
    let asked = stage.ask("media.m3u8", "_HLS_msn=102&_HLS_part=10");
    settle().await;
    assert!(!asked.is_finished());
    stage.play_to(103, 0);
    let list = parse(asked.await.expect("does not panic"));
    assert_eq!(list.segments.last().map(|segment| (segment.msn, segment.parts.len())), Some((103, 1)));
}

#[tokio::test(start_paused = true)]
async fn rule_8_a_blocked_request_gives_up_after_three_target_durations() {
    let stage = Stage::new(Encoder::default()).until(102, 4);
    for query in ["_HLS_msn=102", "_HLS_msn=103&_HLS_part=0"] {
        let start = Instant::now();
        assert_eq!(status(stage.get("media.m3u8", query).await), 503);
        assert_eq!(start.elapsed(), Duration::from_secs(12));
    }
    let nothing_yet = Stage::new(Encoder::default());
    assert_eq!(status(nothing_yet.get("index.m3u8", "").await), 503);
}

#[tokio::test(start_paused = true)]
async fn rule_8_the_end_releases_everybody_with_the_final_list() {
    let mut stage = Stage::new(Encoder::default()).until(102, 4);
    let asked = ["_HLS_msn=102", "_HLS_msn=102&_HLS_part=9", "_HLS_msn=104&_HLS_part=0", "_HLS_msn=103&_HLS_skip=YES"]
        .map(|query| stage.ask("media.m3u8", query));
    let hinted = stage.ask("part-103-1.m4s", "");
    settle().await;
    stage.end();
    for asked in asked {
        let list = parse(asked.await.expect("does not panic"));
        assert!(list.ended && list.hint.is_none());
    }
    assert_eq!(status(hinted.await.expect("does not panic")), 404);
    assert!(stage.list("_HLS_msn=102&_HLS_part=99").await.ended, "who comes later gets it at once");
}

#[tokio::test(start_paused = true)]
async fn rule_10_a_hinted_part_is_waited_for() {
    let mut stage = Stage::new(Encoder::default()).until(102, 4);
    let list = stage.list("").await;
    let hint = list.hint.expect("hinted");
    assert_eq!(hint, "part-102-5.m4s");
    let asked = stage.ask(&hint, "");
    settle().await;
    assert!(!asked.is_finished());
    assert_eq!(status(stage.get("part-102-6.m4s", "").await), 404, "only the hinted one");
    stage.play_to(102, 5);
    let body = asked.await.expect("does not panic").expect("answered").body;
    assert_eq!(stage.play.files.get(&hint), Some(&body));
}

#[tokio::test(start_paused = true)]
async fn rule_10_the_first_part_of_the_next_segment_is_waited_for_over_an_interruption() {
    let mut ingest = Ingest::new(100);
    ingest.session(&Encoder { seconds: 3.0, ..Encoder::default() });
    ingest.session(&Encoder { seconds: 3.0, ..Encoder::default() });
    let mut stage = Stage::new(Encoder::default());
    stage.items = ingest.items.into_iter();
    let mut stage = stage.until(101, 0);
    let before =
        stage.items.as_slice().iter().position(|item| matches!(item, Item::Interrupted)).expect("two sessions");
    for _ in 0..=before {
        let item = stage.items.next().expect("counted");
        stage.play.item(item);
    }
    stage.packager.publish(&stage.play.window);
    assert_eq!(stage.list("").await.hint.as_deref(), Some("part-102-0.m4s"));
    let asked = stage.ask("part-102-0.m4s", "");
    settle().await;
    assert!(!asked.is_finished());
    stage.play_to(102, 0);
    assert_eq!(status(asked.await.expect("does not panic")), 200);
    stage.play.assert_valid();
}

#[tokio::test(start_paused = true)]
async fn rule_16_playlists_are_there_compressed_and_shared() {
    use std::io::Read;

    let stage = Stage::new(Encoder::default()).until(103, 4);
    for file in ["index.m3u8", "plain.m3u8", "media.m3u8", "media-plain.m3u8"] {
        let (one, two) = (stage.get(file, "").await.expect("there"), stage.get(file, "").await.expect("there"));
        let gzip = one.gzip.expect("compressed");
        let mut text = Vec::new();
        flate2::read::GzDecoder::new(&gzip[..]).read_to_end(&mut text).expect("gzip");
        assert_eq!(text, one.body);
        assert_eq!(one.body.as_ptr(), two.body.as_ptr(), "{file} is rendered once");
    }
}

#[tokio::test(start_paused = true)]
async fn rule_17_playlists_are_not_cached_and_media_is_for_ever() {
    let stage = Stage::new(Encoder::default()).until(103, 4);
    let list = stage.get("media.m3u8", "").await.expect("there");
    assert_eq!((list.content_type, list.cache_control), ("application/vnd.apple.mpegurl", "no-cache"));
    let init = stage.play.last().segments[0].map.clone().expect("has a map");
    for file in [init.as_str(), "seg-101.m4s", "part-103-2.m4s"] {
        let reply = stage.get(file, "").await.expect("there");
        assert!(reply.cache_control.contains("immutable"), "{file}");
        assert_eq!(stage.play.files.get(file), Some(&reply.body), "{file}");
        assert!(reply.gzip.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn a_segment_is_its_parts() {
    let stage = Stage::new(Encoder::default()).until(103, 4);
    let whole = stage.get("seg-102.m4s", "").await.expect("there").body;
    let mut joined = Vec::new();
    for part in 0..10 {
        joined.extend_from_slice(&stage.get(&format!("part-102-{part}.m4s"), "").await.expect("there").body);
    }
    assert_eq!(whole, joined);
}

#[tokio::test(start_paused = true)]
async fn safari_asks_and_gets_a_valid_sequence() {
    let mut stage = Stage::new(Encoder { seconds: 60.0, ..Encoder::default() }).until(100, 2);
    let mut validator = Validator::new();
    let start = Instant::now();
    let mut query = String::new();
    for step in 0..220 {
        let asked = start.elapsed();
        let waiting = stage.ask("media.m3u8", &query);
        settle().await;
        while !waiting.is_finished() {
            let (msn, part) = stage.play.window.next_part().expect("playing");
            stage.play_to(msn, part);
            settle().await;
        }
        let reply = waiting.await.expect("does not panic").expect("answered");
        let text = std::str::from_utf8(&reply.body).expect("text");
        assert_eq!(validator.playlist(asked, start.elapsed(), text), []);
        let newest = validator.current().expect("read").segments.last().expect("listed").clone();
        let skip = if step % 3 > 0 { "&_HLS_skip=YES" } else { "" };
        query = match newest.whole {
            Some(_) => format!("_HLS_msn={}&_HLS_part=0{skip}", newest.msn + 1),
            None => format!("_HLS_msn={}&_HLS_part={}{skip}", newest.msn, newest.parts.len()),
        };
    }
    assert!(validator.current().expect("read").media_sequence > 100);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_waiters_get_the_same_bytes() {
    let mut stage = Stage::new(Encoder::default()).until(102, 4);
    let waiting: Vec<_> = (0..1000).map(|_| stage.ask("media.m3u8", "_HLS_msn=102&_HLS_part=5")).collect();
    settle().await;
    stage.play_to(102, 5);
    let mut bodies = Vec::new();
    for asked in waiting {
        bodies.push(asked.await.expect("does not panic").expect("answered").body.as_ptr());
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "one body for all");
}

#[tokio::test(start_paused = true)]
async fn a_packager_in_use_is_not_idle() {
    let stage = Stage::new(Encoder::default()).until(102, 4);
    let idle = Duration::from_secs(5);
    let asked = stage.ask("media.m3u8", "_HLS_msn=102");
    settle().await;
    tokio::time::advance(Duration::from_secs(6)).await;
    assert!(!stage.packager.idle_for(idle), "somebody waits");
    assert_eq!(status(asked.await.expect("does not panic")), 503);
    assert!(!stage.packager.idle_for(idle), "somebody was just here");
    tokio::time::advance(Duration::from_secs(5)).await;
    assert!(stage.packager.idle_for(idle));
}
