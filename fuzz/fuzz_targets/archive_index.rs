//! Pages of an index, a zero between them: what is rendered of them, and that what is kept of them reads back.

#![no_main]

use libfuzzer_sys::fuzz_target;
use oriel_fuzz::archive::{pages, read, render};

fuzz_target!(|input: &[u8]| {
    let all: Vec<&[u8]> = input.split(|byte| *byte == 0).collect();
    let index = read(&all);
    render(&index);
    for at in 0..index.segments.len() {
        assert!(index.shown_us(at) > 0);
        assert_eq!(index.segment(index.segments[at].n), Some(&index.segments[at]));
    }
    let _ = (index.next(), index.end_us(), index.captured_us());
    let written = pages(&index);
    let again = read(&written.iter().map(Vec::as_slice).collect::<Vec<_>>());
    assert_eq!(again.segments, index.segments);
});
