//! A request to play, and egress: shared bytes, written as they are.

use super::config::Unacknowledged;
use super::connection::Connection;
use super::error::Error;
use crate::flv::{TooSlow, Viewer};
use crate::rtmp::Refusal;
use crate::rtmp::session::{Event, Session, Wanted};
use crate::rtmp::socket::Socket;
use bytes::{Buf, Bytes};
use futures::FutureExt;
use socket2::SockRef;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

/// Bytes read at a time: a player sends acknowledgements and little else.
const READ_BYTES: usize = 256;

/// A player that wants to play. Dropping it closes the connection without a word.
#[derive(Debug)]
#[must_use = "the player waits for accept or reject"]
pub struct Play {
    connection: Connection,
    wanted: Wanted,
}

impl Play {
    pub(super) fn new(connection: Connection, wanted: Wanted) -> Self {
        Self { connection, wanted }
    }

    /// Where it comes from.
    pub fn peer(&self) -> SocketAddr {
        self.connection.peer
    }

    /// Whether it came by RTMPS.
    pub fn secure(&self) -> bool {
        self.connection.secure
    }

    /// The application it plays from, such as `play`.
    pub fn app(&self) -> &str {
        &self.wanted.app
    }

    /// The broadcast it wants.
    pub fn name(&self) -> &str {
        &self.wanted.name
    }

    /// What stood after a `?` in the address or the name.
    pub fn query(&self) -> Option<&str> {
        self.wanted.query.as_deref()
    }

    /// Enhanced RTMP codecs that it says it can play (`hvc1`, `av01`, `Opus`, `*`); empty for a legacy player.
    pub fn four_ccs(&self) -> &[String] {
        &self.wanted.four_ccs
    }

    /// Ends the play with a word to the player when `shutdown` is cancelled.
    pub fn until(mut self, shutdown: CancellationToken) -> Self {
        self.connection.shutdown = shutdown;
        self
    }

    /// Turns the player away; it shows the refusal's description.
    pub async fn reject(self, refusal: Refusal) {
        let span = self.connection.span.clone();
        self.connection.reject(&refusal).instrument(span).await;
    }

    /// Writes the broadcast to the player until either is over, or the player is too slow.
    pub async fn accept(self, viewer: Viewer) -> Result<(), Error> {
        let span = self.connection.span.clone();
        feed(self.connection, viewer).instrument(span).await
    }
}

async fn feed(mut connection: Connection, viewer: Viewer) -> Result<(), Error> {
    connection.session.accept();
    connection.flush().await?;
    let Connection { socket, mut session, peer, config, shutdown, admission: _admission, .. } = connection;
    session.link().compact();
    if let Some(bytes) = config.player_send_buffer_bytes {
        let sized = SockRef::from(socket.tcp()).set_send_buffer_size(bytes as usize);
        sized.map_err(|source| Error::Io { peer, source })?;
    }
    let plain = socket.plain().cloned();
    let (reader, writer) = tokio::io::split(socket);
    let timeout = config.write_timeout;
    let bounded = config.unacknowledged == Unacknowledged::IfAnnounced;
    let mut player = Player { reader, writer, plain, session, peer, timeout, bounded, gone: false };
    let (patience, fed) = (config.farewell, player.run(viewer, shutdown).await);
    if fed.is_ok() && !player.gone {
        player.session.end_play();
        player.farewell(patience).await;
    }
    fed
}

/// A player that is being fed. Reading goes on whatever writing does, and never the other way round.
struct Player {
    reader: ReadHalf<Socket>,
    writer: WriteHalf<Socket>,
    /// The socket beneath, for the packager to write to.
    plain: Option<Arc<TcpStream>>,
    session: Session,
    peer: SocketAddr,
    timeout: Duration,
    /// Heed the window that the player announces.
    bounded: bool,
    /// The player has closed, or said that it has had enough.
    gone: bool,
}

impl Player {
    async fn run(&mut self, mut viewer: Viewer, shutdown: CancellationToken) -> Result<(), Error> {
        let fed = self.feed(&mut viewer, shutdown).await;
        // What follows is written by us alone, and after whole messages.
        self.reclaim(&mut viewer).await?;
        fed
    }

    async fn feed(&mut self, viewer: &mut Viewer, shutdown: CancellationToken) -> Result<(), Error> {
        let mut stopped = pin!(shutdown.cancelled());
        let mut stalled: Option<Instant> = None;
        while !self.gone {
            if !self.session.outbound().is_empty() {
                self.reclaim(viewer).await?;
                let answers = self.session.outbound().split().freeze();
                self.write(answers).await?;
            }
            let direct = self.direct();
            if direct.is_none() {
                self.reclaim(viewer).await?;
            }
            let allowed = self.may_send();
            stalled = if allowed { None } else { stalled.or_else(|| Some(Instant::now())) };
            tokio::select! {
                biased;
                () = &mut stopped => return Ok(()),
                next = next(viewer, direct.as_ref()), if allowed => {
                    match next.map_err(|source| Error::TooSlow { peer: self.peer, source })? {
                        Some(bytes) => self.write(bytes).await?,
                        None => return Ok(()),
                    }
                }
                read = read(&mut self.reader, &mut self.session) => self.hear(read)?,
                () = expired(stalled, self.timeout), if !allowed => return Err(self.stuck()),
            }
        }
        Ok(())
    }

