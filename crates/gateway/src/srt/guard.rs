//! Between strangers and the protocol's code, which leaves some of what a peer may say "unimplemented" and believes the ranges
//! that it names.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::BytesMut;
use srt_protocol::packet::{ControlTypes, Packet, SrtControlPacket};

/// Enough for any datagram.
const DATAGRAM: usize = 1500;

/// Runs the protocol's code over a stranger's packet. To us a packet at which it panics is a call that comes to nothing, or a
/// connection that ends.
pub fn survive<T>(run: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(run)).ok()
}

/// Whether a packet means something from a caller who only sends media.
pub fn sensible(packet: &Packet) -> bool {
    let Packet::Control(control) = packet else { return true };
    match &control.control_type {
        ControlTypes::Handshake(_) | ControlTypes::KeepAlive | ControlTypes::Shutdown | ControlTypes::Ack2(_) => true,
        // About media that we sent, and we send none. A list of what was lost may name two thousand million packets, through
        // which the protocol would go one by one.
        ControlTypes::Ack(_) | ControlTypes::Nak(_) => false,
        ControlTypes::DropRequest { range, .. } => range.start() <= range.end(),
        ControlTypes::Srt(extension) => matches!(extension, SrtControlPacket::KeyRefreshRequest(_)),
        ControlTypes::CongestionWarning | ControlTypes::PeerError(_) => false,
    }
}

/// A packet as a datagram; `None` when it repeats something of a stranger's that cannot be said.
pub fn datagram(packet: &Packet) -> Option<BytesMut> {
    survive(|| {
        let mut bytes = BytesMut::with_capacity(DATAGRAM);
        packet.serialize(&mut bytes);
        bytes
    })
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn control(kind: u16, info: u32, body: &[u8]) -> Packet {
        let head = [&(0x8000 | kind).to_be_bytes()[..], &[0, 0], &info.to_be_bytes(), &[0; 8]].concat();
        Packet::parse(&mut Cursor::new([&head, body].concat()), false).expect("a packet")
    }

    #[test]
    fn what_a_caller_has_no_reason_to_say_is_passed_over() {
        // The second list of losses names 2^31 packets, the third ends before its range does.
        for list in [&[0, 0, 0, 1][..], &[0x80, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff], &[0x80, 0, 0, 9]] {
            assert!(!sensible(&control(3, 0, list)));
        }
        let acknowledgement = control(2, 1, &[0; 4]);
        let (congestion, mistake) = (control(4, 0, &[0; 4]), control(8, 1, &[0; 4]));
        let backwards = control(7, 1, &[0, 0, 0, 9, 0, 0, 0, 3]);
        for packet in [acknowledgement, congestion, mistake, backwards] {
            assert!(!sensible(&packet), "{packet:?}");
        }
    }

    #[test]
    fn what_callers_say_passes() {
        for packet in [control(1, 0, &[0; 4]), control(5, 0, &[0; 4]), control(6, 1, &[0; 4])] {
            assert!(sensible(&packet), "{packet:?}");
        }
        assert!(sensible(&control(7, 1, &[0, 0, 0, 3, 0, 0, 0, 9])));
    }
}
