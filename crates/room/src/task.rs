//! The task of a room: its timers, its ear on the bus, and its calls on the store.

use std::sync::{Arc, Weak};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use store::{Error, HeartSecond};
use tokio::time::{Instant, sleep_until};

use crate::bus::{Bus, Subscription};
use crate::machine::{Done, Work};
use crate::memory::Memory;
use crate::rooms::Registry;
use crate::shared::Shared;

/// A call on the store that is under way.
type Call<T> = Option<BoxFuture<'static, T>>;

pub(crate) struct Task {
    room: Arc<Shared>,
    memory: Arc<dyn Memory>,
    bus: Bus,
    ear: Subscription,
    registry: Weak<Registry>,
    /// Events: one call at a time, in order.
    log: Call<Done>,
    /// Hearts, beside it: they can wait longer.
    hearts: Call<(Vec<HeartSecond>, Result<(), Error>)>,
}

impl Task {
    /// Listens on the bus from here on.
    pub fn new(room: Arc<Shared>, memory: Arc<dyn Memory>, bus: Bus, registry: Weak<Registry>) -> Self {
        let ear = bus.subscribe(&room.broadcast);
        Self { room, memory, bus, ear, registry, log: None, hearts: None }
    }

    /// Serve the room until nobody needs it.
    pub async fn run(mut self) {
        loop {
            let timeout = self.start();
            // A registry that is gone asks for nothing more.
            if self.registry.upgrade().is_none_or(|registry| registry.end_if_done(&self.room)) {
                return;
            }
            tokio::select! {
                delivery = self.ear.next() => self.room.with(|machine, now| machine.deliver(now, delivery)),
                done = ended(&mut self.log) => self.room.with(|machine, now| machine.done(now, done)),
                (seconds, result) = ended(&mut self.hearts) => {
                    self.room.with(|machine, now| machine.hearts_saved(now, &seconds, result));
                }
                () = passed(timeout) => self.room.with(|machine, now| machine.timeout(now)),
                () = self.room.wake.notified() => {}
            }
        }
    }

    /// Publish and begin what is due; gives the next timeout.
    fn start(&mut self) -> Option<Instant> {
        let (outgoing, work, hearts, timeout) = self.room.with(|machine, _| {
            (machine.take_outgoing(), machine.next_work(), machine.hearts_to_save(), machine.next_timeout())
        });
        self.room.tell_ready();
        for message in outgoing {
            self.bus.publish(&self.room.broadcast, message);
        }
        if let Some(work) = work {
            self.log = Some(self.call(work));
        }
        if let Some(seconds) = hearts {
            let call = self.memory.add_hearts(self.room.broadcast.clone(), seconds.clone());
            self.hearts = Some(call.map(|result| (seconds, result)).boxed());
        }
        timeout
    }

    fn call(&self, work: Work) -> BoxFuture<'static, Done> {
        let broadcast = self.room.broadcast.clone();
        match work {
            Work::Past { comments } => self.memory.past(broadcast, comments).map(Done::Past).boxed(),
            Work::Read { epoch, after, limit } => {
                self.memory.events_after(broadcast, epoch, after, limit).map(Done::Read).boxed()
            }
            Work::Append(rows) => self.memory.append(rows).map(Done::Append).boxed(),
        }
    }
}

/// The end of a call, if there is one. Cancel-safe: the call stays.
async fn ended<T>(call: &mut Call<T>) -> T {
    match call {
        Some(under_way) => {
            let done = under_way.await;
            *call = None;
            done
        }
        None => std::future::pending().await,
    }
}

async fn passed(timeout: Option<Instant>) {
    match timeout {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
