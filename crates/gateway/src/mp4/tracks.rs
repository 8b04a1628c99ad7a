//! What a `moov` announces: the first video and the first audio track, and what its fragments may leave out.

use bytes::Bytes;
use live::{AudioFormat, VideoFormat};
use mp4_atom::{Codec, Dops, Encode, Moov, Trak, Trex};

use crate::ingest::Error;

/// How a track is coded.
#[derive(Clone, Debug)]
pub(super) enum Coding {
    Video(VideoFormat),
    Audio(AudioFormat),
    /// Neither; only its sizes matter.
    Other,
}

/// One track that is taken.
#[derive(Clone, Debug)]
pub(super) struct Track {
    pub id: u32,
    /// Ticks in a second.
    pub timescale: u32,
    /// What the edit list adds to times, ticks.
    pub shift: i64,
    pub default_duration: u32,
    pub default_size: u32,
    pub default_flags: u32,
    /// Decode time after the last sample, for a fragment that does not say where it begins.
    pub next: i64,
    pub coding: Coding,
}

impl Track {
    pub fn is_video(&self) -> bool {
        matches!(self.coding, Coding::Video(_))
    }
}

/// The tracks of a `moov`.
pub(super) fn tracks(moov: &Moov) -> Result<Vec<Track>, Error> {
    let defaults = moov.mvex.as_ref().map_or(&[][..], |mvex| &mvex.trex);
    let mut tracks: Vec<Track> = Vec::new();
    let mut foreign = None;
    for trak in &moov.trak {
        let Some(entry) = trak.mdia.minf.stbl.stsd.codecs.first() else { continue };
        let coding = match coding(entry) {
            Ok(Some(coding)) => coding,
            Ok(None) => continue,
            Err(error @ Error::Codec(_)) => {
                foreign.get_or_insert(error);
                continue;
            }
            Err(error) => return Err(error),
        };
        let video = matches!(coding, Coding::Video(_));
        if trak.mdia.mdhd.timescale == 0 || tracks.iter().any(|track| track.is_video() == video) {
            continue;
        }
        let trex = defaults.iter().find(|trex| trex.track_id == trak.tkhd.track_id);
        tracks.push(track(trak, trex, moov.mvhd.timescale, coding));
    }
    match foreign {
        Some(error) if tracks.len() < 2 => Err(error),
        _ => Ok(tracks),
    }
}

fn track(trak: &Trak, trex: Option<&Trex>, movie_timescale: u32, coding: Coding) -> Track {
    let timescale = trak.mdia.mdhd.timescale;
    Track {
        id: trak.tkhd.track_id,
        timescale,
        shift: shift(trak, timescale, movie_timescale),
        default_duration: trex.map_or(0, |trex| trex.default_sample_duration),
        default_size: trex.map_or(0, |trex| trex.default_sample_size),
        default_flags: trex.map_or(0, |trex| trex.default_sample_flags),
        next: 0,
        coding,
    }
}

/// An empty edit delays a track, a media time leaves its beginning out (the frames that B-frames are held back for, or an
/// encoder's priming).
fn shift(trak: &Trak, timescale: u32, movie_timescale: u32) -> i64 {
    let entries = trak.edts.as_ref().and_then(|edts| edts.elst.as_ref()).map_or(&[][..], |elst| &elst.entries);
    let mut shift: i128 = 0;
    for entry in entries.iter().take(2) {
        match entry.media_time {
            None if movie_timescale > 0 => {
                shift += i128::from(entry.segment_duration) * i128::from(timescale) / i128::from(movie_timescale);
            }
            None => {}
            Some(start) => {
                shift -= i128::from(start);
                break;
            }
        }
    }
    // More than an hour is no edit of a live encoder's.
    let most = i128::from(timescale) * 3600;
    if shift.abs() <= most { shift as i64 } else { 0 }
}

/// `None` for what is neither video nor audio.
fn coding(entry: &Codec) -> Result<Option<Coding>, Error> {
    let foreign = |name: &str| Err(Error::Codec(name.to_owned()));
    let coding = match entry {
        Codec::Avc1(entry) => Coding::Video(VideoFormat::h264(&record(&entry.avcc)?)?),
        Codec::Hvc1(entry) => Coding::Video(VideoFormat::hevc(&record(&entry.hvcc)?)?),
        Codec::Hev1(entry) => Coding::Video(VideoFormat::hevc(&record(&entry.hvcc)?)?),
        Codec::Av01(entry) => Coding::Video(VideoFormat::av1(&record(&entry.av1c)?)?),
        Codec::Mp4a(entry) => match &entry.esds.es_desc.dec_config.dec_specific {
            Some(specific) if entry.esds.es_desc.dec_config.object_type_indication == 0x40 => {
                Coding::Audio(AudioFormat::aac(&specific.raw)?)
            }
            _ => return foreign("MP3 or MPEG-2 AAC in mp4a"),
        },
        Codec::Opus(entry) => Coding::Audio(AudioFormat::opus(&opus_head(&entry.dops))?),
        Codec::Vp08(_) => return foreign("VP8"),
        Codec::Vp09(_) => return foreign("VP9"),
        Codec::Flac(_) => return foreign("FLAC"),
        Codec::Ac3(_) => return foreign("AC-3"),
        Codec::Eac3(_) => return foreign("E-AC-3"),
        Codec::Unknown(name) if matches!(name.as_ref(), b"avc3" | b"mp4v" | b".mp3" | b"twos" | b"vvc1") => {
            return foreign(&name.to_string());
        }
        _ => return Ok(None),
    };
    Ok(Some(coding))
}

/// The body of a configuration box.
fn record(atom: &impl Encode) -> Result<Bytes, Error> {
    let mut bytes = Vec::new();
    let wrong = |error: mp4_atom::Error| Error::Malformed { container: "MP4", at: 0, what: error.to_string() };
    atom.encode(&mut bytes).map_err(wrong)?;
    Ok(Bytes::from(bytes).slice(8..))
}

/// OpusHead from `dOps`, which is the same big-endian (Opus in ISOBMFF section 4.3.2).
fn opus_head(dops: &Dops) -> Vec<u8> {
    let mut head = b"OpusHead\x01".to_vec();
    head.push(dops.output_channel_count);
    head.extend_from_slice(&dops.pre_skip.to_le_bytes());
    head.extend_from_slice(&dops.input_sample_rate.to_le_bytes());
    head.extend_from_slice(&dops.output_gain.to_le_bytes());
    head.push(0);
    head
}
