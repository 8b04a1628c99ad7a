//! Two RTP clocks with origins of their own onto one.
//!
//! Until the peer says how they relate, both are taken to have been sent when they came. Then a sender report or a capture time
//! in a packet ties each to the peer's wall clock, and so to the other.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A change of sound against picture smaller than this is noise of the peer's clocks.
const NOISE_US: i64 = 10_000;

/// A moment on the peer's wall clock and the same on a track's RTP clock, both in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tie {
    wall_us: i64,
    rtp_us: i64,
}

impl Tie {
    pub fn new(wall: SystemTime, rtp_us: i64) -> Option<Self> {
        let since = wall.duration_since(UNIX_EPOCH).ok()?;
        Some(Self { wall_us: i64::try_from(since.as_micros()).ok()?, rtp_us })
    }

    /// The wall time of RTP time 0.
    fn origin_us(self) -> i64 {
        self.wall_us.saturating_sub(self.rtp_us)
    }
}

/// One track's clock.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Track {
    /// Media time of RTP time 0, once a frame came.
    offset_us: Option<i64>,
    tie: Option<Tie>,
}

/// The clocks of a publisher's tracks. Media time begins near 0 with the session.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Timeline {
    video: Track,
    audio: Track,
}

impl Timeline {
    pub fn tie_video(&mut self, tie: Tie) {
        self.video.tie = Some(tie);
        self.align();
    }

    pub fn tie_audio(&mut self, tie: Tie) {
        self.audio.tie = Some(tie);
        self.align();
    }

    /// Media time of a picture that came `since` the session began.
    pub fn video_us(&mut self, rtp_us: i64, since: Duration) -> i64 {
        place(&mut self.video, rtp_us, since)
    }

    /// Media time of a sound.
    pub fn audio_us(&mut self, rtp_us: i64, since: Duration) -> i64 {
        let first = self.audio.offset_us.is_none();
        let at_us = place(&mut self.audio, rtp_us, since);
        if first {
            self.align();
            return self.audio.offset_us.map_or(at_us, |offset| rtp_us.saturating_add(offset));
        }
        at_us
    }

    /// When the picture was taken, microseconds since 1970 on the peer's clock.
    pub fn captured_us(&self, rtp_us: i64) -> Option<i64> {
        self.video.tie.map(|tie| tie.origin_us().saturating_add(rtp_us))
    }

    /// Puts the sound where the picture of the same wall time is.
    fn align(&mut self) {
        let (Some(video), Some(audio)) = (self.video.tie, self.audio.tie) else { return };
        let (Some(offset), Some(now)) = (self.video.offset_us, self.audio.offset_us) else { return };
        let wanted = offset.saturating_add(audio.origin_us().saturating_sub(video.origin_us()));
        if wanted.abs_diff(now) > NOISE_US as u64 {
            tracing::debug!(shift_us = wanted - now, "sound is moved to its picture");
            self.audio.offset_us = Some(wanted);
        }
    }
}

fn place(track: &mut Track, rtp_us: i64, since: Duration) -> i64 {
    let since_us = i64::try_from(since.as_micros()).unwrap_or(i64::MAX);
    let offset = *track.offset_us.get_or_insert(since_us.saturating_sub(rtp_us));
    rtp_us.saturating_add(offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tie(wall_ms: u64, rtp_us: i64) -> Tie {
        Tie::new(UNIX_EPOCH + Duration::from_millis(wall_ms), rtp_us).expect("after 1970")
    }

    #[test]
    fn before_any_report_frames_lie_where_they_came() {
        let mut timeline = Timeline::default();
        assert_eq!(timeline.video_us(7_000_000, Duration::from_millis(300)), 300_000);
        assert_eq!(timeline.audio_us(90_000, Duration::from_millis(310)), 310_000);
        assert_eq!(timeline.video_us(7_033_000, Duration::from_millis(900)), 333_000);
        assert_eq!(timeline.captured_us(7_000_000), None);
    }

    #[test]
    fn reports_move_the_sound_to_its_picture() {
        let mut timeline = Timeline::default();
        timeline.video_us(7_000_000, Duration::from_millis(300));
        timeline.audio_us(90_000, Duration::from_millis(310));
        // The picture at 7.0 s and the sound at 0.15 s were taken together.
        timeline.tie_video(tie(1_000_000, 7_000_000));
        timeline.tie_audio(tie(1_000_000, 150_000));
        assert_eq!(timeline.audio_us(150_000, Duration::from_millis(400)), 300_000);
        assert_eq!(timeline.captured_us(7_500_000), Some(1_000_500_000));
    }

    #[test]
    fn a_report_before_the_first_sound_counts_for_it() {
        let mut timeline = Timeline::default();
        timeline.video_us(7_000_000, Duration::from_millis(300));
        timeline.tie_video(tie(1_000_000, 7_000_000));
        timeline.tie_audio(tie(1_000_200, 0));
        assert_eq!(timeline.audio_us(0, Duration::from_millis(310)), 500_000);
    }

    #[test]
    fn absurd_clocks_stay_numbers() {
        let mut timeline = Timeline::default();
        timeline.video_us(i64::MAX, Duration::MAX);
        timeline.audio_us(i64::MIN, Duration::ZERO);
        timeline.tie_video(tie(u64::MAX / 2_000_000, i64::MIN));
        timeline.tie_audio(tie(0, i64::MAX));
        timeline.audio_us(0, Duration::ZERO);
    }
}
