//! What was measured, judged and printed.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::{Measured, Protocol};
use crate::floor::Every;

/// The bounds of the first release, on loopback.
const FRAME_RATIO: f64 = 1.3;
const FLUSH_RATIO: f64 = 1.5;
const LATENCY_P99_MS: f64 = 25.0;
const KIB_PER_VIEWER: f64 = 24.0;
const JOIN_P95_MS: f64 = 50.0;
/// Fewer frames than this share of those sent is a failure, whatever the rest says.
const DELIVERED: f64 = 0.99;

/// A way to watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    Floor(Every),
    /// `flush_ms` is the server's `flv.flush_ms`: 0 sends each frame at once.
    Server {
        protocol: Protocol,
        flush_ms: u32,
    },
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Floor(Every::Frame) => f.pad("floor, a send per frame"),
            Self::Floor(Every::Tenth) => f.pad("floor, a send per 100 ms"),
            Self::Server { protocol, flush_ms } => {
                let name = match protocol {
                    Protocol::Rtmp => "RTMP",
                    Protocol::Flv => "HTTP-FLV",
                    Protocol::Llhls => "LL-HLS",
                };
                let flush = if *flush_ms > 0 { format!(", flush {flush_ms} ms") } else { String::new() };
                f.pad(&format!("{name}{flush}"))
            }
        }
    }
}

/// One case measured.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    #[serde(serialize_with = "as_text")]
    pub case: Case,
    pub viewers: usize,
    /// CPU of the server beyond what it needs with one viewer, per further viewer and second.
    pub cpu_ms_per_viewer_s: f64,
    /// CPU of the server with its publisher and one viewer.
    pub alone_cpu_ms_per_s: f64,
    /// Memory beyond that with one viewer, per further viewer.
    pub kib_per_viewer: f64,
    pub latency_p50_ms: f64,
    pub latency_p99_ms: f64,
    pub join_p50_ms: f64,
    pub join_p95_ms: f64,
    /// Frames received over frames sent.
    pub delivered: f64,
    pub errors: std::collections::BTreeMap<String, u32>,
}

/// Everything measured in one run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Of the media, containers not counted.
    pub bitrate_bps: u64,
    /// Length of each measurement.
    pub seconds: f64,
    pub rows: Vec<Row>,
}

/// A bound and whether it was kept.
#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    pub what: String,
    pub value: f64,
    pub bound: f64,
    pub pass: bool,
}

impl Row {
    pub(super) fn new(case: Case, viewers: usize, fps: u32, measured: Measured) -> Self {
        let Measured { alone, busy, outcome } = measured;
        let rate = |cpu_ms: u64, length: Duration| cpu_ms as f64 / length.as_secs_f64();
        let alone_rate = rate(alone.cpu_ms, alone.length);
        let count = viewers.max(1) as f64;
        let others = viewers.saturating_sub(1).max(1) as f64;
        let (mut latency, mut join) = (outcome.latency_us, outcome.join_us);
        latency.sort_unstable();
        join.sort_unstable();
        Self {
            case,
            viewers,
            cpu_ms_per_viewer_s: (rate(busy.cpu_ms, busy.length) - alone_rate) / others,
            alone_cpu_ms_per_s: alone_rate,
            kib_per_viewer: (busy.rss_kib - alone.rss_kib) as f64 / others,
            latency_p50_ms: percentile_ms(&latency, 50),
            latency_p99_ms: percentile_ms(&latency, 99),
            join_p50_ms: percentile_ms(&join, 50),
            join_p95_ms: percentile_ms(&join, 95),
            delivered: outcome.frames as f64 / (outcome.length.as_secs_f64() * f64::from(fps) * count),
            errors: outcome.errors,
        }
    }
}

impl Report {
    /// The floor a row is compared with: the lowest that sends as often, with as many viewers.
    fn floor(&self, row: &Row) -> Option<&Row> {
        let every = match row.case {
            Case::Server { protocol: Protocol::Llhls, .. } | Case::Floor(_) => return None,
            Case::Server { flush_ms: 0, .. } => Every::Frame,
            Case::Server { .. } => Every::Tenth,
        };
        let floors = self.rows.iter().filter(|floor| floor.case == Case::Floor(every) && floor.viewers == row.viewers);
        floors.min_by(|a, b| a.cpu_ms_per_viewer_s.total_cmp(&b.cpu_ms_per_viewer_s))
    }

    fn ratio(&self, row: &Row) -> Option<f64> {
        Some(row.cpu_ms_per_viewer_s / self.floor(row)?.cpu_ms_per_viewer_s)
    }

    /// The bounds that apply to a row. LL-HLS has none but that it works.
    pub fn verdicts(&self, row: &Row) -> Vec<Verdict> {
        let mut verdicts = vec![Verdict::new("delivered", row.delivered, DELIVERED, row.delivered >= DELIVERED)];
        verdicts.push(Verdict::new("errors", row.errors.len() as f64, 0.0, row.errors.is_empty()));
        let Some(ratio) = self.ratio(row) else { return verdicts };
        let mut below = |what, value, bound| verdicts.push(Verdict::new(what, value, bound, value <= bound));
        let each_frame = matches!(row.case, Case::Server { flush_ms: 0, .. });
        below("CPU over floor", ratio, if each_frame { FRAME_RATIO } else { FLUSH_RATIO });
        if each_frame {
            below("latency p99, ms", row.latency_p99_ms, LATENCY_P99_MS);
        }
        below("KiB a viewer", row.kib_per_viewer, KIB_PER_VIEWER);
        below("join p95, ms", row.join_p95_ms, JOIN_P95_MS);
        verdicts
    }

