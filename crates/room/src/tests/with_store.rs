//! The same on a real database, in real time.

use store::{NewBroadcast, Over, Store, Visibility};
use tempfile::TempDir;

use super::*;

async fn database(directory: &TempDir) -> Store {
    Store::open(&store::Config::file(directory.path().join("oriel.db"))).await.unwrap()
}

async fn announce(store: &Store) {
    let owner = store.create_user("ada", "phc").await.unwrap().id;
    let broadcast = NewBroadcast {
        id: "room".into(),
        owner,
        title: "The window".into(),
        location: None,
        visibility: Visibility::Public,
        key_hash: [1; 32],
        created_ms: 1,
    };
    store.create_broadcast(broadcast).await.unwrap();
    store.set_running("room", 2).await.unwrap();
}

/// Wait until this many comments have come.
async fn hear(viewer: &mut Viewer, n: usize) -> Vec<Value> {
    let mut heard = Vec::new();
    while heard.len() < n {
        heard.extend(events_in(&[viewer.frame().await], "comment"));
    }
    heard
}

#[tokio::test]
async fn a_conversation_survives_a_restart_on_a_real_database() {
    let directory = TempDir::new().unwrap();
    let store = database(&directory).await;
    announce(&store).await;
    let config = Config { window_events: 3, content_per_s: 1000, ..Config::default() };
    let rooms = Rooms::new(config.clone(), store.clone(), Bus::local());
    let mut away = enter(&rooms, "room", guest(1), None).await.unwrap();
    let mut crowd = Vec::new();
    for n in 2..8 {
        crowd.push(enter(&rooms, "room", guest(n), None).await.unwrap());
    }
    for guest in &mut crowd {
        for text in ["a", "b"] {
            guest.say(text);
        }
    }
    let heard = hear(&mut away, 12).await;
    assert_eq!(offsets(&heard), (1..=12).collect::<Vec<_>>());
    away.send(json!({ "t": "hearts", "n": 4, "colour": 3 }));

    // Nine of these are out of the window.
    let back = enter(&rooms, "room", guest(1), Some((&away.epoch(), 2))).await;
    assert_eq!(hear(&mut back.unwrap(), 10).await, heard[2..]);

    rooms.drain().await;
    store.close().await;
    let store = database(&directory).await;
    assert_eq!(store.heart_total("room").await.unwrap(), 4);
    let rooms = Rooms::new(config, store, Bus::local());
    let mut back = enter(&rooms, "room", guest(1), Some((&away.epoch(), 5))).await.unwrap();
    assert_eq!(back.welcome["snapshot"]["hearts"], 4);
    assert_eq!(hear(&mut back, 7).await, heard[5..]);
    back.say("and on");
    assert_eq!(offsets(&hear(&mut back, 1).await), [13]);
}

#[tokio::test]
async fn a_room_opens_as_its_broadcast_stands() {
    let directory = TempDir::new().unwrap();
    let store = database(&directory).await;
    announce(&store).await;
    let rooms = Rooms::new(Config::default(), store.clone(), Bus::local());
    assert_eq!(enter(&rooms, "rook", guest(1), None).await.err().unwrap().close(), Close::NO_BROADCAST);
    store.set_ended("room", Over::Ended, 3).await.unwrap();
    let viewer = enter(&rooms, "room", guest(1), None).await.unwrap();
    assert_eq!(viewer.welcome["snapshot"]["state"], "ENDED");
}
