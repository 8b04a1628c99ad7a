//! From the frames of a broadcast to segments and parts. Pure: the same groups give the same bytes, wherever and whenever.
//!
//! Segments begin where the marks of the groups say ([`live::Mark`]) and, within a long group, where [`live::Segments`] says;
//! both count media sequence numbers, so numbers are never chosen here. The lead track is cut by [`super::planner`]; here the
//! audio beside video joins it. A part waits until the audio has reached its end, at most until audio is [`LAG_US`]
//! behind.

use std::collections::VecDeque;
use std::sync::Arc;

use live::{Format, Frame, Kind, Mark, Segments};

use super::fmp4::{Init, InitError};
use super::part::{self, Part};
use super::planner::{Head, LAG_US, Planned, Planner};

/// Audio may be this much early, and still counts as on time: its times were rounded to samples, down to 8000 a second.
const ROUNDING_US: i64 = 150;

/// Audio that no segment has claimed yet is kept for this long: more than any lag that is waited for, less than a segment.
const AUDIO_KEPT_US: i64 = 2_000_000;

/// What packaging gives, in order: `Begin`, its `Part`s, `End`, and again.
#[derive(Clone, Debug)]
pub enum Output {
    /// A segment begins; its first part follows at once.
    Begin(Head, Arc<Init>),
    Part(Part),
    /// The segment is complete.
    End,
}

/// Packages one broadcast.
#[derive(Debug)]
pub struct Segmenter {
    init: Option<Arc<Init>>,
    planner: Planner,
    planned: VecDeque<Planned>,
    /// Set while segments are known to begin where this packager thinks they do.
    following: Option<Following>,
    /// Number and session of the newest segment.
    newest: Option<(u64, u32)>,
    /// Something was left out since the newest segment: the next one does not continue it.
    broken: bool,
    /// Decode time of the newest lead frame.
    lead_us: i64,
    audio: VecDeque<Frame>,
    /// Audio earlier than this was left out with what came before.
    audio_floor_us: i64,
    /// End of the newest audio frame.
    audio_us: i64,
}

/// The running place in the broadcast's segments.
#[derive(Debug)]
struct Following {
    segments: Segments,
    mark: Mark,
    /// Decode time of the mark's frame, and from there to its presentation.
    mark_us: i64,
    shift_us: i64,
}

impl Segmenter {
    /// `part_us` is the part target and `segment_us` the target duration, both fixed for the life of the broadcast.
    pub fn new(part_us: i64, segment_us: i64) -> Self {
        Self {
            init: None,
            planner: Planner::new(part_us, segment_us),
            planned: VecDeque::new(),
            following: None,
            newest: None,
            broken: false,
            lead_us: i64::MIN,
            audio: VecDeque::new(),
            audio_floor_us: i64::MIN,
            audio_us: i64::MIN,
        }
    }

    /// The frames that follow are coded so. Frames are dropped while the format is not usable.
    pub fn format(&mut self, format: &Format, out: &mut Vec<Output>) -> Result<(), InitError> {
        if self.init.as_ref().is_some_and(|init| init.format == *format) {
            return Ok(());
        }
        self.interrupted(out);
        self.audio.clear();
        self.init = None;
        self.init = Some(Arc::new(Init::new(format)?));
        Ok(())
    }

    /// Takes a frame. Tracks come in their own decode order, about as interleaved as they were sent.
    pub fn frame(&mut self, frame: Frame, out: &mut Vec<Output>) {
        let Some(init) = &self.init else { return };
        let lead = if init.format.video.is_some() { Kind::Video } else { Kind::Audio };
        if frame.kind == lead {
            self.lead(frame, out);
        } else if frame.kind == Kind::Audio && init.format.audio.is_some() {
            self.beside(frame, out);
        }
    }

    /// The media stops here: what is open ends, and the next segment does not continue it.
    pub fn interrupted(&mut self, out: &mut Vec<Output>) {
        self.plan(|planner, planned| planner.finish(planned));
        self.drain(true, out);
        self.following = None;
        self.broken = true;
    }

    fn lead(&mut self, frame: Frame, out: &mut Vec<Output>) {
        match self.place(&frame) {
            Place::Begins(msn) => self.begin(msn, frame, out),
            Place::Continues => {
                self.lead_us = frame.dts_us;
                self.plan(|planner, planned| planner.follow(frame, planned));
            }
            Place::Waiting => {}
            Place::Lost => self.interrupted(out),
        }
        self.drain(false, out);
    }

    /// Finds a lead frame's place in the broadcast's segments.
    fn place(&mut self, frame: &Frame) -> Place {
        let Some(mark) = frame.mark.filter(|mark| mark.starts_segment) else { return self.place_within(frame) };
        if self.newest.is_some_and(|(newest, _)| mark.segment <= newest) {
            // Read again from a place before the one reached, after a lost subscription.
            return if self.following.take().is_some() { Place::Lost } else { Place::Waiting };
        }
        let mut segments = Segments::resume(mark.segment);
        segments.place(frame.dts_us, frame.keyframe, false);
        let shift_us = frame.pts_us - frame.dts_us;
        self.following = Some(Following { segments, mark, mark_us: frame.dts_us, shift_us });
        Place::Begins(mark.segment)
    }

