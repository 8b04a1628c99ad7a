//! Why a publish or play request is turned down: a status code for the program, a sentence for the person.

/// The reason, in words that an encoder shows to the person at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No broadcast has this stream key.
    BadKey,
    /// The application part of the address is neither the one for publishing nor the one for playing.
    BadAddress,
    /// No broadcast has this id.
    NoSuchBroadcast,
    /// The broadcast exists and nobody publishes it yet.
    NotStarted,
    /// Another encoder publishes with this key and still sends.
    AlreadyLive,
    /// The broadcast is over; its key with it.
    Ended,
    /// No room for one more at the moment.
    Busy,
    /// The server is about to stop.
    ShuttingDown,
    /// The media cannot be broadcast; the text says why.
    Unsupported(String),
}

impl Refusal {
    /// The sentence.
    pub fn description(&self) -> &str {
        match self {
            Self::BadKey => "This stream key is not known. Copy the key again from the page where you go live.",
            Self::BadAddress => "This is not an address of this server. Publish to /live, play from /play.",
            Self::NoSuchBroadcast => "There is no such broadcast.",
            Self::NotStarted => "This broadcast has not started yet.",
            Self::AlreadyLive => "Another encoder is live with this key. Stop it first, or wait until it is gone.",
            Self::Ended => "This broadcast has ended. Create a new one to get a new key.",
            Self::Busy => "The server is full. Try again in a minute.",
            Self::ShuttingDown => "The server is restarting. Try again in a minute.",
            Self::Unsupported(reason) => reason,
        }
    }

    /// The `onStatus` code for a publisher.
    ///
    /// Denied even where Adobe has BadName for a name in use: OBS shows the description of Denied and Rejected only
    /// and waits silently at BadName; ffmpeg shows the description of any error.
    pub fn publish_code(&self) -> &'static str {
        "NetStream.Publish.Denied"
    }

    /// The `onStatus` code for a player; librtmp gives up at these two and at no other.
    pub fn play_code(&self) -> &'static str {
        match self {
            Self::BadAddress | Self::BadKey | Self::NoSuchBroadcast | Self::NotStarted | Self::Ended => {
                "NetStream.Play.StreamNotFound"
            }
            Self::AlreadyLive | Self::Busy | Self::ShuttingDown | Self::Unsupported(_) => "NetStream.Play.Failed",
        }
    }
}
