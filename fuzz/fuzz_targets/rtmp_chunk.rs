//! Chunks give the same messages however they are split, within the limits, and what is read can be written and read again.

#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use oriel_fuzz::in_steps;
use oriel_fuzz::rtmp::chunk::{Error, ExtendedTimestamps, Limits, Message, Reader, write_message};

fn read(policy: ExtendedTimestamps, input: &[u8], step: usize) -> (Vec<Message>, Option<Error>) {
    let limits = Limits::REQUEST;
    let (mut reader, mut inbound, mut messages) = (Reader::new(limits, policy), BytesMut::new(), Vec::new());
    for part in in_steps(input, step) {
        inbound.extend_from_slice(part);
        loop {
            match reader.next(&mut inbound) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => return (messages, Some(error)),
            }
        }
        assert!(inbound.len() < 18, "only the beginning of a header may wait");
        // Memory doubles as a message grows, and each of 16 chunk streams begins with 4 KiB.
        assert!(reader.held_bytes() <= 2 * limits.partial + limits.chunk_streams * 4096);
    }
    (messages, None)
}

fuzz_target!(|input: &[u8]| {
    let Some((&choice, input)) = input.split_first() else { return };
    let policy = match choice % 3 {
        0 => ExtendedTimestamps::Detected,
        1 => ExtendedTimestamps::Repeated,
        _ => ExtendedTimestamps::Omitted,
    };
    let whole = read(policy, input, usize::MAX);
    let split = read(policy, input, 1 + usize::from(choice / 3));
    // How far a message had come when a limit was passed depends on the split; which one was passed first may too.
    assert_eq!(whole.1.is_some(), split.1.is_some());
    assert_eq!(whole.0, split.0);

    let mut written = BytesMut::from(&[2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 1, 0][..]);
    for Message { type_id, stream_id, timestamp_ms, payload } in &whole.0 {
        write_message(&mut written, 3 + choice % 64, *type_id, *timestamp_ms, *stream_id, &[payload], 256);
    }
    assert_eq!(read(ExtendedTimestamps::Repeated, &written, usize::MAX), (whole.0, None));
});
