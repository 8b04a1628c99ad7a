//! The task that packages one broadcast, and the answers to its viewers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use live::{Broadcast, Item, Phase, Subscriber};
use tokio::sync::watch;
use tokio::time::Instant;

use super::playlist::Extent;
use super::request::{BadRequest, Directives, Request};
use super::segmenter::{Output, Segmenter};
use super::snapshot::{Document, Snapshot};
use super::window::{Segment, Window};
use super::{Config, Error, Packagers, Reply, timing};

/// Before a subscription that failed while the broadcast goes on is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// How long the final playlist can be had: a player that polls comes back at least every target duration.
const FINAL_KEPT: Duration = Duration::from_secs(60);

/// What the task and the viewers of a broadcast share.
#[derive(Debug)]
pub(super) struct Packager {
    /// The newest state; viewers wait for it to change.
    state: watch::Sender<Arc<Snapshot>>,
    started: Instant,
    /// When the last request ended, in milliseconds after the start.
    used_ms: AtomicU64,
    /// Requests being answered or waiting.
    waiting: AtomicUsize,
}

/// Counts a request from its arrival on.
pub(super) struct Visit(Arc<Packager>);

impl Visit {
    pub fn packager(&self) -> &Packager {
        &self.0
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let now_ms = self.0.started.elapsed().as_millis() as u64;
        self.0.used_ms.fetch_max(now_ms, Ordering::Relaxed);
        self.0.waiting.fetch_sub(1, Ordering::Release);
    }
}

impl Packager {
    pub fn new(config: Config) -> Self {
        Self {
            state: watch::Sender::new(Arc::new(Snapshot::new(Window::new(config)))),
            started: Instant::now(),
            used_ms: AtomicU64::new(0),
            waiting: AtomicUsize::new(0),
        }
    }

    pub fn visit(self: &Arc<Self>) -> Visit {
        self.waiting.fetch_add(1, Ordering::Acquire);
        Visit(self.clone())
    }

    pub fn ended(&self) -> bool {
        self.state.borrow().window.ended
    }

    /// Whether nobody has asked for `time`.
    pub fn idle_for(&self, time: Duration) -> bool {
        let used = Duration::from_millis(self.used_ms.load(Ordering::Relaxed));
        self.waiting.load(Ordering::Acquire) == 0 && self.started.elapsed().saturating_sub(used) >= time
    }

    /// Answers a request, at the latest after [`timing::block_limit`].
    pub async fn answer(&self, request: Request) -> Result<Reply, Error> {
        let limit = timing::block_limit();
        tokio::time::timeout(limit, self.answer_in_time(request)).await.unwrap_or(Err(Error::Late(limit)))
    }

    async fn answer_in_time(&self, request: Request) -> Result<Reply, Error> {
        let state = self.wait(Snapshot::has_media).await;
        if !state.has_media() {
            return Err(Error::NotFound);
        }
        match request {
            Request::Index => Ok(playlist(state.index())),
            Request::Plain => Ok(playlist(state.plain_index())),
            Request::Media(directives) => self.media(&state, directives).await,
            Request::MediaPlain => {
                let state = self.wait(|state| state.window.last_complete().is_some()).await;
                Ok(playlist(state.plain()))
            }
            Request::Ts => {
                let state = self.wait(|state| state.window.last_complete().is_some()).await;
                state.ts().map(playlist).ok_or(Error::NoTransport)
            }
            Request::TsSegment(msn) => found(state.window.segment(msn).and_then(Segment::ts), "video/mp2t"),
            Request::Init(name) => found(state.window.init(name).map(|init| init.body.clone()), "video/mp4"),
            Request::Segment(msn) => {
                found(state.window.segment(msn).and_then(|segment| segment.body.clone()), "video/iso.segment")
            }
            Request::Part { msn, part } => {
                let state = self.wait(|state| !state.hints(msn, part)).await;
                found(state.part(msn, part), "video/iso.segment")
            }
        }
    }

