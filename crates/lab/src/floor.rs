//! The least that sending can cost: a process that writes the same bytes to every socket and does nothing else. What a
//! server needs beyond it is its own doing.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Context;
use codec::synth::Track;
use live::unix_us;

use crate::clip::{self, Clip};

/// A viewer that is this far behind is closed.
const MAX_BACKLOG_BYTES: usize = 4 << 20;

/// How often bytes are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Every {
    /// One send per video frame; sound rides along.
    Frame,
    /// One send per 100 ms.
    Tenth,
}

struct Viewer {
    socket: TcpStream,
    backlog: Vec<u8>,
}

/// Serves the clip as FLV tags to whoever connects, until killed.
pub fn run(listen: SocketAddr, every: Every) -> anyhow::Result<()> {
    let clip = Clip::encode()?;
    let listener = TcpListener::bind(listen).with_context(|| format!("listen on {listen}"))?;
    listener.set_nonblocking(true).context("listener")?;
    let mut viewers: Vec<Viewer> = Vec::new();
    let mut batch = Vec::new();
    let start = Instant::now();
    let mut sent_until = Duration::ZERO;
    for (at, frame) in clip.rounds() {
        if frame.track == Track::Audio {
            put_tag(&mut batch, 8, at, &clip::audio_body(&frame.payload));
            continue;
        }
        wait(&listener, &mut viewers, start + at);
        let access_unit = live::capture_sei::stamp_h264(unix_us(), &frame.payload);
        put_tag(&mut batch, 9, at, &clip::video_body(frame.keyframe, &access_unit));
        if every == Every::Frame || at >= sent_until {
            viewers.retain_mut(|viewer| viewer.send(&batch));
            batch.clear();
            // Three frames are 100 ms; the bound is put between two frames.
            sent_until = at + Duration::from_millis(85);
        }
    }
    Ok(())
}

/// Accepts until it is time for the next frame.
fn wait(listener: &TcpListener, viewers: &mut Vec<Viewer>, until: Instant) {
    loop {
        while let Ok((socket, _)) = listener.accept() {
            if socket.set_nonblocking(true).and_then(|()| socket.set_nodelay(true)).is_ok() {
                viewers.push(Viewer { socket, backlog: Vec::new() });
            }
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        sleep(left.min(Duration::from_millis(5)));
    }
}

impl Viewer {
    /// False when the viewer is to be forgotten.
    fn send(&mut self, batch: &[u8]) -> bool {
        if self.backlog.is_empty() {
            let written = match self.socket.write(batch) {
                Ok(written) => written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
                Err(_) => return false,
            };
            self.backlog.extend_from_slice(&batch[written..]);
            return true;
        }
        self.backlog.extend_from_slice(batch);
        match self.socket.write(&self.backlog) {
            Ok(written) => drop(self.backlog.drain(..written)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return false,
        }
        self.backlog.len() <= MAX_BACKLOG_BYTES
    }
}

fn put_tag(out: &mut Vec<u8>, kind: u8, at: Duration, body: &[u8]) {
    let size = u32::try_from(body.len()).expect("a frame of the clip is small");
    let [high, a, b, c] = (at.as_millis() as u32).to_be_bytes();
    out.push(kind);
    out.extend_from_slice(&size.to_be_bytes()[1..]);
    out.extend_from_slice(&[a, b, c, high, 0, 0, 0]);
    out.extend_from_slice(body);
    out.extend_from_slice(&(size + 11).to_be_bytes());
}

/// Waits until something accepts connections there.
pub fn wait_until_open(address: SocketAddr, patience: Duration) -> anyhow::Result<()> {
    let until = Instant::now() + patience;
    while let Err(error) = TcpStream::connect(address).and_then(|mut probe| probe.read(&mut []).map(drop)) {
        if Instant::now() > until {
            return Err(error).with_context(|| format!("nothing listens on {address}"));
        }
        sleep(Duration::from_millis(50));
    }
    Ok(())
}
