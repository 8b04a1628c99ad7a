//! fragmented MP4, whole and cut: the same is found, and nothing of it is larger than what was read.

#![no_main]

use libfuzzer_sys::fuzz_target;
use oriel_fuzz::{described, in_steps, mp4::Demuxer, survive};

fn found(input: &[u8], step: usize) -> (Vec<String>, bool) {
    let mut demuxer = Demuxer::new();
    let mut found = Vec::new();
    let failed = in_steps(input, step).any(|part| demuxer.push(part, &mut found).is_err());
    (found.iter().map(described).collect(), failed)
}

fuzz_target!(init: survive(), |input: &[u8]| {
    let Some((&step, input)) = input.split_last() else { return };
    let whole = found(input, usize::MAX);
    assert_eq!(whole, found(input, usize::from(step) + 1));
});
