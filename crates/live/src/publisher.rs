//! The one connection that feeds a broadcast at a time.

use std::sync::{Arc, Weak};

use crate::broadcast::{Phase, Shared};
use crate::clock::{Anchor, SampleClock, plausible, unix_us};
use crate::ingest::Ingest;
use crate::{
    AudioCodec, AudioFormat, CaptureSource, Captured, Format, FormatError, Kind, Place, Reorder, Segments, SourceFrame,
    VideoCodec, VideoFormat, capture_sei,
};

/// Frame spacing assumed while the bitstream does not say, microseconds.
const USUAL_FRAME_US: i64 = 33_333;

/// How long audio without video gathers before a new group, microseconds: what a late joiner of an audio-only broadcast hears again.
const AUDIO_GROUP_US: i64 = 1_000_000;

/// How far ahead of the newest frame a new run begins when wall time did not move on, microseconds.
const RUN_GAP_US: i64 = 40_000;

/// Larger frames are refused; 720p keyframes are about 0.1 MB, 4K ones a few.
const LARGEST_FRAME: usize = 8 << 20;

/// No source's clock gets there in a thousand years; sums of such times cannot overflow.
const FARTHEST_US: i64 = 1 << 55;

/// No encoder holds a picture back for longer. One that says so would carry the broadcast's clock away.
const LONGEST_DELAY_US: u64 = 60_000_000;

