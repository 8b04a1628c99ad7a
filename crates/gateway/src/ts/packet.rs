//! Transport packets.
//!
//! ```text
//! 47 | error, start, priority, PID (13) | scrambled (2), adaptation?, payload?, counter (4) | adaptation field | payload
//! adaptation field: length | discontinuity, random access, -, PCR? ... | PCR (6) | ... | stuffing
//! ```

/// Bytes of a packet.
pub const PACKET: usize = 188;

pub(super) const SYNC: u8 = 0x47;

/// Packets in a row that must begin with a sync byte before a stream is believed to be one.
const SYNCS: usize = 3;

/// Where the packets of a stream begin, when that can be told: at most one packet in.
pub fn find_sync(bytes: &[u8]) -> Option<usize> {
    (0..PACKET).find(|&at| (0..SYNCS).all(|n| bytes.get(at + n * PACKET) == Some(&SYNC)))
}

/// A packet taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packet<'a> {
    pub pid: u16,
    /// A section or a PES packet begins in it.
    pub starts: bool,
    pub scrambled: bool,
    /// The sender says that counters and clocks begin anew.
    pub discontinuity: bool,
    pub counter: u8,
    pub payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// `None` for a packet that is damaged or carries nothing.
    pub fn parse(bytes: &'a [u8; PACKET]) -> Option<Self> {
        let (error, scrambling, fields) = (bytes[1] & 0x80 != 0, bytes[3] >> 6, bytes[3] >> 4 & 3);
        if bytes[0] != SYNC || error || fields & 1 == 0 {
            return None;
        }
        let (mut payload, mut discontinuity) = (4, false);
        if fields & 2 != 0 {
            let length = usize::from(bytes[4]);
            discontinuity = length > 0 && bytes[5] & 0x80 != 0;
            payload = 5 + length;
        }
        Some(Self {
            pid: u16::from_be_bytes([bytes[1] & 0x1f, bytes[2]]),
            starts: bytes[1] & 0x40 != 0,
            scrambled: scrambling != 0,
            discontinuity,
            counter: bytes[3] & 0x0f,
            payload: bytes.get(payload..)?,
        })
    }
}

/// What a continuity counter says about the packet that carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Continuity {
    Next,
    /// The packet was sent twice.
    Duplicate,
    /// Packets before it are missing.
    Lost,
}

/// The counter of one PID.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counter(Option<u8>);

impl Counter {
    pub fn follow(&mut self, packet: &Packet) -> Continuity {
        let before = self.0.replace(packet.counter);
        match before {
            _ if packet.discontinuity => Continuity::Next,
            Some(last) if last == packet.counter => Continuity::Duplicate,
            Some(last) if (last + 1) & 0x0f != packet.counter => Continuity::Lost,
            _ => Continuity::Next,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(head: &[u8]) -> [u8; PACKET] {
        let mut bytes = [0xff; PACKET];
        bytes[..head.len()].copy_from_slice(head);
        bytes
    }

    #[test]
    fn an_adaptation_field_is_left_out() {
        let bytes = packet(&[0x47, 0x41, 0x00, 0x37, 2, 0x80, 0xff, 9]);
        let packet = Packet::parse(&bytes).unwrap();
        assert_eq!((packet.pid, packet.counter, packet.starts, packet.discontinuity), (256, 7, true, true));
        assert_eq!(packet.payload.len(), PACKET - 7);
        assert_eq!(packet.payload[0], 9);
    }

    #[test]
    fn a_field_longer_than_the_packet_and_a_damaged_packet_are_nothing() {
        assert_eq!(Packet::parse(&packet(&[0x47, 0x01, 0, 0x30, 250])), None);
        assert_eq!(Packet::parse(&packet(&[0x47, 0x81, 0, 0x10])), None);
        assert_eq!(Packet::parse(&packet(&[0x47, 0x01, 0, 0x20, 183])), None);
    }

    #[test]
    fn sync_is_found_within_one_packet() {
        let mut stream = vec![0u8; 5 * PACKET];
        for n in 0..4 {
            stream[100 + n * PACKET] = SYNC;
        }
        assert_eq!(find_sync(&stream), Some(100));
        assert_eq!(find_sync(&stream[..300]), None);
    }
}
