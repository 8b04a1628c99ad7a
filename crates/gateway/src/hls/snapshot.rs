//! One state of a broadcast, shared by every viewer that asks while it lasts.
//!
//! Playlists are rendered and compressed by the first viewer that asks; the others get the same bytes.

use std::io::Write;
use std::sync::OnceLock;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::playlist::{self, Extent};
use super::window::Window;

/// A rendered playlist.
#[derive(Clone, Debug)]
pub(super) struct Document {
    pub text: Bytes,
    pub gzip: Bytes,
}

/// An immutable state of the window and the playlists made from it.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub window: Window,
    index: OnceLock<Document>,
    plain_index: OnceLock<Document>,
    full: OnceLock<Document>,
    delta: OnceLock<Document>,
    plain: OnceLock<Document>,
    ts: OnceLock<Document>,
}

impl Snapshot {
    pub fn new(window: Window) -> Self {
        Self {
            window,
            index: OnceLock::new(),
            plain_index: OnceLock::new(),
            full: OnceLock::new(),
            delta: OnceLock::new(),
            plain: OnceLock::new(),
            ts: OnceLock::new(),
        }
    }

    /// The multivariant playlist of the low-latency stream.
    pub fn index(&self) -> &Document {
        self.index.get_or_init(|| Document::new(playlist::multivariant(&self.window, "media.m3u8")))
    }

    /// The multivariant playlist of the stream without parts.
    pub fn plain_index(&self) -> &Document {
        self.plain_index.get_or_init(|| Document::new(playlist::multivariant(&self.window, "media-plain.m3u8")))
    }

    /// The playlist with parts.
    pub fn media(&self, extent: Extent) -> &Document {
        let slot = match extent {
            Extent::Full => &self.full,
            Extent::Delta => &self.delta,
        };
        slot.get_or_init(|| Document::new(playlist::low_latency(&self.window, extent, &[])))
    }

    /// The playlist of whole segments.
    pub fn plain(&self) -> &Document {
        self.plain.get_or_init(|| Document::new(playlist::plain(&self.window)))
    }

    /// The playlist of transport streams; `None` while there is none.
    pub fn ts(&self) -> Option<&Document> {
        self.window.listed().rev().find(|segment| segment.complete())?.ts()?;
        Some(self.ts.get_or_init(|| Document::new(playlist::transport(&self.window))))
    }

    /// Whether anything can be played.
    pub fn has_media(&self) -> bool {
        self.window.last().is_some()
    }

    /// Whether a request for segment `msn`, or its part `part`, can be answered.
    pub fn reached(&self, msn: u64, part: Option<usize>) -> bool {
        let Some(part) = part else { return self.window.last_complete().is_some_and(|last| last >= msn) };
        // A part beyond the end of a complete segment is the first of the next one.
        self.window.last().is_some_and(|last| last.msn > msn || (last.msn == msn && last.parts.len() > part))
    }

    /// Whether the part is the one that the playlist hints at.
    pub fn hints(&self, msn: u64, part: usize) -> bool {
        !self.window.ended && self.window.next_part() == Some((msn, part))
    }

    /// The bytes of a part.
    pub fn part(&self, msn: u64, part: usize) -> Option<Bytes> {
        Some(self.window.segment(msn)?.parts.get(part)?.body.clone())
    }
}

impl Document {
    fn new(text: String) -> Self {
        // The fast level: playlists repeat themselves, and one is made for every part.
        let mut gzip = GzEncoder::new(Vec::with_capacity(text.len() / 4), Compression::fast());
        let gzip =
            gzip.write_all(text.as_bytes()).and_then(|()| gzip.finish()).expect("writing to memory does not fail");
        Self { text: text.into(), gzip: gzip.into() }
    }
}
