//! Publishes over RTMP: the synthetic broadcast, encoded live, or the clip, sent over and over.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use codec::synth::{Config, Encoded, Synth, Track};
use gateway::rtmp::client::{Client, Publication};
use live::capture_sei::stamp_h264;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::clip::{self, Clip};
use live::unix_us;

/// Frames between encoder and socket. When the network is that far behind the encoder waits, comes late and skips pictures.
const QUEUE_FRAMES: usize = 8;

/// Where to publish: `rtmp://host[:port]/app/key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub host: String,
    pub port: u16,
    pub app: String,
    pub key: String,
}

impl std::str::FromStr for Target {
    type Err = anyhow::Error;

    fn from_str(url: &str) -> anyhow::Result<Self> {
        let rest = url.strip_prefix("rtmp://").context("the address must begin with rtmp://")?;
        let (authority, path) = rest.split_once('/').context("the address has no application")?;
        let (app, key) = path.split_once('/').context("the address has no stream key")?;
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().context("the port is no number")?),
            None => (authority, 1935),
        };
        if host.is_empty() || app.is_empty() || key.is_empty() {
            bail!("the address must be rtmp://host[:port]/app/key");
        }
        Ok(Self { host: host.into(), port, app: app.into(), key: key.into() })
    }
}

impl Target {
    async fn open(&self) -> anyhow::Result<Publication> {
        let address =
            (self.host.as_str(), self.port).to_socket_addrs().with_context(|| format!("look up {}", self.host))?;
        let address: SocketAddr = address.into_iter().next().context("the host has no address")?;
        let tc_url = format!("rtmp://{}:{}/{}", self.host, self.port, self.app);
        Ok(Client::connect(address, None, &self.app, &tc_url).await?.publish(&self.key).await?)
    }
}

/// Publishes the synthetic broadcast, encoded live, for as long as asked or until the connection ends.
pub async fn synthetic(target: &Target, config: Config, length: Option<Duration>) -> anyhow::Result<()> {
    let mut publication = target.open().await?;
    let (sender, mut frames) = mpsc::channel(QUEUE_FRAMES);
    let (described, description) = tokio::sync::oneshot::channel();
    let encoder = thread::spawn(move || -> anyhow::Result<()> {
        let mut synth = Synth::new(config, SystemTime::now())?;
        if described.send((synth.video_description(), synth.audio_description())).is_err() {
            return Ok(());
        }
        loop {
            let (_, due) = synth.next_due();
            thread::sleep(due.duration_since(SystemTime::now()).unwrap_or_default());
            if sender.blocking_send(synth.next(SystemTime::now())?).is_err() {
                return Ok(());
            }
        }
    });
    if let Ok((avcc, asc)) = description.await {
        publication.write_video(0, &clip::video_header(&avcc)).await?;
        publication.write_audio(0, &clip::audio_header(&asc)).await?;
    }
    let end = length.map(|length| Instant::now() + length);
    while let Some(frame) = frames.recv().await
        && end.is_none_or(|end| Instant::now() < end)
    {
        write(&mut publication, &frame).await?;
    }
    drop(frames);
    let encoded = encoder.join().map_err(|_| anyhow::anyhow!("the encoder's thread panicked"))?;
    publication.finish().await?;
    encoded
}

async fn write(publication: &mut Publication, frame: &Encoded) -> anyhow::Result<()> {
    let timestamp_ms = (frame.pts_us / 1000) as u32;
    match frame.track {
        Track::Video => {
            let captured = frame.captured.duration_since(UNIX_EPOCH).unwrap_or_default();
            let stamped = stamp_h264(captured.as_micros() as i64, &frame.payload);
            publication.write_video(timestamp_ms, &clip::video_body(frame.keyframe, &stamped)).await?;
        }
        Track::Audio => publication.write_audio(timestamp_ms, &clip::audio_body(&frame.payload)).await?,
    }
    Ok(())
}

/// A thread that publishes the clip, each picture stamped with the time at which it is sent.
pub struct Looping {
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<anyhow::Result<()>>>,
}

impl Looping {
    pub fn start(target: Target, clip: Arc<Clip>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("runtime")?;
            runtime.block_on(looping(&target, &clip, &stopped))
        });
        Self { stop, thread: Some(thread) }
    }

    /// An error if the publisher has ended by itself.
    pub fn check(&mut self) -> anyhow::Result<()> {
        match self.thread.take_if(|thread| thread.is_finished()) {
            Some(thread) => bail!("the publisher ended: {:?}", thread.join()),
            None if self.thread.is_none() => bail!("the publisher has ended"),
            None => Ok(()),
        }
    }
}

impl Drop for Looping {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Its error, if any, has been asked for with `check`.
        drop(self.thread.take().map(thread::JoinHandle::join));
    }
}

async fn looping(target: &Target, clip: &Clip, stop: &AtomicBool) -> anyhow::Result<()> {
    let mut publication = target.open().await?;
    publication.write_video(0, &clip::video_header(&clip.avcc)).await?;
    publication.write_audio(0, &clip::audio_header(&clip.asc)).await?;
    let start = Instant::now();
    for (at, frame) in clip.rounds() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        sleep_until(start + at).await;
        let timestamp_ms = at.as_millis() as u32;
        match frame.track {
            Track::Video => {
                let body = clip::video_body(frame.keyframe, &stamp_h264(unix_us(), &frame.payload));
                publication.write_video(timestamp_ms, &body).await?;
            }
            Track::Audio => publication.write_audio(timestamp_ms, &clip::audio_body(&frame.payload)).await?,
        }
    }
    publication.finish().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_host_port_application_and_key() {
        let target: Target = "rtmp://127.0.0.1:1940/live/ok_abc".parse().expect("an address");
        assert_eq!(target, Target { host: "127.0.0.1".into(), port: 1940, app: "live".into(), key: "ok_abc".into() });
        let target: Target = "rtmp://example.org/live/ok_abc".parse().expect("an address");
        assert_eq!(target.port, 1935);
        for bad in ["http://a/b/c", "rtmp://a", "rtmp://a/b", "rtmp://a:x/b/c", "rtmp:///b/c", "rtmp://a/b/"] {
            assert!(bad.parse::<Target>().is_err(), "{bad}");
        }
    }
}
