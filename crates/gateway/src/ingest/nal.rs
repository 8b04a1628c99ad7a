//! H.264 and HEVC byte streams: access units with their parameter sets inside become frames with a configuration beside.
//!
//! ```text
//! byte stream (Annex B): 00 00 01 | NAL | 00 00 00 01 | NAL | ...
//! ours:                  length (4) | NAL | length (4) | NAL | ...
//! ```

use bytes::{BufMut, Bytes, BytesMut};
use live::{FormatError, VideoCodec, VideoFormat};

/// Parameter sets of one access unit that are looked at; real ones have three or four.
const MOST_SETS: usize = 16;

/// One coded picture, its NAL units length-prefixed by 4 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Picture {
    pub keyframe: bool,
    pub payload: Bytes,
}

/// Follows the parameter sets of one stream.
#[derive(Clone, Debug)]
pub(crate) struct NalStream {
    codec: VideoCodec,
    /// In force: of the last access unit that had any of their type.
    sets: Vec<Bytes>,
    /// Whether `sets` are enough for a decoder.
    configured: bool,
}

/// What a NAL unit is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Slice {
        keyframe: bool,
    },
    Set(u8),
    Sei,
    /// Delimiters and filler, which nobody misses.
    Idle,
}

impl NalStream {
    pub fn new(codec: VideoCodec) -> Self {
        Self { codec, sets: Vec::new(), configured: false }
    }

    /// Takes one access unit: a configuration when it changed, a picture when there is one that can be decoded.
    pub fn access_unit<'a>(
        &mut self,
        nals: impl Iterator<Item = &'a [u8]>,
    ) -> Result<(Option<VideoFormat>, Option<Picture>), FormatError> {
        let mut sets: Vec<Bytes> = Vec::new();
        let mut payload = BytesMut::new();
        let (mut slices, mut keyframe) = (false, false);
        for nal in nals.filter(|nal| !nal.is_empty()) {
            match role(self.codec, nal) {
                Role::Set(_) => {
                    if sets.len() < MOST_SETS && !sets.iter().any(|set| set == nal) {
                        sets.push(Bytes::copy_from_slice(nal));
                    }
                    continue;
                }
                Role::Idle => continue,
                Role::Slice { keyframe: key } => {
                    slices = true;
                    keyframe |= key;
                }
                Role::Sei => keyframe |= self.codec == VideoCodec::H264 && recovers_at_once(nal),
            }
            let Ok(length) = u32::try_from(nal.len()) else { continue };
            payload.put_u32(length);
            payload.put_slice(nal);
        }
        let format = self.adopt(sets)?;
        let picture = (slices && self.configured).then(|| Picture { keyframe, payload: payload.freeze() });
        Ok((format, picture))
    }

    /// New sets replace those of their type: an encoder that changes its mind sends them anew.
    fn adopt(&mut self, sets: Vec<Bytes>) -> Result<Option<VideoFormat>, FormatError> {
        if sets.iter().all(|set| self.sets.contains(set)) {
            return Ok(None);
        }
        let codec = self.codec;
        let kind = |set: &Bytes| role(codec, set);
        self.sets.retain(|old| !sets.iter().any(|new| kind(new) == kind(old)));
        self.sets.extend(sets);
        let format = VideoFormat::from_parameter_sets(codec, &self.sets)?;
        self.configured |= format.is_some();
        Ok(format)
    }
}

fn role(codec: VideoCodec, nal: &[u8]) -> Role {
    let kind = match codec {
        VideoCodec::Hevc => nal[0] >> 1 & 0x3f,
        _ => nal[0] & 0x1f,
    };
    match (codec, kind) {
        (VideoCodec::Hevc, 16..=23) => Role::Slice { keyframe: true },
        (VideoCodec::Hevc, 0..=31) => Role::Slice { keyframe: false },
        (VideoCodec::Hevc, 32..=34) => Role::Set(kind),
        (VideoCodec::Hevc, 39 | 40) => Role::Sei,
        (VideoCodec::Hevc, _) => Role::Idle,
        (_, 5) => Role::Slice { keyframe: true },
        (_, 1..=4) => Role::Slice { keyframe: false },
        (_, 7 | 8) => Role::Set(kind),
        (_, 6) => Role::Sei,
        _ => Role::Idle,
    }
}

