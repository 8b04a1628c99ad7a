//! Reading a broadcast from its newest keyframe on, the same way on the ingest's node and on any other.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use moq_mux::catalog::hang::Consumer as CatalogConsumer;
use moq_net::{broadcast, group, track};
use tokio::sync::watch;

use crate::broadcast::Phase;
use crate::marks::{self, Position, Record};
use crate::{AudioFormat, Format, Frame, Kind, Mark, Reorder, VideoFormat};

/// How late a group may come and still be read: packagers must not lose what the publisher sent.
const MAX_AGE: Duration = Duration::from_secs(10);

/// What a subscriber is told, in order.
#[derive(Clone, Debug)]
pub enum Item {
    /// How the frames that follow are coded. Comes first, and again whenever it changes.
    Format(Format),
    Frame(Frame),
    /// The publisher stopped; it may come back.
    Interrupted,
}

/// Where in a broadcast a subscriber begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At the newest keyframe: for who shows what happens now.
    Newest,
    /// As far back as the node still holds, some ten seconds: for who lists what happened before.
    Oldest,
}

/// Reads one broadcast.
pub struct Subscriber {
    start: Start,
    broadcast: broadcast::Consumer,
    phase: watch::Receiver<Phase>,
    source: Option<Source>,
    ready: VecDeque<Item>,
}

/// The open tracks behind a subscriber.
struct Source {
    marks: track::Ordered,
    catalog: CatalogConsumer<()>,
    /// The newest catalog read.
    tracks: Option<hang::Catalog>,
    /// The record in force: of the lead group being read, or to be read next.
    record: Record,
    format: Format,
    video: Option<Lane>,
    audio: Option<Lane>,
    reorder: Reorder,
}

/// One elementary track being read, with at most one frame read ahead.
struct Lane {
    name: String,
    track: track::Ordered,
    group: Option<group::Consumer>,
    /// Whether the next frame is its group's first.
    fresh: bool,
    next: Option<Read>,
    /// Nothing follows `next`.
    over: bool,
}

/// A frame as a track holds it.
struct Read {
    group: u64,
    /// Whether it is its group's first.
    first: bool,
    pts_us: i64,
    payload: Bytes,
}

impl Subscriber {
    pub(crate) fn new(start: Start, broadcast: broadcast::Consumer, phase: watch::Receiver<Phase>) -> Self {
        Self { start, broadcast, phase, source: None, ready: VecDeque::new() }
    }

    /// The next item; `None` once the broadcast is over. May be dropped while waiting without losing anything.
    pub async fn next(&mut self) -> Option<Item> {
        let mut phase = self.phase.clone();
        tokio::select! {
            biased;
            item = self.read() => item,
            // A publisher that hangs must not keep an ended broadcast open for its viewers.
            _ = phase.wait_for(|phase| *phase == Phase::Ended) => None,
        }
    }

    async fn read(&mut self) -> Option<Item> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Some(item);
            }
            match self.step().await {
                Ok(true) => {}
                Ok(false) => return None,
                Err(err) => {
                    tracing::debug!(%err, "subscription ended");
                    return None;
                }
            }
        }
    }

    /// Adds to `ready`, or opens the tracks first; false at the end.
    async fn step(&mut self) -> Result<bool, moq_mux::Error> {
        if let Some(source) = &mut self.source {
            return source.read(&self.broadcast, &mut self.ready).await;
        }
        let Some(source) = Source::open(&self.broadcast, self.start).await? else { return Ok(false) };
        self.ready.push_back(Item::Format(source.format.clone()));
        self.source = Some(source);
        Ok(true)
    }
}

impl Source {
    /// Waits for media, then joins at a mark. `None`: the broadcast ended before any came.
    async fn open(broadcast: &broadcast::Consumer, start: Start) -> Result<Option<Self>, moq_mux::Error> {
        let marks = broadcast.track(marks::TRACK)?;
        let newest = marks.latest().filter(|_| start == Start::Newest).map(moq_net::track::Position::group);
        let wanted = track::Subscription::default().with_max_age(MAX_AGE).with_start(newest);
        let mut marks = marks.subscribe(wanted).await?.ordered();
        let Some(mut record) = next_record(&mut marks).await? else { return Ok(None) };
        // On another node the newest is not known beforehand: take the last of what is already here.
        while start == Start::Newest
            && let Some(read) = next_record(&mut marks).now_or_never()
            && let Some(newer) = read?
        {
            record = newer;
        }
        let catalog =
            broadcast.track(hang::Catalog::DEFAULT_NAME)?.subscribe(hang::Catalog::default_subscription()).await?;
        let reorder = Reorder::resume(&record.reorder_us);
        let mut source = Self {
            marks,
            catalog: CatalogConsumer::new(catalog),
            tracks: None,
            record,
            format: Format::default(),
            video: None,
            audio: None,
            reorder,
        };
        source.follow_tracks(broadcast).await?;
        Ok(Some(source))
    }

