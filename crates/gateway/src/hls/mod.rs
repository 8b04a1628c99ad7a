//! HLS and low-latency HLS: a broadcast as playlists, segments and parts (fragmented MP4, audio and video in one).
//!
//! [`Packagers`] run one packager per broadcast while somebody asks for it; [`Request`] is what a player asks, [`Reply`] what it
//! gets. Playlists, segments and parts are a pure function of the broadcast's groups, so any node and any cache serves the same:
//!
//! ```text
//! live::Item -> segmenter (planner, part, fmp4) -> window -> playlist
//!                    pure                     state      pure
//! ```
//!
//! [`validator`] checks what a server says over time against the same rules. Elsewhere: HTTP itself, CORS and who may watch
//! (`server`), the rule by which segments are numbered ([`live::Segments`]).

mod fmp4;
mod packager;
mod part;
mod planner;
mod playlist;
mod request;
mod segmenter;
mod snapshot;
mod timing;
mod transport;
pub mod validator;
mod window;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use live::{Broadcast, Phase};

pub(crate) use fmp4::{AUDIO_TRACK, Init, VIDEO_TIMESCALE, VIDEO_TRACK, fnv1a, ticks};
use packager::{Packager, Task, Visit};
pub(crate) use part::Part;
pub(crate) use planner::Head;
pub(crate) use playlist::step_up;
pub use request::{BadRequest, Directives, Request};
pub(crate) use request::{between, hash, number};
pub(crate) use segmenter::{Output, Segmenter};
pub(crate) use timing::{DateTime, Seconds, TARGET_SECONDS, us};

/// How broadcasts are packaged. The same on every node that serves the same broadcasts, and for as long as they last.
#[derive(Clone, Debug)]
pub struct Config {
    /// PART-TARGET. 210 ms holds five or six whole frames at 24, 25, 29.97, 30, 50 and 60 Hz, so parts are 200 to 209 ms and
    /// above the 85 % that the draft asks for; 200 ms would leave 29.97 and 24 Hz with one frame less, below it.
    pub part_target: Duration,
    /// Media that playlists list: more than the 6 target durations that a player may skip over.
    pub window: Duration,
    /// Media that can be had after playlists have dropped it: what a player may ask for that holds an old playlist.
    pub kept: Duration,
    /// Most bytes of media kept per broadcast. When full, the oldest segments go first, down to three.
    pub max_bytes: usize,
    /// A packager that nobody has asked for this long stops. More than a request may block.
    pub idle: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            part_target: Duration::from_millis(210),
            window: live::SEGMENT_TARGET * 9,
            kept: live::SEGMENT_TARGET * 9,
            max_bytes: 256 << 20,
            idle: Duration::from_secs(30),
        }
    }
}

/// What a player is given, with status 200. Bodies are shared by all viewers.
#[derive(Clone, Debug)]
pub struct Reply {
    pub content_type: &'static str,
    pub cache_control: &'static str,
    pub body: Bytes,
    /// The body with `Content-Encoding: gzip`, for those who accept it.
    pub gzip: Option<Bytes>,
}

/// Why a player is not given what it asked for.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The request makes no sense: status 400.
    #[error(transparent)]
    BadRequest(BadRequest),
    /// There is no such file, or not any more: status 404.
    #[error("no such file in the broadcast")]
    NotFound,
    /// The codecs of the broadcast have no place in a transport stream: status 404.
    #[error("only H.264 and AAC come as MPEG-TS; this broadcast has another codec, or nothing yet")]
    NoTransport,
    /// What was asked for did not come in time: status 503, ask again.
    #[error("nothing came for {} s", .0.as_secs())]
    Late(Duration),
}

impl Error {
    /// The HTTP status that says the same.
    pub fn status(&self) -> u16 {
        match self {
            Self::BadRequest(_) => 400,
            Self::NotFound | Self::NoTransport => 404,
            Self::Late(_) => 503,
        }
    }
}

impl From<BadRequest> for Error {
    fn from(bad: BadRequest) -> Self {
        match bad {
            BadRequest::File(_) => Self::NotFound,
            bad => Self::BadRequest(bad),
        }
    }
}

/// The packagers of a node. Clones share.
#[derive(Clone, Default)]
pub struct Packagers {
    config: Config,
    running: Arc<Mutex<HashMap<String, Arc<Packager>>>>,
}

impl Packagers {
    pub fn new(config: Config) -> Self {
        Self { config, running: Arc::default() }
    }

    /// Answers a request about a broadcast, whose packager starts with the first.
    ///
    /// Waits for media that is about to come, at most three target durations. Must be called within a tokio runtime.
    pub async fn get(&self, broadcast: &Broadcast, request: Request) -> Result<Reply, Error> {
        let visit = self.visit(broadcast);
        visit.packager().answer(request).await
    }

    /// How many broadcasts are being packaged.
    pub fn running(&self) -> usize {
        self.lock().len()
    }

    /// Counts a visitor in under the lock that `retire` takes, so that nobody waits at a packager that stops.
    fn visit(&self, broadcast: &Broadcast) -> Visit {
        let mut running = self.lock();
        if let Some(packager) = running.get(broadcast.id())
            && (!packager.ended() || broadcast.phase() == Phase::Ended)
        {
            return packager.visit();
        }
        let packager = Arc::new(Packager::new(self.config.clone()));
        running.insert(broadcast.id().to_owned(), packager.clone());
        let task = Task {
            packagers: self.clone(),
            packager: packager.clone(),
            broadcast: broadcast.clone(),
            config: self.config.clone(),
        };
        let visit = packager.visit();
        tokio::spawn(task.run());
        visit
    }

    /// Forgets a packager that nobody has asked for `idle`; false while it is in use.
    fn retire(&self, id: &str, packager: &Arc<Packager>, idle: Duration) -> bool {
        let mut running = self.lock();
        if !packager.idle_for(idle) {
            return false;
        }
        if running.get(id).is_some_and(|held| Arc::ptr_eq(held, packager)) {
            running.remove(id);
        }
        true
    }

    fn forget(&self, id: &str, packager: &Arc<Packager>) {
        let mut running = self.lock();
        if running.get(id).is_some_and(|held| Arc::ptr_eq(held, packager)) {
            running.remove(id);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Packager>>> {
        // A poisoned lock means a panic elsewhere; the map is whole at every step.
        self.running.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
