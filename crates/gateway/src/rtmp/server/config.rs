//! What a listener allows.

use std::time::Duration;

/// Limits and patience of a listener. Message and chunk limits are in `chunk::Limits`.
#[derive(Clone, Debug)]
pub struct Config {
    /// Connections from one address at a time, requested or not. An IPv6 address is its /64 network, since that is what
    /// one customer has. More are closed at once. A building behind one address may need more.
    pub connections_per_address: usize,
    /// Connections that have not made a request yet, over all addresses. Each may hold some 150 KiB. When the room
    /// gets scarce, no address gets more of it than is left for others.
    pub pending_connections: usize,
    /// From the connection until its publish or play request, TLS and handshake included.
    pub request_deadline: Duration,
    /// A publisher that sends nothing for this long is gone. Encoders send several times a second. It must stay well
    /// below the time a broadcast waits for its publisher to come back: until then the same key counts as live, and the
    /// encoder that lost its network is refused.
    pub publisher_idle: Duration,
    /// A peer that does not take one write within this time is closed; for a player, a write is one video frame.
    pub write_timeout: Duration,
    /// Kernel send buffer of a player, in bytes: what a player that reads nothing costs besides its connection. `None`
    /// lets the kernel grow it to megabytes.
    pub player_send_buffer_bytes: Option<u32>,
    /// What bounds the bytes under way to a player.
    pub unacknowledged: Unacknowledged,
    /// How long a finished peer may take to close its side, so that it reads our last words first.
    pub farewell: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            connections_per_address: 32,
            pending_connections: 1024,
            request_deadline: Duration::from_secs(10),
            publisher_idle: Duration::from_secs(10),
            write_timeout: Duration::from_secs(10),
            player_send_buffer_bytes: Some(256 << 10),
            unacknowledged: Unacknowledged::default(),
            farewell: Duration::from_secs(2),
        }
    }
}

/// What bounds the bytes that are sent to a player and that it has not acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unacknowledged {
    /// The window of a player that has sent Set Peer Bandwidth; TCP's own for all others. Most players send none, and
    /// some that play well never acknowledge.
    #[default]
    IfAnnounced,
    /// TCP alone.
    Ignored,
}
