//! The fixed times of a playlist, and how times are written.
//!
//! All follow from the configuration and never change while a broadcast lasts: Apple's players stop for good when one does.

use std::fmt;
use std::time::Duration;

use super::Config;

/// TARGETDURATION: [`live::SEGMENT_TARGET`] in whole seconds. Segments are cut so that none is longer when rounded.
pub(crate) const TARGET_SECONDS: u64 = live::SEGMENT_TARGET.as_secs();

/// Target durations before a player may leave out segments it knows (CAN-SKIP-UNTIL is at least 6).
const SKIP_TARGETS: u32 = 6;

/// Target durations from the end for which parts are listed (draft-pantos-hls-rfc8216bis section 6.2.2).
const PART_TARGETS: u32 = 3;

/// Part targets a player stays behind the end (PART-HOLD-BACK is at least 3).
const HOLD_BACK_PARTS: u32 = 3;

/// Target durations a request may block.
const BLOCK_TARGETS: u32 = 3;

pub(super) fn hold_back(config: &Config) -> Duration {
    config.part_target * HOLD_BACK_PARTS
}

pub(super) fn skip_until() -> Duration {
    live::SEGMENT_TARGET * SKIP_TARGETS
}

pub(super) fn parts_listed() -> Duration {
    live::SEGMENT_TARGET * PART_TARGETS
}

/// How long a request may wait for media to come.
pub(super) fn block_limit() -> Duration {
    live::SEGMENT_TARGET * BLOCK_TARGETS
}

/// Microseconds of a configured duration.
pub(crate) fn us(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// A duration as playlists write it: decimal seconds.
pub(crate) struct Seconds(pub i64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

/// A wall time as playlists write it: ISO 8601, milliseconds, UTC. Holds microseconds since 1970.
pub(crate) struct DateTime(pub i64);

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.max(0) / 1000;
        let (days, of_day) = (ms / 86_400_000, ms % 86_400_000);
        let (year, month, day) = civil(days);
        let (hour, minute) = (of_day / 3_600_000, of_day / 60_000 % 60);
        let (second, milli) = (of_day / 1000 % 60, of_day % 1000);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
    }
}

/// The Gregorian date `days` after 1970-01-01 (Hinnant, "chrono-compatible low-level date algorithms").
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_gregorian() {
        let shown = |us| DateTime(us).to_string();
        assert_eq!(shown(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(shown(951_782_400_000_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(shown(1_795_258_815_123_999), "2026-11-21T11:00:15.123Z");
    }

    #[test]
    fn seconds_keep_their_microseconds() {
        assert_eq!(Seconds(200_000).to_string(), "0.200000");
        assert_eq!(Seconds(12_000_033).to_string(), "12.000033");
    }
}
