//! What the ingest measures of a broadcast: counted in the model, so that every protocol is counted alike.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::{CaptureSource, Kind};

/// The window over which rates are measured.
const WINDOW: Duration = Duration::from_secs(3);

/// Bounds the window's memory against a publisher that sends tiny frames as fast as it can.
const MOST_FRAMES: usize = 4096;

/// Bits per second over the last seconds, payload only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bitrates {
    pub video_bps: u64,
    pub audio_bps: u64,
}

/// The upload as the ingest sees it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    /// Whether a publisher is connected.
    pub connected: bool,
    /// Address of the publisher, empty when there never was one.
    pub peer: String,
    /// How long the present publisher has been connected.
    pub uptime: Duration,
    pub bitrate: Bitrates,
    /// Video frames per second over the last seconds.
    pub fps: f64,
    /// Media time between the last two keyframes, once there were two.
    pub keyframe_interval: Option<Duration>,
    /// Whether any video frame was decoded before one that is shown earlier.
    pub b_frames: bool,
    /// Who stamps the capture time, once a frame came.
    pub capture: Option<CaptureSource>,
    /// Payload bytes received since the broadcast began.
    pub received_bytes: u64,
    /// Frames received since the broadcast began.
    pub received_frames: u64,
    /// Frames thrown away: before the first keyframe, or out of order.
    pub dropped_frames: u64,
    /// Publisher connections and clock leaps so far.
    pub sessions: u32,
}

/// Gathers [`Stats`] as frames come.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    stats: Stats,
    since: Option<Instant>,
    recent: VecDeque<(Instant, Kind, usize)>,
    last_keyframe_us: Option<i64>,
}

impl Meter {
    pub fn connected(&mut self, peer: String) {
        self.stats.connected = true;
        self.stats.peer = peer;
        self.since = Some(Instant::now());
        self.recent.clear();
        self.last_keyframe_us = None;
    }

    pub fn disconnected(&mut self) {
        self.stats.connected = false;
        self.since = None;
        self.recent.clear();
    }

    pub fn session(&mut self) {
        self.stats.sessions += 1;
        self.last_keyframe_us = None;
    }

    pub fn captured(&mut self, source: CaptureSource) {
        self.stats.capture = Some(source);
    }

    pub fn dropped(&mut self) {
        self.stats.dropped_frames += 1;
    }

    pub fn keyframe(&mut self, dts_us: i64) {
        if let Some(last) = self.last_keyframe_us.replace(dts_us) {
            self.stats.keyframe_interval = Some(Duration::from_micros(dts_us.saturating_sub(last).max(0) as u64));
        }
    }

    pub fn frame(&mut self, kind: Kind, bytes: usize, reordered: bool) {
        self.stats.received_bytes += bytes as u64;
        self.stats.received_frames += 1;
        self.stats.b_frames |= reordered;
        self.recent.push_back((Instant::now(), kind, bytes));
        self.forget();
    }

    fn forget(&mut self) {
        let now = Instant::now();
        while self.recent.len() > MOST_FRAMES || self.recent.front().is_some_and(|(at, ..)| now - *at > WINDOW) {
            self.recent.pop_front();
        }
    }

    pub fn stats(&mut self) -> Stats {
        self.forget();
        let now = Instant::now();
        let span = self.recent.front().map_or(0.0, |(at, ..)| (now - *at).as_secs_f64()).max(0.5);
        let bytes = |kind| self.recent.iter().filter(|(_, k, _)| *k == kind).map(|(.., n)| *n as f64).sum::<f64>();
        let frames = self.recent.iter().filter(|(_, kind, _)| *kind == Kind::Video).count();
        Stats {
            uptime: self.since.map_or(Duration::ZERO, |since| now - since),
            bitrate: Bitrates {
                video_bps: (bytes(Kind::Video) * 8.0 / span) as u64,
                audio_bps: (bytes(Kind::Audio) * 8.0 / span) as u64,
            },
            fps: frames as f64 / span,
            ..self.stats.clone()
        }
    }
}