/// Why a frame could not be published.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A frame came before its track's configuration.
    #[error("{0} frame before the {0} configuration")]
    NoFormat(&'static str),
    /// The configuration record does not parse.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The frame is larger than any real one.
    #[error("frame of {0} bytes is larger than {LARGEST_FRAME}")]
    TooLarge(usize),
    /// A time stamp fell before the broadcast began.
    #[error("time stamp {0} us is before the broadcast")]
    NegativeTime(i64),
    /// A time stamp lies where no clock gets.
    #[error("time stamp {0} us is beyond any clock")]
    FarTime(i64),
    /// The broadcast has ended while the publisher was still sending.
    #[error("broadcast has ended")]
    Ended,
    /// The media model refused the frame.
    #[error("media model: {0}")]
    Model(#[from] moq_mux::Error),
    /// The broadcast's tracks are closed.
    #[error("track: {0}")]
    Track(#[from] moq_net::Error),
}

/// State of the present run of continuous media.
struct Run {
    anchor: Anchor,
    reorder: Reorder,
    captured: Captured,
    audio: Option<SampleClock>,
    audio_group_us: i64,
    last_dts_us: i64,
    /// The latest presentation time of a video frame so far: one before it is a B-frame.
    shown_us: i64,
}

/// Feeds a broadcast. Dropping it leaves the broadcast interrupted: it stays up and can be published to again.
pub struct Publisher {
    broadcast: Weak<Shared>,
    ingest: Option<Ingest>,
    segments: Segments,
    format: Format,
    /// Audio announced after the run began; it joins at the next keyframe.
    format_changed: bool,
    run: Option<Run>,
    session: u32,
}

impl Publisher {
    pub(crate) fn new(broadcast: &Arc<Shared>, ingest: Ingest, segments: Segments, session: u32) -> Self {
        Self {
            broadcast: Arc::downgrade(broadcast),
            ingest: Some(ingest),
            segments,
            format: Format::default(),
            format_changed: false,
            run: None,
            session,
        }
    }

    /// Declares how the video that follows is coded. Takes effect at the next keyframe.
    pub fn video_format(&mut self, format: VideoFormat) {
        if self.format.video.as_deref() != Some(&format) {
            self.format.video = Some(Arc::new(format));
            self.format_changed = true;
        }
    }

    /// Declares how the audio that follows is coded. Takes effect at the next group.
    pub fn audio_format(&mut self, format: AudioFormat) {
        if self.format.audio.as_deref() != Some(&format) {
            self.format.audio = Some(Arc::new(format));
            self.format_changed = true;
        }
    }

    /// Publishes a video frame, in decode order. Frames before the first keyframe are counted and dropped.
    pub fn video(&mut self, frame: SourceFrame) -> Result<(), WriteError> {
        let shared = self.shared()?;
        check(&frame)?;
        let Some(format) = self.format.video.clone() else { return Err(WriteError::NoFormat("video")) };
        if frame.pts_us.abs_diff(frame.dts_us) > LONGEST_DELAY_US {
            shared.meter().dropped();
            return Ok(());
        }
        if self.run.as_mut().is_some_and(|run| !run.anchor.follow(Kind::Video, frame.dts_us)) {
            self.run = None;
        }
        // A new format needs new tracks, and those begin with a keyframe.
        let waiting = self.run.is_none() || (self.format_changed && self.video_changed());
        if waiting && !frame.keyframe {
            shared.meter().dropped();
            return Ok(());
        }
        let stamped = stamp(&format, &frame);
        let mut broken = self.run.is_none();
        if broken {
            self.begin_run(&shared, &frame, stamped, i64::from(format.reorder) * frame_us(&format), &format)?;
        }
        if frame.keyframe && self.format_changed {
            self.change_format(&shared, &frame, &format)?;
            broken = true;
        }
        self.write_video(&shared, frame, stamped, broken)
    }

    /// Publishes an audio frame. Beside video it waits for the first keyframe; alone it begins the broadcast.
    pub fn audio(&mut self, frame: SourceFrame) -> Result<(), WriteError> {
        let shared = self.shared()?;
        check(&frame)?;
        let Some(format) = self.format.audio.clone() else { return Err(WriteError::NoFormat("audio")) };
        let alone = self.format.video.is_none();
        if self.run.as_mut().is_some_and(|run| !run.anchor.follow(Kind::Audio, frame.dts_us)) {
            self.run = None;
        }
        if self.run.is_none() {
            if !alone {
                shared.meter().dropped();
                return Ok(());
            }
            self.begin_run(&shared, &frame, None, 0, &silent_video())?;
        }
        // Its track appears with the next group: at once when alone, at the next keyframe beside video.
        let ingest = self.ingest.as_mut().expect("held until drop");
        if ingest.format().audio.as_deref() != Some(&*format) {
            if !alone {
                return Ok(());
            }
            ingest.set_format(&self.format)?;
            self.format_changed = false;
            shared.set_format(ingest.format());
        }
        self.write_audio(&shared, frame, &format, alone)
    }

    fn write_video(
        &mut self,
        shared: &Shared,
        frame: SourceFrame,
        stamped: Option<i64>,
        broken: bool,
    ) -> Result<(), WriteError> {
        let run = self.run.as_mut().expect("begun above");
        let ingest = self.ingest.as_mut().expect("held until drop");
        let pts_us = run.anchor.media_us(frame.pts_us);
        if pts_us <= run.last_dts_us - 2_000_000 {
            shared.meter().dropped();
            return Ok(());
        }
        let waiting = if frame.keyframe { run.reorder.waiting() } else { Vec::new() };
        let dts_us = run.reorder.push(pts_us);
        let place = self.segments.place(dts_us, frame.keyframe, broken);
        if frame.keyframe {
            let captured = match stamped {
                Some(unix_us) => Captured { unix_us, source: CaptureSource::Device },
                None => Captured { unix_us: ingest.wall_us + pts_us, source: CaptureSource::Ingest },
            };
            run.captured = captured;
            ingest.begin_group(self.session, place, pts_us, captured, waiting)?;
            shared.set_segments(self.segments);
        }
        run.last_dts_us = dts_us;
        let reordered = pts_us < run.shown_us;
        run.shown_us = run.shown_us.max(pts_us);
        let bytes = frame.payload.len();
        let kept = frame.keyframe.then(|| frame.payload.clone());
        match ingest.video(pts_us, pts_us - dts_us, frame.keyframe, frame.payload) {
            // An open group's leading pictures, or an encoder that stepped back: the group before has been closed.
            Err(WriteError::Model(moq_mux::Error::TimestampRewind(_))) => {
                shared.meter().dropped();
                return Ok(());
            }
            other => other?,
        }
        let mut meter = shared.meter();
        if let Some(payload) = kept {
            meter.keyframe(dts_us);
            meter.captured(run.captured.source);
            drop(meter);
            shared.set_keyframe(self.format.video.clone(), payload, pts_us);
            meter = shared.meter();
        }
        meter.frame(Kind::Video, bytes, reordered);
        Ok(())
    }

    fn write_audio(
        &mut self,
        shared: &Shared,
        frame: SourceFrame,
        format: &AudioFormat,
        lead: bool,
    ) -> Result<(), WriteError> {
        let run = self.run.as_mut().expect("begun by the caller");
        let ingest = self.ingest.as_mut().expect("held until drop");
        let media_us = run.anchor.media_us(frame.pts_us);
        let clock = run.audio.get_or_insert_with(|| SampleClock::start(format.rate, media_us));
        let samples = match format.codec {
            AudioCodec::Opus => opus_samples(&frame.payload).unwrap_or(format.samples_per_frame),
            AudioCodec::Aac => format.samples_per_frame,
        };
        let pts_us = clock.next_us(media_us, samples);
        if lead {
            let place: Place = self.segments.place(pts_us, false, run.audio_group_us == i64::MIN);
            let due = run.audio_group_us == i64::MIN || pts_us - run.audio_group_us >= AUDIO_GROUP_US;
            if due || place.starts {
                let began = run.audio_group_us == i64::MIN;
                run.audio_group_us = pts_us;
                // Every audio frame can begin a segment: the first placement above only opened a split one.
                let place = if place.starts || began { place } else { self.segments.place(pts_us, true, false) };
                let captured = Captured { unix_us: ingest.wall_us + pts_us, source: CaptureSource::Ingest };
                run.captured = captured;
                ingest.begin_group(self.session, place, pts_us, captured, Vec::new())?;
                shared.set_segments(self.segments);
                shared.meter().captured(CaptureSource::Ingest);
            }
        }
        let bytes = frame.payload.len();
        match ingest.audio(pts_us, frame.payload) {
            Err(WriteError::Model(moq_mux::Error::TimestampRewind(_))) => {
                shared.meter().dropped();
                return Ok(());
            }
            other => other?,
        }
        shared.meter().frame(Kind::Audio, bytes, false);
        Ok(())
    }

    /// Starts a run of continuous media at `frame`: sets the clock, makes the tracks, tells everyone that media flows.
    fn begin_run(
        &mut self,
        shared: &Shared,
        frame: &SourceFrame,
        stamped: Option<i64>,
        room_us: i64,
        format: &VideoFormat,
    ) -> Result<(), WriteError> {
        let ingest = self.ingest.as_mut().expect("held until drop");
        if self.session > 0 {
            ingest.interrupt()?;
        }
        self.session += 1;
        ingest.set_format(&self.format)?;
        self.format_changed = false;
        let captured_us = stamped.unwrap_or_else(unix_us);
        // The decode times of the first frames reach back by the reorder depth; they too must follow what was there before.
        let media_us = (captured_us - ingest.wall_us).max(ingest.edge_us + RUN_GAP_US + room_us);
        let source = if stamped.is_some() { CaptureSource::Device } else { CaptureSource::Ingest };
        self.run = Some(Run {
            anchor: Anchor::new(frame.pts_us, media_us),
            reorder: Reorder::start(format.reorder, media_us, frame_us(format)),
            captured: Captured { unix_us: captured_us, source },
            audio: None,
            audio_group_us: i64::MIN,
            last_dts_us: 0,
            shown_us: i64::MIN,
        });
        shared.begin(self.session, ingest.format());
        Ok(())
    }

    /// Applies a format announced within a run, at a keyframe.
    fn change_format(&mut self, shared: &Shared, frame: &SourceFrame, format: &VideoFormat) -> Result<(), WriteError> {
        let video_changed = self.video_changed();
        let ingest = self.ingest.as_mut().expect("held until drop");
        let run = self.run.as_mut().expect("begun by the caller");
        ingest.set_format(&self.format)?;
        self.format_changed = false;
        if video_changed {
            run.reorder = Reorder::start(format.reorder, run.anchor.media_us(frame.pts_us), frame_us(format));
        }
        run.audio = None;
        // To a player another format is another run: a discontinuity, and a segment of its own.
        self.session += 1;
        shared.set_format(ingest.format());
        Ok(())
    }

    fn video_changed(&self) -> bool {
        let ingest = self.ingest.as_ref().expect("held until drop");
        ingest.format().video != self.format.video
    }

    fn shared(&self) -> Result<Arc<Shared>, WriteError> {
        let shared = self.broadcast.upgrade().ok_or(WriteError::Ended)?;
        if shared.phase() == Phase::Ended { Err(WriteError::Ended) } else { Ok(shared) }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        let mut ingest = self.ingest.take().expect("held until drop");
        match self.broadcast.upgrade() {
            Some(shared) => shared.publisher_gone(ingest, self.segments, self.session),
            None => ingest.finish(),
        }
    }
}

/// The capture time that the device wrote into the frame, when it can be believed.
fn stamp(format: &VideoFormat, frame: &SourceFrame) -> Option<i64> {
    if !frame.keyframe {
        return None;
    }
    let found = match format.codec {
        VideoCodec::H264 => capture_sei::find_h264(&frame.payload),
        VideoCodec::Hevc => capture_sei::find_hevc(&frame.payload),
        VideoCodec::Av1 => None,
    };
    found.filter(|stamp| plausible(*stamp, unix_us()))
}

/// Samples at 48 kHz that an Opus packet decodes to (RFC 6716 section 3.1): the encoder may choose another duration for each.
fn opus_samples(packet: &[u8]) -> Option<u32> {
    let toc = *packet.first()?;
    let config = toc >> 3;
    let frame = match config {
        // SILK: 10, 20, 40 or 60 ms.
        0..12 => [480, 960, 1920, 2880][usize::from(config % 4)],
        // Hybrid: 10 or 20 ms.
        12..16 => [480, 960][usize::from(config % 2)],
        // CELT: 2.5, 5, 10 or 20 ms.
        _ => [120, 240, 480, 960][usize::from(config % 4)],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(packet.get(1)? & 0x3f),
    };
    // At most 120 ms in a packet.
    Some(frame * frames).filter(|samples| (1..=5760).contains(samples))
}

fn frame_us(format: &VideoFormat) -> i64 {
    format.fps.map_or(USUAL_FRAME_US, |fps| (1_000_000.0 / fps) as i64)
}

/// Stands in for the video format of a broadcast that has none: no reordering.
fn silent_video() -> VideoFormat {
    VideoFormat {
        codec: VideoCodec::H264,
        description: bytes::Bytes::new(),
        width: 0,
        height: 0,
        fps: None,
        reorder: 0,
        codec_string: String::new(),
    }
}

fn check(frame: &SourceFrame) -> Result<(), WriteError> {
    if frame.payload.len() > LARGEST_FRAME {
        return Err(WriteError::TooLarge(frame.payload.len()));
    }
    let known = -FARTHEST_US..=FARTHEST_US;
    let far = [frame.dts_us, frame.pts_us].into_iter().find(|time_us| !known.contains(time_us));
    far.map_or(Ok(()), |time_us| Err(WriteError::FarTime(time_us)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_opus_packet_says_how_long_it_is() {
        // SILK 20 ms; CELT 2.5 ms; CELT 20 ms, two frames; three frames of 20 ms by count.
        for (packet, samples) in [(&[0x08][..], 960), (&[0x80], 120), (&[0xf9], 1920), (&[0xfb, 3], 2880)] {
            assert_eq!(opus_samples(packet), Some(samples), "{packet:02x?}");
        }
        for bad in [&[][..], &[0xfb], &[0xfb, 0], &[0xfb, 63]] {
            assert_eq!(opus_samples(bad), None);
        }
    }
}
