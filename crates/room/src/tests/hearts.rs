use super::*;

#[tokio::test(start_paused = true)]
async fn hearts_of_a_crowd_are_folded_into_one_gauge_each_half_second() {
    let world = World::new(Config::default());
    let mut reader = world.guest(1).await;
    let mut crowd = Vec::new();
    for guest in 0..20 {
        crowd.push(world.guest(100 + guest).await);
    }
    let mut gauges = Vec::new();
    for _ in 0..4 {
        for (n, guest) in crowd.iter().enumerate() {
            guest.send(json!({ "t": "hearts", "n": 5, "colour": n % 2, "captured_ms": null }));
        }
        gauges.extend(reader.events("hearts", 500).await);
    }
    gauges.extend(reader.events("hearts", 1000).await);
    assert!(gauges.len() <= 6, "at most one in 500 ms: {gauges:?}");
    let sum = |key: &str| gauges.iter().map(|gauge| gauge[key].as_i64().unwrap()).sum::<i64>();
    assert_eq!(sum("delta"), 400);
    assert_eq!(gauges.last().unwrap()["total"], 400);
    assert_eq!(gauges[0]["colours"].as_array().unwrap().len(), 6);
    let colour = |n: usize| gauges.iter().map(|gauge| gauge["colours"][n].as_i64().unwrap()).sum::<i64>();
    assert_eq!((colour(0), colour(1), colour(2)), (200, 200, 0));
    assert!(gauges.iter().all(|gauge| gauge.get("o").is_none()), "gauges are not numbered");
}

#[tokio::test(start_paused = true)]
async fn without_hearts_there_is_no_gauge() {
    let world = World::new(Config::default());
    let mut reader = world.guest(1).await;
    reader.send(json!({ "t": "hearts", "n": 1, "colour": 0 }));
    assert_eq!(reader.events("hearts", 10_000).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn hearts_are_saved_and_the_total_goes_on_after_a_restart() {
    let mut world = World::new(Config::default());
    let mut reader = world.guest(1).await;
    reader.send(json!({ "t": "hearts", "n": 10, "colour": 0 }));
    reader.frames(3000).await;
    assert_eq!(world.memory.hearts("room"), 10);
    drop(reader);
    world.restart();
    assert_eq!(world.guest(1).await.welcome["snapshot"]["hearts"], 10);
}

#[tokio::test(start_paused = true)]
async fn hearts_above_twenty_a_second_are_not_counted() {
    let world = World::new(Config::default());
    let mut eager = world.guest(1).await;
    for _ in 0..5 {
        eager.send(json!({ "t": "hearts", "n": 10, "colour": 0 }));
    }
    let frames = eager.frames(1000).await;
    assert_eq!(events_in(&frames, "hearts").last().unwrap()["total"], 20);
    assert!(frames.iter().all(|frame| frame["t"] != "error"));
    for _ in 0..5 {
        eager.send(json!({ "t": "hearts", "n": 10, "colour": 0 }));
    }
    assert_eq!(eager.events("hearts", 1000).await.last().unwrap()["total"], 40);
}
