//! SRT: encoders publish MPEG-TS over lossy networks; lost packets are sent again within a latency agreed at the start.
//!
//! The protocol itself is `srt_protocol`'s, without I/O. Here are what it leaves to its user: a bounded [`Listener`] on one
//! UDP socket, which tells callers apart and outlives what they send; [`stream_id`], by which a caller says what it wants; and
//! the task of a connection, which feeds what arrives to `ingest`.

mod connection;
mod guard;
mod listener;
mod peers;
mod refusal;
pub mod stream_id;

pub use connection::{End, Error};
pub use listener::{Config, Listener, Publish};
pub use refusal::Refusal;
