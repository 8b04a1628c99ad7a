//! The handle: configuration, opening, closing, and the bound on every call.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

use crate::engine::{self, Connection, Pool};
use crate::error::Error;
use crate::writer::{self, Job};

/// Where the database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In this process, gone with it: for tests and trials.
    Memory,
    /// One file (and its `-wal` and `-shm` neighbours); made when missing, its directory is not.
    File(PathBuf),
}

/// How to open a store.
#[derive(Debug, Clone)]
pub struct Config {
    pub place: Place,
    /// The longest that a call waits for the database, in line and at work together at most twice this.
    pub timeout: Duration,
    /// Connections for reading, beside the one for writing.
    pub readers: u32,
    /// Rows (room events, heart seconds) that may wait for the writer. Full: `Unavailable` at once.
    pub queue_rows: usize,
}

impl Config {
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self { place: Place::File(path.into()), timeout: Duration::from_secs(2), readers: 4, queue_rows: 4096 }
    }

    pub fn memory() -> Self {
        Self { place: Place::Memory, ..Self::file("") }
    }
}

/// A handle on the database. Cloning is cheap and gives the same database.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    read: Pool,
    write: Pool,
    timeout: Duration,
    /// To the group-commit writer; its task ends with the last handle.
    jobs: mpsc::Sender<Job>,
    /// Free places in the writer's queue, in rows.
    places: Arc<Semaphore>,
}

impl Store {
    /// Open the database, make it when it is missing and bring its schema up to date.
    ///
    /// Errors: [`Error::Open`].
    pub async fn open(config: &Config) -> Result<Self, Error> {
        let place = match &config.place {
            Place::Memory => "in memory".to_string(),
            Place::File(path) => path.display().to_string(),
        };
        let pools = engine::open(config).await.map_err(|reason| Error::Open { place, reason })?;
        // A job has at least one row, so there is room in the channel whenever there is a permit.
        let (jobs, queue) = mpsc::channel(config.queue_rows.max(1));
        tokio::spawn(writer::run(queue, pools.write.clone(), config.timeout));
        Ok(Self {
            shared: Arc::new(Shared {
                read: pools.read,
                write: pools.write,
                timeout: config.timeout,
                jobs,
                places: Arc::new(Semaphore::new(config.queue_rows.max(1))),
            }),
        })
    }

    /// Answer everything that waits, then close the connections. Later calls are `Unavailable`.
    pub async fn close(&self) {
        // The pool hands out its one connection in order, so this comes after what the writer has taken.
        let _ = self.submit(writer::Work::Barrier, "close").await;
        self.shared.read.close().await;
        self.shared.write.close().await;
    }

    /// Whether the database answers a read now: for a readiness probe.
    pub async fn ping(&self) -> Result<(), Error> {
        self.read("answer", async |db| sqlx::query("SELECT 1").execute(db).await.map(drop)).await
    }

    /// Run a read, bounded in time.
    pub(crate) async fn read<T>(
        &self,
        doing: &'static str,
        work: impl AsyncFnOnce(&mut Connection) -> sqlx::Result<T>,
    ) -> Result<T, Error> {
        let whole = async {
            let mut connection = self.shared.read.acquire().await?;
            work(&mut connection).await
        };
        bounded(self.shared.timeout, whole).await.map_err(|late| late.read(doing))
    }

    /// Run one writing statement, bounded in time.
    pub(crate) async fn write<T>(
        &self,
        doing: &'static str,
        work: impl AsyncFnOnce(&mut Connection) -> sqlx::Result<T>,
    ) -> Result<T, Error> {
        let mut connection =
            bounded(self.shared.timeout, self.shared.write.acquire()).await.map_err(|e| e.read(doing))?;
        bounded(self.shared.timeout, work(&mut connection)).await.map_err(|late| late.write(doing))
    }

    /// Hand work to the group-commit writer and wait until it is durable.
    pub(crate) async fn submit(&self, work: writer::Work, doing: &'static str) -> Result<(), Error> {
        let full = || Error::Unavailable { doing, reason: "too much waits to be written".into() };
        let rows = u32::try_from(work.rows()).map_err(|_| full())?;
        let place = self.shared.places.clone().try_acquire_many_owned(rows).map_err(|_| full())?;
        let (job, mut answer) = Job::new(work, place);
        self.shared
            .jobs
            .try_send(job)
            .map_err(|_| Error::Unavailable { doing, reason: "the store is closed".into() })?;
        // Once in line and once at work: the writer bounds the second by itself, this is the bound on both.
        match timeout(self.shared.timeout, answer.receive()).await {
            Ok(result) => result,
            Err(_) if answer.abandon() => Err(Error::timed_out(doing)),
            Err(_) => timeout(self.shared.timeout, answer.receive()).await.unwrap_or(Err(Error::Uncertain { doing })),
        }
    }

    /// Hand over work that nobody waits for; dropped when the queue is full.
    pub(crate) fn submit_and_forget(&self, work: writer::Work) {
        let Ok(place) = self.shared.places.clone().try_acquire_owned() else { return };
        let (job, _) = Job::new(work, place);
        let _ = self.shared.jobs.try_send(job);
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

/// A call that failed: by the clock or by the driver.
pub(crate) enum Late {
    Clock,
    Driver(sqlx::Error),
}

impl Late {
    /// Nothing can have been written.
    pub fn read(self, doing: &'static str) -> Error {
        match self {
            Self::Clock => Error::timed_out(doing),
            Self::Driver(error) => Error::from_sqlx(doing, error),
        }
    }

    /// The clock ran out over a statement that may still take effect.
    pub fn write(self, doing: &'static str) -> Error {
        match self {
            Self::Clock => Error::Uncertain { doing },
            Self::Driver(error) => Error::from_sqlx(doing, error),
        }
    }
}

/// `work`, for at most `limit`.
pub(crate) async fn bounded<T>(limit: Duration, work: impl Future<Output = sqlx::Result<T>>) -> Result<T, Late> {
    match timeout(limit, work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Late::Driver(error)),
        Err(_) => Err(Late::Clock),
    }
}

/// Unix milliseconds by this machine's clock.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