    /// Writes all of it in time. What the player sends meanwhile is read, so that neither waits for the other.
    async fn write(&mut self, mut bytes: Bytes) -> Result<(), Error> {
        self.session.link().count_sent(bytes.len() as u64);
        // Nearly always the socket takes it at once, and no timer is needed.
        if let Some(written) = self.writer.write(&bytes).now_or_never() {
            self.advance(&mut bytes, written)?;
        }
        let mut deadline = pin!((!bytes.is_empty()).then(|| sleep(self.timeout)));
        while !bytes.is_empty() && !self.gone {
            let deadline = deadline.as_mut().as_pin_mut().expect("made above, as there are bytes");
            tokio::select! {
                biased;
                written = self.writer.write(&bytes) => self.advance(&mut bytes, written)?,
                read = read(&mut self.reader, &mut self.session) => self.hear(read)?,
                () = deadline => return Err(self.stuck()),
            }
        }
        self.flush().await
    }

    /// TLS may hold back the end of what was written; TCP never does, so again no timer is needed nearly always.
    async fn flush(&mut self) -> Result<(), Error> {
        let flushed = match self.writer.flush().now_or_never() {
            Some(flushed) => flushed,
            None => match timeout(self.timeout, self.writer.flush()).await {
                Ok(flushed) => flushed,
                Err(_) => return Err(self.stuck()),
            },
        };
        flushed.or_else(|source| self.lost(source))
    }

    fn advance(&mut self, bytes: &mut Bytes, written: io::Result<usize>) -> Result<(), Error> {
        match written {
            Ok(0) if !bytes.is_empty() => Err(Error::Io { peer: self.peer, source: io::ErrorKind::WriteZero.into() }),
            Ok(count) => {
                bytes.advance(count);
                Ok(())
            }
            Err(source) => self.lost(source),
        }
    }

    fn hear(&mut self, read: io::Result<usize>) -> Result<(), Error> {
        match read {
            Ok(0) => self.gone = true,
            Ok(_) => {
                let event = self.session.poll().map_err(|source| Error::Session { peer: self.peer, source })?;
                self.gone |= event == Some(Event::Goodbye);
            }
            Err(source) => return self.lost(source),
        }
        Ok(())
    }

    /// A player that closes is nothing special, however it does it.
    fn lost(&mut self, error: io::Error) -> Result<(), Error> {
        tracing::debug!(%error, "player is gone");
        self.gone = true;
        Ok(())
    }

    /// The socket, when nothing speaks against others writing to it: a player's own window has to be counted here.
    fn direct(&mut self) -> Option<Arc<TcpStream>> {
        let windowed = self.bounded && self.session.link().unacknowledged().is_some();
        self.plain.clone().filter(|_| !windowed)
    }

    /// Ends the packager's writing, at the end of a message.
    async fn reclaim(&mut self, viewer: &mut Viewer) -> Result<(), Error> {
        let rest = viewer.reclaim();
        self.session.link().count_sent(viewer.written());
        match rest {
            Some(rest) => self.write(rest).await,
            None => Ok(()),
        }
    }

    fn may_send(&mut self) -> bool {
        let unacknowledged = self.session.link().unacknowledged();
        !self.bounded || unacknowledged.is_none_or(|(bytes, allowed)| bytes <= allowed)
    }

    fn stuck(&self) -> Error {
        Error::Stuck { peer: self.peer, timeout: self.timeout }
    }

    /// Says that it is over and closes; see `Connection::farewell`.
    async fn farewell(&mut self, patience: Duration) {
        let goodbye = async {
            self.writer.write_all_buf(self.session.outbound()).await?;
            self.writer.shutdown().await?;
            while read(&mut self.reader, &mut self.session).await? > 0 {
                self.session.inbound().clear();
            }
            Ok::<_, io::Error>(())
        };
        // However it ends, the connection is over.
        let _ = timeout(patience, goodbye).await;
    }
}

/// Waits until a stall has lasted too long. The timer is made only when this is polled.
async fn expired(since: Option<Instant>, timeout: Duration) {
    match since {
        Some(since) => sleep_until(since + timeout).await,
        None => std::future::pending().await,
    }
}

/// Nothing is lost when it is dropped while waiting.
async fn next(viewer: &mut Viewer, direct: Option<&Arc<TcpStream>>) -> Result<Option<Bytes>, TooSlow> {
    match direct {
        Some(socket) => viewer.next_for(socket).await,
        None => viewer.next().await,
    }
}

/// Nothing is lost when it is dropped while waiting.
async fn read(reader: &mut ReadHalf<Socket>, session: &mut Session) -> io::Result<usize> {
    let inbound = session.inbound();
    inbound.reserve(READ_BYTES);
    reader.read_buf(inbound).await
}
