//! The first byte says as what the rest is read: a segment to move, init segments of a download, or a segment found on the
//! disk.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use oriel_fuzz::archive::{header, moved, read, spilled};

const INDEX: &[u8] = br#"{"init":{"name":7,"bytes":9,"codecs":"avc1","video":true,"audio_rate":48000,"width":1,"height":1}}
{"init":{"name":8,"bytes":9,"codecs":"avc1","video":true,"audio_rate":48000,"width":1,"height":1}}
{"segment":{"n":0,"init":7,"bytes":9,"start_us":0,"duration_us":9,"end_us":9,"captured_us":0,"discontinuity":false,"independent":true,"lost_us":0}}"#;

fuzz_target!(|input: &[u8]| {
    let Some((&choice, input)) = input.split_first() else { return };
    let input = Bytes::copy_from_slice(input);
    match choice % 3 {
        0 => {
            let shift = i64::from(choice) * 1_000_003 - 100_000_000;
            assert!(moved(&input, shift, Some(48_000)).len() <= input.len(), "nothing is added to a segment");
        }
        1 => {
            // The same twice, and after it another.
            let half = input.len() / 2;
            let _ = header(&read(&[INDEX]), &[input.clone(), input.clone()]);
            let _ = header(&read(&[INDEX]), &[input.slice(..half), input.slice(half..)]);
        }
        _ => {
            if let Some((segment, body)) = spilled(input.clone()) {
                assert_eq!(segment.bytes, body.len() as u64);
                assert!(body.len() < input.len() && segment.end_us >= segment.start_us);
            }
        }
    }
});