    /// Finds the place of a frame that no mark says to begin a segment.
    fn place_within(&mut self, frame: &Frame) -> Place {
        let Some(following) = &mut self.following else { return Place::Waiting };
        let place = following.segments.place(frame.dts_us, frame.mark.is_some() && frame.keyframe, false);
        let Some(mark) = frame.mark else {
            return if place.starts { Place::Begins(place.number) } else { Place::Continues };
        };
        let agreed = !place.starts && mark.segment == place.number && mark.session == following.mark.session;
        if !agreed {
            // Groups are missing in between: wait for a group that begins a segment.
            return Place::Lost;
        }
        following.mark = mark;
        following.mark_us = frame.dts_us;
        following.shift_us = frame.pts_us - frame.dts_us;
        Place::Continues
    }

    fn begin(&mut self, msn: u64, frame: Frame, out: &mut Vec<Output>) {
        let Some(following) = &self.following else { return };
        let session = following.mark.session;
        let continues =
            !self.broken && self.newest.is_none_or(|(newest, before)| newest + 1 == msn && before == session);
        let head = Head {
            msn,
            session,
            discontinuity: self.newest.is_some() && !continues,
            independent: frame.keyframe,
            start_us: frame.dts_us,
            shift_us: following.shift_us,
            captured_us: following.mark.captured.unix_us + (frame.dts_us - following.mark_us),
        };
        if !continues || self.newest.is_none() {
            self.plan(|planner, planned| planner.finish(planned));
            self.drain(true, out);
            self.audio_floor_us = head.start_us + head.shift_us;
            self.audio.retain(|audio| !before(audio, self.audio_floor_us));
        }
        self.broken = false;
        self.newest = Some((msn, session));
        self.lead_us = frame.dts_us;
        self.plan(|planner, planned| planner.begin(head, frame, planned));
    }

    /// Takes an audio frame beside video.
    fn beside(&mut self, frame: Frame, out: &mut Vec<Output>) {
        let Some(audio) = self.init.as_ref().and_then(|init| init.format.audio.clone()) else { return };
        let newest_us = self.audio.back().map_or(i64::MIN, |last| last.pts_us);
        if before(&frame, self.audio_floor_us) || frame.pts_us <= newest_us {
            return;
        }
        self.audio_us = frame.pts_us + frame_us(audio.samples_per_frame, audio.rate);
        let kept_from_us = frame.pts_us - AUDIO_KEPT_US;
        self.audio.push_back(frame);
        while self.planned.is_empty() && self.planner.overdue_us().is_some_and(|due_us| self.audio_us >= due_us) {
            let mut ended = false;
            self.plan(|planner, planned| ended = planner.force(planned));
            self.broken |= ended;
            self.drain(false, out);
        }
        if self.planner.overdue_us().is_none() && self.planned.is_empty() {
            while self.audio.front().is_some_and(|audio| audio.pts_us < kept_from_us) {
                self.audio.pop_front();
            }
        }
        self.drain(false, out);
    }

    fn plan(&mut self, step: impl FnOnce(&mut Planner, &mut Vec<Planned>)) {
        let mut planned = Vec::new();
        step(&mut self.planner, &mut planned);
        self.planned.extend(planned);
    }

    /// Gives out the parts that are complete; with `all`, those that still wait for audio too.
    fn drain(&mut self, all: bool, out: &mut Vec<Output>) {
        let Some(init) = self.init.clone() else { return };
        let waits = init.format.video.is_some() && init.format.audio.is_some();
        while let Some(part) = self.planned.front() {
            let heard = self.audio_us + ROUNDING_US >= part.audio_end_us || self.lead_us >= part.end_us + LAG_US;
            if waits && !heard && !all {
                return;
            }
            let Some(part) = self.planned.pop_front() else { return };
            if let Some(head) = part.head.filter(|head| head.discontinuity) {
                let left_out = self.audio.partition_point(|audio| before(audio, head.start_us + head.shift_us));
                self.audio.drain(..left_out);
            }
            let split = self.audio.partition_point(|audio| before(audio, part.audio_end_us));
            let audio: Vec<Frame> = self.audio.drain(..split).collect();
            if let Some(head) = part.head {
                out.push(Output::Begin(head, init.clone()));
            }
            let last = part.last;
            out.push(Output::Part(part::assemble(&init, part, &audio)));
            if last {
                out.push(Output::End);
            }
        }
    }
}

/// Whether an audio frame begins before a boundary.
fn before(audio: &Frame, boundary_us: i64) -> bool {
    audio.pts_us + ROUNDING_US < boundary_us
}

/// What a lead frame is to the segments.
enum Place {
    Begins(u64),
    Continues,
    /// No segment start has been seen yet.
    Waiting,
    /// The frame does not follow from what was seen.
    Lost,
}

/// Duration of an audio frame in microseconds, rounded up so that contiguous frames meet.
fn frame_us(samples: u32, rate: u32) -> i64 {
    (u64::from(samples) * 1_000_000).div_ceil(u64::from(rate.max(1))) as i64
}
