//! One viewer's place in a broadcast: what to write next, never more than that.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use live::Format;
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::mux;
use super::packager::{Newest, Packager};
use super::seat::{Returned, Seat};
use super::unit::{self, Framing, Unit};

/// A viewer that had to skip this many times in a row cannot carry the stream at all.
const MOST_SKIPS: u32 = 10;

/// The viewer fell behind again and again; its connection should be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("viewer is too slow: skipped to the newest keyframe {MOST_SKIPS} times in a row")]
pub struct TooSlow;

/// A viewer of one broadcast. Holds a position, not a queue: the bytes are shared, and what a slow viewer misses is skipped by
/// whole groups.
pub struct Viewer {
    packager: Arc<Packager>,
    newest: watch::Receiver<Newest>,
    framing: Framing,
    /// The unit to send next; `None` until the first keyframe.
    next: Option<u64>,
    /// What the viewer's decoder was last configured with.
    format: Option<Arc<Format>>,
    waiting: VecDeque<Bytes>,
    skips: u32,
    /// Held while the packager writes to the viewer's socket.
    seat: Option<Arc<Seat>>,
    /// Bytes that the packager wrote and nobody has asked about.
    written: u64,
}

impl Viewer {
    pub(super) fn new(packager: Arc<Packager>, framing: Framing) -> Self {
        packager.viewers.fetch_add(1, Ordering::AcqRel);
        let newest = packager.newest.subscribe();
        Self {
            packager,
            newest,
            framing,
            next: None,
            format: None,
            waiting: VecDeque::new(),
            skips: 0,
            seat: None,
            written: 0,
        }
    }

    /// The next bytes to write; `None` when the broadcast is over. May be dropped while waiting without losing anything.
    pub async fn next(&mut self) -> Result<Option<Bytes>, TooSlow> {
        loop {
            if let Some(bytes) = self.waiting.pop_front() {
                return Ok(Some(bytes));
            }
            match self.unit()? {
                Some(unit) => return Ok(Some(self.send(&unit))),
                None if self.wait().await => {}
                None => return Ok(None),
            }
        }
    }

    /// Like [`Viewer::next`], but while the viewer keeps up, the packager itself writes to `socket`: what comes out here is only
    /// the rest. Whoever else wants to write to it calls [`Viewer::reclaim`] before.
    pub async fn next_for(&mut self, socket: &Arc<TcpStream>) -> Result<Option<Bytes>, TooSlow> {
        loop {
            if let Some(seat) = &self.seat {
                seat.returned().await;
                if let Some(rest) = self.reclaim() {
                    return Ok(Some(rest));
                }
            }
            if let Some(bytes) = self.waiting.pop_front() {
                return Ok(Some(bytes));
            }
            match self.unit()? {
                Some(unit) => return Ok(Some(self.send(&unit))),
                None if self.lend(socket) => {}
                None if self.wait().await => {}
                None => return Ok(None),
            }
        }
    }

    /// Takes the socket back from the packager. What comes out must be written before anything else.
    #[must_use = "the stream is cut within a tag unless it is written"]
    pub fn reclaim(&mut self) -> Option<Bytes> {
        let Returned { next, rest, sent } = self.seat.take()?.take();
        self.next = Some(next);
        self.written += sent;
        (!rest.is_empty()).then_some(rest)
    }

    /// Bytes that the packager wrote to the socket since this was last asked, as far as it has been taken back.
    pub fn written(&mut self) -> u64 {
        std::mem::take(&mut self.written)
    }

    /// Lends the socket to the packager; false when the viewer is not at the newest unit.
    fn lend(&mut self, socket: &Arc<TcpStream>) -> bool {
        let Some(next) = self.next else { return false };
        let format = self.format.as_ref();
        let lent = self.packager.board(next, format, || Seat::new(socket.clone(), self.framing, next));
        self.skips = if lent.is_some() { 0 } else { self.skips };
        self.seat = lent;
        self.seat.is_some()
    }

    /// The unit to send now, if there is one.
    fn unit(&mut self) -> Result<Option<Arc<Unit>>, TooSlow> {
        let newest = self.newest.borrow_and_update().unit.clone();
        if let (Some(unit), Some(next)) = (&newest, self.next)
            && unit.sequence == next
        {
            self.skips = 0;
            return Ok(newest);
        }
        let ring = self.packager.ring();
        let Some(latest) = ring.newest() else { return Ok(None) };
        let key = ring.newest_key();
        let Some(next) = self.next else { return Ok(key.and_then(|key| ring.get(key)).cloned()) };
        if next > latest.sequence {
            return Ok(None);
        }
        let max_lag_us = self.packager.config.max_lag.as_micros() as i64;
        match (ring.get(next), key) {
            (Some(unit), key) if key.is_none_or(|key| key <= next) || latest.time_us - unit.time_us <= max_lag_us => {
                Ok(Some(unit.clone()))
            }
            (_, Some(key)) => {
                self.skips += 1;
                if self.skips > MOST_SKIPS { Err(TooSlow) } else { Ok(ring.get(key).cloned()) }
            }
            // What comes next is gone and nothing can be started at yet.
            (_, None) => {
                drop(ring);
                self.next = None;
                Ok(None)
            }
        }
    }

    fn send(&mut self, unit: &Arc<Unit>) -> Bytes {
        self.next = Some(unit.sequence + 1);
        let bytes = unit.bytes(self.framing).clone();
        let known = self.format.as_ref().is_some_and(|format| Arc::ptr_eq(format, &unit.format));
        if known {
            return bytes;
        }
        let first = self.format.replace(unit.format.clone()).is_none();
        let lead_in = unit::lead_in(&mux::header(&unit.format, unit.timestamp_ms()), self.framing);
        self.waiting.push_back(bytes);
        if first && self.framing != Framing::Rtmp {
            self.waiting.push_front(lead_in);
            return unit::file_header(&unit.format);
        }
        lead_in
    }

    /// Waits for a newer unit; false when the broadcast is over.
    async fn wait(&mut self) -> bool {
        !self.newest.borrow().over && self.newest.changed().await.is_ok()
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        if let Some(seat) = self.seat.take() {
            seat.take();
        }
        self.packager.viewers.fetch_sub(1, Ordering::AcqRel);
    }
}
