//! From the media of a session to frames of the media model.

use std::time::{Duration, Instant};

use bytes::Bytes;
use live::{AudioFormat, Publisher, SourceFrame, VideoFormat, WriteError, capture_sei};
use str0m::Rtc;
use str0m::media::{KeyframeRequestKind, MediaAdded, MediaData, MediaKind, MediaTime, Mid, Rid, SenderFeedback};

use super::h264::Repacker;
use super::timeline::{Tie, Timeline};
use crate::rtc::Error;

/// A keyframe that was asked for and did not come is asked for again after this long.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// After a loss, pictures that refer to what is missing are left out for at most this long.
const LONGEST_BREAK: Duration = Duration::from_secs(2);

/// Sound waits this long for the first picture: after it, the camera is taken to be off.
const PICTURE_WAIT: Duration = Duration::from_secs(4);

/// OpusHead (RFC 7845 section 5.1) of what WebRTC sends: two channels in one stream, whatever was recorded.
/// ```text
/// "OpusHead" | version 1 | channels 2 | pre-skip 312 | rate 48000 | gain 0 | mapping family 0
/// ```
const OPUS_HEAD: [u8; 19] = *b"OpusHead\x01\x02\x38\x01\x80\xbb\x00\x00\x00\x00\x00";

/// Feeds a broadcast from a session.
pub(super) struct Ingest {
    publisher: Publisher,
    began: Instant,
    timeline: Timeline,
    repacker: Repacker,
    video: Option<Mid>,
    audio: Option<Mid>,
    /// The simulcast layer that is taken: the first that came.
    layer: Option<Option<Rid>>,
    keyframe_interval: Duration,
    /// When to ask for a keyframe next.
    ask_at: Instant,
    /// Whether a picture is expected before sound is sent on.
    waits_for_picture: bool,
    has_audio_format: bool,
    /// Set while what comes refers to pictures that were lost.
    broken_since: Option<Instant>,
}

impl Ingest {
    pub fn new(publisher: Publisher, expects_video: bool, keyframe_interval: Duration) -> Self {
        let now = Instant::now();
        Self {
            publisher,
            began: now,
            timeline: Timeline::default(),
            repacker: Repacker::default(),
            video: None,
            audio: None,
            layer: None,
            keyframe_interval,
            ask_at: now,
            waits_for_picture: expects_video,
            has_audio_format: false,
            broken_since: None,
        }
    }

    /// A track was negotiated; the first of each kind counts.
    pub fn added(&mut self, media: &MediaAdded) {
        match media.kind {
            MediaKind::Video => self.video.get_or_insert(media.mid),
            MediaKind::Audio => self.audio.get_or_insert(media.mid),
        };
    }

    /// When to ask for a keyframe next, if there is video.
    pub fn ask_at(&self) -> Instant {
        self.ask_at
    }

    /// A sender report came.
    pub fn reported(&mut self, report: &SenderFeedback) {
        let info = &report.sender_info;
        if let Some(tie) = Tie::new(info.ntp_time, micros(info.rtp_time)) {
            self.tie(report.mid, tie);
        }
    }

    fn tie(&mut self, mid: Mid, tie: Tie) {
        match Some(mid) {
            mid if mid == self.video => self.timeline.tie_video(tie),
            mid if mid == self.audio => self.timeline.tie_audio(tie),
            _ => {}
        }
    }

    /// Takes a frame.
    pub fn take(&mut self, data: MediaData) -> Result<(), Error> {
        let rtp_us = micros(data.time);
        if let Some(stamp) = &data.ext_vals.abs_capture_time
            && let Some(tie) = Tie::new(stamp.capture_time, rtp_us)
        {
            self.tie(data.mid, tie);
        }
        match Some(data.mid) {
            mid if mid == self.video => self.picture(&data, rtp_us),
            mid if mid == self.audio => self.sound(&data, rtp_us),
            _ => Ok(()),
        }
    }

    fn picture(&mut self, data: &MediaData, rtp_us: i64) -> Result<(), Error> {
        if *self.layer.get_or_insert(data.rid) != data.rid {
            return Ok(());
        }
        let now = Instant::now();
        if !data.contiguous && self.broken_since.is_none() {
            self.broken_since = Some(now);
            self.ask_at = now;
        }
        let Some(unit) = self.repacker.push(&data.data) else { return Ok(()) };
        if let Some(record) = unit.record {
            self.publisher.video_format(VideoFormat::h264(&record)?);
        }
        if unit.keyframe {
            self.broken_since = None;
            self.waits_for_picture = false;
            self.ask_at = now + self.keyframe_interval;
        } else if self.broken_since.is_some_and(|since| now - since < LONGEST_BREAK) {
            return Ok(());
        }
        let pts_us = self.timeline.video_us(rtp_us, data.network_time.saturating_duration_since(self.began));
        let payload = match self.timeline.captured_us(rtp_us) {
            Some(unix_us) if unit.keyframe => capture_sei::stamp_h264(unix_us, &unit.payload),
            _ => unit.payload,
        };
        let frame = SourceFrame { pts_us, dts_us: pts_us, keyframe: unit.keyframe, payload };
        match self.publisher.video(frame) {
            // The parameter sets were lost; a keyframe with them has been asked for.
            Err(WriteError::NoFormat(_)) => Ok(()),
            written => Ok(written?),
        }
    }

    fn sound(&mut self, data: &MediaData, rtp_us: i64) -> Result<(), Error> {
        if data.data.is_empty() {
            return Ok(());
        }
        if !self.has_audio_format {
            self.publisher.audio_format(AudioFormat::opus(&OPUS_HEAD)?);
            self.has_audio_format = true;
        }
        // Sound alone would begin an audio-only run, which the first picture would break again.
        if self.waits_for_picture && self.began.elapsed() < PICTURE_WAIT {
            return Ok(());
        }
        let pts_us = self.timeline.audio_us(rtp_us, data.network_time.saturating_duration_since(self.began));
        let payload = Bytes::copy_from_slice(&data.data);
        Ok(self.publisher.audio(SourceFrame { pts_us, dts_us: pts_us, keyframe: true, payload })?)
    }

    /// Asks for a keyframe when one is due; true when it did.
    pub fn ask_for_keyframe(&mut self, rtc: &mut Rtc) -> bool {
        let now = Instant::now();
        if now < self.ask_at {
            return false;
        }
        self.ask_at = now + ASK_AGAIN;
        let Some(mid) = self.video else { return false };
        let Some(mut writer) = rtc.writer(mid) else { return false };
        let kinds = [KeyframeRequestKind::Pli, KeyframeRequestKind::Fir];
        let Some(kind) = kinds.into_iter().find(|kind| writer.is_request_keyframe_possible(*kind)) else {
            return false;
        };
        // Before the first packet there is no stream to ask.
        writer.request_keyframe(self.layer.flatten(), kind).is_ok()
    }
}

fn micros(time: MediaTime) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}
