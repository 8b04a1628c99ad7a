//! The programs people use: ffmpeg and ffprobe, curl. They run at the lowest priority and end with the test.

use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::process::{Child, Command};

/// What a real encoder and a real player may take before a test is wrong.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub fn command(program: &str, args: &[&str]) -> Command {
    let mut command = Command::new("nice");
    command.args(["-n", "19", program]).args(args);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// A moving picture and a tone, at the speed of life, to be encoded by what follows.
pub const PICTURE: &[&str] = &["-re", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30"];
pub const TONE: &[&str] = &["-re", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000"];
pub const H264: &[&str] =
    &["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "30", "-pix_fmt", "yuv420p"];
pub const AAC: &[&str] = &["-c:a", "aac", "-b:a", "64k"];

/// ffmpeg with these arguments, running.
pub fn ffmpeg(parts: &[&[&str]]) -> Child {
    let args = [&["-hide_banner", "-loglevel", "error", "-nostdin"][..], &parts.concat()].concat();
    command("ffmpeg", &args).spawn().expect("ffmpeg is installed")
}

/// Asks it to end as a person would, with Ctrl-C, and waits until it has.
pub async fn interrupt(child: Child) -> Output {
    let id = child.id().expect("it runs").to_string();
    let killed = Command::new("kill").args(["-INT", &id]).status().await.expect("kill is installed");
    assert!(killed.success());
    wait(child).await
}

pub async fn wait(child: Child) -> Output {
    tokio::time::timeout(PATIENCE, child.wait_with_output()).await.expect("it ends").expect("it ran")
}

/// What ffprobe found.
#[derive(Debug)]
pub struct Probe(Value);

/// A packet as ffprobe lists it, seconds.
#[derive(Clone, Copy, Debug)]
pub struct Packet {
    pub pts: f64,
    pub dts: f64,
    pub keyframe: bool,
}

/// Plays `seconds` of `url`.
pub async fn probe(url: &str, seconds: u32) -> Probe {
    let interval = format!("%+{seconds}");
    let args = ["-v", "warning", "-of", "json", "-show_streams", "-show_packets", "-read_intervals", &interval, url];
    let output = wait(command("ffprobe", &args).spawn().expect("ffprobe is installed")).await;
    let warnings = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{url}: {warnings}");
    let found = serde_json::from_slice(&output.stdout).expect("ffprobe writes JSON");
    let probe = Probe(found);
    assert!(probe.0["streams"].as_array().is_some_and(|streams| !streams.is_empty()), "{url}: {warnings}");
    probe
}

impl Probe {
    /// The codecs of the streams of a kind, `video` or `audio`.
    pub fn codecs<'a>(&'a self, kind: &'a str) -> Vec<&'a str> {
        self.streams(kind).filter_map(|stream| stream["codec_name"].as_str()).collect()
    }

    pub fn streams<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.0["streams"].as_array().into_iter().flatten().filter(move |stream| stream["codec_type"] == kind)
    }

    pub fn packets(&self, kind: &str) -> Vec<Packet> {
        let all = self.0["packets"].as_array().into_iter().flatten();
        let seconds = |value: &Value| value.as_str().and_then(|text| text.parse().ok()).expect("a time");
        all.filter(|packet| packet["codec_type"] == kind)
            .map(|packet| Packet {
                pts: seconds(&packet["pts_time"]),
                dts: seconds(&packet["dts_time"]),
                keyframe: packet["flags"].as_str().is_some_and(|flags| flags.starts_with('K')),
            })
            .collect()
    }

    /// That a player could play it: decode times rise and never pass presentation times, the first picture is whole, and
    /// picture and sound are of the same moment.
    pub fn check_order(&self) {
        for kind in ["video", "audio"] {
            let packets = self.packets(kind);
            for pair in packets.windows(2) {
                assert!(pair[0].dts < pair[1].dts, "{kind}: {} then {}", pair[0].dts, pair[1].dts);
            }
            assert!(packets.iter().all(|packet| packet.dts <= packet.pts), "{kind}: shown before it is decoded");
        }
        let (video, audio) = (self.packets("video"), self.packets("audio"));
        if let (Some(picture), Some(sound)) = (video.first(), audio.first()) {
            assert!(picture.keyframe);
            assert!((picture.pts - sound.pts).abs() < 0.5, "picture at {}, sound at {}", picture.pts, sound.pts);
        }
    }
}
