//! What `Tracks` announces: the first video and the first audio track.

use bytes::Bytes;
use live::{AudioFormat, VideoFormat};

use super::ebml::{children, id, unsigned};
use crate::ingest::Error;

const VIDEO: u64 = 1;
const AUDIO: u64 = 2;

/// How a track is coded.
#[derive(Clone, Debug)]
pub(super) enum Coding {
    Video(VideoFormat),
    Audio(AudioFormat),
}

/// One track that is taken.
#[derive(Clone, Debug)]
pub(super) struct Track {
    pub number: u64,
    /// What the codec needs before its first sound, nanoseconds.
    pub delay_ns: u64,
    pub coding: Coding,
}

#[derive(Default)]
struct Entry {
    number: u64,
    kind: u64,
    codec: String,
    private: Option<Bytes>,
    delay_ns: u64,
    encoded: bool,
}

/// The tracks of a `Tracks` element.
pub(super) fn tracks(body: Bytes) -> Result<Vec<Track>, Error> {
    let mut tracks: Vec<Track> = Vec::new();
    let mut foreign = None;
    for element in children(body).filter(|element| element.id == id::TRACK_ENTRY).take(64) {
        let entry = entry(element.body);
        if !matches!(entry.kind, VIDEO | AUDIO) {
            continue;
        }
        let coding = match coding(&entry) {
            Ok(coding) => coding,
            Err(error @ Error::Codec(_)) => {
                foreign.get_or_insert(error);
                continue;
            }
            Err(error) => return Err(error),
        };
        let taken = |track: &Track| matches!(track.coding, Coding::Video(_)) == (entry.kind == VIDEO);
        if !tracks.iter().any(taken) {
            tracks.push(Track { number: entry.number, delay_ns: entry.delay_ns, coding });
        }
    }
    match foreign {
        Some(error) if tracks.len() < 2 => Err(error),
        _ => Ok(tracks),
    }
}

fn entry(body: Bytes) -> Entry {
    let mut entry = Entry::default();
    for element in children(body) {
        match element.id {
            id::TRACK_NUMBER => entry.number = unsigned(&element.body),
            id::TRACK_TYPE => entry.kind = unsigned(&element.body),
            id::CODEC_ID => entry.codec = name(&element.body),
            id::CODEC_PRIVATE => entry.private = Some(element.body),
            id::CODEC_DELAY => entry.delay_ns = unsigned(&element.body),
            id::CONTENT_ENCODINGS => entry.encoded = true,
            _ => {}
        }
    }
    entry
}

/// As much of a codec's name as an error may repeat.
fn name(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(32)]).into_owned();
    text.trim_end_matches('\0').to_owned()
}

fn coding(entry: &Entry) -> Result<Coding, Error> {
    if entry.encoded {
        return Err(Error::Codec(format!("{} compressed or encrypted by the container", entry.codec)));
    }
    let record = || {
        let missing = || Error::Codec(format!("{} without CodecPrivate", entry.codec));
        entry.private.as_deref().ok_or_else(missing)
    };
    Ok(match entry.codec.as_str() {
        "V_MPEG4/ISO/AVC" => Coding::Video(VideoFormat::h264(record()?)?),
        "V_MPEGH/ISO/HEVC" => Coding::Video(VideoFormat::hevc(record()?)?),
        "V_AV1" => Coding::Video(VideoFormat::av1(record()?)?),
        "A_AAC" => Coding::Audio(AudioFormat::aac(record()?)?),
        "A_OPUS" => Coding::Audio(AudioFormat::opus(record()?)?),
        other => return Err(Error::Codec(other.to_owned())),
    })
}
