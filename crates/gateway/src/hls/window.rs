//! What of a broadcast is listed and what is kept: the state that playlists are rendered from.
//!
//! Cheap to clone, so that every state can be handed to viewers as an immutable snapshot.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use bytes::{Bytes, BytesMut};

use super::fmp4::Init;
use super::part::Part;
use super::planner::Head;
use super::segmenter::Output;
use super::{Config, timing, transport};

/// Fewer segments than this are never listed for want of memory: players start three segments from the end.
const FEWEST: usize = 3;

/// A segment, complete or still growing.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub msn: u64,
    /// How many discontinuities lie before the segment's first frame, its own included.
    pub discontinuities: u64,
    pub discontinuity: bool,
    pub init: Arc<Init>,
    /// Wall time of capture of the first frame, microseconds since 1970.
    pub captured_us: i64,
    /// Never empty: a segment appears with its first part.
    pub parts: Vec<Part>,
    /// All parts in one, once the segment is complete; the parts are then slices of it.
    pub body: Option<Bytes>,
    /// The complete segment as a transport stream, made for the first player that asks.
    ts: OnceLock<Option<Bytes>>,
}

/// The segments of a broadcast that are listed, and those that players may still ask for.
#[derive(Clone, Debug)]
pub(super) struct Window {
    config: Config,
    /// Oldest first. Only the last may be incomplete.
    segments: VecDeque<Arc<Segment>>,
    /// Index of the first segment that playlists list.
    listed_from: usize,
    /// Largest bits per second of a complete segment so far.
    pub peak_bps: u64,
    /// Whether every segment so far began with a keyframe.
    pub independent: bool,
    pub ended: bool,
}

impl Segment {
    pub fn duration_us(&self) -> i64 {
        self.parts.iter().map(|part| part.duration_us).sum()
    }

    pub fn complete(&self) -> bool {
        self.body.is_some()
    }

    /// The segment as a transport stream; `None` while it is incomplete, and for codecs that have no place in one.
    pub fn ts(&self) -> Option<Bytes> {
        let body = self.body.as_ref()?;
        self.ts.get_or_init(|| transport::segment(&self.init.body, body)).clone()
    }

    fn bytes(&self) -> usize {
        self.parts.iter().map(|part| part.body.len()).sum()
    }

    /// With what was made of it.
    fn held(&self) -> usize {
        self.bytes() + self.ts.get().and_then(Option::as_ref).map_or(0, Bytes::len)
    }

    fn new(head: Head, init: Arc<Init>, discontinuities: u64) -> Self {
        Self {
            msn: head.msn,
            discontinuities,
            discontinuity: head.discontinuity,
            init,
            captured_us: head.captured_us,
            parts: Vec::new(),
            body: None,
            ts: OnceLock::new(),
        }
    }

    /// Joins the parts into the segment's one body.
    fn finish(&mut self) {
        let mut joined = BytesMut::with_capacity(self.bytes());
        for part in &self.parts {
            joined.extend_from_slice(&part.body);
        }
        let joined = joined.freeze();
        let mut from = 0;
        for part in &mut self.parts {
            let to = from + part.body.len();
            part.body = joined.slice(from..to);
            from = to;
        }
        self.body = Some(joined);
    }
}

impl Window {
    pub fn new(config: Config) -> Self {
        Self { config, segments: VecDeque::new(), listed_from: 0, peak_bps: 0, independent: true, ended: false }
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Takes what the segmenter gave.
    pub fn apply(&mut self, output: Output) {
        match output {
            Output::Begin(head, init) => self.begin(head, init),
            Output::Part(part) => {
                if let Some(segment) = self.segments.back_mut() {
                    Arc::make_mut(segment).parts.push(part);
                }
            }
            Output::End => self.finish(),
        }
    }

    /// The listed segments, oldest first.
    pub fn listed(&self) -> impl DoubleEndedIterator<Item = &Segment> + ExactSizeIterator {
        self.segments.range(self.listed_from..).map(|segment| &**segment)
    }

    /// The newest segment: complete, or with at least one part.
    pub fn last(&self) -> Option<&Segment> {
        self.segments.back().map(|segment| &**segment)
    }

    /// Number of the newest complete segment.
    pub fn last_complete(&self) -> Option<u64> {
        self.segments.iter().rev().find(|segment| segment.complete()).map(|segment| segment.msn)
    }

    /// Segment and index of the part that comes next.
    pub fn next_part(&self) -> Option<(u64, usize)> {
        let last = self.last()?;
        Some(if last.complete() { (last.msn + 1, 0) } else { (last.msn, last.parts.len()) })
    }

    /// Any segment still kept.
    pub fn segment(&self, msn: u64) -> Option<&Segment> {
        // Numbers only have holes where media was lost, so the search is nearly an index.
        let at = self.segments.binary_search_by_key(&msn, |segment| segment.msn).ok()?;
        self.segments.get(at).map(|segment| &**segment)
    }

    /// The init segment of that name, if a kept segment uses it.
    pub fn init(&self, name: u64) -> Option<&Arc<Init>> {
        self.segments.iter().rev().map(|segment| &segment.init).find(|init| init.name == name)
    }

    fn begin(&mut self, head: Head, init: Arc<Init>) {
        let first = u64::from(head.session.saturating_sub(1));
        let discontinuities = match self.last().map(|last| (last.msn, last.discontinuities)) {
            // Sessions count from 1 on every node, so a packager that joins late agrees on the number.
            None => first,
            Some((msn, before)) if msn + 1 == head.msn => before + u64::from(head.discontinuity),
            Some((_, before)) => {
                // A playlist cannot skip a number: what is before the hole is not listed any more.
                self.listed_from = self.segments.len();
                first.max(before + 1)
            }
        };
        self.independent &= head.independent;
        self.segments.push_back(Arc::new(Segment::new(head, init, discontinuities)));
    }

    fn finish(&mut self) {
        let Some(segment) = self.segments.back_mut() else { return };
        let segment = Arc::make_mut(segment);
        segment.finish();
        let rate = segment.bytes() as u128 * 8 * 1_000_000 / segment.duration_us().max(1) as u128;
        self.peak_bps = self.peak_bps.max(u64::try_from(rate).unwrap_or(u64::MAX));
        self.trim();
    }

    fn trim(&mut self) {
        let window_us = timing::us(self.config.window);
        let mut listed_us: i64 = self.listed().map(Segment::duration_us).sum();
        while let Some(first) = self.segments.get(self.listed_from) {
            let without_us = listed_us - first.duration_us();
            if without_us < window_us {
                break;
            }
            listed_us = without_us;
            self.listed_from += 1;
        }
        let kept_us = timing::us(self.config.kept);
        let mut unlisted_us: i64 = self.segments.range(..self.listed_from).map(|segment| segment.duration_us()).sum();
        let mut bytes: usize = self.segments.iter().map(|segment| segment.held()).sum();
        while let Some(first) = self.segments.front() {
            let over = bytes > self.config.max_bytes && self.segments.len() > FEWEST;
            let unneeded = self.listed_from > 0 && unlisted_us - first.duration_us() >= kept_us;
            // Once: a player may have the transport stream made meanwhile.
            let held = first.held().min(bytes);
            if !over && !unneeded {
                break;
            }
            unlisted_us -= first.duration_us();
            bytes -= held;
            self.segments.pop_front();
            self.listed_from = self.listed_from.saturating_sub(1);
        }
    }
}
