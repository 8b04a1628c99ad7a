//! Commands and their values: no panic, no deep recursion, and values read again as they were written.

#![no_main]

use libfuzzer_sys::fuzz_target;
use oriel_fuzz::rtmp::amf::{self, Writer};
use oriel_fuzz::rtmp::command::Command;

/// Names of properties have 16 bits of length, and a byte that is no text becomes three.
const LONGEST: usize = u16::MAX as usize / 3;

fuzz_target!(|input: &[u8]| {
    for type_id in [17, 20] {
        if let Ok(command) = Command::read(type_id, input) {
            let _ = (command.status(), command.four_ccs(), command.property("app"), command.text(0));
        }
    }
    if input.len() > LONGEST {
        return;
    }
    if let Ok(values) = amf::read(input) {
        let written = values.iter().fold(Writer::default(), |writer, value| writer.value(value)).finish();
        let again = amf::read(&written).expect("what was read can be read again");
        // Not equal where a number is not a number; their text is.
        assert_eq!(values.len(), again.len());
        let rewritten = again.iter().fold(Writer::default(), |writer, value| writer.value(value)).finish();
        assert_eq!(written.len(), rewritten.len());
    }
});
