//! The neutral frame that every gateway produces and consumes.

use bytes::Bytes;

/// Which track a frame belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Video,
    Audio,
}

/// One coded frame of a broadcast. Times are microseconds on the broadcast's media clock and positive.
#[derive(Clone, Debug)]
pub struct Frame {
    pub kind: Kind,
    /// When the frame is shown.
    pub pts_us: i64,
    /// When the frame is decoded: at most `pts_us`, rising within a track. Equal to `pts_us` for audio.
    pub dts_us: i64,
    /// Whether decoding can start here. True for all audio.
    pub keyframe: bool,
    /// Length-prefixed NAL units (H.264, HEVC), OBUs (AV1), a raw access unit (AAC) or a packet (Opus).
    pub payload: Bytes,
    /// Set on the first frame of each group of the lead track: video, or audio when there is no video.
    pub mark: Option<Mark>,
}

/// What a group start carries, the same on every node, so that packagers are a pure function of the groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Sequence number of the group.
    pub group: u64,
    /// Counts runs of continuous media: a new publisher connection or a jump in the encoder's clock begins another.
    pub session: u32,
    /// Number of the segment the group belongs to (see [`crate::Segments`]).
    pub segment: u64,
    /// Whether this group starts that segment.
    pub starts_segment: bool,
    /// Wall time at which the frame's picture was taken.
    pub captured: Captured,
}

/// A wall time of capture that knows where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Captured {
    /// Microseconds since 1970-01-01 UTC.
    pub unix_us: i64,
    pub source: CaptureSource,
}

/// Who said when a frame was captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CaptureSource {
    /// The broadcaster's device stamped it.
    Device,
    /// The ingest assumed the time of arrival.
    Ingest,
}

/// A frame as a publisher's protocol gave it, on the publisher's own clock.
#[derive(Clone, Debug)]
pub struct SourceFrame {
    /// Presentation time in microseconds from any origin; wraps already undone.
    pub pts_us: i64,
    /// Decode time in microseconds, same origin.
    pub dts_us: i64,
    pub keyframe: bool,
    pub payload: Bytes,
}
