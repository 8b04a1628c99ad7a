//! A file name of a replay and a `Range` header, a line break between them.

#![no_main]

use libfuzzer_sys::fuzz_target;
use oriel_fuzz::archive::{Range, Request};

fuzz_target!(|input: &[u8]| {
    let mut parts = input.splitn(2, |byte| *byte == b'\n');
    if let Some(Ok(file)) = parts.next().map(std::str::from_utf8) {
        // No file is as good as one; only a panic is wrong.
        let _ = Request::parse(file);
    }
    let header = parts.next().unwrap_or_default();
    for size in [0, 1, 1000, u64::MAX] {
        if let Range::Part(range) = Range::parse(header, size) {
            assert!(range.start < range.end && range.end <= size);
        }
    }
});
