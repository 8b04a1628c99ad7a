//! An RTMP client for our own broadcaster, load generator and tests: publish or play one stream.

mod playback;
mod publication;
pub mod session;

pub use playback::Playback;
pub use publication::Publication;

use super::socket::Socket;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use session::{Event, Purpose, Session};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Bytes read at a time.
const READ_BYTES: usize = 16 << 10;
/// For each of: connecting, TLS, the handshake with `connect`, and the answer to publish or play.
const PATIENCE: Duration = Duration::from_secs(10);

/// How to speak RTMPS.
#[derive(Clone, Debug)]
pub struct Tls {
    /// Whom to trust.
    pub config: Arc<ClientConfig>,
    /// The name in the server's certificate.
    pub name: ServerName<'static>,
}

/// Why a client's connection is over.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The socket or TLS fails.
    #[error("rtmp server {server}: {source}")]
    Io { server: SocketAddr, source: io::Error },
    /// The server breaks the protocol, or says no.
    #[error("rtmp server {server}: {source}")]
    Session { server: SocketAddr, source: session::Error },
    /// The server closes.
    #[error("rtmp server {server} closed the connection")]
    Closed { server: SocketAddr },
    /// The server does not answer.
    #[error("rtmp server {server} did not answer within {PATIENCE:?}")]
    NoAnswer { server: SocketAddr },
}

/// A connection to an application of a server.
#[derive(Debug)]
pub struct Client {
    socket: Socket,
    session: Session,
    server: SocketAddr,
}

impl Client {
    /// Connects to an application. `tc_url` is the address without the stream's name: `rtmp://host/live`.
    pub async fn connect(server: SocketAddr, tls: Option<Tls>, app: &str, tc_url: &str) -> Result<Self, Error> {
        let socket = in_time(server, async { open(server, tls).await.map_err(|source| Error::Io { server, source }) });
        let session = Session::new(RandomState::new().hash_one(server), app, tc_url);
        let mut client = Self { socket: socket.await?, session, server };
        client.wait_for(&Event::Connected).await?;
        Ok(client)
    }

    /// Publishes a stream. The server's refusal is an [`Error::Session`] with its description.
    pub async fn publish(mut self, key: &str) -> Result<Publication, Error> {
        self.session.request(Purpose::Publish, key);
        self.wait_for(&Event::Started).await?;
        Ok(Publication::new(self))
    }

    /// Plays a stream.
    pub async fn play(mut self, name: &str) -> Result<Playback, Error> {
        self.session.request(Purpose::Play, name);
        self.wait_for(&Event::Started).await?;
        Ok(Playback::new(self))
    }

    async fn wait_for(&mut self, wanted: &Event) -> Result<(), Error> {
        let server = self.server;
        in_time(server, async {
            loop {
                match self.event()? {
                    Some(event) if event == *wanted => return Ok(()),
                    Some(_) => {}
                    None => {
                        self.flush().await?;
                        self.read().await?;
                    }
                }
            }
        })
        .await
    }

    fn event(&mut self) -> Result<Option<Event>, Error> {
        self.session.poll().map_err(|source| Error::Session { server: self.server, source })
    }

    /// Sends what the session has queued. What was sent is gone from the queue even if it is dropped while waiting.
    async fn flush(&mut self) -> Result<(), Error> {
        if self.session.outbound().is_empty() {
            return Ok(());
        }
        let sent = match self.socket.write_all_buf(self.session.outbound()).await {
            Ok(()) => self.socket.flush().await,
            Err(error) => Err(error),
        };
        sent.map_err(|source| Error::Io { server: self.server, source })
    }

    /// Reads what is there. Nothing is lost when it is dropped while waiting.
    async fn read(&mut self) -> Result<(), Error> {
        let inbound = self.session.inbound();
        inbound.reserve(READ_BYTES);
        match self.socket.read_buf(inbound).await {
            Ok(0) => Err(Error::Closed { server: self.server }),
            Ok(_) => Ok(()),
            Err(source) => Err(Error::Io { server: self.server, source }),
        }
    }
}

async fn in_time<T>(server: SocketAddr, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    timeout(PATIENCE, work).await.unwrap_or(Err(Error::NoAnswer { server }))
}

async fn open(server: SocketAddr, tls: Option<Tls>) -> io::Result<Socket> {
    let tcp = TcpStream::connect(server).await?;
    tcp.set_nodelay(true)?;
    Ok(match tls {
        Some(Tls { config, name }) => {
            Socket::Tls(Box::new(TlsConnector::from(config).connect(name, tcp).await?.into()))
        }
        None => Socket::Plain(tcp.into()),
    })
}
