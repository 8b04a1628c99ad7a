//! Parameter sets in the picture track itself, before each keyframe.
//!
//! A download is one file, but an encoder that came back may have come in another format. The standard's way, several sample
//! descriptions, is not followed by ffmpeg, and so by few players; parameter sets in the track are. They cost some 50 bytes a
//! keyframe. AV1 carries its own.

use bytes::{BufMut, Bytes, BytesMut};
use live::{VideoCodec, VideoFormat};
use mp4_atom::{Atom, Avcc, Hvcc};

/// The parameter sets of a format as the start of an access unit; empty when it needs none.
pub(super) fn parameter_sets(format: &VideoFormat) -> Bytes {
    let (length_size, units) = match format.codec {
        VideoCodec::H264 => {
            let Ok(avcc) = Avcc::decode_body(&mut &format.description[..]) else { return Bytes::new() };
            let units = avcc.sequence_parameter_sets.into_iter().chain(avcc.picture_parameter_sets);
            (avcc.length_size, units.collect::<Vec<_>>())
        }
        VideoCodec::Hevc => {
            let Ok(hvcc) = Hvcc::decode_body(&mut &format.description[..]) else { return Bytes::new() };
            let units = hvcc.arrays.into_iter().flat_map(|array| array.nalus);
            (hvcc.length_size_minus_one + 1, units.collect())
        }
        VideoCodec::Av1 => return Bytes::new(),
    };
    let mut out = BytesMut::new();
    for unit in units {
        out.put_uint(unit.len() as u64, usize::from(length_size.clamp(1, 4)));
        out.extend_from_slice(&unit);
    }
    out.freeze()
}

/// A keyframe with the parameter sets before it. They come after an access unit delimiter that it begins with, where there is
/// one, since nothing may come before that.
pub(super) fn with_parameter_sets(sets: &Bytes, keyframe: &Bytes, format: &VideoFormat) -> Bytes {
    let head = delimiter(keyframe, format);
    let mut out = BytesMut::with_capacity(sets.len() + keyframe.len());
    out.extend_from_slice(&keyframe[..head]);
    out.extend_from_slice(sets);
    out.extend_from_slice(&keyframe[head..]);
    out.freeze()
}

/// Length of the access unit delimiter at the start, with the length before it: 4 bytes, as every encoder writes.
fn delimiter(keyframe: &[u8], format: &VideoFormat) -> usize {
    let Some((length, unit)) = keyframe.split_first_chunk::<4>() else { return 0 };
    let length = u32::from_be_bytes(*length) as usize;
    let is_delimiter = match (format.codec, unit.first()) {
        (VideoCodec::H264, Some(header)) => header & 0x1f == 9,
        (VideoCodec::Hevc, Some(header)) => header >> 1 & 0x3f == 35,
        _ => false,
    };
    if is_delimiter && length <= 4 && length < unit.len() { 4 + length } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(description: &'static [u8]) -> VideoFormat {
        VideoFormat {
            codec: VideoCodec::H264,
            description: Bytes::from_static(description),
            width: 0,
            height: 0,
            fps: None,
            reorder: 0,
            codec_string: String::new(),
        }
    }

    #[test]
    fn the_sets_come_before_the_picture_and_after_a_delimiter() {
        let format = format(b"\x01\x42\xc0\x1f\xff\xe1\x00\x02\x67\x42\x01\x00\x01\x68");
        let sets = parameter_sets(&format);
        assert_eq!(&sets[..], b"\0\0\0\x02\x67\x42\0\0\0\x01\x68");
        let picture = Bytes::from_static(b"\0\0\0\x02\x65\x88");
        assert_eq!(with_parameter_sets(&sets, &picture, &format), [&sets[..], &picture[..]].concat());
        let delimited = Bytes::from_static(b"\0\0\0\x02\x09\xf0\0\0\0\x02\x65\x88");
        let expected = [&delimited[..6], &sets[..], &picture[..]].concat();
        assert_eq!(with_parameter_sets(&sets, &delimited, &format), expected);
    }

    #[test]
    fn a_record_that_does_not_parse_adds_nothing() {
        assert!(parameter_sets(&format(b"\x01\x02")).is_empty());
    }
}
