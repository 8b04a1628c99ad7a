//! What an operator may set, and its defaults. Every key is described in `docs/ref/config.md`, which
//! `oriel config reference` prints from [`reference::KEYS`] and a test compares.
//!
//! [`load`] reads the file, the environment and the flags; [`reference`] is the list of keys in prose.

mod listen;
pub mod load;
pub mod reference;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use listen::Listen;
pub use load::{Error, Overrides, load};

/// The whole configuration. `Config::default()` is what `oriel serve` runs on without a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where everything that must survive a restart is kept.
    pub data_dir: PathBuf,
    pub http: Http,
    pub rtmp: Rtmp,
    pub srt: Srt,
    pub moq: Moq,
    pub rtc: Rtc,
    pub metrics: Metrics,
    pub tls: Tls,
    pub broadcast: Broadcast,
    pub hls: Hls,
    pub flv: Flv,
    pub recording: Recording,
    pub accounts: Accounts,
    pub limits: Limits,
    pub log: Log,
}

/// The site, the API, HTTP-FLV, HLS and the rooms: one TCP listener.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    pub listen: Listen,
    pub tls: bool,
    pub public_url: Option<String>,
    pub trusted_proxies: Vec<String>,
}

/// The RTMP and RTMPS listeners.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rtmp {
    pub listen: Listen,
    pub tls_listen: Listen,
    pub public_host: Option<String>,
}

/// The SRT listener.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Srt {
    pub listen: Listen,
    pub latency_ms: u32,
    pub passphrase: Option<String>,
}

/// Media over QUIC: WebTransport on the UDP port with the number of `http.listen`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Moq {
    pub enabled: bool,
}

/// WebRTC: WHIP and WHEP under `http.listen`, their media on one UDP port.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rtc {
    pub listen: Listen,
    pub public_addresses: Vec<String>,
}

/// The Prometheus listener.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Metrics {
    pub listen: Listen,
}

/// The certificate for RTMPS, and for HTTPS when `http.tls` is set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    pub cert: Option<PathBuf>,
    pub key: Option<PathBuf>,
}

/// The life of a broadcast.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Broadcast {
    pub grace_s: u64,
}

/// HLS packaging.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hls {
    pub part_ms: u32,
}

/// HTTP-FLV and RTMP play.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Flv {
    pub flush_ms: u32,
}

/// Replays: what is recorded, where it is kept and for how long.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recording {
    pub enabled: bool,
    pub dir: Option<PathBuf>,
    pub dvr_s: u64,
    pub max_age_days: u32,
    pub max_bytes_per_user: u64,
    pub max_bytes: u64,
    pub s3_bucket: Option<String>,
    pub s3_region: Option<String>,
    pub s3_endpoint: Option<String>,
    pub s3_prefix: String,
}

/// Who may have an account, and how long a sign-in lasts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Accounts {
    pub registration: Registration,
    pub session_days: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Registration {
    /// Anyone may make an account on the site.
    Open,
    /// Accounts come from `oriel user add` only.
    Closed,
}

/// Bounds on what one address, and everyone together, may ask of the server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    pub http_connections: usize,
    pub http_connections_per_address: usize,
    pub rtmp_pending_connections: usize,
    pub rtmp_connections_per_address: usize,
    pub webrtc_sessions: usize,
    pub joins_per_address_per_minute: u32,
    pub header_timeout_s: u64,
    pub write_timeout_s: u64,
    pub body_bytes: usize,
    pub login_per_address_per_minute: u32,
    pub login_per_name_per_minute: u32,
    pub registration_per_address_per_hour: u32,
    pub broadcasts_per_account_per_hour: u32,
    pub password_hashes: usize,
}

/// What is written to standard error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    pub format: LogFormat,
    pub filter: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Text,
    Json,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("./data"),
            http: Http::default(),
            rtmp: Rtmp::default(),
            srt: Srt::default(),
            moq: Moq::default(),
            rtc: Rtc::default(),
            metrics: Metrics::default(),
            tls: Tls::default(),
            broadcast: Broadcast::default(),
            hls: Hls::default(),
            flv: Flv::default(),
            recording: Recording::default(),
            accounts: Accounts::default(),
            limits: Limits::default(),
            log: Log::default(),
        }
    }
}

impl Default for Http {
    fn default() -> Self {
        Self { listen: Listen::any(8080), tls: false, public_url: None, trusted_proxies: Vec::new() }
    }
}

impl Default for Rtmp {
    fn default() -> Self {
        Self { listen: Listen::any(1935), tls_listen: Listen::any(1936), public_host: None }
    }
}

impl Default for Srt {
    fn default() -> Self {
        Self { listen: Listen::any(9000), latency_ms: 400, passphrase: None }
    }
}

impl Default for Moq {
    fn default() -> Self {
        Self { enabled: true }
    }
}

