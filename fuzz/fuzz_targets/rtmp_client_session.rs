//! A client session against a server that says anything.

#![no_main]

use libfuzzer_sys::fuzz_target;
use oriel_fuzz::rtmp::client::session::{Event, Purpose, Session};

fuzz_target!(|input: &[u8]| {
    let Some((&choice, input)) = input.split_first() else { return };
    let mut session = Session::new(1, "live", "rtmp://host/live");
    session.inbound().extend_from_slice(&[3]);
    session.inbound().extend_from_slice(&[0; 3072]);
    session.inbound().extend_from_slice(input);
    while let Ok(Some(event)) = session.poll() {
        if event == Event::Connected {
            session.request(if choice % 2 == 0 { Purpose::Play } else { Purpose::Publish }, "name");
        }
        session.outbound().clear();
    }
});
