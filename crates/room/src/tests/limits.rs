use super::*;

/// The error codes among frames, with the comments they are about.
fn errors(frames: &[Value]) -> Vec<(String, Option<String>)> {
    let errors = frames.iter().filter(|frame| frame["t"] == "error");
    let text = |value: &Value| value.as_str().map(str::to_string);
    errors
        .map(|error| {
            assert!(error["detail"].as_str().unwrap().len() > 10, "in plain words: {error}");
            (text(&error["code"]).unwrap(), text(&error["cid"]))
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_person_may_say_three_things_at_once_and_one_a_second() {
    let world = World::new(Config::default());
    let mut eager = world.guest(1).await;
    for n in 1..=5 {
        eager.say(&format!("{n}"));
    }
    let frames = eager.frames(999).await;
    assert_eq!(texts(&events_in(&frames, "comment")), ["1", "2", "3"]);
    let id = eager.id().to_string();
    let limited = |n: usize| ("rate_limited".to_string(), Some(format!("{id}-{n}")));
    assert_eq!(errors(&frames), [limited(4), limited(5)]);
    eager.frames(1).await;
    for n in 6..=7 {
        eager.say(&format!("{n}"));
    }
    assert_eq!(eager.hears().await, ["6"]);
}

#[tokio::test(start_paused = true)]
async fn another_connection_or_coming_back_does_not_reset_the_limit() {
    let world = World::new(Config::default());
    let mut first = world.guest(1).await;
    for _ in 0..3 {
        first.say("x");
    }
    drop(first);
    let mut second = world.guest(1).await;
    second.said = 10;
    second.say("y");
    assert_eq!(errors(&second.frames(500).await)[0].0, "rate_limited");
}

#[tokio::test(start_paused = true)]
async fn a_comment_is_trimmed_cleaned_and_bounded() {
    let world = World::new(Config::default());
    let mut guest = world.guest(1).await;
    guest.say("  two\r\nlines\u{7}\u{202E} \u{200D}ok\t ");
    guest.say(" \n\t\u{0}");
    guest.say(&"é".repeat(501));
    let frames = guest.frames(3000).await;
    assert_eq!(texts(&events_in(&frames, "comment")), ["two  lines \u{200D}ok"]);
    let codes: Vec<_> = errors(&frames).into_iter().map(|(code, _)| code).collect();
    assert_eq!(codes, ["empty", "too_long"]);
    guest.say(&format!(" {} ", "é".repeat(500)));
    assert_eq!(guest.hears().await[0].chars().count(), 500);
}

#[tokio::test(start_paused = true)]
async fn a_capture_time_that_cannot_be_is_null() {
    let world = World::new(Config::default());
    let mut guest = world.guest(1).await;
    let now_ms = guest.welcome["now_ms"].as_i64().unwrap();
    let tries = [(now_ms - 1500, true), (now_ms + 60_000, false), (now_ms - 3_700_000, false)];
    for (n, (captured_ms, _)) in tries.iter().enumerate() {
        guest.send(json!({ "t": "comment", "cid": format!("{n}"), "text": "x", "captured_ms": captured_ms }));
    }
    let comments = guest.events("comment", 1000).await;
    for (comment, (captured_ms, plausible)) in comments.iter().zip(tries) {
        assert_eq!(comment["captured_ms"], if plausible { json!(captured_ms) } else { Value::Null });
    }
    assert_eq!(comments.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_bad_frame_is_answered_in_words_and_the_connection_lives() {
    let world = World::new(Config::default());
    let mut guest = world.guest(1).await;
    let again = r#"{"t":"hello","device":"0123456789abcdef"}"#;
    for text in ["{", r#"{"t":"gift"}"#, r#"{"t":"hearts","n":0,"colour":0}"#, again, &" ".repeat(5000)] {
        guest.connection.incoming(text).unwrap();
    }
    let codes: Vec<_> = errors(&guest.frames(100).await).into_iter().map(|(code, _)| code).collect();
    assert_eq!(codes, ["bad_frame", "unknown", "bad_frame", "bad_frame", "bad_frame"]);
    guest.send(json!({ "t": "ping", "c": 12.5 }));
    let pong = guest.frame().await;
    assert_eq!((&pong["t"], &pong["c"]), (&json!("pong"), &json!(12.5)));
    assert!(pong["s"].as_i64().unwrap() > 1_600_000_000_000);
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_frames_ends_the_connection() {
    let world = World::new(Config::default());
    let guest = world.guest(1).await;
    let results: Vec<_> = (0..100).map(|_| guest.connection.incoming("{}")).collect();
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 60);
    assert_eq!(results[99], Err(Close::FLOOD));
}
