//! Writing to many sockets in one loop.
//!
//! A send costs some microseconds whatever its size, and waking a task for each viewer nearly doubles that. So a viewer that keeps
//! up lends its socket to the packager, which writes every unit to all of them itself. A socket that does not take a unit whole
//! goes back to its viewer's task with what is left.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use live::Format;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::unit::{Framing, Unit};

/// Sockets written to before other tasks get their turn.
const BURST: usize = 64;

/// One viewer's socket in the packager's hands.
#[derive(Debug)]
pub(super) struct Seat {
    framing: Framing,
    state: Mutex<State>,
    returned: Notify,
}

#[derive(Debug)]
enum State {
    /// The packager writes.
    Lent {
        socket: Arc<TcpStream>,
        next: u64,
        sent: u64,
    },
    /// The viewer's task writes.
    Returned(Returned),
    Empty,
}

/// What a viewer goes on from.
#[derive(Debug, Default)]
pub(super) struct Returned {
    /// The unit to send next.
    pub next: u64,
    /// What the socket did not take of the unit before: to be written first.
    pub rest: Bytes,
    /// Bytes the packager wrote.
    pub sent: u64,
}

impl Seat {
    /// Lends `socket`, to be written to from unit `next` on.
    pub fn new(socket: Arc<TcpStream>, framing: Framing, next: u64) -> Arc<Self> {
        let state = Mutex::new(State::Lent { socket, next, sent: 0 });
        Arc::new(Self { framing, state, returned: Notify::new() })
    }

    /// Writes a unit; false when the socket is not the packager's any more.
    fn write(&self, unit: &Unit) -> bool {
        let mut state = self.lock();
        let State::Lent { socket, next, sent } = &mut *state else { return false };
        let bytes = unit.bytes(self.framing);
        let written = match socket.try_write(bytes) {
            Ok(written) => written,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            // The viewer's own write meets the same error and says so.
            Err(_) => 0,
        };
        *next = unit.sequence + 1;
        *sent += written as u64;
        if written == bytes.len() {
            return true;
        }
        let returned = Returned { next: *next, rest: bytes.slice(written..), sent: *sent };
        *state = State::Returned(returned);
        self.returned.notify_one();
        false
    }

    /// Gives the socket back between two units.
    fn give_back(&self) {
        let mut state = self.lock();
        if let State::Lent { next, sent, .. } = *state {
            *state = State::Returned(Returned { next, rest: Bytes::new(), sent });
            self.returned.notify_one();
        }
    }

    /// Waits until the packager has given the socket back. Nothing is lost when it is dropped while waiting.
    pub async fn returned(&self) {
        while matches!(*self.lock(), State::Lent { .. }) {
            self.returned.notified().await;
        }
    }

    /// Takes the socket back. The packager writes nothing more once this returns.
    pub fn take(&self) -> Returned {
        match std::mem::replace(&mut *self.lock(), State::Empty) {
            State::Lent { next, sent, .. } => Returned { next, rest: Bytes::new(), sent },
            State::Returned(returned) => returned,
            State::Empty => Returned::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// The seats of one packager. All have been sent the same format.
#[derive(Debug, Default)]
pub(super) struct Seats {
    taken: Vec<Arc<Seat>>,
    format: Option<Arc<Format>>,
}

impl Seats {
    /// Takes more sockets.
    pub fn take(&mut self, boarded: Vec<Arc<Seat>>) {
        self.taken.extend(boarded);
    }

    /// Writes a unit to everyone, those who `boarded` since the last one too.
    pub async fn write(&mut self, unit: &Unit, boarded: Vec<Arc<Seat>>) {
        self.take(boarded);
        if !self.format.as_ref().is_some_and(|format| Arc::ptr_eq(format, &unit.format)) {
            // Each viewer's decoder must be told first.
            self.give_back();
            self.format = Some(unit.format.clone());
        }
        for at in (0..self.taken.len()).rev() {
            if !self.taken[at].write(unit) {
                self.taken.swap_remove(at);
            }
            if at % BURST == BURST - 1 {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Gives all sockets back.
    pub fn give_back(&mut self) {
        for seat in self.taken.drain(..) {
            seat.give_back();
        }
    }
}
