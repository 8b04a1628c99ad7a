//! The synthetic broadcaster: a moving picture with the wall clock in it, and a tick on each second.
//!
//! [`Synth`] makes coded frames; when to ask for them is the caller's affair ([`Synth::next_due`] says when the next one is
//! due). It writes no capture stamp into the bitstream: the caller puts the SEI of `live::capture_sei` before each access
//! unit from [`Encoded::captured`].

mod backdrop;
mod glyphs;
mod picture;
mod scene;
mod sound;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::{BufMut, Bytes, BytesMut};
use openh264::OpenH264API;
use openh264::encoder::{
    BitRate, Complexity, Encoder, EncoderConfig, FrameRate, IntraFramePeriod, RateControlMode, UsageType, VuiConfig,
};

use crate::h264;
use scene::Scene;
use sound::Loop;
pub use sound::{CHANNELS, RATE, SAMPLES_PER_FRAME};

/// A wall clock that jumps by more than this moves the media clock's origin instead of the media time.
const MAX_SKIP: Duration = Duration::from_secs(1);

/// What to broadcast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Pixels, even, 64 to 3840.
    pub width: u32,
    /// Pixels, even, 36 to 2160.
    pub height: u32,
    /// Frames per second, 1 to 120.
    pub fps: u32,
    /// Video bits per second.
    pub bitrate_bps: u32,
    /// Frames from keyframe to keyframe.
    pub gop: u32,
    /// Sound bits per second.
    pub audio_bitrate_bps: u32,
}

impl Default for Config {
    /// 720p30 at 1.5 Mbit/s in all, a keyframe every 2 s.
    fn default() -> Self {
        Self { width: 1280, height: 720, fps: 30, bitrate_bps: 1_400_000, gop: 60, audio_bitrate_bps: 96_000 }
    }
}

/// Why there is no synthetic broadcast.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration asks for something the encoder cannot make.
    #[error("synthetic broadcast: {0}")]
    Config(&'static str),
    /// openh264 refused to start or to encode.
    #[error("synthetic broadcast: video encoder: {0}")]
    Video(#[from] openh264::Error),
    /// rusty_aac refused the sound.
    #[error("synthetic broadcast: sound encoder: {0}")]
    Sound(String),
}

/// Which of the two tracks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Track {
    Video,
    Audio,
}

/// One coded frame.
#[derive(Clone, Debug)]
pub struct Encoded {
    pub track: Track,
    /// Microseconds since the synth began. There are no B-frames: it is the decode time too.
    pub pts_us: i64,
    /// True for all sound.
    pub keyframe: bool,
    /// Wall time at which the picture was taken, or the first sample heard.
    pub captured: SystemTime,
    /// H.264 access unit, NAL units with 4-byte lengths, parameter sets left out; or a raw AAC access unit.
    pub payload: Bytes,
}

/// The picture alone, for other encoders.
pub struct RawPicture(Scene);

impl RawPicture {
    /// Width and height in pixels are even.
    pub fn new(width: usize, height: usize) -> Self {
        Self(Scene::new(width, height))
    }

    /// The luma plane and the two chroma planes (4:2:0, no padding) of the picture at a time in microseconds since 1970.
    pub fn draw(&mut self, unix_us: u64) -> [&[u8]; 3] {
        self.0.draw(unix_us).planes.each_ref().map(|plane| &plane.samples[..])
    }
}

/// The source of the synthetic broadcast. Encoding takes some milliseconds: keep it off an async runtime's threads.
pub struct Synth {
    config: Config,
    encoder: Encoder,
    scene: Scene,
    sound: Loop,
    avcc: Bytes,
    /// Wall time of media time 0, microseconds since 1970.
    origin_us: u64,
    /// Number of the next video frame, counted from the origin.
    frame: u64,
    /// Number of the frame from which on the next one made is a keyframe.
    keyframe_from: u64,
    /// Number of the next sound frame, counted from 1970.
    sound_frame: u64,
}

