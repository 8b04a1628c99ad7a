//! The task that records one broadcast: packages it as live HLS does and hands what comes out to the scribe.
//!
//! It never waits for a disk: what does not fit in the queue is left out, whole segments from the first part on that did not.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use live::{Broadcast, Item, Kind, Phase, Subscriber};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::index::Index;
use super::parameters::{parameter_sets, with_parameter_sets};
use super::scribe::{Counts, Job, Scribe};
use super::uploader::Uploader;
use super::{Archive, Progress};
use crate::hls::{Output, Segmenter, us};

/// Before a subscription that failed while the broadcast goes on is tried again, and a store that does not answer.
const RETRY: Duration = Duration::from_millis(500);

/// The recording end of the queue.
struct Inbox {
    jobs: mpsc::UnboundedSender<Job>,
    counts: Arc<Counts>,
    limit: usize,
    /// Set from a part that did not fit up to the next segment that does.
    dropping: bool,
    lost_us: i64,
}

impl Inbox {
    fn take(&mut self, id: &str, output: Output) {
        let queued = self.counts.queued.load(Ordering::Acquire);
        let job = match output {
            Output::Begin(head, init) => {
                // Half empty, so that a disk just too slow loses a few long stretches and not every other segment.
                if self.dropping && queued > self.limit / 2 {
                    return;
                }
                self.dropping = false;
                Job::Begin { head, init, lost_us: std::mem::take(&mut self.lost_us) }
            }
            Output::Part(part) => {
                let fits = queued.saturating_add(part.body.len()) <= self.limit;
                if !fits && !self.dropping {
                    tracing::warn!(broadcast = id, queued, "the disk is too slow: the replay will miss a piece");
                }
                self.dropping |= !fits;
                if self.dropping {
                    self.lost_us += part.duration_us;
                    return;
                }
                self.counts.queued.fetch_add(part.body.len(), Ordering::AcqRel);
                Job::Part(part)
            }
            Output::End if self.dropping => return,
            Output::End => Job::End,
        };
        // The scribe lives as long as this end does.
        let _ = self.jobs.send(job);
    }
}

/// Why a subscription was left.
enum Left {
    Stopped,
    Over,
}

/// Records until the broadcast is over or `stop`.
pub(super) async fn run(
    archive: Archive,
    broadcast: Broadcast,
    index: watch::Sender<Arc<Index>>,
    progress: watch::Sender<Progress>,
    stop: CancellationToken,
) {
    let id = broadcast.id().to_owned();
    // Frames are held for some ten seconds, so that a store slow to answer costs nothing.
    let subscriber = broadcast.subscribe_from(live::Start::Oldest);
    let _writer = archive.writer(&id).lock_owned().await;
    let uploader = tokio::select! {
        uploader = prepare(&archive, &id) => uploader,
        () = stop.cancelled() => return archive.recorded(&id),
    };
    tracing::info!(broadcast = id, segments = uploader.index().segments.len(), "recording");
    let config = &archive.inner.config;
    let counts = Arc::new(Counts::default());
    counts.total.store(uploader.index().bytes, Ordering::Release);
    let mut scribe = Scribe::new(id.clone(), archive.spill(&id), uploader.index(), counts.clone());
    (scribe.spill_bytes, scribe.max_bytes) = (config.spill_bytes, config.max_bytes);
    let (jobs, queue) = mpsc::unbounded_channel();
    let (done, complete) = mpsc::unbounded_channel();
    let writing = tokio::spawn(scribe.run(queue, done));
    let uploading = tokio::spawn(upload(uploader, complete, counts.clone(), index, progress.clone()));

    let inbox = Inbox { jobs, counts, limit: config.queue_bytes, dropping: false, lost_us: 0 };
    let part_us = us(config.part_target);
    let over = package(&broadcast, subscriber, part_us, inbox, &stop).await;
    // The inbox is gone: the scribe writes what waits, then the uploader.
    let _ = writing.await;
    let all = match over {
        true => uploading.await.is_ok(),
        // The next process finds the rest on the disk.
        false => tokio::time::timeout(RETRY * 2, uploading).await.is_ok_and(|uploaded| uploaded.is_ok()),
    };
    archive.recorded(&id);
    progress.send_modify(|progress| progress.done = over && all);
    tracing::info!(broadcast = id, over, "recording ended");
}

/// Brings what another process left to the store, as soon as the store answers.
async fn prepare(archive: &Archive, id: &str) -> Uploader {
    loop {
        let prepared = async {
            let mut uploader = archive.uploader(id).await?;
            uploader.settle().await.map(|()| uploader)
        };
        match prepared.await {
            Ok(uploader) => return uploader,
            Err(error) => tracing::warn!(broadcast = id, %error, "cannot record yet"),
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Packages until the end of the broadcast (true) or `stop` (false).
async fn package(
    broadcast: &Broadcast,
    mut subscriber: Subscriber,
    part_us: i64,
    mut inbox: Inbox,
    stop: &CancellationToken,
) -> bool {
    let mut segmenter = Segmenter::new(part_us, us(live::SEGMENT_TARGET));
    loop {
        let left = follow(broadcast.id(), &mut subscriber, &mut segmenter, &mut inbox, stop).await;
        let mut out = Vec::new();
        segmenter.interrupted(&mut out);
        out.into_iter().for_each(|output| inbox.take(broadcast.id(), output));
        match left {
            Left::Stopped => return false,
            Left::Over if broadcast.phase() == Phase::Ended => return true,
            Left::Over => tokio::time::sleep(RETRY).await,
        }
        subscriber = broadcast.subscribe_from(live::Start::Oldest);
    }
}

async fn follow(
    id: &str,
    subscriber: &mut Subscriber,
    segmenter: &mut Segmenter,
    inbox: &mut Inbox,
    stop: &CancellationToken,
) -> Left {
    let mut video = None;
    loop {
        let item = tokio::select! {
            biased;
            () = stop.cancelled() => return Left::Stopped,
            item = subscriber.next() => item,
        };
        let mut out = Vec::new();
        match item {
            None => return Left::Over,
            Some(Item::Format(format)) => {
                if let Err(error) = segmenter.format(&format, &mut out) {
                    tracing::warn!(broadcast = id, %error, "format cannot be recorded");
                }
                video = format.video.map(|video| (parameter_sets(&video), video));
            }
            Some(Item::Frame(mut frame)) => {
                if let Some((sets, format)) = video.as_ref().filter(|_| frame.keyframe && frame.kind == Kind::Video) {
                    frame.payload = with_parameter_sets(sets, &frame.payload, format);
                }
                segmenter.frame(frame, &mut out);
            }
            Some(Item::Interrupted) => segmenter.interrupted(&mut out),
        }
        out.into_iter().for_each(|output| inbox.take(id, output));
    }
}

/// Uploads complete segments and tells how far it is.
async fn upload(
    mut uploader: Uploader,
    mut complete: mpsc::UnboundedReceiver<(u64, u64)>,
    counts: Arc<Counts>,
    index: watch::Sender<Arc<Index>>,
    progress: watch::Sender<Progress>,
) {
    loop {
        let now = Arc::new(uploader.index().clone());
        progress.send_replace(Progress::of(&now));
        index.send_replace(now);
        let Some((n, bytes)) = complete.recv().await else { break };
        uploader.upload_until_done(n).await;
        counts.spilled.fetch_sub(bytes, Ordering::AcqRel);
    }
    if let Err(error) = uploader.settle().await {
        tracing::warn!(%error, "the local directory of a recording stays");
    }
}
