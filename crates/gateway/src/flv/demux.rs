//! From a publisher's FLV tags to frames of the media model.

use bytes::Bytes;
use live::{AudioCodec, AudioFormat, FormatError, Publisher, SourceFrame, VideoCodec, VideoFormat, WriteError};

use super::tag::{self, TagKind, packet};

/// Larger tags are refused before anything is made of them.
pub(super) const LARGEST_TAG: usize = 8 << 20;

/// Why a tag could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file does not begin as one.
    #[error("the file header is wrong")]
    NoHeader,
    /// A file has something else where a tag must be.
    #[error("byte {0} where a tag must begin")]
    NoTag(u8),
    /// The tag ends before what it announces.
    #[error("{kind:?} tag at {timestamp_ms} ms is cut short")]
    Short { kind: TagKind, timestamp_ms: u32 },
    /// The tag is larger than any real one.
    #[error("{kind:?} tag of {bytes} bytes is larger than {LARGEST_TAG}")]
    TooLarge { kind: TagKind, bytes: usize },
    /// The tag names a codec that Oriel does not carry.
    #[error("codec {0} is not supported: send H.264, HEVC or AV1 video and AAC or Opus audio")]
    Codec(String),
    /// The codec configuration does not parse.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The broadcast refused the frame.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// What a tag says, apart from where it goes.
#[derive(Debug)]
pub(crate) enum Parsed {
    VideoFormat(VideoFormat),
    AudioFormat(AudioFormat),
    Video {
        keyframe: bool,
        composition_ms: i32,
        payload: Bytes,
    },
    Audio {
        payload: Bytes,
    },
    /// Metadata, end marks, and tracks beyond the first.
    Nothing,
}

/// Reads tags in order; keeps what undoing the 32-bit clock needs.
#[derive(Debug, Default)]
pub struct Demuxer {
    /// The clock's last raw value and its unwrapped time.
    clock: Option<(u32, i64)>,
    /// Frames that came before their codec's configuration, per track, which some encoders send at the start.
    early: u32,
}

impl Demuxer {
    pub fn new() -> Self {
        Self::default()
    }

    /// Publishes what one tag carries. `timestamp_ms` is the tag's 32-bit time stamp, which wraps after 49.7 days.
    pub fn push(
        &mut self,
        kind: TagKind,
        timestamp_ms: u32,
        body: Bytes,
        publisher: &mut Publisher,
    ) -> Result<(), Error> {
        let parsed = parse(kind, timestamp_ms, &body)?;
        let dts_us = self.unwrap(timestamp_ms) * 1000;
        let written = match parsed {
            Parsed::VideoFormat(format) => {
                publisher.video_format(format);
                Ok(())
            }
            Parsed::AudioFormat(format) => {
                publisher.audio_format(format);
                Ok(())
            }
            Parsed::Video { keyframe, composition_ms, payload } => {
                let pts_us = dts_us + i64::from(composition_ms) * 1000;
                publisher.video(SourceFrame { pts_us, dts_us, keyframe, payload })
            }
            Parsed::Audio { payload } => {
                publisher.audio(SourceFrame { pts_us: dts_us, dts_us, keyframe: true, payload })
            }
            Parsed::Nothing => Ok(()),
        };
        match written {
            // Tolerated briefly: the configuration often follows within a few tags.
            Err(WriteError::NoFormat(_)) if self.early < 100 => {
                self.early += 1;
                Ok(())
            }
            other => Ok(other?),
        }
    }

    fn unwrap(&mut self, timestamp_ms: u32) -> i64 {
        let time = match self.clock {
            // The difference as a signed number undoes the wrap and lets audio and video interleave backwards a little.
            Some((raw, time)) => time + i64::from(timestamp_ms.wrapping_sub(raw) as i32),
            None => i64::from(timestamp_ms),
        };
        self.clock = Some((timestamp_ms, time));
        time
    }
}

/// Reads one tag body.
pub(crate) fn parse(kind: TagKind, timestamp_ms: u32, body: &Bytes) -> Result<Parsed, Error> {
    if body.len() > LARGEST_TAG {
        return Err(Error::TooLarge { kind, bytes: body.len() });
    }
    let mut reader = Reader { kind, timestamp_ms, rest: body.clone() };
    match kind {
        _ if body.is_empty() => Ok(Parsed::Nothing),
        TagKind::Video => video(&mut reader),
        TagKind::Audio => audio(&mut reader),
        TagKind::Script => Ok(Parsed::Nothing),
    }
}