    /// Opens the tracks that the record in force names, and learns their formats. True when the format changed.
    async fn follow_tracks(&mut self, broadcast: &broadcast::Consumer) -> Result<bool, moq_mux::Error> {
        let video = changed(&self.video, &self.record.video);
        let audio = changed(&self.audio, &self.record.audio);
        if !video && !audio {
            return Ok(false);
        }
        while !self.catalog_has_tracks() {
            let Some(catalog) = self.catalog.next().await? else { return Ok(false) };
            self.tracks = Some(catalog.media().clone());
        }
        let tracks = self.tracks.clone().unwrap_or_default();
        if video {
            let config = self.record.video.as_ref().and_then(|at| tracks.video.renditions.get(&at.track));
            let format = config.map(VideoFormat::from_catalog).transpose().map_err(refused)?;
            self.video = open_lane(broadcast, &self.record.video).await?;
            self.format.video = format.map(Into::into);
            self.reorder = Reorder::resume(&self.record.reorder_us);
        }
        if audio {
            let config = self.record.audio.as_ref().and_then(|at| tracks.audio.renditions.get(&at.track));
            let format = config.map(AudioFormat::from_catalog).transpose().map_err(refused)?;
            self.audio = open_lane(broadcast, &self.record.audio).await?;
            self.format.audio = format.map(Into::into);
        }
        Ok(true)
    }

    fn catalog_has_tracks(&self) -> bool {
        let Some(tracks) = &self.tracks else { return false };
        let video = self.record.video.as_ref().is_none_or(|at| tracks.video.renditions.contains_key(&at.track));
        let audio = self.record.audio.as_ref().is_none_or(|at| tracks.audio.renditions.contains_key(&at.track));
        video && audio
    }

    /// Reads one step into `ready`; false at the end of the broadcast.
    async fn read(
        &mut self,
        broadcast: &broadcast::Consumer,
        ready: &mut VecDeque<Item>,
    ) -> Result<bool, moq_mux::Error> {
        loop {
            for lane in [&mut self.video, &mut self.audio].into_iter().flatten() {
                if let Some(read) = lane.fill().now_or_never() {
                    read?;
                }
            }
            if let Some(kind) = self.earliest() {
                return self.give(kind, broadcast, ready).await;
            }
            if self.lead().is_none_or(|lead| lead.over) {
                return self.follow_lead(broadcast, ready).await;
            }
            let (video, audio) = (&mut self.video, &mut self.audio);
            tokio::select! {
                biased;
                read = fill(video) => read?,
                read = fill(audio) => read?,
            }
        }
    }

    /// The track whose frame comes first among those read ahead.
    fn earliest(&self) -> Option<Kind> {
        let time = |lane: &Option<Lane>| lane.as_ref().and_then(|lane| lane.next.as_ref()).map(|read| read.pts_us);
        match (time(&self.video), time(&self.audio)) {
            (Some(video), Some(audio)) if audio < video => Some(Kind::Audio),
            (Some(_), _) => Some(Kind::Video),
            (None, Some(_)) => Some(Kind::Audio),
            (None, None) => None,
        }
    }

    /// Hands out the frame read ahead of one track.
    async fn give(
        &mut self,
        kind: Kind,
        broadcast: &broadcast::Consumer,
        ready: &mut VecDeque<Item>,
    ) -> Result<bool, moq_mux::Error> {
        let lead = kind == Kind::Video || self.video.is_none();
        let Some(peeked) = self.lane(kind).and_then(|lane| lane.next.as_ref()) else { return Ok(true) };
        let (group, opens, empty) = (peeked.group, lead && peeked.first, peeked.payload.is_empty());
        let mut mark = None;
        if opens && !empty {
            if !self.reach(group).await? {
                return Ok(false);
            }
            if self.follow_tracks(broadcast).await? {
                ready.push_back(Item::Format(self.format.clone()));
            }
            mark = Some(self.record.mark()).filter(|mark| mark.group == group);
        }
        let Some(read) = self.lane(kind).and_then(|lane| lane.next.take()) else { return Ok(true) };
        match empty {
            // The model's own markers: alone in a group they say that media stopped, at its end they close a duration.
            true if opens => ready.push_back(Item::Interrupted),
            true => {}
            false => ready.push_back(Item::Frame(self.frame(kind, read, mark))),
        }
        Ok(true)
    }

