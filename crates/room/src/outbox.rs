//! What waits for one connection: bounded in bytes, and never in anyone else's way.
//!
//! ```text
//! first (welcome, what was missed) ─▶ queue (events, answers, gauges; at most `max` bytes) ─▶ close
//! ```
//! When the queue is full its gauges are dropped, the next one is better anyway; when that is not enough the viewer
//! is too slow and the connection is closed, with a code that says: come back, and recover.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::close::Close;
use crate::encode::Frame;

/// What may happen to a frame when the queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Worth {
    /// It is delivered or the connection ends.
    Keep,
    /// It may be dropped.
    Gauge,
}

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pushed {
    Queued,
    /// A gauge that had no room.
    Dropped,
    /// This was the frame too many: the connection is closed.
    Overflowed,
    /// The connection was closed before.
    Closed,
}

#[derive(Debug)]
pub(crate) struct Outbox {
    queue: Mutex<Queue>,
    ready: Notify,
    max_bytes: usize,
}

#[derive(Debug, Default)]
struct Queue {
    /// Not counted: bounded by what a welcome and a recovery may be.
    first: VecDeque<Frame>,
    frames: VecDeque<(Frame, Worth)>,
    bytes: usize,
    close: Option<Close>,
}

impl Outbox {
    pub fn new(first: Vec<Frame>, max_bytes: usize) -> Self {
        let queue = Queue { first: first.into(), ..Queue::default() };
        Self { queue: Mutex::new(queue), ready: Notify::new(), max_bytes }
    }

    pub fn push(&self, frame: &Frame, worth: Worth) -> Pushed {
        let pushed = self.lock().push(frame, worth, self.max_bytes);
        if matches!(pushed, Pushed::Queued | Pushed::Overflowed) {
            self.ready.notify_one();
        }
        pushed
    }

    /// Close once what waits is sent.
    pub fn close(&self, close: Close) {
        self.lock().close.get_or_insert(close);
        self.ready.notify_one();
    }

    /// Close now; what waits is lost.
    pub fn abort(&self, close: Close) {
        self.lock().abort(close);
        self.ready.notify_one();
    }

    /// Whether it is closed, and how.
    pub fn closed(&self) -> Option<Close> {
        self.lock().close.clone()
    }

    /// The next frame to send, or how to hang up. Cancel-safe: for one task.
    pub async fn next(&self) -> Result<Frame, Close> {
        loop {
            if let Some(next) = self.lock().pop() {
                return next;
            }
            // A push in between has left its permit.
            self.ready.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn push(&mut self, frame: &Frame, worth: Worth, max_bytes: usize) -> Pushed {
        if self.close.is_some() {
            return Pushed::Closed;
        }
        let size = frame.size_bytes();
        if self.bytes + size > max_bytes {
            if worth == Worth::Gauge {
                return Pushed::Dropped;
            }
            self.drop_gauges();
        }
        if self.bytes + size > max_bytes {
            self.abort(Close::SLOW);
            return Pushed::Overflowed;
        }
        self.bytes += size;
        self.frames.push_back((frame.clone(), worth));
        Pushed::Queued
    }

    fn pop(&mut self) -> Option<Result<Frame, Close>> {
        if let Some(frame) = self.first.pop_front() {
            return Some(Ok(frame));
        }
        if let Some((frame, _)) = self.frames.pop_front() {
            self.bytes -= frame.size_bytes();
            return Some(Ok(frame));
        }
        self.close.clone().map(Err)
    }

    fn drop_gauges(&mut self) {
        self.frames.retain(|(_, worth)| *worth == Worth::Keep);
        self.bytes = self.frames.iter().map(|(frame, _)| frame.size_bytes()).sum();
    }

    fn abort(&mut self, close: Close) {
        *self = Self { close: Some(close), ..Self::default() };
    }
}
