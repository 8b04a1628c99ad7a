//! The program as it is run: its commands, its words, its signals.

mod support;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use support::TempDir;

/// The program, without the doors that no test here goes through.
fn oriel(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oriel"));
    command.args(arguments).stdin(Stdio::null());
    command.envs([("ORIEL__SRT__LISTEN", "off"), ("ORIEL__RTC__LISTEN", "off")]);
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A `serve` on free ports, and its log so far.
struct Serving {
    child: Child,
    log: String,
    http: SocketAddr,
    rtmp: SocketAddr,
    rest: BufReader<std::process::ChildStderr>,
}

impl Serving {
    fn start(dir: &TempDir, more: &[(&str, &str)]) -> Self {
        let mut command = oriel(&["serve", "--http", "127.0.0.1:0", "--rtmp", "127.0.0.1:0", "--rtmps", "127.0.0.1:0"]);
        command.args(["--metrics", "127.0.0.1:0", "--data-dir"]).arg(dir.path().join("data"));
        command.env("ORIEL__LOG__FORMAT", "json").envs(more.iter().copied()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let mut rest = BufReader::new(child.stderr.take().expect("piped"));
        let mut log = String::new();
        let (http, rtmp) = loop {
            let mut line = String::new();
            assert_ne!(rest.read_line(&mut line).expect("text"), 0, "it ended: {log}");
            log.push_str(&line);
            let said: serde_json::Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line}"));
            if said["message"] == "serving" {
                let address = |name: &str| said[name].as_str().expect("an address").parse().expect("an address");
                break (address("http"), address("rtmp"));
            }
        };
        Self { child, log, http, rtmp, rest }
    }

    /// Asks it to stop; how long it took, and the whole log.
    fn stop(mut self) -> (Duration, String) {
        let start = Instant::now();
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(asked.is_ok_and(|status| status.success()));
        let status = self.child.wait().expect("a child");
        let took = start.elapsed();
        self.rest.read_to_string(&mut self.log).expect("text");
        assert!(status.success(), "{status}: {}", self.log);
        (took, std::mem::take(&mut self.log))
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_stop_takes_less_than_ten_seconds_whoever_hangs_on() {
    let dir = TempDir::new();
    let serving = Serving::start(&dir, &[]);
    let silent = TcpStream::connect(serving.http).unwrap();
    let mut half = TcpStream::connect(serving.http).unwrap();
    half.write_all(
        b"POST /api/v1/session HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{",
    )
    .unwrap();
    let (took, log) = serving.stop();
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert!(log.contains("\"stopped\""), "{log}");
    drop((silent, half));
}

#[test]
fn a_stop_without_work_is_quick_and_the_data_is_there_again() {
    let dir = TempDir::new();
    for _ in 0..2 {
        let (took, _) = Serving::start(&dir, &[]).stop();
        assert!(took < Duration::from_secs(3), "{took:?}");
    }
    assert!(dir.path().join("data/oriel.db").exists());
}

#[test]
fn a_taken_port_is_named_with_the_flag_that_changes_it() {
    let dir = TempDir::new();
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    let data = dir.path().display().to_string();
    for command in ["serve", "demo"] {
        let rest =
            ["--http", "127.0.0.1:0", "--rtmp", &taken, "--rtmps", "off", "--metrics", "off", "--data-dir", &data];
        let output = oriel(&[&[command], &rest[..]].concat()).output().unwrap();
        let said = text(&output.stderr);
        assert!(!output.status.success());
        assert!(said.contains(&taken) && said.contains("--rtmp "), "{said}");
    }
    assert!(!dir.path().join("oriel.db").exists(), "nothing was touched");
}

fn add_user(dir: &TempDir, name: &str, password: &str) -> Output {
    let mut command = oriel(&["user", "add", name, "--password-stdin", "--data-dir"]);
    command.arg(dir.path()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("{password}\n").as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn user_add_makes_an_account_once() {
    let dir = TempDir::new();
    let made = add_user(&dir, "ann", "long enough");
    assert!(made.status.success(), "{}", text(&made.stderr));
    for (name, password, needle) in
        [("ann", "long enough", "taken"), ("Ann!", "long enough", "name"), ("bob", "x", "password")]
    {
        let refused = add_user(&dir, name, password);
        assert!(!refused.status.success());
        assert!(text(&refused.stderr).contains(needle), "{}", text(&refused.stderr));
    }
}

#[test]
fn config_commands_say_what_is_in_force() {
    let dir = TempDir::new();
    let file = dir.path().join("oriel.toml");
    std::fs::write(&file, "[hls]\npart_ms = 300\n").unwrap();
    let file = file.to_str().unwrap();
    let dumped = oriel(&["config", "dump", "--config", file, "--http", "127.0.0.1:7"])
        .env("ORIEL__FLV__FLUSH_MS", "50")
        .output()
        .unwrap();
    let dump = text(&dumped.stdout);
    for line in ["part_ms = 300", "flush_ms = 50", "listen = \"127.0.0.1:7\""] {
        assert!(dump.contains(line), "{dump}");
    }
    assert!(oriel(&["config", "check", "--config", file]).output().unwrap().status.success());

    std::fs::write(file, "[hsl]\npart_ms = 300\n").unwrap();
    let refused = oriel(&["config", "check", "--config", file]).output().unwrap();
    let said = text(&refused.stderr);
    assert!(!refused.status.success() && said.contains("hsl.part_ms") && said.contains(file), "{said}");
}

#[test]
fn doctor_finds_the_taken_port_and_nothing_else_wrong() {
    let dir = TempDir::new();
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    let data = dir.path().display().to_string();
    let rest =
        ["--http", "127.0.0.1:0", "--rtmp", &taken, "--rtmps", "127.0.0.1:0", "--metrics", "off", "--data-dir", &data];
    let output = oriel(&[&["doctor"], &rest[..]].concat()).output().unwrap();
    let said = text(&output.stdout);
    assert!(!output.status.success());
    let bad: Vec<&str> = said.lines().filter(|line| line.starts_with("bad ")).collect();
    assert!(bad.len() == 1 && bad[0].contains(&taken) && bad[0].contains("--rtmp "), "{said}");
}

#[test]
fn a_stream_key_is_never_logged() {
    let dir = TempDir::new();
    let serving = Serving::start(&dir, &[("ORIEL__LOG__FILTER", "trace")]);
    let host = serving.http.to_string();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (key, cookie) = runtime.block_on(async {
        let mut client = support::Client { host, cookie: None, headers: Vec::new() };
        let account = serde_json::json!({"name": "ann", "password": "long enough"});
        client.cookie = client.post("/api/v1/accounts", &account).await.cookie();
        let made = client.post("/api/v1/broadcasts", &serde_json::json!({"title": "x"})).await.json();
        (made["stream_key"].as_str().unwrap().to_owned(), client.cookie.unwrap())
    });
    let (_, log) = serving.stop();
    assert!(log.contains("broadcast made"));
    let token = cookie.split_once('=').unwrap().1;
    for secret in [key.trim_start_matches("ok_"), "long enough", token] {
        assert!(!log.contains(secret), "a secret is in the log");
    }
}

/// The segments of a recording that are stored, and the bytes on the local disk of the one after them.
fn recorded(dir: &TempDir, id: &str) -> (usize, u64) {
    let folder = |name: &str| dir.path().join("data").join(name).join(id);
    let entries = std::fs::read_dir(folder("replays")).into_iter().flatten().flatten();
    let stored = entries.filter(|entry| entry.file_name().to_str().is_some_and(|name| name.ends_with(".m4s"))).count();
    let open = std::fs::metadata(folder("recording").join(format!("{stored:012}.open")));
    (stored, open.map_or(0, |file| file.len()))
}

#[test]
fn a_killed_server_leaves_a_replay_with_all_but_the_last_part() {
    let dir = TempDir::new();
    let mut serving = Serving::start(&dir, &[("ORIEL__BROADCAST__GRACE_S", "1")]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut client = support::Client { host: serving.http.to_string(), cookie: None, headers: Vec::new() };
    let (id, key) = runtime.block_on(async {
        let account = serde_json::json!({"name": "ann", "password": "long enough"});
        client.cookie = client.post("/api/v1/accounts", &account).await.cookie();
        let made = client.post("/api/v1/broadcasts", &serde_json::json!({"title": "x"})).await.json();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        (text(&made["broadcast"]["id"]), text(&made["stream_key"]))
    });
    // A keyframe each 3 s: the segment that is cut off is long, and what is kept of it counts.
    let mut encoder = Command::new("ffmpeg")
        .args(["-v", "quiet", "-nostdin", "-re", "-f", "lavfi", "-i", "testsrc2=s=320x180:r=30", "-t", "60"])
        .args(["-c:v", "libx264", "-preset", "ultrafast", "-g", "90", "-f", "flv"])
        .arg(format!("rtmp://{}/live/{key}", serving.rtmp))
        .stdin(Stdio::null())
        .spawn()
        .expect("ffmpeg is needed");
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let (stored, open) = recorded(&dir, &id);
        if stored >= 1 && open > 40_000 {
            break;
        }
        assert!(Instant::now() < deadline, "{:?}", recorded(&dir, &id));
        std::thread::yield_now();
    }
    serving.child.kill().expect("it runs");
    serving.child.wait().expect("a child");
    let _ = encoder.kill();
    let _ = encoder.wait();
    let (stored, open) = recorded(&dir, &id);
    assert!(open > 40_000, "a segment was being written");

    let again = Serving::start(&dir, &[("ORIEL__BROADCAST__GRACE_S", "1")]);
    client.host = again.http.to_string();
    let list = runtime.block_on(async {
        let mut said = String::new();
        let whole = async {
            loop {
                let list = client.get(&format!("/replay/{id}/media.m3u8")).await;
                said = list.text();
                if said.matches("#EXTINF").count() > stored {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        let recovered = tokio::time::timeout(Duration::from_secs(30), whole).await;
        recovered.map(|()| said.clone()).map_err(|_| said)
    });
    let list = match list {
        Ok(list) => list,
        Err(said) => panic!("the open segment is not recovered: {said}\n{}", again.stop().1),
    };
    let url = format!("http://{}/replay/{id}.mp4", again.http);
    let probed = Command::new("ffmpeg")
        .args(["-v", "error", "-i", &url, "-map", "0:v", "-f", "framemd5", "-"])
        .stdin(Stdio::null())
        .output()
        .expect("ffmpeg is needed");
    assert_eq!(text(&probed.stderr), "", "{list}");
    let frames = text(&probed.stdout).lines().filter(|line| line.starts_with("0,")).count();
    // Each part but the last two is whole: 6 frames are 200 ms.
    assert!(frames > 90 * stored, "{frames} frames, {stored} segments stored before: {list}");
}
