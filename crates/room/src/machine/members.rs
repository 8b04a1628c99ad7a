//! Those who come, come back and go.

use std::sync::Arc;

use metrics::{counter, gauge};

use super::{Habits, Machine, Member};
use crate::clock::Now;
use crate::close::JoinError;
use crate::config::{FORGET, FRAMES};
use crate::encode::{self, Frame, Welcome};
use crate::event::{Event, Person};
use crate::frame::Hello;
use crate::limit::Bucket;
use crate::metric;
use crate::outbox::Outbox;
use crate::timer::Timer;

/// Bytes of a frame with missed events: well below a queue, so that a phone shows the first while the next comes.
const RECOVERY_FRAME_BYTES: usize = 32 * 1024;

/// What somebody who comes back has missed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Missed {
    /// That cannot be told, or it is too much: a fresh snapshot.
    Unknown,
    /// Nothing, or what the window has.
    Here,
    /// These offsets, (`after`, `until`], have to be read from the store first.
    Older { epoch: String, after: i64, until: i64 },
}

impl Machine {
    /// What somebody with this hello has missed.
    pub fn missed(&self, hello: &Hello) -> Missed {
        let Some((epoch, offset)) = hello.position() else { return Missed::Unknown };
        if epoch != self.epoch || offset > self.flushed {
            return Missed::Unknown;
        }
        if usize::try_from(self.flushed - offset).is_ok_and(|gap| gap > self.config.recovery_events) {
            return Missed::Unknown;
        }
        let until = self.window.reaches().min(self.flushed);
        if offset >= until {
            return Missed::Here;
        }
        Missed::Older { epoch: self.epoch.clone(), after: offset, until }
    }

    /// Let somebody go on after `offset`, with what the store had (`older`) and the window has after that. None when
    /// the two no longer meet: look again.
    pub fn resume(
        &mut self,
        now: Now,
        person: &Person,
        offset: i64,
        older: &[Event],
    ) -> Result<Option<(u64, Arc<Outbox>)>, JoinError> {
        let after = older.last().map_or(offset, |event| event.offset);
        if after < self.window.reaches().min(self.flushed) {
            return Ok(None);
        }
        let missed = {
            let events = older.iter().chain(self.window.between(after, self.flushed).map(|event| &**event));
            let bytes: usize = events.clone().map(|event| event.json.len()).sum();
            // Beyond the bound a fresh snapshot serves better: never a part.
            (bytes <= self.config.recovery_bytes).then(|| encode::batches(events, RECOVERY_FRAME_BYTES))
        };
        self.attach(now, person, missed).map(Some)
    }

    /// Let somebody in with a fresh snapshot.
    pub fn enter(&mut self, now: Now, person: &Person) -> Result<(u64, Arc<Outbox>), JoinError> {
        self.attach(now, person, None)
    }

    fn attach(
        &mut self,
        now: Now,
        person: &Person,
        missed: Option<Vec<Frame>>,
    ) -> Result<(u64, Arc<Outbox>), JoinError> {
        if self.draining {
            return Err(JoinError::Draining);
        }
        if self.members.len() >= self.config.connections {
            return Err(JoinError::Full { broadcast: self.broadcast.clone() });
        }
        let recovered = if missed.is_some() { "true" } else { "false" };
        let mut first = vec![self.welcome(now, person, missed.is_none())];
        first.extend(missed.into_iter().flatten());
        let outbox = Arc::new(Outbox::new(first, self.config.queue_bytes));
        let habits = self.people.entry(person.id.clone()).or_insert_with(|| Habits::new(now.at));
        habits.connections += 1;
        habits.forget_at = None;
        let id = self.next_member;
        self.next_member += 1;
        let frames = Bucket::new(FRAMES, now.at);
        let person = Arc::new(person.clone());
        self.members.insert(id, Member { person, outbox: outbox.clone(), frames, playing: None });
        counter!(metric::JOINS, "recovered" => recovered).increment(1);
        gauge!(metric::CONNECTIONS).increment(1.0);
        Ok((id, outbox))
    }

    fn welcome(&self, now: Now, you: &Person, snapshot: bool) -> Frame {
        let mut comments = self.recent.iter().map(|event| event.json.as_str());
        encode::welcome(Welcome {
            epoch: &self.epoch,
            offset: self.flushed,
            comments: snapshot.then_some(&mut comments),
            you,
            now_ms: now.unix_ms,
            hearts: self.hearts.total(),
            viewers: self.viewers(now.at),
            standing: self.standing,
        })
    }

    /// Somebody is gone.
    pub fn detach(&mut self, now: Now, id: u64) {
        let Some(member) = self.members.remove(&id) else { return };
        gauge!(metric::CONNECTIONS).decrement(1.0);
        if let Some(habits) = self.people.get_mut(&member.person.id) {
            habits.connections -= 1;
            if habits.connections == 0 {
                habits.forget_at = Some(now.at + FORGET);
                self.arm(Timer::Forget, now.at + FORGET);
            }
        }
        if member.playing.is_some() {
            self.viewers_may_have_changed(now.at);
        }
        self.wake |= self.members.is_empty();
    }
}
