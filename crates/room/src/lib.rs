//! The conversation beside a broadcast: comments, hearts, who is there, and how the broadcast stands.
//!
//! Nouns, in order: [`Rooms`] (all of this node's rooms), [`Room`] (a handle on one), [`Identity`] and [`Hello`]
//! (who comes in, and from where they go on), [`Connection`] (one viewer's WebSocket, without the socket),
//! [`Frame`] (text to send, shared by everyone who gets it), [`Close`] (why to hang up), [`Bus`] (between nodes).
//! The protocol is written down for client writers in `docs/ref/room-protocol.md`.
//!
//! A room is a state machine (`machine`) that is told the time, and one task (`task`) that owns its timers and its
//! traffic with the store and the bus. Three classes of messages:
//!
//! | class | here | rule |
//! |---|---|---|
//! | control | state of the broadcast | numbered, recoverable, never dropped |
//! | content | comments | numbered, recoverable, sampled above a rate people can read |
//! | gauge | hearts, viewers | latest wins, lossy, not numbered |
//!
//! What has a number is durable: the store's commit comes first, the bus second, the viewers third.
//!
//! Elsewhere on purpose: sockets, sign-in, limits per address (`server`), SQL (`store`).

mod bus;
mod clock;
mod close;
mod config;
mod connection;
mod encode;
mod event;
mod frame;
mod hearts;
mod identity;
mod limit;
mod machine;
mod memory;
mod metric;
mod names;
mod outbox;
mod presence;
mod resend;
mod rooms;
mod sample;
mod shared;
mod task;
mod text;
mod timer;
mod window;

#[cfg(test)]
mod tests;

pub use bus::Bus;
pub use close::{Close, JoinError};
pub use config::Config;
pub use connection::Connection;
pub use encode::Frame;
pub use event::{PastComment, Person, Role};
pub use frame::{ClientFrame, Comment, FrameError, Hearts, Hello, MAX_FRAME_BYTES, Ping, Playing, Rung};
pub use identity::Identity;
pub use metric::describe as describe_metrics;
pub use rooms::{Room, Rooms};
pub use store::State;
