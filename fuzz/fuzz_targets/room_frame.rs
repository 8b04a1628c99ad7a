//! What a page says to a room.

#![no_main]

use libfuzzer_sys::fuzz_target;
use oriel_fuzz::room::frame::ClientFrame;

fuzz_target!(|input: &str| {
    // An error is as good as a frame; only a panic is wrong.
    let _ = ClientFrame::parse(input);
});
