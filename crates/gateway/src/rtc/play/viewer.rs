//! One viewer: the feed's units as RTP of its own.

use std::collections::VecDeque;
use std::future::Future;
use std::time::{Duration, Instant};

use live::{Broadcast, VideoCodec, unix_us};
use str0m::Event;
use str0m::format::Codec;
use str0m::media::{Frequency, MediaKind, MediaTime, Mid, Pt};
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::feed::{Feeds, Seat};
use super::group::{Unit, sound_limit};
use crate::rtc::driver::{Driver, Wake};
use crate::rtc::endpoint::Negotiated;
use crate::rtc::offer::Wants;
use crate::rtc::{Error, sdp};

pub(super) const B_FRAMES: &str = "this broadcast has B-frames, which browsers cannot play over WebRTC";
pub(super) const CODEC: &str = "this broadcast's picture is not H.264, which is what goes over WebRTC here";
const SOUND: &str = "this broadcast's sound cannot be converted to Opus";

/// Loss above this share is more than retransmission mends.
const TOO_MUCH_LOSS: f32 = 0.12;

/// So many bad reports in a row, one a second, and the viewer is better off on a rung that buffers.
const BAD_REPORTS: u32 = 6;

/// A lost picture is restored from the newest group at most this often.
const RESTORE: Duration = Duration::from_millis(500);

/// 90 kHz: the steps between pictures that are shown at once, to catch up with the newest.
const HURRY_STEP: u64 = 45;

/// A player whose offer has been answered. Dropping it forgets the answer.
#[must_use = "the peer connects once it is accepted"]
pub struct Play {
    driver: Driver,
    answer: String,
}

/// Why a viewer is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// It went, or nothing came from it any more.
    Gone,
    /// The broadcast is over.
    Over,
    /// We are stopping, or somebody ended its session.
    Stopped,
    /// Its network loses too much.
    TooSlow,
    /// What is broadcast cannot go over WebRTC any more; the text says why.
    Unplayable(&'static str),
}

impl Play {
    /// Why a broadcast cannot be played, as far as is known before it is.
    pub(in crate::rtc) fn check(broadcast: &Broadcast) -> Result<(), Error> {
        let format = broadcast.format().unwrap_or_default();
        if format.video.is_some_and(|video| video.codec != VideoCodec::H264) {
            return Err(Error::Unplayable(CODEC));
        }
        if broadcast.stats().b_frames {
            return Err(Error::Unplayable(B_FRAMES));
        }
        let convertible = |audio: &live::AudioFormat| match audio.codec {
            live::AudioCodec::Opus => true,
            // AAC-LC, the only one that is decoded.
            live::AudioCodec::Aac => audio.codec_string == "mp4a.40.2" && audio.channels <= 2,
        };
        match format.audio.is_none_or(|audio| convertible(&audio)) {
            true => Ok(()),
            false => Err(Error::Unplayable(SOUND)),
        }
    }

    pub(in crate::rtc) fn new(negotiated: Negotiated, wants: Wants) -> Result<Self, Error> {
        let Negotiated { driver, answer } = negotiated;
        if wants.receives_video && !sdp::accepts(&answer, "video") {
            return Err(Error::Unacceptable("the offer takes no H.264 video with packetization-mode 1"));
        }
        Ok(Self { driver, answer: sdp::with_stereo(&answer) })
    }

    /// The session's id, unguessable: who knows it may end the session.
    pub fn id(&self) -> &str {
        self.driver.id()
    }

    /// The session description for the peer.
    pub fn answer(&self) -> &str {
        &self.answer
    }

    /// Carries the session until the viewer leaves, cannot follow, or the broadcast is over.
    pub fn accept(
        self,
        feeds: &Feeds,
        broadcast: &Broadcast,
        shutdown: CancellationToken,
    ) -> impl Future<Output = Result<Left, Error>> + use<> {
        let Self { mut driver, .. } = self;
        let seat = feeds.join(broadcast);
        let zero_unix_us = broadcast.zero_unix_us();
        async move {
            let mut viewer = Viewer::new(seat, zero_unix_us);
            let left = tokio::select! {
                left = viewer.run(&mut driver) => left,
                () = shutdown.cancelled() => Ok(Left::Stopped),
            };
            driver.close().await;
            left
        }
    }
}

/// A track as it is sent.
#[derive(Clone, Copy, Debug)]
struct Line {
    mid: Mid,
    payload: Pt,
}

struct Viewer {
    seat: Seat,
    video: Option<Line>,
    audio: Option<Line>,
    connected: bool,
    /// What is to be sent before what the feed has next.
    ready: VecDeque<Unit>,
    /// Whether the viewer has a picture that the next one can refer to.
    has_picture: bool,
    /// RTP time of the last picture sent, on 90 kHz.
    sent_90k: u64,
    restored: Option<Instant>,
    /// Unix time of media time 0, and a moment on both clocks: reports tie picture and sound together by them.
    zero_unix_us: i64,
    began: (Instant, i64),
    bad_reports: u32,
}

impl Viewer {
    fn new(seat: Seat, zero_unix_us: i64) -> Self {
        Self {
            seat,
            video: None,
            audio: None,
            connected: false,
            ready: VecDeque::new(),
            has_picture: false,
            sent_90k: 0,
            restored: None,
            zero_unix_us,
            began: (Instant::now(), unix_us()),
            bad_reports: 0,
        }
    }

