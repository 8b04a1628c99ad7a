//! One connection's socket and session: reading, writing, and the way to a request and away from it.

use super::config::Config;
use super::error::Error;
use super::gate::Admission;
use crate::rtmp::Refusal;
use crate::rtmp::session::{Event, Session, Wanted};
use crate::rtmp::socket::Socket;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Bytes read at a time from a peer that has made no request, and from a publisher.
const READ_BYTES: usize = 16 << 10;

/// A peer on its socket.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) socket: Socket,
    pub(super) session: Session,
    pub(super) peer: SocketAddr,
    pub(super) secure: bool,
    pub(super) config: Arc<Config>,
    pub(super) span: tracing::Span,
    /// Ends the connection early, with a word to the peer.
    pub(super) shutdown: CancellationToken,
    /// Its place among the address's connections.
    pub(super) admission: Admission,
}

/// A connection whose peer waits for an answer.
#[derive(Debug)]
pub(super) enum Asked {
    Publish(Wanted),
    Play(Wanted),
}

impl Connection {
    /// Shakes hands and answers commands until the peer asks to publish or to play.
    pub(super) async fn request(&mut self) -> Result<Asked, Error> {
        loop {
            let event = self.session.poll();
            // Answers go out before an error ends it: they may say why.
            self.flush().await?;
            match event.map_err(|source| Error::Session { peer: self.peer, source })? {
                Some(Event::Publish(wanted)) => return Ok(Asked::Publish(wanted)),
                Some(Event::Play(wanted)) => return Ok(Asked::Play(wanted)),
                Some(Event::Media(_) | Event::Goodbye) => {}
                None if self.read().await? == 0 => return Err(Error::NoRequest { peer: self.peer }),
                None => {}
            }
        }
    }

    /// Reads what is there; 0 at the end. Nothing is lost when it is dropped while waiting.
    pub(super) async fn read(&mut self) -> Result<usize, Error> {
        let inbound = self.session.inbound();
        inbound.reserve(READ_BYTES);
        self.socket.read_buf(inbound).await.map_err(|source| Error::Io { peer: self.peer, source })
    }

    /// Sends what the session has to say.
    pub(super) async fn flush(&mut self) -> Result<(), Error> {
        let Self { socket, session, peer, config, .. } = self;
        if session.outbound().is_empty() {
            return Ok(());
        }
        let peer = *peer;
        let sending = async {
            socket.write_all_buf(session.outbound()).await?;
            socket.flush().await
        };
        match timeout(config.write_timeout, sending).await {
            Ok(sent) => sent.map_err(|source| Error::Io { peer, source }),
            Err(_) => Err(Error::Stuck { peer, timeout: config.write_timeout }),
        }
    }

    /// Turns the request down, or ends what was accepted, and waits until the peer has had time to read why.
    pub(super) async fn reject(mut self, refusal: &Refusal) {
        self.session.reject(refusal);
        self.farewell().await;
    }

    /// Sends the last words and closes.
    ///
    /// Closing a socket with unread bytes resets it, and the peer then loses what it has not read yet. So what it still
    /// sends is read, until it closes too or takes too long.
    pub(super) async fn farewell(mut self) {
        let patience = self.config.farewell;
        let goodbye = async {
            self.flush().await?;
            let shut = self.socket.shutdown().await;
            shut.map_err(|source| Error::Io { peer: self.peer, source })?;
            while self.read().await? > 0 {
                self.session.inbound().clear();
            }
            Ok::<_, Error>(())
        };
        // However it ends, the connection is over.
        let _ = timeout(patience, goodbye).await;
    }
}
