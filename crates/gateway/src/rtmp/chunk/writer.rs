//! Messages to chunks.

use super::EXTENDED;
use bytes::{BufMut, BytesMut};

/// The chunk size we announce and write with, in bytes: nearly every message is one chunk, so one header a frame.
pub const PLAY_CHUNK_SIZE: usize = 65536;

const FORMAT_FULL: u8 = 0;
const FORMAT_CONTINUED: u8 = 3;

/// Appends one message to `out`, cut into chunks of `chunk_size` bytes, its payload given in pieces.
///
/// The header is always a full one (format 0): the bytes depend on nothing that was sent before, so they can be made
/// once and sent to every player, whatever it has missed. `csid` is 2 to 255 (2 is for control messages). The payload
/// is at most 16,777,215 bytes, all the length field can say.
pub fn write_message(
    out: &mut BytesMut,
    csid: u8,
    type_id: u8,
    timestamp_ms: u32,
    stream_id: u32,
    payload: &[&[u8]],
    chunk_size: usize,
) {
    let length: usize = payload.iter().map(|piece| piece.len()).sum();
    debug_assert!(csid >= 2, "chunk stream ids 0 and 1 mark longer basic headers");
    debug_assert!(length <= 0xff_ffff, "the length field has three bytes");
    let chunk_size = chunk_size.max(1);
    let chunks = length.div_ceil(chunk_size).max(1);
    out.reserve(length + 12 + 6 * chunks);

    put_basic_header(out, FORMAT_FULL, csid);
    out.put_uint(u64::from(timestamp_ms.min(EXTENDED)), 3);
    out.put_uint(length as u64, 3);
    out.put_u8(type_id);
    out.put_u32_le(stream_id);
    put_extended(out, timestamp_ms);

    let mut room = chunk_size;
    for piece in payload {
        let mut piece = *piece;
        while !piece.is_empty() {
            if room == 0 {
                put_basic_header(out, FORMAT_CONTINUED, csid);
                put_extended(out, timestamp_ms);
                room = chunk_size;
            }
            let (now, later) = piece.split_at(piece.len().min(room));
            out.put_slice(now);
            room -= now.len();
            piece = later;
        }
    }
}

fn put_basic_header(out: &mut BytesMut, format: u8, csid: u8) {
    if csid < 64 {
        out.put_u8(format << 6 | csid);
    } else {
        out.put_slice(&[format << 6, csid - 64]);
    }
}

fn put_extended(out: &mut BytesMut, timestamp_ms: u32) {
    if timestamp_ms >= EXTENDED {
        out.put_u32(timestamp_ms);
    }
}
