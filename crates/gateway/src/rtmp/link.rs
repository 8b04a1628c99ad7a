//! What both ends of a connection have in common: handshake, chunks, control messages and acknowledgements, without I/O.
//!
//! Bytes from the socket go into [`Link::inbound`], messages come out of [`Link::next`]; what is to be sent gathers in
//! [`Link::outbound`]. What the messages mean is in `session` (server) and `client`.

use super::chunk::{self, ExtendedTimestamps, Limits, Message, PLAY_CHUNK_SIZE, Reader, write_message};
use super::handshake::{self, Handshake};
use super::message::{Control, Truncated, type_id};
use bytes::BytesMut;

/// Chunk stream of control messages (Adobe RTMP 1.0, 5.4).
const CSID_CONTROL: u8 = 2;
/// Chunk stream of commands, as everyone uses it.
pub const CSID_COMMAND: u8 = 3;

/// Unsent answers that a peer may cause; beyond that it does not read them, or sends nothing but pings.
const MAX_ANSWER_BYTES: usize = 64 << 10;
/// The smallest window taken seriously; a window of one byte would cost an acknowledgement a read.
const MIN_WINDOW_BYTES: u32 = 64 << 10;

/// Why the connection cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The peer does not speak RTMP as we do.
    #[error(transparent)]
    Handshake(#[from] handshake::Error),
    /// The peer's chunks break a rule or a limit.
    #[error(transparent)]
    Chunk(#[from] chunk::Error),
    /// A control message without its value.
    #[error(transparent)]
    Control(#[from] Truncated),
    /// The peer asks for more answers than it takes.
    #[error("peer leaves more than {limit} bytes of answers unread")]
    AnswersUnread { limit: usize },
}

/// One end of a connection.
#[derive(Debug)]
pub struct Link {
    handshake: Option<Handshake>,
    reader: Reader,
    inbound: BytesMut,
    outbound: BytesMut,
    /// A server's outbound bytes are answers only; a client's are also the media it publishes, and have no bound here.
    max_outbound: usize,
    /// The chunk size the peer knows we use.
    chunk_size: usize,
    /// Bytes taken since the handshake.
    received: u64,
    /// `received` when we last acknowledged.
    acknowledged: u64,
    /// The peer wants an acknowledgement each time it has sent this many bytes.
    window: Option<u32>,
    /// The peer may be sent this many bytes beyond those it has acknowledged.
    bandwidth: Option<u32>,
    sent: u64,
    /// The peer's last acknowledgement, modulo 2^32.
    peer_received: u32,
}

impl Link {
    /// The end that was called.
    pub fn server(seed: u64, limits: Limits) -> Self {
        Self::new(Handshake::server(seed), limits, BytesMut::new(), MAX_ANSWER_BYTES)
    }

    /// The end that calls.
    pub fn client(seed: u64, limits: Limits) -> Self {
        let mut outbound = BytesMut::new();
        Self::new(Handshake::client(seed, &mut outbound), limits, outbound, usize::MAX)
    }

    fn new(handshake: Handshake, limits: Limits, outbound: BytesMut, max_outbound: usize) -> Self {
        Self {
            handshake: Some(handshake),
            reader: Reader::new(limits, ExtendedTimestamps::default()),
            inbound: BytesMut::new(),
            outbound,
            max_outbound,
            chunk_size: chunk::INITIAL_CHUNK_SIZE,
            received: 0,
            acknowledged: 0,
            window: None,
            bandwidth: None,
            sent: 0,
            peer_received: 0,
        }
    }

    /// Where the driver puts bytes from the socket.
    pub fn inbound(&mut self) -> &mut BytesMut {
        &mut self.inbound
    }

    /// What the driver is to send, in this order, before anything else.
    pub fn outbound(&mut self) -> &mut BytesMut {
        &mut self.outbound
    }

    /// Gives back the buffers of the negotiation; a player needs next to none, and there are many.
    pub fn compact(&mut self) {
        self.inbound = BytesMut::from(&self.inbound[..]);
        self.outbound = BytesMut::from(&self.outbound[..]);
    }

    /// Both sides have said hello.
    pub fn is_open(&self) -> bool {
        self.handshake.is_none()
    }

    /// Changes what the peer may send from now on.
    pub fn set_limits(&mut self, limits: Limits) {
        self.reader.set_limits(limits);
    }

    /// The next message that is not about the link itself; `None` when more bytes are needed.
    pub fn next(&mut self) -> Result<Option<Message>, Error> {
        if let Some(handshake) = &mut self.handshake {
            if !handshake.advance(&mut self.inbound, &mut self.outbound)? {
                return Ok(None);
            }
            self.handshake = None;
        }
        loop {
            let before = self.inbound.len();
            let message = self.reader.next(&mut self.inbound)?;
            self.received += (before - self.inbound.len()) as u64;
            self.acknowledge();
            if self.outbound.len() > self.max_outbound {
                return Err(Error::AnswersUnread { limit: self.max_outbound });
            }
            let Some(message) = message else { return Ok(None) };
            if !(type_id::ACKNOWLEDGEMENT..=type_id::SET_PEER_BANDWIDTH).contains(&message.type_id) {
                return Ok(Some(message));
            }
            if let Some(control) = Control::read(message.type_id, &message.payload)? {
                self.control(control);
            }
        }
    }

    fn control(&mut self, control: Control) {
        match control {
            Control::Acknowledgement(bytes) => self.peer_received = bytes,
            Control::Window(bytes) => self.window = Some(bytes.max(MIN_WINDOW_BYTES)),
            Control::PeerBandwidth(bytes) => {
                let bytes = bytes.max(MIN_WINDOW_BYTES);
                if self.bandwidth.replace(bytes) != Some(bytes) {
                    self.send_control(Control::Window(bytes));
                }
            }
            Control::Ping(time) => self.send_control(Control::Pong(time)),
            Control::Pong(_) | Control::StreamBegin(_) | Control::StreamEof(_) => {}
        }
    }

    /// Acknowledges at half the peer's window, so that it never waits for us.
    fn acknowledge(&mut self) {
        let due = self.window.is_some_and(|window| self.received - self.acknowledged >= u64::from(window / 2));
        if due {
            self.acknowledged = self.received;
            #[expect(clippy::cast_possible_truncation, reason = "the count on the wire is modulo 2^32")]
            self.send_control(Control::Acknowledgement(self.received as u32));
        }
    }

    /// Announces our chunk size and uses it.
    pub fn announce_chunk_size(&mut self) {
        let size = u32::try_from(PLAY_CHUNK_SIZE).expect("a chunk size has 31 bits");
        self.send(CSID_CONTROL, type_id::SET_CHUNK_SIZE, 0, 0, &[&size.to_be_bytes()]);
        self.chunk_size = PLAY_CHUNK_SIZE;
    }

    /// Queues a control message.
    pub fn send_control(&mut self, control: Control) {
        let (type_id, payload) = control.write();
        self.send(CSID_CONTROL, type_id, 0, 0, &[&payload]);
    }

    /// Queues a command.
    pub fn send_command(&mut self, stream_id: u32, payload: &[u8]) {
        self.send(CSID_COMMAND, type_id::COMMAND, 0, stream_id, &[payload]);
    }

    /// Queues a message.
    pub fn send(&mut self, csid: u8, type_id: u8, timestamp_ms: u32, stream_id: u32, payload: &[&[u8]]) {
        write_message(&mut self.outbound, csid, type_id, timestamp_ms, stream_id, payload, self.chunk_size);
    }

    /// Counts bytes that the driver has sent.
    pub fn count_sent(&mut self, bytes: u64) {
        self.sent += bytes;
    }

    /// Bytes that the peer has not acknowledged yet, and how many it allows, if it has said so.
    ///
    /// Twice what it asked for: it acknowledges each time a whole window has come, so one may always be under way.
    pub fn unacknowledged(&self) -> Option<(u32, u32)> {
        #[expect(clippy::cast_possible_truncation, reason = "acknowledgements count modulo 2^32")]
        let unacknowledged = (self.sent as u32).wrapping_sub(self.peer_received);
        self.bandwidth.map(|allowed| (unacknowledged, allowed.saturating_mul(2)))
    }
}
