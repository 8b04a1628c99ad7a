//! What a container's demuxer finds, in the order of its bytes.

use live::{AudioFormat, SourceFrame, VideoFormat};

/// One thing found.
#[derive(Clone, Debug)]
pub enum Media {
    /// The tracks to come, when the container says so before it says how they are coded.
    Tracks {
        video: bool,
        audio: bool,
    },
    VideoFormat(VideoFormat),
    AudioFormat(AudioFormat),
    /// In decode order.
    Video(SourceFrame),
    Audio(SourceFrame),
}