/// Whether an SEI unit begins with a recovery point (H.264 D.1.8) at this very picture: what an open GOP starts with
/// instead of an IDR picture. recovery_frame_cnt 0 is the single bit 1.
fn recovers_at_once(sei: &[u8]) -> bool {
    matches!(sei, [_, 6, size, payload, ..] if *size > 0 && payload & 0x80 != 0)
}

/// The NAL units of a byte stream with start codes.
pub(crate) fn annex_b(stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = after_start_code(stream);
    std::iter::from_fn(move || {
        let bytes = rest?;
        let (nal, next) = match start_code(bytes) {
            Some(at) => (&bytes[..at], Some(&bytes[at + 3..])),
            None => (bytes, None),
        };
        rest = next;
        // The zero byte of a longer start code, and trailing zeros, are not the unit's.
        let end = nal.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        Some(&nal[..end])
    })
}

fn after_start_code(stream: &[u8]) -> Option<&[u8]> {
    start_code(stream).map(|at| &stream[at + 3..])
}

/// Where `00 00 01` is.
fn start_code(bytes: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let one = from + memchr::memchr(1, bytes.get(from..)?)?;
        if one >= 2 && bytes[one - 1] == 0 && bytes[one - 2] == 0 {
            return Some(one - 2);
        }
        from = one + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Baseline, 64 x 64, as x264 wrote them.
    const SPS: &[u8] = &[
        0x67, 0x42, 0xc0, 0x0a, 0xd9, 0x04, 0x26, 0xc0, 0x44, 0x00, 0x00, 0x03, 0x00, 0x04, 0x00, 0x00, 0x03, 0x00,
        0xf0, 0x3c, 0x48, 0x99, 0x20,
    ];
    const PPS: &[u8] = &[0x68, 0xcb, 0x83, 0xcb, 0x20];

    #[test]
    fn start_codes_of_three_and_four_bytes_part_units() {
        let stream = [&[0, 0, 0, 1, 9, 0xf0][..], &[0, 0, 1, 0x65, 1, 2, 0, 0], &[0, 0, 1, 0x41]].concat();
        let nals: Vec<&[u8]> = annex_b(&stream).collect();
        assert_eq!(nals, [&[9, 0xf0][..], &[0x65, 1, 2], &[0x41]]);
        assert_eq!(annex_b(&[1, 2, 3]).count(), 0);
    }

    #[test]
    fn pictures_wait_for_parameter_sets_and_lose_them() {
        let mut stream = NalStream::new(VideoCodec::H264);
        let idr: &[u8] = &[0x65, 1, 2, 3];
        assert_eq!(stream.access_unit([idr].into_iter()).unwrap().1, None);
        let (format, picture) = stream.access_unit([&[9, 0xf0][..], SPS, PPS, idr].into_iter()).unwrap();
        assert_eq!(format.map(|format| (format.width, format.height)), Some((64, 64)));
        let picture = picture.expect("a picture");
        assert!(picture.keyframe);
        assert_eq!(&picture.payload[..], &[0, 0, 0, 4, 0x65, 1, 2, 3]);
        let (format, picture) = stream.access_unit([SPS, PPS, &[0x41, 1]].into_iter()).unwrap();
        assert!(format.is_none(), "nothing changed");
        assert!(!picture.expect("a picture").keyframe);
    }

    #[test]
    fn an_open_gop_starts_where_recovery_is_exact() {
        assert!(recovers_at_once(&[6, 6, 1, 0xc4, 0x80]));
        assert!(!recovers_at_once(&[6, 6, 1, 0x44, 0x80]));
        assert!(!recovers_at_once(&[6, 5, 1, 0xc4, 0x80]));
    }
}
