use super::fake::Mood;
use super::*;

#[tokio::test(start_paused = true)]
async fn a_change_of_state_is_told_numbered_and_recoverable() {
    let world = World::new(Config::default());
    let room = world.room();
    let mut viewer = world.guest(1).await;
    room.set_state(State::Running, true);
    room.set_state(State::Running, true);
    let told = viewer.events("state", 1000).await;
    assert_eq!(told, [json!({ "k": "state", "o": 1, "state": "RUNNING", "interrupted": true })]);
    let epoch = viewer.epoch();
    drop(viewer);
    room.set_state(State::TimedOut, false);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut back = world.back(1, Some((&epoch, 1))).await;
    assert_eq!(back.welcome["snapshot"]["state"], "TIMED_OUT");
    assert_eq!(offsets(&back.events("state", 100).await), [2]);
}

#[tokio::test(start_paused = true)]
async fn when_it_is_over_nothing_more_is_said() {
    let world = World::new(Config::default());
    let mut viewer = world.guest(1).await;
    world.room().set_state(State::Ended, false);
    viewer.events("state", 1000).await;
    viewer.say("too late");
    viewer.send(json!({ "t": "hearts", "n": 1, "colour": 0 }));
    let frames = viewer.frames(1000).await;
    assert_eq!(frames.len(), 2);
    assert!(frames.iter().all(|frame| frame["code"] == "ended"));
    assert_eq!(frames[0]["cid"], format!("{}-1", viewer.id()));
}

#[tokio::test(start_paused = true)]
async fn a_stalled_store_does_not_keep_a_change_of_state_from_the_viewers() {
    let world = World::new(Config::default());
    let room = world.room();
    let mut viewer = world.guest(1).await;
    world.memory.set(Mood::Stalled);
    room.set_state(State::Running, true);
    let told = viewer.events("state", 600).await;
    assert_eq!(told, [json!({ "k": "state", "state": "RUNNING", "interrupted": true })]);
    assert!(viewer.events("state", 10_000).await.is_empty());
    world.memory.set(Mood::Fine);
    assert_eq!(offsets(&viewer.events("state", 5000).await), [1], "numbered when the store is back");
}

#[tokio::test(start_paused = true)]
async fn the_last_change_of_a_room_is_stored_before_it_ends() {
    let world = World::new(Config::default());
    let room = world.room();
    room.set_state(State::Ended, false);
    drop(room);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(world.rooms.room("room").is_none());
    assert_eq!(world.memory.stored(), [(1, "state".to_string())]);
}
