//! What is kept for how long: replays go by age, then the oldest of a user, then the oldest of all, until all bounds hold.

use std::collections::HashMap;

use gateway::archive::{Archive, Error, Progress};
use store::{Replay, ReplayState, Store};

use super::{close, recorded};
use crate::clock::now_ms;
use crate::config::Recording;

const DAY_MS: i64 = 24 * 3600 * 1000;

/// Removes what is to go, and finishes what a killed process left unfinished.
pub async fn run(store: &Store, archive: &Archive, bounds: &Recording) {
    if let Err(error) = sweep(store, archive, bounds).await {
        tracing::warn!(%error, "replays not looked through");
    }
}

async fn sweep(store: &Store, archive: &Archive, bounds: &Recording) -> Result<(), store::Error> {
    let mut kept = store.kept_replays().await?;
    for replay in &mut kept {
        if replay.state != ReplayState::Ready && replay.over && !archive.is_recording(&replay.id) {
            adopt(store, archive, replay).await?;
        }
    }
    for (replay, why) in surplus(&kept, bounds, now_ms()) {
        tracing::info!(replay = replay.id, owner = replay.owner.id, bytes = replay.bytes, why, "replay goes");
        store.delete_replay(&replay.id).await?;
    }
    remove_deleted(store, archive).await
}

/// Removes the media of replays that are deleted.
pub async fn remove_deleted(store: &Store, archive: &Archive) -> Result<(), store::Error> {
    for replay in store.deleting_replays().await? {
        match archive.delete(&replay.id).await {
            Ok(()) => store.forget_replay(&replay.id).await?,
            Err(error) => tracing::warn!(replay = replay.id, %error, "replay not removed yet"),
        }
    }
    Ok(())
}

/// A broadcast is over and nobody records it: what is there is the replay.
async fn adopt(store: &Store, archive: &Archive, replay: &mut Replay) -> Result<(), store::Error> {
    let progress = match archive.settle(&replay.id).await {
        Ok(index) => Progress::of(&index),
        Err(Error::NotFound) => Progress::default(),
        Err(error) => {
            tracing::warn!(replay = replay.id, %error, "recording not recovered yet");
            return Ok(());
        }
    };
    close(store, &replay.id, &progress).await?;
    let now = recorded(&progress);
    (replay.bytes, replay.captured_ms, replay.finished_ms) = (now.bytes, now.captured_ms, Some(now_ms()));
    replay.state = if progress.segments == 0 { ReplayState::Deleting } else { ReplayState::Ready };
    Ok(())
}

/// The replays that the bounds have no room for, with the reason. `kept` comes oldest first; a bound of 0 is none.
fn surplus<'a>(kept: &'a [Replay], bounds: &Recording, now_ms: i64) -> Vec<(&'a Replay, &'static str)> {
    let mut of_user: HashMap<&str, i64> = HashMap::new();
    let mut of_all = 0;
    for replay in kept {
        *of_user.entry(&replay.owner.id).or_default() += replay.bytes;
        of_all += replay.bytes;
    }
    let over = |bytes: i64, bound: u64| bound > 0 && u64::try_from(bytes).unwrap_or(0) > bound;
    let mut going = Vec::new();
    for replay in kept.iter().filter(|replay| replay.state == ReplayState::Ready) {
        let of_owner = of_user.entry(&replay.owner.id).or_default();
        let age_ms = now_ms - replay.finished_ms.unwrap_or(now_ms);
        let why = if bounds.max_age_days > 0 && age_ms > i64::from(bounds.max_age_days) * DAY_MS {
            "recording.max_age_days"
        } else if over(*of_owner, bounds.max_bytes_per_user) {
            "recording.max_bytes_per_user"
        } else if over(of_all, bounds.max_bytes) {
            "recording.max_bytes"
        } else {
            continue;
        };
        *of_owner -= replay.bytes;
        of_all -= replay.bytes;
        going.push((replay, why));
    }
    going
}

#[cfg(test)]
mod tests {
    use store::{ReplayVisibility, User};

    use super::*;

    const NOW_MS: i64 = 100 * DAY_MS;

    fn replay(id: &str, owner: &str, bytes: i64, finished_day: i64) -> Replay {
        Replay {
            id: id.into(),
            owner: User { id: owner.into(), name: owner.into() },
            title: String::new(),
            visibility: ReplayVisibility::Public,
            state: ReplayState::Ready,
            over: true,
            duration_ms: 1,
            bytes,
            lost_ms: 0,
            captured_ms: Some(finished_day * DAY_MS),
            finished_ms: Some(finished_day * DAY_MS),
        }
    }

    fn going(kept: &[Replay], max_age_days: u32, max_bytes_per_user: u64, max_bytes: u64) -> Vec<String> {
        let bounds = Recording { max_age_days, max_bytes_per_user, max_bytes, ..Recording::default() };
        surplus(kept, &bounds, NOW_MS).into_iter().map(|(replay, _)| replay.id.clone()).collect()
    }

    #[test]
    fn the_oldest_go_first_by_age_by_user_and_by_all() {
        let kept = [
            replay("a", "ann", 10, 60),
            replay("b", "bob", 10, 80),
            replay("c", "ann", 10, 90),
            replay("d", "ann", 10, 99),
        ];
        assert_eq!(going(&kept, 0, 0, 0), Vec::<String>::new());
        assert_eq!(going(&kept, 30, 0, 0), ["a"]);
        assert_eq!(going(&kept, 0, 20, 0), ["a"]);
        assert_eq!(going(&kept, 0, 0, 25), ["a", "b"]);
        assert_eq!(going(&kept, 15, 10, 0), ["a", "b", "c"]);
    }

    #[test]
    fn what_is_being_recorded_counts_and_stays() {
        let mut kept = [replay("a", "ann", 10, 60), replay("b", "ann", 100, 99)];
        kept[1].state = ReplayState::Recording;
        assert_eq!(going(&kept, 0, 50, 0), ["a"]);
    }
}
