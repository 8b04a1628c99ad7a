//! Handshakes of both roles end the same way, with the same bytes left, however the input is split.

#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use oriel_fuzz::in_steps;
use oriel_fuzz::rtmp::handshake::{Error, Handshake};

fn run(mut handshake: Handshake, input: &[u8], step: usize) -> (Result<bool, Error>, BytesMut, BytesMut) {
    let (mut inbound, mut outbound) = (BytesMut::new(), BytesMut::new());
    let mut done = Ok(false);
    for part in in_steps(input, step) {
        inbound.extend_from_slice(part);
        if done == Ok(false) {
            done = handshake.advance(&mut inbound, &mut outbound);
        }
    }
    (done, inbound, outbound)
}

fuzz_target!(|input: &[u8]| {
    let client = || Handshake::client(1, &mut BytesMut::new());
    for step in [1, 700] {
        for (whole, split) in [
            (run(Handshake::server(1), input, usize::MAX), run(Handshake::server(1), input, step)),
            (run(client(), input, usize::MAX), run(client(), input, step)),
        ] {
            assert_eq!(whole.0, split.0);
            if whole.0.is_ok() {
                assert_eq!((whole.1, whole.2), (split.1, split.2));
            }
        }
    }
});