    async fn run(&mut self, driver: &mut Driver) -> Result<Left, Error> {
        let feed = self.seat.feed.clone();
        loop {
            while let Some(event) = driver.event().await? {
                if let Some(left) = self.event(driver, event) {
                    return Ok(left);
                }
            }
            if self.connected
                && let Some(unit) = self.ready.pop_front()
            {
                self.send(driver, unit)?;
                continue;
            }
            let far = Instant::now() + Duration::from_secs(60);
            tokio::select! {
                biased;
                woken = driver.wait(far) => match woken? {
                    Wake::Progress => {}
                    Wake::Stopped => return Ok(Left::Stopped),
                    Wake::Gone => return Ok(Left::Gone),
                },
                unit = self.seat.units.recv() => match unit {
                    Ok(unit) if self.connected => self.take(unit),
                    Ok(_) => {}
                    Err(RecvError::Lagged(_)) => self.restore(),
                    Err(RecvError::Closed) => return Ok(self.over()),
                },
                () = feed.over() => return Ok(self.over()),
            }
        }
    }

    fn over(&self) -> Left {
        self.seat.feed.fault().map_or(Left::Over, Left::Unplayable)
    }

    fn event(&mut self, driver: &mut Driver, event: Event) -> Option<Left> {
        match event {
            Event::MediaAdded(added) => self.added(driver, added.mid, added.kind),
            Event::Connected => {
                self.connected = true;
                self.restore();
            }
            Event::KeyframeRequest(_) if self.restored.is_none_or(|at| at.elapsed() >= RESTORE) => self.restore(),
            Event::MediaEgressStats(stats) => {
                let loss = stats.loss?;
                self.bad_reports = if loss > TOO_MUCH_LOSS { self.bad_reports + 1 } else { 0 };
                return (self.bad_reports >= BAD_REPORTS).then_some(Left::TooSlow);
            }
            Event::IceConnectionStateChange(state) if state.is_disconnected() => return Some(Left::Gone),
            Event::Closed => return Some(Left::Gone),
            _ => {}
        }
        None
    }

    fn added(&mut self, driver: &mut Driver, mid: Mid, kind: MediaKind) {
        let Some(writer) = driver.rtc().writer(mid) else { return };
        // Decoders take every profile whatever was agreed on; packets are of mode 1.
        let whole = |format: &str0m::format::FormatParams| format.packetization_mode == Some(1);
        let payload = writer.payload_params().find(|params| match kind {
            MediaKind::Video => params.spec().codec == Codec::H264 && whole(&params.spec().format),
            MediaKind::Audio => params.spec().codec == Codec::Opus,
        });
        let line = payload.map(|params| Line { mid, payload: params.pt() });
        match kind {
            MediaKind::Video => self.video = self.video.or(line),
            MediaKind::Audio => self.audio = self.audio.or(line),
        }
    }

    /// Begins at the newest keyframe (again): the group so far, then what follows it.
    fn restore(&mut self) {
        let (group, units) = self.seat.feed.begin();
        self.seat.units = units;
        self.restored = Some(Instant::now());
        self.has_picture = !group.is_empty();
        self.ready = group.into();
    }

    fn take(&mut self, unit: Unit) {
        match &unit {
            Unit::Video { keyframe, .. } => {
                self.has_picture |= keyframe;
                if self.has_picture {
                    self.ready.push_back(unit);
                }
            }
            Unit::Audio { .. } if self.ready.len() < sound_limit() => self.ready.push_back(unit),
            Unit::Audio { .. } => {}
        }
    }

    fn send(&mut self, driver: &mut Driver, unit: Unit) -> Result<(), Error> {
        let (line, pts_us, time, data) = match unit {
            Unit::Video { pts_us, data, .. } => {
                let time = self.video_time(pts_us);
                (self.video, pts_us, MediaTime::new(time, Frequency::NINETY_KHZ), data)
            }
            Unit::Audio { pts_us, data } => {
                let time = u64::try_from(pts_us).unwrap_or(0) * 48 / 1000;
                (self.audio, pts_us, MediaTime::new(time, Frequency::FORTY_EIGHT_KHZ), data)
            }
        };
        let Some(line) = line else { return Ok(()) };
        let wall = self.wall(pts_us);
        let Some(writer) = driver.rtc().writer(line.mid) else { return Ok(()) };
        Ok(writer.write(line.payload, wall, time, data)?)
    }

    /// RTP time of a picture. Those of a group that is caught up with come at once, so that they are shown at once; a picture
    /// that was sent before gets a later time than all before it.
    fn video_time(&mut self, pts_us: i64) -> u64 {
        let due = u64::try_from(pts_us).unwrap_or(0) * 9 / 100;
        let behind = self.ready.iter().filter(|unit| matches!(unit, Unit::Video { .. })).count() as u64;
        let newest = self.ready.iter().rev().find_map(|unit| match unit {
            Unit::Video { pts_us, .. } => Some(u64::try_from(*pts_us).unwrap_or(0) * 9 / 100),
            Unit::Audio { .. } => None,
        });
        let hurried = newest.map_or(due, |newest| due.max(newest.saturating_sub(behind * HURRY_STEP)));
        self.sent_90k = hurried.max(self.sent_90k + 1);
        self.sent_90k
    }

    /// The moment on our clock at which what is shown at a media time was taken.
    fn wall(&self, pts_us: i64) -> Instant {
        let (now, unix_us) = self.began;
        let ahead_us = self.zero_unix_us.saturating_add(pts_us).saturating_sub(unix_us);
        let apart = Duration::from_micros(ahead_us.unsigned_abs());
        let moment = if ahead_us > 0 { now.checked_add(apart) } else { now.checked_sub(apart) };
        // A report cannot tell of a moment to come.
        moment.unwrap_or(now).min(Instant::now())
    }
}
