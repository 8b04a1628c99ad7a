//! A server with one broadcast, publishers and players for it.

use crate::LONG;
use gateway::flv::{Framing, Packagers};
use gateway::rtmp::client::{Client, Error as ClientError, Playback, Publication, Tls};
use gateway::rtmp::{Config, Error, Goodbye, Listener, Refusal, Request};
use live::{Broadcast, Directory, Phase, PublishError, Settings};
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How a request ended.
#[derive(Debug)]
pub enum Outcome {
    Published(Result<Goodbye, Error>),
    Played(Result<(), Error>),
}

/// A listener, and the broadcast `id` with the key `key`.
pub struct Server {
    pub addr: SocketAddr,
    pub broadcast: Broadcast,
    pub packagers: Packagers,
    pub shutdown: CancellationToken,
    /// Ends the requests that run.
    pub requests: CancellationToken,
    secure: bool,
    outcomes: mpsc::UnboundedReceiver<Outcome>,
    accepting: Option<tokio::task::JoinHandle<()>>,
}

impl Server {
    pub async fn start(config: Config) -> Self {
        Self::bind(config, None).await
    }

    /// With a certificate for localhost, signed by itself; and what trusts it.
    pub async fn start_tls(config: Config) -> (Self, Tls) {
        let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a key pair");
        let certificate = signed.cert.der().clone();
        let key = rustls::pki_types::PrivateKeyDer::try_from(signed.signing_key.serialize_der()).expect("pkcs8");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .expect("the provider has them")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .expect("they belong together");
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate).expect("a certificate");
        let trust = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has them")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = "localhost".try_into().expect("a name");
        (Self::bind(config, Some(Arc::new(tls))).await, Tls { config: Arc::new(trust), name })
    }

    async fn bind(config: Config, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let (shutdown, requests) = (CancellationToken::new(), CancellationToken::new());
        let secure = tls.is_some();
        let listener = Listener::bind("127.0.0.1:0", tls, config, shutdown.clone()).await.expect("a free port");
        let addr = listener.local_addr().expect("bound");
        let broadcast = Directory::standalone().open("id", Settings::default()).expect("a broadcast");
        let packagers = Packagers::default();
        let (report, outcomes) = mpsc::unbounded_channel();
        let doorkeeper = Doorkeeper {
            broadcast: broadcast.clone(),
            packagers: packagers.clone(),
            requests: requests.clone(),
            report,
        };
        let accepting = Some(tokio::spawn(doorkeeper.run(listener)));
        Self { addr, broadcast, packagers, shutdown, requests, secure, outcomes, accepting }
    }

    fn scheme(&self) -> &str {
        if self.secure { "rtmps" } else { "rtmp" }
    }

    pub fn publish_url(&self, key: &str) -> String {
        format!("{}://{}/live/{key}", self.scheme(), self.addr)
    }

    pub fn play_url(&self, id: &str) -> String {
        format!("{}://{}/play/{id}", self.scheme(), self.addr)
    }

    /// Waits until media flows.
    pub async fn live(&self) {
        let mut phases = self.broadcast.phases();
        let live = phases.wait_for(|phase| *phase == Phase::Live);
        timeout(LONG, live).await.expect("in time").expect("the broadcast is there");
    }

    /// Waits until somebody watches.
    pub async fn watched(&self) {
        let watched = async {
            while self.packagers.viewers("id") == 0 {
                tokio::task::yield_now().await;
            }
        };
        timeout(LONG, watched).await.expect("in time");
    }

    /// Waits until the listener is closed.
    pub async fn closed(&mut self) {
        let accepting = self.accepting.take().expect("not closed before");
        timeout(LONG, accepting).await.expect("in time").expect("no panic");
    }

    /// How the next request to end has ended.
    pub async fn outcome(&mut self) -> Outcome {
        timeout(LONG, self.outcomes.recv()).await.expect("in time").expect("the server runs")
    }

    pub fn outcome_now(&mut self) -> Option<Outcome> {
        self.outcomes.try_recv().ok()
    }

    /// Publishes with our own client.
    pub async fn publish(&self) -> Aac {
        let client = Client::connect(self.addr, None, "live", "rtmp://localhost/live").await.expect("connected");
        Aac { inner: client.publish("key").await.expect("accepted") }
    }

    /// Plays with our own client.
    pub async fn play(&self) -> Playback {
        let client = Client::connect(self.addr, None, "play", "rtmp://localhost/play").await.expect("connected");
        client.play("id").await.expect("accepted")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown.cancel();
        self.requests.cancel();
    }
}

/// Decides as the program would.
#[derive(Clone)]
struct Doorkeeper {
    broadcast: Broadcast,
    packagers: Packagers,
    requests: CancellationToken,
    report: mpsc::UnboundedSender<Outcome>,
}

impl Doorkeeper {
    async fn run(self, mut listener: Listener) {
        while let Some(request) = listener.accept().await {
            tokio::spawn(self.clone().answer(request));
        }
    }

