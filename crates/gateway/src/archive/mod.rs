//! Recordings and their replays. Recording is an egress whose socket is an object store: a directory or S3.
//!
//! ```text
//! live::Item -> hls::Segmenter -> queue (bytes) -> spill (local disk, part by part) -> objects (segment by segment)
//!               recorder                           scribe                              uploader
//! ```
//!
//! [`Archive::record`] starts the three for a broadcast; [`Archive::open`] gives a [`Replay`], which is read as HLS or as one
//! MP4 file. The segments are those of live HLS, moved to a time line without the gaps between publishers.
//! docs/design/replay.md says why it is done so, and what is lost when.
//!
//! Elsewhere: which broadcasts are recorded, who may watch, and for how long replays are kept (`server`).

mod boxes;
mod download;
mod index;
mod parameters;
mod playlist;
mod recorder;
mod replay;
mod request;
mod scribe;
mod spill;
mod still;
mod store;
mod uploader;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use live::Broadcast;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use index::{Index, InitInfo, Segment};
pub use replay::{Content, Replay};
pub use request::{Range, Request};
pub use store::{OpenError, Place};

use store::Store;
use uploader::Uploader;

/// How broadcasts are recorded.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where replays are.
    pub place: Place,
    /// Local directory for what is not there yet.
    pub spill: PathBuf,
    /// As in [`crate::hls::Config`].
    pub part_target: Duration,
    /// How far back viewers of a live broadcast can go; zero: not at all.
    pub dvr: Duration,
    /// Most bytes of a broadcast that may wait for the local disk. When full, parts are left out up to the next segment.
    pub queue_bytes: usize,
    /// Most bytes of a broadcast on the local disk that wait for the object store. When full, segments are left out.
    pub spill_bytes: u64,
    /// A recording that has grown to this goes no further.
    pub max_bytes: u64,
}

impl Config {
    pub fn new(place: Place, spill: impl Into<PathBuf>) -> Self {
        Self {
            place,
            spill: spill.into(),
            part_target: crate::hls::Config::default().part_target,
            dvr: Duration::from_secs(2 * 3600),
            queue_bytes: 32 << 20,
            spill_bytes: 1 << 30,
            max_bytes: u64::MAX,
        }
    }
}

/// How far a recording is. Counts what is durable in the object store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    pub segments: usize,
    pub bytes: u64,
    pub duration_us: i64,
    /// Media that could not be written.
    pub lost_us: i64,
    /// Capture time of the first frame, microseconds since 1970.
    pub captured_us: Option<i64>,
    /// The broadcast is over and all of it is written.
    pub done: bool,
}

impl Progress {
    /// That of a recording which has written `index`.
    pub fn of(index: &Index) -> Self {
        Self {
            segments: index.segments.len(),
            bytes: index.bytes,
            duration_us: index.end_us(),
            lost_us: index.lost_us,
            captured_us: index.captured_us(),
            done: false,
        }
    }
}

