//! RTMP and RTMPS, both directions: encoders publish, players play, and a client for our own tools does either.
//!
//! From the bytes up: [`handshake`], [`chunk`] (messages out of chunks), [`message`] and [`command`] (what messages say,
//! with [`amf`] for their values), `link` (what both ends of a connection do alike), [`session`] (the server's side).
//! None of these does I/O. [`Listener`] owns sockets: it accepts connections, bounds them, and hands out a [`Request`]
//! each; whoever calls it decides who may publish or play what. [`client`] is the other end.
//!
//! What tags and frames are is in `flv`; this module carries their bytes.

pub mod amf;
pub mod chunk;
pub mod client;
pub mod command;
pub mod handshake;
mod link;
pub mod message;
mod refusal;
mod server;
pub mod session;
mod socket;

pub use chunk::{PLAY_CHUNK_SIZE, write_message};
pub use message::{Media, MediaKind};
pub use refusal::Refusal;
pub use server::{Config, Error, Goodbye, Listener, Play, Publish, Request, Unacknowledged};
