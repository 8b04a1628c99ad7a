//! The store on a real file, as a process uses it.

use std::time::Duration;

use sqlx::{Connection as _, SqliteConnection};
use tempfile::TempDir;

use crate::{
    Broadcast, Config, Error, HeartSecond, Location, NewBroadcast, NewEvent, Over, Position, State, Store, StoredEvent,
    User, Visibility,
};
use crate::{Moment, Recorded, ReplayState, ReplayVisibility};

const NOW_MS: i64 = 1_800_000_000_000;

/// A directory with one database in it.
struct Disk {
    directory: TempDir,
}

impl Disk {
    fn new() -> Self {
        Self { directory: TempDir::new().expect("a temporary directory can be made") }
    }

    fn config(&self) -> Config {
        Config::file(self.directory.path().join("oriel.db"))
    }

    async fn open(&self) -> Store {
        Store::open(&self.config()).await.expect("the database opens")
    }

    /// A connection beside the store, as another process would have.
    async fn outsider(&self) -> SqliteConnection {
        let url = format!("sqlite://{}", self.directory.path().join("oriel.db").display());
        SqliteConnection::connect(&url).await.expect("a second connection opens")
    }
}

/// An empty store and the disk it is on.
async fn disk_store() -> (Disk, Store) {
    let disk = Disk::new();
    let store = disk.open().await;
    (disk, store)
}

/// The store with one user and one broadcast, `room`.
async fn with_room(disk: &Disk) -> Store {
    let store = disk.open().await;
    let ada = store.create_user("ada", "phc").await.unwrap();
    store.create_broadcast(announced("room", &ada, 1)).await.unwrap();
    store
}

fn announced(id: &str, owner: &User, key: u8) -> NewBroadcast {
    NewBroadcast {
        id: id.into(),
        owner: owner.id.clone(),
        title: "The window".into(),
        location: Some(Location { lat: 60.17, lng: 24.94 }),
        visibility: Visibility::Public,
        key_hash: [key; 32],
        created_ms: NOW_MS + i64::from(key),
    }
}

fn said(epoch: &str, offset: i64) -> NewEvent {
    NewEvent {
        broadcast: "room".into(),
        epoch: epoch.into(),
        offset,
        kind: "comment".into(),
        body: format!("{{\"text\":\"{epoch} {offset}\"}}"),
        at_ms: NOW_MS + offset,
        captured_ms: None,
    }
}

fn offsets(events: &[StoredEvent]) -> Vec<i64> {
    events.iter().map(|event| event.offset).collect()
}

fn ids(broadcasts: &[Broadcast]) -> Vec<&str> {
    broadcasts.iter().map(|broadcast| broadcast.id.as_str()).collect()
}

#[tokio::test]
async fn an_empty_file_becomes_a_database_and_stays_one() {
    let disk = Disk::new();
    let ada = disk.open().await.create_user("ada", "phc").await.unwrap();
    let again = disk.open().await;
    assert_eq!(again.user(&ada.id).await.unwrap(), Some(ada));
    again.ping().await.unwrap();
}

#[tokio::test]
async fn a_database_in_memory_has_the_same_schema() {
    let store = Store::open(&Config::memory()).await.unwrap();
    let ada = store.create_user("ada", "phc").await.unwrap();
    store.create_broadcast(announced("room", &ada, 1)).await.unwrap();
    store.append_events(vec![said("e1", 1)]).await.unwrap();
    assert_eq!(offsets(&store.recent_comments("room", 5).await.unwrap()), [1]);
}

#[tokio::test]
async fn a_directory_that_is_not_there_is_an_error_that_names_the_place() {
    let error = Store::open(&Config::file("/nowhere/at/all/oriel.db")).await.unwrap_err();
    assert!(error.to_string().contains("/nowhere/at/all/oriel.db"), "{error}");
}

#[tokio::test]
async fn a_name_is_taken_in_whatever_case() {
    let (_disk, store) = disk_store().await;
    let ada = store.create_user("Ada", "phc-1").await.unwrap();
    let again = store.create_user("aDA", "phc-2").await.unwrap_err();
    assert!(matches!(again, Error::Conflict { .. }), "{again}");
    let (found, hash) = store.user_by_name("ADA").await.unwrap().unwrap();
    assert_eq!((found, hash.as_str()), (ada, "phc-1"));
    assert_eq!(store.user_by_name("bob").await.unwrap(), None);
}

