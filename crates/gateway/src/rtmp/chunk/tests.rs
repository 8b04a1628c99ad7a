//! Round trips in any cut and order, every header form, every limit.

use super::*;
use bytes::{BufMut, BytesMut};
use proptest::prelude::*;

fn reader() -> Reader {
    Reader::new(Limits::MEDIA, ExtendedTimestamps::default())
}

fn all(reader: &mut Reader, bytes: &[u8]) -> Result<Vec<Message>, Error> {
    let mut input = BytesMut::from(bytes);
    let mut messages = Vec::new();
    while let Some(message) = reader.next(&mut input)? {
        messages.push(message);
    }
    assert!(input.len() < 18, "only the beginning of a header may stay behind");
    Ok(messages)
}

fn read(bytes: &[u8]) -> Result<Vec<Message>, Error> {
    all(&mut reader(), bytes)
}

fn set_chunk_size(size: u32) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0][..], &size.to_be_bytes()].concat()
}

/// A full header for a message on chunk stream 5.
fn header(type_id: u8, time: u32, length: usize) -> Vec<u8> {
    let ([_, t1, t2, t3], [_, l1, l2, l3]) = (time.to_be_bytes(), (length as u32).to_be_bytes());
    vec![5, t1, t2, t3, l1, l2, l3, type_id, 1, 0, 0, 0]
}

fn times(messages: &[Message]) -> Vec<u32> {
    messages.iter().map(|message| message.timestamp_ms).collect()
}

prop_compose! {
    fn message()(
        csid in prop_oneof![3_u8..8, 63_u8..67, Just(255)],
        type_id in prop_oneof![Just(8_u8), Just(9), Just(18), Just(20), Just(22)],
        timestamp_ms in prop_oneof![0_u32..100_000, 0xff_fffd_u32..0x100_0002, Just(u32::MAX)],
        stream_id in 0_u32..3,
        payload in prop::collection::vec(any::<u8>(), 0..700),
    ) -> (u8, Message) {
        (csid, Message { type_id, stream_id, timestamp_ms, payload: payload.into() })
    }
}

/// Cuts a written message into its chunks: each header with its payload.
fn chunks(csid: u8, message: &Message, chunk_size: usize) -> Vec<BytesMut> {
    let mut whole = BytesMut::new();
    write_message(
        &mut whole,
        csid,
        message.type_id,
        message.timestamp_ms,
        message.stream_id,
        &[&message.payload],
        chunk_size,
    );
    let basic = if csid < 64 { 1 } else { 2 };
    let extended = if message.timestamp_ms >= 0xff_ffff { 4 } else { 0 };
    let mut chunks = vec![whole.split_to(basic + 11 + extended + message.payload.len().min(chunk_size))];
    while !whole.is_empty() {
        chunks.push(whole.split_to((basic + extended + chunk_size).min(whole.len())));
    }
    chunks
}

proptest! {
    #[test]
    fn messages_survive_any_chunk_size_and_any_split(
        messages in prop::collection::vec(message(), 1..12),
        chunk_size in prop_oneof![1_usize..5, 100_usize..300, Just(65536)],
        cuts in prop::collection::vec(1_usize..200, 1..20),
    ) {
        let mut wire = BytesMut::from(&set_chunk_size(chunk_size as u32)[..]);
        for (csid, m) in &messages {
            let (head, tail) = m.payload.split_at(m.payload.len() / 3);
            write_message(&mut wire, *csid, m.type_id, m.timestamp_ms, m.stream_id, &[head, &[], tail], chunk_size);
        }
        let (mut reader, mut input, mut seen) = (reader(), BytesMut::new(), Vec::new());
        let mut cuts = cuts.iter().cycle();
        while !wire.is_empty() {
            let cut = cuts.next().expect("a cycle").min(&wire.len()).to_owned();
            input.put(wire.split_to(cut));
            while let Some(message) = reader.next(&mut input).expect("our own chunks") {
                seen.push(message);
            }
        }
        let sent: Vec<_> = messages.into_iter().map(|(_, message)| message).collect();
        prop_assert_eq!(seen, sent);
        prop_assert!(input.is_empty());
    }

    #[test]
    fn interleaved_chunk_streams_do_not_mix(
        messages in prop::collection::vec(message(), 2..6),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 64),
    ) {
        let mut queues: Vec<_> = (3_u8..).zip(&messages).map(|(csid, (_, m))| {
            let mut chunks = chunks(csid, m, 100);
            chunks.reverse();
            chunks
        }).collect();
        let (mut wire, mut picks) = (BytesMut::from(&set_chunk_size(100)[..]), picks.iter().cycle());
        let mut order = Vec::new();
        while !queues.iter().all(Vec::is_empty) {
            let pick = picks.next().expect("a cycle").index(queues.len());
            let pick = (pick..queues.len()).chain(0..pick).find(|&i| !queues[i].is_empty()).expect("one is left");
            wire.put(queues[pick].pop().expect("not empty"));
            if queues[pick].is_empty() {
                order.push(messages[pick].1.clone());
            }
        }
        prop_assert_eq!(read(&wire).expect("our own chunks"), order);
    }

    #[test]
    fn garbage_never_panics_and_never_holds_more_than_the_limit(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let mut reader = Reader::new(Limits::REQUEST, ExtendedTimestamps::default());
        let _ = all_lenient(&mut reader, &bytes);
    }
}