    /// Whether every bound was kept.
    pub fn passed(&self) -> bool {
        self.rows.iter().all(|row| self.verdicts(row).iter().all(|verdict| verdict.pass))
    }

    /// The report and its verdicts.
    pub fn json(&self) -> serde_json::Value {
        let rows: Vec<_> = self
            .rows
            .iter()
            .map(|row| serde_json::json!({"row": row, "cpu_over_floor": self.ratio(row), "verdicts": self.verdicts(row)}))
            .collect();
        serde_json::json!({"bitrate_bps": self.bitrate_bps, "seconds": self.seconds, "passed": self.passed(), "rows": rows})
    }
}

impl Verdict {
    fn new(what: &str, value: f64, bound: f64, pass: bool) -> Self {
        Self { what: what.into(), value, bound, pass }
    }
}

/// The table's head, for rows printed with [`line`].
pub const HEAD: &str = "\
viewers  case                      CPU ms per     first viewer  KiB per  latency ms      join ms         delivered
                                   viewer-second  CPU ms/s      viewer   p50     p99     p50     p95     %";

/// A row as a line of the table.
pub fn line(row: &Row) -> String {
    format!(
        "{:>7}  {:<24}  {:>13.3}  {:>12.1}  {:>7.1}  {:>6.1}  {:>6.1}  {:>6.1}  {:>6.1}  {:>8.1}",
        row.viewers,
        row.case,
        row.cpu_ms_per_viewer_s,
        row.alone_cpu_ms_per_s,
        row.kib_per_viewer,
        row.latency_p50_ms,
        row.latency_p99_ms,
        row.join_p50_ms,
        row.join_p95_ms,
        row.delivered * 100.0,
    )
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mbit = self.bitrate_bps as f64 / 1e6;
        writeln!(f, "720p30, {mbit:.2} Mbit/s of media, keyframes 2 s apart, {:.0} s each.\n", self.seconds)?;
        writeln!(f, "{HEAD}")?;
        for row in &self.rows {
            writeln!(f, "{}", line(row))?;
            for (what, times) in &row.errors {
                writeln!(f, "{:>9}error: {what} ({times} times)", "")?;
            }
        }
        writeln!(
            f,
            "\nCPU and memory are the difference to the same server with one viewer, over the further viewers. Latency: from sent by \
             the publisher to whole\nat the viewer (LL-HLS: the last frame of each part). Join: from connecting to the first \
             whole frame.\n"
        )?;
        for row in &self.rows {
            let verdicts: Vec<String> = self.verdicts(row).iter().map(ToString::to_string).collect();
            writeln!(f, "{:>7}  {:<24}  {}", row.viewers, row.case, verdicts.join("; "))?;
        }
        writeln!(f, "\n{}", if self.passed() { "All bounds kept." } else { "FAIL: a bound was not kept." })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.pass { "pass" } else { "FAIL" };
        write!(f, "{} {:.2} (bound {}) {word}", self.what, self.value, self.bound)
    }
}

fn as_text<S: serde::Serializer>(case: &Case, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(case)
}

/// A percentile of sorted microseconds, in milliseconds; not a number when there are none.
fn percentile_ms(sorted_us: &[u32], percent: usize) -> f64 {
    let at = (sorted_us.len() * percent / 100).min(sorted_us.len().saturating_sub(1));
    sorted_us.get(at).map_or(f64::NAN, |&us| f64::from(us) / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::super::Usage;
    use super::super::watch::Outcome;
    use super::*;

    fn row(case: Case, cpu_ms: u64, rss_kib: i64) -> Row {
        let usage = |cpu_ms, rss_kib| Usage { cpu_ms, length: Duration::from_secs(10), rss_kib };
        let outcome = Outcome {
            frames: 30_300,
            latency_us: (1..=100).map(|ms| ms * 200).collect(),
            join_us: vec![4_000; 100],
            length: Duration::from_secs(10),
            ..Outcome::default()
        };
        Row::new(case, 101, 30, Measured { alone: usage(100, 10_000), busy: usage(cpu_ms, rss_kib), outcome })
    }

    fn report(cpu_ms: u64, rss_kib: i64) -> Report {
        let flv = Case::Server { protocol: Protocol::Flv, flush_ms: 0 };
        let floor = |cpu_ms| row(Case::Floor(Every::Frame), cpu_ms, 10_000);
        let rows = vec![floor(340), row(flv, cpu_ms, rss_kib), floor(400)];
        Report { bitrate_bps: 1_500_000, seconds: 10.0, rows }
    }

    #[test]
    fn cpu_and_memory_are_the_difference_to_one_viewer_over_the_further_ones() {
        let report = report(388, 12_000);
        assert!((report.rows[1].cpu_ms_per_viewer_s - 0.288).abs() < 1e-9);
        assert!((report.ratio(&report.rows[1]).expect("a floor") - 1.2).abs() < 1e-9);
        assert!((report.rows[1].kib_per_viewer - 20.0).abs() < 1e-9);
        assert!((report.rows[1].latency_p99_ms - 20.0).abs() < 1e-9);
        assert!((report.rows[1].delivered - 1.0).abs() < 1e-9);
        assert!(report.passed(), "{report}");
    }

    #[test]
    fn each_bound_can_fail_and_an_absent_number_is_a_failure() {
        assert!(!report(440, 12_000).passed(), "1.42 times the floor");
        assert!(!report(388, 13_000).passed(), "30 KiB a viewer");
        let mut silent = report(388, 12_000);
        silent.rows[1].latency_p99_ms = f64::NAN;
        assert!(!silent.passed(), "no frame came");
    }
}
