//! The program `oriel`: configuration, accounts and authorisation, the HTTP API and the site, and the assembly of all parts.
//!
//! Nouns, in order: [`config::Config`] (what an operator may set), [`app::App`] (a running server, and the order in which it
//! is put together and taken apart), [`services::Services`] (what its parts share), [`broadcast::Registry`] (who may publish,
//! and the life of a broadcast), `api` (the HTTP API), `media` (the doors of the media).
//!
//! Elsewhere: protocols (`gateway`), the media model (`live`), the conversation (`room`), what is remembered (`store`).

pub mod account;
pub mod api;
pub mod app;
mod bind;
pub mod broadcast;
pub mod cli;
pub mod clock;
pub mod config;
pub mod conversation;
pub mod demo;
pub mod http;
pub mod media;
pub mod preview;
pub mod problem;
pub mod replay;
pub mod services;
mod tasks;
pub mod telemetry;
pub mod tls;
mod upkeep;

pub use app::App;
pub use config::Config;
