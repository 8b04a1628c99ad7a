//! From the bytes of a Matroska stream to frames.
//!
//! ```text
//! Block: track number (vint) | time relative to the cluster (16, signed) | flags: 80 keyframe, 06 lacing | frame
//! ```
//! A block has the time at which it is shown, and blocks come in the order in which they are decoded: decode times are
//! reconstructed where all others are, in the broadcast.

use bytes::Bytes;
use live::SourceFrame;

use super::ebml::{Element, Elements, children, id, unsigned, vint};
use super::tracks::{self, Coding, Track};
use crate::ingest::Error;
use crate::ingest::media::Media;

/// Nanoseconds in a tick when the stream does not say.
const USUAL_SCALE: u64 = 1_000_000;

/// Longer ticks could not tell frames apart.
const LARGEST_SCALE: u64 = 1_000_000_000;

const KEYFRAME: u8 = 0x80;
const LACING: u8 = 0x06;

/// Reads clusters as they come.
#[derive(Debug)]
pub struct Demuxer {
    elements: Elements,
    scale_ns: u64,
    tracks: Vec<Track>,
    /// Time of the cluster, ticks.
    cluster: i64,
}

impl Default for Demuxer {
    fn default() -> Self {
        Self { elements: Elements::default(), scale_ns: USUAL_SCALE, tracks: Vec::new(), cluster: 0 }
    }
}

impl Demuxer {
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes what has come, cut anywhere, and adds to `found` what it completes.
    pub fn push(&mut self, bytes: &[u8], found: &mut Vec<Media>) -> Result<(), Error> {
        self.elements.push(bytes);
        loop {
            match self.elements.poll() {
                Ok(Some(element)) => self.take(element, found)?,
                Ok(None) => return Ok(()),
                Err(wrong) => return Err(self.malformed(wrong.to_string())),
            }
        }
    }

    fn take(&mut self, element: Element, found: &mut Vec<Media>) -> Result<(), Error> {
        match element.id {
            // Another file after the first: its tracks follow.
            id::EBML => {
                self.tracks.clear();
                self.scale_ns = USUAL_SCALE;
                Ok(())
            }
            id::INFO => {
                let scale = children(element.body).find(|child| child.id == id::TIMESTAMP_SCALE);
                self.scale_ns = scale.map_or(USUAL_SCALE, |scale| unsigned(&scale.body)).clamp(1, LARGEST_SCALE);
                Ok(())
            }
            id::TRACKS => self.begin(element.body, found),
            id::TIMESTAMP => {
                // Room for every sum below.
                self.cluster = i64::try_from(unsigned(&element.body)).unwrap_or(i64::MAX).min(i64::MAX >> 1);
                Ok(())
            }
            id::SIMPLE_BLOCK => self.block(element.body, None, found),
            id::BLOCK_GROUP => {
                let keyframe = !children(element.body.clone()).any(|child| child.id == id::REFERENCE_BLOCK);
                match children(element.body).find(|child| child.id == id::BLOCK) {
                    Some(block) => self.block(block.body, Some(keyframe), found),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    fn begin(&mut self, body: Bytes, found: &mut Vec<Media>) -> Result<(), Error> {
        self.tracks = tracks::tracks(body)?;
        if self.tracks.is_empty() {
            return Err(self.malformed("no video or audio track".into()));
        }
        found.extend(self.tracks.iter().map(|track| match track.coding.clone() {
            Coding::Video(format) => Media::VideoFormat(format),
            Coding::Audio(format) => Media::AudioFormat(format),
        }));
        Ok(())
    }

    /// `keyframe` is what the block's group says; a simple block says it itself.
    fn block(&mut self, body: Bytes, keyframe: Option<bool>, found: &mut Vec<Media>) -> Result<(), Error> {
        if self.tracks.is_empty() {
            return Err(self.malformed("a block before the tracks".into()));
        }
        let Some((number, length)) = vint(&body) else { return Ok(()) };
        let Some(&[high, low, flags]) = body.get(length..).and_then(|rest| rest.first_chunk::<3>()) else {
            return Ok(());
        };
        let Some(track) = self.tracks.iter().find(|track| Some(track.number) == number) else { return Ok(()) };
        if flags & LACING != 0 {
            return Err(self.malformed("several frames in a block; turn lacing off".into()));
        }
        let ticks = self.cluster + i64::from(i16::from_be_bytes([high, low]));
        let ns = i128::from(ticks) * i128::from(self.scale_ns) - i128::from(track.delay_ns);
        let Ok(pts_us) = i64::try_from(ns.div_euclid(1000)) else {
            return Err(self.malformed("a time that no clock reaches".into()));
        };
        let payload = body.slice(length + 3..);
        if payload.is_empty() {
            return Ok(());
        }
        let keyframe = keyframe.unwrap_or(flags & KEYFRAME != 0);
        found.push(match track.coding {
            Coding::Video(_) => Media::Video(SourceFrame { pts_us, dts_us: pts_us, keyframe, payload }),
            Coding::Audio(_) => Media::Audio(SourceFrame { pts_us, dts_us: pts_us, keyframe: true, payload }),
        });
        Ok(())
    }

    fn malformed(&self, what: String) -> Error {
        Error::Malformed { container: "Matroska", at: self.elements.at(), what }
    }
}
