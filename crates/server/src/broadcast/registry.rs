//! The broadcasts in progress on this server: who may publish, and what follows from a publisher's coming and going.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use live::{Directory, Settings};
use room::{Room, Rooms};
use store::{Over, Store};
use subtle::ConstantTimeEq as _;
use tokio::time::Instant;

use super::journal::{Journal, Step};
use super::machine::{Event, Machine, Parting, State};
use super::names::StreamKey;
use super::refusal::Refusal;
use crate::clock::now_ms;
use crate::replay::Recordings;

/// How long an ended broadcast stays readable here, for HLS viewers to fetch the end.
const LINGER: Duration = Duration::from_secs(60);

/// All broadcasts in progress. Clones share.
#[derive(Clone)]
pub struct Registry {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    directory: Directory,
    rooms: Rooms,
    journal: Journal,
    recordings: Recordings,
    grace: Duration,
    // Never held across an await, and no other lock is taken under it but the journal's.
    state: Mutex<Running>,
}

#[derive(Default)]
struct Running {
    draining: bool,
    /// By broadcast id. An entry goes when the broadcast is over.
    machines: HashMap<String, Machine>,
    /// The publisher's session in force, by broadcast id. One that was replaced may still be closing its connection.
    sessions: HashMap<String, u64>,
    sessions_made: u64,
    /// Held open while the broadcast runs, so that the room knows how it stands.
    rooms: HashMap<String, Room>,
    /// SHA-256 of the stream key to broadcast id, for those above: a resume asks no database.
    keys: HashMap<[u8; 32], String>,
}

/// A broadcast to publish, found by its key.
struct Found {
    id: String,
    key_hash: [u8; 32],
    machine: Machine,
    first_segment: u64,
}

impl Registry {
    pub fn new(
        store: Store,
        directory: Directory,
        rooms: Rooms,
        journal: Journal,
        recordings: Recordings,
        grace: Duration,
    ) -> Self {
        Self { inner: Arc::new(Inner { store, directory, rooms, journal, recordings, grace, state: Mutex::default() }) }
    }

    /// Takes up what a stopped server left RUNNING: the publishers get the grace once more, with the same key.
    pub async fn recover(&self) -> Result<usize, store::Error> {
        let left = self.inner.store.recover_after_restart(now_ms()).await?;
        let count = left.len();
        for broadcast in left {
            let machine = Machine::recovered(self.inner.grace, Instant::now());
            let settings = Settings { first_segment: first_segment(broadcast.started_ms) };
            if let Err(error) = self.inner.directory.open(&broadcast.id, settings) {
                tracing::error!(broadcast = broadcast.id, %error, "cannot take up the broadcast");
            }
            self.lock().machines.insert(broadcast.id.clone(), machine.clone());
            self.tell_room(&broadcast.id, &machine);
            self.wake_at_deadline(&broadcast.id, &machine);
        }
        self.count();
        Ok(count)
    }

    /// Lets the holder of `key` publish from `peer`, or says why not.
    pub async fn publish(&self, key: &str, peer: String) -> Result<(live::Publisher, Session), Refusal> {
        self.granted(None, key, peer).await
    }

    /// The same for a protocol whose address names the broadcast too: the key must be that broadcast's.
    pub async fn publish_to(&self, id: &str, key: &str, peer: String) -> Result<(live::Publisher, Session), Refusal> {
        self.granted(Some(id), key, peer).await
    }

    async fn granted(&self, id: Option<&str>, key: &str, peer: String) -> Result<(live::Publisher, Session), Refusal> {
        let result = self.try_publish(id, key, peer).await;
        if let Err(refusal) = &result {
            metrics::counter!("oriel_publish_refused_total", "reason" => refusal.reason()).increment(1);
        }
        result
    }

    /// The broadcast that `key` would publish to.
    pub async fn broadcast_of(&self, key: &str) -> Result<String, Refusal> {
        let key = StreamKey::parse(key).ok_or(Refusal::UnknownKey)?;
        Ok(self.find(key.hash()).await?.id)
    }

