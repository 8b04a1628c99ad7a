//! What clients say: one JSON object a frame, at most 4 KiB, its kind in `t`.
//!
//! Everything here comes from outside and is checked here: what [`ClientFrame::parse`] gives is within the bounds
//! that the fields name. A pure function, for tests and fuzzing.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};

/// Bytes of a client's frame.
pub const MAX_FRAME_BYTES: usize = 4 * 1024;

/// The largest integer that JSON numbers carry exactly (2^53).
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// What a client says.
#[derive(Debug, Clone, PartialEq)]
pub enum ClientFrame {
    Hello(Hello),
    Comment(Comment),
    Hearts(Hearts),
    Playing(Playing),
    Ping(Ping),
}

/// The first frame: who I am and where I was.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Hello {
    /// A random token that the client keeps: 16 to 64 visible ASCII characters.
    pub device: String,
    /// The epoch of an earlier welcome, at most 64 bytes.
    #[serde(default)]
    pub epoch: Option<String>,
    /// The highest offset seen in it.
    #[serde(default)]
    pub offset: Option<i64>,
}

/// Something to say.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Comment {
    /// The client's own id for it, 1 to 64 of `A-Z a-z 0-9 - _`: comes back with the comment or its error.
    pub cid: String,
    pub text: String,
    /// Capture time of the frame the sender was seeing, Unix milliseconds.
    #[serde(default, deserialize_with = "millis")]
    pub captured_ms: Option<i64>,
}

/// Taps since the last such frame.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Hearts {
    /// 1 to 10.
    pub n: u32,
    /// 0 to 5.
    pub colour: usize,
    #[serde(default, deserialize_with = "millis")]
    pub captured_ms: Option<i64>,
}

/// Media plays here.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Playing {
    pub rung: Rung,
    /// Glass to glass as the client measures it, if it can.
    #[serde(default, deserialize_with = "millis")]
    pub latency_ms: Option<i64>,
    #[serde(default, deserialize_with = "millis")]
    pub captured_ms: Option<i64>,
}

/// The way the media comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rung {
    Moq,
    Flv,
    LlHls,
    Hls,
    WebRtc,
}

/// What time is it there?
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Ping {
    /// The client's clock; comes back as it is.
    pub c: serde_json::Number,
}

/// Why a text is not a frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// More than [`MAX_FRAME_BYTES`].
    #[error("the frame is larger than 4 KiB")]
    TooLarge,
    /// Not a JSON object with a text `t`.
    #[error("the frame is not a JSON object with a \"t\"")]
    NotAFrame,
    /// A kind that this server does not know.
    #[error("this server does not know that kind of frame")]
    Unknown,
    /// A field is missing or outside its bounds. `cid` is there when the frame had a usable one.
    #[error("{what}")]
    Invalid { what: &'static str, cid: Option<String> },
}

#[derive(Deserialize)]
struct Tag<'a> {
    #[serde(borrow)]
    t: Cow<'a, str>,
}

impl ClientFrame {
    /// Read one frame.
    pub fn parse(text: &str) -> Result<Self, FrameError> {
        if text.len() > MAX_FRAME_BYTES {
            return Err(FrameError::TooLarge);
        }
        let tag: Tag<'_> = serde_json::from_str(text).map_err(|_| FrameError::NotAFrame)?;
        match &*tag.t {
            "hello" => checked(text, Hello::check).map(Self::Hello),
            "comment" => checked(text, Comment::check).map(Self::Comment).map_err(|error| error.about(text)),
            "hearts" => checked(text, Hearts::check).map(Self::Hearts),
            "playing" => checked(text, |_| None).map(Self::Playing),
            "ping" => checked(text, |_| None).map(Self::Ping),
            _ => Err(FrameError::Unknown),
        }
    }
}

/// Read the fields and see that none is outside its bounds.
fn checked<T: for<'a> Deserialize<'a>>(text: &str, wrong: fn(&T) -> Option<&'static str>) -> Result<T, FrameError> {
    let invalid = |what| FrameError::Invalid { what, cid: None };
    let frame = serde_json::from_str(text).map_err(|_| invalid("a field is missing or of the wrong type"))?;
    wrong(&frame).map_or(Ok(frame), |what| Err(invalid(what)))
}

impl Hello {
    fn check(&self) -> Option<&'static str> {
        if !is_device(&self.device) {
            return Some("device is not 16 to 64 visible ASCII characters");
        }
        if self.epoch.as_ref().is_some_and(|epoch| epoch.len() > 64) {
            return Some("epoch is longer than 64 bytes");
        }
        self.offset.is_some_and(|offset| offset < 0).then_some("offset is negative")
    }

    /// Where the client was, if it says both halves.
    pub(crate) fn position(&self) -> Option<(&str, i64)> {
        Some((self.epoch.as_deref()?, self.offset?))
    }
}

impl Comment {
    fn check(&self) -> Option<&'static str> {
        (!is_cid(&self.cid)).then_some("cid is not 1 to 64 letters, digits, - or _")
    }
}

impl Hearts {
    fn check(&self) -> Option<&'static str> {
        if !(1..=10).contains(&self.n) {
            return Some("n is not 1 to 10");
        }
        (self.colour >= store::COLOURS).then_some("colour is not 0 to 5")
    }
}

impl FrameError {
    /// Say which comment it was, when the frame lets us know.
    fn about(self, text: &str) -> Self {
        #[derive(Deserialize)]
        struct Cid {
            cid: String,
        }
        match self {
            Self::Invalid { what, .. } => {
                let cid = serde_json::from_str(text).ok().map(|Cid { cid }| cid).filter(|cid| is_cid(cid));
                Self::Invalid { what, cid }
            }
            other => other,
        }
    }
}

fn is_cid(cid: &str) -> bool {
    (1..=64).contains(&cid.len())
        && cid.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// Milliseconds as clocks in JavaScript give them, with or without a fraction; null and nonsense are none.
fn millis<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
    let number = Option::<f64>::deserialize(from)?;
    // Within 2^53, so the cast keeps the value.
    Ok(number.filter(|ms| ms.abs() <= MAX_EXACT).map(|ms| ms.round() as i64))
}

impl Rung {
    /// The word in the protocol and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Moq => "moq",
            Self::Flv => "flv",
            Self::LlHls => "llhls",
            Self::Hls => "hls",
            Self::WebRtc => "webrtc",
        }
    }

    /// Fetched from this server by a request of its own, so that the server counts it too.
    pub(crate) fn is_pull(self) -> bool {
        matches!(self, Self::Flv | Self::LlHls | Self::Hls | Self::WebRtc)
    }
}

/// The random token a client keeps: 16 to 64 visible ASCII characters.
pub(crate) fn is_device(token: &str) -> bool {
    (16..=64).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests;
