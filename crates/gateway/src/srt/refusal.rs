//! What a caller that may not publish is told: a reject code of SRT's access control guidelines, which it shows.

use srt_protocol::packet::{RejectReason, ServerRejectReason};

/// Why a caller is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The stream id means nothing here.
    BadRequest,
    /// The key is not known, or is another broadcast's.
    BadKey,
    /// The stream id asks for something else than publishing.
    BadMode,
    AlreadyLive,
    Ended,
    /// The server cannot tell at the moment, or is stopping.
    Unavailable,
}

impl Refusal {
    pub(super) fn reason(self) -> RejectReason {
        let reason = match self {
            Self::BadRequest => ServerRejectReason::BadRequest,
            Self::BadKey => ServerRejectReason::Unauthorized,
            Self::BadMode => ServerRejectReason::BadMode,
            Self::AlreadyLive => ServerRejectReason::Conflict,
            // There is no code for what is over.
            Self::Ended => ServerRejectReason::Notfound,
            Self::Unavailable => ServerRejectReason::Down,
        };
        reason.into()
    }
}
