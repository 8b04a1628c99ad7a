//! One upload: bytes of some container in, frames into a broadcast out. No I/O.

use live::Publisher;

use super::error::Error;
use super::feed::Feed;
use super::media::Media;
use super::sniff::Container;
use crate::{flv, matroska, mp4, ts};

/// Reads a container that was recognised by its first bytes.
#[derive(Debug)]
pub struct Upload {
    reader: Reader,
    feed: Feed,
    found: Vec<Media>,
}

#[derive(Debug)]
enum Reader {
    Flv(flv::FileReader, flv::Demuxer),
    Ts(Box<ts::Demuxer>),
    Mp4(Box<mp4::Demuxer>),
    Matroska(Box<matroska::Demuxer>),
}

impl Upload {
    pub fn new(container: Container) -> Self {
        let reader = match container {
            Container::Flv => Reader::Flv(flv::FileReader::new(), flv::Demuxer::new()),
            Container::Ts => Reader::Ts(Box::default()),
            Container::Mp4 => Reader::Mp4(Box::default()),
            Container::Matroska => Reader::Matroska(Box::default()),
        };
        Self { reader, feed: Feed::default(), found: Vec::new() }
    }

    /// Takes what has come, cut anywhere.
    pub fn push(&mut self, bytes: &[u8], publisher: &mut Publisher) -> Result<(), Error> {
        let read = match &mut self.reader {
            Reader::Flv(file, demuxer) => {
                file.push(bytes);
                while let Some(tag) = file.poll()? {
                    demuxer.push(tag.kind, tag.timestamp_ms, tag.body, publisher)?;
                }
                return Ok(());
            }
            Reader::Ts(demuxer) => demuxer.push(bytes, &mut self.found),
            Reader::Mp4(demuxer) => demuxer.push(bytes, &mut self.found),
            Reader::Matroska(demuxer) => demuxer.push(bytes, &mut self.found),
        };
        // What came before a mistake is good.
        self.feed.drain(&mut self.found, publisher)?;
        read
    }

    /// The body ended.
    pub fn finish(mut self, publisher: &mut Publisher) -> Result<(), Error> {
        match &mut self.reader {
            Reader::Ts(demuxer) => demuxer.finish(&mut self.found)?,
            // These say how long everything is: nothing whole is left.
            Reader::Flv(..) | Reader::Mp4(_) | Reader::Matroska(_) => {}
        }
        self.feed.drain(&mut self.found, publisher)?;
        Ok(self.feed.finish(publisher)?)
    }
}
