//! A room as a state machine: told what happens and when, it says what to send, to store and to publish. It never
//! waits and does no I/O; `task` does.
//!
//! ```text
//! incoming ─▶ draft ─▶ log (store) ─▶ bus ─▶ window, fresh ─▶ flush ─▶ outboxes
//!        └──▶ hearts ─────────────────▶ bus ─▶ gauge ───────────────▶ outboxes
//! ```
//! `members` come and go, `incoming` reads what they say, `log` is the road of events through the store, `hearts` that of
//! hearts, `outgoing` has the timers and what they send.

mod hearts;
mod incoming;
mod log;
mod members;
mod outgoing;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use store::State;
use tokio::time::Instant;

pub(crate) use log::{Done, Work};
pub(crate) use members::Missed;

use crate::bus::{Delivery, Message};
use crate::clock::Now;
use crate::close::Close;
use crate::config::{COMMENTS, Config, HEARTS, LATE_STATE};
use crate::encode;
use crate::event::{Body, Draft, Event, Person, Standing};
use crate::frame::Rung;
use crate::hearts::Counter;
use crate::limit::Bucket;
use crate::outbox::Outbox;
use crate::presence::{self, PullViewers};
use crate::resend::Recent;
use crate::sample::Sampler;
use crate::timer::{Timer, Timers};
use crate::window::Window;

pub(crate) struct Machine {
    config: Config,
    broadcast: String,
    /// Names the numbering. Its text sorts by the time it began, as the store wants it.
    epoch: String,
    /// Delivered events.
    window: Window,
    /// Delivered, not yet flushed.
    fresh: Vec<Arc<Event>>,
    /// Offset of the last event that was flushed: where newcomers start.
    flushed: i64,
    /// Comments for welcomes, oldest first, flushed.
    recent: VecDeque<Arc<Event>>,
    standing: Standing,
    members: HashMap<u64, Member>,
    next_member: u64,
    /// Rate limits, by person.
    people: HashMap<String, Habits>,
    resent: Recent,
    sampler: Sampler,
    hearts: Counter,
    pull: PullViewers,
    viewers_told: u32,
    log: log::Log,
    /// For the bus.
    outgoing: Vec<Message>,
    timers: Timers,
    last: Last,
    draining: bool,
    /// The task has to look: there is work, or an earlier timer.
    wake: bool,
}

/// One connection.
struct Member {
    person: Arc<Person>,
    outbox: Arc<Outbox>,
    frames: Bucket,
    playing: Option<(Rung, Instant)>,
}

/// One person, on however many connections.
struct Habits {
    connections: usize,
    comments: Bucket,
    hearts: Bucket,
    forget_at: Option<Instant>,
}

/// When the things were last done that are not done too often.
#[derive(Default)]
struct Last {
    flush: Option<Instant>,
    hearts_publish: Option<Instant>,
    hearts_gauge: Option<Instant>,
    viewers: Option<Instant>,
}

impl Machine {
    pub fn new(config: Config, broadcast: &str, standing: Standing, now: Now) -> Self {
        Self {
            broadcast: broadcast.into(),
            epoch: log::new_epoch(now.unix_ms),
            window: Window::new(config.window_events, 0),
            fresh: Vec::new(),
            flushed: 0,
            recent: VecDeque::new(),
            standing,
            members: HashMap::new(),
            next_member: 0,
            people: HashMap::new(),
            resent: Recent::new(config.window_events),
            sampler: Sampler::new(config.content_per_s, config.flush),
            hearts: Counter::default(),
            pull: PullViewers::default(),
            viewers_told: 0,
            log: log::Log::default(),
            outgoing: Vec::new(),
            timers: Timers::default(),
            last: Last::default(),
            draining: false,
            wake: true,
            config,
        }
    }

