//! One packager per broadcast: it turns frames into units that all viewers share.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use live::{Broadcast, Format, Frame, Item, Kind};
use tokio::sync::watch;
use tokio::time::Instant;

use super::mux::{self, Tag};
use super::ring::{Bounds, Ring};
use super::seat::{Seat, Seats};
use super::unit::{Framing, Unit};
use super::viewer::Viewer;

/// Audio waits this long for a video frame to ride along with, when no flush interval is set.
///
/// A send costs a viewer the same whatever its size, so audio of its own would nearly double what a viewer costs. Video comes
/// within 33 ms; only a video track that stands still, or none, makes audio wait this long.
const RIDE: Duration = Duration::from_millis(45);

/// How long a packager stays after its last viewer, so that reloading a page does not start it anew.
const LINGER: Duration = Duration::from_secs(5);

/// How viewers are fed.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Gathers tags for this long before they are sent; zero sends each video frame at once.
    pub flush: Duration,
    /// Most bytes of a broadcast kept for viewers to start from and catch up with.
    pub ring_bytes: usize,
    /// A viewer further behind than this skips to the newest keyframe.
    pub max_lag: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { flush: Duration::ZERO, ring_bytes: 32 << 20, max_lag: Duration::from_secs(3) }
    }
}

/// The packagers of a node. Clones share.
#[derive(Clone, Default)]
pub struct Packagers {
    config: Config,
    running: Arc<Mutex<HashMap<String, Arc<Packager>>>>,
}

/// What a packager's task and its viewers share.
pub(super) struct Packager {
    pub config: Config,
    pub ring: Mutex<Ring>,
    /// The newest unit. Viewers that keep up take it from here and never touch the ring.
    pub newest: watch::Sender<Newest>,
    pub viewers: AtomicUsize,
    /// Sockets lent since the last unit. Locked only under the ring's lock, so that no unit comes between look and loan.
    boarding: Mutex<Vec<Arc<Seat>>>,
}

/// The head of the stream, as viewers watch it.
#[derive(Clone, Debug, Default)]
pub(super) struct Newest {
    pub unit: Option<Arc<Unit>>,
    /// No unit follows.
    pub over: bool,
}

impl Packagers {
    pub fn new(config: Config) -> Self {
        Self { config, running: Arc::default() }
    }

    /// Adds a viewer, who starts at the newest keyframe.
    pub fn join(&self, broadcast: &Broadcast, framing: Framing) -> Viewer {
        let mut running = lock(&self.running);
        let packager = running.entry(broadcast.id().to_owned()).or_insert_with(|| {
            let packager = Arc::new(Packager::new(self.config));
            let task = Task { packagers: self.clone(), packager: packager.clone(), broadcast: broadcast.clone() };
            tokio::spawn(task.run());
            packager
        });
        Viewer::new(packager.clone(), framing)
    }

    /// How many viewers a broadcast has here.
    pub fn viewers(&self, id: &str) -> usize {
        lock(&self.running).get(id).map_or(0, |packager| packager.viewers.load(Ordering::Relaxed))
    }

    /// Forgets a packager that nobody watches; false when somebody does.
    fn retire(&self, id: &str, packager: &Arc<Packager>, over: bool) -> bool {
        let mut running = lock(&self.running);
        // Viewers join under this lock, so the count cannot rise between the look and the removal.
        let unused = packager.viewers.load(Ordering::Acquire) == 0;
        if (unused || over) && running.get(id).is_some_and(|held| Arc::ptr_eq(held, packager)) {
            running.remove(id);
        }
        unused || over
    }
}

impl Packager {
    fn new(config: Config) -> Self {
        let bounds = Bounds { bytes: config.ring_bytes, time_us: 2 * config.max_lag.as_micros() as i64 };
        Self {
            config,
            ring: Mutex::new(Ring::new(bounds)),
            newest: watch::Sender::default(),
            viewers: AtomicUsize::new(0),
            boarding: Mutex::default(),
        }
    }

    /// Takes a socket to write to from unit `next` on, for a viewer who was sent everything before it in `format`.
    pub fn board(
        &self,
        next: u64,
        format: Option<&Arc<Format>>,
        seat: impl FnOnce() -> Arc<Seat>,
    ) -> Option<Arc<Seat>> {
        let ring = self.ring();
        let newest = ring.newest()?;
        let same_format = format.is_some_and(|format| Arc::ptr_eq(format, &newest.format));
        if newest.sequence + 1 != next || !same_format || self.newest.borrow().over {
            return None;
        }
        let seat = seat();
        lock(&self.boarding).push(seat.clone());
        Some(seat)
    }

