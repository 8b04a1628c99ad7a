//! An FLV file as it arrives: a header, then tags, each followed by its size.
//!
//! ```text
//! 46 4c 56 01 | flags | header size (4) | 00 00 00 00 | tag | size of it + 11 (4) | tag | ...
//! tag: type (1) | size (3) | time stamp (3) | its high byte (1) | 00 00 00 | body
//! ```

use bytes::{Buf, Bytes, BytesMut};

use super::demux::{Error, LARGEST_TAG};
use super::tag::TagKind;

const HEADER: usize = 9;
const TAG_HEADER: usize = 11;
const TAG_SIZE: usize = 4;

/// Where in the file we are.
#[derive(Debug, Default)]
enum State {
    #[default]
    Header,
    Tag,
}

/// Reads tags out of bytes cut anywhere.
#[derive(Debug, Default)]
pub struct FileReader {
    state: State,
    buffer: BytesMut,
    /// Bytes to leave out before what is next.
    skip: usize,
}

/// One tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    pub kind: TagKind,
    pub timestamp_ms: u32,
    pub body: Bytes,
}

impl FileReader {
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes what has come.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole tag. What is held is at most one tag and the bytes pushed after it.
    pub fn poll(&mut self) -> Result<Option<Tag>, Error> {
        loop {
            let skipped = self.skip.min(self.buffer.len());
            self.buffer.advance(skipped);
            self.skip -= skipped;
            if self.skip > 0 {
                return Ok(None);
            }
            match self.state {
                State::Header => {
                    let Some(header) = self.buffer.get(..HEADER) else { return Ok(None) };
                    let size = u32::from_be_bytes([header[5], header[6], header[7], header[8]]) as usize;
                    if !header.starts_with(b"FLV") || !(HEADER..=LARGEST_TAG).contains(&size) {
                        return Err(Error::NoHeader);
                    }
                    self.skip = size + TAG_SIZE;
                    self.state = State::Tag;
                }
                State::Tag => {
                    let Some(&[kind, a, b, c, d, e, f, high, ..]) = self.buffer.get(..TAG_HEADER) else {
                        return Ok(None);
                    };
                    let size = u32::from_be_bytes([0, a, b, c]) as usize;
                    let kind = match kind {
                        8 => Some(TagKind::Audio),
                        9 => Some(TagKind::Video),
                        18 => Some(TagKind::Script),
                        // Encrypted tags have another bit; types that may come are left out, not refused.
                        0x00..=0x1f => None,
                        other => return Err(Error::NoTag(other)),
                    };
                    let Some(kind) = kind else {
                        self.skip = TAG_HEADER + size + TAG_SIZE;
                        continue;
                    };
                    if size > LARGEST_TAG {
                        return Err(Error::TooLarge { kind, bytes: size });
                    }
                    if self.buffer.len() < TAG_HEADER + size {
                        return Ok(None);
                    }
                    self.buffer.advance(TAG_HEADER);
                    let body = self.buffer.split_to(size).freeze();
                    self.skip = TAG_SIZE;
                    return Ok(Some(Tag { kind, timestamp_ms: u32::from_be_bytes([high, d, e, f]), body }));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> Vec<u8> {
        let mut file = b"FLV\x01\x05\0\0\0\x09\0\0\0\0".to_vec();
        for (kind, body) in [(18u8, &b"meta"[..]), (15, b"other"), (9, b"v"), (8, b"")] {
            let size = body.len() as u8;
            file.extend_from_slice(&[kind, 0, 0, size, 0, 1, 2, 3, 0, 0, 0]);
            file.extend_from_slice(body);
            file.extend_from_slice(&[0, 0, 0, size + 11]);
        }
        file
    }

    fn tags(file: &[u8], step: usize) -> Vec<Tag> {
        let mut reader = FileReader::new();
        let mut tags = Vec::new();
        for part in file.chunks(step) {
            reader.push(part);
            while let Some(tag) = reader.poll().unwrap() {
                tags.push(tag);
            }
        }
        tags
    }

    #[test]
    fn tags_are_the_same_however_the_file_is_cut() {
        let whole = tags(&file(), 1000);
        assert_eq!(
            whole.iter().map(|tag| tag.kind).collect::<Vec<_>>(),
            [TagKind::Script, TagKind::Video, TagKind::Audio]
        );
        assert_eq!(whole[0].timestamp_ms, 0x0300_0102);
        for step in 1..20 {
            assert_eq!(tags(&file(), step), whole);
        }
    }

    #[test]
    fn what_is_no_file_is_an_error() {
        let mut reader = FileReader::new();
        reader.push(b"FLX\x01\x05\0\0\0\x09");
        assert!(reader.poll().is_err());
        let mut reader = FileReader::new();
        reader.push(b"FLV\x01\x05\0\0\0\x09\0\0\0\0\xff\0\0\0\0\0\0\0\0\0\0");
        assert!(reader.poll().unwrap_err().to_string().contains("255"));
    }
}
