//! The server's side of a connection, without I/O: bytes in, events and bytes out.
//!
//! A peer connects to an application, makes a stream, and asks to publish or to play. The session stops there and
//! reads nothing more until the caller answers with [`Session::accept`] or [`Session::reject`]. Commands may come
//! before the answers to earlier ones; they are answered in order.

#[cfg(test)]
mod tests;

use super::amf::Value;
use super::chunk::{Limits, Message};
use super::command::{self, Command, Status};
use super::link::{self, Link};
use super::message::{Aggregate, Control, Media, type_id};
use super::refusal::Refusal;
use bytes::BytesMut;
use std::fmt;

/// The one stream a connection has; shared play data is written with this id.
pub const STREAM_ID: u32 = 1;

/// We ask for an acknowledgement each time we have sent this many bytes, and allow as many under way.
const WINDOW_BYTES: u32 = 5_000_000;

/// What a publish or play request is about.
#[derive(Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The application: the first part of the address's path.
    pub app: String,
    /// What comes after it: a stream key or a broadcast id.
    pub name: String,
    /// What came after a `?` in either.
    pub query: Option<String>,
    /// What the peer says it is (`flashVer`).
    pub software: String,
    /// Enhanced RTMP codecs that the peer says it handles; empty for a legacy peer.
    pub four_ccs: Vec<String>,
}

impl fmt::Debug for Wanted {
    /// Without name and query: they may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { app, software, four_ccs, .. } = self;
        let mut debug = f.debug_struct("Wanted");
        debug.field("app", app).field("software", software).field("four_ccs", four_ccs).finish_non_exhaustive()
    }
}

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The peer wants to publish; waits for an answer.
    Publish(Wanted),
    /// The peer wants to play; waits for an answer.
    Play(Wanted),
    /// A publisher has sent this.
    Media(Media),
    /// The peer says that its stream is over (FCUnpublish, deleteStream or closeStream).
    Goodbye,
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
    /// A command that needs a `connect` before it.
    #[error("{0} before connect")]
    NotConnected(&'static str),
    /// `connect` does not say to what.
    #[error("connect without an application")]
    NoApplication,
    /// A connection has one stream that does one thing.
    #[error("second request on one connection")]
    SecondRequest,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Unconnected,
    Connected,
    /// An event waits for the caller's answer.
    Asked(Purpose),
    Active(Purpose),
    /// Rejected or over: whatever else comes is ignored.
    Over,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Publish,
    Play,
}

/// The state of one connection.
#[derive(Debug)]
pub struct Session {
    link: Link,
    stage: Stage,
    /// What `connect` said, until a request takes it.
    connected: Option<Wanted>,
    /// An aggregate message that is being handed out.
    aggregate: Aggregate,
}

