//! From a publisher's own clock to the broadcast's media clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::Kind;

/// Media time of the instant a broadcast is created. Keeps every time stamp positive, the extrapolated ones too.
pub(crate) const LEAD: Duration = Duration::from_secs(10);

/// A publisher whose clock leaps by more than this did not mean one continuous run.
const LEAP_US: i64 = 3_000_000;

/// Nor did one whose track steps back by more than this. Less is a container that gives B-frames the times they are shown at.
const STEP_BACK_US: i64 = 1_000_000;

/// Audio may wander this far from its sample count (RTMP rounds to milliseconds) before it is set anew.
const AUDIO_SLACK_US: i64 = 50_000;

/// A device clock further off than this says nothing about delay; the time of arrival is the better guess.
const DEVICE_PAST_US: i64 = 10_000_000;
const DEVICE_FUTURE_US: i64 = 500_000;

/// Microseconds since 1970, now.
pub fn unix_us() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_micros() as i64)
}

/// Whether a device's stamp can be believed by a node whose clock says `now_us`.
pub(crate) fn plausible(stamp_us: i64, now_us: i64) -> bool {
    (now_us - DEVICE_PAST_US..=now_us + DEVICE_FUTURE_US).contains(&stamp_us)
}

/// The offset of one continuous run of a publisher.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Anchor {
    offset_us: i64,
    newest_dts_us: i64,
    /// The newest of video and of audio, which need not come in step.
    tracks_us: [i64; 2],
}

impl Anchor {
    /// Begins a run: the source time `source_us` is media time `media_us`.
    pub fn new(source_us: i64, media_us: i64) -> Self {
        Self { offset_us: media_us - source_us, newest_dts_us: source_us, tracks_us: [i64::MIN; 2] }
    }

    pub fn media_us(&self, source_us: i64) -> i64 {
        source_us.saturating_add(self.offset_us)
    }

    /// Follows the source's decode time; false when it leapt and a new run must begin.
    pub fn follow(&mut self, kind: Kind, dts_us: i64) -> bool {
        let track = &mut self.tracks_us[usize::from(kind == Kind::Audio)];
        let step = dts_us.saturating_sub(self.newest_dts_us);
        if !(-LEAP_US..=LEAP_US).contains(&step) || dts_us.saturating_add(STEP_BACK_US) < *track {
            return false;
        }
        *track = dts_us.max(*track);
        self.newest_dts_us = self.newest_dts_us.max(dts_us);
        true
    }
}

/// Audio time by counting samples, so that a coarse source clock leaves no gaps and overlaps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SampleClock {
    rate: i64,
    next_sample: i64,
}

impl SampleClock {
    pub fn start(rate: u32, media_us: i64) -> Self {
        let rate = i64::from(rate);
        Self { rate, next_sample: in_samples(media_us, rate) }
    }

    /// The time of a frame of `samples` that the source puts at `media_us`.
    pub fn next_us(&mut self, media_us: i64, samples: u32) -> i64 {
        if (media_us - self.time_us()).abs() > AUDIO_SLACK_US {
            self.next_sample = in_samples(media_us, self.rate).max(self.next_sample);
        }
        let time = self.time_us();
        self.next_sample += i64::from(samples);
        time
    }

    fn time_us(&self) -> i64 {
        // Rounded up, so that a packager's `time * rate / 1e6`, rounded down, finds the very sample again.
        ((i128::from(self.next_sample) * 1_000_000 + i128::from(self.rate) - 1) / i128::from(self.rate)) as i64
    }
}

/// 128 bits: microseconds times a sample rate overflow 64 after some years, and a publisher's clock may run as fast as it likes.
fn in_samples(media_us: i64, rate: i64) -> i64 {
    (i128::from(media_us) * i128::from(rate) / 1_000_000) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_may_be_a_thousand_years_old() {
        let far_us = 1 << 55;
        let mut clock = SampleClock::start(48_000, far_us);
        // A sample lasts 21 us.
        assert!((far_us - 21..=far_us).contains(&clock.next_us(far_us, 1024)));
    }

    #[test]
    fn millisecond_rounding_leaves_no_gaps() {
        let mut clock = SampleClock::start(48_000, 10_000_000);
        let times: Vec<i64> =
            (0..500).map(|n| clock.next_us(10_000_000 + (n * 1024 * 1000 / 48_000) * 1000, 1024)).collect();
        let samples: Vec<i64> = times.iter().map(|us| us * 48_000 / 1_000_000).collect();
        assert!(samples.windows(2).all(|pair| pair[1] - pair[0] == 1024));
    }

    #[test]
    fn a_real_gap_is_kept() {
        let mut clock = SampleClock::start(48_000, 0);
        clock.next_us(0, 1024);
        assert_eq!(clock.next_us(500_000, 1024), 500_000);
    }

    #[test]
    fn a_late_start_never_runs_backwards() {
        let mut clock = SampleClock::start(44_100, 1_000_000);
        let first = clock.next_us(1_000_000, 1024);
        assert!(clock.next_us(800_000, 1024) > first);
    }

    #[test]
    fn a_leap_ends_the_run_and_a_wobble_does_not() {
        let mut anchor = Anchor::new(0, 10_000_000);
        assert!(anchor.follow(Kind::Video, 40_000));
        assert!(anchor.follow(Kind::Video, 20_000));
        assert!(!anchor.follow(Kind::Video, 9_000_000));
        assert!(!anchor.follow(Kind::Video, -9_000_000));
    }

    #[test]
    fn a_track_that_begins_again_ends_the_run_and_one_that_lags_does_not() {
        let mut anchor = Anchor::new(0, 10_000_000);
        assert!(anchor.follow(Kind::Video, 2_000_000));
        assert!(anchor.follow(Kind::Audio, 500_000));
        assert!(!anchor.follow(Kind::Video, 0));
        assert!(anchor.follow(Kind::Audio, 520_000));
    }
}