fn video(reader: &mut Reader) -> Result<Parsed, Error> {
    let first = reader.u8()?;
    let keyframe = (first >> 4) & 7 == tag::KEYFRAME;
    if first & tag::ENHANCED != 0 {
        return enhanced_video(reader, first & 0x0f, keyframe);
    }
    if first >> 4 == 5 {
        return Ok(Parsed::Nothing); // a command to the player, not a picture
    }
    if first & 0x0f != tag::LEGACY_AVC {
        return Err(Error::Codec(format!("video id {}", first & 0x0f)));
    }
    let packet = reader.u8()?;
    let composition_ms = reader.i24()?;
    match packet {
        tag::SEQUENCE_HEADER => Ok(Parsed::VideoFormat(VideoFormat::h264(&reader.rest)?)),
        tag::RAW => Ok(coded(keyframe, composition_ms, reader)),
        _ => Ok(Parsed::Nothing),
    }
}

fn enhanced_video(reader: &mut Reader, packet_type: u8, keyframe: bool) -> Result<Parsed, Error> {
    let packet_type = reader.skip_modifiers(packet_type)?;
    let Some((packet_type, fourcc)) = reader.first_track(packet_type, packet::VIDEO_MULTITRACK)? else {
        return Ok(Parsed::Nothing);
    };
    let codec = match fourcc {
        tag::AVC => VideoCodec::H264,
        tag::HEVC => VideoCodec::Hevc,
        tag::AV1 => VideoCodec::Av1,
        other => return Err(Error::Codec(String::from_utf8_lossy(&other).into_owned())),
    };
    match packet_type {
        packet::SEQUENCE_START => Ok(Parsed::VideoFormat(match codec {
            VideoCodec::H264 => VideoFormat::h264(&reader.rest)?,
            VideoCodec::Hevc => VideoFormat::hevc(&reader.rest)?,
            VideoCodec::Av1 => VideoFormat::av1(&reader.rest)?,
        })),
        packet::CODED_FRAMES if codec == VideoCodec::Av1 => Ok(coded(keyframe, 0, reader)),
        packet::CODED_FRAMES => {
            let composition_ms = reader.i24()?;
            Ok(coded(keyframe, composition_ms, reader))
        }
        packet::CODED_FRAMES_X => Ok(coded(keyframe, 0, reader)),
        _ => Ok(Parsed::Nothing),
    }
}

fn coded(keyframe: bool, composition_ms: i32, reader: &mut Reader) -> Parsed {
    match reader.rest.is_empty() {
        true => Parsed::Nothing,
        false => Parsed::Video { keyframe, composition_ms, payload: std::mem::take(&mut reader.rest) },
    }
}

fn audio(reader: &mut Reader) -> Result<Parsed, Error> {
    let first = reader.u8()?;
    match first >> 4 {
        tag::SOUND_ENHANCED => enhanced_audio(reader, first & 0x0f),
        tag::SOUND_AAC => match reader.u8()? {
            tag::SEQUENCE_HEADER => Ok(Parsed::AudioFormat(AudioFormat::aac(&reader.rest)?)),
            tag::RAW => Ok(heard(reader)),
            _ => Ok(Parsed::Nothing),
        },
        other => Err(Error::Codec(format!("audio id {other}"))),
    }
}

fn enhanced_audio(reader: &mut Reader, packet_type: u8) -> Result<Parsed, Error> {
    let packet_type = reader.skip_modifiers(packet_type)?;
    let Some((packet_type, fourcc)) = reader.first_track(packet_type, packet::AUDIO_MULTITRACK)? else {
        return Ok(Parsed::Nothing);
    };
    let codec = match fourcc {
        tag::AAC => AudioCodec::Aac,
        tag::OPUS => AudioCodec::Opus,
        other => return Err(Error::Codec(String::from_utf8_lossy(&other).into_owned())),
    };
    match (packet_type, codec) {
        (packet::SEQUENCE_START, AudioCodec::Aac) => Ok(Parsed::AudioFormat(AudioFormat::aac(&reader.rest)?)),
        (packet::SEQUENCE_START, AudioCodec::Opus) => Ok(Parsed::AudioFormat(AudioFormat::opus(&reader.rest)?)),
        (packet::CODED_FRAMES, _) => Ok(heard(reader)),
        _ => Ok(Parsed::Nothing),
    }
}

fn heard(reader: &mut Reader) -> Parsed {
    match reader.rest.is_empty() {
        true => Parsed::Nothing,
        false => Parsed::Audio { payload: std::mem::take(&mut reader.rest) },
    }
}