    /// Makes `unit` the newest; gives the sockets lent since the one before.
    fn push(&self, unit: Arc<Unit>) -> Vec<Arc<Seat>> {
        let mut ring = self.ring();
        ring.push(unit);
        std::mem::take(&mut *lock(&self.boarding))
    }

    /// Says that no unit follows, and gives back the sockets lent since the last one.
    fn end(&self) {
        self.newest.send_modify(|newest| newest.over = true);
        let _ring = self.ring();
        let mut late = Seats::default();
        late.take(std::mem::take(&mut *lock(&self.boarding)));
        late.give_back();
    }

    pub fn ring(&self) -> MutexGuard<'_, Ring> {
        lock(&self.ring)
    }
}

/// The task that packages one broadcast.
struct Task {
    packagers: Packagers,
    packager: Arc<Packager>,
    broadcast: Broadcast,
}

impl Task {
    async fn run(self) {
        let id = self.broadcast.id().to_owned();
        let mut subscriber = self.broadcast.subscribe();
        let mut batch = Batch::new(self.packager.config.flush);
        let mut seats = Seats::default();
        let mut idle_since = Instant::now();
        tracing::debug!(broadcast = id, "flv packager started");
        loop {
            let wake = batch.due.unwrap_or(idle_since + LINGER);
            tokio::select! {
                biased;
                item = subscriber.next() => match item {
                    Some(item) => self.take(&mut batch, &mut seats, item).await,
                    None => break,
                },
                () = tokio::time::sleep_until(wake) => match batch.due {
                    Some(_) => self.flush(&mut batch, &mut seats).await,
                    None if self.packagers.retire(&id, &self.packager, false) => break,
                    None => idle_since = Instant::now(),
                },
            }
            if batch.due.is_none() && idle_since.elapsed() >= LINGER {
                if self.packagers.retire(&id, &self.packager, false) {
                    break;
                }
                idle_since = Instant::now();
            }
        }
        self.flush(&mut batch, &mut seats).await;
        self.packagers.retire(&id, &self.packager, true);
        self.packager.end();
        seats.give_back();
        tracing::debug!(broadcast = id, "flv packager stopped");
    }

    async fn take(&self, batch: &mut Batch, seats: &mut Seats, item: Item) {
        match item {
            Item::Format(format) => {
                self.flush(batch, seats).await;
                batch.format = Arc::new(format);
            }
            Item::Interrupted => self.flush(batch, seats).await,
            Item::Frame(frame) => {
                // A unit that viewers can start at begins with the keyframe, so what waited goes out before it.
                if frame.mark.is_some() {
                    self.flush(batch, seats).await;
                }
                if batch.add(&frame) {
                    self.flush(batch, seats).await;
                }
            }
        }
    }

    async fn flush(&self, batch: &mut Batch, seats: &mut Seats) {
        let Some(unit) = batch.finish() else { return };
        let unit = Arc::new(unit);
        let boarded = self.packager.push(unit.clone());
        self.packager.newest.send_replace(Newest { unit: Some(unit.clone()), over: false });
        seats.write(&unit, boarded).await;
    }
}

/// Tags gathered for the next flush.
struct Batch {
    flush: Duration,
    format: Arc<Format>,
    tags: Vec<Tag>,
    keyframe: bool,
    time_us: i64,
    due: Option<Instant>,
    sequence: u64,
}

impl Batch {
    fn new(flush: Duration) -> Self {
        Self { flush, format: Arc::default(), tags: Vec::new(), keyframe: false, time_us: 0, due: None, sequence: 0 }
    }

    /// Adds a frame's tags; true when they should go out at once.
    fn add(&mut self, frame: &Frame) -> bool {
        let Some(tag) = mux::frame(&self.format, frame) else { return false };
        if self.tags.is_empty() {
            self.time_us = frame.dts_us;
            self.due = Some(Instant::now() + if self.flush.is_zero() { RIDE } else { self.flush });
        }
        self.keyframe |= frame.mark.is_some();
        self.tags.extend(mux::clock(frame));
        self.tags.push(tag);
        self.flush.is_zero() && frame.kind == Kind::Video
    }

    fn finish(&mut self) -> Option<Unit> {
        self.due = None;
        if self.tags.is_empty() {
            return None;
        }
        let tags = std::mem::take(&mut self.tags);
        let keyframe = std::mem::take(&mut self.keyframe);
        self.sequence += 1;
        Some(Unit::new(self.sequence, keyframe, self.time_us, self.format.clone(), tags))
    }
}

/// A poisoned lock means a panic elsewhere; maps and rings are whole at every step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
