//! One feed per broadcast: it prepares frames once for all viewers, and sound as Opus.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use live::{Broadcast, Format, Item, Kind, VideoCodec};
use tokio::sync::broadcast::{Receiver, Sender, channel};
use tokio::time::Instant;

use super::group::{AnnexB, Group, Sound, Unit};

/// Units a viewer may be behind: some six seconds of picture and sound. Then it begins again at the newest keyframe.
const RING: usize = 512;

/// How long a feed stays after its last viewer, so that reloading a page does not start it anew.
const LINGER: Duration = Duration::from_secs(5);

/// The feeds of a node. Clones share.
#[derive(Clone, Default)]
pub struct Feeds {
    running: Arc<Mutex<HashMap<String, Arc<Feed>>>>,
}

/// What a feed's task and its viewers share.
pub(super) struct Feed {
    // Units are sent under this lock too, so that a viewer that begins with the group misses none and gets none twice.
    group: Mutex<Group>,
    newest: Sender<Unit>,
    viewers: AtomicUsize,
    /// Why the picture cannot be carried; set once, before `newest` closes.
    fault: Mutex<Option<&'static str>>,
    /// No unit follows.
    over: tokio_util::sync::CancellationToken,
}

/// A viewer's place at a feed.
pub(super) struct Seat {
    pub feed: Arc<Feed>,
    pub units: Receiver<Unit>,
}

impl Feeds {
    /// Adds a viewer.
    pub(super) fn join(&self, broadcast: &Broadcast) -> Seat {
        let mut running = lock(&self.running);
        let feed = running.entry(broadcast.id().to_owned()).or_insert_with(|| {
            let feed = Arc::new(Feed::new());
            tokio::spawn(Task::new(self.clone(), feed.clone(), broadcast.clone()).run());
            feed
        });
        feed.viewers.fetch_add(1, Ordering::AcqRel);
        Seat { feed: feed.clone(), units: feed.newest.subscribe() }
    }

    /// Forgets a feed that nobody watches; false when somebody does.
    fn retire(&self, id: &str, feed: &Arc<Feed>, over: bool) -> bool {
        let mut running = lock(&self.running);
        // Viewers join under this lock, so the count cannot rise between the look and the removal.
        let done = over || feed.viewers.load(Ordering::Acquire) == 0;
        if done && running.get(id).is_some_and(|held| Arc::ptr_eq(held, feed)) {
            running.remove(id);
        }
        done
    }
}

impl Feed {
    fn new() -> Self {
        Self {
            group: Mutex::default(),
            newest: Sender::clone(&channel(RING).0),
            viewers: AtomicUsize::new(0),
            fault: Mutex::default(),
            over: tokio_util::sync::CancellationToken::new(),
        }
    }

    /// The newest group, and what follows it, for a viewer without a picture.
    pub fn begin(&self) -> (Vec<Unit>, Receiver<Unit>) {
        let group = lock(&self.group);
        (group.units(), self.newest.subscribe())
    }

    /// Why the feed ended, when it was for the viewers to be told.
    pub fn fault(&self) -> Option<&'static str> {
        *lock(&self.fault)
    }

    /// Waits until no unit follows.
    pub async fn over(&self) {
        self.over.cancelled().await;
    }

    fn send(&self, unit: Unit) {
        let mut group = lock(&self.group);
        group.push(&unit);
        // Nobody there is no failure.
        let _ = self.newest.send(unit);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.feed.viewers.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The task that prepares one broadcast.
struct Task {
    feeds: Feeds,
    feed: Arc<Feed>,
    broadcast: Broadcast,
    format: Format,
    annex_b: Option<AnnexB>,
    sound: Sound,
    shown_us: i64,
}

impl Task {
    fn new(feeds: Feeds, feed: Arc<Feed>, broadcast: Broadcast) -> Self {
        let format = Format::default();
        Self { feeds, feed, broadcast, format, annex_b: None, sound: Sound::None, shown_us: i64::MIN }
    }

    async fn run(mut self) {
        let id = self.broadcast.id().to_owned();
        let mut subscriber = self.broadcast.subscribe();
        let mut look = Instant::now() + LINGER;
        tracing::debug!(broadcast = id, "webrtc feed started");
        loop {
            let item = tokio::select! {
                item = subscriber.next() => item,
                () = tokio::time::sleep_until(look) => {
                    look = Instant::now() + LINGER;
                    if self.feeds.retire(&id, &self.feed, false) {
                        break;
                    }
                    continue;
                }
            };
            let Some(item) = item else { break };
            if let Err(fault) = self.take(item) {
                *lock(&self.feed.fault) = Some(fault);
                break;
            }
        }
        self.feeds.retire(&id, &self.feed, true);
        self.feed.over.cancel();
        tracing::debug!(broadcast = id, fault = self.feed.fault(), "webrtc feed stopped");
    }

    fn take(&mut self, item: Item) -> Result<(), &'static str> {
        match item {
            Item::Format(format) => self.change(format)?,
            Item::Interrupted => self.shown_us = i64::MIN,
            Item::Frame(frame) if frame.kind == Kind::Audio => {
                for unit in self.sound.push(frame.pts_us, &frame.payload) {
                    self.feed.send(unit);
                }
            }
            Item::Frame(frame) => {
                if frame.keyframe {
                    self.shown_us = i64::MIN;
                } else if frame.pts_us < self.shown_us {
                    return Err(super::viewer::B_FRAMES);
                }
                self.shown_us = frame.pts_us;
                let data = self.annex_b.as_ref().and_then(|annex_b| annex_b.convert(&frame));
                if let Some(data) = data {
                    self.feed.send(Unit::Video { pts_us: frame.pts_us, keyframe: frame.keyframe, data });
                }
            }
        }
        Ok(())
    }

    fn change(&mut self, format: Format) -> Result<(), &'static str> {
        if format.video.as_ref().is_some_and(|video| video.codec != VideoCodec::H264) {
            return Err(super::viewer::CODEC);
        }
        if format.video != self.format.video {
            lock(&self.feed.group).clear();
            self.annex_b = format.video.as_deref().and_then(AnnexB::new);
        }
        if format.audio != self.format.audio {
            self.sound = Sound::new(format.audio.as_deref());
        }
        self.format = format;
        Ok(())
    }
}

/// A poisoned lock means a panic elsewhere; maps and groups are whole at every step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
