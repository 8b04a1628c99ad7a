//! Where parts end: decided from the lead track alone (video, or audio when there is no video).
//!
//! A part ends before the frame that would make it longer than the part target, and at every segment start. A frame is in the
//! part in which it ends, so a part never lasts longer than the target. Pure; the audio beside video is put in later, by
//! [`super::segmenter`].
//!
//! ```text
//! frames (33 ms)   |--|--|--|--|--|--|--|--|--|--|--|--|--|        target 210 ms
//! parts            |-----------------|-----------------|           cut at the frame, 200 ms
//! frames (150 ms)  |------------|------------|------------|
//! parts            |-----------------|-----------------|           no frame ends in 179..210 ms: cut at 210 ms
//! ```

use live::Frame;

/// A part is at least this share of the target, unless it is its segment's last (draft-pantos-hls-rfc8216bis, EXT-X-PART).
pub(super) const FLOOR_PERCENT: i64 = 85;

/// How far one track may be behind the other before parts go on without it.
///
/// Encoders interleave their tracks within some tens of milliseconds; a quarter of a second is what a track may be late before
/// waiting for it would be worse for every viewer than a part without it. Whoever stays within it gets the same parts from
/// every packager.
pub(super) const LAG_US: i64 = 250_000;

/// Duration assumed for a last frame that has no neighbour to learn from.
const USUAL_FRAME_US: i64 = 33_333;

/// A part is never empty of time.
const SHORTEST_US: i64 = 1_000;

/// Rounded down, the time of two frames closer than this could be the same tick (1/90 ms).
const TICK_US: i64 = 12;

/// The beginning of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Media sequence number.
    pub msn: u64,
    /// Counts publisher sessions (`live::Mark::session`).
    pub session: u32,
    /// Whether the segment does not continue the one before.
    pub discontinuity: bool,
    /// Whether decoding can start with the segment.
    pub independent: bool,
    /// Decode time of the first frame, microseconds of media time.
    pub start_us: i64,
    /// From its decode to its presentation.
    pub shift_us: i64,
    /// Wall time of capture of the first frame, microseconds since 1970.
    pub captured_us: i64,
}

/// A lead frame whose duration is known.
#[derive(Clone, Debug)]
pub(super) struct Timed {
    pub frame: Frame,
    pub end_us: i64,
}

/// A part without the audio beside its video.
#[derive(Clone, Debug)]
pub(super) struct Planned {
    /// Set when the part begins a segment.
    pub head: Option<Head>,
    pub msn: u64,
    pub index: u32,
    pub start_us: i64,
    pub end_us: i64,
    /// Audio earlier than this belongs to the part or to one before.
    pub audio_end_us: i64,
    pub frames: Vec<Timed>,
    /// Whether the part ends its segment.
    pub last: bool,
}

/// Cuts the lead track.
#[derive(Debug)]
pub(super) struct Planner {
    part_us: i64,
    /// The longest a segment may be: the target duration.
    segment_us: i64,
    open: Option<Open>,
}

/// The segment being cut.
#[derive(Debug)]
struct Open {
    head: Option<Head>,
    msn: u64,
    start_us: i64,
    shift_us: i64,
    index: u32,
    part_start_us: i64,
    /// Frames that end in the open part.
    ready: Vec<Timed>,
    /// The newest frame: its duration is known when the next one comes.
    pending: Frame,
    /// Duration of the frame before.
    pace_us: Option<i64>,
}

impl Planner {
    pub fn new(part_us: i64, segment_us: i64) -> Self {
        Self { part_us, segment_us, open: None }
    }

    /// Begins a segment with `frame`, which also ends the open one.
    pub fn begin(&mut self, mut head: Head, mut frame: Frame, out: &mut Vec<Planned>) {
        if let Some(mut open) = self.open.take() {
            space(&open.pending, &mut frame);
            head.start_us = frame.dts_us;
            let too_long = frame.dts_us - open.start_us >= self.segment_us + 500_000;
            if too_long {
                // The lead track stood still over the end that the target duration sets: the hole is in no segment.
                let end_us = open.start_us + self.segment_us;
                open.close(self.part_us, end_us, end_us + open.shift_us, out);
                head.discontinuity = true;
            } else {
                open.close(self.part_us, frame.dts_us, frame.dts_us + head.shift_us, out);
            }
        }
        self.open = Some(Open {
            head: Some(head),
            msn: head.msn,
            start_us: head.start_us,
            shift_us: head.shift_us,
            index: 0,
            part_start_us: head.start_us,
            ready: Vec::new(),
            pending: frame,
            pace_us: None,
        });
    }

