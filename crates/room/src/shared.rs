//! A room between its task and those who use it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, watch};

use crate::clock::Now;
use crate::machine::Machine;

/// Locks are taken in this order: the registry's rooms, a room's machine, a connection's outbox.
pub(crate) struct Shared {
    pub broadcast: String,
    machine: Mutex<Machine>,
    /// The task has to look.
    pub wake: Notify,
    ready: watch::Sender<bool>,
    /// Handles that keep the room open.
    holds: AtomicUsize,
}

/// Keeps a room open.
pub(crate) struct Hold(Arc<Shared>);

impl Shared {
    pub fn new(broadcast: &str, machine: Machine) -> Self {
        Self {
            broadcast: broadcast.into(),
            machine: Mutex::new(machine),
            wake: Notify::new(),
            ready: watch::Sender::new(false),
            holds: AtomicUsize::new(0),
        }
    }

    /// Do something with the machine now; the task looks when there is something for it to do.
    pub fn with<T>(&self, act: impl FnOnce(&mut Machine, Now) -> T) -> T {
        let (result, wake) = {
            let mut machine = self.machine.lock().unwrap_or_else(PoisonError::into_inner);
            let result = act(&mut machine, Now::read());
            (result, machine.take_wake())
        };
        if wake {
            self.wake.notify_one();
        }
        result
    }

    /// The past is known, or known to be out of reach.
    pub async fn ready(&self) {
        // Fails when the sender is gone, and `self` holds it.
        let _ = self.ready.subscribe().wait_for(|ready| *ready).await;
    }

    pub fn tell_ready(&self) {
        let ready = self.with(|machine, _| machine.is_ready());
        self.ready.send_if_modified(|was| std::mem::replace(was, ready) != ready);
    }

    pub fn is_held(&self) -> bool {
        self.holds.load(Ordering::Acquire) > 0
    }
}

impl Hold {
    /// Only under the registry's lock, or from another hold: else the room may be ending.
    pub fn new(room: &Arc<Shared>) -> Self {
        room.holds.fetch_add(1, Ordering::AcqRel);
        Self(room.clone())
    }
}

impl Clone for Hold {
    fn clone(&self) -> Self {
        Self::new(&self.0)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if self.0.holds.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.wake.notify_one();
        }
    }
}

impl std::ops::Deref for Hold {
    type Target = Arc<Shared>;

    fn deref(&self) -> &Arc<Shared> {
        &self.0
    }
}
