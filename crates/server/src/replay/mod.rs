//! Replays as the service keeps them: which broadcasts are recorded, what is remembered of that, who may watch, for how long.
//!
//! [`Recordings`] starts a recorder with a broadcast's first publisher; [`retention`] says what goes; [`Access`] who may watch.
//! The media is the business of `gateway::archive`.

mod access;
pub mod retention;

use std::path::PathBuf;
use std::time::Duration;

use gateway::archive::{Archive, Config as ArchiveConfig, Place, Progress};
use live::Broadcast;
use store::{Recorded, ReplayState, Store};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::clock::now_ms;
use crate::config::Config;
use crate::tasks::Tasks;

pub use access::Access;

/// How often the database hears how far a recording is.
const TELL: Duration = Duration::from_secs(10);

/// Before the database is told again that a replay is ready.
const RETRY: Duration = Duration::from_secs(2);

/// How the archive is set up by the configuration.
pub fn archive_config(config: &Config, part_target: Duration) -> ArchiveConfig {
    let recording = &config.recording;
    let place = match &recording.s3_bucket {
        Some(bucket) => Place::S3 {
            bucket: bucket.clone(),
            region: recording.s3_region.clone(),
            endpoint: recording.s3_endpoint.clone(),
            prefix: recording.s3_prefix.clone(),
        },
        None => Place::Directory(directory(config)),
    };
    ArchiveConfig {
        part_target,
        dvr: Duration::from_secs(recording.dvr_s),
        max_bytes: if recording.max_bytes_per_user == 0 { u64::MAX } else { recording.max_bytes_per_user },
        ..ArchiveConfig::new(place, config.data_dir.join("recording"))
    }
}

fn directory(config: &Config) -> PathBuf {
    config.recording.dir.clone().unwrap_or_else(|| config.data_dir.join("replays"))
}

/// Records the broadcasts that are to have a replay. Clones share.
#[derive(Clone)]
pub struct Recordings {
    enabled: bool,
    archive: Archive,
    store: Store,
    stop: CancellationToken,
    tasks: Tasks,
}

impl Recordings {
    /// `stop` ends every recorder, as when the server stops; `tasks` are waited for then.
    pub fn new(enabled: bool, archive: Archive, store: Store, stop: CancellationToken, tasks: Tasks) -> Self {
        Self { enabled, archive, store, stop, tasks }
    }

    /// The broadcast has a publisher: records it, unless it is being recorded already or is to have no replay.
    pub fn begin(&self, broadcast: &Broadcast) {
        if self.enabled && !self.archive.is_recording(broadcast.id()) {
            let (recordings, broadcast) = (self.clone(), broadcast.clone());
            self.tasks.spawn(async move { recordings.record(broadcast).await });
        }
    }

    async fn record(&self, broadcast: Broadcast) {
        let id = broadcast.id().to_owned();
        match self.store.replay(&id).await {
            Ok(Some(replay)) if replay.state != ReplayState::Deleting => {}
            Ok(_) => return,
            // What is recorded in vain can be deleted; what is not recorded is gone.
            Err(error) => tracing::warn!(broadcast = id, %error, "recording without asking whether to"),
        }
        let Some(progress) = self.archive.record(broadcast, self.stop.clone()) else { return };
        let _gauge = crate::telemetry::Gauge::up("oriel_recordings");
        self.follow(&id, progress).await;
    }

    /// Remembers how far the recording is until it ends.
    async fn follow(&self, id: &str, mut progress: watch::Receiver<Progress>) {
        let mut lost_us = progress.borrow().lost_us;
        while progress.changed().await.is_ok() {
            let now = *progress.borrow_and_update();
            let lost = u64::try_from(now.lost_us - lost_us).unwrap_or(0);
            metrics::counter!("oriel_recording_lost_ms_total").increment(lost / 1000);
            lost_us = now.lost_us;
            if now.done {
                return self.finish(id, now).await;
            }
            if now.segments > 0
                && let Err(error) = self.store.replay_progress(id, recorded(&now)).await
            {
                tracing::debug!(broadcast = id, %error, "progress of the recording not noted");
            }
            // The end is told at once.
            let ended = progress.wait_for(|progress| progress.done);
            if tokio::time::timeout(TELL, ended).await.is_ok_and(|told| told.is_ok()) {
                progress.mark_changed();
            }
        }
    }

    async fn finish(&self, id: &str, progress: Progress) {
        while let Err(error) = close(&self.store, id, &progress).await {
            tracing::warn!(broadcast = id, %error, "the end of the recording is not noted yet");
            tokio::select! {
                () = tokio::time::sleep(RETRY) => {}
                // Found again by the next process.
                () = self.stop.cancelled() => return,
            }
        }
    }
}

/// The recording is whole: a replay, or nothing when there was no media.
async fn close(store: &Store, id: &str, progress: &Progress) -> Result<(), store::Error> {
    match progress.segments {
        0 => store.delete_replay(id).await.or_else(|error| match error {
            store::Error::NotFound { .. } => Ok(()),
            error => Err(error),
        }),
        _ => store.replay_ready(id, recorded(progress), now_ms()).await,
    }
}

fn recorded(progress: &Progress) -> Recorded {
    Recorded {
        duration_ms: progress.duration_us / 1000,
        bytes: i64::try_from(progress.bytes).unwrap_or(i64::MAX),
        lost_ms: progress.lost_us / 1000,
        captured_ms: progress.captured_us.map(|us| us / 1000),
    }
}

/// After a start of the process: brings what a killed one left on the local disk to the archive.
pub async fn settle(archive: &Archive) {
    for id in archive.leftovers() {
        match archive.settle(&id).await {
            Ok(index) => tracing::info!(broadcast = id, segments = index.segments.len(), "recording recovered"),
            Err(error) => tracing::warn!(broadcast = id, %error, "recording not recovered yet"),
        }
    }
}
