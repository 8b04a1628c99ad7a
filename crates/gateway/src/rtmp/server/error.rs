//! What can go wrong with a connection. Every text names the peer.

use crate::flv;
use crate::rtmp::session;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// Why a connection is over that should not be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The peer breaks the protocol or a limit.
    #[error("rtmp peer {peer}: {source}")]
    Session { peer: SocketAddr, source: session::Error },
    /// The socket fails.
    #[error("rtmp peer {peer}: {source}")]
    Io { peer: SocketAddr, source: io::Error },
    /// The TLS handshake fails.
    #[error("rtmps peer {peer}: tls handshake: {source}")]
    Tls { peer: SocketAddr, source: io::Error },
    /// The peer closes before it has asked for anything.
    #[error("rtmp peer {peer} left without a request")]
    NoRequest { peer: SocketAddr },
    /// The request deadline passes.
    #[error("rtmp peer {peer} made no request within {deadline:?}")]
    Deadline { peer: SocketAddr, deadline: Duration },
    /// A publisher has been silent for too long.
    #[error("rtmp publisher {peer} sent nothing for {idle:?}")]
    Silent { peer: SocketAddr, idle: Duration },
    /// A peer does not take what it is sent.
    #[error("rtmp peer {peer} did not read for {timeout:?}")]
    Stuck { peer: SocketAddr, timeout: Duration },
    /// A player stays behind the broadcast.
    #[error("rtmp player {peer}: {source}")]
    TooSlow { peer: SocketAddr, source: flv::TooSlow },
    /// A publisher's media cannot be broadcast.
    #[error("rtmp publisher {peer}: {source}")]
    Media { peer: SocketAddr, source: flv::Error },
}