/// A tag body being read from its front.
struct Reader {
    kind: TagKind,
    timestamp_ms: u32,
    rest: Bytes,
}

impl Reader {
    fn take(&mut self, n: usize) -> Result<Bytes, Error> {
        if self.rest.len() < n {
            return Err(Error::Short { kind: self.kind, timestamp_ms: self.timestamp_ms });
        }
        Ok(self.rest.split_to(n))
    }

    fn u8(&mut self) -> Result<u8, Error> {
        Ok(self.take(1)?[0])
    }

    fn u24(&mut self) -> Result<u32, Error> {
        let bytes = self.take(3)?;
        Ok(u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]))
    }

    /// A signed 24-bit number.
    fn i24(&mut self) -> Result<i32, Error> {
        Ok(((self.u24()? << 8) as i32) >> 8)
    }

    fn fourcc(&mut self) -> Result<[u8; 4], Error> {
        let bytes = self.take(4)?;
        Ok([bytes[0], bytes[1], bytes[2], bytes[3]])
    }

    /// Passes the ModEx prefixes of Enhanced RTMP v2 (nanosecond offsets and what may come), and says which packet follows.
    fn skip_modifiers(&mut self, mut packet_type: u8) -> Result<u8, Error> {
        while packet_type == packet::MOD_EX {
            let size = match usize::from(self.u8()?) + 1 {
                256 => {
                    let bytes = self.take(2)?;
                    usize::from(u16::from_be_bytes([bytes[0], bytes[1]])) + 1
                }
                size => size,
            };
            self.take(size)?;
            packet_type = self.u8()? & 0x0f;
        }
        Ok(packet_type)
    }

    /// The packet type and codec of track 0: the only one of most tags, the first of a multitrack tag. `None`: another track's.
    fn first_track(&mut self, packet_type: u8, multitrack: u8) -> Result<Option<(u8, [u8; 4])>, Error> {
        if packet_type != multitrack {
            return Ok(Some((packet_type, self.fourcc()?)));
        }
        let head = self.u8()?;
        let (many, packet_type) = (head >> 4, head & 0x0f);
        let fourcc = self.fourcc()?;
        let track = self.u8()?;
        if many != 0 {
            let size = self.u24()? as usize;
            self.rest = self.take(size)?;
        }
        Ok((track == 0).then_some((packet_type, fourcc)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_clock_goes_on_after_it_wraps() {
        let mut demuxer = Demuxer::new();
        assert_eq!(demuxer.unwrap(u32::MAX - 9), i64::from(u32::MAX) - 9);
        assert_eq!(demuxer.unwrap(30), i64::from(u32::MAX) + 31);
        assert_eq!(demuxer.unwrap(10), i64::from(u32::MAX) + 11);
    }

    #[test]
    fn composition_times_may_be_negative() {
        let body = Bytes::from_static(&[0x27, 1, 0xff, 0xff, 0xfe, 9, 9]);
        let Parsed::Video { composition_ms, keyframe, payload } = parse(TagKind::Video, 0, &body).unwrap() else {
            panic!("not a frame")
        };
        assert_eq!((composition_ms, keyframe, payload.len()), (-2, false, 2));
    }

    #[test]
    fn a_codec_we_do_not_carry_is_named() {
        let err = parse(TagKind::Audio, 0, &Bytes::from_static(&[0x2f, 1, 2])).unwrap_err();
        assert!(err.to_string().contains("audio id 2"), "{err}");
        let err = parse(TagKind::Video, 0, &Bytes::from_static(b"\x91vp09xxxx")).unwrap_err();
        assert!(err.to_string().contains("vp09"), "{err}");
    }

    #[test]
    fn the_first_of_several_tracks_is_taken() {
        let mut body = vec![0x96, 0x11];
        body.extend_from_slice(b"avc1");
        body.extend_from_slice(&[0, 0, 0, 5, 0, 0, 3, 0xaa, 0xbb, 1, 0, 0, 2, 1, 1]);
        let parsed = parse(TagKind::Video, 0, &body.into()).unwrap();
        let Parsed::Video { composition_ms, payload, .. } = parsed else { panic!("not a frame") };
        assert_eq!((composition_ms, &payload[..]), (3, &[0xaa, 0xbb][..]));
    }

    proptest! {
        #[test]
        fn garbage_gives_an_error_and_no_panic(kind in 0..3, body in prop::collection::vec(any::<u8>(), 0..64)) {
            let kind = [TagKind::Audio, TagKind::Video, TagKind::Script][kind as usize];
            let _ = parse(kind, 7, &body.into());
        }
    }
}
