//! From the bytes of a fragmented MP4 to frames.

use mp4_atom::{Decode, Moof, Moov};

use super::boxes::{self, Boxes, Whole};
use super::fragment::{self, Head};
use super::sieve::sieve;
use super::tracks::{self, Coding, Track};
use crate::ingest::Error;
use crate::ingest::media::Media;

/// Larger ones hold the sample tables of a whole film.
const LARGEST_MOOV: usize = 1 << 20;

/// Of [`fragment::MOST_SAMPLES`] with all that can be said of each.
const LARGEST_MOOF: usize = 1 << 20;

/// Reads fragments as they come: a `moov`, then `moof` and `mdat` in turn. Another `moov` begins anew, as an encoder that
/// changed its mind writes it.
#[derive(Debug, Default)]
pub struct Demuxer {
    boxes: Boxes,
    tracks: Option<Vec<Track>>,
    head: Option<Head>,
}

impl Demuxer {
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes what has come, cut anywhere, and adds to `found` what it completes.
    pub fn push(&mut self, bytes: &[u8], found: &mut Vec<Media>) -> Result<(), Error> {
        self.boxes.push(bytes);
        loop {
            match self.boxes.poll() {
                Ok(Some(whole)) => self.take(whole, found)?,
                Ok(None) => return Ok(()),
                Err(boxes::Wrong::Size { name, size }) => {
                    let name = String::from_utf8_lossy(&name);
                    return Err(malformed(self.boxes.at(), format!("box {name} of {size} bytes")));
                }
            }
        }
    }

    fn take(&mut self, whole: Whole, found: &mut Vec<Media>) -> Result<(), Error> {
        match &whole.name {
            b"moov" => self.begin(&whole, found),
            b"moof" if whole.bytes.len() > LARGEST_MOOF => {
                Err(malformed(whole.at, format!("the head of a fragment has {} bytes", whole.bytes.len())))
            }
            b"moof" => {
                self.head = Some(Head { moof: decode::<Moof>(&whole)?, at: whole.at });
                Ok(())
            }
            _ => self.data(&whole, found),
        }
    }

    fn begin(&mut self, whole: &Whole, found: &mut Vec<Media>) -> Result<(), Error> {
        if whole.bytes.len() > LARGEST_MOOV {
            return Err(not_fragmented(whole.at));
        }
        let tracks = tracks::tracks(&decode::<Moov>(whole)?)?;
        if tracks.is_empty() {
            return Err(malformed(whole.at, "moov without a video or audio track".into()));
        }
        for track in &tracks {
            found.push(match track.coding.clone() {
                Coding::Video(format) => Media::VideoFormat(format),
                Coding::Audio(format) => Media::AudioFormat(format),
                Coding::Other => continue,
            });
        }
        self.tracks = Some(tracks);
        self.head = None;
        Ok(())
    }

    fn data(&mut self, whole: &Whole, found: &mut Vec<Media>) -> Result<(), Error> {
        let (Some(tracks), Some(head)) = (&mut self.tracks, self.head.take()) else {
            return Err(not_fragmented(whole.at));
        };
        let data = whole.bytes.slice(whole.header..);
        let samples = fragment::samples(&head, &data, whole.at + whole.header as u64, tracks)
            .map_err(|wrong| malformed(head.at, wrong.to_string()))?;
        found.extend(samples.into_iter().map(|sample| match sample.video {
            true => Media::Video(sample.frame),
            false => Media::Audio(sample.frame),
        }));
        Ok(())
    }
}

fn decode<T: Decode>(whole: &Whole) -> Result<T, Error> {
    let needed = sieve(&whole.bytes).map_err(|wrong| malformed(whole.at, wrong.to_string()))?;
    T::decode(&mut &needed[..]).map_err(|error| malformed(whole.at, error.to_string()))
}

fn not_fragmented(at: u64) -> Error {
    let what =
        "this is a file, not a stream of fragments; ffmpeg needs -movflags frag_keyframe+empty_moov+default_base_moof";
    malformed(at, what.into())
}

fn malformed(at: u64, what: String) -> Error {
    Error::Malformed { container: "MP4", at, what }
}