    async fn try_publish(
        &self,
        id: Option<&str>,
        key: &str,
        peer: String,
    ) -> Result<(live::Publisher, Session), Refusal> {
        let key = StreamKey::parse(key).ok_or(Refusal::UnknownKey)?;
        if self.lock().draining {
            return Err(Refusal::Draining);
        }
        let found = self.find(key.hash()).await?;
        if id.is_some_and(|id| id != found.id) {
            return Err(Refusal::UnknownKey);
        }
        let settings = Settings { first_segment: found.first_segment };
        let broadcast = self.inner.directory.open(&found.id, settings).map_err(|error| {
            tracing::error!(broadcast = found.id, %error, "cannot open the broadcast");
            Refusal::Unavailable
        })?;
        let publisher = broadcast.publish(peer).map_err(|error| match error {
            live::PublishError::AlreadyLive(_) => Refusal::Busy,
            live::PublishError::Ended(_) => Refusal::Over,
        })?;
        let number = {
            let mut running = self.lock();
            running.keys.insert(found.key_hash, found.id.clone());
            running.machines.entry(found.id.clone()).or_insert(found.machine);
            running.sessions_made += 1;
            let number = running.sessions_made;
            running.sessions.insert(found.id.clone(), number);
            number
        };
        if self.event(&found.id, Event::PublisherCame) != State::Running {
            return Err(Refusal::Over);
        }
        self.inner.recordings.begin(&broadcast);
        let session = Session {
            registry: self.clone(),
            id: found.id,
            number,
            parting: Parting::Lost,
            _gauge: crate::telemetry::Gauge::up("oriel_publishers"),
        };
        Ok((publisher, session))
    }

    /// The broadcast of a key: in progress here, else in the database.
    async fn find(&self, key_hash: [u8; 32]) -> Result<Found, Refusal> {
        if let Some(found) = self.find_here(&key_hash) {
            return Ok(found);
        }
        let row = match self.inner.store.broadcast_by_key(key_hash).await {
            Ok(row) => row.ok_or(Refusal::UnknownKey)?,
            Err(error) => {
                tracing::warn!(%error, "cannot look up a stream key");
                return Err(Refusal::Unavailable);
            }
        };
        if row.state.is_over() {
            return Err(Refusal::Over);
        }
        let grace = self.inner.grace;
        let here = self.lock().machines.get(&row.id).cloned();
        let machine = here.unwrap_or_else(|| match row.state {
            store::State::Running => Machine::recovered(grace, Instant::now()),
            _ => Machine::not_started(grace),
        });
        Ok(Found { id: row.id, key_hash, machine, first_segment: first_segment(row.started_ms) })
    }

    fn find_here(&self, key_hash: &[u8; 32]) -> Option<Found> {
        let running = self.lock();
        // Compared in constant time: the map's own comparison sees only hashes, and so must a clock.
        let (hash, id) = running.keys.iter().find(|(known, _)| bool::from(known[..].ct_eq(&key_hash[..])))?;
        Some(Found { id: id.clone(), key_hash: *hash, machine: running.machines.get(id)?.clone(), first_segment: 0 })
    }

    /// The owner ends it. False when it was over already or is not known here.
    pub fn end(&self, id: &str) -> bool {
        let grace = self.inner.grace;
        let before = {
            let mut running = self.lock();
            let machine = running.machines.entry(id.to_owned()).or_insert_with(|| Machine::not_started(grace));
            machine.state()
        };
        self.event(id, Event::End);
        !before.is_over()
    }

    /// State and `interrupted` as they are now, for a broadcast in progress. Newer than the database.
    pub fn now(&self, id: &str) -> Option<(State, bool)> {
        self.lock().machines.get(id).map(|machine| (machine.state(), machine.interrupted()))
    }

    /// Takes no publisher any more.
    pub fn drain(&self) {
        self.lock().draining = true;
    }

    pub fn is_draining(&self) -> bool {
        self.lock().draining
    }

