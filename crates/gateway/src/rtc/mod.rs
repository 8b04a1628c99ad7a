//! WebRTC, both directions: WHIP (RFC 9725) publishes, WHEP plays. HTTP is the server's; here are what an offer asks for, its
//! answer, and the session that follows.
//!
//! An [`Endpoint`] has one UDP port for all sessions. [`Endpoint::publish`] turns an offer into a [`Publish`] with its answer;
//! the server decides, and runs it with the broadcast's publisher. str0m speaks ICE, DTLS and RTP without I/O; `driver` owns
//! one of it a session, `demux` finds the session of a datagram, `socket` sends and receives.
//!
//! The server's side is ICE-lite: it answers checks at the addresses it announces and makes none, so that candidates of the
//! peer are not needed and what is trickled may be ignored.

mod config;
mod demux;
mod driver;
pub mod endpoint;
mod error;
mod offer;
pub mod play;
pub mod publish;
mod sdp;
mod socket;

pub use config::Config;
pub use endpoint::{Endpoint, Running};
pub use error::Error;
pub use offer::{Fragment, Offer};
pub use play::{Feeds, Left, Play};
pub use publish::{Goodbye, Publish};