    fn frame(&mut self, kind: Kind, read: Read, mark: Option<Mark>) -> Frame {
        let Read { first, pts_us, payload, .. } = read;
        if kind == Kind::Audio {
            return Frame { kind, pts_us, dts_us: pts_us, keyframe: true, payload, mark };
        }
        if mark.is_some() {
            self.reorder.align(&self.record.reorder_us);
        }
        Frame { kind, pts_us, dts_us: self.reorder.push(pts_us), keyframe: first, payload, mark }
    }

    /// Reads marks until the one of lead group `group` is in force; false when the marks end first.
    async fn reach(&mut self, group: u64) -> Result<bool, moq_mux::Error> {
        while self
            .lead()
            .is_some_and(|lead| self.record.lead().is_none_or(|at| at.track == lead.name && at.group < group))
        {
            match next_record(&mut self.marks).await? {
                Some(record) => self.record = record,
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    /// The lead track is over: goes on with the one that the next mark names. False when there is none.
    async fn follow_lead(
        &mut self,
        broadcast: &broadcast::Consumer,
        ready: &mut VecDeque<Item>,
    ) -> Result<bool, moq_mux::Error> {
        while self.record.lead().map(|at| &at.track) == self.lead().map(|lead| &lead.name) {
            match next_record(&mut self.marks).await? {
                Some(record) => self.record = record,
                None => return Ok(false),
            }
        }
        if self.follow_tracks(broadcast).await? {
            ready.push_back(Item::Format(self.format.clone()));
            return Ok(true);
        }
        Ok(false)
    }

    fn lead(&self) -> Option<&Lane> {
        self.video.as_ref().or(self.audio.as_ref())
    }

    fn lane(&mut self, kind: Kind) -> Option<&mut Lane> {
        match kind {
            Kind::Video => self.video.as_mut(),
            Kind::Audio => self.audio.as_mut(),
        }
    }
}

impl Lane {
    /// Reads one frame ahead, unless the track is over. May be dropped while waiting without losing anything.
    async fn fill(&mut self) -> Result<(), moq_mux::Error> {
        while self.next.is_none() && !self.over {
            let Some(group) = &mut self.group else {
                match self.track.next_group().await? {
                    Some(group) => self.group = Some(group),
                    None => self.over = true,
                }
                self.fresh = true;
                continue;
            };
            let sequence = group.sequence;
            match group.read_frame().await {
                Ok(Some(data)) => {
                    let frame = hang::container::Frame::decode(data.payload).map_err(moq_mux::Error::from)?;
                    let pts_us = i64::try_from(frame.timestamp.as_micros()).unwrap_or(i64::MAX);
                    let first = std::mem::take(&mut self.fresh);
                    self.next = Some(Read { group: sequence, first, pts_us, payload: frame.payload });
                }
                Ok(None) => self.group = None,
                Err(err) => {
                    // One group lost (expired, or cut off with its route) is a gap; the next begins with a keyframe.
                    tracing::debug!(%err, track = self.name, group = sequence, "group lost");
                    self.group = None;
                }
            }
        }
        Ok(())
    }
}

/// Fills a lane; one that is over or not there waits for ever, so that the other one decides.
async fn fill(lane: &mut Option<Lane>) -> Result<(), moq_mux::Error> {
    match lane {
        Some(lane) if !lane.over => lane.fill().await,
        _ => std::future::pending().await,
    }
}

fn changed(lane: &Option<Lane>, wanted: &Option<Position>) -> bool {
    lane.as_ref().map(|lane| &lane.name) != wanted.as_ref().map(|at| &at.track)
}

async fn open_lane(broadcast: &broadcast::Consumer, at: &Option<Position>) -> Result<Option<Lane>, moq_mux::Error> {
    let Some(at) = at else { return Ok(None) };
    let start = moq_net::track::Position::group(at.group);
    let wanted = track::Subscription::default().with_max_age(MAX_AGE).with_start(start);
    let track = broadcast.track(&at.track)?.subscribe(wanted).await?.ordered();
    Ok(Some(Lane { name: at.track.clone(), track, group: None, fresh: true, next: None, over: false }))
}

async fn next_record(marks: &mut track::Ordered) -> Result<Option<Record>, moq_net::Error> {
    while let Some(mut group) = marks.next_group().await? {
        if let Some(record) = Record::read(&mut group).await? {
            return Ok(Some(record));
        }
    }
    Ok(None)
}

fn refused(err: crate::FormatError) -> moq_mux::Error {
    moq_mux::Error::UnknownFormat(err.to_string())
}
