//! Which session a datagram belongs to.
//!
//! An ICE check names our side's user fragment, and so its session; everything else (DTLS, RTP, RTCP) goes to the session
//! whose check came last from the same address.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use bytes::Bytes;
use str0m::ice::StunMessage;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Datagrams that wait for their session; more are dropped, and RTP asks for them again.
const INBOX: usize = 512;

/// Addresses from which a session is reached: the networks of a phone, and those it had before.
const ADDRESSES: usize = 8;

/// A datagram for a session.
#[derive(Debug)]
pub(super) struct Datagram {
    pub source: SocketAddr,
    /// The address of ours that it came to.
    pub local: Option<IpAddr>,
    pub at: Instant,
    pub bytes: Bytes,
}

/// The sessions of an endpoint. Clones share.
#[derive(Clone, Debug, Default)]
pub(super) struct Demux {
    table: Arc<Mutex<Table>>,
}

#[derive(Debug, Default)]
struct Table {
    /// By our user fragment.
    sessions: HashMap<String, Entry>,
    /// Session by its id. The fragment is sent in the clear; the id is known to who made the session only.
    ids: HashMap<String, String>,
    by_address: HashMap<SocketAddr, String>,
}

#[derive(Debug)]
struct Entry {
    /// Who asked for it.
    holder: IpAddr,
    inbox: mpsc::Sender<Datagram>,
    addresses: VecDeque<SocketAddr>,
    stop: CancellationToken,
    over: CancellationToken,
}

/// A session's place in the table, given up on drop.
#[derive(Debug)]
pub(super) struct Place {
    demux: Demux,
    fragment: String,
    pub id: String,
    pub inbox: mpsc::Receiver<Datagram>,
    /// Cancelled when somebody asked the session to end.
    pub stop: CancellationToken,
    over: CancellationToken,
}

impl Demux {
    /// A place for the session `id` with our user `fragment` for somebody at `holder`, unless there are `most` already, or the
    /// holder has more of them than are left for others.
    pub fn enter(&self, id: String, fragment: String, holder: IpAddr, most: usize) -> Option<Place> {
        let mut table = self.lock();
        let left = most.saturating_sub(table.sessions.len());
        let held = table.sessions.values().filter(|entry| entry.holder == holder).count();
        if held >= left {
            return None;
        }
        let (sender, inbox) = mpsc::channel(INBOX);
        let (stop, over) = (CancellationToken::new(), CancellationToken::new());
        let entry = Entry { holder, inbox: sender, addresses: VecDeque::new(), stop: stop.clone(), over: over.clone() };
        table.sessions.insert(fragment.clone(), entry);
        table.ids.insert(id.clone(), fragment.clone());
        Some(Place { demux: self.clone(), fragment, id, inbox, stop, over })
    }

    /// Hands a datagram to its session; what belongs to none is dropped.
    pub fn route(&self, source: SocketAddr, local: Option<IpAddr>, datagram: &[u8]) {
        let mut table = self.lock();
        let Some(entry) = table.find(source, datagram) else { return };
        let datagram = Datagram { source, local, at: Instant::now(), bytes: Bytes::copy_from_slice(datagram) };
        // A full inbox is a session that cannot keep up: to its peer the network lost the datagram.
        let _ = entry.inbox.try_send(datagram);
    }

    /// Our user fragment of the session `id`, if there is one.
    pub fn fragment(&self, id: &str) -> Option<String> {
        self.lock().ids.get(id).cloned()
    }

    /// Asks a session to end; the token is cancelled when it has.
    pub fn stop(&self, id: &str) -> Option<CancellationToken> {
        let table = self.lock();
        let entry = table.sessions.get(table.ids.get(id)?)?;
        entry.stop.cancel();
        Some(entry.over.clone())
    }

    pub fn len(&self) -> usize {
        self.lock().sessions.len()
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Table {
    fn find(&mut self, source: SocketAddr, datagram: &[u8]) -> Option<&Entry> {
        let Some(fragment) = named(datagram) else {
            return self.sessions.get(self.by_address.get(&source)?);
        };
        let entry = self.sessions.get_mut(&fragment)?;
        if self.by_address.get(&source).is_none_or(|held| *held != fragment) {
            if entry.addresses.len() >= ADDRESSES
                && let Some(oldest) = entry.addresses.pop_front()
                && self.by_address.get(&oldest).is_some_and(|held| *held == fragment)
            {
                self.by_address.remove(&oldest);
            }
            entry.addresses.push_back(source);
            self.by_address.insert(source, fragment);
        }
        Some(entry)
    }
}

/// Our user fragment in the datagram, if it is an ICE check (RFC 8445 section 7.2.2: `ours:theirs`).
fn named(datagram: &[u8]) -> Option<String> {
    // RFC 7983: STUN begins with 0 to 3.
    if datagram.first().is_none_or(|first| *first > 3) {
        return None;
    }
    let message = StunMessage::parse(datagram).ok()?;
    let (ours, _) = message.split_username().filter(|_| message.is_binding_request())?;
    Some(ours.to_owned())
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut table = self.demux.lock();
        table.ids.remove(&self.id);
        if let Some(entry) = table.sessions.remove(&self.fragment) {
            for address in entry.addresses {
                if table.by_address.get(&address) == Some(&self.fragment) {
                    table.by_address.remove(&address);
                }
            }
        }
        drop(table);
        self.over.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_no_session_is_dropped_and_places_come_back() {
        let demux = Demux::default();
        let source = "192.0.2.1:5000".parse().expect("an address");
        demux.route(source, None, &[0x80, 0x60, 0, 1]);
        demux.route(source, None, &[]);
        demux.route(source, None, &[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42]);
        let holder = IpAddr::from([192, 0, 2, 1]);
        let enter = |name: &str| demux.enter(name.into(), format!("{name}-fragment"), holder, 1);
        let first = enter("one").expect("room");
        assert!(enter("two").is_none());
        let over = demux.stop("one").expect("it is there");
        assert!(first.stop.is_cancelled() && !over.is_cancelled());
        drop(first);
        assert!(over.is_cancelled());
        assert!(enter("two").is_some());
    }

    #[test]
    fn one_address_cannot_take_the_room_of_all() {
        let demux = Demux::default();
        let fill = |last: u8| {
            let holder = IpAddr::from([192, 0, 2, last]);
            let enter = |n: usize| demux.enter(format!("{last}-{n}"), format!("f{last}-{n}"), holder, 64);
            (0..).map_while(enter).collect::<Vec<_>>()
        };
        let greedy = fill(1);
        assert_eq!(greedy.len(), 32);
        assert_eq!(fill(2).len(), 16);
    }
}
