//! A keyframe of a replay, for its still picture.

use bytes::Bytes;
use live::VideoFormat;

use super::index::{Index, Segment, init_name, segment_name};
use super::replay::INIT_MAX;
use super::{Error, Replay};
use crate::ingest::media::Media;
use crate::mp4::Demuxer;

/// A segment larger than this is not read for a picture: some seconds at 50 Mbit/s.
const SEGMENT_MAX: u64 = 32 << 20;

/// How far into the replay the picture is taken, as a part of its length: the first moments are often dark or a test.
const INTO: i64 = 10;

impl Replay {
    /// A keyframe from the first tenth of the replay and how it is coded; `None` where there is no picture.
    pub async fn keyframe(&self) -> Result<Option<(VideoFormat, Bytes)>, Error> {
        let Some(segment) = choose(self.index()) else { return Ok(None) };
        let (id, store) = (self.id(), self.store());
        let init = store.get(id, &init_name(segment.init), INIT_MAX).await?;
        let media = store.get(id, &segment_name(segment.n), segment.bytes).await?;
        first_keyframe(&init, &media).map_err(|_| Error::Damaged { id: id.to_owned(), what: "a segment" })
    }
}

fn choose(index: &Index) -> Option<&Segment> {
    let from_us = index.end_us() / INTO;
    let fits = |segment: &&Segment| {
        let video = index.init(segment.init).is_some_and(|init| init.video);
        video && segment.independent && segment.bytes <= SEGMENT_MAX
    };
    let later = index.segments.iter().filter(|segment| segment.end_us > from_us).find(fits);
    later.or_else(|| index.segments.iter().find(fits))
}

fn first_keyframe(init: &[u8], media: &[u8]) -> Result<Option<(VideoFormat, Bytes)>, crate::ingest::Error> {
    let (mut demuxer, mut found) = (Demuxer::new(), Vec::new());
    demuxer.push(init, &mut found)?;
    demuxer.push(media, &mut found)?;
    let (mut format, mut picture) = (None, None);
    for media in found {
        match media {
            Media::VideoFormat(one) => format = Some(one),
            Media::Video(frame) if frame.keyframe && picture.is_none() => picture = Some(frame.payload),
            _ => {}
        }
    }
    Ok(format.zip(picture))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::index::tests::{index, init, segment};

    #[test]
    fn the_picture_comes_from_a_tenth_into_the_replay() {
        assert_eq!(choose(&index(40)).map(|segment| segment.n), Some(4));
        assert_eq!(choose(&index(1)).map(|segment| segment.n), Some(0));
        assert!(choose(&Index::default()).is_none());
    }

    #[test]
    fn a_segment_that_cannot_be_decoded_alone_is_passed_over() {
        let mut index = index(3);
        for segment in &mut index.segments[1..] {
            segment.independent = false;
        }
        assert_eq!(choose(&index).map(|segment| segment.n), Some(0));
        let mut sound = Index::default();
        sound.push(super::super::InitInfo { video: false, ..init() }, segment(0, 0));
        assert!(choose(&sound).is_none());
    }

    #[test]
    fn garbage_has_no_keyframe() {
        assert!(!matches!(first_keyframe(b"nonsense", b"\0\0\0\x08moof"), Ok(Some(_))));
    }
}
