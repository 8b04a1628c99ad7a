//! The synthetic encoder: frames made on a thread of their own, sent over RTMP, and again after any failure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use codec::synth::{Config, Encoded, Synth, Track};
use gateway::rtmp::client::{Client, Publication};
use live::capture_sei;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::tags;
use crate::broadcast::names::StreamKey;

/// Time for the first picture to be live.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Between tries to get back on the air: well within the grace.
const PAUSE: Duration = Duration::from_secs(1);

/// Frames that may wait for the network. Full: the encoder waits, as a real one does.
const QUEUE: usize = 16;

/// Where this machine reaches a listener of its own.
pub fn loopback(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, address.port())
}

/// Keeps the broadcast on the air until `stop`.
pub async fn run(server: SocketAddr, key: StreamKey, stop: CancellationToken) {
    while !stop.is_cancelled() {
        if let Err(error) = session(server, &key, &stop).await {
            tracing::warn!(error = format!("{error:#}"), "the synthetic broadcast stopped, trying again");
        }
        stop.run_until_cancelled(tokio::time::sleep(PAUSE)).await;
    }
}

/// One connection, from the first frame to the goodbye.
async fn session(server: SocketAddr, key: &StreamKey, stop: &CancellationToken) -> anyhow::Result<()> {
    let synth = tokio::task::spawn_blocking(|| Synth::new(Config::default(), SystemTime::now())).await??;
    let client = Client::connect(server, None, "live", &format!("rtmp://{server}/live")).await?;
    let mut publication = client.publish(key.reveal()).await?;
    publication.write_video(0, &tags::video_record(&synth.video_description())).await?;
    publication.write_audio(0, &tags::audio_record(&synth.audio_description())).await?;
    let (to_network, mut frames) = mpsc::channel(QUEUE);
    std::thread::Builder::new().name("synth".into()).spawn(move || encode(synth, to_network))?;
    loop {
        let frame: Encoded = tokio::select! {
            frame = frames.recv() => frame.context("the encoder stopped")?,
            () = stop.cancelled() => return Ok(publication.finish().await?),
        };
        send(&mut publication, &frame).await?;
    }
}

/// Makes each frame when it is due, until nobody takes them.
fn encode(mut synth: Synth, to_network: mpsc::Sender<Encoded>) {
    loop {
        let (_, due) = synth.next_due();
        if let Ok(early) = due.duration_since(SystemTime::now()) {
            std::thread::sleep(early);
        }
        match synth.next(SystemTime::now()) {
            Ok(frame) => {
                if to_network.blocking_send(frame).is_err() {
                    return;
                }
            }
            Err(error) => return tracing::error!(%error, "the synthetic encoder failed"),
        }
    }
}

async fn send(publication: &mut Publication, frame: &Encoded) -> anyhow::Result<()> {
    let timestamp_ms = u32::try_from(frame.pts_us / 1000).context("RTMP's clock is over")?;
    match frame.track {
        Track::Video => {
            let since = frame.captured.duration_since(UNIX_EPOCH).unwrap_or_default();
            let captured_us = i64::try_from(since.as_micros()).context("the clock is beyond all time")?;
            let stamped = capture_sei::stamp_h264(captured_us, &frame.payload);
            publication.write_video(timestamp_ms, &tags::video_frame(frame.keyframe, &stamped)).await?;
        }
        Track::Audio => publication.write_audio(timestamp_ms, &tags::audio_frame(&frame.payload)).await?,
    }
    Ok(())
}
