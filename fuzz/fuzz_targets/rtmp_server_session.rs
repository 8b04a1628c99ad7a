//! A server session that accepts everything: the same events however the bytes are split, and no panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use oriel_fuzz::in_steps;
use oriel_fuzz::rtmp::session::{Event, Session};

/// C0, C1 and C2: put before the input, so that the fuzzer need not find them.
const HANDSHAKE_BYTES: usize = 3073;

fn run(input: &[u8], step: usize) -> Vec<Event> {
    let mut session = Session::new(1);
    session.inbound().extend_from_slice(&[3]);
    session.inbound().extend_from_slice(&[0; HANDSHAKE_BYTES - 1]);
    let mut events = Vec::new();
    for part in in_steps(input, step) {
        session.inbound().extend_from_slice(part);
        loop {
            match session.poll() {
                Ok(Some(event)) => {
                    if matches!(event, Event::Publish(_) | Event::Play(_)) {
                        session.accept();
                    }
                    events.push(event);
                }
                Ok(None) => break,
                Err(_) => return events,
            }
        }
    }
    events
}

fuzz_target!(|input: &[u8]| {
    // Recordings of real encoders begin with a handshake of their own.
    let input = match input.first() {
        Some(3) if input.len() >= HANDSHAKE_BYTES => &input[HANDSHAKE_BYTES..],
        _ => input,
    };
    let (whole, split) = (run(input, usize::MAX), run(input, 1 + input.len() % 61));
    // Acknowledgements go out at other places, so that too many unread answers may end one of them earlier.
    let both = whole.len().min(split.len());
    assert_eq!(whole[..both], split[..both]);
});