impl Session {
    /// A connection that has just been accepted. `seed` fills the handshake.
    pub fn new(seed: u64) -> Self {
        Self {
            link: Link::server(seed, Limits::REQUEST),
            stage: Stage::Unconnected,
            connected: None,
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

    /// Counts, and asks for, acknowledgements.
    pub fn link(&mut self) -> &mut Link {
        &mut self.link
    }

    /// The next event; `None` when more bytes, or the caller's answer, are needed.
    ///
    /// After an error the session is of no further use; its outbound bytes may still be sent.
    pub fn poll(&mut self) -> Result<Option<Event>, Error> {
        loop {
            if let Some(media) = self.aggregate.next() {
                return Ok(Some(Event::Media(media)));
            }
            if matches!(self.stage, Stage::Asked(_)) {
                return Ok(None);
            }
            let Some(message) = self.link.next()? else { return Ok(None) };
            if let Some(event) = self.message(message)? {
                return Ok(Some(event));
            }
        }
    }

    /// Lets the peer publish or play, as it has asked.
    pub fn accept(&mut self) {
        let Stage::Asked(purpose) = self.stage else { return };
        self.stage = Stage::Active(purpose);
        match purpose {
            Purpose::Publish => {
                self.link.set_limits(Limits::MEDIA);
                self.status(Status::good("NetStream.Publish.Start", "Publishing."));
            }
            Purpose::Play => {
                self.link.send_control(Control::StreamBegin(STREAM_ID));
                self.status(Status::good("NetStream.Play.Reset", "Playing and resetting."));
                self.status(Status::good("NetStream.Play.Start", "Playing."));
            }
        }
    }

    /// Turns the peer's request down, or ends what was accepted.
    pub fn reject(&mut self, refusal: &Refusal) {
        let code = match self.stage {
            Stage::Asked(Purpose::Publish) | Stage::Active(Purpose::Publish) => refusal.publish_code(),
            Stage::Asked(Purpose::Play) | Stage::Active(Purpose::Play) => refusal.play_code(),
            Stage::Unconnected | Stage::Connected | Stage::Over => return,
        };
        self.stage = Stage::Over;
        self.status(Status::bad(code, refusal.description()));
    }

    /// Tells a player that the broadcast is over.
    pub fn end_play(&mut self) {
        if self.stage == Stage::Active(Purpose::Play) {
            self.stage = Stage::Over;
            self.link.send_control(Control::StreamEof(STREAM_ID));
            self.status(Status::good("NetStream.Play.UnpublishNotify", "The broadcast has ended."));
        }
    }

    fn status(&mut self, status: Status<'_>) {
        self.link.send_command(STREAM_ID, &command::on_status(status));
    }

    fn message(&mut self, message: Message) -> Result<Option<Event>, Error> {
        if self.stage == Stage::Over {
            return Ok(None);
        }
        let Message { type_id, timestamp_ms, payload, .. } = message;
        if matches!(type_id, type_id::COMMAND | type_id::COMMAND_AMF3) {
            return self.command(&Command::read(type_id, &payload)?);
        }
        // Media from a player, or before the answer to publish, is nobody's.
        if self.stage != Stage::Active(Purpose::Publish) {
            return Ok(None);
        }
        if type_id == type_id::AGGREGATE {
            self.aggregate = Aggregate::new(timestamp_ms, payload);
            return Ok(None);
        }
        Ok(Media::read(type_id, timestamp_ms, payload).map(Event::Media))
    }

    fn command(&mut self, command: &Command) -> Result<Option<Event>, Error> {
        match command.name.as_str() {
            "connect" => self.connect(command)?,
            // One stream only, whose id is fixed: a second one is the same.
            "createStream" => self.answer(command, &Value::Number(f64::from(STREAM_ID))),
            "publish" => return self.request(command, Purpose::Publish).map(Some),
            "play" => return self.request(command, Purpose::Play).map(Some),
            "FCUnpublish" | "deleteStream" | "closeStream" => return Ok(self.goodbye()),
            // A live stream has no length.
            "getStreamLength" => self.answer(command, &Value::Number(0.0)),
            "releaseStream" | "FCPublish" | "FCSubscribe" | "_checkbw" => self.answer(command, &Value::Null),
            // Nothing to pause or to seek in what is live; results are answers to calls that we never make.
            "pause" | "seek" | "receiveAudio" | "receiveVideo" | "_result" | "_error" | "onStatus" => {}
            _ => self.unknown(command),
        }
        Ok(None)
    }

    fn answer(&mut self, command: &Command, value: &Value<'_>) {
        if command.transaction != 0.0 {
            self.link.send_command(0, &command::result(command.transaction, value));
        }
    }

    fn unknown(&mut self, command: &Command) {
        if command.transaction != 0.0 {
            let status = Status::bad("NetConnection.Call.Failed", "This server does not know the command.");
            self.link.send_command(0, &command::error(command.transaction, status));
        }
    }

    fn connect(&mut self, command: &Command) -> Result<(), Error> {
        if self.stage != Stage::Unconnected {
            return Err(Error::SecondRequest);
        }
        let (app, query) = split_query(command.property("app").unwrap_or_default());
        let app = app.trim_matches('/').to_owned();
        if app.is_empty() {
            let status =
                Status::bad("NetConnection.Connect.Rejected", "The address has no application, such as /live.");
            self.link.send_command(0, &command::error(command.transaction, status));
            return Err(Error::NoApplication);
        }
        let four_ccs = command.four_ccs();
        self.link.send_control(Control::Window(WINDOW_BYTES));
        self.link.send_control(Control::PeerBandwidth(WINDOW_BYTES));
        self.link.announce_chunk_size();
        self.link.send_command(0, &command::connected(command.transaction, !four_ccs.is_empty()));
        let software = command.property("flashVer").unwrap_or_default().to_owned();
        self.connected = Some(Wanted { app, name: String::new(), query, software, four_ccs });
        self.stage = Stage::Connected;
        Ok(())
    }

    fn request(&mut self, command: &Command, purpose: Purpose) -> Result<Event, Error> {
        let Some(connected) = self.connected.take() else {
            let second = self.stage != Stage::Unconnected;
            let name = if purpose == Purpose::Publish { "publish" } else { "play" };
            return Err(if second { Error::SecondRequest } else { Error::NotConnected(name) });
        };
        self.stage = Stage::Asked(purpose);
        let (name, query) = split_query(command.text(0).unwrap_or_default());
        let name = name.trim_matches('/').to_owned();
        let wanted = Wanted { name, query: query.or(connected.query.clone()), ..connected };
        Ok(match purpose {
            Purpose::Publish => Event::Publish(wanted),
            Purpose::Play => Event::Play(wanted),
        })
    }

    fn goodbye(&mut self) -> Option<Event> {
        if !matches!(self.stage, Stage::Active(_)) {
            return None;
        }
        self.stage = Stage::Over;
        Some(Event::Goodbye)
    }
}

fn split_query(text: &str) -> (&str, Option<String>) {
    match text.split_once('?') {
        Some((path, query)) => (path, Some(query.to_owned())),
        None => (text, None),
    }
}