impl Synth {
    /// Prepares picture and sound (about half a second of work) for a broadcast that begins at `now`.
    pub fn new(config: Config, now: SystemTime) -> Result<Self, Error> {
        check(&config)?;
        let mut encoder = Encoder::with_api_config(OpenH264API::from_source(), encoder_config(&config))?;
        silence(&mut encoder);
        let mut scene = Scene::new(config.width as usize, config.height as usize);
        let origin_us = unix_us(now);
        // The parameter sets are wanted before the first frame, so a frame is encoded for them and thrown away.
        let first = encoder.encode(scene.draw(origin_us))?;
        let avcc = parameter_sets(&first).ok_or(Error::Config("the encoder wrote no parameter sets"))?;
        Ok(Self {
            sound: Loop::encode(config.audio_bitrate_bps)?,
            config,
            encoder,
            scene,
            avcc,
            origin_us,
            frame: 0,
            keyframe_from: 0,
            sound_frame: sound::first_from(origin_us),
        })
    }

    /// AVCDecoderConfigurationRecord, known from the start and the same for ever.
    pub fn video_description(&self) -> Bytes {
        self.avcc.clone()
    }

    /// AudioSpecificConfig: AAC-LC, 48 kHz, stereo.
    pub fn audio_description(&self) -> Bytes {
        sound::description()
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Which track's frame is to be made next and when. Media times rise from call to call over both tracks.
    pub fn next_due(&self) -> (Track, SystemTime) {
        let video = self.origin_us + self.frame_us(self.frame);
        let audio = sound::start_us(self.sound_frame);
        let (track, at) = if audio < video { (Track::Audio, audio) } else { (Track::Video, video) };
        (track, UNIX_EPOCH + Duration::from_micros(at))
    }

    /// Makes the frame that [`Synth::next_due`] names.
    pub fn next(&mut self, now: SystemTime) -> Result<Encoded, Error> {
        match self.next_due().0 {
            Track::Video => self.next_video(now),
            Track::Audio => Ok(self.next_audio(now)),
        }
    }

    /// Takes and encodes a picture of `now`. A caller that comes late by whole frames skips them; one that comes early gets
    /// the next frame all the same. A keyframe is due at each multiple of `gop` frames of media time.
    pub fn next_video(&mut self, now: SystemTime) -> Result<Encoded, Error> {
        let captured_us = unix_us(now);
        self.follow_clock(captured_us, self.origin_us + self.frame_us(self.frame));
        let fps = u64::from(self.config.fps);
        let since_us = captured_us.saturating_sub(self.origin_us);
        let frame = self.frame.max((since_us * fps + 500_000) / 1_000_000);
        let gop = u64::from(self.config.gop);
        let keyframe = frame >= self.keyframe_from;
        if keyframe {
            self.encoder.force_intra_frame();
            self.keyframe_from = (frame / gop + 1) * gop;
        }
        let coded = self.encoder.encode(self.scene.draw(captured_us))?;
        let payload = access_unit(&coded);
        let pts_us = self.frame_us(frame).cast_signed();
        self.frame = frame + 1;
        Ok(Encoded { track: Track::Video, pts_us, keyframe, captured: now, payload })
    }

    /// The next 1024 samples of sound. A caller that is late catches up by calling again; none are skipped unless the wall
    /// clock jumps.
    pub fn next_audio(&mut self, now: SystemTime) -> Encoded {
        self.follow_clock(unix_us(now), sound::start_us(self.sound_frame));
        let frame = self.sound_frame;
        let start_us = sound::start_us(frame);
        self.sound_frame += 1;
        Encoded {
            track: Track::Audio,
            pts_us: start_us.saturating_sub(self.origin_us).cast_signed(),
            keyframe: true,
            captured: UNIX_EPOCH + Duration::from_micros(start_us),
            payload: self.sound.frame(frame),
        }
    }

    fn frame_us(&self, frame: u64) -> u64 {
        frame * 1_000_000 / u64::from(self.config.fps)
    }

    /// After a jump of the wall clock (set by hand, machine asleep) media time goes on where it was.
    fn follow_clock(&mut self, now_us: u64, due_us: u64) {
        if now_us.abs_diff(due_us) <= MAX_SKIP.as_micros() as u64 {
            return;
        }
        let ahead_us = sound::start_us(self.sound_frame).saturating_sub(self.origin_us);
        self.origin_us = (self.origin_us + now_us).saturating_sub(due_us);
        self.sound_frame = sound::first_from(self.origin_us + ahead_us);
    }
}

fn check(config: &Config) -> Result<(), Error> {
    let Config { width, height, fps, bitrate_bps, gop, audio_bitrate_bps } = *config;
    let even = width.is_multiple_of(2) && height.is_multiple_of(2);
    match () {
        () if !even || !(64..=3840).contains(&width) || !(36..=2160).contains(&height) => {
            Err(Error::Config("the picture must be even and between 64x36 and 3840x2160"))
        }
        () if !(1..=120).contains(&fps) => Err(Error::Config("frames per second must be 1 to 120")),
        () if !(20_000..=50_000_000).contains(&bitrate_bps) => Err(Error::Config("video needs 20 kbit/s to 50 Mbit/s")),
        () if gop == 0 => Err(Error::Config("the keyframe interval must be at least one frame")),
        () if !(32_000..=320_000).contains(&audio_bitrate_bps) => Err(Error::Config("sound needs 32 to 320 kbit/s")),
        () => Ok(()),
    }
}

fn encoder_config(config: &Config) -> EncoderConfig {
    // Not ScreenContentRealTime, which costs four times as much; frames are never skipped, so that the clock is in each.
    EncoderConfig::new()
        .bitrate(BitRate::from_bps(config.bitrate_bps))
        .max_frame_rate(FrameRate::from_hz(config.fps as f32))
        .rate_control_mode(RateControlMode::Bitrate)
        .usage_type(UsageType::CameraVideoRealTime)
        .complexity(Complexity::Low)
        .intra_frame_period(IntraFramePeriod::from_num_frames(config.gop))
        .skip_frames(false)
        .scene_change_detect(false)
        .num_threads(1)
        .vui(VuiConfig::bt709())
}

/// openh264 warns on standard error that without skipped frames the bitrate is only approximate, before the safe API has
/// turned its log off. We know.
#[expect(unsafe_code, reason = "the wrapper has no safe way to set the trace level before the first frame")]
fn silence(encoder: &mut Encoder) {
    let mut level: std::ffi::c_int = openh264_sys2::WELS_LOG_QUIET;
    // SAFETY: the option is documented to take a pointer to an int and to be allowed before initialisation; it is read
    // during the call only.
    unsafe {
        let option = openh264_sys2::ENCODER_OPTION_TRACE_LEVEL;
        encoder.raw_api().set_option(option, std::ptr::from_mut(&mut level).cast());
    }
}

type Coded<'a> = openh264::encoder::EncodedBitStream<'a>;

fn nals<'a>(coded: &'a Coded<'a>) -> impl Iterator<Item = Vec<u8>> + 'a {
    let layers = (0..coded.num_layers()).filter_map(|i| coded.layer(i));
    layers.flat_map(|layer| {
        let units = (0..layer.nal_count())
            .filter_map(move |i| layer.nal_unit(i).map(|nal| h264::without_start_code(nal).to_vec()));
        units.collect::<Vec<_>>()
    })
}

fn parameter_sets(coded: &Coded<'_>) -> Option<Bytes> {
    let nals: Vec<Vec<u8>> = nals(coded).collect();
    let first = |kind| nals.iter().find(|nal| h264::kind(nal) == kind);
    Some(h264::avcc(first(h264::SPS)?, first(h264::PPS)?))
}

/// The slices with 4-byte lengths.
fn access_unit(coded: &Coded<'_>) -> Bytes {
    let mut out = BytesMut::new();
    for nal in nals(coded).filter(|nal| matches!(h264::kind(nal), h264::SLICE | h264::IDR)) {
        out.put_u32(u32::try_from(nal.len()).expect("openh264 keeps a frame below 4 GiB"));
        out.put_slice(&nal);
    }
    out.freeze()
}

fn unix_us(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |d| u64::try_from(d.as_micros()).unwrap_or(u64::MAX / 4)).min(u64::MAX / 4)
}

#[cfg(test)]
mod tests;
