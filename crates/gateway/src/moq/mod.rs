//! Media over QUIC: WebTransport and, where that is blocked, the same sessions over WebSocket.
//!
//! moq-relay is embedded whole, so that its cluster can carry broadcasts between nodes. It owns the UDP socket and serves the
//! origin that [`live::Directory`] announces on. HTTP stays with the caller: it upgrades WebSockets and hands the stream to
//! [`WebSockets::serve`]. Every session is a [`Request`] first; whoever calls [`Server::accept`] decides.

mod request;
mod server;
mod websocket;

pub use request::Request;
pub use server::{Certificate, Config, Error, Identity, Running, Server};
pub use websocket::{NoCommonProtocol, WebSockets, subprotocol};

/// Sessions are dialled at this path, followed by the broadcast's id.
pub const PATH: &str = "/moq/";
