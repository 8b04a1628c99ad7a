//! What a replay consists of, and how that is written: pages of lines, so that what is rewritten stays small however long
//! the broadcast lasts. Pure.
//!
//! ```text
//! ID/index-000000.jsonl   {"init":{...}}      how the segments after it are coded
//!                         {"segment":{...}}   up to 512 of them, oldest first
//! ID/init-HASH.mp4        an init segment
//! ID/seg-N.m4s            a segment: the parts of the live HLS segment, on the replay's own time line
//! ```

use serde::{Deserialize, Serialize};

use crate::hls::Init;

/// Segments in a page. A page is written again with each of its segments: at 512 it is 100 KB at most.
pub(super) const PAGE_SEGMENTS: u64 = 512;

/// Pages that are read: at a second a segment more than a week.
const PAGES_MAX: u64 = 2048;

/// A page larger than this was not written by us.
pub(super) const PAGE_BYTES_MAX: u64 = 1 << 20;

/// A replay that ends after this is not ours, nor is a segment of more bytes: sums of them cannot overflow.
const LONGEST_US: i64 = 1 << 53;
const SEGMENT_BYTES_MAX: u64 = 1 << 32;

/// An init segment that segments of the replay need.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InitInfo {
    /// Hash of the bytes, which is the name.
    pub name: u64,
    pub bytes: u64,
    /// RFC 6381, comma between video and audio.
    pub codecs: String,
    pub video: bool,
    pub audio_rate: Option<u32>,
    pub width: u32,
    pub height: u32,
}

/// A segment of the replay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// Names the object. Rises, and may skip one that was lost.
    pub n: u64,
    /// Name of the init segment.
    pub init: u64,
    pub bytes: u64,
    /// Where it begins on the replay's time line, in decode time of the lead track.
    pub start_us: i64,
    pub duration_us: i64,
    /// Where the longest of its tracks ends.
    pub end_us: i64,
    /// Wall time of capture of the first frame, microseconds since 1970.
    pub captured_us: i64,
    /// The segment does not continue the one before: another session, another format, or media is missing.
    pub discontinuity: bool,
    /// Decoding can start with it.
    pub independent: bool,
    /// Media that could not be written between the segment before and this one.
    pub lost_us: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Init(InitInfo),
    Segment(Segment),
}

/// All of a replay that is durable.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Index {
    pub inits: Vec<InitInfo>,
    pub segments: Vec<Segment>,
    /// Sum over the segments.
    pub bytes: u64,
    pub lost_us: i64,
}

impl InitInfo {
    pub(super) fn new(init: &Init) -> Self {
        let video = init.format.video.as_deref();
        Self {
            name: init.name,
            bytes: init.body.len() as u64,
            codecs: init.codecs(),
            video: video.is_some(),
            audio_rate: init.format.audio.as_ref().map(|audio| audio.rate),
            width: video.map_or(0, |video| video.width),
            height: video.map_or(0, |video| video.height),
        }
    }
}

impl Index {
    /// Number of the next segment.
    pub fn next(&self) -> u64 {
        self.segments.last().map_or(0, |last| last.n + 1)
    }

    /// Length of the time line.
    pub fn end_us(&self) -> i64 {
        self.segments.last().map_or(0, |last| last.end_us)
    }

    /// Wall time of capture of the first frame.
    pub fn captured_us(&self) -> Option<i64> {
        self.segments.first().map(|first| first.captured_us)
    }

    pub fn init(&self, name: u64) -> Option<&InitInfo> {
        self.inits.iter().find(|init| init.name == name)
    }

    pub fn segment(&self, n: u64) -> Option<&Segment> {
        let at = self.segments.binary_search_by_key(&n, |segment| segment.n).ok()?;
        self.segments.get(at)
    }

    /// How long the segment is shown: until the next one begins.
    pub fn shown_us(&self, at: usize) -> i64 {
        let Some(segment) = self.segments.get(at) else { return 0 };
        let until_us = self.segments.get(at + 1).map_or(segment.end_us, |next| next.start_us);
        (until_us - segment.start_us).max(1)
    }

    pub(super) fn push(&mut self, init: InitInfo, segment: Segment) {
        if self.init(init.name).is_none() {
            self.inits.push(init);
        }
        self.bytes += segment.bytes;
        self.lost_us = self.lost_us.saturating_add(segment.lost_us);
        self.segments.push(segment);
    }