    /// Moves the machine of `id` and does what follows; the state after.
    fn event(&self, id: &str, event: Event) -> State {
        let machine = {
            let mut running = self.lock();
            let Some(machine) = running.machines.get_mut(id) else {
                return State::Ended;
            };
            if !machine.handle(event, Instant::now()) {
                return machine.state();
            }
            let machine = machine.clone();
            // In line under the lock, so that the steps of a broadcast are written in their order.
            self.write_down(id, &machine);
            if machine.state().is_over() {
                running.machines.remove(id);
                running.sessions.remove(id);
                running.keys.retain(|_, broadcast| broadcast != id);
            }
            machine
        };
        tracing::info!(broadcast = id, state = ?machine.state(), interrupted = machine.interrupted(), "broadcast");
        self.tell_room(id, &machine);
        self.wake_at_deadline(id, &machine);
        self.count();
        if machine.state().is_over() {
            self.close(id, machine.state());
        }
        machine.state()
    }

    fn write_down(&self, id: &str, machine: &Machine) {
        let at_ms = now_ms();
        let over = |over| Step::Over { over, at_ms, started_ms: None };
        let step = match machine.state() {
            State::NotStarted => return,
            State::Running if machine.interrupted() => Step::Interrupted { at_ms },
            State::Running => Step::Running { at_ms },
            State::Ended => over(Over::Ended),
            State::TimedOut => over(Over::TimedOut),
        };
        self.inner.journal.write(id, step);
    }

    fn tell_room(&self, id: &str, machine: &Machine) {
        let state = machine.state();
        // Rooms that have said goodbye stay closed.
        if state == State::Running && !self.is_draining() {
            let room = self.inner.rooms.open(id, state.into(), machine.interrupted());
            self.lock().rooms.insert(id.to_owned(), room);
            return;
        }
        let held = self.lock().rooms.remove(id);
        if let Some(room) = held.or_else(|| self.inner.rooms.room(id)) {
            room.set_state(state.into(), machine.interrupted());
        }
    }

    fn wake_at_deadline(&self, id: &str, machine: &Machine) {
        let Some(deadline) = machine.deadline() else { return };
        let registry = self.clone();
        let id = id.to_owned();
        tokio::spawn(async move {
            tokio::time::sleep_until(deadline).await;
            registry.event(&id, Event::Tick);
        });
    }

    /// The media ends now; what is packaged stays for a while, so that late viewers see the end and not an error.
    fn close(&self, id: &str, state: State) {
        metrics::counter!("oriel_broadcasts_total", "state" => format!("{state:?}")).increment(1);
        if let Some(broadcast) = self.inner.directory.get(id) {
            broadcast.end();
        }
        let registry = self.clone();
        let id = id.to_owned();
        tokio::spawn(async move {
            tokio::time::sleep(LINGER).await;
            registry.inner.directory.remove(&id);
        });
    }

    fn count(&self) {
        let running = self.lock().machines.values().filter(|machine| machine.state() == State::Running).count();
        metrics::gauge!("oriel_broadcasts_running").set(running as f64);
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.inner.state.lock().expect("no panic happens under this lock")
    }
}

/// A publisher's stay. Dropping it says that the connection was lost, unless the encoder said goodbye.
pub struct Session {
    registry: Registry,
    id: String,
    number: u64,
    parting: Parting,
    _gauge: crate::telemetry::Gauge,
}

impl Session {
    pub fn broadcast(&self) -> &str {
        &self.id
    }

    /// The encoder said that it stops.
    pub fn goodbye(&mut self) {
        self.parting = Parting::Goodbye;
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let in_force = self.registry.lock().sessions.get(&self.id) == Some(&self.number);
        if in_force {
            self.registry.event(&self.id, Event::PublisherWent(self.parting));
        }
    }
}

/// Segments that an encoder may be ahead of time.
const LEAD: u64 = 100;

/// The first segment number of a broadcast that this process did not carry from its start: above any that another
/// process can have used. A segment lasts at least about a second, so twice the seconds is enough, and a lead for an encoder
/// that sends what it had stored faster than time passes.
fn first_segment(started_ms: Option<i64>) -> u64 {
    let Some(started_ms) = started_ms else { return 0 };
    u64::try_from((now_ms() - started_ms) / 500).unwrap_or(0) + LEAD
}
