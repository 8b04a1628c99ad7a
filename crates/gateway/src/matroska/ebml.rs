//! EBML elements (RFC 8794).
//!
//! ```text
//! id (1 to 4, its leading bit kept) | size (1 to 8, its leading bit removed; all ones: unknown) | body
//! ```
//! `Segment` and `Cluster` are entered and not remembered: no element has a meaning that depends on where they end, and in
//! a live stream nobody knows it.

use bytes::{Buf, Bytes, BytesMut};

/// Ids that matter here.
pub(super) mod id {
    pub const EBML: u32 = 0x1a45_dfa3;
    pub const SEGMENT: u32 = 0x1853_8067;
    pub const INFO: u32 = 0x1549_a966;
    pub const TIMESTAMP_SCALE: u32 = 0x2a_d7b1;
    pub const TRACKS: u32 = 0x1654_ae6b;
    pub const TRACK_ENTRY: u32 = 0xae;
    pub const TRACK_NUMBER: u32 = 0xd7;
    pub const TRACK_TYPE: u32 = 0x83;
    pub const CODEC_ID: u32 = 0x86;
    pub const CODEC_PRIVATE: u32 = 0x63a2;
    pub const CODEC_DELAY: u32 = 0x56aa;
    pub const CONTENT_ENCODINGS: u32 = 0x6d80;
    pub const CLUSTER: u32 = 0x1f43_b675;
    pub const TIMESTAMP: u32 = 0xe7;
    pub const SIMPLE_BLOCK: u32 = 0xa3;
    pub const BLOCK_GROUP: u32 = 0xa0;
    pub const BLOCK: u32 = 0xa1;
    pub const REFERENCE_BLOCK: u32 = 0xfb;
}

/// A whole element that is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Element {
    pub id: u32,
    pub body: Bytes,
}

/// What is wrong with the elements.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Wrong {
    #[error("byte {0:#04x} where an element must begin")]
    Id(u8),
    #[error("element {0:#x} without a size")]
    NoSize(u32),
    #[error("element {id:#x} of {size} bytes")]
    TooLarge { id: u32, size: u64 },
}

/// How much of an element of this id is read: `None`, it is passed over.
fn largest(id: u32) -> Option<u64> {
    match id {
        id::SIMPLE_BLOCK | id::BLOCK_GROUP => Some(9 << 20),
        id::TRACKS => Some(1 << 20),
        id::INFO => Some(64 << 10),
        id::TIMESTAMP => Some(8),
        // Passed over, but told: a stream begins anew.
        id::EBML => Some(4 << 10),
        _ => None,
    }
}

/// Cuts a stream into elements.
#[derive(Debug, Default)]
pub(super) struct Elements {
    buffer: BytesMut,
    skip: u64,
    at: u64,
}

impl Elements {
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    pub fn at(&self) -> u64 {
        self.at
    }

    pub fn poll(&mut self) -> Result<Option<Element>, Wrong> {
        loop {
            let skipped = self.skip.min(self.buffer.len() as u64);
            self.pass(skipped as usize);
            self.skip -= skipped;
            if self.skip > 0 {
                return Ok(None);
            }
            let Some((id, size, header)) = head(&self.buffer)? else { return Ok(None) };
            if matches!(id, id::SEGMENT | id::CLUSTER) {
                self.pass(header);
                continue;
            }
            let size = size.ok_or(Wrong::NoSize(id))?;
            let Some(largest) = largest(id) else {
                self.skip = size + header as u64;
                continue;
            };
            if size > largest {
                return Err(Wrong::TooLarge { id, size });
            }
            let whole = header + size as usize;
            if self.buffer.len() < whole {
                self.buffer.reserve(whole - self.buffer.len());
                return Ok(None);
            }
            self.pass(header);
            self.at += size;
            return Ok(Some(Element { id, body: self.buffer.split_to(size as usize).freeze() }));
        }
    }

    fn pass(&mut self, bytes: usize) {
        self.buffer.advance(bytes);
        self.at += bytes as u64;
    }
}

