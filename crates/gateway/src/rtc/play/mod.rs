//! WHEP: sessions that play.

mod feed;
mod group;
mod viewer;

pub use feed::Feeds;
pub use viewer::{Left, Play};
