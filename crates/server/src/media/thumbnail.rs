//! Still pictures, made on demand and kept for a moment.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use gateway::archive::Replay;
use live::{Broadcast, VideoCodec, VideoFormat};
use tokio::sync::Semaphore;

use crate::problem::Problem;

/// A picture older than this is made anew.
const FRESH: Duration = Duration::from_secs(3);

/// Pictures made at a time: each takes some milliseconds of a core, which the media needs more.
const AT_ONCE: usize = 1;

/// Requests that may wait for one; a page shows the last picture meanwhile.
const WAITING: usize = 64;

/// Pictures of replays that are kept, some 30 KB each; the one asked for least lately goes first.
const REPLAYS: usize = 256;

/// By id; `None` for a replay without a picture.
type Replays = Vec<(String, Option<Bytes>)>;

/// The pictures of all broadcasts here. Clones share.
#[derive(Clone)]
pub struct Thumbnails {
    /// One cell a broadcast; its lock makes the second asker wait for the first one's picture.
    cells: Arc<Mutex<HashMap<String, Arc<tokio::sync::Mutex<Cell>>>>>,
    /// Of replays, which do not change; the one asked for last stands last.
    replays: Arc<Mutex<Replays>>,
    work: Arc<Semaphore>,
    admitted: Arc<Semaphore>,
}

#[derive(Default)]
struct Cell {
    made: Option<Instant>,
    jpeg: Option<Bytes>,
}

impl Default for Thumbnails {
    fn default() -> Self {
        Self {
            cells: Arc::default(),
            replays: Arc::default(),
            work: Arc::new(Semaphore::new(AT_ONCE)),
            admitted: Arc::new(Semaphore::new(WAITING)),
        }
    }
}

impl Thumbnails {
    /// The newest keyframe of `broadcast` as a JPEG; `None` when there is none, or in a codec we do not decode.
    pub async fn of(&self, broadcast: &Broadcast) -> Result<Option<Bytes>, Problem> {
        let cell = self.lock().entry(broadcast.id().to_owned()).or_default().clone();
        let _admitted = self.admit()?;
        let mut cell = cell.lock().await;
        if cell.made.is_some_and(|made| made.elapsed() < FRESH) {
            return Ok(cell.jpeg.clone());
        }
        let jpeg = self.make(broadcast).await?;
        // A failure is kept as well: a broken stream is not decoded on every request.
        *cell = Cell { made: Some(Instant::now()), jpeg };
        Ok(cell.jpeg.clone())
    }

    /// A picture of a replay that is whole; `None` as above.
    pub async fn of_replay(&self, id: &str, replay: &Replay) -> Result<Option<Bytes>, Problem> {
        if let Some(jpeg) = self.known(id) {
            return Ok(jpeg);
        }
        let _admitted = self.admit()?;
        let frame = replay.keyframe().await.map_err(crate::media::replay::problem)?;
        let jpeg = match frame {
            Some((format, payload)) => self.encode(id, format.into(), payload).await?,
            None => None,
        };
        let mut kept = self.lock_replays();
        if kept.len() >= REPLAYS {
            kept.remove(0);
        }
        kept.push((id.to_owned(), jpeg.clone()));
        Ok(jpeg)
    }

    fn known(&self, id: &str) -> Option<Option<Bytes>> {
        let mut kept = self.lock_replays();
        let at = kept.iter().position(|(known, _)| known == id)?;
        let found = kept.remove(at);
        let jpeg = found.1.clone();
        kept.push(found);
        Some(jpeg)
    }

    async fn make(&self, broadcast: &Broadcast) -> Result<Option<Bytes>, Problem> {
        match broadcast.keyframe() {
            Some((format, frame)) => self.encode(broadcast.id(), format, frame.payload).await,
            None => Ok(None),
        }
    }

    async fn encode(&self, id: &str, format: Arc<VideoFormat>, frame: Bytes) -> Result<Option<Bytes>, Problem> {
        if format.codec != VideoCodec::H264 {
            return Ok(None);
        }
        let started = Instant::now();
        let _place = self.work.acquire().await.map_err(Problem::internal)?;
        let made = tokio::task::spawn_blocking(move || codec::still::jpeg(&format.description, &frame)).await;
        metrics::histogram!("oriel_thumbnail_seconds").record(started.elapsed().as_secs_f64());
        match made.map_err(Problem::internal)? {
            Ok(jpeg) => Ok(Some(jpeg.into())),
            Err(error) => {
                tracing::debug!(broadcast = id, %error, "no thumbnail");
                Ok(None)
            }
        }
    }

    fn admit(&self) -> Result<tokio::sync::SemaphorePermit<'_>, Problem> {
        let full = |_| Problem::Unavailable("too many pictures are asked for at this moment".into());
        self.admitted.try_acquire().map_err(full)
    }

    /// Forgets the pictures of broadcasts that are not `kept`.
    pub fn retain(&self, kept: impl Fn(&str) -> bool) {
        self.lock().retain(|id, _| kept(id));
    }

    fn lock_replays(&self) -> MutexGuard<'_, Replays> {
        self.replays.lock().expect("no panic happens under this lock")
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<tokio::sync::Mutex<Cell>>>> {
        self.cells.lock().expect("no panic happens under this lock")
    }
}
