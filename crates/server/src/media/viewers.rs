//! Players that pull media, counted by what they hold or ask for: HTTP-FLV, RTMP and WHEP by their connection, HLS by
//! an address and program that asked for a playlist lately.
//!
//! Pages report their playback to the room themselves and are in this count too; the room takes the larger of the two for
//! the protocols that are counted here, so that nobody is counted twice (`docs/ref/api.md`).

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// An HLS player that has not asked for this long is gone.
const HLS_SEEN: Duration = Duration::from_secs(15);

/// HLS players remembered; beyond it new ones are not counted.
const MOST_HLS: usize = 200_000;

/// The pulling players of all broadcasts. Clones share.
#[derive(Clone, Default)]
pub struct Pulls {
    counts: Arc<Mutex<Counts>>,
}

#[derive(Default)]
struct Counts {
    held: HashMap<String, u32>,
    /// By broadcast, then by a hash of address and program.
    hls: HashMap<String, HashMap<u64, Instant>>,
    hls_players: usize,
    hasher: RandomState,
}

/// How a connection pulls; the label of the metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Flv,
    FlvWebSocket,
    Rtmp,
    Whep,
}

impl Protocol {
    fn label(self) -> &'static str {
        match self {
            Self::Flv => "flv",
            Self::FlvWebSocket => "flv_ws",
            Self::Rtmp => "rtmp",
            Self::Whep => "whep",
        }
    }
}

/// One connection that pulls, counted until it is dropped.
pub struct Pull {
    pulls: Pulls,
    id: String,
    protocol: Protocol,
}

impl Pulls {
    /// Counts a connection.
    pub fn join(&self, id: &str, protocol: Protocol) -> Pull {
        *self.lock().held.entry(id.to_owned()).or_default() += 1;
        metrics::gauge!("oriel_pull_viewers", "protocol" => protocol.label()).increment(1.0);
        Pull { pulls: self.clone(), id: id.to_owned(), protocol }
    }

    /// Notes that an HLS player asked for a playlist.
    pub fn hls(&self, id: &str, address: IpAddr, program: &[u8]) {
        let mut counts = self.lock();
        let player = counts.hasher.hash_one((address, program));
        let full = counts.hls_players >= MOST_HLS;
        let players = counts.hls.entry(id.to_owned()).or_default();
        if full && !players.contains_key(&player) {
            return;
        }
        if players.insert(player, Instant::now()).is_none() {
            counts.hls_players += 1;
        }
    }

    /// Players pulling broadcast `id` now.
    pub fn count(&self, id: &str) -> u32 {
        let counts = self.lock();
        let held = counts.held.get(id).copied().unwrap_or(0);
        let hls =
            counts.hls.get(id).map_or(0, |players| players.values().filter(|seen| seen.elapsed() < HLS_SEEN).count());
        held.saturating_add(u32::try_from(hls).unwrap_or(u32::MAX))
    }

    /// Forgets HLS players that are gone; gives the count of every broadcast that has or had players.
    pub fn sweep(&self) -> Vec<(String, u32)> {
        let ids: Vec<String> = {
            let counts = self.lock();
            counts.held.keys().chain(counts.hls.keys()).cloned().collect()
        };
        let mut all: Vec<(String, u32)> = ids.into_iter().map(|id| (id.clone(), self.count(&id))).collect();
        all.sort();
        all.dedup();
        let mut counts = self.lock();
        for players in counts.hls.values_mut() {
            players.retain(|_, seen| seen.elapsed() < HLS_SEEN);
        }
        counts.hls.retain(|_, players| !players.is_empty());
        counts.held.retain(|_, count| *count > 0);
        counts.hls_players = counts.hls.values().map(HashMap::len).sum();
        all
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().expect("no panic happens under this lock")
    }
}

impl Drop for Pull {
    fn drop(&mut self) {
        if let Some(count) = self.pulls.lock().held.get_mut(&self.id) {
            *count -= 1;
        }
        metrics::gauge!("oriel_pull_viewers", "protocol" => self.protocol.label()).decrement(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_counts_until_it_is_dropped() {
        let pulls = Pulls::default();
        let one = pulls.join("a", Protocol::Flv);
        let _two = pulls.join("a", Protocol::Rtmp);
        let _other = pulls.join("b", Protocol::Flv);
        assert_eq!(pulls.count("a"), 2);
        drop(one);
        assert_eq!(pulls.count("a"), 1);
    }

    #[test]
    fn an_hls_player_counts_once_however_often_it_asks() {
        let pulls = Pulls::default();
        let (a, b) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        for _ in 0..3 {
            pulls.hls("a", a, b"VLC");
        }
        pulls.hls("a", a, b"ffmpeg");
        pulls.hls("a", b, b"VLC");
        assert_eq!(pulls.count("a"), 3);
        assert_eq!(pulls.sweep(), [("a".to_owned(), 3)]);
    }

    #[test]
    fn a_broadcast_whose_last_player_left_is_told_once_more_as_zero() {
        let pulls = Pulls::default();
        drop(pulls.join("a", Protocol::Flv));
        assert_eq!(pulls.sweep(), [("a".to_owned(), 0)]);
        assert_eq!(pulls.sweep(), []);
    }
}
