//! From a planned part and the audio that belongs to it to bytes. Pure.

use bytes::Bytes;
use live::Frame;

use super::fmp4::{self, AUDIO_TRACK, Init, Reference, Sample, Track, VIDEO_TIMESCALE, VIDEO_TRACK};
use super::planner::{Planned, Timed};

/// Fragment numbers count parts, and leave each segment room for this many, so that they follow from the names alone.
const FRAGMENTS_PER_SEGMENT: u64 = 1000;

/// A partial segment.
#[derive(Clone, Debug)]
pub struct Part {
    pub duration_us: i64,
    /// Whether it has a frame that decoding can start with.
    pub independent: bool,
    /// Video frames in it, from which the frame rate is known where the bitstream is silent.
    pub frames: u32,
    pub body: Bytes,
}

/// Serialises a part with the audio that belongs to it.
pub(super) fn assemble(init: &Init, part: Planned, audio: &[Frame]) -> Part {
    let mut tracks = Vec::with_capacity(2);
    let lead =
        if init.format.video.is_some() { (VIDEO_TRACK, VIDEO_TIMESCALE) } else { (AUDIO_TRACK, audio_rate(init)) };
    let frames = part.frames.len() as u32;
    let independent = lead.0 == AUDIO_TRACK || part.frames.iter().any(|timed| timed.frame.keyframe);
    // A part between two slow frames still names its lead track when it has nothing else to say.
    if !part.frames.is_empty() || audio.is_empty() {
        tracks.push(lead_track(lead.0, lead.1, part.start_us, part.frames));
    }
    if !audio.is_empty() {
        tracks.push(audio_track(init, audio));
    }
    let reference = part.head.map(|head| Reference {
        track: lead.0,
        media_time: fmp4::ticks(head.start_us + head.shift_us, lead.1),
        unix_us: head.captured_us,
    });
    // Wraps after four million segments; players only look for a change.
    let sequence = part.msn.wrapping_mul(FRAGMENTS_PER_SEGMENT).wrapping_add(u64::from(part.index) + 1) as u32;
    Part {
        duration_us: part.end_us - part.start_us,
        independent,
        frames,
        body: fmp4::fragment(sequence, reference, &tracks),
    }
}

fn lead_track(id: u32, timescale: u32, start_us: i64, frames: Vec<Timed>) -> Track {
    let ticks = |time_us| fmp4::ticks(time_us, timescale);
    let sample = |Timed { frame, end_us }| {
        let dts = ticks(frame.dts_us);
        Sample {
            dts,
            composition: (ticks(frame.pts_us) - dts) as i32,
            duration: (ticks(end_us) - dts).max(1) as u32,
            sync: frame.keyframe,
            payload: frame.payload,
        }
    };
    let samples: Vec<_> = frames.into_iter().map(sample).collect();
    let start = samples.first().map_or_else(|| ticks(start_us), |sample: &Sample| sample.dts);
    Track { id, start, samples }
}

fn audio_track(init: &Init, audio: &[Frame]) -> Track {
    let rate = audio_rate(init);
    let usual = init.format.audio.as_ref().map_or(0, |audio| audio.samples_per_frame);
    let start_of = |frame: &Frame| fmp4::ticks(frame.pts_us, rate);
    let sample = |(n, frame): (usize, &Frame)| {
        let dts = start_of(frame);
        // A hole within the part is bridged by the frame before it; the last frame has its usual length.
        let duration = audio.get(n + 1).map_or(usual, |next| (start_of(next) - dts).max(1) as u32);
        Sample { dts, composition: 0, duration, sync: true, payload: frame.payload.clone() }
    };
    let samples: Vec<_> = audio.iter().enumerate().map(sample).collect();
    Track { id: AUDIO_TRACK, start: samples.first().map_or(0, |sample| sample.dts), samples }
}

fn audio_rate(init: &Init) -> u32 {
    init.format.audio.as_ref().map_or(VIDEO_TIMESCALE, |audio| audio.rate)
}
