use super::*;

fn playing(rung: &str) -> Value {
    json!({ "t": "playing", "rung": rung, "latency_ms": 400, "captured_ms": null })
}

/// The counts told to a viewer within a time.
async fn told(viewer: &mut Viewer, ms: u64) -> Vec<i64> {
    viewer.events("viewers", ms).await.iter().map(|gauge| gauge["n"].as_i64().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn who_only_listens_is_no_viewer_and_a_report_expires_after_fifteen_seconds() {
    let world = World::new(Config::default());
    let mut reader = world.guest(1).await;
    let player = world.guest(2).await;
    assert!(told(&mut reader, 5000).await.is_empty());
    player.send(playing("moq"));
    assert_eq!(told(&mut reader, 14_900).await, [1]);
    assert_eq!(world.room().viewers(), 1);
    assert_eq!(told(&mut reader, 3000).await, [0]);
    assert_eq!(world.room().viewers(), 0);
}

#[tokio::test(start_paused = true)]
async fn reports_keep_a_viewer_and_a_change_is_told_at_most_every_two_seconds() {
    let world = World::new(Config::default());
    let mut reader = world.guest(1).await;
    let mut players = Vec::new();
    let mut counts = Vec::new();
    for n in 0..8 {
        players.push(world.guest(10 + n).await);
        for player in &players {
            player.send(playing("webrtc"));
        }
        counts.extend(told(&mut reader, 500).await);
    }
    counts.extend(told(&mut reader, 2000).await);
    assert_eq!((counts.first(), counts.last()), (Some(&1), Some(&8)));
    assert!(counts.len() <= 4, "{counts:?}");
    for _ in 0..6 {
        players.iter().for_each(|player| player.send(playing("webrtc")));
        assert!(told(&mut reader, 5000).await.is_empty(), "nothing changes, nothing is told");
    }
}

#[tokio::test(start_paused = true)]
async fn leaving_counts_at_once() {
    let world = World::new(Config::default());
    let mut reader = world.guest(1).await;
    let player = world.guest(2).await;
    player.send(playing("moq"));
    assert_eq!(told(&mut reader, 5000).await, [1]);
    drop(player);
    assert_eq!(told(&mut reader, 100).await, [0]);
}

#[tokio::test(start_paused = true)]
async fn players_over_http_are_counted_once_whether_in_the_room_or_not() {
    let world = World::new(Config::default());
    let room = world.room();
    let (flv, hls, moq) = (world.guest(1).await, world.guest(2).await, world.guest(3).await);
    for (viewer, rung) in [(&flv, "flv"), (&hls, "llhls"), (&moq, "moq")] {
        viewer.send(playing(rung));
    }
    assert_eq!(room.viewers(), 3);
    room.report_pull_viewers(10);
    assert_eq!(room.viewers(), 11, "ten over HTTP, two of them here, and one over MoQ");
    tokio::time::sleep(Duration::from_secs(16)).await;
    assert_eq!(room.viewers(), 0, "a report that is not repeated expires");
}
