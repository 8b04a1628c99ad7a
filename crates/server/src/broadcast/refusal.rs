//! Why somebody may not publish.

/// Why a publisher is turned away. The text goes to the encoder, which shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("this stream key is not known")]
    UnknownKey,
    #[error("another encoder is sending to this broadcast")]
    Busy,
    #[error("this broadcast is over; make a new one")]
    Over,
    #[error("the server is stopping; try again in a minute")]
    Draining,
    #[error("the server cannot check the stream key at the moment; try again")]
    Unavailable,
}

impl Refusal {
    /// For the metric.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::UnknownKey => "key",
            Self::Busy => "busy",
            Self::Over => "over",
            Self::Draining => "draining",
            Self::Unavailable => "unavailable",
        }
    }
}
