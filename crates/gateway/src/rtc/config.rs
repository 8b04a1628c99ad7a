//! What an endpoint allows.

use std::time::Duration;

/// Limits and patience of an endpoint.
#[derive(Clone, Debug)]
pub struct Config {
    /// Sessions at a time, both directions. Each costs some 200 KiB.
    pub sessions: usize,
    /// From the answer until ICE and DTLS have connected.
    pub connect_deadline: Duration,
    /// A peer from which nothing came for this long is gone: browsers check their consent every few seconds. It must stay well
    /// below the time a broadcast waits for its publisher to come back.
    pub idle: Duration,
    /// How often a publisher is asked for a keyframe. Browsers make none by themselves.
    pub keyframe_interval: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            sessions: 1_000,
            connect_deadline: Duration::from_secs(15),
            idle: Duration::from_secs(10),
            keyframe_interval: Duration::from_secs(2),
        }
    }
}
