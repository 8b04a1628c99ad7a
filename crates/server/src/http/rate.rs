//! Rate limits by key: an address, an account, a name.

use std::hash::Hash;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::problem::Problem;

/// Keys remembered before the idle ones are swept out: bounds memory against many addresses.
const SWEEP_ABOVE: usize = 10_000;

/// At most `count` of something in a period, for each key.
pub struct Rate<K: Hash + Eq + Clone> {
    limiter: DefaultKeyedRateLimiter<K>,
    clock: DefaultClock,
}

impl<K: Hash + Eq + Clone> Rate<K> {
    /// `count` in `period`, `burst` of them at once. A count of 0 is taken as 1.
    pub fn new(count: u32, period: Duration, burst: u32) -> Self {
        let count = NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
        let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
        let quota =
            Quota::with_period(period / count.get()).unwrap_or_else(|| Quota::per_second(count)).allow_burst(burst);
        Self { limiter: RateLimiter::keyed(quota), clock: DefaultClock::default() }
    }

    pub fn per_minute(count: u32, burst: u32) -> Self {
        Self::new(count, Duration::from_secs(60), burst)
    }

    pub fn per_hour(count: u32, burst: u32) -> Self {
        Self::new(count, Duration::from_secs(3600), burst)
    }

    /// Counts one for `key`, or says when to come back.
    pub fn check(&self, key: &K) -> Result<(), Problem> {
        if self.limiter.len() > SWEEP_ABOVE {
            self.limiter.retain_recent();
            self.limiter.shrink_to_fit();
        }
        self.limiter
            .check_key(key)
            .map_err(|until| Problem::RateLimited { retry: until.wait_time_from(self.clock.now()) })
    }
}
