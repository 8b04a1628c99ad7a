//! Writes what the recorder packages to the local disk, and keeps the replay's time line.
//!
//! Within a run of continuous media all times move by the same amount; a run begins where the one before ended, so the time
//! line has no gaps, whatever happened between two publishers.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::mpsc;

use super::boxes;
use super::index::{Index, InitInfo};
use super::spill::{self, Spill};
use crate::hls::{Head, Init, Part};

/// Between two runs: more than all rounding of times to ticks.
const RUN_GAP_US: i64 = 1_000;

/// What the recorder gives, in order: `Begin`, its `Part`s, `End`, and again.
pub(super) enum Job {
    Begin {
        head: Head,
        init: Arc<Init>,
        /// Media left out since the segment before.
        lost_us: i64,
    },
    Part(Part),
    End,
}

/// What recorder, scribe and uploader of a broadcast count together.
#[derive(Default)]
pub(super) struct Counts {
    /// Bytes in the queue before the scribe.
    pub queued: AtomicUsize,
    /// Bytes on the local disk.
    pub spilled: AtomicU64,
    /// Bytes of the replay, stored or on their way.
    pub total: AtomicU64,
}

/// The scribe of a broadcast.
pub(super) struct Scribe {
    id: String,
    spill: PathBuf,
    /// See [`super::Config`].
    pub spill_bytes: u64,
    pub max_bytes: u64,
    counts: Arc<Counts>,
    /// Number of the next segment.
    next: u64,
    end_us: i64,
    /// From media time to the replay's time line; unset where a run is to begin.
    shift_us: Option<i64>,
    open: Option<Open>,
    /// Media left out since the last segment written.
    lost_us: i64,
    /// What failed last, so that it is said once and not for each segment.
    trouble: Option<&'static str>,
}

struct Open {
    n: u64,
    spill: Spill,
    shift_us: i64,
    lead_us: i64,
    audio_rate: Option<u32>,
    /// Of its parts.
    bytes: u64,
}

impl Scribe {
    pub fn new(id: String, spill: PathBuf, index: &Index, counts: Arc<Counts>) -> Self {
        Self {
            id,
            spill,
            spill_bytes: u64::MAX,
            max_bytes: u64::MAX,
            counts,
            next: index.next(),
            end_us: if index.segments.is_empty() { 0 } else { index.end_us() + RUN_GAP_US },
            shift_us: None,
            open: None,
            lost_us: 0,
            trouble: None,
        }
    }

    /// Works until the recorder is gone. Sends the number and size of each segment that is complete on the local disk.
    pub async fn run(mut self, mut jobs: mpsc::UnboundedReceiver<Job>, done: mpsc::UnboundedSender<(u64, u64)>) {
        while let Some(job) = jobs.recv().await {
            match job {
                Job::Begin { head, init, lost_us } => {
                    self.finish(&done);
                    self.lost_us += lost_us;
                    self.begin(head, &init).await;
                }
                Job::Part(part) => {
                    let bytes = part.body.len();
                    if !self.part(part).await {
                        // What follows a torn record would not be read.
                        self.finish(&done);
                    }
                    self.counts.queued.fetch_sub(bytes, Ordering::AcqRel);
                }
                Job::End => self.finish(&done),
            }
        }
        self.finish(&done);
    }

    async fn begin(&mut self, head: Head, init: &Init) {
        let new_run = head.discontinuity || self.lost_us > 0;
        let going_on = self.shift_us.take().filter(|_| !new_run);
        if self.is_full() {
            return;
        }
        let shift_us = going_on.unwrap_or(self.end_us - head.start_us);
        let start_us = head.start_us + shift_us;
        let info = InitInfo::new(init);
        let audio_rate = info.audio_rate;
        let head = spill::Head {
            init: info,
            start_us,
            captured_us: head.captured_us,
            discontinuity: self.next > 0 && going_on.is_none(),
            independent: head.independent,
            lost_us: self.lost_us,
        };
        match Spill::create(&spill::path(&self.spill, self.next), &head, &init.body).await {
            Ok(spill) => {
                self.open = Some(Open { n: self.next, spill, shift_us, lead_us: start_us, audio_rate, bytes: 0 });
                self.shift_us = Some(shift_us);
                self.next += 1;
            }
            Err(error) => self.complain("the local disk cannot be written", &error.to_string()),
        }
    }

    /// Appends a part; false when it failed, and the segment must end before it.
    async fn part(&mut self, part: Part) -> bool {
        let Some(open) = &mut self.open else {
            self.lost_us += part.duration_us;
            return true;
        };
        let (fragment, audio_end_us) = boxes::retime(&part.body, open.shift_us, open.audio_rate);
        let lead_us = open.lead_us + part.duration_us;
        let end_us = audio_end_us.unwrap_or(lead_us).max(lead_us);
        if let Err(error) = open.spill.part(part.duration_us, end_us, &fragment).await {
            self.lost_us += part.duration_us;
            self.shift_us = None;
            self.complain("the local disk cannot be written", &error.to_string());
            return false;
        }
        open.lead_us = lead_us;
        open.bytes += fragment.len() as u64;
        self.counts.spilled.fetch_add(fragment.len() as u64, Ordering::AcqRel);
        self.counts.total.fetch_add(fragment.len() as u64, Ordering::AcqRel);
        self.end_us = self.end_us.max(end_us + RUN_GAP_US);
        self.lost_us = 0;
        self.trouble = None;
        true
    }

    fn finish(&mut self, done: &mpsc::UnboundedSender<(u64, u64)>) {
        if let Some(open) = self.open.take() {
            // Nobody hears it only when the process stops; the file stays for the next one.
            let _ = done.send((open.n, open.bytes));
        }
    }

    /// Whether nothing more may be written now.
    fn is_full(&mut self) -> bool {
        if self.counts.total.load(Ordering::Acquire) >= self.max_bytes {
            self.complain("the recording has reached its largest size", "recording.max_bytes_per_user");
            return true;
        }
        if self.counts.spilled.load(Ordering::Acquire) >= self.spill_bytes {
            self.complain("too much waits for the object store", "segments are left out until it answers");
            return true;
        }
        false
    }

    fn complain(&mut self, what: &'static str, why: &str) {
        if self.trouble != Some(what) {
            tracing::error!(broadcast = self.id, why, "replay is not recorded: {what}");
        }
        self.trouble = Some(what);
    }
}