fn all_lenient(reader: &mut Reader, bytes: &[u8]) -> Result<usize, Error> {
    let (mut input, mut count) = (BytesMut::from(bytes), 0);
    while reader.next(&mut input)?.is_some() {
        count += 1;
    }
    Ok(count)
}

#[test]
fn differences_add_up_over_formats_1_2_and_3() {
    let bytes = [
        &header(8, 1000, 1)[..],
        b"a", // 1000
        &[0x45, 0, 0, 20, 0, 0, 2, 9],
        b"bb", // format 1: + 20, another length and type
        &[0x85, 0, 0, 5],
        b"cc", // format 2: + 5
        &[0xc5],
        b"dd", // format 3: + 5 again
    ]
    .concat();
    let messages = read(&bytes).expect("sound");
    assert_eq!(times(&messages), [1000, 1020, 1025, 1030]);
    assert_eq!(messages.iter().map(|m| m.type_id).collect::<Vec<_>>(), [8, 9, 9, 9]);
    assert!(messages.iter().all(|m| m.stream_id == 1));
}

#[test]
fn format_3_after_an_absolute_time_repeats_it_as_a_difference() {
    let bytes = [&header(8, 40, 1)[..], b"a", &[0xc5], b"b"].concat();
    assert_eq!(read(&bytes).map(|m| times(&m)), Ok(vec![40, 80]));
}

#[test]
fn time_wraps_after_2_to_the_32_ms() {
    let bytes = [&header(8, 0xff_ffff, 1)[..], &u32::MAX.to_be_bytes(), b"a", &[0x85, 0, 0, 3], b"b"].concat();
    assert_eq!(read(&bytes).map(|m| times(&m)), Ok(vec![u32::MAX, 2]));
}

#[test]
fn long_chunk_stream_ids_are_read() {
    let mut two = header(8, 0, 1);
    two.splice(0..1, [0, 200 - 64]);
    let mut three = header(9, 0, 1);
    three.splice(0..1, [1, 0x10, 0x27]);
    let messages = read(&[&two[..], b"a", &three, b"b", &[0xc0, 200 - 64], b"c"].concat()).expect("sound");
    assert_eq!(messages.iter().map(|m| &m.payload[..]).collect::<Vec<_>>(), [b"a", b"b", b"c"]);
}

#[test]
fn an_empty_message_is_a_message() {
    assert_eq!(read(&header(8, 3, 0)).map(|m| (m.len(), m[0].payload.len())), Ok((1, 0)));
}

#[test]
fn librtmp_may_open_a_chunk_stream_with_format_1() {
    let pong = [&[0x42, 0, 0, 9, 0, 0, 6, 4][..], &[0, 7, 0, 0, 0, 1]].concat();
    assert_eq!(read(&pong).map(|m| (m[0].type_id, m[0].timestamp_ms)), Ok((4, 9)));
}

/// 130 bytes at time 2^24: two chunks of 128 and 2, with and without the time repeated in the second.
fn extended(repeat: bool, tail: &[u8; 2]) -> Vec<u8> {
    let time = 0x0100_0000_u32.to_be_bytes();
    let second: &[u8] = if repeat { &time } else { &[] };
    [&header(9, 0xff_ffff, 130)[..], &time, &[7; 128], &[0xc5], second, tail, &header(8, 1, 1), b"z"].concat()
}

#[test]
fn a_repeated_and_an_omitted_extended_time_are_both_detected() {
    for repeat in [true, false] {
        let bytes = extended(repeat, b"xy");
        let messages = read(&bytes).expect("either form");
        assert_eq!(messages[0].payload[128..], b"xy"[..], "repeated: {repeat}");
        assert_eq!(times(&messages), [0x0100_0000, 1]);
        // The same, byte by byte: what has come decides as soon as it can.
        let (mut reader, mut input, mut count) = (reader(), BytesMut::new(), 0);
        for byte in bytes {
            input.put_u8(byte);
            count += usize::from(reader.next(&mut input).expect("either form").is_some());
        }
        assert_eq!(count, 2);
    }
}

