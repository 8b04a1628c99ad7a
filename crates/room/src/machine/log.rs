//! The road of events through the store: stored first, published after.
//!
//! One call on the store at a time, with everything that waits. What has a number is durable, so numbers have no
//! holes and a client's (epoch, offset) means the same before and after a crash. When a call ends without saying
//! whether it wrote (`Uncertain`), or somebody else took the number (`Conflict`), the store is read before anything
//! is written again: what is found there is published, what is not is refused.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use metrics::counter;
use store::{Error, NewEvent, StoredEvent};

use super::Machine;
use crate::bus::Message;
use crate::clock::Now;
use crate::config::{APPEND_MAX, STORE_RETRY};
use crate::encode::Refusal;
use crate::event::{Body, Draft, Event};
use crate::memory::Past;
use crate::metric;
use crate::timer::Timer;
use crate::window::Window;

/// Events in one reading of what was missed.
const READ_MAX: u32 = 500;

const NOT_SAVED: &str = "Your comment could not be saved. Try again in a moment.";

/// A call on the store to make.
#[derive(Debug)]
pub(crate) enum Work {
    Past { comments: u32 },
    Read { epoch: String, after: i64, limit: u32 },
    Append(Vec<NewEvent>),
}

/// What became of it.
#[derive(Debug)]
pub(crate) enum Done {
    Past(Result<Past, Error>),
    Read(Result<Vec<StoredEvent>, Error>),
    Append(Result<(), Error>),
}

/// What waits for the store.
#[derive(Debug, Default)]
pub(crate) struct Log {
    comments: VecDeque<Draft>,
    /// A change of state: only the newest counts.
    state: Option<Draft>,
    /// In the append that is under way, numbered from `stored` + 1.
    writing: Vec<Draft>,
    /// Of an append that ended without an answer.
    doubtful: Vec<Draft>,
    /// The last offset that is known to be durable.
    stored: i64,
    /// A call is under way.
    busy: bool,
    past: KnownPast,
    /// There may be more in the store than was published.
    must_read: bool,
    /// The store did not answer; wait for the timer.
    resting: bool,
    pub(super) save_hearts: bool,
    pub(super) saving_hearts: bool,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum KnownPast {
    /// Not asked yet.
    #[default]
    Not,
    /// The store did not answer: the room goes on without, in an epoch of its own, and asks again.
    Missing,
    Yes,
}

impl Log {
    pub fn push(&mut self, comment: Draft) {
        self.comments.push_back(comment);
    }

    pub fn set_state(&mut self, state: Draft) {
        self.state = Some(state);
    }

    pub fn waiting(&self) -> usize {
        self.comments.len()
    }

    /// A change of state is not durable yet.
    pub fn has_state(&self) -> bool {
        let is_state = |draft: &Draft| matches!(draft.body, Body::State(_));
        self.state.is_some() || self.writing.iter().chain(&self.doubtful).any(is_state)
    }

    /// Find out what the store has that was not published here.
    pub fn read_again(&mut self) {
        self.must_read = true;
    }

    /// An event of this offset is durable.
    pub fn seen(&mut self, offset: i64) {
        self.stored = self.stored.max(offset);
    }

    pub fn retry(&mut self) {
        self.resting = false;
    }

    pub fn is_ready(&self) -> bool {
        self.past != KnownPast::Not
    }

    /// The past is being asked for, its hearts too: none may be added meanwhile.
    pub fn asks_past(&self) -> bool {
        self.past == KnownPast::Not || (self.past == KnownPast::Missing && self.busy)
    }

    pub fn is_idle(&self) -> bool {
        !self.busy && !self.saving_hearts && self.comments.is_empty() && self.state.is_none() && !self.must_read
    }
}

impl Machine {
    /// The call on the store to make now, if one is due and none is under way.
    pub fn next_work(&mut self) -> Option<Work> {
        if self.log.busy {
            return None;
        }
        let work = self.choose_work()?;
        self.log.busy = true;
        Some(work)
    }

    fn choose_work(&mut self) -> Option<Work> {
        let log = &mut self.log;
        let past_due = match log.past {
            KnownPast::Not => true,
            KnownPast::Missing => !log.resting && !log.saving_hearts,
            KnownPast::Yes => false,
        };
        if past_due {
            return Some(Work::Past { comments: u32::try_from(self.config.snapshot_comments).unwrap_or(u32::MAX) });
        }
        if log.must_read {
            let read = Work::Read { epoch: self.epoch.clone(), after: self.window.last(), limit: READ_MAX };
            return (!log.resting).then_some(read);
        }
        // A comment is worth a try at once; a state alone waits for the timer.
        if log.comments.is_empty() && (log.state.is_none() || log.resting) {
            return None;
        }
        let comments = log.comments.len().min(APPEND_MAX);
        log.writing = log.state.take().into_iter().chain(log.comments.drain(..comments)).collect();
        let (broadcast, epoch) = (&self.broadcast, &self.epoch);
        let rows = log.writing.iter().zip(log.stored + 1..).map(|(draft, offset)| draft.row(broadcast, epoch, offset));
        Some(Work::Append(rows.collect()))
    }

