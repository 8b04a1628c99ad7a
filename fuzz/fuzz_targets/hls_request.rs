//! The last component of an HLS path and its query, a line break between them.

#![no_main]

use libfuzzer_sys::fuzz_target;
use oriel_fuzz::hls_request::Request;

fuzz_target!(|input: &str| {
    let (file, query) = input.split_once('\n').map_or((input, None), |(file, query)| (file, Some(query)));
    // An error is as good as a request; only a panic is wrong.
    let _ = Request::parse(file, query);
});
