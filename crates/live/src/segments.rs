//! Where segments begin: one rule for the ingest, which numbers them, and for every packager, which cuts them.
//!
//! The numbers travel with the media ([`crate::Mark`]), so two nodes that package the same broadcast give the same segment the
//! same number, and numbers go on across publisher connections and restarts.

use std::time::Duration;

/// A segment that has lasted this long ends at the next keyframe: short groups are gathered, so that a playlist stays short.
const SHORTEST: Duration = Duration::from_millis(950);

/// A segment that has lasted this long ends at the next frame, keyframe or not.
///
/// Also the HLS TARGETDURATION. 4 s leaves every common setting alone (OBS and phones send a keyframe each 1 to 4 s) and splits
/// what x264's own default (250 frames, 8.3 s at 30 Hz) would make, rather than having every player hold back 3 x 9 s.
pub const TARGET: Duration = Duration::from_secs(4);

/// The running count of segments of a broadcast.
#[derive(Clone, Copy, Debug)]
pub struct Segments {
    number: u64,
    start_dts_us: Option<i64>,
    /// A segment that a split began cannot be decoded alone: the next keyframe ends it, however short it is.
    split: bool,
}

/// What one frame of the lead track is to the segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The segment the frame belongs to: an HLS media sequence number.
    pub number: u64,
    /// Whether the frame is the segment's first.
    pub starts: bool,
}

impl Segments {
    /// Counts from `first`, the number of the first segment to come.
    pub fn new(first: u64) -> Self {
        Self { number: first, start_dts_us: None, split: false }
    }

    /// Goes on from a group start that is also a segment start, as a packager that joins there does.
    pub fn resume(number: u64) -> Self {
        Self::new(number)
    }

    /// Places the next frame of the lead track, by its decode time in microseconds.
    ///
    /// `broken` says that the frame does not continue the one before (another publisher connection, another format).
    pub fn place(&mut self, dts_us: i64, keyframe: bool, broken: bool) -> Place {
        let Some(start) = self.start_dts_us else {
            self.start_dts_us = Some(dts_us);
            return Place { number: self.number, starts: true };
        };
        let lasted_us = dts_us.saturating_sub(start);
        let full = lasted_us >= TARGET.as_micros() as i64;
        let long_enough = lasted_us >= SHORTEST.as_micros() as i64;
        let starts = broken || full || (keyframe && (long_enough || self.split));
        if starts {
            self.number += 1;
            self.start_dts_us = Some(dts_us);
            self.split = !keyframe;
        }
        Place { number: self.number, starts }
    }

    /// The number that a next session starts with.
    pub fn next_number(&self) -> u64 {
        self.number + u64::from(self.start_dts_us.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn starts(fps: i64, gop: i64, frames: i64) -> Vec<i64> {
        let mut segments = Segments::new(7);
        (0..frames).filter(|n| segments.place(n * 1_000_000 / fps, n % gop == 0, false).starts).collect()
    }

    #[test]
    fn a_two_second_gop_is_a_segment() {
        assert_eq!(starts(30, 60, 200), [0, 60, 120, 180]);
    }

    #[test]
    fn short_gops_are_gathered_to_about_a_second() {
        assert_eq!(starts(30, 10, 100), [0, 30, 60, 90]);
    }

    #[test]
    fn a_long_gop_is_split_at_the_target_duration() {
        assert_eq!(starts(30, 250, 400), [0, 120, 240, 250, 370]);
    }
}
