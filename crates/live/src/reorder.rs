//! Decode time stamps from presentation time stamps in decode order.
//!
//! A frame of the media model has no DTS. With a reorder depth of d, the DTS of the k-th frame is the (k-d)-th smallest PTS so
//! far; the first d are extrapolated backwards. Exact for every encoder that spends one DTS slot a frame.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The reorder queue of one run of frames.
#[derive(Clone, Debug)]
pub struct Reorder {
    depth: usize,
    waiting: BinaryHeap<Reverse<i64>>,
    last_dts_us: Option<i64>,
}

impl Reorder {
    /// Starts a run whose first frame is a keyframe at `first_pts_us`.
    ///
    /// `frame_us` is the nominal frame duration that spaces the extrapolated first stamps.
    pub fn start(depth: u8, first_pts_us: i64, frame_us: i64) -> Self {
        let depth = usize::from(depth);
        let ahead = (1..=depth).map(|k| Reverse(first_pts_us - k as i64 * frame_us));
        Self { depth, waiting: ahead.collect(), last_dts_us: None }
    }

    /// Continues a run at a group start from what [`Reorder::waiting`] said there.
    pub fn resume(waiting_us: &[i64]) -> Self {
        Self { depth: waiting_us.len(), waiting: waiting_us.iter().copied().map(Reverse).collect(), last_dts_us: None }
    }

    /// Takes over the state of the ingest at a group start, so that a lost frame upsets no more than its own group.
    pub(crate) fn align(&mut self, waiting_us: &[i64]) {
        self.depth = waiting_us.len();
        self.waiting = waiting_us.iter().copied().map(Reverse).collect();
    }

    /// The stamps not yet given out, smallest first: the state another node needs to go on from here.
    pub fn waiting(&self) -> Vec<i64> {
        let mut stamps: Vec<i64> = self.waiting.iter().map(|Reverse(pts)| *pts).collect();
        stamps.sort_unstable();
        stamps
    }

    /// The DTS of the next frame in decode order, in the unit of its PTS. Never above the PTS, always above the DTS before.
    pub fn push(&mut self, pts_us: i64) -> i64 {
        self.waiting.push(Reverse(pts_us));
        let Reverse(smallest) = self.waiting.pop().expect("just pushed");
        debug_assert!(self.waiting.len() == self.depth);
        // A gap in the stream can leave stamps behind the last one given out; decoders need them to move on.
        let dts = self.last_dts_us.map_or(smallest, |last| smallest.max(last + 1)).min(pts_us);
        self.last_dts_us = Some(dts);
        dts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME_US: i64 = 33_333;

    fn run(depth: u8, shown: &[i64]) -> Vec<i64> {
        let mut reorder = Reorder::start(depth, shown[0] * FRAME_US, FRAME_US);
        shown.iter().map(|n| reorder.push(n * FRAME_US)).collect()
    }

    #[test]
    fn without_b_frames_decode_time_is_presentation_time() {
        assert_eq!(run(0, &[0, 1, 2, 3]), [0, FRAME_US, 2 * FRAME_US, 3 * FRAME_US]);
    }

    #[test]
    fn a_pyramid_keeps_one_slot_a_frame() {
        // I0 P4 B2 b1 b3 P8 B6 b5 b7, reorder depth 2.
        let dts = run(2, &[0, 4, 2, 1, 3, 8, 6, 5, 7]);
        assert_eq!(dts, (-2..7).map(|n| n * FRAME_US).collect::<Vec<_>>());
    }

    #[test]
    fn decode_time_never_passes_presentation_time_when_frames_are_missing() {
        let shown = [0, 4, 2, 1, 3, 60, 58, 57, 59];
        let dts = run(2, &shown);
        for (dts, pts) in dts.iter().zip(shown) {
            assert!(*dts <= pts * FRAME_US);
        }
        assert!(dts.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn resuming_at_a_group_start_gives_the_same_stamps() {
        let shown = [0, 4, 2, 1, 3, 8, 6, 5, 7, 9, 13, 11, 10, 12];
        let mut whole = Reorder::start(2, 0, FRAME_US);
        let stamps: Vec<i64> = shown[..9].iter().map(|n| whole.push(n * FRAME_US)).collect();
        assert_eq!(stamps.len(), 9);
        let mut joined = Reorder::resume(&whole.waiting());
        for n in &shown[9..] {
            assert_eq!(joined.push(n * FRAME_US), whole.push(n * FRAME_US));
        }
    }
}
