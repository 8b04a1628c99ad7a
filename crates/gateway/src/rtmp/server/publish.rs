//! A request to publish, and ingest.

use super::connection::Connection;
use super::error::Error;
use crate::flv::{self, Demuxer, TagKind};
use crate::rtmp::session::{Event, Wanted};
use crate::rtmp::{Media, MediaKind, Refusal};
use live::{Publisher, WriteError};
use std::io;
use std::net::SocketAddr;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

/// How a publisher left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goodbye {
    /// It said that its stream is over: its user pressed stop.
    Said,
    /// The connection ended without a word; it may come back.
    Dropped,
}

/// An encoder that wants to publish. Dropping it closes the connection without a word.
#[derive(Debug)]
#[must_use = "the encoder waits for accept or reject"]
pub struct Publish {
    connection: Connection,
    wanted: Wanted,
}

impl Publish {
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

    /// The application it publishes to, such as `live`.
    pub fn app(&self) -> &str {
        &self.wanted.app
    }

    /// The stream key. A secret: not for logs.
    pub fn key(&self) -> &str {
        &self.wanted.name
    }

    /// What stood after a `?` in the address or the key.
    pub fn query(&self) -> Option<&str> {
        self.wanted.query.as_deref()
    }

    /// What the encoder calls itself (`flashVer`).
    pub fn software(&self) -> &str {
        &self.wanted.software
    }

    /// Ends the publication with a word to the encoder when `shutdown` is cancelled.
    pub fn until(mut self, shutdown: CancellationToken) -> Self {
        self.connection.shutdown = shutdown;
        self
    }

    /// Turns the encoder away; it shows the refusal's description.
    pub async fn reject(self, refusal: Refusal) {
        let span = self.connection.span.clone();
        self.connection.reject(&refusal).instrument(span).await;
    }

    /// Lets the encoder publish until it leaves, breaks a rule, or is stopped.
    ///
    /// The publisher is let go of before the connection is closed, so that the same key can be used again at once.
    pub async fn accept(mut self, publisher: Publisher) -> Result<Goodbye, Error> {
        let span = self.connection.span.clone();
        let run = async move {
            self.connection.session.accept();
            match ingest(&mut self.connection, publisher).await {
                Ok(End::Left(goodbye)) => {
                    self.connection.farewell().await;
                    Ok(goodbye)
                }
                Ok(End::Stopped) => {
                    self.connection.reject(&Refusal::ShuttingDown).await;
                    Ok(Goodbye::Dropped)
                }
                Err(error) => {
                    if let Some(refusal) = refusal(&error) {
                        self.connection.reject(&refusal).await;
                    }
                    Err(error)
                }
            }
        };
        run.instrument(span).await
    }
}

enum End {
    Left(Goodbye),
    /// We are shutting down.
    Stopped,
}

async fn ingest(connection: &mut Connection, mut publisher: Publisher) -> Result<End, Error> {
    let (peer, idle) = (connection.peer, connection.config.publisher_idle);
    let shutdown = connection.shutdown.clone();
    let mut demuxer = Demuxer::new();
    loop {
        while let Some(event) = connection.session.poll().map_err(|source| Error::Session { peer, source })? {
            match event {
                Event::Media(media) => {
                    push(&mut demuxer, media, &mut publisher).map_err(|source| Error::Media { peer, source })?;
                }
                Event::Goodbye => return Ok(End::Left(Goodbye::Said)),
                Event::Publish(_) | Event::Play(_) => {}
            }
        }
        connection.flush().await?;
        let read = tokio::select! {
            read = timeout(idle, connection.read()) => read,
            () = shutdown.cancelled() => return Ok(End::Stopped),
        };
        match read {
            Ok(Ok(0)) => return Ok(End::Left(Goodbye::Dropped)),
            Ok(Ok(_)) => {}
            Ok(Err(Error::Io { source, .. })) if is_disconnect(&source) => {
                tracing::debug!(error = %source, "publisher is gone");
                return Ok(End::Left(Goodbye::Dropped));
            }
            Ok(Err(error)) => return Err(error),
            Err(_) => return Err(Error::Silent { peer, idle }),
        }
    }
}

fn push(demuxer: &mut Demuxer, media: Media, publisher: &mut Publisher) -> Result<(), flv::Error> {
    let kind = match media.kind {
        MediaKind::Audio => TagKind::Audio,
        MediaKind::Video => TagKind::Video,
        MediaKind::Script => TagKind::Script,
    };
    demuxer.push(kind, media.timestamp_ms, media.payload, publisher)
}

/// The ways in which a peer that vanishes shows; TLS adds the missing close_notify.
fn is_disconnect(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, TimedOut, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | TimedOut | UnexpectedEof)
}

/// What the encoder is told about an error of ours with its media; nothing about one with its connection.
fn refusal(error: &Error) -> Option<Refusal> {
    match error {
        Error::Media { source: flv::Error::Write(WriteError::Ended), .. } => Some(Refusal::Ended),
        Error::Media { source, .. } => Some(Refusal::Unsupported(source.to_string())),
        _ => None,
    }
}
