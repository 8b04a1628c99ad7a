//! The capture-time stamp: an SEI message `user_data_unregistered` (H.264 D.1.7, HEVC D.2.7) in which an encoder says when it
//! took the picture. `docs/design/time.md` specifies it for those who write encoders.
//!
//! ```text
//! NAL header | 05 | 19 | 84739ac3-b625-4aa6-ab3b-a45469dc5c24 | 01 | unix microseconds | 80
//! 06 (H.264) | ^    ^    16 bytes, our UUID                     ^    8 bytes, signed     ^ rbsp_trailing_bits
//! 4e 01 HEVC | type size, 25 bytes                              version   big-endian
//! ```
//! Emulation prevention bytes (00 00 03) are inserted when writing and removed when reading. Payloads longer than 25 bytes
//! of version 1 are read too: what follows the time is left for later versions.

use bytes::{BufMut, Bytes, BytesMut};

/// The UUID that names our message.
pub const UUID: [u8; 16] =
    [0x84, 0x73, 0x9a, 0xc3, 0xb6, 0x25, 0x4a, 0xa6, 0xab, 0x3b, 0xa4, 0x54, 0x69, 0xdc, 0x5c, 0x24];

const VERSION: u8 = 1;
/// UUID, version and time.
const PAYLOAD_BYTES: usize = 16 + 1 + 8;
const USER_DATA_UNREGISTERED: usize = 5;

/// An encoder writes the stamp before the first slice, after at most a few parameter sets and other SEI messages.
const MAX_NALS: usize = 32;
/// What is looked at of one SEI NAL unit; others' messages may be long, ours comes in a unit of its own.
const MAX_SEI_BYTES: usize = 1024;

/// The H.264 SEI NAL unit (no length prefix, no start code) that stamps a picture with microseconds since 1970-01-01 UTC.
pub fn encode_h264(unix_us: i64) -> Vec<u8> {
    nal(&[0x06], unix_us)
}

/// The HEVC prefix SEI NAL unit with the same message.
pub fn encode_hevc(unix_us: i64) -> Vec<u8> {
    nal(&[39 << 1, 1], unix_us)
}

/// A length-prefixed (4 bytes) H.264 access unit with the stamp put before it.
pub fn stamp_h264(unix_us: i64, access_unit: &[u8]) -> Bytes {
    let sei = encode_h264(unix_us);
    let mut out = BytesMut::with_capacity(4 + sei.len() + access_unit.len());
    out.put_u32(u32::try_from(sei.len()).expect("a stamp is about forty bytes"));
    out.put_slice(&sei);
    out.put_slice(access_unit);
    out.freeze()
}

/// The capture time of a length-prefixed (4 bytes) H.264 access unit: microseconds since 1970-01-01 UTC. `None` when it has
/// no stamp, and for anything malformed.
pub fn find_h264(access_unit: &[u8]) -> Option<i64> {
    // 1..=5 are slices, 6 is SEI.
    find(access_unit, 1, |header| match header & 0x1f {
        6 => Nal::Sei,
        1..=5 => Nal::Slice,
        _ => Nal::Other,
    })
}

/// The same for a length-prefixed (4 bytes) HEVC access unit.
pub fn find_hevc(access_unit: &[u8]) -> Option<i64> {
    // 0..=31 are slices, 39 is prefix SEI.
    find(access_unit, 2, |header| match header >> 1 & 0x3f {
        39 => Nal::Sei,
        0..=31 => Nal::Slice,
        _ => Nal::Other,
    })
}

enum Nal {
    Sei,
    Slice,
    Other,
}

