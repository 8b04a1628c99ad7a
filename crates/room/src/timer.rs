//! All timers of a room in one place.

use tokio::time::Instant;

/// What a room waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Timer {
    /// Events wait for their batch.
    Flush,
    /// Hearts wait for the bus.
    HeartsPublish,
    /// The hearts gauge has changed.
    HeartsGauge,
    /// Hearts wait for the store.
    HeartsSave,
    /// The number of viewers may have changed.
    Viewers,
    /// A change of state waits for the store.
    LateState,
    /// The store did not answer.
    StoreRetry,
    /// Somebody left whose limits are still remembered.
    Forget,
}

const ALL: [Timer; 8] = [
    Timer::Flush,
    Timer::HeartsPublish,
    Timer::HeartsGauge,
    Timer::HeartsSave,
    Timer::Viewers,
    Timer::LateState,
    Timer::StoreRetry,
    Timer::Forget,
];

/// When each of them goes off.
#[derive(Debug, Default)]
pub(crate) struct Timers([Option<Instant>; ALL.len()]);

impl Timers {
    /// Set it, unless it is set; true when that was news.
    pub fn arm(&mut self, timer: Timer, at: Instant) -> bool {
        let slot = &mut self.0[timer as usize];
        let news = slot.is_none();
        slot.get_or_insert(at);
        news
    }

    /// Set it, or bring it forward; true when that was news.
    pub fn arm_earlier(&mut self, timer: Timer, at: Instant) -> bool {
        let slot = &mut self.0[timer as usize];
        let news = slot.is_none_or(|set| at < set);
        if news {
            *slot = Some(at);
        }
        news
    }

    pub fn stop(&mut self, timer: Timer) {
        self.0[timer as usize] = None;
    }

    /// When the next one goes off.
    pub fn next(&self) -> Option<Instant> {
        self.0.iter().flatten().min().copied()
    }

    /// One that has gone off by `now`; it is stopped.
    pub fn take_due(&mut self, now: Instant) -> Option<Timer> {
        let due = ALL.into_iter().find(|timer| self.0[*timer as usize].is_some_and(|at| at <= now))?;
        self.stop(due);
        Some(due)
    }
}