#[tokio::test]
async fn a_session_is_worth_something_until_it_expires_or_is_deleted() {
    let (_disk, store) = disk_store().await;
    let ada = store.create_user("ada", "phc").await.unwrap();
    for token in 1..=3 {
        store.create_session([token; 32], &ada.id, NOW_MS + i64::from(token)).await.unwrap();
    }
    assert_eq!(store.session_user([1; 32], NOW_MS).await.unwrap(), Some(ada.clone()));
    assert_eq!(store.session_user([1; 32], NOW_MS + 1).await.unwrap(), None);
    store.delete_session([2; 32]).await.unwrap();
    store.delete_session([2; 32]).await.unwrap();
    assert_eq!(store.session_user([2; 32], NOW_MS).await.unwrap(), None);
    assert_eq!(store.purge_expired(NOW_MS + 3).await.unwrap(), 2);
    assert_eq!(store.session_user([3; 32], NOW_MS).await.unwrap(), None);
}

#[tokio::test]
async fn a_session_needs_a_user_and_a_token_of_its_own() {
    let (_disk, store) = disk_store().await;
    let nobody = store.create_session([1; 32], "nobody", NOW_MS).await.unwrap_err();
    assert!(matches!(nobody, Error::NotFound { .. }), "{nobody}");
    let ada = store.create_user("ada", "phc").await.unwrap();
    store.create_session([1; 32], &ada.id, NOW_MS).await.unwrap();
    let twice = store.create_session([1; 32], &ada.id, NOW_MS).await.unwrap_err();
    assert!(matches!(twice, Error::Conflict { .. }), "{twice}");
}

#[tokio::test]
async fn a_broadcast_comes_back_as_it_was_announced() {
    let (_disk, store) = disk_store().await;
    let ada = store.create_user("ada", "phc").await.unwrap();
    let new = announced("first", &ada, 1);
    store.create_broadcast(new.clone()).await.unwrap();
    let found = store.broadcast_by_key([1; 32]).await.unwrap().unwrap();
    assert_eq!(store.broadcast("first").await.unwrap().as_ref(), Some(&found));
    assert_eq!((found.owner, found.location, found.state), (ada.clone(), new.location, State::NotStarted));
    assert_eq!(store.broadcast("second").await.unwrap(), None);

    let same_id = store.create_broadcast(announced("first", &ada, 2)).await.unwrap_err();
    let same_key = store.create_broadcast(announced("second", &ada, 1)).await.unwrap_err();
    let nobody = User { id: "nobody".into(), name: "nobody".into() };
    let no_owner = store.create_broadcast(announced("third", &nobody, 3)).await.unwrap_err();
    assert!(matches!(same_id, Error::Conflict { .. }), "{same_id}");
    assert!(matches!(same_key, Error::Conflict { .. }), "{same_key}");
    assert!(matches!(no_owner, Error::NotFound { .. }), "{no_owner}");
}

#[tokio::test]
async fn a_broadcast_goes_through_its_states_and_never_back() {
    let (_disk, store) = disk_store().await;
    let ada = store.create_user("ada", "phc").await.unwrap();
    store.create_broadcast(announced("room", &ada, 1)).await.unwrap();
    let early = store.set_interrupted("room", NOW_MS).await.unwrap_err();
    assert!(matches!(early, Error::Conflict { .. }), "{early}");

    store.set_running("room", NOW_MS).await.unwrap();
    store.set_interrupted("room", NOW_MS + 1).await.unwrap();
    store.set_interrupted("room", NOW_MS + 2).await.unwrap();
    assert_eq!(store.broadcast("room").await.unwrap().unwrap().interrupted_ms, Some(NOW_MS + 1));
    store.set_running("room", NOW_MS + 3).await.unwrap();
    let running = store.broadcast("room").await.unwrap().unwrap();
    assert_eq!((running.state, running.started_ms, running.interrupted_ms), (State::Running, Some(NOW_MS), None));

    store.set_ended("room", Over::TimedOut, NOW_MS + 9).await.unwrap();
    let over = store.broadcast("room").await.unwrap().unwrap();
    assert_eq!((over.state, over.ended_ms), (State::TimedOut, Some(NOW_MS + 9)));
    let back = store.set_running("room", NOW_MS + 10).await.unwrap_err();
    assert!(matches!(&back, Error::Conflict { what } if what.contains("TIMED_OUT")), "{back}");
    let twice = store.set_ended("room", Over::Ended, NOW_MS + 10).await.unwrap_err();
    assert!(matches!(twice, Error::Conflict { .. }), "{twice}");
    let unknown = store.set_running("rook", NOW_MS).await.unwrap_err();
    assert!(matches!(unknown, Error::NotFound { .. }), "{unknown}");
}

