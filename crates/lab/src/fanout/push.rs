//! What a viewer that is pushed to does before its first byte of media: one request, or the RTMP handshake. Without I/O.

use std::net::SocketAddr;

use gateway::rtmp::client::session::{Event, Purpose, Session};

/// An acknowledgement at least each time this much has come; servers ask for one every 2.5 to 5 MB.
const ACKNOWLEDGE_BYTES: u64 = 1 << 20;

/// How a viewer gets its stream to flow.
pub(super) enum Opening {
    /// Nothing to say: the floor.
    None,
    /// One HTTP request; the answer's status line has not been checked yet.
    Http(String),
    /// RTMP up to the start of play.
    Rtmp { session: Box<Session>, id: String },
}

/// What to do after some bytes have come.
pub(super) enum Step {
    /// Send what is in the buffer, if anything, and wait for more.
    More,
    /// Media flows from here: these bytes are the first of it.
    Media(Vec<u8>),
}

impl Opening {
    pub fn flv(server: SocketAddr, path: &str) -> Self {
        Self::Http(format!("GET {path} HTTP/1.1\r\nHost: {server}\r\nUser-Agent: oriel-lab\r\n\r\n"))
    }

    pub fn rtmp(server: SocketAddr, id: &str, seed: u64) -> Self {
        let session = Session::new(seed, "play", &format!("rtmp://{server}/play"));
        Self::Rtmp { session: Box::new(session), id: id.to_owned() }
    }

    /// What to send as soon as the connection is there.
    pub fn hello(&mut self) -> Result<Vec<u8>, String> {
        match self {
            Self::None => Ok(Vec::new()),
            Self::Http(request) => Ok(request.as_bytes().to_vec()),
            Self::Rtmp { session, .. } => {
                while session.poll().map_err(|error| error.to_string())?.is_some() {}
                Ok(session.outbound().split().to_vec())
            }
        }
    }

    /// Takes bytes from the server; what is to be sent is put into `out`.
    pub fn take(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<Step, String> {
        match self {
            Self::None => Ok(Step::Media(bytes.to_vec())),
            Self::Http(_) => match bytes.starts_with(b"HTTP/1.1 200") {
                true => Ok(Step::Media(bytes.to_vec())),
                false => {
                    Err(String::from_utf8_lossy(bytes.get(..40).unwrap_or(bytes)).lines().next().unwrap_or("").into())
                }
            },
            Self::Rtmp { session, id } => {
                session.inbound().extend_from_slice(bytes);
                loop {
                    match session.poll().map_err(|error| error.to_string())? {
                        Some(Event::Connected) => session.request(Purpose::Play, id),
                        Some(Event::Started) => {
                            out.extend_from_slice(&session.outbound().split());
                            return Ok(Step::Media(session.inbound().split().to_vec()));
                        }
                        Some(_) => {}
                        None => {
                            out.extend_from_slice(&session.outbound().split());
                            return Ok(Step::More);
                        }
                    }
                }
            }
        }
    }
}

/// Acknowledges what an RTMP viewer has received, so that the server does not take it for stuck.
#[derive(Default)]
pub(super) struct Acknowledger {
    received: u64,
    acknowledged: u64,
}

impl Acknowledger {
    /// The message to send now, if one is due: chunk stream 2, type 3, RTMP 1.0 section 5.4.3.
    pub fn received(&mut self, bytes: usize) -> Option<[u8; 16]> {
        self.received += bytes as u64;
        if self.received - self.acknowledged < ACKNOWLEDGE_BYTES {
            return None;
        }
        self.acknowledged = self.received;
        let mut message = [2, 0, 0, 0, 0, 0, 4, 3, 0, 0, 0, 0, 0, 0, 0, 0];
        message[12..].copy_from_slice(&(self.received as u32).to_be_bytes());
        Some(message)
    }
}
