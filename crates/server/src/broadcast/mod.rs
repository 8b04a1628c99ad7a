//! Broadcasts as the service runs them: their names and secrets, their life, and advice on their upload.
//!
//! [`machine`] says what happens when; [`registry`] joins it to the media, the rooms and the database;
//! [`journal`] writes its steps down without making anyone wait for the database.

pub mod advice;
pub mod journal;
pub mod machine;
pub mod names;
mod refusal;
pub mod registry;

pub use refusal::Refusal;
pub use registry::{Registry, Session};
