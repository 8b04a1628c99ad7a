//! Oriel measured from outside: nothing here is part of the server, and nothing uses this crate.
//!
//! - [`publish`]: the synthetic broadcast, live, to an RTMP address.
//! - [`fanout`]: what a viewer costs the real server, beside [`floor`]s that only write the same bytes.
//! - [`clip`]: some seconds of the synthetic broadcast, coded once and sent for ever.
//! - [`arrivals`]: finds the capture stamps of `live::capture_sei` in any byte stream and so knows each frame's delay.
//! - [`raw`]: the synthetic picture for other encoders.
//! - [`process`]: cores, CPU time and memory of a process.
//!
//! The reader of the clock in the picture, for browsers, is `assets/read-clock.js`.

pub mod arrivals;
pub mod clip;
pub mod fanout;
pub mod floor;
pub mod process;
pub mod publish;
pub mod raw;
