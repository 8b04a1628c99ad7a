//! The newest units of a broadcast, from which viewers start and catch up.

use std::collections::VecDeque;
use std::sync::Arc;

use super::unit::Unit;

/// What a ring may hold. The newest group is kept beyond the time bound, never beyond the byte bound.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub bytes: usize,
    pub time_us: i64,
}

/// Units in order, oldest first.
#[derive(Debug)]
pub(super) struct Ring {
    units: VecDeque<Arc<Unit>>,
    bytes: usize,
    bounds: Bounds,
}

impl Ring {
    pub fn new(bounds: Bounds) -> Self {
        Self { units: VecDeque::new(), bytes: 0, bounds }
    }

    pub fn push(&mut self, unit: Arc<Unit>) {
        self.bytes += unit.size;
        let horizon = unit.time_us - self.bounds.time_us;
        self.units.push_back(unit);
        let newest_key = self.newest_key().unwrap_or(u64::MAX);
        while let Some(oldest) = self.units.front() {
            let aged = oldest.time_us < horizon && oldest.sequence < newest_key;
            if self.units.len() == 1 || !(aged || self.bytes > self.bounds.bytes) {
                break;
            }
            self.bytes -= oldest.size;
            self.units.pop_front();
        }
    }

    /// The newest unit a viewer can start at.
    pub fn newest_key(&self) -> Option<u64> {
        self.units.iter().rev().find(|unit| unit.keyframe).map(|unit| unit.sequence)
    }

    pub fn newest(&self) -> Option<&Arc<Unit>> {
        self.units.back()
    }

    /// A unit by number, when it is still held.
    pub fn get(&self, sequence: u64) -> Option<&Arc<Unit>> {
        let oldest = self.units.front()?.sequence;
        self.units.get(usize::try_from(sequence.checked_sub(oldest)?).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(units: &[(i64, bool)], bounds: Bounds) -> Ring {
        let mut ring = Ring::new(bounds);
        for (n, (time_ms, keyframe)) in units.iter().enumerate() {
            let mut unit = Unit::new(n as u64, *keyframe, time_ms * 1000, Default::default(), vec![]);
            unit.size = 100;
            ring.push(Arc::new(unit));
        }
        ring
    }

    #[test]
    fn the_newest_group_outlives_the_time_bound() {
        let ring = ring(&[(0, true), (1000, false), (9000, false)], Bounds { bytes: 10_000, time_us: 3_000_000 });
        assert_eq!(ring.newest_key(), Some(0));
        assert!(ring.get(1).is_some());
    }

    #[test]
    fn older_groups_age_out() {
        let ring = ring(&[(0, true), (1000, false), (9000, true)], Bounds { bytes: 10_000, time_us: 3_000_000 });
        assert!(ring.get(0).is_none() && ring.get(1).is_none());
        assert_eq!(ring.newest_key(), Some(2));
    }

    #[test]
    fn bytes_are_bounded_whatever_the_group() {
        let units: Vec<_> = (0..100).map(|n| (n, n == 0)).collect();
        let ring = ring(&units, Bounds { bytes: 1000, time_us: 3_000_000 });
        assert!(ring.bytes <= 1000);
        assert_eq!(ring.newest_key(), None);
        assert!(ring.get(99).is_some());
    }
}
