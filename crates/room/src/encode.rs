//! What the server says. Events come encoded ([`Event::json`]); a frame is put together around them once, and
//! shared by everyone who gets it.

use std::fmt::Write as _;

use bytes::Bytes;
use serde_json::json;

use crate::event::{Event, Person, Standing};
use crate::frame::Ping;

/// A text frame for a WebSocket: cheap to clone, the bytes are shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame(Bytes);

impl Frame {
    fn new(text: String) -> Self {
        Self(Bytes::from(text))
    }

    /// The text; checks again that it is UTF-8, so prefer [`Frame::into_bytes`] for sending.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("a frame is built from text")
    }

    /// The text as shared bytes, always UTF-8.
    pub fn into_bytes(self) -> Bytes {
        self.0
    }

    /// Its length in bytes.
    pub fn size_bytes(&self) -> usize {
        self.0.len()
    }
}

/// Codes of `error` frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    RateLimited,
    TooLong,
    Empty,
    Ended,
    BadFrame,
    Unknown,
    Unavailable,
}

impl Refusal {
    pub fn code(self) -> &'static str {
        match self {
            Self::RateLimited => "rate_limited",
            Self::TooLong => "too_long",
            Self::Empty => "empty",
            Self::Ended => "ended",
            Self::BadFrame => "bad_frame",
            Self::Unknown => "unknown",
            Self::Unavailable => "unavailable",
        }
    }
}

/// What a newcomer is told.
pub(crate) struct Welcome<'a> {
    pub epoch: &'a str,
    pub offset: i64,
    /// The comments to show; none when the missed events follow instead.
    pub comments: Option<&'a mut dyn Iterator<Item = &'a str>>,
    pub you: &'a Person,
    pub now_ms: i64,
    pub hearts: i64,
    pub viewers: u32,
    pub standing: Standing,
}

pub(crate) fn welcome(welcome: Welcome<'_>) -> Frame {
    let Welcome { epoch, offset, comments, you, now_ms, hearts, viewers, standing } = welcome;
    let recovered = comments.is_none();
    // The comments are JSON already, so the frame is written around them.
    let mut text = format!(
        r#"{{"t":"welcome","epoch":{},"offset":{offset},"recovered":{recovered},"you":{},"now_ms":{now_ms},"snapshot":{{"#,
        json!(epoch),
        json!(you),
    );
    if let Some(comments) = comments {
        text.push_str(r#""comments":["#);
        join(&mut text, comments);
        text.push_str("],");
    }
    let (state, interrupted) = (standing.state.as_str(), standing.interrupted);
    write!(text, r#""hearts":{hearts},"viewers":{viewers},"state":"{state}","interrupted":{interrupted}}}}}"#)
        .expect("writing to a String does not fail");
    Frame::new(text)
}

/// Events in one frame; none when there is nothing to say.
pub(crate) fn batch<'a>(events: impl Iterator<Item = &'a str>) -> Option<Frame> {
    let mut text = String::from(r#"{"t":"batch","e":["#);
    let empty = text.len();
    join(&mut text, events);
    if text.len() == empty {
        return None;
    }
    text.push_str("]}");
    Some(Frame::new(text))
}

/// Events in frames of about `bytes` each, for those who missed many.
pub(crate) fn batches<'a>(events: impl Iterator<Item = &'a Event>, bytes: usize) -> Vec<Frame> {
    let mut frames = Vec::new();
    let (mut part, mut size) = (Vec::new(), 0);
    for event in events {
        if size + event.json.len() > bytes && !part.is_empty() {
            frames.extend(batch(part.drain(..)));
            size = 0;
        }
        size += event.json.len();
        part.push(event.json.as_str());
    }
    frames.extend(batch(part.into_iter()));
    frames
}

pub(crate) fn hearts(total: i64, colours: [u32; store::COLOURS]) -> Frame {
    let delta: u64 = colours.iter().copied().map(u64::from).sum();
    gauge(&json!({ "k": "hearts", "total": total, "delta": delta, "colours": colours }))
}

pub(crate) fn viewers(n: u32) -> Frame {
    gauge(&json!({ "k": "viewers", "n": n }))
}

fn gauge(event: &serde_json::Value) -> Frame {
    Frame::new(format!(r#"{{"t":"batch","e":[{event}]}}"#))
}

pub(crate) fn refusal(refusal: Refusal, detail: &str, cid: Option<&str>) -> Frame {
    let mut frame = json!({ "t": "error", "code": refusal.code(), "detail": detail });
    if let Some(cid) = cid {
        frame["cid"] = json!(cid);
    }
    Frame::new(frame.to_string())
}

pub(crate) fn pong(ping: &Ping, now_ms: i64) -> Frame {
    Frame::new(json!({ "t": "pong", "c": ping.c, "s": now_ms }).to_string())
}

pub(crate) fn drain(retry_ms: u128) -> Frame {
    Frame::new(format!(r#"{{"t":"drain","retry_ms":{retry_ms}}}"#))
}

fn join<'a>(text: &mut String, parts: impl Iterator<Item = &'a str>) {
    let mut first = true;
    for part in parts.filter(|part| !part.is_empty()) {
        if !std::mem::take(&mut first) {
            text.push(',');
        }
        text.push_str(part);
    }
}
