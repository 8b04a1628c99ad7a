//! Datagrams to the WebRTC port: each as one that may name its session, and as one of a session that has not connected. Each has
//! its length before it.

#![no_main]

use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::Instant;

use libfuzzer_sys::fuzz_target;
use oriel_fuzz::offers::{Offer, session};
use str0m::config::DtlsCert;
use str0m::ice::StunMessage;
use str0m::net::{Protocol, Receive};
use str0m::{Input, Output};

static CERTIFICATE: LazyLock<DtlsCert> = LazyLock::new(|| {
    let provider = str0m::crypto::from_feature_flags();
    provider.dtls_provider.generate_certificate().expect("the provider compiled in makes certificates")
});

const OFFER: &str = include_str!("../seeds/rtc_offer/chromium.sdp");

fuzz_target!(|input: &[u8]| {
    let offer = Offer::parse(OFFER).expect("Chromium's offer is one");
    let (mut rtc, _) = session(offer, &CERTIFICATE).expect("it can be answered");
    let (source, here): (SocketAddr, SocketAddr) = (([192, 0, 2, 9], 9).into(), ([192, 0, 2, 1], 9).into());
    let now = Instant::now();
    let mut rest = input;
    while let [high, low, more @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(more.len());
        let (datagram, more) = more.split_at(length);
        rest = more;
        // What cannot be read is as good as what can; only a panic or an endless loop is wrong.
        if let Ok(message) = StunMessage::parse(datagram) {
            let _ = (message.is_binding_request(), message.split_username());
        }
        let Ok(received) = Receive::new(Protocol::Udp, source, here, datagram) else { continue };
        let _ = rtc.handle_input(Input::Receive(now, received));
        while let Ok(Output::Transmit(_) | Output::Event(_)) = rtc.poll_output() {}
    }
});
