//! The outermost boxes, as they come.
//!
//! ```text
//! size (4) | name (4) | size (8), when the first is 1 | body
//! ```

use bytes::{Buf, Bytes, BytesMut};

/// The largest box that is read whole: a fragment of ten seconds at 30 Mbit/s.
const LARGEST: u64 = 40 << 20;

/// Boxes that are needed; others are passed over, whatever their size.
const WANTED: [&[u8; 4]; 3] = [b"moov", b"moof", b"mdat"];

/// A whole box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Whole {
    pub name: [u8; 4],
    /// Where it begins in the stream.
    pub at: u64,
    pub header: usize,
    /// With its header.
    pub bytes: Bytes,
}

/// What is wrong with the boxes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    Size { name: [u8; 4], size: u64 },
}

/// Cuts a stream into boxes.
#[derive(Debug, Default)]
pub(super) struct Boxes {
    buffer: BytesMut,
    /// Bytes to pass over.
    skip: u64,
    /// Where `buffer` begins in the stream.
    at: u64,
}

impl Boxes {
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    pub fn at(&self) -> u64 {
        self.at
    }

    pub fn poll(&mut self) -> Result<Option<Whole>, Wrong> {
        loop {
            let skipped = self.skip.min(self.buffer.len() as u64);
            self.buffer.advance(skipped as usize);
            self.at += skipped;
            self.skip -= skipped;
            if self.skip > 0 {
                return Ok(None);
            }
            let Some((name, header, size)) = self.head() else { return Ok(None) };
            if size < header as u64 {
                return Err(Wrong::Size { name, size });
            }
            if !WANTED.iter().any(|wanted| **wanted == name) {
                self.skip = size;
                continue;
            }
            if size > LARGEST {
                return Err(Wrong::Size { name, size });
            }
            let size = size as usize;
            if self.buffer.len() < size {
                // One growth instead of many; what was announced is bounded above.
                self.buffer.reserve(size - self.buffer.len());
                return Ok(None);
            }
            let at = self.at;
            self.at += size as u64;
            return Ok(Some(Whole { name, at, header, bytes: self.buffer.split_to(size).freeze() }));
        }
    }

    /// Name, bytes of the header, size with it.
    fn head(&self) -> Option<([u8; 4], usize, u64)> {
        let &[a, b, c, d, name @ ..] = self.buffer.first_chunk::<8>()?;
        match u32::from_be_bytes([a, b, c, d]) {
            1 => {
                let size = self.buffer.get(8..)?.first_chunk::<8>()?;
                Some((name, 16, u64::from_be_bytes(*size)))
            }
            size => Some((name, 8, size.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_come_out_whole_and_others_are_passed_over() {
        let stream =
            [&[0, 0, 0, 8][..], b"moof", &[0, 0, 0, 10], b"sidxab", &[0, 0, 0, 1], b"mdat", &17u64.to_be_bytes(), b"x"];
        let stream = stream.concat();
        for step in 1..stream.len() {
            let mut boxes = Boxes::default();
            let mut found = Vec::new();
            for part in stream.chunks(step) {
                boxes.push(part);
                while let Some(whole) = boxes.poll().unwrap() {
                    found.push((whole.name, whole.at, whole.bytes.len()));
                }
            }
            assert_eq!(found, [(*b"moof", 0, 8), (*b"mdat", 18, 17)]);
        }
    }

    #[test]
    fn sizes_that_cannot_be_are_errors() {
        for size in [0u32, 7, u32::MAX] {
            let mut boxes = Boxes::default();
            boxes.push(&[&size.to_be_bytes()[..], b"mdat"].concat());
            assert_eq!(boxes.poll(), Err(Wrong::Size { name: *b"mdat", size: size.into() }));
        }
    }
}
