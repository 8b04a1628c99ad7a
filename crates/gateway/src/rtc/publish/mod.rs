//! WHIP: sessions that publish.

pub mod h264;
mod ingest;
mod timeline;

use std::future::Future;

use live::Publisher;
use str0m::Event;
use tokio_util::sync::CancellationToken;

use super::driver::{Driver, Wake};
use super::endpoint::Negotiated;
use super::offer::Wants;
use super::{Error, sdp};
use ingest::Ingest;

/// How a publisher left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goodbye {
    /// It said that it stops: by DELETE, or by closing the connection in order.
    Said,
    /// Nothing came from it any more; it may come back.
    Dropped,
}

/// A publisher whose offer has been answered. Dropping it forgets the answer.
#[must_use = "the peer connects once it is accepted"]
pub struct Publish {
    driver: Driver,
    answer: String,
    wants: Wants,
}

impl Publish {
    pub(super) fn new(negotiated: Negotiated, wants: Wants) -> Result<Self, Error> {
        let answer = sdp::with_stereo(&negotiated.answer);
        let takes = |kind| sdp::accepts(&answer, kind);
        if wants.sends_video && !takes("video") {
            return Err(Error::Unacceptable("the offer has no H.264 video with packetization-mode 1"));
        }
        if wants.sends_audio && !takes("audio") {
            return Err(Error::Unacceptable("the offer has no Opus audio"));
        }
        Ok(Self { driver: negotiated.driver, answer, wants })
    }

    /// The session's id, unguessable: who knows it may end the session.
    pub fn id(&self) -> &str {
        self.driver.id()
    }

    /// The session description for the peer.
    pub fn answer(&self) -> &str {
        &self.answer
    }

    /// Carries the session until the peer leaves, breaks a rule, or is stopped. The broadcast is let go of before the end.
    pub fn accept(
        self,
        publisher: Publisher,
        shutdown: CancellationToken,
    ) -> impl Future<Output = Result<Goodbye, Error>> {
        let Self { mut driver, wants, .. } = self;
        async move {
            let mut ingest = Ingest::new(publisher, wants.sends_video, driver.config().keyframe_interval);
            let ended = tokio::select! {
                ended = run(&mut driver, &mut ingest) => ended,
                () = shutdown.cancelled() => Ok(Goodbye::Dropped),
            };
            drop(ingest);
            driver.close().await;
            ended
        }
    }
}

async fn run(driver: &mut Driver, ingest: &mut Ingest) -> Result<Goodbye, Error> {
    loop {
        while let Some(event) = driver.event().await? {
            match event {
                Event::MediaAdded(added) => ingest.added(&added),
                Event::MediaData(data) => ingest.take(data)?,
                Event::SenderFeedback(report) => ingest.reported(&report),
                Event::IceConnectionStateChange(state) if state.is_disconnected() => return Ok(Goodbye::Dropped),
                Event::Closed => return Ok(Goodbye::Said),
                _ => {}
            }
        }
        if ingest.ask_for_keyframe(driver.rtc()) {
            continue;
        }
        match driver.wait(ingest.ask_at()).await? {
            Wake::Progress => {}
            Wake::Stopped => return Ok(Goodbye::Said),
            Wake::Gone => return Ok(Goodbye::Dropped),
        }
    }
}
