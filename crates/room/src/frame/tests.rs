use proptest::prelude::*;

use super::*;

fn invalid(text: &str) -> (&'static str, Option<String>) {
    match ClientFrame::parse(text) {
        Err(FrameError::Invalid { what, cid }) => (what, cid),
        other => panic!("expected an invalid frame, got {other:?}"),
    }
}

#[test]
fn the_frames_of_the_protocol_are_read() {
    let hello = ClientFrame::parse(r#"{"t":"hello","device":"0123456789abcdef","epoch":"e","offset":7,"new":{}}"#);
    let device = "0123456789abcdef".to_string();
    assert_eq!(hello, Ok(ClientFrame::Hello(Hello { device, epoch: Some("e".into()), offset: Some(7) })));
    let comment = ClientFrame::parse(r#"{"t":"comment","cid":"c-1","text":"hi \u00e9","captured_ms":1.6}"#);
    let expected = Comment { cid: "c-1".into(), text: "hi é".into(), captured_ms: Some(2) };
    assert_eq!(comment, Ok(ClientFrame::Comment(expected)));
    let hearts = ClientFrame::parse(r#"{"captured_ms":null,"n":10,"colour":5,"t":"hearts"}"#);
    assert_eq!(hearts, Ok(ClientFrame::Hearts(Hearts { n: 10, colour: 5, captured_ms: None })));
    let playing = ClientFrame::parse(r#"{"t":"playing","rung":"llhls","latency_ms":812.25}"#);
    let expected = Playing { rung: Rung::LlHls, latency_ms: Some(812), captured_ms: None };
    assert_eq!(playing, Ok(ClientFrame::Playing(expected)));
    let Ok(ClientFrame::Ping(ping)) = ClientFrame::parse(r#"{"t":"ping","c":1712.5}"#) else { panic!("not a ping") };
    assert_eq!(ping.c.to_string(), "1712.5");
}

#[test]
fn what_is_outside_the_bounds_is_refused_with_words() {
    assert_eq!(ClientFrame::parse(&" ".repeat(MAX_FRAME_BYTES + 1)), Err(FrameError::TooLarge));
    for text in ["", "hi", "[]", "null", "7", r#"{"t":1}"#, r#"{"x":"hello"}"#, &"[".repeat(4000)] {
        assert_eq!(ClientFrame::parse(text), Err(FrameError::NotAFrame), "{text}");
    }
    assert_eq!(ClientFrame::parse(r#"{"t":"gift"}"#), Err(FrameError::Unknown));
    assert_eq!(invalid(r#"{"t":"hearts","n":11,"colour":0}"#).0, "n is not 1 to 10");
    assert_eq!(invalid(r#"{"t":"hearts","n":1,"colour":6}"#).0, "colour is not 0 to 5");
    assert!(invalid(r#"{"t":"hello","device":"short"}"#).0.starts_with("device"));
    assert!(invalid(r#"{"t":"hello","device":"0123456789abcdef","offset":-1}"#).0.starts_with("offset"));
    assert!(invalid(r#"{"t":"playing","rung":"pigeon"}"#).0.starts_with("a field"));
}

#[test]
fn an_unusable_comment_is_named_by_its_cid() {
    assert_eq!(invalid(r#"{"t":"comment","cid":"c-1","text":7}"#).1.as_deref(), Some("c-1"));
    assert_eq!(invalid(r#"{"t":"comment","cid":"<b>","text":"x"}"#).1, None);
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,200}") {
        let _ = ClientFrame::parse(&text);
    }

    #[test]
    fn what_is_read_is_within_its_bounds(n in any::<i64>(), colour in any::<i64>(), captured in any::<f64>()) {
        let text = serde_json::json!({ "t": "hearts", "n": n, "colour": colour, "captured_ms": captured }).to_string();
        if let Ok(ClientFrame::Hearts(hearts)) = ClientFrame::parse(&text) {
            prop_assert!((1..=10).contains(&hearts.n) && hearts.colour < 6);
        }
    }
}
