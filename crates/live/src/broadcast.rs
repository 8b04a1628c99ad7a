//! A broadcast: held open while its publisher comes and goes.

use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use moq_net::broadcast;
use tokio::sync::watch;

use crate::ingest::Ingest;
use crate::stats::Meter;
use crate::{Format, Frame, Kind, Publisher, Segments, Start, Stats, Subscriber, VideoFormat, WriteError};

/// What a broadcast continues from.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    /// Number of the first segment. A broadcast that another process carried before begins above all that it used.
    pub first_segment: u64,
}

/// Where a broadcast is in its life on this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nobody has published yet.
    Waiting,
    /// Media flows.
    Live,
    /// The publisher is gone and may come back.
    Interrupted,
    /// Over for good.
    Ended,
}

/// Why a second publisher was turned away.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PublishError {
    /// Another publisher is still connected.
    #[error("broadcast {0} is already being published")]
    AlreadyLive(String),
    /// The broadcast is over.
    #[error("broadcast {0} has ended")]
    Ended(String),
}

/// A handle to a broadcast; clones are cheap and equal.
#[derive(Clone)]
pub struct Broadcast {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    id: String,
    consumer: broadcast::Consumer,
    phase: watch::Sender<Phase>,
    // Locks are taken one at a time and never across an await.
    idle: Mutex<Option<Idle>>,
    meter: Mutex<Meter>,
    format: Mutex<Format>,
    keyframe: Mutex<Option<Keyframe>>,
    segments: Mutex<Segments>,
    zero_unix_us: i64,
}

/// What waits for the next publisher.
struct Idle {
    ingest: Ingest,
    segments: Segments,
    session: u32,
}

struct Keyframe {
    format: Arc<VideoFormat>,
    payload: Bytes,
    pts_us: i64,
}

impl Broadcast {
    pub(crate) fn new(id: &str, producer: broadcast::Producer, settings: Settings) -> Result<Self, WriteError> {
        let consumer = producer.consume();
        let ingest = Ingest::new(producer)?;
        let zero_unix_us = ingest.wall_us;
        let segments = Segments::new(settings.first_segment);
        let shared = Shared {
            id: id.to_owned(),
            consumer,
            phase: watch::Sender::new(Phase::Waiting),
            idle: Mutex::new(Some(Idle { ingest, segments, session: 0 })),
            meter: Mutex::default(),
            format: Mutex::default(),
            keyframe: Mutex::default(),
            segments: Mutex::new(segments),
            zero_unix_us,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    pub fn id(&self) -> &str {
        &self.shared.id
    }

    /// Takes the place of the broadcast's one publisher. `peer` is the address that statistics show.
    pub fn publish(&self, peer: String) -> Result<Publisher, PublishError> {
        if self.phase() == Phase::Ended {
            return Err(PublishError::Ended(self.shared.id.clone()));
        }
        let idle = lock(&self.shared.idle).take().ok_or_else(|| PublishError::AlreadyLive(self.shared.id.clone()))?;
        self.shared.meter().connected(peer);
        Ok(Publisher::new(&self.shared, idle.ingest, idle.segments, idle.session))
    }

    /// Watches from the newest keyframe on.
    pub fn subscribe(&self) -> Subscriber {
        self.subscribe_from(Start::Newest)
    }

    pub fn subscribe_from(&self, start: Start) -> Subscriber {
        Subscriber::new(start, self.shared.consumer.clone(), self.shared.phase.subscribe())
    }

    pub fn phase(&self) -> Phase {
        self.shared.phase()
    }

    /// Follows the phase; the last value is [`Phase::Ended`].
    pub fn phases(&self) -> watch::Receiver<Phase> {
        self.shared.phase.subscribe()
    }

    /// The upload as measured here.
    pub fn stats(&self) -> Stats {
        self.shared.meter().stats()
    }

    /// The tracks, once media flowed.
    pub fn format(&self) -> Option<Format> {
        Some(lock(&self.shared.format).clone()).filter(|format| *format != Format::default())
    }

    /// The newest video keyframe with its configuration, for a still picture.
    pub fn keyframe(&self) -> Option<(Arc<VideoFormat>, Frame)> {
        let keyframe = lock(&self.shared.keyframe);
        let Keyframe { format, payload, pts_us } = keyframe.as_ref()?;
        let frame = Frame {
            kind: Kind::Video,
            pts_us: *pts_us,
            dts_us: *pts_us,
            keyframe: true,
            payload: payload.clone(),
            mark: None,
        };
        Some((format.clone(), frame))
    }

    /// Unix time of media time 0, microseconds: a frame shown at `pts_us` was taken about then, the clocks of encoders allowing.
    pub fn zero_unix_us(&self) -> i64 {
        self.shared.zero_unix_us
    }

    /// Number of the next segment that would begin: what another process must start above.
    pub fn next_segment(&self) -> u64 {
        lock(&self.shared.segments).next_number()
    }

    /// Ends the broadcast for good. A publisher still connected is told at its next frame.
    pub fn end(&self) {
        self.shared.phase.send_replace(Phase::Ended);
        let idle = lock(&self.shared.idle).take();
        if let Some(mut idle) = idle {
            idle.ingest.finish();
        }
    }
}

impl Shared {
    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    pub fn meter(&self) -> MutexGuard<'_, Meter> {
        lock(&self.meter)
    }

    pub fn set_format(&self, format: Format) {
        *lock(&self.format) = format;
    }

    pub fn set_segments(&self, segments: Segments) {
        *lock(&self.segments) = segments;
    }

    pub fn set_keyframe(&self, format: Option<Arc<VideoFormat>>, payload: Bytes, pts_us: i64) {
        *lock(&self.keyframe) = format.map(|format| Keyframe { format, payload, pts_us });
    }

    /// A run of media begins.
    pub fn begin(&self, _session: u32, format: Format) {
        self.set_format(format);
        self.meter().session();
        self.phase
            .send_if_modified(|phase| *phase != Phase::Ended && std::mem::replace(phase, Phase::Live) != Phase::Live);
    }

    /// The publisher let go: keep its place, or finish what ended meanwhile.
    pub fn publisher_gone(&self, mut ingest: Ingest, segments: Segments, session: u32) {
        self.meter().disconnected();
        let broken = ingest.interrupt().is_err();
        if broken || self.phase() == Phase::Ended {
            ingest.finish();
            self.phase.send_replace(Phase::Ended);
            return;
        }
        *lock(&self.idle) = Some(Idle { ingest, segments, session });
        self.phase.send_if_modified(|phase| match phase {
            Phase::Live => {
                *phase = Phase::Interrupted;
                true
            }
            _ => false,
        });
        // The end may have come between the check and the hand-over.
        if self.phase() == Phase::Ended
            && let Some(mut idle) = lock(&self.idle).take()
        {
            idle.ingest.finish();
        }
    }
}

/// A poisoned lock means a panic elsewhere; the data behind these is whole at every step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
