//! H.264 as it comes out of RTP, with start codes and parameter sets in the stream, into what the media model carries:
//! length-prefixed NAL units, and the parameter sets in a record of their own.

use bytes::{BufMut, Bytes, BytesMut};

const IDR: u8 = 5;
const SPS: u8 = 7;
const PPS: u8 = 8;
const DELIMITER: u8 = 9;
const FILLER: u8 = 12;

/// Parameter sets of one kind in a record: its counts have 5 and 8 bits, encoders send one or two.
const MOST_SETS: usize = 16;

/// Profiles whose record ends with the chroma format (ISO/IEC 14496-15 section 5.3.3.1.2).
const WITH_CHROMA: [u8; 4] = [100, 110, 122, 144];

/// An access unit for the media model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessUnit {
    /// Whether decoding can start here.
    pub keyframe: bool,
    /// NAL units, each after its length in 4 bytes.
    pub payload: Bytes,
    /// An AVCDecoderConfigurationRecord, when it is another than before.
    pub record: Option<Bytes>,
}

/// Takes access units in order; keeps the parameter sets in force.
#[derive(Debug, Default)]
pub struct Repacker {
    sps: Vec<Bytes>,
    pps: Vec<Bytes>,
    record: Bytes,
}

impl Repacker {
    /// Takes an access unit with start codes; `None` when there is nothing to show in it.
    pub fn push(&mut self, annex_b: &[u8]) -> Option<AccessUnit> {
        let mut payload = BytesMut::with_capacity(annex_b.len() + 16);
        let (mut keyframe, mut shows) = (false, false);
        let (mut sps, mut pps) = (Vec::new(), Vec::new());
        for nal in nals(annex_b) {
            match nal[0] & 0x1f {
                SPS if nal.len() >= 4 => add(&mut sps, nal),
                PPS => add(&mut pps, nal),
                SPS | DELIMITER | FILLER => {}
                kind => {
                    keyframe |= kind == IDR;
                    shows |= (1..=5).contains(&kind);
                    payload.put_u32(u32::try_from(nal.len()).ok()?);
                    payload.put_slice(nal);
                }
            }
        }
        if !sps.is_empty() {
            self.sps = sps;
        }
        if !pps.is_empty() {
            self.pps = pps;
        }
        if !shows {
            return None;
        }
        let record = if keyframe { self.changed() } else { None };
        Some(AccessUnit { keyframe, payload: payload.freeze(), record })
    }

    fn changed(&mut self) -> Option<Bytes> {
        let record = record(&self.sps, &self.pps)?;
        if record == self.record {
            return None;
        }
        self.record = record.clone();
        Some(record)
    }
}

fn add(sets: &mut Vec<Bytes>, nal: &[u8]) {
    // RTP sends them again and again, several times in an access unit even.
    if sets.len() < MOST_SETS && u16::try_from(nal.len()).is_ok() && !sets.iter().any(|set| set == nal) {
        sets.push(Bytes::copy_from_slice(nal));
    }
}

/// AVCDecoderConfigurationRecord:
/// ```text
/// 1 | profile | compatibility | level | 0xff: lengths of 4 bytes | 0xe0 + count | (length (16) | SPS)... | count | (length (16) | PPS)...
/// High profiles: 0xfc + chroma format | 0xf8 + luma bits - 8 | 0xf8 + chroma bits - 8 | 0
/// ```
fn record(sps: &[Bytes], pps: &[Bytes]) -> Option<Bytes> {
    let first = sps.first()?;
    if pps.is_empty() {
        return None;
    }
    let mut out = BytesMut::new();
    out.put_u8(1);
    out.put_slice(&first[1..4]);
    out.put_u8(0xff);
    for (flags, sets) in [(0xe0, sps), (0, pps)] {
        out.put_u8(flags | sets.len() as u8);
        for set in sets {
            out.put_u16(set.len() as u16);
            out.put_slice(set);
        }
    }
    if WITH_CHROMA.contains(&first[1]) {
        // 4:2:0 with 8 bits: the only one that WebRTC's profiles have.
        out.put_slice(&[0xfc | 1, 0xf8, 0xf8, 0]);
    }
    Some(out.freeze())
}

/// The NAL units between start codes (00 00 01), without the zeros before those. None is empty.
fn nals(annex_b: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = annex_b;
    let mut begun = false;
    std::iter::from_fn(move || {
        loop {
            if rest.is_empty() {
                return None;
            }
            let (nal, after) = match rest.windows(3).position(|window| window == [0, 0, 1]) {
                Some(at) => (&rest[..at], &rest[at + 3..]),
                None => (rest, &rest[rest.len()..]),
            };
            let inside = std::mem::replace(&mut begun, true);
            rest = after;
            let end = nal.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            if inside && end > 0 {
                return Some(&nal[..end]);
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SPS_NAL: &[u8] = &[0x67, 66, 0xc0, 31, 9];
    const PPS_NAL: &[u8] = &[0x68, 1, 2];

    fn annex_b(nals: &[&[u8]]) -> Vec<u8> {
        nals.iter().flat_map(|nal| [&[0, 0, 0, 1], *nal].concat()).collect()
    }

    #[test]
    fn a_keyframe_gives_its_record_once() {
        let mut repacker = Repacker::default();
        let unit = annex_b(&[&[9, 0xf0], SPS_NAL, PPS_NAL, &[6, 5, 1], &[0x65, 1, 2, 3]]);
        let first = repacker.push(&unit).expect("a picture");
        assert!(first.keyframe);
        assert_eq!(&first.payload[..], [0, 0, 0, 3, 6, 5, 1, 0, 0, 0, 4, 0x65, 1, 2, 3]);
        let record = first.record.expect("the first one");
        assert_eq!(&record[..8], [1, 66, 0xc0, 31, 0xff, 0xe1, 0, 5]);
        assert_eq!(repacker.push(&unit).expect("a picture").record, None);
        let other = annex_b(&[&[0x67, 66, 0xc0, 40, 9], PPS_NAL, &[0x65, 1]]);
        assert!(repacker.push(&other).expect("a picture").record.is_some());
    }

    #[test]
    fn sets_that_come_before_their_keyframe_are_kept() {
        let mut repacker = Repacker::default();
        assert_eq!(repacker.push(&annex_b(&[SPS_NAL, PPS_NAL])), None);
        let unit = repacker.push(&annex_b(&[&[0x65, 1]])).expect("a picture");
        assert!(unit.record.is_some());
    }

    #[test]
    fn a_keyframe_without_any_sets_has_no_record() {
        let unit = Repacker::default().push(&annex_b(&[&[0x65, 1]])).expect("a picture");
        assert_eq!((unit.keyframe, unit.record), (true, None));
    }

    #[test]
    fn both_start_codes_part_units_and_zeros_at_the_end_belong_to_none() {
        let found: Vec<&[u8]> = nals(&[7, 0, 0, 1, 1, 2, 0, 0, 0, 1, 3, 0, 0, 1, 0, 0, 1, 4, 0]).collect();
        assert_eq!(found, [&[1, 2][..], &[3], &[4]]);
    }

    proptest! {
        #[test]
        fn lengths_always_add_up(bytes in prop::collection::vec(prop_oneof![Just(0u8), Just(1), Just(0x65), Just(0x67), Just(0x68), any::<u8>()], 0..200)) {
            if let Some(unit) = Repacker::default().push(&bytes) {
                let mut rest = &unit.payload[..];
                while let Some((length, after)) = rest.split_first_chunk::<4>() {
                    rest = &after[u32::from_be_bytes(*length) as usize..];
                }
                prop_assert!(rest.is_empty());
            }
        }
    }
}
