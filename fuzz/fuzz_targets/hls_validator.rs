//! Playlists that a server says one after the other, a line of `=` between them.

#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use oriel_fuzz::hls_validator::Validator;

fuzz_target!(|input: &str| {
    let mut validator = Validator::new();
    for text in input.split("=\n") {
        // What it finds wrong is as good as nothing wrong; only a panic or an endless loop is bad.
        let _ = validator.playlist(Duration::ZERO, Duration::from_millis(7), text);
    }
});