#[tokio::test]
async fn lists_are_newest_first_and_unlisted_broadcasts_are_only_the_owners() {
    let (_disk, store) = disk_store().await;
    let ada = store.create_user("ada", "phc").await.unwrap();
    let bob = store.create_user("bob", "phc").await.unwrap();
    for (key, id) in ["one", "two", "hidden", "waiting"].into_iter().enumerate() {
        let key = u8::try_from(key).unwrap();
        let visibility = if id == "hidden" { Visibility::Unlisted } else { Visibility::Public };
        store.create_broadcast(NewBroadcast { visibility, ..announced(id, &ada, key) }).await.unwrap();
        if id != "waiting" {
            store.set_running(id, NOW_MS + i64::from(key)).await.unwrap();
        }
    }
    assert_eq!(ids(&store.live_broadcasts().await.unwrap()), ["two", "one"]);
    assert_eq!(ids(&store.broadcasts_of(&ada.id, 3).await.unwrap()), ["waiting", "hidden", "two"]);
    assert!(store.broadcasts_of(&bob.id, 3).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_restart_finds_what_was_running_and_a_second_one_does_not_prolong_the_grace() {
    let disk = Disk::new();
    let store = with_room(&disk).await;
    store.set_running("room", NOW_MS).await.unwrap();
    drop(store);
    let store = disk.open().await;
    assert_eq!(store.recover_after_restart(NOW_MS + 5).await.unwrap()[0].interrupted_ms, Some(NOW_MS + 5));
    drop(store);
    let store = disk.open().await;
    let found = store.recover_after_restart(NOW_MS + 50).await.unwrap();
    assert_eq!((ids(&found), found[0].interrupted_ms), (vec!["room"], Some(NOW_MS + 5)));
    store.set_ended("room", Over::TimedOut, NOW_MS + 60).await.unwrap();
    assert!(store.recover_after_restart(NOW_MS + 70).await.unwrap().is_empty());
}

#[tokio::test]
async fn events_come_back_in_order_by_epoch_and_offset() {
    let disk = Disk::new();
    let store = with_room(&disk).await;
    assert_eq!(store.room_position("room").await.unwrap(), None);
    let state = NewEvent { kind: "state".into(), ..said("e1", 3) };
    store.append_events(vec![said("e1", 1), said("e1", 2), state, said("e2", 1)]).await.unwrap();
    let position = Position { epoch: "e2".into(), last_offset: 1 };
    assert_eq!(store.room_position("room").await.unwrap(), Some(position));
    assert_eq!(offsets(&store.events_after("room", "e1", 1, 10).await.unwrap()), [2, 3]);
    assert_eq!(offsets(&store.events_after("room", "e1", 0, 2).await.unwrap()), [1, 2]);
    let recent = store.recent_comments("room", 2).await.unwrap();
    assert_eq!(recent[0], said_back("e1", 2));
    assert_eq!(recent[1], said_back("e2", 1));
}

fn said_back(epoch: &str, offset: i64) -> StoredEvent {
    let NewEvent { epoch, offset, kind, body, at_ms, .. } = said(epoch, offset);
    StoredEvent { epoch, offset, kind, body, at_ms }
}

#[tokio::test]
async fn an_answered_append_survives_the_process() {
    let disk = Disk::new();
    let store = with_room(&disk).await;
    for offset in 1..=20 {
        store.append_events(vec![said("e1", offset)]).await.unwrap();
    }
    store.add_hearts("room", vec![HeartSecond { at_s: 7, colours: [1; 6] }]).await.unwrap();
    drop(store); // not closed: as if the process had died
    let store = disk.open().await;
    assert_eq!(offsets(&store.events_after("room", "e1", 0, 100).await.unwrap()), (1..=20).collect::<Vec<_>>());
    assert_eq!(store.heart_total("room").await.unwrap(), 6);
}

#[tokio::test]
async fn writers_at_once_lose_nothing() {
    let disk = Disk::new();
    let store = with_room(&disk).await;
    let tasks: Vec<_> = (0..40)
        .map(|task| {
            let store = store.clone();
            tokio::spawn(async move {
                store.create_user(&format!("user{task}"), "phc").await.unwrap();
                for n in 1..=5 {
                    store.append_events(vec![said("e1", task * 5 + n)]).await.unwrap();
                    store.add_hearts("room", vec![HeartSecond { at_s: n, colours: [1, 0, 0, 0, 0, 2] }]).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(offsets(&store.events_after("room", "e1", 0, 1000).await.unwrap()), (1..=200).collect::<Vec<_>>());
    assert_eq!(store.heart_total("room").await.unwrap(), 40 * 5 * 3);
    let seconds = store.hearts("room", 2, 2).await.unwrap();
    assert_eq!(seconds[0], HeartSecond { at_s: 2, colours: [40, 0, 0, 0, 0, 80] });
    assert_eq!((seconds.len(), seconds[1].at_s), (2, 3));
}

#[tokio::test]
async fn one_bad_append_in_a_group_is_refused_alone_and_whole() {
    let disk = Disk::new();
    let store = with_room(&disk).await;
    store.append_events(vec![said("e1", 1)]).await.unwrap();
    let unknown = NewEvent { broadcast: "rook".into(), ..said("e1", 9) };
    let (taken, good, lost) = tokio::join!(
        store.append_events(vec![said("e1", 5), said("e1", 1)]),
        store.append_events(vec![said("e1", 2), said("e1", 3)]),
        store.append_events(vec![unknown]),
    );
    assert!(matches!(taken, Err(Error::Conflict { .. })), "{taken:?}");
    assert!(matches!(lost, Err(Error::NotFound { .. })), "{lost:?}");
    good.unwrap();
    assert_eq!(offsets(&store.events_after("room", "e1", 0, 10).await.unwrap()), [1, 2, 3]);
}

#[tokio::test]
async fn a_locked_database_refuses_in_time_writes_nothing_and_still_reads() {
    let disk = Disk::new();
    with_room(&disk).await.close().await;
    let config = Config { timeout: Duration::from_millis(200), ..disk.config() };
    let store = Store::open(&config).await.unwrap();
    let mut outsider = disk.outsider().await;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut outsider).await.unwrap();

    let started = std::time::Instant::now();
    let (first, hearts, user) = tokio::join!(
        store.append_events(vec![said("e1", 1)]),
        store.add_hearts("room", vec![HeartSecond { at_s: 1, colours: [1; 6] }]),
        store.create_user("bob", "phc"),
    );
    assert!(matches!(first, Err(Error::Unavailable { .. })), "{first:?}");
    assert!(hearts.unwrap_err().is_unavailable());
    assert!(user.unwrap_err().is_unavailable());
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    assert!(store.broadcast("room").await.unwrap().is_some());

    sqlx::query("ROLLBACK").execute(&mut outsider).await.unwrap();
    store.append_events(vec![said("e1", 1)]).await.unwrap();
    assert_eq!(offsets(&store.events_after("room", "e1", 0, 10).await.unwrap()), [1]);
}

#[tokio::test]
async fn a_full_queue_refuses_at_once() {
    let disk = Disk::new();
    with_room(&disk).await.close().await;
    let store = Store::open(&Config { queue_rows: 3, ..disk.config() }).await.unwrap();
    let refused = store.append_events((1..=4).map(|offset| said("e1", offset)).collect()).await.unwrap_err();
    assert!(matches!(refused, Error::Unavailable { .. }), "{refused}");
    store.append_events((1..=3).map(|offset| said("e1", offset)).collect()).await.unwrap();
}

#[tokio::test]
async fn an_event_larger_than_the_bound_is_invalid() {
    let disk = Disk::new();
    let store = with_room(&disk).await;
    let large = NewEvent { body: "x".repeat(crate::MAX_BODY_BYTES + 1), ..said("e1", 1) };
    assert!(matches!(store.append_events(vec![large]).await, Err(Error::Invalid { .. })));
}

#[tokio::test]
async fn a_closed_store_is_unavailable() {
    let disk = Disk::new();
    let store = with_room(&disk).await;
    store.close().await;
    assert!(store.append_events(vec![said("e1", 1)]).await.unwrap_err().is_unavailable());
    assert!(store.user("ada").await.unwrap_err().is_unavailable());
}

#[tokio::test]
async fn comments_come_by_what_their_senders_saw() {
    let disk = Disk::new();
    let store = with_room(&disk).await;
    let seen = |offset, captured_ms| NewEvent { captured_ms, ..said("e1", offset) };
    let state = NewEvent { kind: "state".into(), ..said("e1", 4) };
    let events = vec![seen(1, Some(NOW_MS - 10)), seen(2, None), seen(3, Some(NOW_MS - 20)), state];
    store.append_events(events).await.unwrap();
    store.append_events(vec![said("e2", 1)]).await.unwrap();
    let mut after = Moment { time_ms: i64::MIN, epoch: String::new(), offset: 0 };
    let mut found = Vec::new();
    loop {
        let page = store.comments_after("room", &after, 1).await.unwrap();
        let Some((moment, event)) = page.into_iter().next() else { break };
        found.push((moment.time_ms - NOW_MS, event.epoch, event.offset));
        after = moment;
    }
    let expected = [(-20, "e1", 3), (-10, "e1", 1), (1, "e2", 1), (2, "e1", 2)];
    assert_eq!(found, expected.map(|(time_ms, epoch, offset)| (time_ms, epoch.to_owned(), offset)));
}

#[tokio::test]
async fn a_replay_goes_from_wanted_to_gone() {
    let disk = Disk::new();
    let store = with_room(&disk).await;
    let owner = store.broadcast("room").await.unwrap().expect("made").owner;
    store.create_replay("room", ReplayVisibility::Unlisted).await.unwrap();
    assert!(matches!(store.create_replay("room", ReplayVisibility::Public).await, Err(Error::Conflict { .. })));
    assert_eq!(store.replays_of(&owner.id).await.unwrap(), []);

    let recorded = Recorded { duration_ms: 2000, bytes: 10, lost_ms: 1, captured_ms: Some(NOW_MS) };
    store.replay_progress("room", recorded).await.unwrap();
    assert_eq!(store.replays_of(&owner.id).await.unwrap()[0].state, ReplayState::Recording);
    store.replay_ready("room", Recorded { bytes: 20, ..recorded }, NOW_MS + 9).await.unwrap();
    store.replay_progress("room", recorded).await.unwrap();
    let ready = store.replay("room").await.unwrap().expect("there");
    assert_eq!(
        (ready.state, ready.bytes, ready.finished_ms, ready.over),
        (ReplayState::Ready, 20, Some(NOW_MS + 9), false)
    );

    assert_eq!(store.public_replays(i64::MAX, 10).await.unwrap(), []);
    store.set_replay_visibility("room", ReplayVisibility::Public).await.unwrap();
    assert_eq!(store.public_replays(NOW_MS + 1, 10).await.unwrap().len(), 1);
    assert_eq!(store.public_replays(NOW_MS, 10).await.unwrap(), []);

    store.delete_replay("room").await.unwrap();
    assert_eq!(store.kept_replays().await.unwrap(), []);
    assert_eq!(store.deleting_replays().await.unwrap().len(), 1);
    assert!(matches!(
        store.set_replay_visibility("room", ReplayVisibility::Private).await,
        Err(Error::NotFound { .. })
    ));
    store.forget_replay("room").await.unwrap();
    assert_eq!(store.replay("room").await.unwrap(), None);
}
