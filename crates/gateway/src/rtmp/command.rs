//! Commands: calls, their results, and stream status (Adobe RTMP 1.0, 7.2; Enhanced RTMP v2, "Enhancing NetConnection").
//!
//! ```text
//! call      | name | transaction id | command object or null | arguments ...  |
//! result    | "_result" or "_error" | transaction id | properties or null | information |
//! status    | "onStatus" | 0 | null | { level, code, description } |
//! ```

use super::amf::{self, Value, Writer};
use super::message::type_id;
use std::borrow::Cow;

/// Codecs beyond the legacy ones that this server takes and gives, as Enhanced RTMP names them.
pub const FOUR_CCS: [&str; 5] = ["av01", "hvc1", "avc1", "Opus", "mp4a"];

/// Enhanced RTMP's extended capabilities: none of reconnect request, multitrack, ModEx, nanosecond offset.
pub const CAPS_EX: f64 = 0.0;

/// Why a command message is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The values cannot be read.
    #[error(transparent)]
    Amf(#[from] amf::Error),
    /// The first value is not a name.
    #[error("command without a name")]
    NoName,
}

/// A command that came in.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// The procedure that is called, or `_result`, `_error`, `onStatus`.
    pub name: String,
    /// Number of the call that a result answers; 0 when no result is wanted.
    pub transaction: f64,
    /// Command object of a call, properties of a result.
    pub object: Value<'static>,
    /// The rest.
    pub arguments: Vec<Value<'static>>,
}

impl Command {
    /// Reads a message of type 20, or of type 17, which has one zero byte before the same AMF0 values.
    pub fn read(message_type: u8, payload: &[u8]) -> Result<Self, Error> {
        let payload = match payload {
            [0, rest @ ..] if message_type == type_id::COMMAND_AMF3 => rest,
            _ => payload,
        };
        let mut values = amf::read(payload)?.into_iter();
        let name = values.next().as_ref().and_then(amf::text).ok_or(Error::NoName)?.to_owned();
        let transaction = values.next().as_ref().and_then(amf::number).unwrap_or(0.0);
        let object = values.next().unwrap_or(Value::Null);
        Ok(Self { name, transaction, object, arguments: values.collect() })
    }

    /// A text argument.
    pub fn text(&self, index: usize) -> Option<&str> {
        self.arguments.get(index).and_then(amf::text)
    }

    /// A text in the command object.
    pub fn property(&self, name: &'static str) -> Option<&str> {
        amf::property(&self.object, name).and_then(amf::text)
    }

    /// The code and the description of a status or a result, empty where missing.
    pub fn status(&self) -> (&str, &str) {
        let info = self.arguments.first().unwrap_or(&Value::Null);
        let text = |name| amf::property(info, name).and_then(amf::text).unwrap_or_default();
        (text("code"), text("description"))
    }

    /// The codecs that a `connect` says its sender can handle: `fourCcList` and the names in the newer info maps.
    pub fn four_ccs(&self) -> Vec<String> {
        let mut four_ccs = Vec::new();
        if let Some(Value::Array(list)) = amf::property(&self.object, "fourCcList") {
            four_ccs.extend(list.iter().filter_map(amf::text).map(str::to_owned));
        }
        for map in ["videoFourCcInfoMap", "audioFourCcInfoMap"] {
            if let Some(Value::Object(map)) = amf::property(&self.object, map) {
                four_ccs.extend(map.keys().map(|name| name.as_str().to_owned()));
            }
        }
        four_ccs.sort_unstable();
        four_ccs.dedup();
        four_ccs
    }
}

/// How a status is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// All is well.
    Status,
    /// The call failed; ffmpeg prints the description and gives up.
    Error,
}

/// What a status or the answer to `connect` says.
#[derive(Clone, Copy, Debug)]
pub struct Status<'a> {
    /// Good or bad.
    pub level: Level,
    /// `NetStream.Publish.Start` and so on.
    pub code: &'a str,
    /// A sentence for people.
    pub description: &'a str,
}

impl<'a> Status<'a> {
    /// A status of level "status".
    pub fn good(code: &'a str, description: &'a str) -> Self {
        Self { level: Level::Status, code, description }
    }

    /// A status of level "error".
    pub fn bad(code: &'a str, description: &'a str) -> Self {
        Self { level: Level::Error, code, description }
    }

    fn properties(self) -> Vec<(&'static str, Value<'a>)> {
        let level = match self.level {
            Level::Status => "status",
            Level::Error => "error",
        };
        vec![
            ("level", Value::String(level.into())),
            ("code", Value::String(self.code.into())),
            ("description", Value::String(self.description.into())),
        ]
    }
}

/// `onStatus`.
pub fn on_status(status: Status<'_>) -> Vec<u8> {
    Writer::default().text("onStatus").number(0.0).null().object(&status.properties()).finish()
}

/// A result with a single value.
pub fn result(transaction: f64, value: &Value<'_>) -> Vec<u8> {
    Writer::default().text("_result").number(transaction).null().value(value).finish()
}

