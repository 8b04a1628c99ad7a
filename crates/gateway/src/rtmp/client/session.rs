//! The client's side of a connection, without I/O: publish or play one stream.

use crate::rtmp::amf::{self, Value};
use crate::rtmp::chunk::{Limits, Message};
use crate::rtmp::command::{self, Command};
use crate::rtmp::link::{self, Link};
use crate::rtmp::message::{Aggregate, Media, MediaKind, type_id};
use bytes::BytesMut;

/// Chunk streams for media, as encoders use them.
const CSID_AUDIO: u8 = 4;
const CSID_SCRIPT: u8 = 5;
const CSID_VIDEO: u8 = 6;

/// Transaction ids of the calls whose results matter.
const CONNECT: f64 = 1.0;
const CREATE_STREAM: f64 = 4.0;

/// What the stream is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Send media.
    Publish,
    /// Receive media.
    Play,
}

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The server knows the application: call [`Session::request`] now.
    Connected,
    /// The server lets us publish or play.
    Started,
    /// Media of the stream that we play.
    Media(Media),
    /// The server says that the stream is over.
    Ended,
}

/// Why the connection cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Handshake, chunks or control messages.
    #[error(transparent)]
    Link(#[from] link::Error),
    /// A command message that is none.
    #[error(transparent)]
    Command(#[from] command::Error),
    /// The server says no.
    #[error("refused: {description} ({code})")]
    Refused {
        /// `NetStream.Publish.Denied` and so on.
        code: String,
        /// The server's sentence.
        description: String,
    },
}

/// The state of one connection.
#[derive(Debug)]
pub struct Session {
    link: Link,
    /// The `connect` call, until the handshake is over.
    connect: Option<Vec<u8>>,
    request: Option<(Purpose, String)>,
    stream_id: u32,
    /// A play that has been answered: media is handed out.
    started: bool,
    aggregate: Aggregate,
}

impl Session {
    /// A session that will say hello and connect to an application. `tc_url` is the address without the stream's name.
    pub fn new(seed: u64, app: &str, tc_url: &str) -> Self {
        Self {
            link: Link::client(seed, Limits::MEDIA),
            connect: Some(command::connect(CONNECT, app, tc_url)),
            request: None,
            stream_id: 0,
            started: false,
            aggregate: Aggregate::default(),
        }
    }

    /// Where the driver puts bytes from the socket.
    pub fn inbound(&mut self) -> &mut BytesMut {
        self.link.inbound()
    }

    /// What the driver is to send.
    pub fn outbound(&mut self) -> &mut BytesMut {
        self.link.outbound()
    }

    /// The next event; `None` when more bytes are needed.
    pub fn poll(&mut self) -> Result<Option<Event>, Error> {
        loop {
            if let Some(media) = self.aggregate.next() {
                return Ok(Some(Event::Media(media)));
            }
            let message = self.link.next()?;
            if self.link.is_open()
                && let Some(connect) = self.connect.take()
            {
                self.link.announce_chunk_size();
                self.link.send_command(0, &connect);
            }
            let Some(message) = message else { return Ok(None) };
            if let Some(event) = self.message(message)? {
                return Ok(Some(event));
            }
        }
    }

    /// Asks for a stream, once connected. `name` is a stream key or a broadcast id.
    pub fn request(&mut self, purpose: Purpose, name: &str) {
        if purpose == Purpose::Publish {
            let key = [Value::String(name.into())];
            self.link.send_command(0, &command::call("releaseStream", 2.0, &key));
            self.link.send_command(0, &command::call("FCPublish", 3.0, &key));
        }
        self.link.send_command(0, &command::call("createStream", CREATE_STREAM, &[]));
        self.request = Some((purpose, name.to_owned()));
    }

    /// Queues media. Script is AMF0 that begins with the handler's name, such as `onMetaData`.
    pub fn send(&mut self, kind: MediaKind, timestamp_ms: u32, payload: &[u8]) {
        let (csid, type_id) = match kind {
            MediaKind::Audio => (CSID_AUDIO, type_id::AUDIO),
            MediaKind::Video => (CSID_VIDEO, type_id::VIDEO),
            MediaKind::Script => (CSID_SCRIPT, type_id::DATA),
        };
        let set_data_frame = amf::Writer::default().text("@setDataFrame").finish();
        let prefix: &[u8] = if kind == MediaKind::Script { &set_data_frame } else { &[] };
        self.link.send(csid, type_id, timestamp_ms, self.stream_id, &[prefix, payload]);
    }

    /// Queues the end of what we publish or play.
    pub fn finish(&mut self) {
        if let Some((Purpose::Publish, name)) = &self.request {
            let name = [Value::String(name.as_str().into())];
            self.link.send_command(0, &command::call("FCUnpublish", 6.0, &name));
        }
        let stream = [Value::Number(f64::from(self.stream_id))];
        self.link.send_command(0, &command::call("deleteStream", 7.0, &stream));
    }

    fn message(&mut self, message: Message) -> Result<Option<Event>, Error> {
        let Message { type_id, timestamp_ms, payload, .. } = message;
        match type_id {
            type_id::COMMAND | type_id::COMMAND_AMF3 => self.command(&Command::read(type_id, &payload)?),
            type_id::AGGREGATE => {
                self.aggregate = Aggregate::new(timestamp_ms, payload);
                Ok(None)
            }
            _ => Ok(Media::read(type_id, timestamp_ms, payload).filter(|_| self.started).map(Event::Media)),
        }
    }

    fn command(&mut self, command: &Command) -> Result<Option<Event>, Error> {
        let (code, description) = command.status();
        match command.name.as_str() {
            "_result" if command.transaction == CONNECT => return Ok(Some(Event::Connected)),
            "_result" if command.transaction == CREATE_STREAM => self.open(command),
            // Servers answer releaseStream and FCPublish with errors and mean nothing by it.
            "_error" if [CONNECT, CREATE_STREAM].contains(&command.transaction) => {
                return Err(refused(code, description));
            }
            "onStatus" => return self.status(command, code, description),
            _ => {}
        }
        Ok(None)
    }

    fn status(&mut self, command: &Command, code: &str, description: &str) -> Result<Option<Event>, Error> {
        let level = command.arguments.first().and_then(|info| amf::property(info, "level")).and_then(amf::text);
        Ok(match code {
            _ if level == Some("error") => return Err(refused(code, description)),
            "NetStream.Publish.Start" => Some(Event::Started),
            "NetStream.Play.Start" => {
                self.started = true;
                Some(Event::Started)
            }
            "NetStream.Play.UnpublishNotify" | "NetStream.Play.Stop" | "NetStream.Unpublish.Success" => {
                Some(Event::Ended)
            }
            _ => None,
        })
    }

    /// Publishes or plays on the stream that the server has made.
    fn open(&mut self, created: &Command) {
        let id = created.arguments.first().and_then(amf::number).unwrap_or(1.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
        let id = id as u32;
        self.stream_id = id;
        let Some((purpose, name)) = &self.request else { return };
        let name = Value::String(name.as_str().into());
        let call = match purpose {
            Purpose::Publish => command::call("publish", 5.0, &[name, Value::String("live".into())]),
            // -2: live, or recorded if there is no live stream of the name.
            Purpose::Play => command::call("play", 5.0, &[name, Value::Number(-2.0)]),
        };
        self.link.send_command(id, &call);
    }
}

fn refused(code: &str, description: &str) -> Error {
    Error::Refused { code: code.to_owned(), description: description.to_owned() }
}
