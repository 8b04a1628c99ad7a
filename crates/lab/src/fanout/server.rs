//! The real server as a child process, with its own ports and data, and the few API calls that make a broadcast.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::free_address;
use crate::process::{self, Cores, Running};

const PATIENCE: Duration = Duration::from_secs(20);

/// A running `oriel serve`. Killed, and its data removed, when dropped.
pub struct Server {
    pub process: Running,
    pub http: SocketAddr,
    pub rtmp: SocketAddr,
    data: PathBuf,
}

/// A broadcast on it.
pub struct Broadcast {
    pub id: String,
    /// The publish secret.
    pub key: String,
}

impl Server {
    /// Starts `oriel serve` on the server's core and waits until it is ready. The limits per address are lifted, since all
    /// viewers come from one.
    pub fn start(program: &Path, cores: Cores, flush_ms: u32) -> anyhow::Result<Self> {
        let (http, rtmp) = (free_address()?, free_address()?);
        let data = std::env::temp_dir().join(format!("oriel-fanout-{}-{}", std::process::id(), http.port()));
        fs::create_dir_all(&data).with_context(|| format!("make {}", data.display()))?;
        let log = fs::File::create(data.join("server.log")).context("the server's log")?;
        let mut command = Command::new(program);
        command.arg("serve").current_dir(&data).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        for (key, value) in [
            ("DATA_DIR", data.display().to_string()),
            ("HTTP__LISTEN", http.to_string()),
            ("RTMP__LISTEN", rtmp.to_string()),
            ("RTMP__TLS_LISTEN", "off".into()),
            ("SRT__LISTEN", "off".into()),
            ("RTC__LISTEN", "off".into()),
            ("METRICS__LISTEN", "off".into()),
            ("FLV__FLUSH_MS", flush_ms.to_string()),
            ("LIMITS__HTTP_CONNECTIONS", "20000".into()),
            ("LIMITS__HTTP_CONNECTIONS_PER_ADDRESS", "20000".into()),
            ("LIMITS__RTMP_CONNECTIONS_PER_ADDRESS", "20000".into()),
            ("LIMITS__JOINS_PER_ADDRESS_PER_MINUTE", "1000000".into()),
            ("LOG__FILTER", "warn".into()),
        ] {
            command.env(format!("ORIEL__{key}"), value);
        }
        let process = process::spawn_on(cores.server, cores.load, &mut command)?;
        let mut server = Self { process, http, rtmp, data };
        server.wait_until_ready()?;
        Ok(server)
    }

    /// Makes an account and a broadcast.
    pub fn create_broadcast(&self) -> anyhow::Result<Broadcast> {
        let account = json!({"name": "fanout", "password": "a long enough password"});
        let (head, _) = self.request("POST", "/api/v1/accounts", "", &account.to_string())?;
        let cookie = head
            .lines()
            .find_map(|line| line.strip_prefix("set-cookie: ").or_else(|| line.strip_prefix("Set-Cookie: ")))
            .and_then(|cookie| cookie.split(';').next())
            .context("the account came without a session cookie")?;
        let wish = json!({"title": "fan-out"}).to_string();
        let (_, body) = self.request("POST", "/api/v1/broadcasts", &format!("Cookie: {cookie}\r\n"), &wish)?;
        let made: Value = serde_json::from_str(&body).context("the broadcast is no JSON")?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        Ok(Broadcast {
            id: text(&made["broadcast"]["id"]).context("the broadcast has no id")?,
            key: text(&made["stream_key"]).context("the broadcast has no stream key")?,
        })
    }

    fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let until = Instant::now() + PATIENCE;
        loop {
            self.check()?;
            match self.request("GET", "/readyz", "", "") {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() > until => return Err(error.context("the server is not ready")),
                Err(_) => sleep(Duration::from_millis(50)),
            }
        }
    }

    /// An error with the end of its log if the server has ended.
    pub fn check(&mut self) -> anyhow::Result<()> {
        self.process.check().with_context(|| {
            let log = fs::read_to_string(self.data.join("server.log")).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            format!("the server's last words:\n{}", lines[lines.len().saturating_sub(20)..].join("\n"))
        })
    }

    /// One request on its own connection; head and body of a 2xx answer.
    fn request(&self, method: &str, path: &str, headers: &str, body: &str) -> anyhow::Result<(String, String)> {
        let host = self.http;
        let mut socket = TcpStream::connect(host).with_context(|| format!("connect to {host}"))?;
        socket.set_read_timeout(Some(PATIENCE)).context("socket")?;
        let length = body.len();
        write!(
            socket,
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nSec-Fetch-Site: same-origin\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n{body}"
        )
        .with_context(|| format!("ask for {path}"))?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).with_context(|| format!("the answer to {path}"))?;
        let (head, body) = answer.split_once("\r\n\r\n").with_context(|| format!("{path}: no HTTP answer"))?;
        if !head.starts_with("HTTP/1.1 2") {
            bail!("{path}: {} {body}", head.lines().next().unwrap_or_default());
        }
        Ok((head.to_owned(), body.to_owned()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The process itself ends when its field is dropped; files that it still writes go with their directory.
        drop(fs::remove_dir_all(&self.data));
    }
}
