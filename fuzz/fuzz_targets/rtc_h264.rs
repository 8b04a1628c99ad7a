//! H.264 access units with start codes, one after the other through the same parameter sets.

#![no_main]

use libfuzzer_sys::fuzz_target;
use oriel_fuzz::rtc::h264::Repacker;

fuzz_target!(|input: &[u8]| {
    let mut repacker = Repacker::default();
    for unit in input.split(|byte| *byte == 0xfe) {
        let Some(unit) = repacker.push(unit) else { continue };
        let mut rest = &unit.payload[..];
        while let Some((length, after)) = rest.split_first_chunk::<4>() {
            rest = &after[u32::from_be_bytes(*length) as usize..];
        }
        assert!(rest.is_empty(), "the lengths add up");
    }
});