    async fn answer(self, request: Request) {
        let outcome = match request {
            Request::Publish(publish) if (publish.app(), publish.key()) != ("live", "key") => {
                return publish.reject(Refusal::BadKey).await;
            }
            Request::Publish(publish) => match self.broadcast.publish(publish.peer().to_string()) {
                Ok(publisher) => Outcome::Published(publish.until(self.requests).accept(publisher).await),
                Err(PublishError::AlreadyLive(_)) => return publish.reject(Refusal::AlreadyLive).await,
                Err(PublishError::Ended(_)) => return publish.reject(Refusal::Ended).await,
            },
            Request::Play(play) if (play.app(), play.name()) != ("play", "id") => {
                return play.reject(Refusal::NoSuchBroadcast).await;
            }
            Request::Play(play) => {
                let viewer = self.packagers.join(&self.broadcast, Framing::Rtmp);
                Outcome::Played(play.until(self.requests).accept(viewer).await)
            }
        };
        // Nobody listens once the test is over.
        let _ = self.report.send(outcome);
    }
}

/// Publishes AAC frames that hold anything but sound.
pub struct Aac {
    pub inner: Publication,
}

impl Aac {
    pub async fn send_audio(&mut self, frames: std::ops::Range<u32>) -> Result<(), ClientError> {
        for index in frames {
            if index == 0 {
                self.inner.write_audio(0, &[0xaf, 0, 0x12, 0x10]).await?;
            }
            self.inner.write_audio(index * 1024 * 10 / 441, &[0xaf, 1, 0x21, 0x10]).await?;
        }
        Ok(())
    }

    /// A frame larger than any real one.
    pub async fn send_loud(&mut self, index: u32) -> Result<(), ClientError> {
        let body = [&[0xaf, 1][..], &[7; 100_000]].concat();
        self.inner.write_audio(index * 1024 * 10 / 441, &body).await
    }
}

/// What a finished program said.
pub struct Output {
    pub success: bool,
    pub stderr: String,
    pub stdout: String,
}

pub async fn run(program: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(LONG, command.output()).await.expect("in time").expect("ffmpeg is installed");
    Output {
        success: output.status.success(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
    }
}

fn publisher_arguments(b_frames: u32) -> Vec<String> {
    let line = "-v error -re -f lavfi -i testsrc=s=320x240:r=30 -f lavfi -i sine=r=48000 -t 50 -c:v libx264 \
                -preset ultrafast -pix_fmt yuv420p -g 30 -bf BF -c:a aac -b:a 64k -progress - -f flv";
    line.replace("BF", &b_frames.to_string()).split_whitespace().map(str::to_owned).collect()
}

/// Runs a publisher to its end.
pub async fn run_publisher(url: &str) -> Output {
    let arguments = publisher_arguments(0);
    let arguments: Vec<_> = arguments.iter().map(String::as_str).chain([url]).collect();
    run("ffmpeg", &arguments).await
}

/// ffmpeg that publishes; killed when it is dropped.
pub struct Ffmpeg {
    child: Child,
    progress: BufReader<ChildStdout>,
}

/// H.264 and AAC in real time, a keyframe a second.
pub fn ffmpeg_publisher(url: &str, b_frames: u32) -> Ffmpeg {
    let mut command = Command::new("ffmpeg");
    command.args(publisher_arguments(b_frames)).arg(url).kill_on_drop(true);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("ffmpeg is installed");
    let progress = BufReader::new(child.stdout.take().expect("piped"));
    Ffmpeg { child, progress }
}

impl Ffmpeg {
    /// Waits until it has sent this much more media.
    pub async fn wait_for_seconds(&mut self, seconds: u64) {
        let (mut first_us, mut line) = (None, String::new());
        while timeout(LONG, self.progress.read_line(&mut line)).await.expect("in time").expect("utf-8") > 0 {
            if let Some(time_us) = line.trim().strip_prefix("out_time_us=").and_then(|us| us.parse::<u64>().ok())
                && time_us >= *first_us.get_or_insert(time_us) + seconds * 1_000_000
            {
                return;
            }
            line.clear();
        }
        panic!("ffmpeg stopped early");
    }

    /// Ends it as its user would.
    pub async fn quit(mut self) {
        let mut stdin = self.child.stdin.take().expect("piped");
        stdin.write_all(b"q").await.expect("it runs");
        drop(self.progress);
        timeout(LONG, self.child.wait()).await.expect("in time").expect("a status");
    }
}

/// One packet as ffprobe shows it, times in seconds.
#[derive(Debug)]
pub struct Packet {
    pub stream: u32,
    pub pts: f64,
    pub dts: f64,
}

/// Plays for some seconds of media; fails on any line on standard error.
pub async fn probe(url: &str, seconds: u32) -> Vec<Packet> {
    let interval = format!("%+{seconds}");
    let entries = "packet=stream_index,pts_time,dts_time";
    let arguments = ["-v", "error", "-show_entries", entries, "-of", "csv=p=0", "-read_intervals", &interval, url];
    let output = run("ffprobe", &arguments).await;
    assert_eq!(output.stderr, "", "no error line");
    assert!(output.success);
    let packet = |line: &str| {
        let mut fields = line.trim_end_matches(',').split(',');
        let mut next = || fields.next().expect("three fields");
        Packet {
            stream: next().parse().expect("a number"),
            pts: next().parse().expect("seconds"),
            dts: next().parse().expect("seconds"),
        }
    };
    output.stdout.lines().map(packet).collect()
}
