//! The life of a broadcast as a state machine: no clock, no I/O, time comes in as an argument.
//!
//! ```text
//! NOT_STARTED --publisher--> RUNNING <--publisher-- RUNNING, interrupted --grace over--> ENDED (said goodbye)
//!      |                        |  `----dropped-------^        |                     `--> TIMED_OUT (did not)
//!      `------- end ------------+------------ end -------------+------> ENDED
//! ```

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use utoipa::ToSchema;

/// Where a broadcast stands, as the API says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum State {
    /// Made, and no publisher came yet.
    NotStarted,
    /// Live, or interrupted and within its grace.
    Running,
    /// Over: the owner ended it, or the encoder said goodbye and did not come back.
    Ended,
    /// Over: the publisher's connection was lost and did not come back.
    TimedOut,
}

impl State {
    pub fn is_over(self) -> bool {
        matches!(self, Self::Ended | Self::TimedOut)
    }
}

impl From<State> for store::State {
    fn from(state: State) -> Self {
        match state {
            State::NotStarted => Self::NotStarted,
            State::Running => Self::Running,
            State::Ended => Self::Ended,
            State::TimedOut => Self::TimedOut,
        }
    }
}

impl From<store::State> for State {
    fn from(state: store::State) -> Self {
        match state {
            store::State::NotStarted => Self::NotStarted,
            store::State::Running => Self::Running,
            store::State::Ended => Self::Ended,
            store::State::TimedOut => Self::TimedOut,
        }
    }
}

/// How a publisher's connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parting {
    /// The encoder said that it stops.
    Goodbye,
    /// The connection was lost.
    Lost,
}

/// What the machine is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    PublisherCame,
    PublisherWent(Parting),
    /// The owner ends it.
    End,
    /// Nothing but the time.
    Tick,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inner {
    NotStarted,
    Live,
    Interrupted { until: Instant, parting: Parting },
    Over(State),
}

/// One broadcast's life.
#[derive(Clone, Debug)]
pub struct Machine {
    inner: Inner,
    grace: Duration,
}

impl Machine {
    pub fn not_started(grace: Duration) -> Self {
        Self { inner: Inner::NotStarted, grace }
    }

    /// A broadcast that was running when the server stopped: its publisher gets the grace once more.
    pub fn recovered(grace: Duration, now: Instant) -> Self {
        let until = now + grace;
        Self { inner: Inner::Interrupted { until, parting: Parting::Lost }, grace }
    }

    pub fn state(&self) -> State {
        match self.inner {
            Inner::NotStarted => State::NotStarted,
            Inner::Live | Inner::Interrupted { .. } => State::Running,
            Inner::Over(state) => state,
        }
    }

    pub fn interrupted(&self) -> bool {
        matches!(self.inner, Inner::Interrupted { .. })
    }

    /// When to call [`Machine::handle`] with [`Event::Tick`].
    pub fn deadline(&self) -> Option<Instant> {
        match self.inner {
            Inner::Interrupted { until, .. } => Some(until),
            _ => None,
        }
    }

    /// Takes an event; true when the state or `interrupted` changed.
    pub fn handle(&mut self, event: Event, now: Instant) -> bool {
        let next = match (self.inner, event) {
            // The grace is over even when the tick comes late and something else first.
            (Inner::Interrupted { until, parting }, _) if now >= until => Inner::Over(match parting {
                Parting::Goodbye => State::Ended,
                Parting::Lost => State::TimedOut,
            }),
            (Inner::Over(state), _) => Inner::Over(state),
            (_, Event::End) => Inner::Over(State::Ended),
            (_, Event::PublisherCame) => Inner::Live,
            (Inner::Live, Event::PublisherWent(parting)) => Inner::Interrupted { until: now + self.grace, parting },
            (inner, Event::PublisherWent(_) | Event::Tick) => inner,
        };
        let before = (self.state(), self.interrupted());
        self.inner = next;
        before != (self.state(), self.interrupted())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Event::{End, PublisherCame, PublisherWent, Tick};

    const GRACE: Duration = Duration::from_secs(30);

    fn live() -> (Machine, Instant) {
        let now = Instant::now();
        let mut machine = Machine::not_started(GRACE);
        assert!(machine.handle(PublisherCame, now));
        assert_eq!((machine.state(), machine.interrupted()), (State::Running, false));
        (machine, now)
    }

    #[tokio::test(start_paused = true)]
    async fn a_publisher_that_returns_within_the_grace_resumes() {
        let (mut machine, now) = live();
        assert!(machine.handle(PublisherWent(Parting::Lost), now));
        assert_eq!((machine.state(), machine.interrupted()), (State::Running, true));
        assert_eq!(machine.deadline(), Some(now + GRACE));
        assert!(machine.handle(PublisherCame, now + GRACE / 2));
        assert_eq!((machine.state(), machine.interrupted()), (State::Running, false));
        assert_eq!(machine.deadline(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_publisher_times_out_and_a_polite_one_ends() {
        for (parting, state) in [(Parting::Lost, State::TimedOut), (Parting::Goodbye, State::Ended)] {
            let (mut machine, now) = live();
            machine.handle(PublisherWent(parting), now);
            let almost = now + GRACE - Duration::from_millis(1);
            assert!(!machine.handle(Tick, almost));
            assert!(machine.handle(Tick, now + GRACE));
            assert_eq!(machine.state(), state);
            assert_eq!(machine.deadline(), None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_publisher_that_comes_after_the_grace_is_too_late_even_when_no_tick_came() {
        let (mut machine, now) = live();
        machine.handle(PublisherWent(Parting::Lost), now);
        assert!(machine.handle(PublisherCame, now + GRACE));
        assert_eq!(machine.state(), State::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_is_final() {
        let (mut machine, now) = live();
        assert!(machine.handle(End, now));
        for event in [PublisherCame, PublisherWent(Parting::Lost), End, Tick] {
            assert!(!machine.handle(event, now + GRACE * 2));
            assert_eq!(machine.state(), State::Ended);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_unstarted_broadcast_can_be_ended_and_never_times_out() {
        let now = Instant::now();
        let mut machine = Machine::not_started(GRACE);
        assert!(!machine.handle(Tick, now + GRACE * 1000));
        assert_eq!(machine.state(), State::NotStarted);
        assert!(machine.handle(End, now));
        assert_eq!(machine.state(), State::Ended);
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_crash_the_grace_runs_again() {
        let now = Instant::now();
        let mut machine = Machine::recovered(GRACE, now);
        assert_eq!((machine.state(), machine.interrupted()), (State::Running, true));
        assert!(machine.handle(PublisherCame, now + GRACE / 3));
        assert!(!machine.interrupted());
        let mut machine = Machine::recovered(GRACE, now);
        assert!(machine.handle(Tick, now + GRACE));
        assert_eq!(machine.state(), State::TimedOut);
    }
}
