//! Listening sockets, bound before anything else starts, with errors that say what to change.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// What listens, and how its address is changed.
#[derive(Clone, Copy, Debug)]
pub struct Door {
    pub name: &'static str,
    pub flag: &'static str,
    pub key: &'static str,
}

pub const HTTP: Door = Door { name: "HTTP", flag: "--http", key: "http.listen" };
pub const RTMP: Door = Door { name: "RTMP", flag: "--rtmp", key: "rtmp.listen" };
pub const RTMPS: Door = Door { name: "RTMPS", flag: "--rtmps", key: "rtmp.tls_listen" };
pub const RTC: Door = Door { name: "WebRTC", flag: "--rtc", key: "rtc.listen" };
pub const SRT: Door = Door { name: "SRT", flag: "--srt", key: "srt.listen" };
pub const METRICS: Door = Door { name: "metrics", flag: "--metrics", key: "metrics.listen" };

/// Why a door does not open.
#[derive(Debug, thiserror::Error)]
#[error(
    "{name}: cannot listen on {transport} {address}: {source}{hint}; choose another with {flag} ADDRESS:PORT (or {key})"
)]
pub struct BindError {
    name: &'static str,
    transport: &'static str,
    address: SocketAddr,
    source: std::io::Error,
    hint: &'static str,
    flag: &'static str,
    key: &'static str,
}

impl BindError {
    pub fn new(door: Door, transport: &'static str, address: SocketAddr, source: std::io::Error) -> Self {
        let hint = match source.kind() {
            std::io::ErrorKind::AddrInUse => " (another program, perhaps another oriel, has this port)",
            std::io::ErrorKind::PermissionDenied => " (ports below 1024 need the capability CAP_NET_BIND_SERVICE)",
            std::io::ErrorKind::AddrNotAvailable => " (this machine has no such address)",
            _ => "",
        };
        Self { name: door.name, transport, address, source, hint, flag: door.flag, key: door.key }
    }
}

/// A TCP listener on `address`.
pub fn tcp(door: Door, address: SocketAddr) -> Result<TcpListener, BindError> {
    listen(address).map_err(|source| BindError::new(door, "TCP", address, source))
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A restart must not wait for the old connections' TIME_WAIT.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Whether `address` can be bound on UDP now.
pub fn probe_udp(door: Door, address: SocketAddr) -> Result<(), BindError> {
    std::net::UdpSocket::bind(address).map(drop).map_err(|source| BindError::new(door, "UDP", address, source))
}
