//! The little of H.264 that this crate touches itself: NAL units in their two wrappings, the avcC record, and the picture size
//! in a sequence parameter set. (What a broadcast knows of a codec is in crate `live`.)

use bytes::{BufMut, Bytes, BytesMut};

pub(crate) const SLICE: u8 = 1;
pub(crate) const IDR: u8 = 5;
pub(crate) const SPS: u8 = 7;
pub(crate) const PPS: u8 = 8;

pub(crate) const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// nal_unit_type, or 0 for an empty unit.
pub(crate) fn kind(nal: &[u8]) -> u8 {
    nal.first().map_or(0, |header| header & 0x1f)
}

/// The NAL unit without its Annex B start code.
pub(crate) fn without_start_code(nal: &[u8]) -> &[u8] {
    nal.strip_prefix(&START_CODE).or_else(|| nal.strip_prefix(&START_CODE[1..])).unwrap_or(nal)
}

/// AVCDecoderConfigurationRecord (ISO/IEC 14496-15 5.3.3.1) with one SPS and one PPS and 4-byte lengths. For the profiles that
/// have no chroma extension (Baseline, Main).
pub(crate) fn avcc(sps: &[u8], pps: &[u8]) -> Bytes {
    let mut out = BytesMut::new();
    out.put_u8(1);
    out.put_slice(sps.get(1..4).unwrap_or(&[66, 0, 31]));
    out.put_slice(&[0xff, 0xe1]);
    put_short(&mut out, sps);
    out.put_u8(1);
    put_short(&mut out, pps);
    out.freeze()
}

fn put_short(out: &mut BytesMut, nal: &[u8]) {
    out.put_u16(u16::try_from(nal.len()).expect("a parameter set of our own encoder is a few bytes"));
    out.put_slice(nal);
}

/// The parameter sets in an avcC record and the size of the length fields in its access units.
pub(crate) struct ParameterSets<'a> {
    pub sps: Vec<&'a [u8]>,
    pub pps: Vec<&'a [u8]>,
    pub length_bytes: usize,
}

/// Reads an avcC record; `None` when it is cut short or has no SPS.
pub(crate) fn parameter_sets(avcc: &[u8]) -> Option<ParameterSets<'_>> {
    let (head, mut rest) = avcc.split_first_chunk::<6>()?;
    let length_bytes = usize::from(head[4] & 3) + 1;
    let sps = sets(&mut rest, head[5] & 0x1f)?;
    let (&count, after) = rest.split_first()?;
    rest = after;
    let pps = sets(&mut rest, count)?;
    (head[0] == 1 && !sps.is_empty() && !pps.is_empty()).then_some(ParameterSets { sps, pps, length_bytes })
}

fn sets<'a>(rest: &mut &'a [u8], count: u8) -> Option<Vec<&'a [u8]>> {
    (0..count)
        .map(|_| {
            let (length, after) = rest.split_first_chunk::<2>()?;
            let nal = after.get(..usize::from(u16::from_be_bytes(*length)))?;
            *rest = &after[nal.len()..];
            Some(nal)
        })
        .collect()
}

/// The NAL units of a length-prefixed access unit; `None` when a length points outside.
pub(crate) fn nals(mut access_unit: &[u8], length_bytes: usize) -> Option<Vec<&[u8]>> {
    let mut out = Vec::new();
    while !access_unit.is_empty() {
        let (length, rest) = access_unit.split_at_checked(length_bytes)?;
        let length = length.iter().fold(0usize, |n, &byte| n << 8 | usize::from(byte));
        let (nal, rest) = rest.split_at_checked(length)?;
        out.push(nal);
        access_unit = rest;
    }
    Some(out)
}