    /// A call on the store has ended.
    pub fn done(&mut self, now: Now, done: Done) {
        self.log.busy = false;
        match done {
            Done::Past(result) => self.past_known(now, result),
            Done::Read(result) => self.has_read(now, result),
            Done::Append(result) => self.appended(now, result),
        }
    }

    fn appended(&mut self, now: Now, result: Result<(), Error>) {
        let drafts = std::mem::take(&mut self.log.writing);
        match result {
            Ok(()) => {
                let comments = drafts.iter().filter(|draft| draft.comment_id().is_some()).count();
                counter!(metric::COMMENTS).increment(comments as u64);
                let first = self.log.stored + 1;
                let events: Vec<_> =
                    drafts.into_iter().zip(first..).map(|(draft, offset)| Arc::new(draft.numbered(offset))).collect();
                self.log.stored += events.len() as i64;
                self.outgoing.push(Message::Events(events));
            }
            Err(error @ (Error::Uncertain { .. } | Error::Conflict { .. })) => {
                self.failed(now, "append", &error);
                self.log.doubtful = drafts;
                self.log.must_read = true;
                // Reading is what has to be done next, not to be waited for.
                self.log.resting = false;
            }
            Err(error) => {
                self.failed(now, "append", &error);
                self.refuse_all(drafts);
            }
        }
    }

    fn has_read(&mut self, now: Now, result: Result<Vec<StoredEvent>, Error>) {
        let rows = match result {
            Ok(rows) => rows,
            Err(error) => {
                self.failed(now, "read", &error);
                let lost = std::mem::take(&mut self.log.doubtful).into_iter().chain(self.log.comments.drain(..));
                let lost = lost.collect();
                return self.refuse_all(lost);
            }
        };
        self.log.must_read = rows.len() == READ_MAX as usize;
        let events: Vec<_> = rows.into_iter().map(|row| Arc::new(Event::from_stored(row))).collect();
        let found: HashSet<&str> =
            events.iter().filter_map(|event| event.comment()).map(|said| said.id.as_str()).collect();
        // A state is found by its body: there is no harm in storing the same one twice.
        self.log.doubtful.retain(|draft| draft.comment_id().is_none_or(|id| !found.contains(id)));
        for event in events {
            self.append(now, event);
        }
        if !self.log.must_read {
            let lost = std::mem::take(&mut self.log.doubtful);
            self.refuse_all(lost);
        }
    }

    fn past_known(&mut self, now: Now, result: Result<Past, Error>) {
        let first = self.log.past == KnownPast::Not;
        let past = match result {
            Ok(past) => past,
            Err(error) => {
                self.failed(now, "past", &error);
                self.log.past = KnownPast::Missing;
                return;
            }
        };
        self.log.past = KnownPast::Yes;
        self.hearts.set_stored(past.hearts);
        if let Some(position) = past.position.filter(|_| first) {
            self.epoch = position.epoch;
            self.window = Window::new(self.config.window_events, position.last_offset);
            self.flushed = position.last_offset;
            self.log.stored = position.last_offset;
        }
        // Whatever was said here since comes after it.
        let mut comments: Vec<_> = past.comments.into_iter().filter(|row| first || row.epoch != self.epoch).collect();
        comments
            .drain(..comments.len().saturating_sub(self.config.snapshot_comments.saturating_sub(self.recent.len())));
        for row in comments.into_iter().rev() {
            let event = Event::from_stored(row);
            if let Some(said) = event.comment() {
                self.resent.insert(&said.who.id, &said.cid);
                self.recent.push_front(Arc::new(event));
            }
        }
    }

    /// Comments are refused; a change of state is tried again.
    fn refuse_all(&mut self, drafts: Vec<Draft>) {
        for draft in drafts {
            match &draft.body {
                Body::State(_) => {
                    self.log.state.get_or_insert(draft);
                }
                Body::Comment(said) => {
                    self.resent.remove(&said.who.id, &said.cid);
                    if let Some(sender) = draft.sender {
                        self.refuse(sender, Refusal::Unavailable, NOT_SAVED, Some(&said.cid));
                    }
                }
            }
        }
    }

    pub(super) fn failed(&mut self, now: Now, call: &'static str, error: &Error) {
        counter!(metric::STORE_ERRORS, "call" => call).increment(1);
        tracing::warn!(broadcast = %self.broadcast, call, %error, "the store does not serve the room");
        self.log.resting = true;
        self.arm(Timer::StoreRetry, now.at + STORE_RETRY);
    }
}

/// A name for a new numbering: its time, so that it sorts, and chance, so that it is no other's.
pub(super) fn new_epoch(now_ms: i64) -> String {
    format!("{now_ms:012x}{:08x}", rand::random::<u32>())
}
