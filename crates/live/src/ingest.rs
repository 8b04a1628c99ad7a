//! Writing groups: the moq side of a broadcast, held by whoever publishes at the moment.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use hang::catalog::{AudioConfig, PRIORITY, VideoConfig};
use moq_mux::catalog::hang::Container;
use moq_mux::container::{self, Kind as Role};
use moq_net::{Timestamp, broadcast, track};

use crate::clock::{LEAD, unix_us};
use crate::marks::{self, Position, Record};
use crate::{AudioFormat, Captured, Format, Mark, Place, VideoFormat, WriteError};

/// How long a past group stays readable on a node. Packagers keep their own windows; this covers a slow reader.
pub const KEPT: Duration = Duration::from_secs(10);

type VideoTrack = container::Producer<Container, VideoConfig>;
type AudioTrack = container::Producer<Container, AudioConfig>;

/// One elementary track and the format its groups are coded in.
struct Lane<T, F> {
    track: T,
    format: Arc<F>,
}

/// The tracks, catalog and marks of a broadcast.
pub(crate) struct Ingest {
    broadcast: broadcast::Producer,
    catalog: moq_mux::catalog::Producer,
    marks: track::Producer,
    video: Option<Lane<VideoTrack, VideoFormat>>,
    audio: Option<Lane<AudioTrack, AudioFormat>>,
    /// Tracks made so far; a new format takes a new track, so that a group is never read with another's configuration.
    tracks_made: u32,
    /// Wall time of media time 0, microseconds since 1970.
    pub wall_us: i64,
    /// The largest time written, in media time.
    pub edge_us: i64,
}

impl Ingest {
    pub fn new(mut broadcast: broadcast::Producer) -> Result<Self, WriteError> {
        let wall_us = unix_us() - LEAD.as_micros() as i64;
        let epoch = Instant::now().checked_sub(LEAD).unwrap_or_else(Instant::now);
        let wall = SystemTime::UNIX_EPOCH + Duration::from_micros(wall_us.max(0) as u64);
        let clock = moq_mux::Clock::at(epoch, wall)?;
        let config = moq_mux::catalog::Config::default().with_clock(clock).with_max_age(KEPT);
        let catalog = moq_mux::catalog::Producer::new(&mut broadcast, config)?;
        let marks = broadcast.create_track(marks::TRACK, marks::track_info())?;
        Ok(Self { broadcast, catalog, marks, video: None, audio: None, tracks_made: 0, wall_us, edge_us: 0 })
    }

    /// Makes the tracks of `format` exist. Tracks whose format did not change go on.
    pub fn set_format(&mut self, format: &Format) -> Result<(), WriteError> {
        let new_video = format.video.clone().filter(|new| self.video.as_ref().is_none_or(|lane| *lane.format != **new));
        let new_audio = format.audio.clone().filter(|new| self.audio.as_ref().is_none_or(|lane| *lane.format != **new));
        // Both in one catalog snapshot, so that nobody sees the broadcast with half its tracks.
        let reserved = self.catalog.reserve();
        if let Some(video) = new_video {
            if let Some(mut old) = self.video.take() {
                old.track.finish()?;
            }
            let track = self.create("video", reserved.track_info(PRIORITY.video))?;
            let track = reserved.video(track, Container::Legacy(Role::Video), video.to_config()?)?;
            self.video = Some(Lane { track, format: video });
        }
        if let Some(audio) = new_audio {
            if let Some(mut old) = self.audio.take() {
                old.track.finish()?;
            }
            let track = self.create("audio", reserved.track_info(PRIORITY.audio))?;
            let track = reserved.audio(track, Container::Legacy(Role::Audio), audio.to_config()?)?;
            self.audio = Some(Lane { track, format: audio });
        }
        Ok(())
    }

    fn create(&mut self, kind: &str, info: track::Info) -> Result<track::Producer, WriteError> {
        self.tracks_made += 1;
        Ok(self.broadcast.create_track(format!("{kind}.{}", self.tracks_made), info)?)
    }

    /// The tracks as they are now.
    pub fn format(&self) -> Format {
        Format {
            video: self.video.as_ref().map(|lane| lane.format.clone()),
            audio: self.audio.as_ref().map(|lane| lane.format.clone()),
        }
    }

    /// Begins a group of the lead track: writes its mark and cuts the audio beside it.
    pub fn begin_group(
        &mut self,
        session: u32,
        place: Place,
        pts_us: i64,
        captured: Captured,
        reorder_us: Vec<i64>,
    ) -> Result<Mark, WriteError> {
        if let Some(lane) = &mut self.audio {
            lane.track.cut(None)?;
        }
        let video = self.video.as_ref().map(|lane| next_group(lane.track.track()));
        let audio = self.audio.as_ref().map(|lane| next_group(lane.track.track()));
        let record = Record {
            video,
            audio,
            session,
            segment: place.number,
            starts_segment: place.starts,
            pts_us,
            captured_unix_us: captured.unix_us,
            captured_by: captured.source,
            reorder_us,
        };
        record.write(&self.marks)?;
        Ok(record.mark())
    }

    /// Writes a video frame; `delay_us` is how long before it is shown it is decoded.
    pub fn video(
        &mut self,
        pts_us: i64,
        delay_us: i64,
        keyframe: bool,
        payload: bytes::Bytes,
    ) -> Result<(), WriteError> {
        let lane = self.video.as_mut().ok_or(WriteError::NoFormat("video"))?;
        self.edge_us = self.edge_us.max(pts_us);
        lane.track.write(frame(pts_us, keyframe, payload)?)?;
        if delay_us > 0 {
            lane.track.reorder(timestamp(delay_us)?);
        }
        Ok(())
    }

    pub fn audio(&mut self, pts_us: i64, payload: bytes::Bytes) -> Result<(), WriteError> {
        let lane = self.audio.as_mut().ok_or(WriteError::NoFormat("audio"))?;
        self.edge_us = self.edge_us.max(pts_us);
        let first = lane.track.needs_keyframe();
        Ok(lane.track.write(frame(pts_us, first, payload)?)?)
    }

    /// Says in the media itself that it stops here and may go on later.
    pub fn interrupt(&mut self) -> Result<(), WriteError> {
        if let Some(lane) = &mut self.video {
            lane.track.discontinuity()?;
        }
        if let Some(lane) = &mut self.audio {
            lane.track.discontinuity()?;
        }
        Ok(())
    }

    /// Ends every track and the broadcast.
    pub fn finish(&mut self) {
        // Each may fail only because the other side is gone already, which is what is wanted.
        let _ = self.video.take().map(|mut lane| lane.track.finish());
        let _ = self.audio.take().map(|mut lane| lane.track.finish());
        let _ = self.marks.finish();
        let _ = self.catalog.finish();
        self.broadcast.close();
    }
}

fn next_group(track: &track::Producer) -> Position {
    Position { track: track.name().to_owned(), group: track.latest().map_or(0, |latest| latest + 1) }
}

fn frame(pts_us: i64, keyframe: bool, payload: bytes::Bytes) -> Result<container::Frame, WriteError> {
    Ok(container::Frame { timestamp: timestamp(pts_us)?, duration: None, payload, keyframe })
}

fn timestamp(us: i64) -> Result<Timestamp, WriteError> {
    let us = u64::try_from(us).map_err(|_| WriteError::NegativeTime(us))?;
    Timestamp::from_micros(us).map_err(|_| WriteError::NegativeTime(us as i64))
}
