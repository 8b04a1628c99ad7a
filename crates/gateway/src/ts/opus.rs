//! Opus in PES packets (ETSI TS 103 491 and the Opus-in-TS draft, as ffmpeg writes it): each packet behind a control header.
//!
//! ```text
//! 7f e (11 bits) | start trim?, end trim?, extension?, 00 | size (ff means 255 more) ... | trims (2 each) | extension | packet
//! ```

use bytes::{Buf, Bytes};
use live::{AudioFormat, FormatError};

/// The OpusHead (RFC 7845) of a stream whose descriptor has this channel configuration code. Mono and stereo only: more
/// need a mapping table that players of ours would not follow.
pub(super) fn format(code: Option<u8>) -> Result<AudioFormat, FormatError> {
    let channels = code.unwrap_or(2);
    let mut head = b"OpusHead\x01".to_vec();
    // Pre-skip of libopus's encoder, 312 samples; input rate 48000; no gain; mapping family 0.
    head.extend_from_slice(&[channels, 0x38, 0x01, 0x80, 0xbb, 0, 0, 0, 0, 0]);
    AudioFormat::opus(&head)
}

/// The packets of one PES packet, with their durations at 90 kHz. Stops at damage.
pub(super) fn packets(mut data: Bytes) -> impl Iterator<Item = (Bytes, i64)> {
    std::iter::from_fn(move || {
        let &[first, flags] = data.first_chunk::<2>()?;
        if first != 0x7f || flags & 0xe0 != 0xe0 {
            return None;
        }
        data.advance(2);
        let mut size = 0usize;
        loop {
            let byte = *data.first()?;
            data.advance(1);
            size += usize::from(byte);
            if byte != 0xff {
                break;
            }
        }
        let mut skip = usize::from(flags >> 4 & 1) * 2 + usize::from(flags >> 3 & 1) * 2;
        if flags & 4 != 0 {
            skip += 1 + usize::from(*data.get(skip)?);
        }
        if data.len() < skip + size || size == 0 {
            return None;
        }
        data.advance(skip);
        let packet = data.split_to(size);
        let ticks = duration(&packet);
        Some((packet, ticks))
    })
}

/// How long a packet plays, 90 kHz (RFC 6716 section 3.1).
fn duration(packet: &[u8]) -> i64 {
    let toc = packet[0];
    // Tenths of a millisecond.
    let frame = match toc >> 3 {
        config @ 0..12 => [100, 200, 400, 600][usize::from(config & 3)],
        config @ 12..16 => [100, 200][usize::from(config & 1)],
        config => [25, 50, 100, 200][usize::from(config & 3)],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => packet.get(1).map_or(1, |count| i64::from(count & 0x3f)),
    };
    frame * frames * 9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_packets_in_one() {
        let mut data = vec![0x7f, 0xe0, 2, 0xfc, 1];
        data.extend_from_slice(&[0x7f, 0xf0, 3, 0, 7, 0xf8, 1, 2]);
        let found: Vec<(Bytes, i64)> = packets(data.into()).collect();
        assert_eq!(&found[0].0[..], &[0xfc, 1]);
        assert_eq!(&found[1].0[..], &[0xf8, 1, 2]);
        assert_eq!((found[0].1, found[1].1), (1800, 1800), "20 ms");
    }

    #[test]
    fn damage_ends_it() {
        assert_eq!(packets(Bytes::from_static(&[0x7f, 0xe0, 0xff, 0xff])).count(), 0);
        assert_eq!(packets(Bytes::from_static(&[1, 2, 3])).count(), 0);
        assert_eq!(packets(Bytes::from_static(&[0x7f, 0xe0, 9, 1])).count(), 0);
    }

    #[test]
    fn channels_come_from_the_descriptor() {
        assert_eq!(format(Some(1)).unwrap().channels, 1);
        assert_eq!(format(None).unwrap().channels, 2);
        assert!(format(Some(6)).is_err());
    }
}
