//! The two clocks of a room, read together.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// A moment: `at` to measure by, `unix_ms` to write down.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    pub at: Instant,
    pub unix_ms: i64,
}

impl Now {
    pub fn read() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { at: Instant::now(), unix_ms: i64::try_from(since.as_millis()).unwrap_or(i64::MAX) }
    }
}
