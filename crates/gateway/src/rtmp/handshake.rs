//! The simple handshake (Adobe RTMP 1.0, 5.2), both roles, without I/O.
//!
//! ```text
//! client                          server
//! C0 version 1, C1 1536 bytes  ->
//!                              <- S0 version 1, S1 1536 bytes, S2 = C1
//! C2 = S1                      ->
//! ```
//! C1 and S1: time 4, zero 4, random 1528. The zeros say that no digest follows; clients that offer one (ffmpeg) then
//! do without. The echoes are not compared: some encoders send their own bytes as C2, and nothing depends on them.

use bytes::{Buf, BufMut, BytesMut};

/// The protocol version, C0 and S0.
const VERSION: u8 = 3;
/// Bytes of C1, S1, C2 and S2.
const PART_BYTES: usize = 1536;

/// Why a handshake cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The first byte is that of a TLS ClientHello.
    #[error("peer speaks TLS on a port for plain RTMP")]
    Tls,
    /// The first byte is a letter: somebody's browser.
    #[error("peer speaks HTTP, not RTMP")]
    Http,
    /// The first byte is no version that we know (6 is the obsolete RTMPE).
    #[error("rtmp version {0} is not supported")]
    Version(u8),
}

/// Whose turn it is; which bytes come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaits {
    /// Server: C0 and C1.
    Hello,
    /// Client: S0 and S1.
    Answer,
    /// Both: C2 or S2.
    Echo,
    Nothing,
}

/// One side of a handshake. Feed it with [`Handshake::advance`] until that says true.
#[derive(Debug)]
pub struct Handshake {
    awaits: Awaits,
    seed: u64,
}

impl Handshake {
    /// The side that waits for C0. `seed` fills the random bytes, which protect nothing.
    pub fn server(seed: u64) -> Self {
        Self { awaits: Awaits::Hello, seed }
    }

    /// The side that begins: writes C0 and C1 to `output`.
    pub fn client(seed: u64, output: &mut BytesMut) -> Self {
        output.put_u8(VERSION);
        put_random_part(output, seed);
        Self { awaits: Awaits::Answer, seed }
    }

    /// Takes what is there of the handshake off `input` and writes the answers to `output`; true when it is over.
    ///
    /// Bytes after the handshake stay in `input`.
    pub fn advance(&mut self, input: &mut BytesMut, output: &mut BytesMut) -> Result<bool, Error> {
        if matches!(self.awaits, Awaits::Hello | Awaits::Answer) {
            if let Some(&version) = input.first() {
                check_version(version)?;
            }
            if input.len() < 1 + PART_BYTES {
                return Ok(false);
            }
            input.advance(1);
            if self.awaits == Awaits::Hello {
                output.put_u8(VERSION);
                put_random_part(output, self.seed);
            }
            output.put_slice(&input[..PART_BYTES]);
            input.advance(PART_BYTES);
            self.awaits = Awaits::Echo;
        }
        if self.awaits == Awaits::Echo {
            if input.len() < PART_BYTES {
                return Ok(false);
            }
            input.advance(PART_BYTES);
            self.awaits = Awaits::Nothing;
        }
        Ok(true)
    }
}

fn check_version(version: u8) -> Result<(), Error> {
    match version {
        VERSION => Ok(()),
        22 => Err(Error::Tls),
        b'A'..=b'Z' => Err(Error::Http),
        other => Err(Error::Version(other)),
    }
}

/// Time 0, zero, and 1528 bytes of splitmix64.
fn put_random_part(output: &mut BytesMut, seed: u64) {
    output.put_u64(0);
    let mut state = seed;
    for _ in 0..(PART_BYTES - 8) / 8 {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        output.put_u64(mixed ^ (mixed >> 31));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs both sides against each other, at most `step` bytes at a time; true when both are done with nothing left.
    fn shake_hands(step: usize) -> bool {
        let (mut to_client, mut to_server) = (BytesMut::new(), BytesMut::new());
        let mut client = Handshake::client(1, &mut to_server);
        let mut server = Handshake::server(2);
        let (mut client_in, mut server_in) = (BytesMut::new(), BytesMut::new());
        let (mut client_done, mut server_done) = (false, false);
        while !(to_client.is_empty() && to_server.is_empty()) {
            server_in.put(to_server.split_to(step.min(to_server.len())));
            server_done = server.advance(&mut server_in, &mut to_client).expect("the client is sound");
            client_in.put(to_client.split_to(step.min(to_client.len())));
            client_done = client.advance(&mut client_in, &mut to_server).expect("the server is sound");
        }
        client_done && server_done && client_in.is_empty() && server_in.is_empty()
    }

    #[test]
    fn both_sides_finish_however_the_bytes_are_split() {
        for step in (1..40).chain([127, 1535, 1536, 1537, 1538, 3072, 3073, 4000]) {
            assert!(shake_hands(step), "in steps of {step}");
        }
    }

    #[test]
    fn a_server_finishes_at_any_single_split_and_keeps_what_follows() {
        let mut hello = BytesMut::new();
        Handshake::client(7, &mut hello);
        hello.put_bytes(9, PART_BYTES);
        hello.put_slice(b"first chunk");
        for split in 0..hello.len() {
            let (mut input, mut output) = (BytesMut::from(&hello[..split]), BytesMut::new());
            let mut server = Handshake::server(2);
            let done = server.advance(&mut input, &mut output).expect("sound");
            assert_eq!(done, split > 2 * PART_BYTES);
            input.put_slice(&hello[split..]);
            assert_eq!(server.advance(&mut input, &mut output), Ok(true));
            assert_eq!(&input[..], b"first chunk");
            assert_eq!(output.len(), 1 + 2 * PART_BYTES);
            assert_eq!(&output[1 + PART_BYTES..], &hello[1..1 + PART_BYTES], "the server echoes C1");
        }
    }

    #[test]
    fn other_protocols_are_told_by_their_first_byte() {
        let refusal = |first: u8| {
            let mut input = BytesMut::from(&[first][..]);
            Handshake::server(0).advance(&mut input, &mut BytesMut::new())
        };
        assert_eq!(refusal(0x16), Err(Error::Tls));
        assert_eq!(refusal(b'G'), Err(Error::Http));
        assert_eq!(refusal(6), Err(Error::Version(6)));
        assert_eq!(refusal(3), Ok(false));
    }
}
