use super::fake::Mood;
use super::*;
use crate::bus::Message;
use crate::clock::Now;
use crate::event::Event;

/// Three guests who say three things each: offsets 1 to 9.
async fn nine_comments(world: &World) {
    for n in 0..3 {
        let mut guest = world.guest(n).await;
        for word in ["a", "b", "c"] {
            guest.say(&format!("{n}{word}"));
        }
        assert_eq!(guest.hears().await.len(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn coming_back_loses_and_doubles_nothing() {
    let world = World::new(Config::default());
    let mut away = world.guest(9).await;
    let mut speaker = world.guest(1).await;
    speaker.say("heard");
    let heard = away.events("comment", 500).await;
    let epoch = away.epoch();
    drop(away);
    for text in ["missed", "missed too"] {
        speaker.say(text);
    }
    speaker.frames(3000).await;

    let mut back = world.back(9, Some((&epoch, offsets(&heard)[0]))).await;
    assert_eq!(back.welcome["recovered"], true);
    assert!(back.welcome["snapshot"].get("comments").is_none());
    assert_eq!(back.welcome["snapshot"]["state"], "RUNNING");
    speaker.say("live again");
    assert_eq!(back.hears().await, ["missed", "missed too", "live again"]);
}

#[tokio::test(start_paused = true)]
async fn coming_back_between_storing_and_sending_loses_and_doubles_nothing() {
    let world = World::new(Config::default());
    let mut speaker = world.guest(1).await;
    speaker.say("first");
    speaker.frame().await;
    // Within 200 ms of the last batch: stored and delivered, waiting for the next batch.
    speaker.say("second");
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(world.memory.stored().len(), 2);
    let mut back = world.back(2, Some((&speaker.epoch(), 0))).await;
    assert_eq!((&back.welcome["recovered"], &back.welcome["offset"]), (&json!(true), &json!(1)));
    assert_eq!(back.hears().await, ["first", "second"]);
    let mut fresh = world.guest(3).await;
    assert_eq!(texts(fresh.welcome["snapshot"]["comments"].as_array().unwrap()), ["first", "second"]);
    assert!(fresh.hears().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_store_answers_what_the_window_has_lost() {
    let world = World::new(Config { window_events: 2, ..Config::default() });
    nine_comments(&world).await;
    let epoch = world.guest(8).await.epoch();
    let mut back = world.back(9, Some((&epoch, 1))).await;
    assert_eq!(back.welcome["recovered"], true);
    assert_eq!(offsets(&back.events("comment", 1000).await), (2..=9).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_restart_continues_the_numbering() {
    let mut world = World::new(Config::default());
    nine_comments(&world).await;
    let epoch = world.guest(8).await.epoch();
    world.restart();
    let mut back = world.back(9, Some((&epoch, 4))).await;
    assert_eq!(back.welcome["recovered"], true);
    back.say("after the restart");
    assert_eq!(offsets(&back.events("comment", 1000).await), (5..=10).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_crash_between_storing_and_publishing_loses_nothing() {
    let mut world = World::new(Config::default());
    let mut speaker = world.guest(1).await;
    speaker.say("published");
    speaker.hears().await;
    let stored = world.memory.last();
    let body = stored.body.replace("published", "only stored");
    world.memory.slip_in(store::NewEvent { offset: 2, body, ..stored });
    world.restart();
    let mut back = world.back(1, Some((&speaker.epoch(), 1))).await;
    assert_eq!(back.hears().await, ["only stored"]);
}

#[tokio::test(start_paused = true)]
async fn what_the_bus_has_lost_is_read_from_the_store_and_what_it_doubles_is_dropped() {
    let world = World::new(Config::default());
    let mut speaker = world.guest(1).await;
    speaker.say("one");
    speaker.hears().await;
    let stored = world.memory.last();
    let mut of_another_node = Vec::new();
    for (offset, text) in [(2, "two"), (3, "three")] {
        let body = stored.body.replace("one", text);
        let event = store::NewEvent { offset, body, ..stored.clone() };
        world.memory.slip_in(event.clone());
        let store::NewEvent { epoch, kind, body, at_ms, .. } = event;
        let row = store::StoredEvent { epoch, offset, kind, body, at_ms };
        of_another_node.push(Arc::new(Event::from_stored(row)));
    }
    // The second is lost on the way, the third comes twice.
    for _ in 0..2 {
        world.bus.publish("room", Message::Events(vec![of_another_node[1].clone()]));
    }
    assert_eq!(speaker.hears().await, ["two", "three"]);
    speaker.say("four");
    assert_eq!(offsets(&speaker.events("comment", 1000).await), [4]);
}

#[tokio::test(start_paused = true)]
async fn a_number_that_somebody_else_took_is_read_and_delivered() {
    let world = World::new(Config::default());
    let mut speaker = world.guest(1).await;
    speaker.say("mine");
    speaker.hears().await;
    let stored = world.memory.last();
    let body = stored.body.replace("mine", "theirs").replace("\"id\":\"", "\"id\":\"f");
    world.memory.slip_in(store::NewEvent { offset: 2, body, ..stored });
    speaker.say("refused");
    let frames = speaker.frames(1000).await;
    assert_eq!(texts(&events_in(&frames, "comment")), ["theirs"]);
    assert!(frames.iter().any(|frame| frame["code"] == "unavailable"));
    speaker.say("goes on");
    assert_eq!(offsets(&speaker.events("comment", 1000).await), [3]);
}

#[tokio::test(start_paused = true)]
async fn an_epoch_that_is_not_this_rooms_is_honestly_not_recovered() {
    let world = World::new(Config::default());
    nine_comments(&world).await;
    let mut back = world.back(9, Some(("another", 3))).await;
    assert_eq!(back.welcome["recovered"], false);
    assert_eq!(back.welcome["snapshot"]["comments"].as_array().unwrap().len(), 9);
    assert!(back.hears().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_offset_from_the_future_is_honestly_not_recovered() {
    let world = World::new(Config::default());
    nine_comments(&world).await;
    let epoch = world.guest(8).await.epoch();
    assert_eq!(world.back(9, Some((&epoch, 10))).await.welcome["recovered"], false);
    assert_eq!(world.back(9, Some((&epoch, 9))).await.welcome["recovered"], true);
}

#[tokio::test(start_paused = true)]
async fn a_gap_that_the_store_cannot_fill_whole_is_never_filled_in_part() {
    let world = World::new(Config { window_events: 2, ..Config::default() });
    nine_comments(&world).await;
    let epoch = world.guest(8).await.epoch();
    world.memory.forget(3);
    assert_eq!(world.back(9, Some((&epoch, 1))).await.welcome["recovered"], false);
    assert_eq!(world.back(9, Some((&epoch, 3))).await.welcome["recovered"], true);
    world.memory.set(Mood::Stalled);
    assert_eq!(world.back(9, Some((&epoch, 3))).await.welcome["recovered"], false);
}

#[tokio::test(start_paused = true)]
async fn a_gap_beyond_the_bounds_gets_a_snapshot() {
    for config in
        [Config { recovery_events: 5, ..Config::default() }, Config { recovery_bytes: 700, ..Config::default() }]
    {
        let world = World::new(config);
        nine_comments(&world).await;
        let epoch = world.guest(8).await.epoch();
        assert_eq!(world.back(9, Some((&epoch, 1))).await.welcome["recovered"], false);
        assert_eq!(world.back(9, Some((&epoch, 7))).await.welcome["recovered"], true);
    }
}

#[tokio::test(start_paused = true)]
async fn a_fresh_epoch_after_a_start_without_the_store_is_honestly_not_recovered() {
    let mut world = World::new(Config::default());
    nine_comments(&world).await;
    let before = world.guest(8).await.epoch();
    // Epochs sort by their millisecond, and the wall clock does not go by paused time.
    let began_ms = Now::read().unix_ms;
    while Now::read().unix_ms == began_ms {
        std::hint::spin_loop();
    }
    world.restart();
    world.memory.set(Mood::Stalled);
    let _room = world.room();
    let back = world.back(9, Some((&before, 4))).await;
    assert_eq!(back.welcome["recovered"], false);
    assert_ne!(back.epoch(), before);
    assert!(back.epoch() > before, "epochs sort by time");
    // The store comes back: what was said before is in the next welcome, numbers go on in the new epoch.
    world.memory.set(Mood::Fine);
    tokio::time::sleep(Duration::from_secs(5)).await;
    let mut late = world.guest(7).await;
    assert_eq!(late.welcome["snapshot"]["comments"].as_array().unwrap().len(), 9);
    late.say("new");
    assert_eq!(offsets(&late.events("comment", 1000).await), [1]);
}

#[tokio::test(start_paused = true)]
async fn a_comment_sent_again_is_heard_once() {
    let mut world = World::new(Config::default());
    let comment = json!({ "t": "comment", "cid": "the-same", "text": "once" });
    let mut speaker = world.guest(1).await;
    speaker.send(comment.clone());
    speaker.send(comment.clone());
    assert_eq!(speaker.hears().await, ["once"]);
    drop(speaker);
    world.restart();
    let mut speaker = world.guest(1).await;
    speaker.send(comment);
    assert!(speaker.hears().await.is_empty());
}