/// Coded width and height of an SPS in pixels (H.264 7.3.2.1.1), cropping ignored. `None` when it does not parse.
pub(crate) fn coded_size(sps: &[u8]) -> Option<(u32, u32)> {
    let rbsp = unescape(sps.get(1..)?);
    let profile = *rbsp.first()?;
    let mut bits = Bits { bytes: &rbsp, at: 24 };
    bits.ue()?; // seq_parameter_set_id
    if [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135].contains(&profile) {
        skip_chroma(&mut bits)?;
    }
    bits.ue()?; // log2_max_frame_num_minus4
    match bits.ue()? {
        0 => drop(bits.ue()?),
        1 => {
            bits.take(1)?;
            bits.ue()?; // offsets are signed, but as long as unsigned ones
            bits.ue()?;
            for _ in 0..bits.ue().filter(|&n| n < 256)? {
                bits.ue()?;
            }
        }
        _ => {}
    }
    bits.ue()?; // max_num_ref_frames
    bits.take(1)?;
    let width = bits.ue()?.checked_add(1)?.checked_mul(16)?;
    let map_units = bits.ue()?.checked_add(1)?.checked_mul(16)?;
    let frames_only = bits.take(1)?;
    Some((width, map_units.checked_mul(2 - frames_only)?))
}

fn skip_chroma(bits: &mut Bits<'_>) -> Option<()> {
    let chroma_format = bits.ue()?;
    if chroma_format == 3 {
        bits.take(1)?;
    }
    bits.ue()?; // bit depths
    bits.ue()?;
    bits.take(1)?;
    if bits.take(1)? == 1 {
        for i in 0..if chroma_format == 3 { 12 } else { 8 } {
            if bits.take(1)? == 1 {
                skip_scaling_list(bits, if i < 6 { 16 } else { 64 })?;
            }
        }
    }
    Some(())
}

/// H.264 7.3.2.1.1.1.
fn skip_scaling_list(bits: &mut Bits<'_>, size: u32) -> Option<()> {
    let (mut last, mut next) = (8i64, 8i64);
    for _ in 0..size {
        if next != 0 {
            let code = i64::from(bits.ue()?);
            let delta = if code % 2 == 1 { (code + 1) / 2 } else { -code / 2 };
            next = (last + delta + 256) % 256;
        }
        last = if next == 0 { last } else { next };
    }
    Some(())
}

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: u32) -> Option<u32> {
        (0..count).try_fold(0u32, |value, _| {
            let bit = self.bytes.get(self.at / 8)? >> (7 - self.at % 8) & 1;
            self.at += 1;
            Some(value << 1 | u32::from(bit))
        })
    }

    /// Exp-Golomb, H.264 9.1.
    fn ue(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while self.take(1)? == 0 {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        Some((1u32 << zeros) - 1 + self.take(zeros)?)
    }
}

fn unescape(nal: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(nal.len());
    let mut zeros = 0;
    for &byte in nal {
        if zeros == 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        out.push(byte);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_an_x264_high_profile_picture_is_read() {
        // x264, 1920x1080 High@4.0: 1088 coded lines.
        let sps = [
            0x67, 0x64, 0x00, 0x28, 0xac, 0xd9, 0x40, 0x78, 0x02, 0x27, 0xe5, 0xc0, 0x44, 0x00, 0x00, 0x03, 0x00, 0x04,
            0x00, 0x00, 0x03, 0x00, 0xf0, 0x3c, 0x60, 0xc6, 0x58,
        ];
        assert_eq!(coded_size(&sps), Some((1920, 1088)));
    }

    #[test]
    fn an_avcc_written_is_an_avcc_read() {
        let record = avcc(&[0x67, 66, 192, 31, 9], &[0x68, 1]);
        let sets = parameter_sets(&record).expect("our own record parses");
        assert_eq!(
            (sets.sps, sets.pps, sets.length_bytes),
            (vec![&[0x67, 66, 192, 31, 9][..]], vec![&[0x68, 1][..]], 4)
        );
        for cut in 0..record.len() {
            assert!(parameter_sets(&record[..cut]).is_none(), "cut at {cut}");
        }
    }
}
