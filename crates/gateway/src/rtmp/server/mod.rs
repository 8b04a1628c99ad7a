//! The server's side of RTMP on sockets: accepts connections and hands out requests.

mod config;
mod connection;
mod error;
mod gate;
mod play;
mod publish;

pub use config::{Config, Unacknowledged};
pub use error::Error;
pub use play::Play;
pub use publish::{Goodbye, Publish};

use super::session::Session;
use super::socket::Socket;
use connection::{Asked, Connection};
use gate::{Admission, Gate};
use rustls::ServerConfig;
use socket2::{SockRef, TcpKeepalive};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream, ToSocketAddrs};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

/// After the process ran out of file descriptors: time for some to come back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// TCP's own question whether the peer is there, asked when nothing else is sent: finds players whose network is gone
/// while a broadcast is interrupted, after about 30 s.
const KEEPALIVE: TcpKeepalive =
    TcpKeepalive::new().with_time(Duration::from_secs(15)).with_interval(Duration::from_secs(5)).with_retries(3);

/// What a peer asks for.
#[derive(Debug)]
#[must_use = "the peer waits for accept or reject"]
pub enum Request {
    /// To send a broadcast's media.
    Publish(Publish),
    /// To receive a broadcast's media.
    Play(Play),
}

/// Accepts RTMP connections, or RTMPS if it has a certificate.
///
/// It makes progress only within [`Listener::accept`], so call that again at once and handle each request in a task of
/// its own. Dropping the listener closes the connections that have made no request; requests live on by themselves.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    config: Arc<Config>,
    gate: Arc<Gate>,
    /// Connections on their way to a request.
    negotiations: JoinSet<Result<Request, Error>>,
    shutdown: CancellationToken,
}

/// Connections the kernel holds until they are accepted. With the usual 128 a burst leaves clients that believe in a connection
/// which the kernel has forgotten.
const BACKLOG: u32 = 1024;

/// Binds the first of the addresses that can be bound.
async fn listen(addr: impl ToSocketAddrs) -> io::Result<TcpListener> {
    let mut last = io::Error::new(io::ErrorKind::InvalidInput, "no address to listen on");
    for addr in tokio::net::lookup_host(addr).await? {
        let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        match socket.bind(addr).and_then(|()| socket.listen(BACKLOG)) {
            Ok(listener) => return Ok(listener),
            Err(err) => last = err,
        }
    }
    Err(last)
}

impl Listener {
    /// Listens on `addr`. When `shutdown` is cancelled, it lets nobody in any more.
    pub async fn bind(
        addr: impl ToSocketAddrs,
        tls: Option<Arc<ServerConfig>>,
        config: Config,
        shutdown: CancellationToken,
    ) -> io::Result<Self> {
        let tcp = listen(addr).await?;
        let gate = Gate::new(config.connections_per_address, config.pending_connections);
        Ok(Self { tcp, tls, config: Arc::new(config), gate, negotiations: JoinSet::new(), shutdown })
    }

    /// The address it listens on, with the port that the system chose for port 0.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// The next request; `None` after shutdown. Nothing is lost when it is dropped while waiting.
    pub async fn accept(&mut self) -> Option<Request> {
        loop {
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => {
                    self.negotiations.shutdown().await;
                    return None;
                }
                Some(done) = self.negotiations.join_next() => match done {
                    Ok(Ok(request)) => return Some(request),
                    Ok(Err(error @ Error::NoRequest { .. })) => tracing::debug!(%error, "rtmp connection ended"),
                    Ok(Err(error)) => tracing::info!(%error, "rtmp connection failed"),
                    Err(error) => tracing::error!(%error, "rtmp connection task failed"),
                },
                accepted = self.tcp.accept() => match accepted {
                    Ok((stream, peer)) => self.welcome(stream, peer),
                    Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                    Err(error) => {
                        tracing::warn!(%error, "rtmp listener cannot accept");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
    }

    fn welcome(&mut self, stream: TcpStream, peer: SocketAddr) {
        let admission = match self.gate.enter(peer.ip()) {
            Ok(admission) => admission,
            Err(full) => return tracing::debug!(%peer, reason = %full, "rtmp connection turned away"),
        };
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let span = tracing::info_span!("rtmp", id, %peer, tls = self.tls.is_some());
        let negotiation = negotiate(stream, peer, self.tls.clone(), self.config.clone(), admission, span.clone());
        self.negotiations.spawn(negotiation.instrument(span));
    }
}

/// From a new connection to its request, within the deadline.
async fn negotiate(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<Arc<ServerConfig>>,
    config: Arc<Config>,
    admission: Admission,
    span: tracing::Span,
) -> Result<Request, Error> {
    let deadline = config.request_deadline;
    let request = async {
        prepare(&stream).map_err(|source| Error::Io { peer, source })?;
        let secure = tls.is_some();
        let socket = secured(stream, tls).await.map_err(|source| Error::Tls { peer, source })?;
        let session = Session::new(RandomState::new().hash_one(peer));
        let shutdown = CancellationToken::new();
        let mut connection = Connection { socket, session, peer, secure, config, span, shutdown, admission };
        let asked = match connection.request().await {
            Ok(asked) => asked,
            // It may have been told why.
            Err(error @ Error::Session { .. }) => {
                connection.farewell().await;
                return Err(error);
            }
            Err(error) => return Err(error),
        };
        connection.admission.requested();
        Ok(match asked {
            Asked::Publish(wanted) => Request::Publish(Publish::new(connection, wanted)),
            Asked::Play(wanted) => Request::Play(Play::new(connection, wanted)),
        })
    };
    timeout(deadline, request).await.unwrap_or(Err(Error::Deadline { peer, deadline }))
}

/// No delay ever: what is written is whole frames, gathered on purpose.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    SockRef::from(stream).set_tcp_keepalive(&KEEPALIVE)
}

async fn secured(stream: TcpStream, tls: Option<Arc<ServerConfig>>) -> io::Result<Socket> {
    Ok(match tls {
        Some(config) => Socket::Tls(Box::new(TlsAcceptor::from(config).accept(stream).await?.into())),
        None => Socket::Plain(stream.into()),
    })
}
