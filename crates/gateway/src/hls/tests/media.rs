//! Synthetic broadcasts: the items a subscriber would get, with marks as the ingest makes them.

use std::sync::Arc;

use bytes::Bytes;
use live::{
    AudioCodec, AudioFormat, CaptureSource, Captured, Format, Frame, Item, Kind, Mark, Segments, VideoCodec,
    VideoFormat,
};

/// Wall time of media time 0 in tests: 2026-11-21 11:00:15 UTC.
pub const WALL_US: i64 = 1_795_258_815_000_000;

/// A baseline avcC with one SPS and one PPS, 1280x720.
const AVCC: &[u8] = &[
    1, 0x42, 0xc0, 0x1f, 0xff, 0xe1, 0, 9, 0x67, 0x42, 0xc0, 0x1f, 0xda, 1, 0x40, 0x16, 0xe8, 1, 0, 4, 0x68, 0xce,
    0x3c, 0x80,
];

pub fn format(video: bool, audio: bool) -> Format {
    let video_format = || VideoFormat {
        codec: VideoCodec::H264,
        description: Bytes::from_static(AVCC),
        width: 1280,
        height: 720,
        fps: None,
        reorder: 0,
        codec_string: "avc1.42c01f".into(),
    };
    let audio_format = || AudioFormat {
        codec: AudioCodec::Aac,
        description: Bytes::from_static(&[0x11, 0x90]),
        rate: 48_000,
        channels: 2,
        samples_per_frame: 1024,
        codec_string: "mp4a.40.2".into(),
    };
    Format { video: video.then(|| Arc::new(video_format())), audio: audio.then(|| Arc::new(audio_format())) }
}

/// A format that differs from [`format`] in its picture.
pub fn other_format(audio: bool) -> Format {
    let mut format = format(true, audio);
    let video = format.video.as_deref().expect("has video").clone();
    format.video = Some(Arc::new(VideoFormat { width: 640, height: 360, ..video }));
    format
}

/// What an encoder does in one session.
#[derive(Clone, Debug)]
pub struct Encoder {
    pub video: bool,
    pub audio: bool,
    pub fps: f64,
    /// Frames from keyframe to keyframe, repeated.
    pub gops: Vec<u32>,
    /// B-frames between two others, none a reference.
    pub b_frames: u32,
    /// Time stamps rounded to milliseconds, as RTMP has them.
    pub milliseconds: bool,
    /// How much later than video of the same time audio is sent, microseconds, in turn.
    pub audio_late_us: Vec<i64>,
    pub seconds: f64,
}

impl Default for Encoder {
    fn default() -> Self {
        Self {
            video: true,
            audio: true,
            fps: 30.0,
            gops: vec![60],
            b_frames: 0,
            milliseconds: false,
            audio_late_us: vec![0],
            seconds: 20.0,
        }
    }
}

/// The groups of a broadcast as they are made, session after session.
pub struct Ingest {
    pub items: Vec<Item>,
    segments: Segments,
    session: u32,
    group: u64,
    /// Media time at which the next session starts.
    pub now_us: i64,
}

impl Ingest {
    /// A broadcast whose first segment has this number.
    pub fn new(first_segment: u64) -> Self {
        Self { items: Vec::new(), segments: Segments::new(first_segment), session: 0, group: 0, now_us: 10_000_000 }
    }

    /// A whole broadcast of one session.
    pub fn once(encoder: &Encoder) -> Vec<Item> {
        let mut ingest = Self::new(100);
        ingest.session(encoder);
        ingest.items
    }

    /// Adds a session; the one before is interrupted first.
    pub fn session(&mut self, encoder: &Encoder) {
        self.session_as(encoder, format(encoder.video, encoder.audio));
    }

    pub fn session_as(&mut self, encoder: &Encoder, format: Format) {
        if self.session > 0 {
            self.items.push(Item::Interrupted);
        }
        self.session += 1;
        self.items.push(Item::Format(format));
        self.frames(encoder);
    }

    /// Goes on in the same session with another format, at a keyframe.
    pub fn change_format(&mut self, encoder: &Encoder, format: Format) {
        self.items.push(Item::Format(format));
        self.frames(encoder);
    }

