//! Receiving media.

use super::session::Event;
use super::{Client, Error};
use crate::rtmp::Media;
use futures::stream::{self, Stream};

/// A stream that the server lets us play.
#[derive(Debug)]
pub struct Playback {
    client: Client,
}

impl Playback {
    pub(super) fn new(client: Client) -> Self {
        Self { client }
    }

    /// The next message; `None` when the server says that the stream is over. Nothing is lost when it is dropped while
    /// waiting.
    pub async fn next(&mut self) -> Result<Option<Media>, Error> {
        loop {
            match self.client.event()? {
                Some(Event::Media(media)) => return Ok(Some(media)),
                Some(Event::Ended) => return Ok(None),
                Some(Event::Connected | Event::Started) => {}
                None => {
                    self.client.flush().await?;
                    self.client.read().await?;
                }
            }
        }
    }

    /// The messages as a stream, which ends after an error.
    pub fn into_stream(self) -> impl Stream<Item = Result<Media, Error>> + Send {
        stream::try_unfold(self, |mut playback| async move {
            let media = playback.next().await?;
            Ok(media.map(|media| (media, playback)))
        })
    }
}
