use super::fake::Mood;
use super::*;

fn refused(frames: &[Value]) -> Vec<&str> {
    let errors = frames.iter().filter(|frame| frame["code"] == "unavailable");
    errors.map(|error| error["cid"].as_str().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn while_the_store_stalls_comments_are_refused_and_hearts_go_on() {
    let world = World::new(Config::default());
    let mut speaker = world.guest(1).await;
    let mut reader = world.guest(2).await;
    world.memory.set(Mood::Stalled);
    speaker.say("lost");
    speaker.send(json!({ "t": "hearts", "n": 3, "colour": 2 }));
    let frames = speaker.frames(3000).await;
    assert_eq!(refused(&frames), [format!("{}-1", speaker.id())]);
    assert_eq!(events_in(&frames, "hearts")[0]["total"], 3);
    let heard = reader.frames(0).await;
    assert!(events_in(&heard, "comment").is_empty());
    assert_eq!(events_in(&heard, "hearts").len(), 1);
    assert_eq!(world.memory.hearts("room"), 0);

    world.memory.set(Mood::Fine);
    speaker.say("found");
    assert_eq!(reader.hears().await, ["found"]);
    speaker.frames(3000).await;
    assert_eq!(world.memory.hearts("room"), 3, "saved late, and once");
    assert_eq!(world.memory.stored(), [(1, "comment".to_string())], "refused is not stored, numbers have no hole");
}

#[tokio::test(start_paused = true)]
async fn what_was_stored_in_silence_is_found_and_delivered_once() {
    let world = World::new(Config::default());
    let mut speaker = world.guest(1).await;
    world.memory.set(Mood::WritesInSilence);
    speaker.say("silent");
    speaker.say("next");
    let frames = speaker.frames(3000).await;
    assert_eq!(texts(&events_in(&frames, "comment")), ["silent", "next"]);
    assert!(refused(&frames).is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_was_lost_in_silence_is_refused_and_its_number_is_used_again() {
    let world = World::new(Config::default());
    let mut speaker = world.guest(1).await;
    world.memory.set(Mood::LosesInSilence);
    speaker.say("lost");
    let frames = speaker.frames(3000).await;
    assert_eq!(refused(&frames).len(), 1);
    // The same comment, sent again by the client, is not taken for a double.
    speaker.said = 0;
    speaker.say("again");
    assert_eq!(offsets(&speaker.events("comment", 1000).await), [1]);
}

#[tokio::test(start_paused = true)]
async fn a_crowd_shares_the_calls_on_the_store() {
    let world = World::new(Config { content_per_s: 1000, ..Config::default() });
    let mut crowd = Vec::new();
    for guest in 0..100 {
        crowd.push(world.guest(guest).await);
    }
    for guest in &mut crowd {
        guest.say("hello");
    }
    assert_eq!(crowd[0].hears().await.len(), 100);
    assert!(world.memory.appends() <= 2, "{}", world.memory.appends());
}

#[tokio::test(start_paused = true)]
async fn a_room_that_is_known_here_opens_without_the_store() {
    let world = World::new(Config::default());
    world.memory.set(Mood::Stalled);
    assert!(matches!(enter(&world.rooms, "room", guest(1), None).await, Err(JoinError::Unavailable { .. })));
    let _room = world.room();
    let viewer = world.guest(1).await;
    assert_eq!(viewer.welcome["snapshot"]["state"], "RUNNING");
}
