//! A replay as one fragmented MP4 file: a header made from the index, and then the segments as they are stored.
//!
//! ```text
//! ftyp moov( mvhd trak... mvex( mehd trex... ) ) sidx( one reference a segment ) segment...
//! ```
//! The length is known beforehand and any range can be read. Tracks of one kind and timescale are one track with a sample
//! description for each format; a format with another timescale has a track of its own. A segment whose format is not the first
//! gets its numbers changed when it is read.

use std::collections::HashMap;

use bytes::Bytes;
use mp4_atom::{Decode, Encode, Ftyp, Mehd, Moov, Mvex, SegmentReference, Sidx, Trak, Trex};

use super::index::Index;
use crate::hls::AUDIO_TRACK;
use crate::mp4::sieve;

/// Timescale of the segment index: microseconds.
const INDEX_TIMESCALE: u32 = 1_000_000;

/// References that one `sidx` can hold. A longer replay is without: it plays, and seeks by search.
const REFERENCES_MAX: usize = 65_535;

/// Where the tracks of one format are in the download: track id in the segment to track id and description in the file.
pub(super) type Places = HashMap<u32, (u32, u32)>;

/// The header of a download, and what to change in the segments.
#[derive(Debug)]
pub(super) struct Header {
    pub bytes: Bytes,
    /// By name of the init segment; none where segments stay as they are.
    pub places: HashMap<u64, Places>,
}

impl Header {
    /// `inits` are the init segments of the index, in its order. `None` when one is damaged.
    pub fn new(index: &Index, inits: &[Bytes]) -> Option<Self> {
        let mut movie: Option<Moov> = None;
        let mut places = HashMap::new();
        for (info, bytes) in index.inits.iter().zip(inits) {
            let mut rest = &bytes[..];
            Ftyp::decode(&mut rest).ok()?;
            let one = Moov::decode(&mut &sieve(rest).ok()?[..]).ok()?;
            let movie = movie.get_or_insert_with(|| Moov { trak: Vec::new(), ..one.clone() });
            let mut moved = Places::new();
            for trak in one.trak {
                let from = trak.tkhd.track_id;
                // Ours end with this one; those of the file count up from there.
                if from > AUDIO_TRACK {
                    return None;
                }
                moved.insert(from, add(&mut movie.trak, trak));
            }
            if moved.iter().any(|(from, to)| (*from, 1) != *to) {
                places.insert(info.name, moved);
            }
        }
        let mut movie = movie?;
        let duration_ms = u64::try_from(index.end_us() / 1000).unwrap_or(0);
        let trex = movie.trak.iter().map(|trak| Trex {
            track_id: trak.tkhd.track_id,
            default_sample_description_index: 1,
            ..Default::default()
        });
        movie.mvex = Some(Mvex { mehd: Some(Mehd { fragment_duration: duration_ms }), trex: trex.collect() });
        movie.mvhd.next_track_id = movie.trak.iter().map(|trak| trak.tkhd.track_id).max().unwrap_or(0) + 1;
        let ftyp = Ftyp {
            major_brand: b"iso6".into(),
            minor_version: 1,
            compatible_brands: vec![b"iso6".into(), b"mp41".into()],
        };
        let mut out = Vec::with_capacity(2048 + 12 * index.segments.len());
        ftyp.encode(&mut out).and_then(|()| movie.encode(&mut out)).ok()?;
        if index.segments.len() <= REFERENCES_MAX {
            segment_index(index, movie.trak.first()?.tkhd.track_id).encode(&mut out).ok()?;
        }
        Some(Self { bytes: out.into(), places })
    }
}

/// Puts a track of a format among those of the file: its id and description there.
fn add(tracks: &mut Vec<Trak>, mut new: Trak) -> (u32, u32) {
    let same = |old: &&mut Trak| {
        old.mdia.hdlr.handler == new.mdia.hdlr.handler && old.mdia.mdhd.timescale == new.mdia.mdhd.timescale
    };
    if let Some(old) = tracks.iter_mut().find(same) {
        let known = &mut old.mdia.minf.stbl.stsd.codecs;
        let wanted = std::mem::take(&mut new.mdia.minf.stbl.stsd.codecs);
        let Some(codec) = wanted.into_iter().next() else { return (old.tkhd.track_id, 1) };
        let at = known.iter().position(|codec_known| *codec_known == codec).unwrap_or_else(|| {
            known.push(codec);
            known.len() - 1
        });
        return (old.tkhd.track_id, at as u32 + 1);
    }
    if tracks.iter().any(|old| old.tkhd.track_id == new.tkhd.track_id) {
        new.tkhd.track_id = tracks.iter().map(|old| old.tkhd.track_id).max().unwrap_or(0).max(2) + 1;
    }
    let place = (new.tkhd.track_id, 1);
    tracks.push(new);
    place
}

fn segment_index(index: &Index, track: u32) -> Sidx {
    let reference = |(at, segment): (usize, &super::Segment)| SegmentReference {
        reference_type: false,
        referenced_size: segment.bytes as u32,
        subsegment_duration: u32::try_from(index.shown_us(at)).unwrap_or(u32::MAX),
        starts_with_sap: segment.independent,
        sap_type: u8::from(segment.independent),
        sap_delta_time: 0,
    };
    Sidx {
        reference_id: track,
        timescale: INDEX_TIMESCALE,
        earliest_presentation_time: 0,
        first_offset: 0,
        references: index.segments.iter().enumerate().map(reference).collect(),
    }
}
