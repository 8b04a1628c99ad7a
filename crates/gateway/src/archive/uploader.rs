//! From the local disk to the object store: a segment at a time, in order, and with it the page of the index that names it.
//!
//! A segment is in the replay when its page is written. Everything before that can be done again: its file stays on the local
//! disk until then.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;

use super::Error;
use super::index::{self, Index};
use super::spill::{self, Spilled};
use super::store::Store;

/// After a store that failed; grows up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Writes one replay.
pub(super) struct Uploader {
    id: String,
    store: Store,
    spill: PathBuf,
    index: Index,
}

impl Uploader {
    pub fn new(id: String, store: Store, spill: PathBuf, index: Index) -> Self {
        Self { id, store, spill, index }
    }

    pub fn index(&self) -> &Index {
        &self.index
    }

    pub fn into_index(self) -> Index {
        self.index
    }

    /// Uploads everything that lies on the local disk.
    pub async fn settle(&mut self) -> Result<(), Error> {
        for n in spill::list(&self.spill).map_err(|source| self.failed(source))? {
            self.upload(n).await?;
        }
        match tokio::fs::remove_dir(&self.spill).await {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            other => other.map_err(|source| self.failed(source)),
        }
    }

    /// Uploads segment `n`, as often as it takes.
    pub async fn upload_until_done(&mut self, n: u64) {
        let mut pause = FIRST_PAUSE;
        while let Err(error) = self.upload(n).await {
            tracing::warn!(broadcast = self.id, segment = n, %error, "segment of the replay not stored yet");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn upload(&mut self, n: u64) -> Result<(), Error> {
        let path = spill::path(&self.spill, n);
        let file = tokio::fs::read(&path).await.map_err(|source| self.failed(source))?;
        // A number that is taken was stored by a process that was killed before it could remove the file.
        let spilled = if n >= self.index.next() { Spilled::parse(file.into()) } else { None };
        if let (Some(spilled), Some(page)) = (spilled, index::page_of(n)) {
            self.put(n, page, spilled).await?;
        }
        tokio::fs::remove_file(&path).await.map_err(|source| self.failed(source))
    }

    async fn put(&mut self, n: u64, page: String, spilled: Spilled) -> Result<(), Error> {
        let (segment, init) = (spilled.segment(n), spilled.head.init);
        if self.index.init(init.name).is_none() {
            self.store.put(&self.id, &index::init_name(init.name), spilled.init).await?;
        }
        self.store.put(&self.id, &index::segment_name(n), spilled.body).await?;
        let mut index = self.index.clone();
        index.push(init, segment);
        self.store.put(&self.id, &page, Bytes::from(index.page(n))).await?;
        self.index = index;
        Ok(())
    }

    fn failed(&self, source: std::io::Error) -> Error {
        Error::Spill { path: self.spill.clone(), source }
    }
}
