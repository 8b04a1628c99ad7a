//! Comments that were sent twice because an answer was lost: the second is recognised by its sender and `cid`.

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashSet, VecDeque};
use std::hash::{Hash, Hasher};

/// The senders and `cid`s of the last comments, as hashes.
#[derive(Debug)]
pub(crate) struct Recent {
    known: HashSet<u64>,
    order: VecDeque<u64>,
    max: usize,
}

impl Recent {
    pub fn new(max: usize) -> Self {
        Self { known: HashSet::new(), order: VecDeque::new(), max }
    }

    /// Remember; false when it was known.
    pub fn insert(&mut self, who: &str, cid: &str) -> bool {
        let key = key(who, cid);
        if !self.known.insert(key) {
            return false;
        }
        self.order.push_back(key);
        if self.order.len() > self.max
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }

    /// Forget: it was refused after all and may come again.
    pub fn remove(&mut self, who: &str, cid: &str) {
        let key = key(who, cid);
        if self.known.remove(&key) {
            self.order.retain(|known| *known != key);
        }
    }
}

fn key(who: &str, cid: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (who, cid).hash(&mut hasher);
    hasher.finish()
}
