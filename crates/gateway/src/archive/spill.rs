//! The segment being recorded, on the local disk: parts are appended as they come, so that a killed process loses the part it
//! was writing and nothing else.
//!
//! ```text
//! file:    record*                       head, init segment, then parts
//! record:  length:u32 hash:u64 payload   big endian; the hash is FNV-1a of the payload, which finds a torn write
//! part:    duration_us:i64 end_us:i64 fragment
//! ```
//! Reading stops at the first record that is cut off or does not match its hash.

use std::path::{Path, PathBuf};

use bytes::{Buf, Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use super::index::{InitInfo, Segment};
use crate::hls::fnv1a;

/// A record larger than this was not written by us: a part is a fraction of a second.
const RECORD_MAX: usize = 256 << 20;

const SUFFIX: &str = ".open";

/// What is known of a segment when it begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Head {
    pub init: InitInfo,
    pub start_us: i64,
    pub captured_us: i64,
    pub discontinuity: bool,
    pub independent: bool,
    pub lost_us: i64,
}

/// A segment as it was found in its file.
#[derive(Debug)]
pub(super) struct Spilled {
    pub head: Head,
    pub init: Bytes,
    /// The fragments, in order.
    pub body: Bytes,
    duration_us: i64,
    end_us: i64,
}

/// A file being written.
pub(super) struct Spill(File);

impl Spill {
    pub async fn create(path: &Path, head: &Head, init: &[u8]) -> std::io::Result<Self> {
        if let Some(dir) = path.parent() {
            tokio::fs::create_dir_all(dir).await?;
        }
        let mut spill = Self(File::create(path).await?);
        let head = serde_json::to_vec(head).expect("a head has no map keys that JSON cannot carry");
        spill.write(&[&head]).await?;
        spill.write(&[init]).await?;
        Ok(spill)
    }

    pub async fn part(&mut self, duration_us: i64, end_us: i64, fragment: &[u8]) -> std::io::Result<()> {
        self.write(&[&duration_us.to_be_bytes(), &end_us.to_be_bytes(), fragment]).await
    }

    /// Writes a record in one piece and waits until the system has it.
    async fn write(&mut self, payload: &[&[u8]]) -> std::io::Result<()> {
        let length: usize = payload.iter().map(|piece| piece.len()).sum();
        let mut record = Vec::with_capacity(12 + length);
        record.extend_from_slice(&[0; 12]);
        payload.iter().for_each(|piece| record.extend_from_slice(piece));
        let hash = fnv1a(&record[12..]);
        record[..4].copy_from_slice(&(length as u32).to_be_bytes());
        record[4..12].copy_from_slice(&hash.to_be_bytes());
        self.0.write_all(&record).await?;
        self.0.flush().await
    }
}

impl Spilled {
    /// What a file holds; `None` when not even one part is whole.
    pub fn parse(mut file: Bytes) -> Option<Self> {
        let head: Head = serde_json::from_slice(&record(&mut file)?).ok()?;
        let init = record(&mut file)?;
        let (mut body, mut duration_us, mut end_us) = (BytesMut::new(), 0_i64, head.start_us);
        while let Some(mut part) = record(&mut file).filter(|part| part.len() > 16) {
            duration_us = duration_us.saturating_add(part.get_i64().max(0));
            end_us = end_us.max(part.get_i64());
            body.extend_from_slice(&part);
        }
        (!body.is_empty()).then(|| Self { head, init, body: body.freeze(), duration_us, end_us })
    }

    pub fn segment(&self, n: u64) -> Segment {
        Segment {
            n,
            init: self.head.init.name,
            bytes: self.body.len() as u64,
            start_us: self.head.start_us,
            duration_us: self.duration_us,
            end_us: self.end_us.max(self.head.start_us.saturating_add(self.duration_us)),
            captured_us: self.head.captured_us,
            discontinuity: self.head.discontinuity,
            independent: self.head.independent,
            lost_us: self.head.lost_us,
        }
    }
}

/// The file of segment `n`.
pub(super) fn path(dir: &Path, n: u64) -> PathBuf {
    dir.join(format!("{n:012}{SUFFIX}"))
}

/// The segments that lie in `dir`, oldest first.
pub(super) fn list(dir: &Path) -> std::io::Result<Vec<u64>> {
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let number = |entry: std::fs::DirEntry| entry.file_name().to_str()?.strip_suffix(SUFFIX)?.parse().ok();
    let mut found: Vec<u64> = entries.flatten().filter_map(number).collect();
    found.sort_unstable();
    Ok(found)
}

fn record(file: &mut Bytes) -> Option<Bytes> {
    if file.len() < 12 {
        return None;
    }
    let (length, hash) = (file.get_u32() as usize, file.get_u64());
    if length > file.len() || length > RECORD_MAX {
        return None;
    }
    let payload = file.split_to(length);
    (fnv1a(&payload) == hash).then_some(payload)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::index::tests::init;

    async fn written(name: &str) -> Bytes {
        let path = std::env::temp_dir().join(format!("oriel-spill-{}-{name}", std::process::id()));
        let head =
            Head { init: init(), start_us: 10, captured_us: 5, discontinuity: true, independent: true, lost_us: 3 };
        let mut spill = Spill::create(&path, &head, b"init").await.expect("creates");
        for n in 1..=3 {
            spill.part(200_000, 10 + n * 200_000, b"part").await.expect("writes");
        }
        let file = std::fs::read(&path).expect("reads");
        std::fs::remove_file(&path).expect("removes");
        file.into()
    }

    #[tokio::test]
    async fn a_file_cut_anywhere_gives_its_whole_parts() {
        let file = written("cut").await;
        let whole = Spilled::parse(file.clone()).expect("whole");
        assert_eq!((&whole.init[..], &whole.body[..]), (&b"init"[..], &b"partpartpart"[..]));
        let segment = whole.segment(4);
        assert_eq!((segment.duration_us, segment.end_us, segment.lost_us), (600_000, 600_010, 3));
        let mut parts = Vec::new();
        for cut in 0..file.len() {
            let found = Spilled::parse(file.slice(..cut)).map_or(0, |spilled| spilled.body.len() / 4);
            parts.push(found);
        }
        assert!(parts.is_sorted() && parts.last() == Some(&2));
    }

    #[tokio::test]
    async fn a_damaged_part_ends_the_segment() {
        let mut file = written("damaged").await.to_vec();
        let last = file.len() - 1;
        file[last] ^= 1;
        assert_eq!(Spilled::parse(file.into()).expect("two parts").body.len(), 8);
    }
}