    /// The page that holds segment `n`, as it is now.
    pub(super) fn page(&self, n: u64) -> Vec<u8> {
        let page = n / PAGE_SEGMENTS;
        let from = self.segments.partition_point(|segment| segment.n / PAGE_SEGMENTS < page);
        let to = self.segments.partition_point(|segment| segment.n / PAGE_SEGMENTS <= page);
        let segments = &self.segments[from..to];
        let used = self.inits.iter().filter(|init| segments.iter().any(|segment| segment.init == init.name));
        let lines = used.cloned().map(Line::Init).chain(segments.iter().cloned().map(Line::Segment));
        let mut text = Vec::new();
        for line in lines {
            serde_json::to_writer(&mut text, &line).expect("a line has no map keys that JSON cannot carry");
            text.push(b'\n');
        }
        text
    }

    /// Adds what a page says. Lines that are not ours, or out of order, are left out.
    pub(super) fn read_page(&mut self, page: &[u8]) {
        for line in page.split(|byte| *byte == b'\n') {
            match serde_json::from_slice(line) {
                Ok(Line::Init(init)) if self.init(init.name).is_none() => self.inits.push(init),
                Ok(Line::Segment(segment)) if self.follows(&segment) => {
                    self.bytes += segment.bytes;
                    self.lost_us = self.lost_us.saturating_add(segment.lost_us);
                    self.segments.push(segment);
                }
                _ => {}
            }
        }
    }

    fn follows(&self, segment: &Segment) -> bool {
        let times = [segment.start_us, segment.duration_us, segment.end_us, segment.lost_us];
        let sane = times.iter().all(|time_us| (0..LONGEST_US).contains(time_us)) && segment.end_us >= segment.start_us;
        let readable = segment.n < PAGES_MAX * PAGE_SEGMENTS && segment.bytes < SEGMENT_BYTES_MAX;
        let after = self.segments.last().is_none_or(|last| segment.start_us >= last.start_us);
        sane && readable && after && segment.n >= self.next()
    }
}

/// Name of the page that holds segment `n`, if that is one that will be read.
pub(super) fn page_of(n: u64) -> Option<String> {
    let page = n / PAGE_SEGMENTS;
    (page < PAGES_MAX).then(|| page_name(page))
}

pub(super) fn page_name(page: u64) -> String {
    format!("index-{page:06}.jsonl")
}

/// Every name a page can have, in order.
pub(super) fn page_names() -> impl Iterator<Item = String> {
    (0..PAGES_MAX).map(page_name)
}

/// File name of a segment.
pub(super) fn segment_name(n: u64) -> String {
    format!("seg-{n}.m4s")
}

/// File name of an init segment.
pub(super) fn init_name(name: u64) -> String {
    format!("init-{name:016x}.mp4")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn segment(n: u64, start_us: i64) -> Segment {
        Segment {
            n,
            init: 7,
            bytes: 1000,
            start_us,
            duration_us: 2_000_000,
            end_us: start_us + 2_000_000,
            captured_us: 1_795_258_815_000_000 + start_us,
            discontinuity: false,
            independent: true,
            lost_us: 0,
        }
    }

    pub fn init() -> InitInfo {
        InitInfo {
            name: 7,
            bytes: 900,
            codecs: "avc1.64001f,mp4a.40.2".into(),
            video: true,
            audio_rate: Some(48_000),
            width: 1280,
            height: 720,
        }
    }

    pub fn index(segments: u64) -> Index {
        let mut index = Index::default();
        for n in 0..segments {
            index.push(init(), segment(n, n as i64 * 2_000_000));
        }
        index
    }

    #[test]
    fn pages_read_back_as_the_index_they_were_written_from() {
        let index = index(PAGE_SEGMENTS * 2 + 3);
        let mut read = Index::default();
        for page in 0..3 {
            let text = index.page(page * PAGE_SEGMENTS);
            assert!(text.len() < 128 * 1024, "{}", text.len());
            read.read_page(&text);
        }
        assert_eq!(read, index);
    }

    #[test]
    fn segments_with_numbers_that_are_not_ours_are_left_out() {
        let good = segment(0, 0);
        let bad = [
            Segment { n: u64::MAX, ..good.clone() },
            Segment { bytes: u64::MAX, ..good.clone() },
            Segment { start_us: i64::MIN, ..good.clone() },
            Segment { end_us: i64::MAX, ..good.clone() },
            Segment { lost_us: i64::MAX, ..good },
        ];
        for segment in bad {
            let mut read = Index::default();
            read.read_page(&serde_json::to_vec(&Line::Segment(segment)).unwrap());
            assert_eq!((read.next(), read.end_us()), (0, 0));
        }
    }

    #[test]
    fn a_torn_or_foreign_page_gives_its_sound_lines() {
        let mut page = index(3).page(0);
        page.truncate(page.len() - 5);
        page.extend_from_slice(b"\n{\"segment\":{\"n\":1}}\nnonsense\n");
        let mut read = Index::default();
        read.read_page(&page);
        assert_eq!(read.segments.len(), 2);
    }
}
