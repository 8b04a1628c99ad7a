use super::*;

#[tokio::test(start_paused = true)]
async fn a_newcomer_is_welcomed_with_how_things_are() {
    let world = World::new(Config::default());
    let mut early = world.guest(1).await;
    for text in ["one", "two"] {
        early.say(text);
    }
    early.send(json!({ "t": "hearts", "n": 3, "colour": 0 }));
    early.send(json!({ "t": "playing", "rung": "moq", "latency_ms": 120, "captured_ms": 1 }));
    early.frames(1000).await;

    let late = enter(&world.rooms, "room", signed_in("bob"), None).await.unwrap();
    let welcome = &late.welcome;
    assert_eq!(welcome["you"], json!({ "id": "id-of-bob", "name": "bob", "role": "user" }));
    assert_eq!((&welcome["offset"], &welcome["recovered"]), (&json!(2), &json!(false)));
    let snapshot = &welcome["snapshot"];
    assert_eq!(texts(snapshot["comments"].as_array().unwrap()), ["one", "two"]);
    assert_eq!((&snapshot["hearts"], &snapshot["viewers"]), (&json!(3), &json!(1)));
    assert_eq!((&snapshot["state"], &snapshot["interrupted"]), (&json!("RUNNING"), &json!(false)));
    assert!(welcome["now_ms"].as_i64().unwrap() > 1_600_000_000_000);
}

#[tokio::test(start_paused = true)]
async fn a_welcome_shows_the_last_fifty_comments() {
    let mut world = World::new(Config { content_per_s: 1000, ..Config::default() });
    for guest in 0..20 {
        let mut guest = world.guest(guest).await;
        for _ in 0..3 {
            let text = format!("{}", guest.said);
            guest.say(&text);
        }
        guest.frames(1000).await;
    }
    let comments = |viewer: &Viewer| viewer.welcome["snapshot"]["comments"].as_array().unwrap().clone();
    let before = comments(&world.guest(99).await);
    assert_eq!((before.len(), offsets(&before)[0], offsets(&before)[49]), (50, 11, 60));
    world.restart();
    assert_eq!(comments(&world.guest(99).await), before);
}

#[tokio::test(start_paused = true)]
async fn a_guest_keeps_one_name_everywhere_and_a_role_cannot_be_claimed() {
    let world = World::new(Config::default());
    let here = world.guest(1).await;
    let there = enter(&world.rooms, "other", guest(1), None).await.unwrap();
    assert_eq!(here.connection.you(), there.connection.you());
    assert_eq!(here.welcome["you"]["role"], "guest");
    let liar = Identity { is_broadcaster: true, ..guest(2) };
    let liar = enter(&world.rooms, "room", liar, None).await.unwrap();
    assert_eq!(liar.welcome["you"]["role"], "guest");
    assert_eq!(world.broadcaster().await.welcome["you"]["role"], "broadcaster");
}

#[tokio::test(start_paused = true)]
async fn who_cannot_come_in_is_told_why_by_the_close_code() {
    let world = World::new(Config { connections: 1, ..Config::default() });
    let unknown = enter(&world.rooms, "nowhere", guest(1), None).await.err().unwrap();
    assert_eq!((unknown.close(), unknown.to_string().as_str()), (Close::NO_BROADCAST, "no such broadcast: nowhere"));
    let short = Identity { device: "short".into(), ..guest(1) };
    assert_eq!(enter(&world.rooms, "room", short, None).await.err().unwrap().close(), Close::BAD_HELLO);
    let _first = world.guest(1).await;
    assert_eq!(enter(&world.rooms, "room", guest(2), None).await.err().unwrap().close(), Close::LATER);
}

#[tokio::test(start_paused = true)]
async fn two_rooms_do_not_hear_each_other() {
    let world = World::new(Config::default());
    let mut here = world.guest(1).await;
    let mut there = enter(&world.rooms, "other", guest(1), None).await.unwrap();
    here.say("here");
    there.say("there");
    there.send(json!({ "t": "hearts", "n": 1, "colour": 0 }));
    assert_eq!(here.hears().await, ["here"]);
    assert_eq!(there.hears().await, ["there"]);
    assert_eq!((world.rooms.room("room").unwrap().hearts(), world.rooms.room("other").unwrap().hearts()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_room_ends_when_the_broadcast_is_over_and_nobody_is_there() {
    let world = World::new(Config::default());
    let room = world.room();
    let viewer = world.guest(1).await;
    room.set_state(State::Ended, false);
    drop(room);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(world.rooms.room("room").is_some(), "somebody is there");
    drop(viewer);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(world.rooms.room("room").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_room_that_is_running_stays_open_without_anybody() {
    let world = World::new(Config::default());
    drop(world.guest(1).await);
    tokio::time::sleep(PATIENCE).await;
    assert!(world.rooms.room("room").is_some());
}

#[tokio::test(start_paused = true)]
async fn a_drain_tells_everyone_stores_everything_and_lets_nobody_in() {
    let world = World::new(Config::default());
    let mut viewer = world.guest(1).await;
    viewer.say("last words");
    viewer.send(json!({ "t": "hearts", "n": 2, "colour": 1 }));
    world.rooms.drain().await;
    assert_eq!(viewer.frame().await, json!({ "t": "drain", "retry_ms": 3000 }));
    assert_eq!(viewer.close().await, Close::RESTART);
    assert_eq!(viewer.connection.incoming("{}"), Err(Close::RESTART));
    assert_eq!((world.memory.stored().len(), world.memory.hearts("room")), (1, 2));
    assert_eq!(enter(&world.rooms, "room", guest(2), None).await.err(), Some(JoinError::Draining));
}