fn find(mut rest: &[u8], header_bytes: usize, classify: impl Fn(u8) -> Nal) -> Option<i64> {
    for _ in 0..MAX_NALS {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let nal = after.get(..usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
        rest = &after[nal.len()..];
        match nal.first().map_or(Nal::Other, |&header| classify(header)) {
            Nal::Sei => {
                let body = nal.get(header_bytes..).unwrap_or_default();
                let rbsp = unescape(&body[..body.len().min(MAX_SEI_BYTES)]);
                if let Some(unix_us) = messages(&rbsp) {
                    return Some(unix_us);
                }
            }
            Nal::Slice => return None,
            Nal::Other => {}
        }
    }
    None
}

/// Walks the SEI messages of one unit. The last byte is rbsp_trailing_bits, so a message needs at least two before it.
fn messages(mut rbsp: &[u8]) -> Option<i64> {
    while rbsp.len() > 2 {
        let kind = varint(&mut rbsp)?;
        let size = varint(&mut rbsp)?;
        let payload = rbsp.get(..size)?;
        rbsp = &rbsp[size..];
        if kind == USER_DATA_UNREGISTERED
            && let Some(unix_us) = stamp(payload)
        {
            return Some(unix_us);
        }
    }
    None
}

fn stamp(payload: &[u8]) -> Option<i64> {
    let body = payload.strip_prefix(&UUID)?.strip_prefix(&[VERSION])?;
    body.first_chunk().map(|time| i64::from_be_bytes(*time))
}

/// H.264 7.3.2.3.1: 0xff adds 255 and goes on.
fn varint(bytes: &mut &[u8]) -> Option<usize> {
    let mut value = 0usize;
    loop {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value += usize::from(byte);
        if byte != 0xff {
            return Some(value);
        }
    }
}

fn nal(header: &[u8], unix_us: i64) -> Vec<u8> {
    let mut rbsp = vec![USER_DATA_UNREGISTERED as u8, PAYLOAD_BYTES as u8];
    rbsp.extend_from_slice(&UUID);
    rbsp.push(VERSION);
    rbsp.extend_from_slice(&unix_us.to_be_bytes());
    rbsp.push(0x80);
    let mut nal = header.to_vec();
    escape(&rbsp, &mut nal);
    nal
}

/// H.264 7.4.1.1: no 00 00 0x with x <= 3 inside a NAL unit.
fn escape(rbsp: &[u8], out: &mut Vec<u8>) {
    let mut zeros = 0;
    for &byte in rbsp {
        if zeros == 2 && byte <= 3 {
            out.push(3);
            zeros = 0;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        out.push(byte);
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

    fn prefixed(nals: &[&[u8]]) -> Vec<u8> {
        nals.iter().flat_map(|nal| [&(nal.len() as u32).to_be_bytes()[..], nal].concat()).collect()
    }

    /// Times that need emulation prevention in every place, and a spread of others.
    fn times() -> impl Iterator<Item = i64> {
        let shapes =
            [0, 1, 3, -1, i64::MIN, i64::MAX, 0x0000_0100_0000_0200, 0x0001_0000_0003_0000, 1_795_255_000_123_456];
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        let spread = (0..20_000).map(move |i| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // Thin out the bits so that runs of zero bytes are common.
            (state & state.rotate_left(17) & state.rotate_left(i % 64)).cast_signed()
        });
        shapes.into_iter().chain(spread)
    }

    #[test]
    fn every_time_survives_the_round_trip_without_a_start_code_inside() {
        for unix_us in times() {
            let sei = encode_h264(unix_us);
            assert!(!sei.windows(3).any(|w| w[..2] == [0, 0] && w[2] < 3), "{unix_us}: {sei:02x?}");
            assert_eq!(find_h264(&stamp_h264(unix_us, &[])), Some(unix_us));
            assert_eq!(find_hevc(&prefixed(&[&encode_hevc(unix_us)])), Some(unix_us));
        }
    }

    #[test]
    fn the_written_bytes_are_the_specified_ones() {
        let sei = encode_h264(1_795_255_323_045_678);
        let expected = "06051984739ac3b6254aa6ab3ba45469dc5c24\
                        01000660c673cfaf2e80";
        assert_eq!(sei.iter().map(|b| format!("{b:02x}")).collect::<String>(), expected);
    }

    #[test]
    fn the_stamp_is_found_behind_parameter_sets_and_other_messages() {
        let mut both = vec![0x06, 0x05, 0x11];
        both.extend([7; 17]);
        both.extend(&encode_h264(42)[1..]);
        let au = prefixed(&[&[0x09, 0xf0], &[0x67, 1, 2], &[0x68, 1], &both, &[0x65, 0x88]]);
        assert_eq!(find_h264(&au), Some(42));
    }

    #[test]
    fn a_stamp_after_the_slice_or_with_another_uuid_or_version_is_not_ours() {
        let stamp = encode_h264(42);
        assert_eq!(find_h264(&prefixed(&[&[0x65, 0x88], &stamp])), None);
        for at in [3, 18, 19] {
            let mut other = stamp.clone();
            other[at] ^= 0x40;
            assert_eq!(find_h264(&prefixed(&[&other])), None, "byte {at}");
        }
    }

    #[test]
    fn no_damage_to_the_bytes_panics() {
        let whole = stamp_h264(0x0000_0001_0000_0001, &[0, 0, 0, 2, 0x65, 0x88]);
        for cut in 0..whole.len() {
            find_h264(&whole[..cut]);
            find_hevc(&whole[cut..]);
        }
        for at in 0..whole.len() {
            for value in [0, 1, 5, 6, 0x4e, 0x7f, 0x80, 0xff] {
                let mut damaged = whole.to_vec();
                damaged[at] = value;
                find_h264(&damaged);
                find_hevc(&damaged);
            }
        }
        assert_eq!(find_h264(&[0xff; 64]), None);
        assert_eq!(find_h264(&prefixed(&[&[0x06][..]; 40])), None);
        assert_eq!(find_h264(&prefixed(&[&[&[0x06][..], &[0xff; 5000]].concat()])), None);
    }
}
