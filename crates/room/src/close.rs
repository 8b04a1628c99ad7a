//! Why a connection ends, as WebSocket close codes.

use std::borrow::Cow;

/// How to hang up: a WebSocket close frame's code and reason (RFC 6455 section 7.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    pub code: u16,
    pub reason: Cow<'static, str>,
}

impl Close {
    /// The viewer reads slower than the room speaks; it may come back and recover.
    pub const SLOW: Self = Self::new(4000, "too slow: come back");
    /// The first frame was not a usable hello.
    pub const BAD_HELLO: Self = Self::new(4001, "bad hello");
    /// There is no broadcast of that id.
    pub const NO_BROADCAST: Self = Self::new(4004, "no such broadcast");
    /// The server restarts: come back after a random part of the time that `drain` named.
    pub const RESTART: Self = Self::new(1012, "server restarting");
    /// More frames than anyone needs.
    pub const FLOOD: Self = Self::new(1008, "too many frames");
    /// No place, or no memory of the broadcast, for now.
    pub const LATER: Self = Self::new(1013, "try again later");

    const fn new(code: u16, reason: &'static str) -> Self {
        Self { code, reason: Cow::Borrowed(reason) }
    }
}

/// Why somebody could not come in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// The hello or the device token is outside its bounds.
    #[error("bad hello: {what}")]
    BadHello { what: &'static str },
    /// Neither this node nor the store knows the broadcast.
    #[error("no such broadcast: {broadcast}")]
    NoSuchBroadcast { broadcast: String },
    /// The room is not open here and the store does not answer.
    #[error("room {broadcast} cannot be opened: {reason}")]
    Unavailable { broadcast: String, reason: String },
    /// The room has as many connections as it may have.
    #[error("room {broadcast} is full")]
    Full { broadcast: String },
    /// The server is going down.
    #[error("rooms are closing")]
    Draining,
}

impl JoinError {
    /// How to hang up on them.
    pub fn close(&self) -> Close {
        match self {
            Self::BadHello { .. } => Close::BAD_HELLO,
            Self::NoSuchBroadcast { .. } => Close::NO_BROADCAST,
            Self::Unavailable { .. } | Self::Full { .. } => Close::LATER,
            Self::Draining => Close::RESTART,
        }
    }
}
