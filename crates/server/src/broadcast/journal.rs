//! Writes the state of broadcasts to the database, in order for each, behind the media's back.
//!
//! The media never waits for the database. Of a broadcast only the newest step waits to be written, so that what waits is
//! bounded by the number of broadcasts; a stalled database gets it when it answers again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use store::{Over, Store};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// A step in the life of a broadcast, with the time it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Running {
        at_ms: i64,
    },
    Interrupted {
        at_ms: i64,
    },
    /// `started_ms` is set when the broadcast started and that is not written yet.
    Over {
        over: Over,
        at_ms: i64,
        started_ms: Option<i64>,
    },
}

/// After a failed write; grows up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The queue of steps.
#[derive(Clone, Default)]
pub struct Journal {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    waiting: Mutex<BTreeMap<String, Step>>,
    changed: Notify,
    written: Notify,
}

impl Journal {
    /// Puts the step of broadcast `id` in line, in place of one that still waits.
    pub fn write(&self, id: &str, step: Step) {
        let mut waiting = self.shared.waiting.lock().expect("no panic happens under this lock");
        let step = match (waiting.get(id), step) {
            // The start must not be lost in the end that overtakes it.
            (Some(Step::Running { at_ms: began }), Step::Over { over, at_ms, .. }) => {
                Step::Over { over, at_ms, started_ms: Some(*began) }
            }
            (Some(Step::Running { at_ms }), Step::Interrupted { .. }) => Step::Running { at_ms: *at_ms },
            (_, step) => step,
        };
        waiting.insert(id.to_owned(), step);
        self.shared.changed.notify_one();
    }

    /// Writes until `stop`, then what is left, once.
    pub async fn run(self, store: Store, stop: CancellationToken) {
        let mut pause = FIRST_PAUSE;
        loop {
            let Some((id, step)) = self.take() else {
                self.shared.written.notify_waiters();
                tokio::select! {
                    () = self.shared.changed.notified() => continue,
                    () = stop.cancelled() => return,
                }
            };
            match put(&store, &id, step).await {
                Ok(()) => pause = FIRST_PAUSE,
                Err(error) if error.is_unavailable() => {
                    tracing::warn!(broadcast = id, %error, "state not written yet");
                    self.put_back(id, step);
                    if stop.is_cancelled() {
                        return;
                    }
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(error) => tracing::error!(broadcast = id, %error, "state not written"),
            }
        }
    }

    fn take(&self) -> Option<(String, Step)> {
        self.shared.waiting.lock().expect("no panic happens under this lock").pop_first()
    }

    /// Back in line, unless something newer came meanwhile.
    fn put_back(&self, id: String, step: Step) {
        let newer = {
            let mut waiting = self.shared.waiting.lock().expect("no panic happens under this lock");
            waiting.remove(&id)
        };
        match newer {
            None => self.write(&id, step),
            Some(newer) => {
                self.write(&id, step);
                self.write(&id, newer);
            }
        }
    }
}

async fn put(store: &Store, id: &str, step: Step) -> Result<(), store::Error> {
    match step {
        Step::Running { at_ms } => store.set_running(id, at_ms).await,
        Step::Interrupted { at_ms } => store.set_interrupted(id, at_ms).await,
        Step::Over { over, at_ms, started_ms } => {
            if let Some(started_ms) = started_ms {
                store.set_running(id, started_ms).await?;
            }
            store.set_ended(id, over, at_ms).await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_newest_step_waits_and_the_start_is_kept() {
        let journal = Journal::default();
        journal.write("a", Step::Running { at_ms: 1 });
        journal.write("a", Step::Over { over: Over::Ended, at_ms: 9, started_ms: None });
        let over = Step::Over { over: Over::Ended, at_ms: 9, started_ms: Some(1) };
        assert_eq!(journal.take(), Some(("a".into(), over)));
        assert_eq!(journal.take(), None);
    }

    #[test]
    fn what_is_put_back_does_not_overwrite_what_came_later() {
        let journal = Journal::default();
        journal.write("a", Step::Interrupted { at_ms: 5 });
        journal.put_back("a".into(), Step::Running { at_ms: 1 });
        assert_eq!(journal.take(), Some(("a".into(), Step::Running { at_ms: 1 })));
    }
}
