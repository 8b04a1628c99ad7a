//! How many connections there are, in all and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use gateway::address::limited_by;

/// Counts connections; a [`Slot`] is held for the life of one.
#[derive(Clone)]
pub struct Slots {
    most: usize,
    most_per_address: usize,
    held: Arc<Mutex<Held>>,
}

#[derive(Default)]
struct Held {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// One connection's place, given back on drop.
pub struct Slot {
    /// `None`: not counted against its address.
    address: Option<IpAddr>,
    held: Arc<Mutex<Held>>,
}

/// Why a connection gets no place.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    #[error("the server has as many connections as it takes")]
    Server,
    #[error("this address has as many connections as one may have")]
    Address,
}

impl Slots {
    pub fn new(most: usize, most_per_address: usize) -> Self {
        Self { most, most_per_address, held: Arc::default() }
    }

    /// A place for a connection from `ip`; `counted` is false for a proxy, which speaks for many.
    pub fn take(&self, ip: IpAddr, counted: bool) -> Result<Slot, Full> {
        let mut held = self.held.lock().expect("no panic happens under this lock");
        if held.all >= self.most {
            return Err(Full::Server);
        }
        let address = counted.then(|| limited_by(ip));
        if let Some(address) = address {
            let mine = held.by_address.entry(address).or_default();
            if *mine >= self.most_per_address {
                return Err(Full::Address);
            }
            *mine += 1;
        }
        held.all += 1;
        Ok(Slot { address, held: self.held.clone() })
    }

    pub fn count(&self) -> usize {
        self.held.lock().expect("no panic happens under this lock").all
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut held = self.held.lock().expect("no panic happens under this lock");
        held.all -= 1;
        let Some(address) = self.address else { return };
        if let Some(mine) = held.by_address.get_mut(&address) {
            *mine -= 1;
            if *mine == 0 {
                held.by_address.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_full_before_the_server_and_places_come_back() {
        let slots = Slots::new(3, 2);
        let (a, b) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let first = slots.take(a, true).unwrap();
        let _second = slots.take(a, true).unwrap();
        assert_eq!(slots.take(a, true).err(), Some(Full::Address));
        let _third = slots.take(b, true).unwrap();
        assert_eq!(slots.take(b, true).err(), Some(Full::Server));
        drop(first);
        assert!(slots.take(a, true).is_ok());
    }

    #[test]
    fn a_proxy_is_not_counted_against_its_address() {
        let slots = Slots::new(10, 1);
        let ip = "10.0.0.1".parse().unwrap();
        let held: Vec<_> = (0..5).map(|_| slots.take(ip, false).unwrap()).collect();
        assert_eq!(slots.count(), 5);
        drop(held);
        assert_eq!(slots.count(), 0);
    }
}
