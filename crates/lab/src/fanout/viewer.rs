//! One viewer: its sockets, and what it does when they are ready.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::Instant;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use super::hls::{self, Player};
use super::http::{Event, Responses};
use super::push::{Acknowledger, Opening, Step};
use super::watch::{Door, Outcome};
use crate::arrivals::{Arrivals, TAIL};
use live::unix_us;

/// Which of a viewer's connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// Carries media.
    Media,
    /// Carries playlists; LL-HLS has one.
    Control,
}

struct Connection {
    socket: TcpStream,
    /// Not written yet: requests are small, so mostly empty.
    out: Vec<u8>,
}

impl Connection {
    fn open(server: SocketAddr, registry: &Registry, token: Token) -> std::io::Result<Self> {
        let mut socket = TcpStream::connect(server)?;
        registry.register(&mut socket, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self { socket, out: Vec::new() })
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.out.extend_from_slice(bytes);
        while !self.out.is_empty() {
            match self.socket.write(&self.out) {
                Ok(written) => drop(self.out.drain(..written)),
                // Not connected yet, or full: writable comes.
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => break,
                Err(error) => return Err(format!("write: {}", error.kind())),
            }
        }
        Ok(())
    }

    /// Bytes read into the buffer at [`TAIL`]; 0 when there are none now.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, String> {
        match self.socket.read(&mut buffer[TAIL..]) {
            Ok(0) => Err("closed by the server".into()),
            Ok(read) => Ok(read),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => Ok(0),
            Err(error) => Err(format!("read: {}", error.kind())),
        }
    }
}

enum Mode {
    Opening(Opening),
    Pushed(Option<Acknowledger>),
    Hls(Box<Hls>),
}

struct Hls {
    host: SocketAddr,
    control: Connection,
    master: String,
    player: Option<Player>,
    playlist: Vec<u8>,
    playlists: Responses,
    parts: Responses,
    queue: VecDeque<String>,
    fetching: bool,
    /// Stamp of the last whole frame of the part that is arriving.
    newest: Option<i64>,
}

/// A viewer that is connected or about to be.
pub(super) struct Viewer {
    media: Connection,
    mode: Mode,
    arrivals: Arrivals,
    opened: Instant,
    joined: bool,
}

impl Viewer {
    pub fn open(door: &Door, seed: u64, registry: &Registry, token: impl Fn(Side) -> Token) -> std::io::Result<Self> {
        let opened = Instant::now();
        let (server, mode) = match door {
            Door::Floor { server } => (*server, Mode::Opening(Opening::None)),
            Door::Rtmp { server, id } => (*server, Mode::Opening(Opening::rtmp(*server, id, seed))),
            Door::Flv { server, path } => (*server, Mode::Opening(Opening::flv(*server, path))),
            Door::Llhls { server, path } => {
                let control = Connection::open(*server, registry, token(Side::Control))?;
                (*server, Mode::Hls(Box::new(Hls::new(*server, control, path.clone()))))
            }
        };
        let media = Connection::open(server, registry, token(Side::Media))?;
        let mut viewer = Self { media, mode, arrivals: Arrivals::default(), opened, joined: false };
        viewer.hello().map_err(std::io::Error::other)?;
        Ok(viewer)
    }

    fn hello(&mut self) -> Result<(), String> {
        match &mut self.mode {
            Mode::Opening(opening) => self.media.send(&opening.hello()?),
            Mode::Hls(hls) => hls.ask_for_playlist(),
            Mode::Pushed(_) => Ok(()),
        }
    }

    /// Reads all there is and answers. The poll is edge-triggered; a read that does not fill the buffer took all.
    pub fn ready(&mut self, side: Side, buffer: &mut [u8], outcome: &mut Outcome) -> Result<(), String> {
        match (&mut self.mode, side) {
            (Mode::Hls(hls), Side::Control) => hls.control.send(&[])?,
            _ => self.media.send(&[])?,
        }
        loop {
            let read = match (&mut self.mode, side) {
                (Mode::Hls(hls), Side::Control) => hls.control.read(buffer)?,
                _ => self.media.read(buffer)?,
            };
            if read == 0 {
                return Ok(());
            }
            match side {
                Side::Media => self.media(buffer, read, outcome)?,
                Side::Control => self.playlist(&buffer[TAIL..TAIL + read])?,
            }
            if TAIL + read < buffer.len() {
                return Ok(());
            }
        }
    }