    /// Goes on in the open segment; frames that belong to none are dropped.
    pub fn follow(&mut self, mut frame: Frame, out: &mut Vec<Planned>) {
        let Some(open) = &mut self.open else { return };
        space(&open.pending, &mut frame);
        if frame.keyframe {
            open.shift_us = frame.pts_us - frame.dts_us;
        }
        let now_us = frame.dts_us;
        open.cut_until(self.part_us, now_us, out);
        let pace_us = open.advance(now_us, frame);
        let lasted_us = now_us - open.part_start_us;
        // Looks one frame ahead by the pace of the last, so that a part is out when its last frame's duration is known.
        if lasted_us + pace_us > self.part_us && lasted_us >= floor(self.part_us) {
            open.cut(now_us, now_us + open.shift_us, false, out);
        }
    }

    /// The audio time at which the open part is overdue, should no further lead frame come.
    pub fn overdue_us(&self) -> Option<i64> {
        self.open.as_ref().map(|open| open.part_start_us + self.part_us + open.shift_us + LAG_US)
    }

    /// Ends the open part without waiting for the lead track. True when that also ended the segment, whose time is up.
    pub fn force(&mut self, out: &mut Vec<Planned>) -> bool {
        let Some(open) = &mut self.open else { return false };
        let part_end_us = open.part_start_us + self.part_us;
        let segment_end_us = open.start_us + self.segment_us;
        if part_end_us < segment_end_us {
            open.cut(part_end_us, part_end_us + open.shift_us, false, out);
            return false;
        }
        open.close(self.part_us, segment_end_us, segment_end_us + open.shift_us, out);
        self.open = None;
        true
    }

    /// Ends the open segment: nothing continues it. Audio that trails within the allowed lag still belongs to it.
    pub fn finish(&mut self, out: &mut Vec<Planned>) {
        let Some(mut open) = self.open.take() else { return };
        let last_us = open.pace_us.unwrap_or(USUAL_FRAME_US).min(self.part_us);
        let end_us = (open.pending.dts_us + last_us).min(open.start_us + self.segment_us + 499_000);
        open.close(self.part_us, end_us, end_us + open.shift_us + LAG_US, out);
    }
}

impl Open {
    /// Ends parts while `now_us` is beyond the open one: before the frame that would cross its end, or at the target.
    fn cut_until(&mut self, part_us: i64, now_us: i64, out: &mut Vec<Planned>) {
        while now_us - self.part_start_us > part_us {
            let before_us = self.pending.dts_us;
            let lasted_us = before_us - self.part_start_us;
            let at_frame = (floor(part_us)..=part_us).contains(&lasted_us);
            let end_us = if at_frame { before_us } else { self.part_start_us + part_us };
            self.cut(end_us, end_us + self.shift_us, false, out);
        }
    }

    /// The pending frame lasts until `next`; gives its duration.
    fn advance(&mut self, end_us: i64, next: Frame) -> i64 {
        let frame = std::mem::replace(&mut self.pending, next);
        let pace_us = end_us - frame.dts_us;
        self.ready.push(Timed { frame, end_us });
        self.pace_us = Some(pace_us);
        pace_us
    }

    /// Ends the segment at `end_us`.
    fn close(&mut self, part_us: i64, end_us: i64, audio_end_us: i64, out: &mut Vec<Planned>) {
        self.cut_until(part_us, end_us, out);
        let frame = self.pending.clone();
        let frame_end_us = end_us.max(frame.dts_us + SHORTEST_US);
        self.ready.push(Timed { frame, end_us: frame_end_us });
        let end_us = end_us.max(self.part_start_us + SHORTEST_US);
        self.cut(end_us, audio_end_us, true, out);
    }

    fn cut(&mut self, end_us: i64, audio_end_us: i64, last: bool, out: &mut Vec<Planned>) {
        out.push(Planned {
            head: self.head.take(),
            msn: self.msn,
            index: self.index,
            start_us: self.part_start_us,
            end_us,
            audio_end_us,
            frames: std::mem::take(&mut self.ready),
            last,
        });
        self.index += 1;
        self.part_start_us = end_us;
    }
}

fn floor(part_us: i64) -> i64 {
    part_us * FLOOR_PERCENT / 100
}

/// Keeps decode times apart by more than the rounding to ticks.
fn space(before: &Frame, frame: &mut Frame) {
    frame.dts_us = frame.dts_us.max(before.dts_us + TICK_US);
    frame.pts_us = frame.pts_us.max(frame.dts_us);
}
