//! The loop that is all viewers: one thread, one poll, one read buffer.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Context;
use mio::{Events, Poll, Token};

use super::viewer::{Side, Viewer};
use crate::arrivals::TAIL;

/// Read at once; more than a keyframe.
const READ_BYTES: usize = 256 << 10;
/// After the last join, before the measurement: more than one keyframe interval, so that what a join is given at once is past.
const SETTLE: Duration = Duration::from_secs(3);

/// Where viewers come in.
#[derive(Clone, Debug)]
pub enum Door {
    Floor {
        server: SocketAddr,
    },
    Rtmp {
        server: SocketAddr,
        id: String,
    },
    Flv {
        server: SocketAddr,
        path: String,
    },
    /// The path of the multivariant playlist.
    Llhls {
        server: SocketAddr,
        path: String,
    },
}

/// What the viewers saw.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Frames received while measuring, by all viewers.
    pub frames: u64,
    /// Delay from sent by the publisher to whole at the viewer, of those frames (LL-HLS: of the last frame of each part).
    pub latency_us: Vec<u32>,
    /// From opening the connection to the first whole frame, a viewer each.
    pub join_us: Vec<u32>,
    /// What went wrong, and how often.
    pub errors: BTreeMap<String, u32>,
    /// Length of the measurement.
    pub length: Duration,
    /// Whether frames count.
    pub(super) measuring: bool,
}

impl Outcome {
    pub(super) fn error(&mut self, what: String) {
        *self.errors.entry(what).or_default() += 1;
    }
}

/// All viewers of a case.
pub struct Watch {
    poll: Poll,
    events: Events,
    buffer: Vec<u8>,
    door: Door,
    joins_per_second: u32,
    viewers: Vec<Option<Viewer>>,
    outcome: Outcome,
}

impl Watch {
    pub fn new(door: Door, joins_per_second: u32) -> anyhow::Result<Self> {
        Ok(Self {
            poll: Poll::new().context("poll")?,
            events: Events::with_capacity(2048),
            buffer: vec![0; TAIL + READ_BYTES],
            door,
            joins_per_second: joins_per_second.max(1),
            viewers: Vec::new(),
            outcome: Outcome::default(),
        })
    }

    /// Opens viewers at the steady rate until there are as many as wanted, then lets them settle.
    pub fn join(&mut self, wanted: usize) -> anyhow::Result<()> {
        let (start, had) = (Instant::now(), self.viewers.len());
        for number in had..wanted {
            let turn = u32::try_from(number - had).context("too many viewers")?;
            self.run_until(start + Duration::from_secs(1) * turn / self.joins_per_second)?;
            let token = |side: Side| Token(number * 2 + usize::from(side == Side::Control));
            let viewer = match Viewer::open(&self.door, number as u64, self.poll.registry(), token) {
                Ok(viewer) => Some(viewer),
                Err(error) => {
                    self.outcome.error(format!("connect: {error}"));
                    None
                }
            };
            self.viewers.push(viewer);
        }
        self.run_until(Instant::now() + SETTLE)
    }

    /// Lets the viewers watch.
    pub fn pass(&mut self, length: Duration) -> anyhow::Result<()> {
        self.run_until(Instant::now() + length)
    }

    /// Lets the viewers watch and counts.
    pub fn measure(&mut self, length: Duration) -> anyhow::Result<()> {
        let start = Instant::now();
        self.outcome.measuring = true;
        let ran = self.run_until(start + length);
        self.outcome.measuring = false;
        self.outcome.length = start.elapsed();
        ran
    }

    /// Closes all connections.
    pub fn finish(self) -> Outcome {
        self.outcome
    }

    fn run_until(&mut self, until: Instant) -> anyhow::Result<()> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            match self.poll.poll(&mut self.events, Some(left)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                polled => polled.context("poll")?,
            }
            for event in &self.events {
                let Token(token) = event.token();
                let Some(slot) = self.viewers.get_mut(token / 2) else { continue };
                let Some(viewer) = slot else { continue };
                let side = if token % 2 == 0 { Side::Media } else { Side::Control };
                if let Err(what) = viewer.ready(side, &mut self.buffer, &mut self.outcome) {
                    self.outcome.error(what);
                    *slot = None;
                }
            }
        }
    }
}
