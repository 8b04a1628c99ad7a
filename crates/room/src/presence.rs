//! How many watch. A viewer is a playback that reported media lately; a room connection alone is not one.

use std::time::Duration;

use tokio::time::Instant;

use crate::frame::Rung;

/// The players that the server counts by their HTTP requests, whether they have a room connection or not.
#[derive(Debug, Default)]
pub(crate) struct PullViewers {
    n: u32,
    until: Option<Instant>,
}

impl PullViewers {
    pub fn report(&mut self, n: u32, now: Instant, expires: Duration) {
        self.n = n;
        self.until = Some(now + expires);
    }

    fn count(&self, now: Instant) -> u32 {
        if self.until.is_some_and(|until| now < until) { self.n } else { 0 }
    }
}

/// The number of viewers, from the playbacks that reported and have not expired.
///
/// Somebody in the room who plays over HTTP is also among the server's pull viewers, so of these two counts the
/// larger is taken.
pub(crate) fn count(playing: impl Iterator<Item = Rung>, pull: &PullViewers, now: Instant) -> u32 {
    let (mut pushed, mut pulled) = (0u32, 0u32);
    for rung in playing {
        if rung.is_pull() { pulled += 1 } else { pushed += 1 }
    }
    pushed.saturating_add(pulled.max(pull.count(now)))
}
