//! All rooms of this node.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metrics::gauge;
use store::{State, Store};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::bus::Bus;
use crate::clock::Now;
use crate::close::JoinError;
use crate::config::Config;
use crate::connection::Connection;
use crate::event::{Event, Person, Standing};
use crate::frame::Hello;
use crate::identity::Identity;
use crate::machine::{Machine, Missed};
use crate::memory::Memory;
use crate::metric;
use crate::shared::{Hold, Shared};
use crate::task::Task;

/// How often somebody who comes back may find that the window has moved on while the store was read.
const RESUME_TRIES: usize = 4;

/// All rooms of this node: one for every broadcast that somebody is in or that is running. Cheap to clone.
#[derive(Clone)]
pub struct Rooms {
    registry: Arc<Registry>,
}

/// A handle on an open room; the room stays open as long as there is one.
#[derive(Clone)]
pub struct Room {
    hold: Hold,
}

pub(crate) struct Registry {
    config: Config,
    memory: Arc<dyn Memory>,
    bus: Bus,
    rooms: Mutex<HashMap<String, Arc<Shared>>>,
    draining: AtomicBool,
    /// A room has ended.
    ended: Notify,
}

impl Rooms {
    pub fn new(config: Config, store: Store, bus: Bus) -> Self {
        Self::with_memory(config, Arc::new(store), bus)
    }

    pub(crate) fn with_memory(config: Config, memory: Arc<dyn Memory>, bus: Bus) -> Self {
        let registry = Registry {
            config,
            memory,
            bus,
            rooms: Mutex::default(),
            draining: AtomicBool::new(false),
            ended: Notify::new(),
        };
        Self { registry: Arc::new(registry) }
    }

    /// Let somebody in. Opens the room when it is not open, which asks the store.
    ///
    /// The first frame of the connection is the welcome. Errors: [`JoinError`], each with its close code.
    pub async fn join(&self, broadcast: &str, identity: Identity, hello: Hello) -> Result<Connection, JoinError> {
        let you = identity.person()?;
        if self.registry.draining.load(Ordering::Acquire) {
            return Err(JoinError::Draining);
        }
        let room = self.find(broadcast).await?;
        room.hold.ready().await;
        self.registry.admit(&room.hold, you, &hello).await
    }

    /// The room of a broadcast, opened if need be, at this standing. For the server when a publisher comes: it needs
    /// no store. Must be called within the runtime.
    pub fn open(&self, broadcast: &str, state: State, interrupted: bool) -> Room {
        let standing = Standing { state, interrupted };
        let room = Room { hold: self.registry.open(broadcast, standing) };
        room.set_state(state, interrupted);
        room
    }

    /// The room of a broadcast, if it is open.
    pub fn room(&self, broadcast: &str) -> Option<Room> {
        self.registry.lock().get(broadcast).map(|room| Room { hold: Hold::new(room) })
    }

    /// Tell everyone to come back later, close their connections with 1012 and see what waits into the store, for
    /// at most the configured time. Nobody comes in from here on.
    pub async fn drain(&self) {
        self.registry.draining.store(true, Ordering::Release);
        let rooms: Vec<_> = self.registry.lock().values().cloned().collect();
        for room in rooms {
            room.with(|machine, _| machine.drain());
        }
        let empty = async {
            loop {
                let ended = self.registry.ended.notified();
                if self.registry.lock().is_empty() {
                    return;
                }
                ended.await;
            }
        };
        if timeout(self.registry.config.drain_wait, empty).await.is_err() {
            tracing::warn!(rooms = self.registry.lock().len(), "some rooms could not store everything in time");
        }
    }

    async fn find(&self, broadcast: &str) -> Result<Room, JoinError> {
        if let Some(room) = self.room(broadcast) {
            return Ok(room);
        }
        match self.registry.memory.broadcast(broadcast.to_string()).await {
            Ok(Some(found)) => {
                let standing = Standing { state: found.state, interrupted: found.interrupted_ms.is_some() };
                Ok(Room { hold: self.registry.open(broadcast, standing) })
            }
            Ok(None) => Err(JoinError::NoSuchBroadcast { broadcast: broadcast.into() }),
            Err(error) => Err(JoinError::Unavailable { broadcast: broadcast.into(), reason: error.to_string() }),
        }
    }
}

