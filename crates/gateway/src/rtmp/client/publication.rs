//! Sending media.

use super::session::Event;
use super::{Client, Error, PATIENCE};
use crate::rtmp::MediaKind;
use futures::FutureExt;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

/// A stream that the server lets us publish. Dropping it closes the connection without a goodbye.
#[derive(Debug)]
pub struct Publication {
    client: Client,
}

impl Publication {
    pub(super) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Sends the body of an FLV video tag. Times are decoding times.
    pub async fn write_video(&mut self, timestamp_ms: u32, body: &[u8]) -> Result<(), Error> {
        self.write(MediaKind::Video, timestamp_ms, body).await
    }

    /// Sends the body of an FLV audio tag.
    pub async fn write_audio(&mut self, timestamp_ms: u32, body: &[u8]) -> Result<(), Error> {
        self.write(MediaKind::Audio, timestamp_ms, body).await
    }

    /// Sends metadata: AMF0, first the name `onMetaData`.
    pub async fn write_script(&mut self, timestamp_ms: u32, body: &[u8]) -> Result<(), Error> {
        self.write(MediaKind::Script, timestamp_ms, body).await
    }

    /// Says goodbye and waits until the server has closed.
    pub async fn finish(mut self) -> Result<(), Error> {
        self.client.session.finish();
        self.client.flush().await?;
        let server = self.client.server;
        let close = async {
            self.client.socket.shutdown().await.map_err(|source| Error::Io { server, source })?;
            loop {
                self.client.read().await?;
                self.client.session.inbound().clear();
            }
        };
        match timeout(PATIENCE, close).await {
            Ok(Err(Error::Closed { .. })) => Ok(()),
            Ok(ended) => ended,
            Err(_) => Err(Error::NoAnswer { server }),
        }
    }

    async fn write(&mut self, kind: MediaKind, timestamp_ms: u32, body: &[u8]) -> Result<(), Error> {
        self.hear()?;
        self.client.session.send(kind, timestamp_ms, body);
        match self.client.flush().await {
            Ok(()) => Ok(()),
            // The server may have said why before it closed.
            Err(error) => self.hear().and(Err(error)),
        }
    }

    /// Takes what the server has sent, without waiting: acknowledgements, or the reason why it ends the stream.
    fn hear(&mut self) -> Result<(), Error> {
        let read = self.client.read().now_or_never();
        while let Some(event) = self.client.event()? {
            if event == Event::Ended {
                return Err(Error::Closed { server: self.client.server });
            }
        }
        read.unwrap_or(Ok(()))
    }
}
