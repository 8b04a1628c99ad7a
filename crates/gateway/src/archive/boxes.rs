//! Moving a segment to another place: on the time line when it is recorded, among the tracks of a download when it is read.
//!
//! All fields have a fixed size and are changed where they stand, so a segment has the same length everywhere.
//!
//! ```text
//! segment: ([prft] moof( mfhd traf( tfhd(track, description, ...) tfdt(64 bits) trun ) ... ) mdat)...
//! ```

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use mp4_atom::{Decode, Moof};

use crate::hls::{AUDIO_TRACK, VIDEO_TIMESCALE, VIDEO_TRACK, ticks};
use crate::mp4::sieve;

/// The flag of `tfhd` that says that it has a description index, which then stands after the track id.
const HAS_DESCRIPTION: u8 = 0x02;

/// Moves a part by `shift_us` and leaves out its `prft`: the wall time stands in the index, the media time would be wrong.
/// Gives the part and where its audio ends, in microseconds of the new time line.
pub(super) fn retime(part: &Bytes, shift_us: i64, audio_rate: Option<u32>) -> (Bytes, Option<i64>) {
    let from = first(part, b"moof").map_or(0, |moof| moof.start - 8);
    let mut out = BytesMut::from(&part[from..]);
    for fragment in fragments(&out) {
        let timescale = match fragment.track {
            VIDEO_TRACK => VIDEO_TIMESCALE,
            _ => audio_rate.unwrap_or(VIDEO_TIMESCALE),
        };
        let Some(time) = fragment.time else { continue };
        let Some(field) = out.get_mut(time..time + 8) else { continue };
        let before = i64::from_be_bytes(field.try_into().expect("eight bytes were taken"));
        field.copy_from_slice(&before.saturating_add(ticks(shift_us, timescale)).max(0).to_be_bytes());
    }
    let audio_end_us = audio_rate.and_then(|rate| audio_end_us(&out, rate));
    (out.freeze(), audio_end_us)
}

/// Gives each track of a segment another id and sample description.
pub(super) fn assign(segment: &mut [u8], places: impl Fn(u32) -> Option<(u32, u32)>) {
    for fragment in fragments(segment) {
        let (Some((track, description)), at) = (places(fragment.track), fragment.header) else { continue };
        segment[at..at + 4].copy_from_slice(&track.to_be_bytes());
        if fragment.described {
            segment[at + 4..at + 8].copy_from_slice(&description.to_be_bytes());
        }
    }
}

fn audio_end_us(part: &[u8], rate: u32) -> Option<i64> {
    let moof = Moof::decode(&mut &sieve(part).ok()?[..]).ok()?;
    let audio = moof.traf.iter().find(|traf| traf.tfhd.track_id == AUDIO_TRACK)?;
    let usual = audio.tfhd.default_sample_duration.unwrap_or(0);
    let samples = audio.trun.iter().flat_map(|run| &run.entries);
    let lasted: u64 = samples.map(|sample| u64::from(sample.duration.unwrap_or(usual))).sum();
    let end = audio.tfdt.as_ref()?.base_media_decode_time.saturating_add(lasted);
    // Rounded up, so that what follows cannot begin before.
    i64::try_from((u128::from(end) * 1_000_000).div_ceil(u128::from(rate.max(1)))).ok()
}

/// Where the fields of one track's share of a part stand.
struct Fragment {
    track: u32,
    /// Of the track id in `tfhd`.
    header: usize,
    described: bool,
    /// Of the 64 bit decode time in `tfdt`.
    time: Option<usize>,
}

/// The track fragments of all parts in `bytes`.
fn fragments(bytes: &[u8]) -> Vec<Fragment> {
    let mut found = Vec::new();
    for (_, moof) in children(bytes, 0..bytes.len()).filter(|(kind, _)| kind == b"moof") {
        for (_, traf) in children(bytes, moof).filter(|(kind, _)| kind == b"traf") {
            let inner = |kind: &[u8; 4]| children(bytes, traf.clone()).find(|(k, _)| k == kind).map(|(_, at)| at);
            let Some(tfhd) = inner(b"tfhd").filter(|at| at.len() >= 8) else { continue };
            let described = bytes[tfhd.start + 3] & HAS_DESCRIPTION != 0 && tfhd.len() >= 12;
            let header = tfhd.start + 4;
            let track = u32::from_be_bytes(bytes[header..header + 4].try_into().expect("four bytes were taken"));
            let time = inner(b"tfdt").filter(|at| at.len() >= 12 && bytes[at.start] == 1).map(|at| at.start + 4);
            found.push(Fragment { track, header, described, time });
        }
    }
    found
}

