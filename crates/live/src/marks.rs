//! The marks track: one small record per group of the lead track, which travels beside the media.
//!
//! A record says where in the session, the segments and the decode order a group stands and when its first picture was taken.
//! A subscriber joins at the newest record and follows them, so any node derives the same time stamps and segment numbers.

use std::time::Duration;

use moq_net::{Timestamp, group, track};
use serde::{Deserialize, Serialize};

use crate::{CaptureSource, Captured, Mark};

/// Track name within the moq broadcast.
pub(crate) const TRACK: &str = "marks.json";

/// How far back a record may still be needed: more than any subscriber's delay behind the newest group.
const KEPT: Duration = Duration::from_secs(30);

/// A record larger than this was not written by us.
const LARGEST: usize = 4096;

/// Track properties of the marks track.
pub(crate) fn track_info() -> track::Info {
    track::Info::default().with_timescale(moq_net::Timescale::MICRO).with_max_age(KEPT)
}

/// Where one elementary track stands at a mark.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// Track name, a rendition of the catalog.
    pub track: String,
    /// Sequence number of the group that begins at the mark.
    pub group: u64,
}

/// One record, as JSON on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub video: Option<Position>,
    pub audio: Option<Position>,
    pub session: u32,
    pub segment: u64,
    pub starts_segment: bool,
    pub pts_us: i64,
    pub captured_unix_us: i64,
    pub captured_by: CaptureSource,
    /// State of the [`crate::Reorder`] before the group's first frame.
    pub reorder_us: Vec<i64>,
}

impl Record {
    /// The position of the lead track: video, or audio when there is no video.
    pub fn lead(&self) -> Option<&Position> {
        self.video.as_ref().or(self.audio.as_ref())
    }

    pub fn mark(&self) -> Mark {
        Mark {
            group: self.lead().map_or(0, |lead| lead.group),
            session: self.session,
            segment: self.segment,
            starts_segment: self.starts_segment,
            captured: Captured { unix_us: self.captured_unix_us, source: self.captured_by },
        }
    }

    /// Writes the record as a group of its own.
    pub fn write(&self, track: &track::Producer) -> Result<(), moq_net::Error> {
        let json = serde_json::to_vec(self).expect("a record has no map keys or numbers that JSON cannot carry");
        let at = Timestamp::from_micros(self.pts_us.max(0) as u64).unwrap_or(Timestamp::ZERO);
        let mut group = track.append_group()?;
        group.write_frame(at, json)?;
        group.finish()
    }

    /// Reads the record of a group; `None` for bytes that are not one.
    pub async fn read(group: &mut group::Consumer) -> Result<Option<Self>, moq_net::Error> {
        let Some(frame) = group.read_frame().await? else { return Ok(None) };
        if frame.payload.len() > LARGEST {
            return Ok(None);
        }
        Ok(serde_json::from_slice(&frame.payload).ok())
    }
}
