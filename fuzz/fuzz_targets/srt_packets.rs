//! Datagrams of an SRT caller, through a handshake and a connection as the listener feeds them. Each has before it the
//! milliseconds since the last and its length.
//!
//! The protocol's code may panic, as it may in the server, which survives it. Nothing else may, and nothing may take long.

#![no_main]

use std::cell::Cell;
use std::io::Cursor;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use oriel_fuzz::srt::guard::{datagram, sensible, survive};
use oriel_fuzz::srt::stream_id;
use srt_protocol::connection::{Connection, DuplexConnection};
use srt_protocol::options::{ByteCount, PacketSize, SocketOptions};
use srt_protocol::packet::{ControlTypes, Packet};
use srt_protocol::protocol::pending_connection::listen::Listen;
use srt_protocol::protocol::pending_connection::{AccessControlResponse, ConnectionResult};
use srt_protocol::settings::{ConnInitSettings, KeySettings, Passphrase, SocketId};

const US: u32 = 7;

/// Where a control packet has the socket it is for, and a handshake its cookie.
const FOR: usize = 12;
const COOKIE: usize = 44;

thread_local! {
    static SURVIVES: Cell<bool> = const { Cell::new(false) };
}

/// The hook of the fuzzer ends the process at every panic.
fn quiet() {
    let last = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !SURVIVES.get() {
            last(panic);
        }
    }));
}

fn guarded<T>(run: impl FnOnce() -> T) -> Option<T> {
    SURVIVES.set(true);
    let result = survive(run);
    SURVIVES.set(false);
    result
}

enum Caller {
    Calls(Box<Listen>),
    Open(Box<DuplexConnection>),
}

struct Session {
    caller: Caller,
    key: bool,
    cookie: i32,
    received: usize,
    given: usize,
}

impl Session {
    fn new(key: bool) -> Self {
        let mut options = SocketOptions::default();
        options.receiver.latency = Duration::from_millis(400);
        // Less than the server's, so that a few packets fill it.
        options.receiver.buffer_size = ByteCount(1 << 18);
        options.sender.max_payload_size = PacketSize(1456);
        options.session.peer_idle_timeout = Duration::from_secs(5);
        let mut settings: ConnInitSettings = options.into();
        settings.local_sockid = SocketId(US);
        Self { caller: Caller::Calls(Box::new(Listen::new(settings, true))), key, cookie: 0, received: 0, given: 0 }
    }

    /// Takes a datagram; `None` when the server would have nothing more to do with the caller.
    fn take(&mut self, now: Instant, bytes: &[u8], peer: SocketAddr) -> Option<()> {
        let mut bytes = bytes.to_vec();
        let is_control = bytes.first().is_some_and(|first| first & 0x80 != 0);
        if let Some(field) = bytes.get_mut(FOR..FOR + 4) {
            field.copy_from_slice(&US.to_be_bytes());
        }
        match bytes.get_mut(COOKIE..COOKIE + 4) {
            Some(field) if is_control && self.cookie != 0 => field.copy_from_slice(&self.cookie.to_be_bytes()),
            _ => {}
        }
        let packet = guarded(|| Packet::parse(&mut Cursor::new(&bytes), peer.is_ipv6()))?.ok()?;
        match &mut self.caller {
            Caller::Calls(listen) => {
                let result = guarded(|| listen.handle_packet(now, Ok((packet, peer))))?;
                self.called(now, result)
            }
            Caller::Open(connection) => {
                if let Packet::Data(data) = &packet {
                    self.received += data.payload.len();
                }
                if sensible(&packet) {
                    guarded(|| connection.handle_packet_input(now, Ok((packet, peer))))?;
                }
                Some(())
            }
        }
    }

    fn called(&mut self, now: Instant, result: ConnectionResult) -> Option<()> {
        let Caller::Calls(listen) = &mut self.caller else { return None };
        match result {
            ConnectionResult::RequestAccess(request) => {
                let _ = stream_id::parse(request.stream_id.as_ref().map(|id| id.as_str()).unwrap_or_default());
                let passphrase = Passphrase::try_from("0123456789".to_owned()).ok()?;
                let key = self.key.then_some(KeySettings { key_size: request.key_size, passphrase });
                let response = AccessControlResponse::Accepted(key);
                let result = guarded(|| listen.handle_access_control_response(now, response))?;
                self.called(now, result)
            }
            ConnectionResult::SendPacket((packet, _)) => {
                if let Packet::Control(control) = &packet
                    && let ControlTypes::Handshake(handshake) = &control.control_type
                {
                    self.cookie = handshake.syn_cookie;
                }
                say(&packet);
                Some(())
            }
            ConnectionResult::Connected(packet, connection) => {
                packet.iter().for_each(|(packet, _)| say(packet));
                self.caller = Caller::Open(Box::new(open(connection)?));
                Some(())
            }
            ConnectionResult::Reject(packet, _) => {
                packet.iter().for_each(|(packet, _)| say(packet));
                None
            }
            _ => Some(()),
        }
    }

    /// What the connection's task does between datagrams.
    fn work(&mut self, now: Instant) -> Option<()> {
        let Caller::Open(connection) = &mut self.caller else { return Some(()) };
        while let Some((packet, _)) = guarded(|| connection.next_packet(now))? {
            say(&packet);
        }
        while let Some((_, bytes)) = guarded(|| connection.next_data(now))? {
            self.given += bytes.len();
            // Decrypting changes no length.
            assert!(self.given <= self.received, "no more comes out than went in");
        }
        guarded(|| connection.check_timers(now))?;
        connection.is_open().then_some(())
    }
}

fn open(connection: Connection) -> Option<DuplexConnection> {
    guarded(|| DuplexConnection::new(connection))
}

fn say(packet: &Packet) {
    SURVIVES.set(true);
    let bytes = datagram(packet);
    SURVIVES.set(false);
    assert!(bytes.is_none_or(|bytes| bytes.len() <= 3000), "an answer is no longer than twice a question");
}

fuzz_target!(
    // Making a key of a passphrase takes long by design, so that few inputs do it.
    init: quiet(),
    |input: &[u8]| {
        let Some((&choice, mut rest)) = input.split_first() else { return };
        let peer: SocketAddr = ([192, 0, 2, 1], 9).into();
        let mut now = Instant::now();
        let mut session = Session::new(choice == 1);
        while let [wait, high, low, more @ ..] = rest {
            let length = usize::from(u16::from_be_bytes([*high, *low])).min(1500).min(more.len());
            let (bytes, more) = more.split_at(length);
            rest = more;
            now += Duration::from_millis(u64::from(*wait));
            if session.take(now, bytes, peer).is_none() && matches!(session.caller, Caller::Open(_)) {
                return;
            }
            if session.work(now).is_none() {
                return;
            }
        }
    }
);