    fn media(&mut self, buffer: &mut [u8], mut read: usize, outcome: &mut Outcome) -> Result<(), String> {
        if let Mode::Opening(opening) = &mut self.mode {
            let mut out = Vec::new();
            let step = opening.take(&buffer[TAIL..TAIL + read], &mut out)?;
            self.media.send(&out)?;
            let Step::Media(first) = step else { return Ok(()) };
            let acknowledger = matches!(opening, Opening::Rtmp { .. }).then(Acknowledger::default);
            self.mode = Mode::Pushed(acknowledger);
            buffer[TAIL..TAIL + first.len()].copy_from_slice(&first);
            read = first.len();
        }
        self.frames(buffer, read, outcome);
        match &mut self.mode {
            Mode::Pushed(Some(acknowledger)) => match acknowledger.received(read) {
                Some(message) => self.media.send(&message),
                None => Ok(()),
            },
            Mode::Hls(hls) => hls.part(&buffer[TAIL..TAIL + read], &mut self.media, outcome),
            _ => Ok(()),
        }
    }

    fn frames(&mut self, buffer: &mut [u8], read: usize, outcome: &mut Outcome) {
        let now_us = unix_us();
        let (joined, opened, mode) = (&mut self.joined, self.opened, &mut self.mode);
        self.arrivals.feed(buffer, read, |stamp_us| {
            if !*joined {
                *joined = true;
                outcome.join_us.push(u32::try_from(opened.elapsed().as_micros()).unwrap_or(u32::MAX));
            }
            if outcome.measuring {
                outcome.frames += 1;
            }
            match mode {
                Mode::Hls(hls) => hls.newest = Some(stamp_us),
                _ if outcome.measuring => outcome.latency_us.push(delay_us(now_us, stamp_us)),
                _ => {}
            }
        });
    }

    fn playlist(&mut self, bytes: &[u8]) -> Result<(), String> {
        match &mut self.mode {
            Mode::Hls(hls) => hls.playlist(bytes, &mut self.media),
            _ => Ok(()),
        }
    }
}

impl Hls {
    fn new(host: SocketAddr, control: Connection, master: String) -> Self {
        Self {
            host,
            control,
            master,
            player: None,
            playlist: Vec::new(),
            playlists: Responses::new(),
            parts: Responses::new(),
            queue: VecDeque::new(),
            fetching: false,
            newest: None,
        }
    }

    fn ask_for_playlist(&mut self) -> Result<(), String> {
        let path = self.player.as_ref().map_or(self.master.clone(), Player::reload);
        let request = get(&path, self.host);
        self.control.send(request.as_bytes())
    }

    fn playlist(&mut self, bytes: &[u8], media: &mut Connection) -> Result<(), String> {
        let mut status = None;
        let playlist = &mut self.playlist;
        self.playlists.feed(bytes, |event| match event {
            Event::Body(range) => playlist.extend_from_slice(&bytes[range]),
            Event::End(end) => status = Some(end),
        })?;
        let Some(status) = status else { return Ok(()) };
        if status != 200 {
            return Err(format!("playlist: status {status}"));
        }
        let playlist = std::mem::take(&mut self.playlist);
        let text = std::str::from_utf8(&playlist).map_err(|_| "playlist: no text")?;
        match &mut self.player {
            None => {
                let path = hls::first_variant(text, &self.master).ok_or("playlist: no variant")?;
                self.player = Some(Player::new(path));
            }
            Some(player) => self.queue.extend(player.take(text)?),
        }
        self.ask_for_playlist()?;
        self.fetch(media)
    }

    /// Asks for the next part, if none is on its way.
    fn fetch(&mut self, media: &mut Connection) -> Result<(), String> {
        if self.fetching {
            return Ok(());
        }
        let Some(path) = self.queue.pop_front() else { return Ok(()) };
        self.fetching = true;
        media.send(get(&path, self.host).as_bytes())
    }

    fn part(&mut self, bytes: &[u8], media: &mut Connection, outcome: &mut Outcome) -> Result<(), String> {
        let mut status = None;
        self.parts.feed(bytes, |event| {
            if let Event::End(end) = event {
                status = Some(end);
            }
        })?;
        let Some(status) = status else { return Ok(()) };
        if status != 200 {
            return Err(format!("part: status {status}"));
        }
        if let Some(stamp_us) = self.newest.take()
            && outcome.measuring
        {
            outcome.latency_us.push(delay_us(unix_us(), stamp_us));
        }
        self.fetching = false;
        self.fetch(media)
    }
}

fn get(path: &str, host: SocketAddr) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: oriel-lab\r\nAccept: */*\r\n\r\n")
}

fn delay_us(now_us: i64, stamp_us: i64) -> u32 {
    u32::try_from((now_us - stamp_us).max(0)).unwrap_or(u32::MAX)
}
