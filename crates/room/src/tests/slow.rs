use super::*;
use crate::encode::{self, Frame};
use crate::outbox::{Outbox, Pushed, Worth};

#[tokio::test(start_paused = true)]
async fn a_slow_viewer_is_closed_with_4000_and_the_others_get_everything() {
    let world = World::new(Config { content_per_s: 1000, ..Config::default() });
    let mut sleeper = world.guest(1).await;
    let mut reader = world.guest(2).await;
    let mut crowd = Vec::new();
    for guest in 0..40 {
        crowd.push(world.guest(100 + guest).await);
    }
    let (mut said, mut heard, mut bytes) = (0, 0, 0);
    let long = "é".repeat(500);
    while bytes <= 2 * world.config.queue_bytes {
        for guest in &mut crowd {
            guest.say(&long);
            said += 1;
        }
        for frame in reader.frames(1500).await {
            bytes += frame.to_string().len();
            heard += events_in(&[frame], "comment").len();
        }
        for guest in &mut crowd {
            guest.frames(0).await;
        }
    }
    assert_eq!(heard, said);
    assert_eq!(sleeper.connection.next_frame().await, Err(Close::SLOW), "what waited is given up at once");
    assert_eq!(sleeper.connection.incoming("{}"), Err(Close::SLOW));
}

#[tokio::test(start_paused = true)]
async fn who_was_too_slow_comes_back_to_where_they_were() {
    let world = World::new(Config { queue_bytes: 400, ..Config::default() });
    let mut sleeper = world.guest(1).await;
    let mut speaker = world.guest(2).await;
    for text in ["one", "two", "three"] {
        speaker.say(text);
        speaker.frames(1000).await;
    }
    assert_eq!(sleeper.close().await.code, 4000);
    let mut back = world.back(1, Some((&sleeper.epoch(), 0))).await;
    assert_eq!(back.hears().await, ["one", "two", "three"]);
}

fn frame(bytes: usize) -> Frame {
    let frame = encode::batch(std::iter::once("x".repeat(bytes - 20).as_str())).unwrap();
    assert_eq!(frame.size_bytes(), bytes);
    frame
}

#[tokio::test]
async fn a_full_queue_drops_gauges_before_it_closes() {
    let outbox = Outbox::new(vec![frame(500)], 100);
    assert_eq!(outbox.push(&frame(40), Worth::Gauge), Pushed::Queued);
    assert_eq!(outbox.push(&frame(50), Worth::Keep), Pushed::Queued);
    assert_eq!(outbox.push(&frame(30), Worth::Gauge), Pushed::Dropped);
    assert_eq!(outbox.push(&frame(50), Worth::Keep), Pushed::Queued);
    for bytes in [500, 50, 50] {
        assert_eq!(outbox.next().await.unwrap().size_bytes(), bytes);
    }
    for _ in 0..2 {
        assert_eq!(outbox.push(&frame(50), Worth::Keep), Pushed::Queued);
    }
    assert_eq!(outbox.push(&frame(21), Worth::Keep), Pushed::Overflowed);
    assert_eq!(outbox.push(&frame(21), Worth::Keep), Pushed::Closed);
    assert_eq!(outbox.next().await, Err(Close::SLOW));
}
