//! Checks the media playlists of a server, one after the other, as a player would meet them.
//!
//! Most mistakes of HLS servers are between two playlists, not in one. The numbers of the rules are those that `tests` of this
//! module explain; each is of draft-pantos-hls-rfc8216bis or a lesson from players.

mod parse;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use parse::{Part, Playlist, Report, Segment};

/// Sums of durations may be off by their rounding.
const ROUNDING_US: i64 = 2_000;

/// Wall time and media time may differ by this between two segments: millisecond stamps, and the jitter of a device's clock.
const DRIFT_MS: i64 = 60;

/// A rule that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub rule: u8,
    pub what: String,
}

/// What a player remembers of a broadcast.
#[derive(Debug, Default)]
pub struct Validator {
    /// The last playlist, with what delta updates left out put back.
    last: Option<Playlist>,
    violations: Vec<Violation>,
}

impl Validator {
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the answer to a request that was made at `asked` and answered at `got`, on any clock. Gives the rules it breaks.
    pub fn playlist(&mut self, asked: Duration, got: Duration, text: &str) -> Vec<Violation> {
        let mut list = Playlist::parse(text);
        self.check(16, list.errors.is_empty(), || list.errors.join("; "));
        let limit = Duration::from_secs(3 * list.target_duration_s.unwrap_or(0)) + Duration::from_millis(100);
        self.check(8, got.saturating_sub(asked) <= limit, || format!("answered after {:?}", got.saturating_sub(asked)));
        self.head(&list);
        if let Some(last) = self.last.take() {
            self.constants(&last, &list);
            self.restore(&last, &mut list);
            self.progress(&last, &list);
        } else {
            self.check(9, list.skipped.is_none(), || "EXT-X-SKIP in the first playlist".into());
        }
        list.segments.iter().for_each(|segment| self.segment(&list, segment));
        list.segments.windows(2).for_each(|pair| self.clock(&pair[0], &pair[1]));
        self.tail(&list);
        self.last = Some(list);
        std::mem::take(&mut self.violations)
    }

    /// The playlist as it stands, delta updates applied.
    pub fn current(&self) -> Option<&Playlist> {
        self.last.as_ref()
    }

