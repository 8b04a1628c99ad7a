//! The 90 kHz clock of 33 bits, which wraps every 26.5 hours.

const WRAP: i64 = 1 << 33;

/// Undoes the wraps of all tracks of a program, which share one clock.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clock {
    /// The last time stamp unwrapped.
    last: Option<i64>,
}

impl Clock {
    /// The time of `stamp`, in ticks without wraps, nearest to the one before.
    pub fn unwrap(&mut self, stamp: u64) -> i64 {
        let time = self.near(stamp);
        self.last = Some(time);
        time
    }

    /// The same without remembering it.
    pub fn near(&self, stamp: u64) -> i64 {
        let stamp = stamp as i64 & (WRAP - 1);
        let Some(last) = self.last else { return stamp };
        let ahead = (stamp - last).rem_euclid(WRAP);
        last + if ahead < WRAP / 2 { ahead } else { ahead - WRAP }
    }
}

/// 90 kHz to microseconds.
pub(super) fn us(ticks: i64) -> i64 {
    ticks.saturating_mul(100).div_euclid(9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_goes_on_after_it_wraps_and_steps_back_a_little() {
        let mut clock = Clock::default();
        let near_end = (WRAP - 3000) as u64;
        assert_eq!(clock.unwrap(near_end), WRAP - 3000);
        assert_eq!(clock.unwrap(3000), WRAP + 3000);
        assert_eq!(clock.near(near_end), WRAP - 3000);
        assert_eq!(clock.unwrap(6000), WRAP + 6000);
    }

    #[test]
    fn ticks_become_microseconds() {
        assert_eq!(us(90_000), 1_000_000);
        assert_eq!(us(-90_000), -1_000_000);
    }
}
