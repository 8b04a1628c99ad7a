//! FLV tag bodies, with the codec configurations in them.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use oriel_fuzz::flv::{TagKind, parse};
use oriel_fuzz::survive;

fuzz_target!(init: survive(), |input: &[u8]| {
    let Some((&kind, body)) = input.split_first() else { return };
    let kind = [TagKind::Audio, TagKind::Video, TagKind::Script][usize::from(kind % 3)];
    parse(kind, 7, Bytes::copy_from_slice(body));
});
