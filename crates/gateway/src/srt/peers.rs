//! Who has sent to the socket: at most so many, each for as long as it says something.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use srt_protocol::options::KeySize;
use srt_protocol::packet::Packet;
use srt_protocol::protocol::pending_connection::listen::Listen;
use tokio::sync::mpsc;

use crate::address::limited_by;

/// Handshakes under way, all addresses together and from one. A handshake costs its sender one datagram with an address
/// that may be made up, so that these places are few and held briefly.
const MOST_PENDING: usize = 1024;
const MOST_PENDING_PER_ADDRESS: usize = 64;
const PENDING_TIME: Duration = Duration::from_secs(5);

/// How far a caller has come.
pub(super) enum Peer {
    /// In the handshake, since then.
    Pending(Box<Listen>, Instant),
    /// Its request is with the server; the length of its key.
    Asked(Box<Listen>, KeySize),
    /// Turned away: the same answer again, should it not have arrived.
    Refused(Option<Box<Packet>>, Instant),
    /// Its packets go to its task.
    Open(mpsc::Sender<Packet>),
}

impl Peer {
    fn waits(&self) -> bool {
        matches!(self, Self::Pending(..) | Self::Refused(..))
    }
}

/// Callers by address.
#[derive(Default)]
pub(super) struct Peers {
    all: HashMap<SocketAddr, Peer>,
}

impl Peers {
    pub fn get_mut(&mut self, address: SocketAddr) -> Option<&mut Peer> {
        self.all.get_mut(&address)
    }

    pub fn set(&mut self, address: SocketAddr, peer: Peer) {
        self.all.insert(address, peer);
    }

    pub fn remove(&mut self, address: SocketAddr) -> Option<Peer> {
        self.all.remove(&address)
    }

    /// Whether a new caller gets a place.
    pub fn admits(&self, address: SocketAddr, most_per_address: usize) -> bool {
        let pending = self.all.values().filter(|peer| peer.waits()).count();
        let host = limited_by(address.ip());
        let mine = self.all.iter().filter(|(other, _)| limited_by(other.ip()) == host);
        let (waiting, there) = mine.fold((0, 0), |(waiting, there), (_, peer)| match peer.waits() {
            true => (waiting + 1, there),
            false => (waiting, there + 1),
        });
        pending < MOST_PENDING && waiting < MOST_PENDING_PER_ADDRESS && there < most_per_address
    }

    /// Forgets who is silent or gone.
    pub fn sweep(&mut self, now: Instant) {
        self.all.retain(|_, peer| match peer {
            Peer::Pending(_, since) | Peer::Refused(_, since) => now.duration_since(*since) < PENDING_TIME,
            Peer::Asked(..) => true,
            Peer::Open(packets) => !packets.is_closed(),
        });
    }
}
