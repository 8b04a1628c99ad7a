//! Reading a replay: playlists, segments, and all of it as one file.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, Stream};

use super::download::{Header, Places};
use super::index::{Index, Segment, init_name, segment_name};
use super::store::Store;
use super::{Error, Request, boxes, playlist};
use crate::hls::us;

/// An init segment larger than this was not written by us.
pub(super) const INIT_MAX: u64 = 1 << 20;

/// How much of an object is read at a time: what a download holds in memory.
const CHUNK: u64 = 256 << 10;

/// A replay as far as it is written.
#[derive(Clone)]
pub struct Replay {
    id: String,
    index: Arc<Index>,
    live: bool,
    store: Store,
    dvr: Duration,
}

/// A file of a replay.
pub struct Content {
    pub content_type: &'static str,
    pub size: u64,
    /// Whether the bytes of that name never change.
    pub fixed: bool,
    /// Names the bytes, for `ETag`.
    pub tag: String,
    id: String,
    store: Store,
    body: Body,
}

enum Body {
    Memory(Bytes),
    Object(String),
    Download { header: Header, index: Arc<Index> },
}

/// A stretch of a file, wholly in memory or in one object.
enum Piece {
    Memory(Bytes),
    Object { name: String, range: Range<u64> },
    Changed { name: String, size: u64, range: Range<usize>, places: Places },
}

impl Replay {
    pub(super) fn new(id: String, index: Arc<Index>, live: bool, store: Store, dvr: Duration) -> Self {
        Self { id, index, live, store, dvr }
    }

    pub fn index(&self) -> &Index {
        &self.index
    }

    /// Width and height of its largest picture.
    pub fn size(&self) -> Option<(u32, u32)> {
        self.index.inits.iter().filter(|init| init.video).map(|init| (init.width, init.height)).max()
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// Whether the broadcast goes on, so that more may come.
    pub fn is_live(&self) -> bool {
        self.live
    }

    /// Whether somebody who watches the broadcast live may read the file: the rewind list, and what it lists.
    pub fn rewinds_to(&self, request: Request) -> bool {
        let from_us = self.index.end_us() - us(self.dvr);
        let listed = |n: u64| self.index.segment(n).is_some_and(|segment| segment.end_us >= from_us);
        self.live
            && !self.dvr.is_zero()
            && match request {
                Request::Dvr | Request::Init(_) => true,
                Request::Segment(n) => listed(n),
                Request::Index | Request::Media | Request::Download => false,
            }
    }

    /// A file.
    ///
    /// Errors: `NotFound` for one that is not there, the rewind list of a broadcast that is over too.
    pub async fn get(&self, request: Request) -> Result<Content, Error> {
        match request {
            Request::Index => Ok(self.playlist(playlist::multivariant(&self.index))),
            Request::Media => Ok(self.playlist(playlist::whole(&self.index, self.live))),
            Request::Dvr if self.live && !self.dvr.is_zero() => {
                Ok(self.playlist(playlist::rewind(&self.index, self.dvr)))
            }
            Request::Dvr => Err(Error::NotFound),
            Request::Init(name) => {
                let init = self.index.init(name).ok_or(Error::NotFound)?;
                Ok(self.object("video/mp4", init_name(name), init.bytes))
            }
            Request::Segment(n) => {
                let segment = self.index.segment(n).ok_or(Error::NotFound)?;
                Ok(self.object("video/iso.segment", segment_name(n), segment.bytes))
            }
            Request::Download => self.download().await,
        }
    }

    fn playlist(&self, text: String) -> Content {
        let body = Bytes::from(text);
        Content {
            content_type: "application/vnd.apple.mpegurl",
            size: body.len() as u64,
            fixed: false,
            tag: self.tag(),
            id: self.id.clone(),
            store: self.store.clone(),
            body: Body::Memory(body),
        }
    }

    fn object(&self, content_type: &'static str, name: String, size: u64) -> Content {
        Content {
            content_type,
            size,
            fixed: true,
            tag: format!("{}-{size}", name.split('.').next().unwrap_or_default()),
            id: self.id.clone(),
            store: self.store.clone(),
            body: Body::Object(name),
        }
    }

    async fn download(&self) -> Result<Content, Error> {
        let mut inits = Vec::with_capacity(self.index.inits.len());
        for init in &self.index.inits {
            inits.push(self.store.get(&self.id, &init_name(init.name), INIT_MAX).await?);
        }
        let damaged = || Error::Damaged { id: self.id.clone(), what: "an init segment" };
        let header = Header::new(&self.index, &inits).ok_or_else(damaged)?;
        Ok(Content {
            content_type: "video/mp4",
            size: header.bytes.len() as u64 + self.index.bytes,
            fixed: false,
            tag: self.tag(),
            id: self.id.clone(),
            store: self.store.clone(),
            body: Body::Download { header, index: self.index.clone() },
        })
    }

    /// Changes with every segment.
    fn tag(&self) -> String {
        format!("{}-{}", self.index.segments.len(), self.index.bytes)
    }
}

impl Content {
    /// The bytes in `range`, which lies within the size. Reads as they are taken.
    pub fn read(self, range: Range<u64>) -> impl Stream<Item = Result<Bytes, Error>> + Send + 'static {
        stream::try_unfold((self, range), |(content, range)| async move {
            let Some((piece, length)) = content.piece(&range) else { return Ok(None) };
            let bytes = content.fetch(piece).await?;
            let rest = range.start + length..range.end;
            Ok(Some((bytes, (content, rest))))
        })
    }

