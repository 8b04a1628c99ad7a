//! Everything Oriel remembers, and the only place with SQL.
//!
//! Nouns, in order: [`Store`] (a cheap handle on one database), [`User`], sessions, [`Broadcast`], room events
//! ([`NewEvent`], [`StoredEvent`], [`Position`]), hearts ([`HeartSecond`]) and [`Replay`].
//!
//! Every call answers within a bound: a database that stalls gives [`Error::Unavailable`] or, when a write may or
//! may not have happened, [`Error::Uncertain`]; it never makes a caller wait without end. Room events and hearts go
//! through one writer that commits everything waiting in one transaction ([`Store::append_events`]).
//!
//! Elsewhere on purpose: hashing of passwords and tokens, the rules for names and titles (`server`), what an
//! event's body means (`room`). The engine underneath is named in `engine` only.

mod broadcasts;
mod engine;
mod error;
mod events;
mod hearts;
mod replays;
mod sessions;
mod state;
mod store;
mod users;
mod writer;

#[cfg(test)]
mod tests;

pub use broadcasts::{Broadcast, Location, NewBroadcast, Visibility};
pub use error::Error;
pub use events::{MAX_BODY_BYTES, MAX_EVENTS, Moment, NewEvent, Position, StoredEvent};
pub use hearts::{COLOURS, HeartSecond};
pub use replays::{Recorded, Replay, ReplayState, ReplayVisibility};
pub use state::{Over, State};
pub use store::{Config, Place, Store};
pub use users::User;
