//! How many connections an address, and all together, may have.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::address::limited_by;

/// Why a connection is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Full {
    #[error("address has {0} connections already")]
    Address(usize),
    #[error("{0} connections without a request leave no room for another from this address")]
    Pending(usize),
}

/// Counts connections.
#[derive(Debug)]
pub(super) struct Gate {
    per_address: usize,
    max_pending: usize,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    pending: usize,
    addresses: HashMap<IpAddr, Address>,
}

#[derive(Debug, Default)]
struct Address {
    connections: usize,
    /// Those of them that have not made a request.
    pending: usize,
}

/// A connection that has been let in; dropping it makes room.
#[derive(Debug)]
pub(super) struct Admission {
    gate: Arc<Gate>,
    address: IpAddr,
    pending: bool,
}

impl Gate {
    pub(super) fn new(per_address: usize, max_pending: usize) -> Arc<Self> {
        Arc::new(Self { per_address, max_pending, counts: Mutex::default() })
    }

    /// Lets a connection in, which counts as pending until [`Admission::requested`].
    ///
    /// An address may hold as many pending connections as are left for everyone else: alone it gets half of all, and
    /// while it holds them, others still get in. Nobody who is in is put out.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Result<Admission, Full> {
        let address = limited_by(address);
        let mut counts = self.lock();
        let left = self.max_pending.saturating_sub(counts.pending);
        let held = counts.addresses.get(&address);
        let (connections, pending) = held.map_or((0, 0), |held| (held.connections, held.pending));
        if connections >= self.per_address {
            return Err(Full::Address(connections));
        }
        if pending >= left {
            return Err(Full::Pending(counts.pending));
        }
        counts.pending += 1;
        let held = counts.addresses.entry(address).or_default();
        held.connections += 1;
        held.pending += 1;
        Ok(Admission { gate: self.clone(), address, pending: true })
    }

    /// A poisoned lock means a panic elsewhere; the counts are whole at every step.
    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Admission {
    /// The connection has made its request and is bounded per address only.
    pub(super) fn requested(&mut self) {
        if !std::mem::take(&mut self.pending) {
            return;
        }
        let mut counts = self.gate.lock();
        counts.pending -= 1;
        if let Some(held) = counts.addresses.get_mut(&self.address) {
            held.pending -= 1;
        }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.requested();
        let mut counts = self.gate.lock();
        if let Some(held) = counts.addresses.get_mut(&self.address) {
            held.connections -= 1;
            if held.connections == 0 {
                counts.addresses.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn an_address_has_its_own_limit_and_gets_room_back() {
        let gate = Gate::new(2, 100);
        let mut first = gate.enter(address(1)).expect("room");
        let second = gate.enter(address(1)).expect("room");
        first.requested();
        assert_eq!(gate.enter(address(1)).err(), Some(Full::Address(2)));
        assert!(gate.enter(address(2)).is_ok());
        drop(second);
        assert!(gate.enter(address(1)).is_ok());
        drop(first);
        assert!(gate.lock().addresses.is_empty(), "nothing is remembered of those who left");
        assert_eq!(gate.lock().pending, 0);
    }

    #[test]
    fn one_address_cannot_take_the_room_of_all() {
        let gate = Gate::new(usize::MAX, 64);
        let fill = |last| std::iter::from_fn(|| gate.enter(address(last)).ok()).collect::<Vec<_>>();
        let greedy = fill(1);
        assert_eq!(greedy.len(), 32);
        let others: Vec<_> = (2..6).map(fill).collect();
        assert_eq!(others.iter().map(Vec::len).collect::<Vec<_>>(), [16, 8, 4, 2]);
    }

    #[test]
    fn requests_free_the_room_for_those_who_have_made_none() {
        let gate = Gate::new(usize::MAX, 4);
        let mut viewers = Vec::new();
        for _ in 0..100 {
            let mut admission = gate.enter(address(1)).expect("the one before has made its request");
            admission.requested();
            viewers.push(admission);
        }
    }

    #[test]
    fn an_ipv6_network_is_one_address() {
        let gate = Gate::new(1, 10);
        let of = |text: &str| text.parse::<IpAddr>().expect("an address");
        let _one = gate.enter(of("2001:db8::1")).expect("room");
        assert!(gate.enter(of("2001:db8::ffff:2")).is_err());
        assert!(gate.enter(of("2001:db8:0:1::1")).is_ok());
        let _mapped = gate.enter(of("::ffff:192.0.2.7")).expect("room");
        assert!(gate.enter(of("192.0.2.7")).is_err());
    }
}