impl Room {
    /// Tell the room how the broadcast stands; viewers hear of changes.
    pub fn set_state(&self, state: State, interrupted: bool) {
        self.hold.with(|machine, now| machine.set_standing(now, Standing { state, interrupted }));
    }

    /// Tell the room how many players fetch the broadcast over HTTP-FLV, RTMP or HLS, those of people in the room
    /// included. Worth 15 s, as a viewer's own report: repeat it, at least every 10 s.
    pub fn report_pull_viewers(&self, n: u32) {
        self.hold.with(|machine, now| machine.report_pull_viewers(now, n));
    }

    /// Playbacks that reported media lately.
    pub fn viewers(&self) -> u32 {
        self.hold.with(|machine, now| machine.viewers(now.at))
    }

    /// All hearts of the broadcast.
    pub fn hearts(&self) -> i64 {
        self.hold.with(|machine, _| machine.hearts_total())
    }

    /// Connections on this node, watching or not.
    pub fn connections(&self) -> usize {
        self.hold.with(|machine, _| machine.connections())
    }

    /// How the broadcast stands, as far as the room was told: its state, and whether it is interrupted.
    pub fn state(&self) -> (State, bool) {
        let standing = self.hold.with(|machine, _| machine.standing());
        (standing.state, standing.interrupted)
    }
}

impl Registry {
    fn open(self: &Arc<Self>, broadcast: &str, standing: Standing) -> Hold {
        let mut rooms = self.lock();
        if let Some(room) = rooms.get(broadcast) {
            return Hold::new(room);
        }
        let machine = Machine::new(self.config.clone(), broadcast, standing, Now::read());
        let room = Arc::new(Shared::new(broadcast, machine));
        let task = Task::new(room.clone(), self.memory.clone(), self.bus.clone(), Arc::downgrade(self));
        rooms.insert(broadcast.into(), room.clone());
        let hold = Hold::new(&room);
        gauge!(metric::ROOMS).increment(1.0);
        tokio::spawn(task.run());
        hold
    }

    async fn admit(&self, room: &Arc<Shared>, you: Person, hello: &Hello) -> Result<Connection, JoinError> {
        for _ in 0..RESUME_TRIES {
            let older = match room.with(|machine, _| machine.missed(hello)) {
                Missed::Unknown => break,
                Missed::Here => Vec::new(),
                Missed::Older { epoch, after, until } => match self.older(room, epoch, after, until).await {
                    Some(older) => older,
                    None => break,
                },
            };
            let offset = hello.offset.unwrap_or_default();
            if let Some((id, outbox)) = room.with(|machine, now| machine.resume(now, &you, offset, &older))? {
                return Ok(Connection::new(room.clone(), id, you, outbox));
            }
        }
        let (id, outbox) = room.with(|machine, now| machine.enter(now, &you))?;
        Ok(Connection::new(room.clone(), id, you, outbox))
    }

    /// The events in (`after`, `until`] of the store: all of them or none.
    async fn older(&self, room: &Shared, epoch: String, after: i64, until: i64) -> Option<Vec<Event>> {
        let limit = u32::try_from(until - after).ok()?;
        let rows = self.memory.events_after(room.broadcast.clone(), epoch, after, limit).await;
        let rows = rows.inspect_err(|error| tracing::warn!(broadcast = %room.broadcast, %error, "no recovery")).ok()?;
        let events: Vec<_> = rows.into_iter().map(Event::from_stored).collect();
        let whole = events.iter().map(|event| event.offset).eq(after + 1..=until);
        whole.then_some(events)
    }

    /// Take the room out when nobody needs it; its task then ends.
    pub fn end_if_done(&self, room: &Arc<Shared>) -> bool {
        let mut rooms = self.lock();
        let done = room.with(|machine, _| machine.is_done() && (machine.is_draining() || !room.is_held()));
        if done {
            rooms.remove(&room.broadcast);
            gauge!(metric::ROOMS).decrement(1.0);
            self.ended.notify_one();
        }
        done
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Shared>>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Rooms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rooms").field("open", &self.registry.lock().len()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Room {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Room").field("broadcast", &self.hold.broadcast).finish_non_exhaustive()
    }
}
