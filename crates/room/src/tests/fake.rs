//! A memory that can be made to fail, on tokio's time.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use store::{Broadcast, Error, HeartSecond, NewEvent, Position, State, StoredEvent, User, Visibility};
use tokio::time::sleep;

use crate::memory::{Memory, Past};

/// How long a stalled store lets its callers wait.
const STALL: Duration = Duration::from_secs(2);

/// What calls on the memory do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mood {
    #[default]
    Fine,
    /// Nothing is read or written; the caller hears so after the store's timeout.
    Stalled,
    /// The next append is written, but the caller does not hear so.
    WritesInSilence,
    /// The next append is not written, and the caller hears nothing.
    LosesInSilence,
}

#[derive(Default)]
pub struct Fake {
    state: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    mood: Mood,
    events: Vec<NewEvent>,
    hearts: HashMap<String, i64>,
    known: Vec<String>,
    appends: usize,
}

impl Fake {
    pub fn new(broadcasts: &[&str]) -> Self {
        let known = broadcasts.iter().map(|id| id.to_string()).collect();
        Self { state: Mutex::new(Inner { known, ..Inner::default() }) }
    }

    pub fn set(&self, mood: Mood) {
        self.lock().mood = mood;
    }

    /// Numbers and kinds of what is stored for `room`.
    pub fn stored(&self) -> Vec<(i64, String)> {
        let inner = self.lock();
        inner.events.iter().filter(|event| event.broadcast == "room").map(|e| (e.offset, e.kind.clone())).collect()
    }

    /// Put an event there that no room published: as a process that died between storing and publishing.
    pub fn slip_in(&self, event: NewEvent) {
        self.lock().events.push(event);
    }

    pub fn last(&self) -> NewEvent {
        self.lock().events.last().expect("something is stored").clone()
    }

    /// Forget the events up to `offset`.
    pub fn forget(&self, offset: i64) {
        self.lock().events.retain(|event| event.offset > offset);
    }

    pub fn hearts(&self, broadcast: &str) -> i64 {
        self.lock().hearts.get(broadcast).copied().unwrap_or_default()
    }

    /// Calls of append that reached the memory.
    pub fn appends(&self) -> usize {
        self.lock().appends
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.state.lock().expect("no test panics under the lock")
    }

    /// The result, or the stall.
    fn answer<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Inner) -> Result<T, Error>,
    ) -> BoxFuture<'static, Result<T, Error>> {
        let mut inner = self.lock();
        if inner.mood == Mood::Stalled {
            return async {
                sleep(STALL).await;
                Err(Error::Unavailable { doing: "serve a test", reason: "stalled".into() })
            }
            .boxed();
        }
        std::future::ready(act(&mut inner)).boxed()
    }
}

impl Inner {
    fn append(&mut self, events: Vec<NewEvent>) -> Result<(), Error> {
        self.appends += 1;
        let mood = std::mem::take(&mut self.mood);
        let taken = |new: &NewEvent| {
            let mut same = self.events.iter().filter(|old| old.broadcast == new.broadcast && old.epoch == new.epoch);
            same.any(|old| old.offset == new.offset)
        };
        if events.iter().any(taken) {
            return Err(Error::Conflict { what: "offset".into() });
        }
        if mood != Mood::LosesInSilence {
            self.events.extend(events);
        }
        if mood != Mood::Fine {
            return Err(Error::Uncertain { doing: "append" });
        }
        Ok(())
    }

    fn of(&self, broadcast: &str) -> Vec<StoredEvent> {
        let mut rows: Vec<_> = self.events.iter().filter(|event| event.broadcast == broadcast).cloned().collect();
        rows.sort_by(|a, b| (&a.epoch, a.offset).cmp(&(&b.epoch, b.offset)));
        rows.into_iter()
            .map(|NewEvent { epoch, offset, kind, body, at_ms, .. }| StoredEvent { epoch, offset, kind, body, at_ms })
            .collect()
    }
}

impl Memory for Fake {
    fn broadcast(&self, id: String) -> BoxFuture<'static, Result<Option<Broadcast>, Error>> {
        self.answer(|inner| {
            Ok(inner.known.contains(&id).then(|| Broadcast {
                id,
                owner: User { id: "id-of-ada".into(), name: "ada".into() },
                title: "The window".into(),
                location: None,
                visibility: Visibility::Public,
                state: State::Running,
                created_ms: 0,
                started_ms: Some(0),
                ended_ms: None,
                interrupted_ms: None,
            }))
        })
    }

    fn past(&self, broadcast: String, comments: u32) -> BoxFuture<'static, Result<Past, Error>> {
        self.answer(|inner| {
            let rows = inner.of(&broadcast);
            let position = rows.last().map(|row| Position { epoch: row.epoch.clone(), last_offset: row.offset });
            let mut recent: Vec<_> = rows.into_iter().filter(|row| row.kind == "comment").collect();
            recent.drain(..recent.len().saturating_sub(comments as usize));
            let hearts = inner.hearts.get(&broadcast).copied().unwrap_or_default();
            Ok(Past { position, comments: recent, hearts })
        })
    }

    fn append(&self, events: Vec<NewEvent>) -> BoxFuture<'static, Result<(), Error>> {
        self.answer(|inner| inner.append(events))
    }

    fn events_after(
        &self,
        broadcast: String,
        epoch: String,
        offset: i64,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<StoredEvent>, Error>> {
        self.answer(|inner| {
            let rows = inner.of(&broadcast).into_iter().filter(|row| row.epoch == epoch && row.offset > offset);
            Ok(rows.take(limit as usize).collect())
        })
    }

    fn add_hearts(&self, broadcast: String, seconds: Vec<HeartSecond>) -> BoxFuture<'static, Result<(), Error>> {
        self.answer(|inner| {
            *inner.hearts.entry(broadcast).or_default() += seconds.iter().map(HeartSecond::total).sum::<i64>();
            Ok(())
        })
    }
}