    async fn media(&self, state: &Snapshot, directives: Directives) -> Result<Reply, Error> {
        let extent = if directives.skip { Extent::Delta } else { Extent::Full };
        let Some(asked) = directives.msn else {
            // A player that knows no parts, ffmpeg for one, takes a playlist without a whole segment for a broken one.
            let state = self.wait(|state| state.window.last_complete().is_some()).await;
            return Ok(playlist(state.media(extent)));
        };
        let last = state.window.last().map_or(0, |last| last.msn);
        if asked > last.saturating_add(2) {
            return Err(BadRequest::TooFar { asked, last }.into());
        }
        let state = self.wait(|state| state.reached(asked, directives.part)).await;
        Ok(playlist(state.media(extent)))
    }

    /// Waits for a state; the end of the broadcast is one that satisfies everybody.
    async fn wait(&self, wanted: impl Fn(&Snapshot) -> bool) -> Arc<Snapshot> {
        let mut states = self.state.subscribe();
        let state = states.wait_for(|state| state.window.ended || wanted(state)).await;
        state.expect("the sender is in self").clone()
    }

    /// Shows everyone the next state.
    pub fn publish(&self, window: &Window) {
        self.state.send_replace(Arc::new(Snapshot::new(window.clone())));
    }
}

fn playlist(document: &Document) -> Reply {
    Reply {
        content_type: "application/vnd.apple.mpegurl",
        cache_control: "no-cache",
        body: document.text.clone(),
        gzip: Some(document.gzip.clone()),
    }
}

fn found(body: Option<Bytes>, content_type: &'static str) -> Result<Reply, Error> {
    // The name of a file never means other bytes: numbers are not used twice, and init segments are named by a hash.
    let cache_control = "public, max-age=31536000, immutable";
    body.map(|body| Reply { content_type, cache_control, body, gzip: None }).ok_or(Error::NotFound)
}

/// Packages a broadcast until it ends or nobody has asked for a while.
pub(super) struct Task {
    pub packagers: Packagers,
    pub packager: Arc<Packager>,
    pub broadcast: Broadcast,
    pub config: Config,
}

/// Why a subscription was left.
enum Left {
    Idle,
    Over,
}

impl Task {
    pub async fn run(self) {
        let id = self.broadcast.id().to_owned();
        tracing::debug!(broadcast = id, "hls packager started");
        let mut segmenter = Segmenter::new(timing::us(self.config.part_target), timing::us(live::SEGMENT_TARGET));
        let mut window = Window::new(self.config.clone());
        loop {
            match self.follow(self.broadcast.subscribe_from(live::Start::Oldest), &mut segmenter, &mut window).await {
                Left::Idle => break,
                Left::Over if self.broadcast.phase() == Phase::Ended => {
                    window.ended = true;
                    self.packager.publish(&window);
                    tokio::time::sleep(FINAL_KEPT).await;
                    self.packagers.forget(&id, &self.packager);
                    break;
                }
                Left::Over => tokio::time::sleep(RETRY).await,
            }
        }
        tracing::debug!(broadcast = id, "hls packager stopped");
    }

    async fn follow(&self, mut subscriber: Subscriber, segmenter: &mut Segmenter, window: &mut Window) -> Left {
        let mut look = tokio::time::interval(self.config.idle / 2);
        loop {
            let mut out = Vec::new();
            let item = tokio::select! {
                biased;
                item = subscriber.next() => item,
                _ = look.tick() => match self.packagers.retire(self.broadcast.id(), &self.packager, self.config.idle) {
                    true => return Left::Idle,
                    false => continue,
                },
            };
            let over = item.is_none();
            self.take(item.unwrap_or(Item::Interrupted), segmenter, &mut out);
            if !out.is_empty() {
                out.into_iter().for_each(|output| window.apply(output));
                self.packager.publish(window);
            }
            if over {
                return Left::Over;
            }
        }
    }

    fn take(&self, item: Item, segmenter: &mut Segmenter, out: &mut Vec<Output>) {
        match item {
            Item::Format(format) => {
                if let Err(err) = segmenter.format(&format, out) {
                    tracing::warn!(broadcast = self.broadcast.id(), %err, "format cannot be packaged");
                }
            }
            Item::Frame(frame) => segmenter.frame(frame, out),
            Item::Interrupted => segmenter.interrupted(out),
        }
    }
}
