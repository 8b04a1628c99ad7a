//! What can be set about rooms, and the limits that are part of the protocol.

use std::time::Duration;

use crate::limit::Limit;

/// Comments of one person.
pub(crate) const COMMENTS: Limit = Limit { per_s: 1.0, burst: 3.0 };

/// Hearts of one person; what is above is not counted.
pub(crate) const HEARTS: Limit = Limit { per_s: 20.0, burst: 20.0 };

/// Frames of one connection, of whatever kind: a client at its limits sends four a second. Beyond: closed.
pub(crate) const FRAMES: Limit = Limit { per_s: 20.0, burst: 60.0 };

/// Comments that may wait for the store in one room. Beyond: refused.
pub(crate) const WAITING_MAX: usize = 1000;

/// Comments in one append: with bodies below 3 KiB, below 1 MiB.
pub(crate) const APPEND_MAX: usize = 256;

/// Wait before asking a store again that did not answer.
pub(crate) const STORE_RETRY: Duration = Duration::from_secs(1);

/// How long a change of state waits for the store before viewers are told without a number.
pub(crate) const LATE_STATE: Duration = Duration::from_millis(500);

/// Hearts wait this long for the store's row of their second.
pub(crate) const HEARTS_SAVE: Duration = Duration::from_secs(1);

/// Rate limits are remembered this long after somebody's last connection has gone, so that coming back does not
/// reset them.
pub(crate) const FORGET: Duration = Duration::from_secs(10);

/// How rooms behave. The default is the protocol's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Content events that one viewer gets in a second; more are sampled. People read 5 to 15 lines a second.
    pub content_per_s: usize,
    /// The shortest time between two batches of events.
    pub flush: Duration,
    /// The shortest time between two messages with hearts from this node to the bus.
    pub hearts_publish: Duration,
    /// The shortest time between two hearts gauges.
    pub hearts_gauge: Duration,
    /// The shortest time between two viewers gauges.
    pub viewers_gauge: Duration,
    /// A viewer is a playback that reported within this time.
    pub playing_expires: Duration,
    /// Events kept in memory for those who come back; what is older is asked of the store.
    pub window_events: usize,
    /// Comments in a welcome.
    pub snapshot_comments: usize,
    /// The longest gap, in events, that is recovered; beyond it a fresh snapshot serves better.
    pub recovery_events: usize,
    /// The same, in bytes of JSON.
    pub recovery_bytes: usize,
    /// Bytes that may wait for one connection. Full: gauges are dropped, then the connection is.
    pub queue_bytes: usize,
    /// Connections in one room.
    pub connections: usize,
    /// What a draining server asks clients to spread their return over.
    pub drain_retry: Duration,
    /// The longest that draining waits for the store.
    pub drain_wait: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            content_per_s: 15,
            flush: Duration::from_millis(200),
            hearts_publish: Duration::from_millis(250),
            hearts_gauge: Duration::from_millis(500),
            viewers_gauge: Duration::from_secs(2),
            playing_expires: Duration::from_secs(15),
            window_events: 1000,
            snapshot_comments: 50,
            recovery_events: 2000,
            recovery_bytes: 256 * 1024,
            queue_bytes: 128 * 1024,
            connections: 50_000,
            drain_retry: Duration::from_secs(3),
            drain_wait: Duration::from_secs(3),
        }
    }
}
