//! Packetised elementary streams: coded frames with their times.
//!
//! ```text
//! 00 00 01 | stream id | length (16, 0: until the next) | 10.. | PTS?, DTS? ... | header length | PTS (5) | DTS (5) | data
//! ```

use bytes::{Bytes, BytesMut};

/// Larger ones are cut off: a picture of more is refused downstream anyway.
const LARGEST: usize = (8 << 20) + 64 * 1024;

/// One packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pes {
    /// Presentation time, 90 kHz, 33 bits.
    pub pts: Option<u64>,
    /// Decode time, when it differs.
    pub dts: Option<u64>,
    pub data: Bytes,
}

/// Puts packets of one stream together.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    buffer: BytesMut,
    open: bool,
    /// The whole length, when the header says it.
    wanted: Option<usize>,
}

impl Assembly {
    /// Takes a transport packet's payload; gives what it completes: the packet before, and itself when it says its length.
    pub fn push(&mut self, starts: bool, payload: &[u8]) -> [Option<Pes>; 2] {
        let mut done = [None, None];
        if starts {
            done[0] = self.take();
            self.open = true;
        }
        if !self.open {
            return done;
        }
        if self.buffer.len() + payload.len() > LARGEST {
            self.drop_open();
            return done;
        }
        self.buffer.extend_from_slice(payload);
        if self.wanted.is_none()
            && let Some(&[_, _, _, _, high, low]) = self.buffer.first_chunk::<6>()
        {
            let length = usize::from(u16::from_be_bytes([high, low]));
            self.wanted = Some(if length == 0 { usize::MAX } else { 6 + length });
        }
        if let Some(wanted) = self.wanted
            && self.buffer.len() >= wanted
        {
            self.buffer.truncate(wanted);
            done[1] = self.take();
        }
        done
    }

    /// What is there at the end of the stream.
    pub fn take(&mut self) -> Option<Pes> {
        let (open, wanted) = (std::mem::take(&mut self.open), self.wanted.take());
        let bytes = self.buffer.split().freeze();
        let whole = wanted.is_some_and(|wanted| wanted == usize::MAX || bytes.len() == wanted);
        if open && whole { parse(bytes) } else { None }
    }

    /// Packets are missing: what was begun is of no use. True when something was.
    pub fn drop_open(&mut self) -> bool {
        self.buffer.clear();
        self.wanted = None;
        std::mem::take(&mut self.open)
    }
}

fn parse(bytes: Bytes) -> Option<Pes> {
    let &[0, 0, 1, _, _, _, marker, flags, header, ..] = bytes.first_chunk::<9>()? else { return None };
    if marker & 0xc0 != 0x80 {
        return None;
    }
    let begin = 9 + usize::from(header);
    let fields = bytes.get(9..begin)?;
    let pts = (flags & 0x80 != 0).then(|| stamp(fields)).flatten();
    let dts = (flags & 0xc0 == 0xc0).then(|| stamp(fields.get(5..)?)).flatten();
    Some(Pes { pts, dts, data: bytes.slice(begin..) })
}

fn stamp(bytes: &[u8]) -> Option<u64> {
    let [a, b, c, d, e] = bytes.first_chunk::<5>()?.map(u64::from);
    Some((a >> 1 & 7) << 30 | b << 22 | (c >> 1) << 15 | d << 7 | e >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PTS: [u8; 5] = [0x2f, 0xff, 0xff, 0xff, 0xff];

    fn pes(length: u16, data: &[u8]) -> Vec<u8> {
        let length = length.to_be_bytes();
        [&[0, 0, 1, 0xe0][..], &length, &[0x80, 0x80, 5], &PTS, data].concat()
    }

    #[test]
    fn a_packet_with_its_length_ends_by_itself() {
        let mut assembly = Assembly::default();
        let bytes = pes(3 + 5 + 2, &[7, 8]);
        assert_eq!(assembly.push(true, &bytes[..10]), [None, None]);
        let [_, Some(pes)] = assembly.push(false, &[&bytes[10..], &[0xff]].concat()) else { panic!("not done") };
        assert_eq!((pes.pts, pes.dts, &pes.data[..]), (Some((1 << 33) - 1), None, &[7, 8][..]));
        assert_eq!(assembly.push(false, &[1, 2]), [None, None]);
    }

    #[test]
    fn one_without_ends_with_the_next() {
        let mut assembly = Assembly::default();
        assert_eq!(assembly.push(true, &pes(0, &[7])), [None, None]);
        assert_eq!(assembly.push(false, &[8]), [None, None]);
        let [Some(pes), None] = assembly.push(true, &pes(0, &[9])) else { panic!("not done") };
        assert_eq!(&pes.data[..], &[7, 8]);
    }

    #[test]
    fn a_short_packet_and_a_broken_one_are_nothing() {
        let mut assembly = Assembly::default();
        assembly.push(true, &pes(100, &[7]));
        assert_eq!(assembly.take(), None);
        assembly.push(true, &pes(0, &[7]));
        assert!(assembly.drop_open());
        assert_eq!(assembly.push(true, &[0, 0, 1, 0xe0, 0, 0, 0x80, 0x80, 200, 1]), [None, None]);
        assert_eq!(assembly.take(), None);
    }
}
