//! Token buckets.

use tokio::time::Instant;

/// A rate with a burst.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit {
    pub per_s: f64,
    pub burst: f64,
}

/// How much of a [`Limit`] somebody has left.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Bucket {
    /// A full one.
    pub fn new(limit: Limit, now: Instant) -> Self {
        Self { tokens: limit.burst, at: now }
    }

    /// Take up to `n`; gives how many.
    pub fn take(&mut self, limit: Limit, now: Instant, n: u32) -> u32 {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + passed * limit.per_s).min(limit.burst);
        self.at = now;
        let granted = f64::from(n).min(self.tokens.floor());
        self.tokens -= granted;
        // At most n and not negative, so the cast keeps the value.
        granted as u32
    }
}