    /// The server says how the broadcast stands.
    pub fn set_standing(&mut self, now: Now, standing: Standing) {
        if self.standing == standing {
            return;
        }
        self.standing = standing;
        self.log.set_state(Draft { body: Body::State(standing), at_ms: now.unix_ms, sender: None });
        self.timers.stop(Timer::LateState);
        self.arm(Timer::LateState, now.at + LATE_STATE);
        self.wake = true;
    }

    /// The server says how many players fetch over HTTP.
    pub fn report_pull_viewers(&mut self, now: Now, n: u32) {
        self.pull.report(n, now.at, self.config.playing_expires);
        self.viewers_may_have_changed(now.at);
    }

    /// The bus delivers.
    pub fn deliver(&mut self, now: Now, delivery: Delivery) {
        match delivery {
            Delivery::Message(Message::Events(events)) => events.into_iter().for_each(|event| self.append(now, event)),
            Delivery::Message(Message::Hearts(colours)) => {
                self.hearts.deliver(colours);
                let at = not_before(self.last.hearts_gauge, self.config.hearts_gauge, now.at);
                self.arm(Timer::HeartsGauge, at);
            }
            Delivery::Lost => self.log.read_again(),
        }
    }

    /// Take a durable event into the room, in order and once.
    fn append(&mut self, now: Now, event: Arc<Event>) {
        if event.offset <= self.window.last() {
            return;
        }
        if !self.window.push(event.clone()) {
            // Something was stored and never published: the gap shows it and the store answers.
            self.log.read_again();
            return;
        }
        self.log.seen(event.offset);
        self.fresh.push(event);
        let at = not_before(self.last.flush, self.config.flush, now.at);
        self.arm(Timer::Flush, at);
    }

    /// Say goodbye to everyone, with what they have to wait before they come back.
    pub fn drain(&mut self) {
        self.draining = true;
        self.wake = true;
        self.push_all(&encode::drain(self.config.drain_retry.as_millis()), crate::outbox::Worth::Keep);
        for member in self.members.values() {
            member.outbox.close(Close::RESTART);
        }
    }

    /// Nothing is left to do here, and nobody to do it for.
    pub fn is_done(&self) -> bool {
        let deserted = self.draining || (self.members.is_empty() && self.standing.state != State::Running);
        deserted && self.log.is_idle() && !self.hearts.has_unsaved()
    }

    pub fn is_draining(&self) -> bool {
        self.draining
    }

    /// Whether the past is known, or known to be out of reach: before that nobody comes in.
    pub fn is_ready(&self) -> bool {
        self.log.is_ready()
    }

    pub fn standing(&self) -> Standing {
        self.standing
    }

    pub fn hearts_total(&self) -> i64 {
        self.hearts.total()
    }

    pub fn connections(&self) -> usize {
        self.members.len()
    }

    pub fn viewers(&self, now: Instant) -> u32 {
        let playing = self.members.values().filter_map(|member| member.playing);
        presence::count(playing.filter(|(_, until)| now < *until).map(|(rung, _)| rung), &self.pull, now)
    }

    /// What to publish now.
    pub fn take_outgoing(&mut self) -> Vec<Message> {
        std::mem::take(&mut self.outgoing)
    }

    pub fn take_wake(&mut self) -> bool {
        std::mem::take(&mut self.wake)
    }

    fn arm(&mut self, timer: Timer, at: Instant) {
        self.wake |= self.timers.arm(timer, at);
    }

    fn viewers_may_have_changed(&mut self, now: Instant) {
        let at = not_before(self.last.viewers, self.config.viewers_gauge, now);
        self.wake |= self.timers.arm_earlier(Timer::Viewers, at);
    }
}

impl Habits {
    fn new(now: Instant) -> Self {
        let (comments, hearts) = (Bucket::new(COMMENTS, now), Bucket::new(HEARTS, now));
        Self { connections: 0, comments, hearts, forget_at: None }
    }
}

/// Now, or when `every` has passed since the last time.
fn not_before(last: Option<Instant>, every: std::time::Duration, now: Instant) -> Instant {
    last.map_or(now, |last| now.max(last + every))
}
