//! When each video frame has arrived, whatever protocol carried it: the capture stamp that the publisher put before each frame is
//! looked for in the raw bytes, and the frame's own length field, which follows it, says when the frame is whole.
//!
//! ```text
//! ... 06 05 19 | our UUID, 16 bytes | 01 | unix microseconds, escaped | 80 | length of the slice, 4 bytes | slice ...
//! ```
//! The clip's frames are one stamp, one slice and padding, which is not waited for; a chunk header inside a frame (RTMP,
//! chunked HTTP) makes "whole" a few bytes early.

use std::sync::LazyLock;

use live::capture_sei::UUID;
use memchr::memmem::Finder;

static NEEDLE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(&UUID));

/// Version, eight bytes of time, trailing bits and the length; the time may have been escaped with up to four more.
const AFTER_UUID: usize = 1 + 8 + 4 + 1 + 4;
/// What is kept of one read for the next, since a stamp may lie across both.
pub const TAIL: usize = UUID.len() + AFTER_UUID;

/// Follows one connection.
#[derive(Default)]
pub struct Arrivals {
    tail: Vec<u8>,
    /// Stream position after the bytes seen so far.
    position: u64,
    /// A frame that is still arriving: its stamp and the stream position where it ends.
    open: Option<(i64, u64)>,
}

impl Arrivals {
    /// Takes `length` new bytes, which the caller has put into `buffer` at [`TAIL`] (what is before that is overwritten), and
    /// names the stamp (unix microseconds) of each frame that is now whole.
    pub fn feed(&mut self, buffer: &mut [u8], length: usize, mut arrived: impl FnMut(i64)) {
        let start = TAIL - self.tail.len();
        buffer[start..TAIL].copy_from_slice(&self.tail);
        let bytes = &buffer[start..TAIL + length];
        let origin = self.position - self.tail.len() as u64;
        self.position += length as u64;
        let mut done = 0;
        for at in NEEDLE.find_iter(bytes) {
            let Some((unix_us, slice, after)) = stamp(&bytes[at + UUID.len()..]) else { continue };
            if let Some((earlier, _)) = self.open.take() {
                arrived(earlier);
            }
            done = at + UUID.len() + after;
            self.open = Some((unix_us, origin + done as u64 + slice));
        }
        if let Some((unix_us, _)) = self.open.take_if(|open| open.1 <= self.position) {
            arrived(unix_us);
        }
        let keep = done.max(bytes.len().saturating_sub(TAIL - 1));
        self.tail.clear();
        self.tail.extend_from_slice(&bytes[keep..]);
    }
}

/// Stamp, length of the slice after it, and where the slice begins; `None` when cut short or not ours.
fn stamp(bytes: &[u8]) -> Option<(i64, u64, usize)> {
    let mut time = [0u8; 9];
    let (mut at, mut zeros) = (0, 0);
    for out in &mut time {
        if zeros == 2 && *bytes.get(at)? == 3 {
            (at, zeros) = (at + 1, 0);
        }
        *out = *bytes.get(at)?;
        zeros = if *out == 0 { zeros + 1 } else { 0 };
        at += 1;
    }
    let slice = bytes.get(at + 1..at + 5)?.first_chunk::<4>()?;
    (time[0] == 1 && bytes[at] == 0x80).then_some(())?;
    let unix_us = i64::from_be_bytes(*time[1..].first_chunk()?);
    Some((unix_us, u64::from(u32::from_be_bytes(*slice)), at + 5))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(unix_us: i64, slice: usize) -> Vec<u8> {
        let unit = [&(slice as u32).to_be_bytes()[..], &vec![0x41; slice]].concat();
        live::capture_sei::stamp_h264(unix_us, &unit).to_vec()
    }

    #[test]
    fn every_frame_is_named_once_when_its_last_byte_is_there_however_the_bytes_are_cut() {
        let stamps = [1_795_255_323_045_678, 0x0001_0000_0000_0100, 0, 1_795_255_323_079_011];
        let stream: Vec<u8> = stamps.iter().flat_map(|&us| [vec![9; 37], frame(us, 300)].concat()).collect();
        let whole = stream.len() / stamps.len();
        for step in [1, 2, 7, 16, 35, 36, 100, 301, 5000] {
            let (mut arrivals, mut seen, mut given) = (Arrivals::default(), Vec::new(), 0);
            for piece in stream.chunks(step) {
                let mut buffer = vec![0; TAIL + piece.len()];
                buffer[TAIL..].copy_from_slice(piece);
                given += piece.len();
                arrivals.feed(&mut buffer, piece.len(), |us| seen.push(us));
                // Escaped stamps make their frames a byte or two longer than the mean.
                assert!(seen.len() + 1 >= given / (whole + 2), "step {step}");
            }
            assert_eq!(seen, stamps, "step {step}");
        }
    }

    #[test]
    fn other_bytes_name_nothing() {
        let mut buffer = vec![0x84; TAIL + 10_000];
        Arrivals::default().feed(&mut buffer, 10_000, |us| panic!("{us}"));
        let mut cut = [vec![0; TAIL], frame(5, 100)[..60].to_vec()].concat();
        let length = cut.len() - TAIL;
        Arrivals::default().feed(&mut cut, length, |us| panic!("{us}"));
    }
}