    /// The first stretch of a range and its length.
    fn piece(&self, range: &Range<u64>) -> Option<(Piece, u64)> {
        if range.is_empty() {
            return None;
        }
        match &self.body {
            Body::Memory(bytes) => Some(memory(bytes, range)),
            Body::Object(name) => {
                let end = range.end.min(range.start + CHUNK);
                Some((Piece::Object { name: name.clone(), range: range.start..end }, end - range.start))
            }
            Body::Download { header, index } => {
                let header_bytes = header.bytes.len() as u64;
                if range.start < header_bytes {
                    let end = range.end.min(header_bytes);
                    return Some(memory(&header.bytes, &(range.start..end)));
                }
                let (segment, from) = find(index, range.start - header_bytes)?;
                let until = segment.bytes.min(from + (range.end - range.start));
                let name = segment_name(segment.n);
                match header.places.get(&segment.init) {
                    None => {
                        let until = until.min(from + CHUNK);
                        Some((Piece::Object { name, range: from..until }, until - from))
                    }
                    Some(places) => {
                        let range = from as usize..until as usize;
                        let piece = Piece::Changed { name, size: segment.bytes, range, places: places.clone() };
                        Some((piece, until - from))
                    }
                }
            }
        }
    }

    async fn fetch(&self, piece: Piece) -> Result<Bytes, Error> {
        let damaged = || Error::Damaged { id: self.id.clone(), what: "a segment" };
        match piece {
            Piece::Memory(bytes) => Ok(bytes),
            Piece::Object { name, range } => {
                let wanted = range.end - range.start;
                let bytes = self.store.range(&self.id, &name, range).await?;
                if bytes.len() as u64 == wanted { Ok(bytes) } else { Err(damaged()) }
            }
            Piece::Changed { name, size, range, places } => {
                let mut segment = self.store.get(&self.id, &name, size).await?.to_vec();
                boxes::assign(&mut segment, |track| places.get(&track).copied());
                Bytes::from(segment).get(range.clone()).map(Bytes::copy_from_slice).ok_or_else(damaged)
            }
        }
    }
}

fn memory(bytes: &Bytes, range: &Range<u64>) -> (Piece, u64) {
    (Piece::Memory(bytes.slice(range.start as usize..range.end as usize)), range.end - range.start)
}

/// The segment that holds byte `at` of all segments, and where in it.
fn find(index: &Index, mut at: u64) -> Option<(&Segment, u64)> {
    for segment in &index.segments {
        match at.checked_sub(segment.bytes) {
            Some(rest) => at = rest,
            None => return Some((segment, at)),
        }
    }
    None
}
