//! Plays a synthetic broadcast through the packager and reads every playlist on the way, as three kinds of players would.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use live::Item;
use mp4_atom::{Any, DecodeMaybe, Moof};

use crate::hls::playlist::{self, Extent};
use crate::hls::segmenter::Segmenter;
use crate::hls::validator::{Playlist, Validator, Violation};
use crate::hls::window::Window;
use crate::hls::{Config, timing};

/// A packager without its task, and the players that watch it.
pub struct Play {
    segmenter: Segmenter,
    pub window: Window,
    full: Validator,
    delta: Validator,
    plain: Validator,
    pub violations: Vec<Violation>,
    /// Every low-latency playlist, in order.
    pub lists: Vec<Playlist>,
    /// Every file ever listed.
    pub files: BTreeMap<String, Bytes>,
}

impl Play {
    pub fn new() -> Self {
        Self::with(Config::default())
    }

    pub fn with(config: Config) -> Self {
        Self {
            segmenter: Segmenter::new(timing::us(config.part_target), timing::us(live::SEGMENT_TARGET)),
            window: Window::new(config),
            full: Validator::new(),
            delta: Validator::new(),
            plain: Validator::new(),
            violations: Vec::new(),
            lists: Vec::new(),
            files: BTreeMap::new(),
        }
    }

    /// Plays a whole broadcast to its end.
    pub fn all(items: Vec<Item>) -> Self {
        let mut play = Self::new();
        items.into_iter().for_each(|item| play.item(item));
        play.end();
        play
    }

    pub fn item(&mut self, item: Item) {
        let mut out = Vec::new();
        match item {
            Item::Format(format) => self.segmenter.format(&format, &mut out).expect("test formats are usable"),
            Item::Frame(frame) => self.segmenter.frame(frame, &mut out),
            Item::Interrupted => self.segmenter.interrupted(&mut out),
        }
        let changed = !out.is_empty();
        out.into_iter().for_each(|output| self.window.apply(output));
        if changed {
            self.read();
        }
    }

    pub fn end(&mut self) {
        self.item(Item::Interrupted);
        self.window.ended = true;
        self.read();
    }

    pub fn full_text(&self) -> String {
        playlist::low_latency(&self.window, Extent::Full, &[])
    }

    pub fn delta_text(&self) -> String {
        playlist::low_latency(&self.window, Extent::Delta, &[])
    }

    fn read(&mut self) {
        let full = self.full_text();
        let delta = if self.lists.is_empty() { full.clone() } else { self.delta_text() };
        let (zero, plain) = (Duration::ZERO, playlist::plain(&self.window));
        self.violations.extend(self.full.playlist(zero, zero, &full));
        self.violations.extend(self.delta.playlist(zero, zero, &delta));
        self.violations.extend(self.plain.playlist(zero, zero, &plain));
        let restored = self.delta.current().expect("just read");
        assert_eq!(restored.segments, self.full.current().expect("just read").segments, "a delta update says the same");
        self.lists.push(Playlist::parse(&full));
        self.collect();
    }

    fn collect(&mut self) {
        for segment in self.window.listed().skip(self.window.listed().len().saturating_sub(2)) {
            self.files.insert(segment.init.uri(), segment.init.body.clone());
            for (n, part) in segment.parts.iter().enumerate() {
                self.files.insert(playlist::part_uri(segment.msn, n), part.body.clone());
            }
            if let Some(body) = &segment.body {
                self.files.insert(playlist::segment_uri(segment.msn), body.clone());
            }
        }
    }

    /// Fails with the first broken rules.
    pub fn assert_valid(&self) {
        assert!(self.violations.is_empty(), "{:#?}", &self.violations[..self.violations.len().min(5)]);
        self.assert_media_continuous();
    }

    /// Between discontinuities each track's fragments begin where the one before ended.
    fn assert_media_continuous(&self) {
        let mut ends: BTreeMap<(u64, u32), u64> = BTreeMap::new();
        for (discontinuities, moof) in self.moofs() {
            for traf in moof.traf.iter().filter(|traf| !traf.trun.is_empty()) {
                let start = traf.tfdt.as_ref().expect("written").base_media_decode_time;
                let default = traf.tfhd.default_sample_duration;
                let entries = traf.trun.iter().flat_map(|trun| &trun.entries);
                let length: u64 = entries.map(|entry| u64::from(entry.duration.or(default).expect("known"))).sum();
                let key = (discontinuities, traf.tfhd.track_id);
                if let Some(end) = ends.insert(key, start + length) {
                    assert_eq!(start, end, "track {} after {discontinuities} discontinuities", key.1);
                }
            }
        }
    }

    /// The fragments of all segments with the discontinuities before them.
    pub fn moofs(&self) -> Vec<(u64, Moof)> {
        let mut numbers = BTreeMap::new();
        for list in &self.lists {
            numbers.extend(list.segments.iter().map(|segment| (segment.msn, segment.discontinuities)));
        }
        let mut moofs = Vec::new();
        for (msn, discontinuities) in numbers {
            let Some(body) = self.files.get(&playlist::segment_uri(msn)) else { continue };
            let mut bytes = &body[..];
            while let Some(found) = Any::decode_maybe(&mut bytes).expect("boxes parse") {
                if let Any::Moof(moof) = found {
                    moofs.push((discontinuities, moof));
                }
            }
        }
        moofs
    }

    /// How many samples of a track are in all segments.
    pub fn samples(&self, track: u32) -> usize {
        let moofs = self.moofs();
        let trafs = moofs.iter().flat_map(|(_, moof)| &moof.traf).filter(|traf| traf.tfhd.track_id == track);
        trafs.flat_map(|traf| &traf.trun).map(|trun| trun.entries.len()).sum()
    }

    /// The last playlist.
    pub fn last(&self) -> &Playlist {
        self.lists.last().expect("something was played")
    }
}