impl Default for Rtc {
    fn default() -> Self {
        Self { listen: Listen::any(8443), public_addresses: Vec::new() }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self { listen: Listen::loopback(9090) }
    }
}

impl Default for Broadcast {
    fn default() -> Self {
        Self { grace_s: 30 }
    }
}

impl Default for Hls {
    fn default() -> Self {
        Self { part_ms: 200 }
    }
}

impl Default for Recording {
    fn default() -> Self {
        Self {
            enabled: true,
            dir: None,
            dvr_s: 7_200,
            max_age_days: 30,
            max_bytes_per_user: 5_000_000_000,
            max_bytes: 10_000_000_000,
            s3_bucket: None,
            s3_region: None,
            s3_endpoint: None,
            s3_prefix: "oriel".into(),
        }
    }
}

impl Default for Accounts {
    fn default() -> Self {
        Self { registration: Registration::Open, session_days: 30 }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            http_connections: 20_000,
            http_connections_per_address: 512,
            rtmp_pending_connections: 1_024,
            rtmp_connections_per_address: 128,
            webrtc_sessions: 500,
            joins_per_address_per_minute: 600,
            header_timeout_s: 15,
            write_timeout_s: 15,
            body_bytes: 64 * 1024,
            login_per_address_per_minute: 20,
            login_per_name_per_minute: 10,
            registration_per_address_per_hour: 20,
            broadcasts_per_account_per_hour: 60,
            password_hashes: 2,
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Text, filter: "info,moq_relay=warn,moq_net=error,moq_tokio=warn,noq=warn".into() }
    }
}

impl Config {
    pub fn grace(&self) -> Duration {
        Duration::from_secs(self.broadcast.grace_s)
    }

    /// What no type can refuse: values that contradict each other or make no sense.
    pub fn check(&self) -> Result<(), String> {
        if self.http.listen.address().is_none() {
            return Err("http.listen: must be an address, the server has no other door".into());
        }
        if self.rtmp.listen == Listen::OFF && self.rtmp.tls_listen == Listen::OFF {
            return Err("rtmp.listen, rtmp.tls_listen: one of them must be on, nobody could go live".into());
        }
        match (&self.tls.cert, &self.tls.key) {
            (Some(_), None) => return Err("tls.key: missing, tls.cert is set".into()),
            (None, Some(_)) => return Err("tls.cert: missing, tls.key is set".into()),
            _ => {}
        }
        if !(50..=2_000).contains(&self.hls.part_ms) {
            return Err(format!("hls.part_ms: {} is outside 50..2000", self.hls.part_ms));
        }
        if !(20..=8_000).contains(&self.srt.latency_ms) {
            return Err(format!("srt.latency_ms: {} is outside 20..8000", self.srt.latency_ms));
        }
        if self.srt.passphrase.as_ref().is_some_and(|text| !(10..=79).contains(&text.len())) {
            return Err("srt.passphrase: must have 10 to 79 characters".into());
        }
        if self.flv.flush_ms > 1_000 {
            return Err(format!("flv.flush_ms: {} is above 1000", self.flv.flush_ms));
        }
        if self.limits.password_hashes == 0 {
            return Err("limits.password_hashes: must be at least 1".into());
        }
        if self.limits.header_timeout_s == 0 || self.limits.write_timeout_s == 0 {
            return Err("limits.header_timeout_s and limits.write_timeout_s: must be at least 1".into());
        }
        self.rtc.announced(0)?;
        if self.recording.dir.is_some() && self.recording.s3_bucket.is_some() {
            return Err("recording.dir, recording.s3_bucket: only one of them can be where replays are".into());
        }
        if let Some(url) = &self.http.public_url {
            check_public_url(url)?;
        }
        crate::http::peer::Proxies::parse(&self.http.trusted_proxies)
            .map(drop)
            .map_err(|what| format!("http.trusted_proxies: {what}"))
    }
}

impl Rtc {
    /// The configured addresses; those without a port get `port`.
    pub fn announced(&self, port: u16) -> Result<Vec<SocketAddr>, String> {
        let parse = |text: &String| {
            let address = text.parse().or_else(|_| text.parse().map(|ip: IpAddr| SocketAddr::new(ip, port)));
            address.map_err(|_| format!("rtc.public_addresses: {text:?} is neither an IP address nor address:port"))
        };
        self.public_addresses.iter().map(parse).collect()
    }
}

fn check_public_url(url: &str) -> Result<(), String> {
    let parsed: http::Uri = url.parse().map_err(|_| format!("http.public_url: {url:?} is not a URL"))?;
    let scheme_known = matches!(parsed.scheme_str(), Some("http" | "https"));
    if !scheme_known || parsed.host().is_none() || parsed.path() != "/" || parsed.query().is_some() {
        return Err(format!("http.public_url: {url:?} must be http(s)://host[:port] without a path"));
    }
    Ok(())
}
