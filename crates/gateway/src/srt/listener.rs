//! The one UDP socket, and the handshakes on it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use live::Publisher;
use srt_protocol::options::{ByteCount, PacketSize, SocketOptions};
use srt_protocol::packet::{ControlTypes, Packet, ShakeType};
use srt_protocol::protocol::pending_connection::listen::Listen;
use srt_protocol::protocol::pending_connection::{AccessControlRequest, AccessControlResponse, ConnectionResult};
use srt_protocol::settings::{ConnInitSettings, KeySettings, Passphrase};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::connection::{self, End, Error, Opened};
use super::guard::survive;
use super::peers::{Peer, Peers};
use super::refusal::Refusal;

/// A datagram of SRT is at most an Ethernet frame's.
const LARGEST_DATAGRAM: usize = 1500;

/// Packets that wait for a connection's task: 50 ms of 80 Mbit/s. More are lost, as on any full queue of the network, and
/// sent again.
const CONNECTION_INBOX: usize = 512;

/// Decisions of the server that wait for the accept loop.
const DECISIONS: usize = 64;

const SWEEP: Duration = Duration::from_secs(1);

/// What the kernel holds for the socket while the loop is busy: 200 ms of 80 Mbit/s.
const SOCKET_BUFFER: usize = 2 << 20;

/// How the listener treats its callers.
#[derive(Clone, Debug)]
pub struct Config {
    /// Time in which lost packets can be sent again; the sender may ask for more, and all are delayed by it.
    pub latency: Duration,
    /// With one, every caller must encrypt by it. 10 to 79 characters.
    pub passphrase: Option<String>,
    /// Silence after which a caller is gone.
    pub idle: Duration,
    pub connections_per_address: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            latency: Duration::from_millis(400),
            passphrase: None,
            idle: Duration::from_secs(5),
            connections_per_address: 32,
        }
    }
}

/// Takes calls on one UDP port.
pub struct Listener {
    socket: Arc<UdpSocket>,
    local: SocketAddr,
    settings: ConnInitSettings,
    passphrase: Option<Passphrase>,
    connections_per_address: usize,
    peers: Peers,
    decide: mpsc::Sender<Decision>,
    decisions: mpsc::Receiver<Decision>,
    shutdown: CancellationToken,
}

/// What the server made of a request.
struct Decision {
    peer: SocketAddr,
    verdict: Verdict,
}

enum Verdict {
    Accept(oneshot::Sender<Opened>),
    Reject(Refusal),
    /// The request was dropped.
    Forget,
}

/// An encoder that wants to publish. Dropping it leaves the caller without an answer.
#[must_use = "the encoder waits for accept or reject"]
pub struct Publish {
    peer: SocketAddr,
    stream_id: String,
    decide: Option<mpsc::Sender<Decision>>,
    socket: Arc<UdpSocket>,
    shutdown: CancellationToken,
}

