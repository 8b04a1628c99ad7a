//! AAC in ADTS frames (ISO/IEC 14496-3 annex 1.A), which may run over the edges of PES packets.
//!
//! ```text
//! fff | id, layer, no CRC | profile (2), rate (4), -, channels (3) | ... | length (13) | fullness (11) | blocks - 1 (2)
//! ```

use bytes::{Buf, Bytes, BytesMut};
use live::{AudioFormat, FormatError, SourceFrame};

use super::clock::us;

const RATES: [u32; 13] = [96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350];

/// Samples of one AAC frame.
const SAMPLES: i64 = 1024;

/// A frame has 13 bits of length.
const LARGEST: usize = 1 << 13;

/// Finds the frames of one stream and gives each its time.
#[derive(Debug, Default)]
pub(super) struct Adts {
    rest: BytesMut,
    /// Time of the first frame that begins in `rest`, 90 kHz.
    next: Option<i64>,
    /// Profile, rate and channels of the last frame.
    config: Option<[u8; 2]>,
}

/// A configuration that is new, or a frame.
#[derive(Debug)]
pub(super) enum Found {
    Format(AudioFormat),
    Frame(SourceFrame),
}

struct Header {
    size: usize,
    head: usize,
    rate: u32,
    config: [u8; 2],
}

impl Adts {
    /// Takes a packet's data with its time, 90 kHz.
    pub fn push(&mut self, time: Option<i64>, data: &[u8], found: &mut Vec<Found>) -> Result<(), FormatError> {
        // The time is of the first frame that begins in this packet; one that began before keeps its own.
        let mut stamp = time;
        let carried = self.rest.len();
        let mut taken = 0;
        self.rest.extend_from_slice(data);
        loop {
            if taken >= carried
                && let Some(time) = stamp.take()
            {
                self.next = Some(time);
            }
            let Some(header) = header(&self.rest) else {
                // Not a frame: on to where one may begin.
                if self.rest.len() >= 7 {
                    let skipped = 1 + memchr::memchr(0xff, &self.rest[1..]).unwrap_or(self.rest.len() - 1);
                    self.rest.advance(skipped);
                    taken += skipped;
                    continue;
                }
                return Ok(());
            };
            if self.rest.len() < header.size {
                return Ok(());
            }
            let frame = self.rest.split_to(header.size).freeze();
            taken += header.size;
            self.frame(&header, frame, found)?;
        }
    }

    /// Packets are missing.
    pub fn interrupt(&mut self) {
        self.rest.clear();
    }

    fn frame(&mut self, header: &Header, frame: Bytes, found: &mut Vec<Found>) -> Result<(), FormatError> {
        if self.config != Some(header.config) {
            found.push(Found::Format(AudioFormat::aac(&header.config)?));
            self.config = Some(header.config);
        }
        let Some(time) = self.next else { return Ok(()) };
        self.next = Some(time + SAMPLES * 90_000 / i64::from(header.rate));
        let payload = frame.slice(header.head..);
        if !payload.is_empty() {
            let pts_us = us(time);
            found.push(Found::Frame(SourceFrame { pts_us, dts_us: pts_us, keyframe: true, payload }));
        }
        Ok(())
    }
}

/// The header at the front of `bytes`; `None` when there is none, or not all of it.
fn header(bytes: &[u8]) -> Option<Header> {
    let &[0xff, b, c, d, e, f, g] = bytes.first_chunk::<7>()? else { return None };
    let layer_is_zero = b & 0xf6 == 0xf0;
    let (profile, rate, channels) = (c >> 6, c >> 2 & 0x0f, (c & 1) << 2 | d >> 6);
    let size = usize::from(d & 3) << 11 | usize::from(e) << 3 | usize::from(f >> 5);
    let head = if b & 1 == 1 { 7 } else { 9 };
    // Several blocks in a frame are written by no encoder.
    let blocks = g & 3;
    let usable = layer_is_zero && blocks == 0 && (head..LARGEST).contains(&size);
    let rate_hz = *RATES.get(usize::from(rate))?;
    // AudioSpecificConfig: object type (5), rate (4), channels (4).
    let config = [(profile + 1) << 3 | rate >> 1, (rate & 1) << 7 | channels << 3];
    usable.then_some(Header { size, head, rate: rate_hz, config })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// AAC-LC, 48 kHz, stereo.
    fn frame(payload: &[u8]) -> Vec<u8> {
        let size = payload.len() + 7;
        let head = [0xff, 0xf1, 0x4c, 0x80 | (size >> 11) as u8, (size >> 3) as u8, (size << 5) as u8 | 0x1f, 0xfc];
        [&head[..], payload].concat()
    }

    fn frames(found: &[Found]) -> Vec<(i64, &[u8])> {
        let frames = found.iter().filter_map(|found| match found {
            Found::Frame(frame) => Some((frame.pts_us, &frame.payload[..])),
            Found::Format(_) => None,
        });
        frames.collect()
    }

    #[test]
    fn frames_over_packet_edges_keep_their_times() {
        let stream = [frame(&[1; 10]), frame(&[2; 20]), frame(&[3; 5])].concat();
        let (mut adts, mut found) = (Adts::default(), Vec::new());
        adts.push(Some(0), &stream[..25], &mut found).unwrap();
        adts.push(Some(3840), &stream[25..], &mut found).unwrap();
        assert!(matches!(&found[0], Found::Format(format) if format.rate == 48_000 && format.channels == 2));
        assert_eq!(frames(&found), [(0, &[1u8; 10][..]), (21_333, &[2; 20]), (42_666, &[3; 5])]);
    }

    #[test]
    fn rubbish_is_passed_over() {
        let stream = [&[0xff, 0x00, 1, 2, 3, 0xff, 0xff, 4][..], &frame(&[9; 4])].concat();
        let (mut adts, mut found) = (Adts::default(), Vec::new());
        adts.push(Some(9000), &stream, &mut found).unwrap();
        assert_eq!(frames(&found), [(100_000, &[9u8; 4][..])]);
    }

    #[test]
    fn a_frame_before_any_time_is_left_out() {
        let (mut adts, mut found) = (Adts::default(), Vec::new());
        adts.push(None, &frame(&[9; 4]), &mut found).unwrap();
        assert!(frames(&found).is_empty());
    }
}
