//! What viewers are sent: frames in the form that RTP is made from, shared by all, and the newest group to begin with.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use live::{AudioCodec, AudioFormat, Frame, VideoFormat};

/// Most bytes kept of the newest group: ten seconds of 12 Mbit/s. A longer one is not kept, and viewers wait for the next.
const MOST_BYTES: usize = 16 << 20;

/// Most sound kept beside it.
const MOST_SOUND: usize = 64;

/// A frame, ready to be cut into packets.
#[derive(Clone, Debug)]
pub(super) enum Unit {
    /// An access unit with start codes, parameter sets before a keyframe.
    Video { pts_us: i64, keyframe: bool, data: Arc<[u8]> },
    /// An Opus packet.
    Audio { pts_us: i64, data: Arc<[u8]> },
}

/// The video since the newest keyframe.
#[derive(Debug, Default)]
pub(super) struct Group {
    units: VecDeque<Unit>,
    bytes: usize,
    begun: bool,
}

impl Group {
    pub fn push(&mut self, unit: &Unit) {
        match unit {
            Unit::Video { keyframe, data, .. } => {
                if *keyframe {
                    self.clear();
                    self.begun = true;
                }
                self.bytes += data.len();
                if self.bytes > MOST_BYTES {
                    self.clear();
                }
                if self.begun {
                    self.units.push_back(unit.clone());
                }
            }
            Unit::Audio { .. } => {}
        }
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// The units in order, keyframe first; empty when there is nothing to begin with.
    pub fn units(&self) -> Vec<Unit> {
        self.units.iter().cloned().collect()
    }
}

/// How much sound may wait for a viewer.
pub(super) const fn sound_limit() -> usize {
    MOST_SOUND
}

/// Makes access units with start codes of length-prefixed ones.
#[derive(Debug, Default)]
pub(super) struct AnnexB {
    /// The parameter sets, each with its start code.
    sets: Vec<u8>,
    length_bytes: usize,
}

impl AnnexB {
    /// From an AVCDecoderConfigurationRecord.
    pub fn new(format: &VideoFormat) -> Option<Self> {
        let record = &format.description;
        let length_bytes = usize::from(record.get(4)? & 3) + 1;
        let mut sets = Vec::new();
        let mut rest = record.get(6..)?;
        let mut count = record.get(5)? & 0x1f;
        for kind in 0..2 {
            for _ in 0..count {
                let (length, after) = rest.split_first_chunk::<2>()?;
                let set = after.get(..usize::from(u16::from_be_bytes(*length)))?;
                sets.extend_from_slice(&[0, 0, 0, 1]);
                sets.extend_from_slice(set);
                rest = &after[set.len()..];
            }
            if kind == 0 {
                count = *rest.first()?;
                rest = &rest[1..];
            }
        }
        Some(Self { sets, length_bytes })
    }

    /// `None` when the lengths do not add up.
    pub fn convert(&self, frame: &Frame) -> Option<Arc<[u8]>> {
        let mut out = Vec::with_capacity(frame.payload.len() + self.sets.len() + 16);
        if frame.keyframe {
            out.extend_from_slice(&self.sets);
        }
        let mut rest: &[u8] = &frame.payload;
        while !rest.is_empty() {
            let (length, after) = rest.split_at_checked(self.length_bytes)?;
            let length = length.iter().fold(0usize, |sum, byte| sum << 8 | usize::from(*byte));
            let nal = after.get(..length)?;
            if !nal.is_empty() {
                out.extend_from_slice(&[0, 0, 0, 1]);
                out.extend_from_slice(nal);
            }
            rest = &after[length..];
        }
        Some(out.into())
    }
}

/// What makes Opus of the broadcast's sound.
pub(super) enum Sound {
    /// There is none, or none that can be converted.
    None,
    /// It is Opus.
    Opus,
    /// It is AAC, converted once for all viewers.
    Convert(Box<codec::sound::ToOpus>),
}

impl Sound {
    pub fn new(format: Option<&AudioFormat>) -> Self {
        let Some(format) = format else { return Self::None };
        match format.codec {
            AudioCodec::Opus => Self::Opus,
            AudioCodec::Aac => match codec::sound::ToOpus::new(&format.description, format.rate, format.channels) {
                Ok(converter) => Self::Convert(Box::new(converter)),
                Err(error) => {
                    tracing::info!(%error, "webrtc viewers get no sound");
                    Self::None
                }
            },
        }
    }

    pub fn push(&mut self, pts_us: i64, payload: &Bytes) -> Vec<Unit> {
        match self {
            Self::None => Vec::new(),
            Self::Opus => vec![Unit::Audio { pts_us, data: Arc::from(&payload[..]) }],
            Self::Convert(converter) => match converter.push(pts_us, payload) {
                Ok(packets) => {
                    packets.into_iter().map(|p| Unit::Audio { pts_us: p.pts_us, data: p.data.into() }).collect()
                }
                Err(error) => {
                    tracing::info!(%error, "webrtc viewers lose the sound");
                    *self = Self::None;
                    Vec::new()
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn video(keyframe: bool, bytes: usize) -> Unit {
        Unit::Video { pts_us: 0, keyframe, data: vec![0; bytes].into() }
    }

    #[test]
    fn a_group_begins_with_its_keyframe_and_is_bounded() {
        let mut group = Group::default();
        group.push(&video(false, 10));
        assert!(group.units().is_empty());
        for keyframe in [true, false, false] {
            group.push(&video(keyframe, 10));
        }
        assert_eq!(group.units().len(), 3);
        group.push(&video(true, 10));
        assert_eq!(group.units().len(), 1);
        group.push(&video(false, MOST_BYTES));
        group.push(&video(false, 10));
        assert!(group.units().is_empty(), "half a group is none");
    }

    #[test]
    fn parameter_sets_come_before_keyframes_only() {
        let record = [1, 66, 0xc0, 31, 0xff, 0xe1, 0, 2, 0x67, 66, 1, 0, 2, 0x68, 9];
        let format = VideoFormat {
            codec: live::VideoCodec::H264,
            description: Bytes::copy_from_slice(&record),
            width: 0,
            height: 0,
            fps: None,
            reorder: 0,
            codec_string: String::new(),
        };
        let annex_b = AnnexB::new(&format).expect("a whole record");
        let frame = |keyframe, payload: &'static [u8]| Frame {
            kind: live::Kind::Video,
            pts_us: 0,
            dts_us: 0,
            keyframe,
            payload: Bytes::from_static(payload),
            mark: None,
        };
        let key = annex_b.convert(&frame(true, &[0, 0, 0, 1, 0x65])).expect("whole");
        assert_eq!(&key[..], [0, 0, 0, 1, 0x67, 66, 0, 0, 0, 1, 0x68, 9, 0, 0, 0, 1, 0x65]);
        let other = annex_b.convert(&frame(false, &[0, 0, 0, 1, 0x41])).expect("whole");
        assert_eq!(&other[..], [0, 0, 0, 1, 0x41]);
        assert!(annex_b.convert(&frame(false, &[0, 0, 0, 9, 0x41])).is_none());
        for cut in 0..record.len() {
            let format = VideoFormat { description: Bytes::copy_from_slice(&record[..cut]), ..format.clone() };
            assert!(AnnexB::new(&format).is_none(), "cut at {cut}");
        }
    }
}