fn first(bytes: &[u8], kind: &[u8; 4]) -> Option<Range<usize>> {
    children(bytes, 0..bytes.len()).find(|(k, _)| k == kind).map(|(_, at)| at)
}

/// The boxes that follow one another in `within`: kind and place of the content. Ends at the first that does not fit.
fn children(bytes: &[u8], within: Range<usize>) -> impl Iterator<Item = ([u8; 4], Range<usize>)> {
    let mut at = within.start;
    std::iter::from_fn(move || {
        let header = bytes.get(at..at + 8).filter(|_| at + 8 <= within.end)?;
        let (size, kind) = header.split_first_chunk::<4>()?;
        let end =
            at.checked_add(u32::from_be_bytes(*size) as usize).filter(|end| *end >= at + 8 && *end <= within.end)?;
        let found = (kind.try_into().ok()?, at + 8..end);
        at = end;
        Some(found)
    })
}

#[cfg(test)]
mod tests {
    use mp4_atom::{Any, DecodeMaybe, Encode, Mfhd, Tfdt, Tfhd, Traf, Trun, TrunEntry};

    use super::*;

    fn part(video: u64, audio: u64) -> Bytes {
        let traf = |track_id, time, duration| Traf {
            tfhd: Tfhd { track_id, sample_description_index: Some(1), ..Default::default() },
            tfdt: Some(Tfdt { base_media_decode_time: time }),
            trun: vec![Trun {
                data_offset: Some(0),
                entries: vec![TrunEntry { duration: Some(duration), size: Some(2), ..Default::default() }; 2],
            }],
            ..Default::default()
        };
        let moof = Moof { mfhd: Mfhd { sequence_number: 1 }, traf: vec![traf(1, video, 3000), traf(2, audio, 1024)] };
        let mut out = b"\0\0\0\x0cprft\0\0\0\0".to_vec();
        moof.encode(&mut out).expect("encodes");
        out.extend_from_slice(b"\0\0\0\x0cmdatxxxx");
        out.into()
    }

    fn times(mut bytes: &[u8]) -> Vec<(u32, u32, u64)> {
        let Some(Any::Moof(moof)) = Any::decode_maybe(&mut bytes).expect("parses") else { panic!("moof first") };
        let one = |traf: &Traf| {
            let time = traf.tfdt.as_ref().expect("tfdt").base_media_decode_time;
            (traf.tfhd.track_id, traf.tfhd.sample_description_index.unwrap_or(0), time)
        };
        moof.traf.iter().map(one).collect()
    }

    #[test]
    fn a_part_moves_on_both_tracks_and_says_where_its_audio_ends() {
        let (moved, end_us) = retime(&part(900_000, 480_000), -5_000_000, Some(48_000));
        assert_eq!(times(&moved), [(1, 1, 450_000), (2, 1, 240_000)]);
        assert_eq!(end_us, Some(5_042_667));
        let (moved, _) = retime(&part(0, 0), 14 * 3_600_000_000, Some(48_000));
        assert_eq!(times(&moved)[0].2, 14 * 3600 * 90_000);
    }

    #[test]
    fn tracks_are_assigned_in_every_part_of_a_segment() {
        let (one, _) = retime(&part(1, 2), 0, Some(48_000));
        let mut segment = [&one[..], &one[..]].concat();
        assign(&mut segment, |track| (track == 2).then_some((3, 2)));
        assert_eq!(times(&segment), [(1, 1, 1), (3, 2, 2)]);
        assert_eq!(times(&segment[one.len()..]), [(1, 1, 1), (3, 2, 2)]);
    }

    #[test]
    fn garbage_is_left_alone() {
        for bytes in [&b""[..], b"\0\0\0\x08moof", b"\0\0\0\x10moof\0\0\0\xfftraf", b"\0\0\0\0moof"] {
            let mut copy = bytes.to_vec();
            assign(&mut copy, |_| Some((9, 9)));
            assert_eq!(copy, bytes);
        }
    }
}