/// Why a replay cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such replay, or no such file in it.
    #[error("no such file in the replay")]
    NotFound,
    /// The object store failed.
    #[error("object store: {0}")]
    Store(#[from] object_store::Error),
    /// The local directory of what is being recorded failed.
    #[error("{path}: {source}")]
    Spill { path: PathBuf, source: std::io::Error },
    /// Something in the store is not what we wrote.
    #[error("{what} of replay {id} is damaged")]
    Damaged { id: String, what: &'static str },
}

/// The recordings and replays of a node. Clones share.
#[derive(Clone)]
pub struct Archive {
    inner: Arc<Inner>,
}

struct Inner {
    config: Config,
    store: Store,
    // Never held across an await.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What is being recorded, by broadcast id.
    running: HashMap<String, watch::Receiver<Arc<Index>>>,
    /// Held by whoever writes to a replay.
    writers: HashMap<String, Arc<tokio::sync::Mutex<()>>>,
    /// Of replays that are over, the newest asked for last.
    cached: Vec<(String, Arc<Index>)>,
}

/// Replays whose index is kept in memory: some hundred KB for one of many hours.
const CACHED: usize = 16;

impl Archive {
    /// Opens the place where replays are; a directory is made when it is missing.
    pub fn new(config: Config) -> Result<Self, OpenError> {
        let store = Store::open(&config.place)?;
        Ok(Self { inner: Arc::new(Inner { config, store, state: Mutex::default() }) })
    }

    /// Records a broadcast until it ends, or until `stop`, from where it may be taken up again by another process. `None` when
    /// it is being recorded already.
    ///
    /// Must be called within a tokio runtime.
    pub fn record(&self, broadcast: Broadcast, stop: CancellationToken) -> Option<watch::Receiver<Progress>> {
        let index = watch::Sender::new(Arc::<Index>::default());
        let id = broadcast.id().to_owned();
        {
            let mut state = self.lock();
            if state.running.contains_key(&id) {
                return None;
            }
            state.running.insert(id.clone(), index.subscribe());
            state.cached.retain(|(cached, _)| *cached != id);
        }
        let (progress, told) = watch::channel(Progress::default());
        tokio::spawn(recorder::run(self.clone(), broadcast, index, progress, stop));
        Some(told)
    }

    /// Whether a broadcast is being recorded here.
    pub fn is_recording(&self, id: &str) -> bool {
        self.lock().running.contains_key(id)
    }

    /// The replays that a stopped process left unfinished on the local disk.
    pub fn leftovers(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(&self.inner.config.spill) else { return Vec::new() };
        entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect()
    }

    /// Brings what lies on the local disk of a replay to the object store; gives all that is there then.
    pub async fn settle(&self, id: &str) -> Result<Arc<Index>, Error> {
        let _writer = self.writer(id).lock_owned().await;
        let mut uploader = self.uploader(id).await?;
        uploader.settle().await?;
        let index = Arc::new(uploader.into_index());
        self.remember(id, &index);
        Ok(index)
    }

    /// A replay to read, as far as it is written.
    ///
    /// Errors: `NotFound` when nothing of it is.
    pub async fn open(&self, id: &str) -> Result<Replay, Error> {
        let running = self.lock().running.get(id).cloned();
        let live = running.is_some();
        let index = match running {
            Some(index) => index.borrow().clone(),
            None => self.cached(id).await?,
        };
        if index.segments.is_empty() {
            return Err(Error::NotFound);
        }
        Ok(Replay::new(id.to_owned(), index, live, self.inner.store.clone(), self.inner.config.dvr))
    }

    /// Removes a replay for good. Again is no error.
    pub async fn delete(&self, id: &str) -> Result<(), Error> {
        let _writer = self.writer(id).lock_owned().await;
        self.lock().cached.retain(|(cached, _)| cached != id);
        let spill = self.spill(id);
        match tokio::fs::remove_dir_all(&spill).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::Spill { path: spill, source: error });
            }
            _ => {}
        }
        self.inner.store.delete_all(id).await
    }

    async fn cached(&self, id: &str) -> Result<Arc<Index>, Error> {
        let found = self.lock().cached.iter().find(|(cached, _)| cached == id).map(|(_, index)| index.clone());
        if let Some(index) = found {
            return Ok(index);
        }
        let index = Arc::new(self.inner.store.index(id).await?);
        self.remember(id, &index);
        Ok(index)
    }

    /// Keeps an index in memory, unless somebody has written more meanwhile.
    fn remember(&self, id: &str, index: &Arc<Index>) {
        let mut state = self.lock();
        let longer = |known: &Index| known.segments.len() > index.segments.len();
        let outdated = state.cached.iter().any(|(cached, known)| cached == id && longer(known));
        if !index.segments.is_empty() && !state.running.contains_key(id) && !outdated {
            state.cached.retain(|(cached, _)| cached != id);
            state.cached.truncate(CACHED - 1);
            state.cached.insert(0, (id.to_owned(), index.clone()));
        }
    }

    async fn uploader(&self, id: &str) -> Result<Uploader, Error> {
        let index = self.inner.store.index(id).await?;
        Ok(Uploader::new(id.to_owned(), self.inner.store.clone(), self.spill(id), index))
    }

    fn spill(&self, id: &str) -> PathBuf {
        self.inner.config.spill.join(id)
    }

    fn writer(&self, id: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut state = self.lock();
        // Those that nobody holds are forgotten here, so that the map does not grow.
        state.writers.retain(|_, writer| Arc::strong_count(writer) > 1);
        state.writers.entry(id.to_owned()).or_default().clone()
    }

    /// The recorder of `id` is gone.
    fn recorded(&self, id: &str) {
        self.lock().running.remove(id);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A poisoned lock means a panic elsewhere; the maps are whole at every step.
        self.inner.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