/// A failed call.
pub fn error(transaction: f64, status: Status<'_>) -> Vec<u8> {
    Writer::default().text("_error").number(transaction).null().object(&status.properties()).finish()
}

/// The good answer to `connect`. `enhanced`: the peer speaks Enhanced RTMP, so it is told what we do.
pub fn connected(transaction: f64, enhanced: bool) -> Vec<u8> {
    // The version and capabilities of the server that clients know best; some read a number out of it.
    let server = [("fmsVer", Value::String("FMS/3,0,1,123".into())), ("capabilities", Value::Number(31.0))];
    let mut info = Status::good("NetConnection.Connect.Success", "Connection succeeded.").properties();
    info.push(("objectEncoding", Value::Number(0.0)));
    if enhanced {
        info.push(("fourCcList", four_cc_list()));
        info.push(("capsEx", Value::Number(CAPS_EX)));
    }
    Writer::default().text("_result").number(transaction).object(&server).object(&info).finish()
}

/// `connect`, as a client calls it.
pub fn connect(transaction: f64, app: &str, tc_url: &str) -> Vec<u8> {
    let object = [
        ("app", Value::String(app.into())),
        ("type", Value::String("nonprivate".into())),
        ("flashVer", Value::String("FMLE/3.0 (compatible; Oriel)".into())),
        ("tcUrl", Value::String(tc_url.into())),
        ("fourCcList", four_cc_list()),
        ("capsEx", Value::Number(CAPS_EX)),
    ];
    Writer::default().text("connect").number(transaction).object(&object).finish()
}

/// Any other call: null for the command object, then arguments.
pub fn call(name: &str, transaction: f64, arguments: &[Value<'_>]) -> Vec<u8> {
    let writer = Writer::default().text(name).number(transaction).null();
    arguments.iter().fold(writer, |writer, argument| writer.value(argument)).finish()
}

fn four_cc_list<'a>() -> Value<'a> {
    Value::Array(Cow::Owned(FOUR_CCS.iter().map(|&name| Value::String(name.into())).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(payload: &[u8]) -> Command {
        Command::read(type_id::COMMAND, payload).expect("our own bytes")
    }

    #[test]
    fn a_connect_reads_back_with_its_codecs() {
        let connect = read(&connect(1.0, "live", "rtmp://host/live"));
        assert_eq!((connect.name.as_str(), connect.transaction), ("connect", 1.0));
        assert_eq!(connect.property("app"), Some("live"));
        assert_eq!(connect.property("tcUrl"), Some("rtmp://host/live"));
        let mut expected = FOUR_CCS.map(str::to_owned).to_vec();
        expected.sort_unstable();
        assert_eq!(connect.four_ccs(), expected);
    }

    #[test]
    fn the_answer_to_connect_names_codecs_only_to_enhanced_clients() {
        let legacy = read(&connected(1.0, false));
        assert_eq!(legacy.status().0, "NetConnection.Connect.Success");
        assert_eq!(amf::property(&legacy.arguments[0], "fourCcList"), None);
        let enhanced = read(&connected(1.0, true));
        assert_eq!(amf::property(&enhanced.arguments[0], "fourCcList"), Some(&four_cc_list()));
        assert_eq!(amf::property(&enhanced.arguments[0], "capsEx"), Some(&Value::Number(CAPS_EX)));
    }

    #[test]
    fn an_amf3_command_has_one_byte_more() {
        let amf0 = call("publish", 5.0, &[Value::String("key".into())]);
        let amf3 = [&[0][..], &amf0].concat();
        assert_eq!(Command::read(type_id::COMMAND_AMF3, &amf3).expect("amf3"), read(&amf0));
        assert_eq!(Command::read(type_id::COMMAND_AMF3, &amf0).expect("the byte is missing"), read(&amf0));
        assert_eq!(read(&amf0).text(0), Some("key"));
    }

    #[test]
    fn what_is_not_a_command_is_an_error() {
        assert_eq!(Command::read(type_id::COMMAND, &[]), Err(Error::NoName));
        assert_eq!(Command::read(type_id::COMMAND, &[5]), Err(Error::NoName));
        assert_eq!(Command::read(type_id::COMMAND, &[2, 0]), Err(Error::Amf(amf::Error::CutOff)));
        let bare = Command::read(type_id::COMMAND, b"\x02\0\x01x").expect("a name is enough");
        assert_eq!((bare.transaction, bare.object, bare.arguments), (0.0, Value::Null, vec![]));
    }

    #[test]
    fn a_status_reads_back() {
        let status = read(&on_status(Status::bad("NetStream.Publish.Denied", "No such key.")));
        assert_eq!(status.status(), ("NetStream.Publish.Denied", "No such key."));
        assert_eq!(read(&result(4.0, &Value::Null)).status(), ("", ""));
        assert_eq!(read(&error(4.0, Status::bad("a", "b"))).status(), ("a", "b"));
    }
}
