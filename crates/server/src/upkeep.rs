//! What has to be done every now and then.

use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::clock::now_ms;
use crate::replay;
use crate::services::Shared;

/// The rooms forget a count that is not told again within 15 s.
const VIEWERS: Duration = Duration::from_secs(2);

/// Samples of histograms are kept one by one until then.
const METRICS: Duration = Duration::from_secs(1);

const PICTURES: Duration = Duration::from_secs(60);

const SESSIONS: Duration = Duration::from_secs(3600);

const REPLAYS: Duration = Duration::from_secs(60);

/// Does it until `stop`.
pub async fn run(services: Shared, recorder: PrometheusHandle, stop: CancellationToken) {
    let [mut viewers, mut metrics, mut pictures, mut sessions] = [VIEWERS, METRICS, PICTURES, SESSIONS].map(interval);
    tokio::spawn(keep_replays(services.clone(), stop.clone()));
    for timer in [&mut viewers, &mut metrics, &mut pictures, &mut sessions] {
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    }
    loop {
        tokio::select! {
            _ = viewers.tick() => tell_viewers(&services),
            _ = metrics.tick() => recorder.run_upkeep(),
            _ = pictures.tick() => services.thumbnails.retain(|id| services.directory.get(id).is_some()),
            _ = sessions.tick() => purge_sessions(&services).await,
            () = stop.cancelled() => return,
        }
    }
}

/// Beside the rest: an object store may be slow.
async fn keep_replays(services: Shared, stop: CancellationToken) {
    let work = async {
        replay::settle(&services.archive).await;
        loop {
            replay::retention::run(&services.store, &services.archive, &services.config.recording).await;
            tokio::time::sleep(REPLAYS).await;
        }
    };
    tokio::select! {
        () = work => {}
        () = stop.cancelled() => {}
    }
}

fn tell_viewers(services: &Shared) {
    for (id, count) in services.pulls.sweep() {
        if let Some(room) = services.rooms.room(&id) {
            room.report_pull_viewers(count);
        }
    }
}

async fn purge_sessions(services: &Shared) {
    match services.store.purge_expired(now_ms()).await {
        Ok(0) => {}
        Ok(count) => tracing::info!(count, "expired sessions forgotten"),
        Err(error) => tracing::warn!(%error, "expired sessions not forgotten yet"),
    }
}
