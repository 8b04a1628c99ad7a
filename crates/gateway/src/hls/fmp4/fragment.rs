//! One part: an optional `prft`, a `moof` and its `mdat`.

use bytes::Bytes;
use mp4_atom::{Encode, Mfhd, Moof, Prft, ReferenceTime, Tfdt, Tfhd, Traf, Trun, TrunEntry};

/// Sample flags (ISO/IEC 14496-12 section 8.8.3.1): depends on no other sample.
const SYNC: u32 = 0x0200_0000;
/// Sample flags: depends on others, is not a sync sample.
const NOT_SYNC: u32 = 0x0101_0000;

/// Seconds from 1900 (NTP) to 1970 (Unix).
const NTP_EPOCH_SECONDS: u64 = 2_208_988_800;

/// A coded frame in its track's ticks.
#[derive(Clone, Debug)]
pub(in crate::hls) struct Sample {
    pub dts: i64,
    /// Presentation minus decode time.
    pub composition: i32,
    pub duration: u32,
    pub sync: bool,
    pub payload: Bytes,
}

/// One track's share of a part.
#[derive(Clone, Debug)]
pub(in crate::hls) struct Track {
    pub id: u32,
    /// Decode time of the first sample; of the part when there is none.
    pub start: i64,
    pub samples: Vec<Sample>,
}

/// When the picture shown at `media_time` was taken.
#[derive(Clone, Copy, Debug)]
pub(in crate::hls) struct Reference {
    pub track: u32,
    /// Presentation time in the track's ticks.
    pub media_time: i64,
    /// Microseconds since 1970.
    pub unix_us: i64,
}

/// Serialises a part. `tracks` come in the order of their data in `mdat`.
pub(in crate::hls) fn fragment(sequence: u32, reference: Option<Reference>, tracks: &[Track]) -> Bytes {
    // The offsets of the data depend on the size of the moof, which does not depend on the offsets.
    let header_bytes = encode(&moof(sequence, tracks, 0)).len();
    let moof = encode(&moof(sequence, tracks, header_bytes + 8));
    let media_bytes: usize = samples(tracks).map(|sample| sample.payload.len()).sum();
    let mdat_bytes = u32::try_from(media_bytes + 8).expect("a part is a fraction of a second of frames of a few MB");

    let mut out = reference.map_or_else(Vec::new, |reference| encode(&prft(reference)));
    out.reserve_exact(moof.len() + 8 + media_bytes);
    out.extend_from_slice(&moof);
    out.extend_from_slice(&mdat_bytes.to_be_bytes());
    out.extend_from_slice(b"mdat");
    for sample in samples(tracks) {
        out.extend_from_slice(&sample.payload);
    }
    out.into()
}

fn samples(tracks: &[Track]) -> impl Iterator<Item = &Sample> {
    tracks.iter().flat_map(|track| &track.samples)
}

fn moof(sequence_number: u32, tracks: &[Track], mut offset: usize) -> Moof {
    let mut traf = Vec::with_capacity(tracks.len());
    for track in tracks {
        traf.push(track_fragment(track, offset));
        offset += track.samples.iter().map(|sample| sample.payload.len()).sum::<usize>();
    }
    Moof { mfhd: Mfhd { sequence_number }, traf }
}

fn track_fragment(track: &Track, offset: usize) -> Traf {
    let duration = shared(&track.samples, |sample| sample.duration);
    let reordered = track.samples.iter().any(|sample| sample.composition != 0);
    let only_first = track.samples.iter().skip(1).all(|sample| !sample.sync);
    let usual = if track.samples.len() > 1 && track.samples.iter().all(|sample| sample.sync) { SYNC } else { NOT_SYNC };
    let flags = |n: usize, sample: &Sample| {
        let wanted = if sample.sync { SYNC } else { NOT_SYNC };
        // Per-sample flags only where a keyframe sits in the middle of a part.
        match usual {
            SYNC => None,
            _ if only_first => (n == 0 && wanted != usual).then_some(wanted),
            _ => Some(wanted),
        }
    };
    let entry = |(n, sample): (usize, &Sample)| TrunEntry {
        duration: duration.is_none().then_some(sample.duration),
        size: Some(sample.payload.len() as u32),
        flags: flags(n, sample),
        cts: reordered.then_some(sample.composition),
    };
    let entries: Vec<_> = track.samples.iter().enumerate().map(entry).collect();
    let trun = Trun { data_offset: Some(offset as i32), entries };
    Traf {
        tfhd: Tfhd {
            track_id: track.id,
            // Said although it is the default: a download that joins several formats has another number to put here.
            sample_description_index: Some(1),
            default_sample_duration: duration,
            default_sample_flags: Some(usual),
            default_base_is_moof: true,
            ..Default::default()
        },
        tfdt: Some(Tfdt { base_media_decode_time: track.start.max(0) as u64 }),
        trun: if track.samples.is_empty() { Vec::new() } else { vec![trun] },
        ..Default::default()
    }
}

