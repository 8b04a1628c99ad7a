//! The stream id of an SRT caller.

#![no_main]

use libfuzzer_sys::fuzz_target;
use oriel_fuzz::srt::stream_id::parse;

fuzz_target!(|input: &str| {
    if let Ok(id) = parse(input) {
        assert!(!id.key.is_empty());
    }
});