    fn frames(&mut self, encoder: &Encoder) {
        let start_us = self.now_us;
        let mut frames = Vec::new();
        if encoder.video {
            frames.extend(video(encoder, start_us).into_iter().map(|frame| (frame.dts_us, frame)));
        }
        if encoder.audio {
            let delay_us = if encoder.b_frames > 0 { frame_us(encoder.fps) as i64 } else { 0 };
            frames.extend(audio(encoder, start_us + delay_us));
        }
        frames.sort_by_key(|(sent_us, frame)| (*sent_us, frame.kind == Kind::Audio));
        let mut broken = true;
        let mut group_us = i64::MIN;
        let mut seen = false;
        for (_, mut frame) in frames {
            seen |= frame.kind == Kind::Video || !encoder.video;
            if !seen {
                continue;
            }
            self.now_us = self.now_us.max(frame.pts_us + 40_000);
            match (frame.kind, encoder.video) {
                (Kind::Video, _) => self.mark_video(&mut frame, &mut broken),
                (Kind::Audio, false) => self.mark_audio(&mut frame, &mut broken, &mut group_us),
                (Kind::Audio, true) => {}
            }
            self.items.push(Item::Frame(frame));
        }
        self.now_us += 500_000;
    }

    fn mark_video(&mut self, frame: &mut Frame, broken: &mut bool) {
        let place = self.segments.place(frame.dts_us, frame.keyframe, std::mem::take(broken));
        if frame.keyframe {
            frame.mark = Some(self.mark(place, frame.pts_us));
        }
    }

    /// Groups of audio alone last a second.
    fn mark_audio(&mut self, frame: &mut Frame, broken: &mut bool, group_us: &mut i64) {
        let broken = std::mem::take(broken);
        let place = self.segments.place(frame.pts_us, false, broken);
        if broken || place.starts || frame.pts_us - *group_us >= 1_000_000 {
            *group_us = frame.pts_us;
            let place = if broken || place.starts { place } else { self.segments.place(frame.pts_us, true, false) };
            frame.mark = Some(self.mark(place, frame.pts_us));
        }
    }

    fn mark(&mut self, place: live::Place, pts_us: i64) -> Mark {
        self.group += 1;
        let captured = Captured { unix_us: WALL_US + pts_us, source: CaptureSource::Ingest };
        Mark { group: self.group, session: self.session, segment: place.number, starts_segment: place.starts, captured }
    }
}

fn frame_us(fps: f64) -> f64 {
    1_000_000.0 / fps
}

fn video(encoder: &Encoder, start_us: i64) -> Vec<Frame> {
    let count = (encoder.seconds * encoder.fps) as u32;
    let delay = u32::from(encoder.b_frames > 0);
    let mut frames = Vec::new();
    let mut gops = encoder.gops.iter().cycle();
    while (frames.len() as u32) < count {
        let base = frames.len() as u32;
        let length = *gops.next().expect("at least one length");
        for (n, shown) in decode_order(length, encoder.b_frames).into_iter().enumerate() {
            let at = |n: u32| {
                let time_us = start_us as f64 + f64::from(n) * frame_us(encoder.fps);
                if encoder.milliseconds { (time_us / 1000.0).round() as i64 * 1000 } else { time_us.round() as i64 }
            };
            let payload = Bytes::from(vec![0u8; 200 + (base as usize * 7 + n * 13) % 300]);
            let (pts_us, dts_us) = (at(base + shown + delay), at(base + n as u32));
            frames.push(Frame { kind: Kind::Video, pts_us, dts_us, keyframe: n == 0, payload, mark: None });
        }
    }
    frames
}

/// Display positions of a group's frames in decode order.
fn decode_order(length: u32, b_frames: u32) -> Vec<u32> {
    let mut order = vec![0];
    let mut next = 1;
    while next < length {
        let run = b_frames.min(length - next - 1);
        order.push(next + run);
        order.extend(next..next + run);
        next += run + 1;
    }
    order
}

/// Audio frames with the time at which they are sent.
fn audio(encoder: &Encoder, start_us: i64) -> Vec<(i64, Frame)> {
    let first = start_us * 48_000 / 1_000_000;
    let count = (encoder.seconds * 48_000.0 / 1024.0) as i64;
    let mut sent_us = i64::MIN;
    let frame = |n: i64| {
        let pts_us = ((first + n * 1024) * 1_000_000 + 47_999) / 48_000;
        let late_us = encoder.audio_late_us[n as usize % encoder.audio_late_us.len()];
        sent_us = sent_us.max(pts_us + late_us);
        let payload = Bytes::from(vec![n as u8; 40]);
        (sent_us, Frame { kind: Kind::Audio, pts_us, dts_us: pts_us, keyframe: true, payload, mark: None })
    };
    (0..count).map(frame).collect()
}
