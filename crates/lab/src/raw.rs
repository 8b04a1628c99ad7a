//! The synthetic picture without an encoder: raw frames on standard output, for an encoder that can do what ours cannot
//! (B-frames).

use std::io::{self, Write};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use codec::synth::RawPicture;

/// Writes planar 4:2:0 frames, each when it is due, with the time of its making in it; ends when nobody reads.
pub fn run(width: usize, height: usize, fps: u32) -> anyhow::Result<()> {
    let mut scene = RawPicture::new(width, height);
    let mut out = io::stdout().lock();
    let frame = Duration::from_secs(1) / fps;
    let mut due = SystemTime::now();
    loop {
        thread::sleep(due.duration_since(SystemTime::now()).unwrap_or_default());
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        for plane in scene.draw(now.as_micros() as u64) {
            match out.write_all(plane) {
                Err(err) if err.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                written => written?,
            }
        }
        out.flush()?;
        due += frame;
    }
}
