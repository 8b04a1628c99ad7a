//! An FLV file, whole and cut: the same tags, and no more of it than what was read.

#![no_main]

use libfuzzer_sys::fuzz_target;
use oriel_fuzz::flv::file::{FileReader, Tag};
use oriel_fuzz::in_steps;

fn found(input: &[u8], step: usize) -> (Vec<Tag>, bool) {
    let (mut reader, mut tags) = (FileReader::new(), Vec::new());
    for part in in_steps(input, step) {
        reader.push(part);
        loop {
            match reader.poll() {
                Ok(Some(tag)) => tags.push(tag),
                Ok(None) => break,
                Err(_) => return (tags, true),
            }
        }
    }
    (tags, false)
}

fuzz_target!(|input: &[u8]| {
    let Some((&step, input)) = input.split_last() else { return };
    let whole = found(input, usize::MAX);
    assert!(whole.0.iter().map(|tag| tag.body.len()).sum::<usize>() <= input.len());
    assert_eq!(whole, found(input, usize::from(step) + 1));
});