#[test]
fn a_named_policy_fixes_the_extended_time() {
    let mut strict = Reader::new(Limits::MEDIA, ExtendedTimestamps::Repeated);
    assert_eq!(all(&mut strict, &extended(true, b"xy")).map(|m| m.len()), Ok(2));
    let mut omitted = Reader::new(Limits::MEDIA, ExtendedTimestamps::Omitted);
    let ambiguous = extended(false, &[1, 0]);
    assert_eq!(all(&mut omitted, &ambiguous).map(|m| m[0].payload[128..].to_vec()), Ok(vec![1, 0]));
}

#[test]
fn abort_drops_what_had_begun() {
    let abort = [&[2, 0, 0, 0, 0, 0, 4, 2, 0, 0, 0, 0][..], &5_u32.to_be_bytes()].concat();
    let bytes = [&header(9, 0, 200)[..], &[1; 128], &abort, &header(8, 7, 1), b"a"].concat();
    assert_eq!(read(&bytes).map(|m| times(&m)), Ok(vec![7]));
}

#[test]
fn memory_follows_the_bytes_that_came_and_ends_at_the_length() {
    let mut reader = reader();
    let mut input = BytesMut::from(&[&set_chunk_size(1 << 20)[..], &header(9, 0, 300_000), &[0; 5000]].concat()[..]);
    assert_eq!(reader.next(&mut input), Ok(None));
    assert!(reader.held_bytes() <= 5000 * 2, "{} bytes for 5000", reader.held_bytes());
    input.put_bytes(0, 295_000);
    let message = reader.next(&mut input).expect("sound").expect("complete");
    assert_eq!((message.payload.len(), reader.held_bytes()), (300_000, 0));
}

#[test]
fn each_limit_has_its_own_error() {
    let limit = Limits::MEDIA.chunk_size;
    assert_eq!(read(&set_chunk_size(0)), Err(Error::ChunkSizeZero));
    assert_eq!(read(&set_chunk_size(limit as u32 + 1)), Err(Error::ChunkSizeTooLarge { size: limit + 1, limit }));
    assert_eq!(read(&set_chunk_size(limit as u32)), Ok(vec![]));

    for (type_id, limit) in
        [(9, 8 << 20), (22, 8 << 20), (8, 1 << 20), (20, 64 << 10), (18, 64 << 10), (99, 64 << 10), (4, 128)]
    {
        let length = limit + 1;
        let too_large = Err(Error::MessageTooLarge { type_id, length, limit });
        assert_eq!(read(&header(type_id, 0, length)), too_large);
        assert_eq!(read(&header(type_id, 0, limit)), Ok(vec![]));
    }

    let streams: Vec<u8> = (3..20).flat_map(|csid| [&[csid][..], &header(8, 0, 0)[1..]].concat()).collect();
    assert_eq!(read(&streams), Err(Error::TooManyChunkStreams { limit: 16 }));
    assert_eq!(read(&streams[..16 * 12]).map(|m| m.len()), Ok(16));

    assert_eq!(read(&[0xc7]), Err(Error::NoPreviousHeader { csid: 7, format: 3 }));
    assert_eq!(read(&[0x87, 0, 0, 1]), Err(Error::NoPreviousHeader { csid: 7, format: 2 }));
    let inside = [&header(9, 0, 200)[..], &[1; 128], &header(9, 0, 3)].concat();
    assert_eq!(read(&inside), Err(Error::HeaderInsideMessage { csid: 5 }));
    let short = [2, 0, 0, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0];
    assert_eq!(read(&short), Err(Error::TruncatedControl { type_id: 1, length: 2 }));
}

#[test]
fn incomplete_messages_are_bounded_together() {
    let limits = Limits::REQUEST;
    let mut parts = Reader::new(limits, ExtendedTimestamps::default());
    let cut: Vec<u8> =
        (3_u8..6).flat_map(|csid| [&[csid][..], &header(20, 0, 60_000)[1..], &[0; 50_000]].concat()).collect();
    let wire = [set_chunk_size(50_000), cut].concat();
    assert_eq!(all_lenient(&mut parts, &wire), Err(Error::TooManyPartialBytes { limit: limits.partial }));
}

#[test]
fn limits_that_become_narrower_hold_for_repeated_headers_too() {
    let mut reader = reader();
    let large = [&set_chunk_size(100_000)[..], &header(9, 0, 70_000), &[0; 70_000]].concat();
    assert_eq!(all(&mut reader, &large).map(|m| m.len()), Ok(1));
    reader.set_limits(Limits::REQUEST);
    let again = all_lenient(&mut reader, &[0xc5]);
    assert_eq!(again, Err(Error::MessageTooLarge { type_id: 9, length: 70_000, limit: 64 << 10 }));
}