/// The elements of a whole body. Ends at what is none.
pub(super) fn children(mut body: Bytes) -> impl Iterator<Item = Element> {
    std::iter::from_fn(move || {
        let (id, size, header) = head(&body).ok()??;
        let size = usize::try_from(size?).ok()?;
        if body.len() - header < size {
            return None;
        }
        body.advance(header);
        Some(Element { id, body: body.split_to(size) })
    })
}

/// Id, size unless unknown, and bytes of both. `None`: not all of it is there.
fn head(bytes: &[u8]) -> Result<Option<(u32, Option<u64>, usize)>, Wrong> {
    let Some(&first) = bytes.first() else { return Ok(None) };
    let id_bytes = first.leading_zeros() as usize + 1;
    if id_bytes > 4 {
        return Err(Wrong::Id(first));
    }
    let Some(id) = bytes.get(..id_bytes) else { return Ok(None) };
    let id = id.iter().fold(0, |id, byte| id << 8 | u32::from(*byte));
    let Some((size, size_bytes)) = vint(&bytes[id_bytes..]) else {
        return match bytes.get(id_bytes) {
            Some(0) => Err(Wrong::NoSize(id)),
            _ => Ok(None),
        };
    };
    Ok(Some((id, size, id_bytes + size_bytes)))
}

/// A number of 1 to 8 bytes without its leading bit, `None` when it is all ones, and its bytes.
pub(super) fn vint(bytes: &[u8]) -> Option<(Option<u64>, usize)> {
    let first = *bytes.first()?;
    let length = first.leading_zeros() as usize + 1;
    let number = bytes.get(..length).filter(|_| length <= 8)?;
    let number = number.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    let ones = (1u64 << (7 * length)) - 1;
    let value = number & ones;
    Some(((value != ones).then_some(value), length))
}

/// An unsigned number of up to 8 bytes.
pub(super) fn unsigned(body: &[u8]) -> u64 {
    body.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_lose_their_leading_bit() {
        assert_eq!(vint(&[0x81]), Some((Some(1), 1)));
        assert_eq!(vint(&[0x40, 0x02]), Some((Some(2), 2)));
        assert_eq!(vint(&[0xff]), Some((None, 1)));
        assert_eq!(vint(&[0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), Some((None, 8)));
        assert_eq!(vint(&[0x40]), None);
        assert_eq!(vint(&[0]), None);
    }

    #[test]
    fn elements_come_out_however_the_stream_is_cut() {
        let stream = [
            &[0x18, 0x53, 0x80, 0x67, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff][..], // Segment, unknown size
            &[0xec, 0x82, 0, 0],                                                           // Void
            &[0x1f, 0x43, 0xb6, 0x75, 0xff],                                               // Cluster, unknown size
            &[0xe7, 0x81, 5],
            &[0xa3, 0x83, 1, 2, 3],
        ];
        let stream = stream.concat();
        for step in 1..stream.len() {
            let mut elements = Elements::default();
            let mut found = Vec::new();
            for part in stream.chunks(step) {
                elements.push(part);
                while let Some(element) = elements.poll().unwrap() {
                    found.push((element.id, element.body.to_vec()));
                }
            }
            assert_eq!(found, [(id::TIMESTAMP, vec![5]), (id::SIMPLE_BLOCK, vec![1, 2, 3])]);
            assert_eq!(elements.at(), stream.len() as u64);
        }
    }

    #[test]
    fn what_cannot_be_is_an_error() {
        let wrong = |bytes: &[u8]| {
            let mut elements = Elements::default();
            elements.push(bytes);
            elements.poll().unwrap_err()
        };
        assert_eq!(wrong(&[0x07, 1]), Wrong::Id(7));
        assert_eq!(wrong(&[0xa3, 0xff]), Wrong::NoSize(0xa3));
        assert_eq!(wrong(&[0xa3, 0]), Wrong::NoSize(0xa3));
        assert_eq!(wrong(&[0xe7, 0x89]), Wrong::TooLarge { id: 0xe7, size: 9 });
    }
}
