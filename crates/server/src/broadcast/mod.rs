//! Broadcasts as the service runs them: their names and secrets, their life, and advice on their upload.
//!
//! [`machine`] says what happens when; [`registry`] joins it to the media, the rooms and the database;
//! [`journal`] writes its steps down without making anyone wait for the database.

pub mod advice;
pub mod journal;
pub mod machine;
pub mod names;
pub mod registry;

pub use registry::{Refusal, Registry, Session};
