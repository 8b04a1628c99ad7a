//! An upload as it comes from a connection: bounded in time, and told from one that broke off.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt as _};
use live::Publisher;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::error::Error;
use super::sniff::{self, Container, Sniffed};
use super::upload::Upload;

/// Bounds on one upload.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// What a connection has to send enough bytes to be recognised.
    pub begin: Duration,
    /// The longest silence.
    pub idle: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { begin: Duration::from_secs(10), idle: Duration::from_secs(10) }
    }
}

/// How an upload ended without a mistake in its media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The body came to its end: the encoder said goodbye.
    Complete,
    /// The connection broke off; the encoder may come back.
    Dropped,
    /// Nothing came for [`Config::idle`].
    Silent,
    /// We are shutting down.
    Stopped,
}

/// A body whose container is known.
pub struct Recognised<S> {
    body: S,
    container: Container,
    first: Bytes,
    config: Config,
}

/// Why a body was not recognised.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    /// It is none of ours.
    #[error(transparent)]
    Unknown(#[from] Error),
    /// The connection broke off first.
    #[error("the connection broke off")]
    Dropped,
    /// Not enough came in time.
    #[error("nothing to recognise came within {} s", .0.as_secs())]
    Silent(Duration),
}

/// Reads so much of `body` that its container is known.
pub async fn recognise<S, E>(mut body: S, config: Config) -> Result<Recognised<S>, (BeginError, S)>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    let deadline = Instant::now() + config.begin;
    let mut first = BytesMut::new();
    loop {
        match sniff::sniff(&first) {
            Sniffed::Is(container) => return Ok(Recognised { body, container, first: first.freeze(), config }),
            Sniffed::Other(what) => return Err((Error::Unknown(what).into(), body)),
            Sniffed::More => {}
        }
        match timeout_at(deadline, body.next()).await {
            Ok(Some(Ok(bytes))) => first.extend_from_slice(&bytes),
            Ok(Some(Err(_))) => return Err((BeginError::Dropped, body)),
            Ok(None) => return Err((Error::Unknown(sniff::unknown(&first)).into(), body)),
            Err(_) => return Err((BeginError::Silent(config.begin), body)),
        }
    }
}

impl<S, E> Recognised<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    pub fn container(&self) -> Container {
        self.container
    }

    /// Gives the body back, unread but for its first bytes.
    pub fn into_body(self) -> S {
        self.body
    }

    /// Publishes until the body ends or `stop` says so; gives the body back, for what is still under way.
    pub async fn publish(self, mut publisher: Publisher, stop: CancellationToken) -> (Result<End, Error>, S) {
        let Self { mut body, container, first, config } = self;
        let mut upload = Upload::new(container);
        let mut bytes = first;
        loop {
            if let Err(error) = upload.push(&bytes, &mut publisher) {
                return (Err(error), body);
            }
            let next = tokio::select! {
                next = timeout(config.idle, body.next()) => next,
                () = stop.cancelled() => return (Ok(End::Stopped), body),
            };
            bytes = match next {
                Ok(Some(Ok(bytes))) => bytes,
                Ok(Some(Err(_))) => return (Ok(End::Dropped), body),
                Ok(None) => return (upload.finish(&mut publisher).map(|()| End::Complete), body),
                Err(_) => return (Ok(End::Silent), body),
            };
        }
    }
}