    fn check(&mut self, rule: u8, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.violations.push(Violation { rule, what: what() });
        }
    }

    fn head(&mut self, list: &Playlist) {
        self.check(3, list.target_duration_s.is_some(), || "no TARGETDURATION".into());
        let target_us = list.target_duration_s.unwrap_or(0) as i64 * 1_000_000;
        if let Some(part_us) = list.part_target_us {
            let hold_us = list.part_hold_back_us.unwrap_or(0);
            self.check(4, hold_us >= 3 * part_us, || format!("PART-HOLD-BACK {hold_us} us is under 3 x {part_us}"));
        }
        if let Some(skip_us) = list.can_skip_until_us {
            self.check(9, skip_us >= 6 * target_us, || format!("CAN-SKIP-UNTIL {skip_us} us is under 6 x {target_us}"));
        }
        self.check(9, list.skipped != Some(0), || "EXT-X-SKIP skips nothing".into());
        let version = if list.skipped.is_some() { 9 } else { 6 };
        self.check(16, list.version >= version, || format!("VERSION {} is under {version}", list.version));
        for Report { uri, last_msn, last_part } in &list.reports {
            let relative = !uri.contains("://") && !uri.starts_with('/');
            self.check(11, relative && last_msn.is_some() && last_part.is_some(), || format!("report of {uri}"));
        }
    }

    fn constants(&mut self, last: &Playlist, list: &Playlist) {
        let same = last.part_target_us == list.part_target_us && last.part_hold_back_us == list.part_hold_back_us;
        self.check(2, same, || "PART-TARGET or PART-HOLD-BACK changed".into());
        self.check(2, last.can_skip_until_us == list.can_skip_until_us, || "CAN-SKIP-UNTIL changed".into());
        self.check(3, last.target_duration_s == list.target_duration_s, || "TARGETDURATION changed".into());
    }

    /// Puts back what a delta update left out.
    fn restore(&mut self, last: &Playlist, list: &mut Playlist) {
        let Some(skipped) = list.skipped.take() else { return };
        let range = list.media_sequence..list.media_sequence + skipped;
        let mut known: Vec<_> = last.segments.iter().filter(|segment| range.contains(&segment.msn)).cloned().collect();
        self.check(9, known.len() as u64 == skipped, || format!("skips {skipped} segments, {} are known", known.len()));
        let boundary_us = list.can_skip_until_us.unwrap_or(0);
        self.check(9, list.duration_us() >= boundary_us, || "skips segments after the skip boundary".into());
        let before = known.last().map_or(list.discontinuity_sequence, |last| last.discontinuities);
        let (mut count, mut map) = (before, known.last().and_then(|last| last.map.clone()));
        for segment in &mut list.segments {
            count += u64::from(segment.discontinuity);
            segment.discontinuities = count;
            map = segment.map.take().or(map);
            segment.map.clone_from(&map);
        }
        known.append(&mut list.segments);
        list.segments = known;
    }

    /// What may change from one playlist to the next: segments leave at the front, parts and segments come at the end.
    fn progress(&mut self, last: &Playlist, list: &Playlist) {
        let first = list.media_sequence;
        self.check(14, !last.ended || *last == *list, || "changed after ENDLIST".into());
        self.check(14, first >= last.media_sequence, || format!("MEDIA-SEQUENCE went back to {first}"));
        self.check(13, list.discontinuity_sequence >= last.discontinuity_sequence, || {
            "DISCONTINUITY-SEQUENCE went back".into()
        });
        let next = last.segments.last().map_or(first, |segment| segment.msn + 1);
        self.check(14, first <= next, || format!("segments {next} to {first} were never listed"));
        for old in last.segments.iter().filter(|segment| segment.msn >= first) {
            match list.segments.iter().find(|segment| segment.msn == old.msn) {
                Some(new) => self.same_segment(old, new),
                None => self.check(14, false, || format!("segment {} is gone without being counted", old.msn)),
            }
        }
        self.hint_kept(last, list);
    }

    fn same_segment(&mut self, old: &Segment, new: &Segment) {
        let msn = old.msn;
        self.check(13, old.discontinuities == new.discontinuities, || {
            format!("segment {msn} changed its discontinuity number")
        });
        self.check(13, old.map == new.map, || format!("segment {msn} changed its MAP"));
        self.check(15, old.date_ms == new.date_ms, || format!("segment {msn} changed its PROGRAM-DATE-TIME"));
        self.check(14, old.whole.is_none() || old.whole == new.whole, || format!("segment {msn} changed"));
        // The parts of a complete segment may leave together, no sooner than three target durations from the end.
        let dropped = new.parts.is_empty() && new.whole.is_some();
        let kept = dropped || new.parts.starts_with(&old.parts);
        self.check(14, kept, || format!("parts of segment {msn} changed"));
        let closed = old.whole.is_none() || dropped || new.parts.len() == old.parts.len();
        self.check(14, closed, || format!("complete segment {msn} got another part"));
    }

    fn hint_kept(&mut self, last: &Playlist, list: &Playlist) {
        let Some(hint) = &last.hint else { return };
        let Some(newest) = last.segments.last() else { return };
        let after = list.segments.iter().filter(|segment| segment.msn >= newest.msn);
        let known = if newest.whole.is_some() { usize::MAX } else { newest.parts.len() };
        let part = after.flat_map(|segment| {
            let skip = if segment.msn == newest.msn { known } else { 0 };
            segment.parts.iter().skip(skip)
        });
        if let Some(part) = part.into_iter().next() {
            self.check(10, part.uri == *hint, || format!("hinted at {hint}, then came {}", part.uri));
        }
    }

    fn segment(&mut self, list: &Playlist, segment: &Segment) {
        let msn = segment.msn;
        self.check(13, !segment.late_tags, || format!("segment {msn} has tags after its first part"));
        self.check(16, segment.map.is_some(), || format!("segment {msn} has no MAP"));
        self.check(15, segment.date_ms.is_some(), || format!("segment {msn} has no PROGRAM-DATE-TIME"));
        let target_us = list.target_duration_s.unwrap_or(0) as i64 * 1_000_000;
        let duration_us = segment.duration_us();
        self.check(3, duration_us < target_us + 500_000, || format!("segment {msn} lasts {duration_us} us"));
        if let Some(part_us) = list.part_target_us {
            self.parts(segment, part_us);
        }
    }

    fn parts(&mut self, segment: &Segment, part_us: i64) {
        let msn = segment.msn;
        for (n, part) in segment.parts.iter().enumerate() {
            let us = part.duration_us;
            self.check(1, us <= part_us, || format!("part {msn}.{n} lasts {us} us, more than {part_us}"));
            let last = segment.whole.is_some() && n + 1 == segment.parts.len();
            let before_gap = segment.parts.get(n + 1).is_some_and(|next| next.gap);
            // The newest part of a growing segment may turn out to be its last.
            let newest = segment.whole.is_none() && n + 1 == segment.parts.len();
            let waived = last || newest || part.independent || before_gap;
            self.check(1, waived || us * 100 >= part_us * 85, || {
                format!("part {msn}.{n} lasts {us} us, under 85 % of {part_us}")
            });
        }
        if let Some((whole_us, _)) = segment.whole.as_ref().filter(|_| !segment.parts.is_empty()) {
            let sum_us: i64 = segment.parts.iter().map(|part| part.duration_us).sum();
            let differ = (sum_us - whole_us).abs();
            self.check(12, differ <= ROUNDING_US, || {
                format!("parts of segment {msn} last {sum_us} us, EXTINF says {whole_us}")
            });
        }
    }

    fn clock(&mut self, before: &Segment, after: &Segment) {
        let (Some(from), Some(to)) = (before.date_ms, after.date_ms) else { return };
        if after.discontinuity {
            return;
        }
        let drift = to - from - before.duration_us() / 1000;
        self.check(15, drift.abs() <= DRIFT_MS, || {
            format!("PROGRAM-DATE-TIME of segment {} is off by {drift} ms", after.msn)
        });
    }

    fn tail(&mut self, list: &Playlist) {
        self.check(10, !list.ended || list.hint.is_none(), || "PRELOAD-HINT after ENDLIST".into());
        let Some(newest) = list.segments.last().filter(|_| list.part_target_us.is_some()) else { return };
        self.check(12, !newest.parts.is_empty(), || format!("PART-INF, but segment {} has no parts", newest.msn));
        self.check(10, list.ended || list.hint.is_some(), || "no PRELOAD-HINT".into());
        let listed =
            |hint: &String| list.segments.iter().flat_map(|segment| &segment.parts).any(|part| part.uri == *hint);
        self.check(10, !list.hint.as_ref().is_some_and(listed), || "the hinted part is listed".into());
    }
}
