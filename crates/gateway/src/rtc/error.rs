//! Why an offer is turned down, or a session ends that should not.

use std::time::Duration;

/// What can go wrong with an offer or a session.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The offer is no SDP, or one that makes no sense.
    #[error("the offer cannot be read: {0}")]
    Sdp(String),
    /// The offer lacks what is needed; the text says what to offer.
    #[error("{0}")]
    Unacceptable(&'static str),
    /// What is broadcast cannot go over WebRTC; the text says why.
    #[error("{0}")]
    Unplayable(&'static str),
    /// As many sessions as the endpoint takes.
    #[error("the server has as many WebRTC sessions as it takes")]
    Full,
    /// There is no address that the peer could reach.
    #[error("the server knows no address to announce: set rtc.public_addresses")]
    NoAddress,
    /// ICE and DTLS did not connect in time.
    #[error("webrtc peer did not connect within {0:?}: is the UDP port reachable?")]
    Unconnected(Duration),
    /// The peer breaks the protocol.
    #[error("webrtc: {0}")]
    Protocol(#[from] str0m::RtcError),
    /// A publisher's media cannot be broadcast.
    #[error("webrtc media: {0}")]
    Media(#[from] live::WriteError),
    /// A publisher's parameter sets cannot be used.
    #[error("webrtc media: {0}")]
    Format(#[from] live::FormatError),
}
