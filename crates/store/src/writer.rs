//! Group commit: one task, one connection, one transaction for everything that waits.
//!
//! ```text
//! append_events ─┐                     ┌─ BEGIN ─ rows of every job ─ COMMIT ─┐
//! append_events ─┼─ bounded queue ─ recv_many                                 ├─ answer each
//! add_hearts    ─┘                     └──── a job breaks a rule: each alone ─┘
//! ```
//! The larger the crowd, the larger the group; a commit costs the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use metrics::{counter, histogram};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use crate::engine::{BEGIN_WRITE, Connection, Pool};
use crate::error::Error;
use crate::events::{self, NewEvent};
use crate::hearts::{self, HeartSecond};
use crate::sessions;
use crate::store::bounded;

/// Jobs in one transaction, so that the first of them does not wait for an endless group.
const GROUP_JOBS: usize = 512;

/// What the writer can do.
pub(crate) enum Work {
    Append(Vec<NewEvent>),
    Hearts {
        broadcast: String,
        seconds: Vec<HeartSecond>,
    },
    Seen {
        token_hash: [u8; 32],
        at_ms: i64,
    },
    /// Nothing: its answer says that everything before it has been answered.
    Barrier,
}

impl Work {
    /// Places it takes in the queue: at least one.
    pub fn rows(&self) -> usize {
        match self {
            Self::Append(events) => events.len().max(1),
            Self::Hearts { seconds, .. } => seconds.len().max(1),
            Self::Seen { .. } | Self::Barrier => 1,
        }
    }

    fn doing(&self) -> &'static str {
        match self {
            Self::Append(_) => "append room events",
            Self::Hearts { .. } => "add hearts",
            Self::Seen { .. } => "note a session's use",
            Self::Barrier => "close",
        }
    }

    async fn write(&self, db: &mut Connection) -> sqlx::Result<()> {
        match self {
            Self::Append(events) => events::insert(db, events).await,
            Self::Hearts { broadcast, seconds } => hearts::add(db, broadcast, seconds).await,
            Self::Seen { token_hash, at_ms } => sessions::seen(db, token_hash, *at_ms).await,
            Self::Barrier => Ok(()),
        }
    }
}

/// Work in the queue.
pub(crate) struct Job {
    work: Work,
    answer: oneshot::Sender<Result<(), Error>>,
    /// Set by whoever decides first: the writer (it will be written) or the caller (it will not).
    decided: Arc<AtomicBool>,
    /// Its places in the queue, free again when it is answered.
    _place: OwnedSemaphorePermit,
}

/// The caller's end of a job.
pub(crate) struct Answer {
    result: oneshot::Receiver<Result<(), Error>>,
    decided: Arc<AtomicBool>,
    doing: &'static str,
}

impl Job {
    pub fn new(work: Work, place: OwnedSemaphorePermit) -> (Self, Answer) {
        let (answer, result) = oneshot::channel();
        let decided = Arc::new(AtomicBool::new(false));
        let doing = work.doing();
        (Self { work, answer, decided: decided.clone(), _place: place }, Answer { result, decided, doing })
    }

    /// Take it for writing; false when its caller has given up.
    fn claim(&self) -> bool {
        !self.decided.swap(true, Ordering::AcqRel)
    }
}

impl Answer {
    /// The writer's answer. Cancel-safe.
    pub async fn receive(&mut self) -> Result<(), Error> {
        // Dropped without an answer: the runtime is going down, possibly in the middle of a commit.
        (&mut self.result).await.unwrap_or(Err(Error::Uncertain { doing: self.doing }))
    }

    /// Give up; true when it is certain that nothing was and will be written.
    pub fn abandon(&self) -> bool {
        !self.decided.swap(true, Ordering::AcqRel)
    }
}

/// Serve the queue until the last handle is gone.
pub(crate) async fn run(mut queue: mpsc::Receiver<Job>, pool: Pool, limit: Duration) {
    let mut group = Vec::new();
    while queue.recv_many(&mut group, GROUP_JOBS).await > 0 {
        group.retain(Job::claim);
        let jobs = std::mem::take(&mut group);
        if jobs.is_empty() {
            continue;
        }
        match commit(&pool, &jobs, limit).await {
            // One job broke a rule of the schema: the others must not suffer for it.
            Err(error) if jobs.len() > 1 && !error.is_unavailable() => {
                for job in jobs {
                    let result = commit(&pool, std::slice::from_ref(&job), limit).await;
                    let _ = job.answer.send(result);
                }
            }
            result => {
                for job in jobs {
                    let _ = job.answer.send(result.clone());
                }
            }
        }
    }
}

/// Write all of `jobs` or none.
async fn commit(pool: &Pool, jobs: &[Job], limit: Duration) -> Result<(), Error> {
    let started = std::time::Instant::now();
    let doing = jobs.first().map_or("commit", |job| job.work.doing());
    let write = async {
        let mut transaction = pool.begin_with(BEGIN_WRITE).await?;
        for job in jobs {
            job.work.write(&mut transaction).await?;
        }
        Ok(transaction)
    };
    // Until the commit is asked for, running out of time rolls back; after it, nobody knows.
    let result = match bounded(limit, write).await {
        Ok(transaction) => bounded(limit, transaction.commit()).await.map_err(|late| late.write(doing)),
        Err(late) => Err(late.read(doing)),
    };
    histogram!("oriel_store_group_jobs").record(jobs.len() as f64);
    histogram!("oriel_store_commit_seconds").record(started.elapsed().as_secs_f64());
    if let Err(error) = &result {
        counter!("oriel_store_failed_commits_total").increment(1);
        tracing::warn!(%error, jobs = jobs.len(), "group commit failed");
    }
    result
}
