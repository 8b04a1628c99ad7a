use super::*;

/// A crowd of guests numbered from 100.
async fn crowd(world: &World, n: usize) -> Vec<Viewer> {
    let mut crowd = Vec::new();
    for guest in 0..n {
        crowd.push(world.guest(100 + guest).await);
    }
    crowd
}

#[tokio::test(start_paused = true)]
async fn a_viewer_gets_at_most_fifteen_comments_in_any_second_and_all_are_stored() {
    let world = World::new(Config::default());
    let mut reader = world.guest(1).await;
    let mut crowd = crowd(&world, 80).await;
    let mut heard = Vec::new();
    for _ in 0..50 {
        for guest in crowd.iter_mut().take(8) {
            guest.say("word");
        }
        crowd.rotate_left(8);
        let got = reader.events("comment", 100).await.len();
        heard.push(got);
        for guest in crowd.iter_mut() {
            guest.frames(0).await;
        }
    }
    let total: usize = heard.iter().sum();
    assert!(heard.windows(10).all(|second| second.iter().sum::<usize>() <= 15), "{heard:?}");
    assert!(total >= 60, "the rate is used: {heard:?}");
    assert_eq!(world.memory.stored().len(), 400);
}

#[tokio::test(start_paused = true)]
async fn below_the_rate_nothing_is_left_out() {
    let world = World::new(Config::default());
    let mut reader = world.guest(1).await;
    let mut crowd = crowd(&world, 15).await;
    for guest in &mut crowd {
        guest.say("word");
    }
    assert_eq!(reader.hears().await.len(), 15);
}

#[tokio::test(start_paused = true)]
async fn ones_own_and_the_broadcasters_are_never_left_out() {
    let world = World::new(Config { content_per_s: 2, ..Config::default() });
    let mut reader = world.guest(1).await;
    let mut star = world.broadcaster().await;
    let mut crowd = crowd(&world, 10).await;
    for guest in &mut crowd {
        guest.say("crowd");
    }
    for text in ["star 1", "star 2", "star 3"] {
        star.say(text);
    }
    let heard = reader.events("comment", 1000).await;
    let stars: Vec<_> = texts(&heard).into_iter().filter(|text| text.starts_with("star")).collect();
    assert_eq!(stars, ["star 1", "star 2", "star 3"]);
    assert!(heard.len() < 13, "the crowd is sampled: {heard:?}");
    for guest in &mut crowd {
        let heard = guest.events("comment", 0).await;
        let own = heard.iter().filter(|comment| comment["who"]["id"] == guest.id()).count();
        assert_eq!(own, 1);
        assert!(offsets(&heard).is_sorted(), "one's own comes in its place: {heard:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn those_who_get_the_same_share_the_bytes() {
    let world = World::new(Config::default());
    let mut viewers = crowd(&world, 3).await;
    viewers[0].say("hello");
    let mut addresses = Vec::new();
    for viewer in &mut viewers {
        addresses.push(viewer.connection.next_frame().await.unwrap().into_bytes().as_ptr());
    }
    assert!(addresses.iter().all(|address| *address == addresses[0]));
}

#[tokio::test(start_paused = true)]
async fn a_burst_comes_in_one_frame_per_flush() {
    let world = World::new(Config::default());
    let mut reader = world.guest(1).await;
    let mut crowd = crowd(&world, 10).await;
    crowd[0].say("first");
    assert_eq!(reader.frames(1).await.len(), 1, "a first word goes at once");
    for guest in &mut crowd[1..] {
        guest.say("then");
    }
    assert!(reader.frames(150).await.is_empty());
    let frames = reader.frames(100).await;
    assert_eq!((frames.len(), events_in(&frames, "comment").len()), (1, 9));
}