impl Listener {
    pub async fn bind(address: SocketAddr, config: Config, shutdown: CancellationToken) -> io::Result<Self> {
        let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::DGRAM, None)?;
        socket.set_nonblocking(true)?;
        // The kernel may give less; what does not fit is sent again.
        socket.set_recv_buffer_size(SOCKET_BUFFER)?;
        socket.bind(&address.into())?;
        let socket = UdpSocket::from_std(socket.into())?;
        let mut options = SocketOptions::default();
        options.receiver.latency = config.latency;
        options.receiver.buffer_size = ByteCount(24 << 20);
        options.sender.max_payload_size = PacketSize(1456);
        options.session.peer_idle_timeout = config.idle;
        let passphrase = config.passphrase.map(Passphrase::try_from).transpose();
        let passphrase = passphrase.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let (decide, decisions) = mpsc::channel(DECISIONS);
        Ok(Self {
            local: socket.local_addr()?,
            socket: Arc::new(socket),
            settings: options.into(),
            passphrase,
            connections_per_address: config.connections_per_address,
            peers: Peers::default(),
            decide,
            decisions,
            shutdown,
        })
    }

    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The next request, `None` once shut down. It also carries the packets of all connections to their tasks: whoever
    /// calls it calls it again at once.
    pub async fn accept(&mut self) -> Option<Publish> {
        let mut buffer = [0; LARGEST_DATAGRAM];
        let mut sweep = tokio::time::interval(SWEEP);
        let shutdown = self.shutdown.clone();
        loop {
            tokio::select! {
                received = self.socket.recv_from(&mut buffer) => match received {
                    Ok((size, peer)) => {
                        if let Some(request) = self.datagram(&buffer[..size], peer).await {
                            return Some(request);
                        }
                    }
                    // An ICMP message about some peer; the socket is as good as before.
                    Err(error) => tracing::debug!(%error, "srt socket"),
                },
                Some(decision) = self.decisions.recv() => self.decide(decision).await,
                _ = sweep.tick() => self.peers.sweep(Instant::now()),
                () = shutdown.cancelled() => return None,
            }
        }
    }

    async fn datagram(&mut self, bytes: &[u8], peer: SocketAddr) -> Option<Publish> {
        let packet = survive(|| Packet::parse(&mut io::Cursor::new(bytes), peer.is_ipv6()))?.ok()?;
        match self.peers.get_mut(peer) {
            Some(Peer::Open(packets)) => match packets.try_send(packet) {
                Ok(()) | Err(mpsc::error::TrySendError::Full(_)) => None,
                // Its task has ended. The next call may be a new one from the same port.
                Err(mpsc::error::TrySendError::Closed(packet)) => {
                    self.peers.remove(peer);
                    self.handshake(packet, peer).await
                }
            },
            Some(Peer::Asked(..)) => None,
            Some(Peer::Refused(answer, _)) => {
                let answer = answer.as_deref().cloned();
                // Another attempt begins with an induction; an answer that was lost is asked for by a conclusion.
                if shake(&packet) == Some(ShakeType::Induction) {
                    self.peers.remove(peer);
                    return self.handshake(packet, peer).await;
                }
                self.send(answer, peer).await;
                None
            }
            Some(Peer::Pending(..)) | None => self.handshake(packet, peer).await,
        }
    }

    async fn handshake(&mut self, packet: Packet, peer: SocketAddr) -> Option<Publish> {
        let (mut listen, since) = match self.peers.remove(peer) {
            Some(Peer::Pending(listen, since)) => (listen, since),
            _ => {
                let calls = shake(&packet) == Some(ShakeType::Induction);
                if !calls || !self.peers.admits(peer, self.connections_per_address) {
                    return None;
                }
                (Box::new(Listen::new(self.settings.copy_randomize(), true)), Instant::now())
            }
        };
        let result = survive(|| listen.handle_packet(Instant::now(), Ok((packet, peer))))?;
        match result {
            ConnectionResult::RequestAccess(request) => {
                self.peers.set(peer, Peer::Asked(listen, request.key_size));
                Some(self.request(request))
            }
            ConnectionResult::SendPacket((packet, _)) => {
                self.peers.set(peer, Peer::Pending(listen, since));
                self.send(Some(packet), peer).await;
                None
            }
            ConnectionResult::Reject(packet, _) => {
                self.refused(packet.map(|(packet, _)| packet), peer).await;
                None
            }
            _ => {
                self.peers.set(peer, Peer::Pending(listen, since));
                None
            }
        }
    }

    fn request(&self, request: AccessControlRequest) -> Publish {
        Publish {
            peer: request.remote,
            stream_id: request.stream_id.map(|id| id.as_str().to_owned()).unwrap_or_default(),
            decide: Some(self.decide.clone()),
            socket: self.socket.clone(),
            shutdown: self.shutdown.clone(),
        }
    }

    async fn decide(&mut self, decision: Decision) {
        let Decision { peer, verdict } = decision;
        let Some(Peer::Asked(mut listen, key_size)) = self.peers.remove(peer) else { return };
        // With the length of key that the caller chose; the protocol's own would refuse the others.
        let key = self.passphrase.clone().map(|passphrase| KeySettings { key_size, passphrase });
        let (response, reply) = match verdict {
            Verdict::Accept(reply) => (AccessControlResponse::Accepted(key), Some(reply)),
            Verdict::Reject(refusal) => (AccessControlResponse::Rejected(refusal.reason()), None),
            Verdict::Forget => return,
        };
        match survive(|| listen.handle_access_control_response(Instant::now(), response)) {
            Some(ConnectionResult::Connected(packet, connection)) => {
                let (packets, inbox) = mpsc::channel(CONNECTION_INBOX);
                let opened = Opened { connection, inbox };
                if reply.is_some_and(|reply| reply.send(opened).is_ok()) {
                    self.peers.set(peer, Peer::Open(packets));
                    self.send(packet.map(|(packet, _)| packet), peer).await;
                }
            }
            Some(ConnectionResult::Reject(packet, reason)) => {
                tracing::debug!(%peer, ?reason, "srt call refused");
                self.refused(packet.map(|(packet, _)| packet), peer).await;
            }
            // Its handshake contradicts itself.
            _ => {}
        }
    }

    async fn refused(&mut self, answer: Option<Packet>, peer: SocketAddr) {
        self.peers.set(peer, Peer::Refused(answer.clone().map(Box::new), Instant::now()));
        self.send(answer, peer).await;
    }

    async fn send(&self, packet: Option<Packet>, peer: SocketAddr) {
        if let Some(packet) = packet {
            connection::send(&self.socket, &packet, peer).await;
        }
    }
}

/// What kind of handshake a packet is.
fn shake(packet: &Packet) -> Option<ShakeType> {
    match packet {
        Packet::Control(control) => match &control.control_type {
            ControlTypes::Handshake(handshake) => Some(handshake.shake_type),
            _ => None,
        },
        Packet::Data(_) => None,
    }
}

impl Publish {
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// What the caller says it wants. Holds a secret: not for logs.
    pub fn stream_id(&self) -> &str {
        &self.stream_id
    }

    /// Answers the call and publishes until it ends.
    pub async fn accept(mut self, publisher: Publisher) -> Result<End, Error> {
        let (reply, opened) = oneshot::channel();
        self.answer(Verdict::Accept(reply)).await;
        let opened = opened.await.map_err(|_| Error::Handshake { peer: self.peer })?;
        connection::run(opened, self.socket.clone(), self.peer, publisher, self.shutdown.clone()).await
    }

    pub async fn reject(mut self, refusal: Refusal) {
        self.answer(Verdict::Reject(refusal)).await;
    }

    async fn answer(&mut self, verdict: Verdict) {
        if let Some(decide) = self.decide.take() {
            // The listener is gone only when all is.
            let _stopped = decide.send(Decision { peer: self.peer, verdict }).await;
        }
    }
}

impl Drop for Publish {
    fn drop(&mut self) {
        if let Some(decide) = self.decide.take() {
            let _full_or_stopped = decide.try_send(Decision { peer: self.peer, verdict: Verdict::Forget });
        }
    }
}