/// The value that all samples have in common.
fn shared<T: PartialEq>(samples: &[Sample], value: impl Fn(&Sample) -> T) -> Option<T> {
    let first = value(samples.first()?);
    samples.iter().all(|sample| value(sample) == first).then_some(first)
}

fn prft(reference: Reference) -> Prft {
    let unix_us = reference.unix_us.max(0) as u64;
    let seconds = unix_us / 1_000_000 + NTP_EPOCH_SECONDS;
    let fraction = ((unix_us % 1_000_000) << 32) / 1_000_000;
    Prft {
        reference_track_id: reference.track,
        ntp_timestamp: (seconds << 32) | fraction,
        media_time: reference.media_time.max(0) as u64,
        // "Input to the encoder" is the nearest that the standard has to "taken by the camera".
        utc_time_semantics: ReferenceTime::Input,
    }
}

fn encode(atom: &impl Encode) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    atom.encode(&mut out).expect("the only error is a box over 4 GiB, and none of these carries media");
    out
}

#[cfg(test)]
mod tests {
    use mp4_atom::{Any, DecodeMaybe};

    use super::*;

    fn sample(dts: i64, composition: i32, duration: u32, sync: bool, payload: &'static [u8]) -> Sample {
        Sample { dts, composition, duration, sync, payload: Bytes::from_static(payload) }
    }

    fn boxes(mut bytes: &[u8]) -> Vec<Any> {
        std::iter::from_fn(|| Any::decode_maybe(&mut bytes).expect("boxes parse")).collect()
    }

    #[test]
    fn offsets_point_at_each_tracks_data() {
        let video = vec![sample(0, 3000, 3000, true, b"vvvv"), sample(3000, 0, 3030, false, b"ww")];
        let audio = vec![sample(0, 0, 1024, true, b"aaa"), sample(1024, 0, 1024, true, b"bbb")];
        let tracks = [Track { id: 1, start: 0, samples: video }, Track { id: 2, start: 0, samples: audio }];
        let bytes = fragment(7, None, &tracks);
        let Some(Any::Moof(moof)) = boxes(&bytes).into_iter().next() else { panic!("moof first") };
        let at = |n: usize| moof.traf[n].trun[0].data_offset.expect("offset set") as usize;
        assert_eq!(&bytes[at(0)..at(0) + 6], b"vvvvww");
        assert_eq!(&bytes[at(1)..], b"aaabbb");
        assert_eq!(moof.traf[0].trun[0].entries[0].flags, Some(SYNC));
        assert_eq!(moof.traf[1].tfhd.default_sample_duration, Some(1024));
    }

    #[test]
    fn a_keyframe_in_the_middle_keeps_its_flags() {
        let samples = vec![sample(0, 0, 1, false, b"p"), sample(1, 0, 1, true, b"i"), sample(2, 0, 1, false, b"p")];
        let bytes = fragment(1, None, &[Track { id: 1, start: 0, samples }]);
        let Some(Any::Moof(moof)) = boxes(&bytes).into_iter().next() else { panic!("moof first") };
        let flags: Vec<_> = moof.traf[0].trun[0].entries.iter().map(|entry| entry.flags).collect();
        assert_eq!(flags, [Some(NOT_SYNC), Some(SYNC), Some(NOT_SYNC)]);
    }

    #[test]
    fn the_reference_time_is_ntp() {
        let reference = Reference { track: 1, media_time: 900_000, unix_us: 1_500_000 };
        let bytes = fragment(1, Some(reference), &[]);
        let Some(Any::Prft(prft)) = boxes(&bytes).into_iter().next() else { panic!("prft first") };
        assert_eq!(prft.ntp_timestamp, ((NTP_EPOCH_SECONDS + 1) << 32) | (1 << 31));
        assert_eq!(prft.media_time, 900_000);
    }
}
