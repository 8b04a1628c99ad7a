//! Session descriptions of WebRTC peers, answered as the endpoint answers them.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use oriel_fuzz::offers::{Fragment, Offer, answer};
use str0m::config::DtlsCert;

static CERTIFICATE: LazyLock<DtlsCert> = LazyLock::new(|| {
    let provider = str0m::crypto::from_feature_flags();
    provider.dtls_provider.generate_certificate().expect("the provider compiled in makes certificates")
});

fuzz_target!(|input: &str| {
    let _ = Fragment::parse(input);
    // A refusal is as good as an answer; only a panic or an endless loop is wrong.
    if let Ok(offer) = Offer::parse(input) {
        let _ = answer(offer, &CERTIFICATE);
    }
});
