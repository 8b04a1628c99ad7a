//! Every key in prose: the source of `docs/ref/config.md`.

use serde_json::Value;

use super::Config;

/// One key, and what an operator needs to know to set it.
pub struct Key {
    /// Dotted path, `section.key` in the file and `ORIEL__SECTION__KEY` in the environment.
    pub path: &'static str,
    pub text: &'static str,
}

const fn key(path: &'static str, text: &'static str) -> Key {
    Key { path, text }
}

/// In the order of the document.
pub const KEYS: &[Key] = &[
    key(
        "data_dir",
        "Directory for everything that must survive a restart: the database `oriel.db`, the self-signed \
         certificate `tls/`. Relative paths start at the working directory. Made when missing, readable by its \
         owner only. Flag `--data-dir`.",
    ),
    key(
        "http.listen",
        "Address of the site, the API, HTTP-FLV, HLS and the rooms (TCP). QUIC uses the same number on UDP. \
         Flag `--http`.",
    ),
    key(
        "http.tls",
        "Speak HTTPS (HTTP/2 and HTTP/1.1) on `http.listen`, with the certificate of `[tls]`. Set it when no proxy \
         in front ends TLS.",
    ),
    key(
        "http.public_url",
        "The address people type, `https://live.example.org`, used in the links and ingest addresses that the API \
         gives. Unset: taken from the `Host` of each request. Flag `--public-url`.",
    ),
    key(
        "http.trusted_proxies",
        "Addresses or networks (`127.0.0.1`, `10.0.0.0/8`) whose `X-Forwarded-For` and `X-Forwarded-Proto` are \
         believed. Limits per address then count the address behind them. In the environment: separated by commas.",
    ),
    key(
        "rtmp.listen",
        "Address of RTMP, or `off`. Stream keys travel in the clear here: see `rtmp.tls_listen`. Flag `--rtmp`.",
    ),
    key("rtmp.tls_listen", "Address of RTMPS, or `off`. Flag `--rtmps`."),
    key(
        "rtmp.public_host",
        "Host name in the RTMP addresses that the API gives. Unset: the host of `http.public_url`, else of the request.",
    ),
    key("srt.listen", "Address of SRT (UDP), or `off`. Flag `--srt`."),
    key(
        "srt.latency_ms",
        "Time in which packets lost on the way are sent again, 20 to 8000 ms; an encoder may ask for more. All that \
         comes by SRT is delayed by it. Four round trips survive much.",
    ),
    key(
        "srt.passphrase",
        "With one (10 to 79 characters) every SRT encoder must encrypt by it, AES of 128 to 256 bits. The stream key, \
         too, travels in the clear in SRT's handshake, with a passphrase or without.",
    ),
    key(
        "moq.enabled",
        "Serve Media over QUIC: WebTransport on the UDP port with the number of `http.listen`, and its WebSocket \
         fallback under `/moq`.",
    ),
    key(
        "rtc.listen",
        "UDP address of WebRTC (WHIP and WHEP), or `off`. One port carries all sessions; the requests themselves come by \
         HTTP. Flag `--rtc`.",
    ),
    key(
        "rtc.public_addresses",
        "Where browsers reach that port: IP addresses, or `address:port` when another port is mapped to it. Needed behind \
         NAT or in a container that people reach by a name. Unset: the address of `rtc.listen`, else the one each request \
         came to (or named, as in `http://192.0.2.7:8080`) and the machine's own. In the environment: separated by commas.",
    ),
    key(
        "metrics.listen",
        "Address of `/metrics` for Prometheus, or `off`. It has no authentication: keep it on a private address. \
         Flag `--metrics`.",
    ),
    key("tls.cert", "Certificate chain, PEM. Unset: a self-signed certificate for development, made in `data_dir`."),
    key("tls.key", "Its private key, PEM."),
    key(
        "broadcast.grace_s",
        "Seconds a broadcast stays up after its publisher's connection dropped. The same key resumes it.",
    ),
    key("hls.part_ms", "Target duration of an LL-HLS part, 50 to 2000 ms. Shorter: less delay, more requests."),
    key(
        "flv.flush_ms",
        "How long HTTP-FLV and RTMP play collect frames before one write, 0 to 1000 ms. 0: each video frame at \
         once. 100: a third of the writes, which is most of what a viewer costs, for up to 100 ms more delay.",
    ),
    key(
        "recording.enabled",
        "Record broadcasts, so that they can be watched later. Who goes live can leave it out for a broadcast. Off: \
         replays that are there stay, and nothing is added.",
    ),
    key("recording.dir", "Directory of the replays. Unset: `replays` in `data_dir`."),
    key(
        "recording.dvr_s",
        "How far back viewers of a live broadcast can go, in seconds, where it is recorded. 0: not at all.",
    ),
    key("recording.max_age_days", "Days after which a replay is deleted. 0: never for its age."),
    key(
        "recording.max_bytes_per_user",
        "Bytes of one user's replays together; the oldest are deleted first. A single recording that reaches this goes \
         no further. 0: no bound.",
    ),
    key(
        "recording.max_bytes",
        "Bytes of all replays together; the oldest are deleted first. Keep it below the free space of the disk: 10 GB \
         are some ten hours at 2 Mbit/s. 0: no bound.",
    ),
    key(
        "recording.s3_bucket",
        "Keep replays in this bucket of an S3 compatible store instead of a directory. Credentials are taken from \
         `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` in the environment, or from the machine's role.",
    ),
    key("recording.s3_region", "Region of the bucket. Unset: `AWS_REGION`."),
    key("recording.s3_endpoint", "Address of a store that is not Amazon's, `https://host:port`."),
    key("recording.s3_prefix", "What all names in the bucket begin with."),
    key(
        "accounts.registration",
        "`open`: anyone may make an account. `closed`: accounts come from `oriel user add` only.",
    ),
    key("accounts.session_days", "Days a sign-in lasts after its last use."),
    key(
        "limits.http_connections",
        "HTTP connections at a time, all addresses together. Further ones are closed at once.",
    ),
    key(
        "limits.http_connections_per_address",
        "HTTP connections at a time from one IPv4 address or IPv6 /64. Trusted proxies are not counted.",
    ),
    key(
        "limits.rtmp_pending_connections",
        "RTMP (and as many RTMPS) connections at a time that have not asked to publish or play yet, all addresses \
         together.",
    ),
    key(
        "limits.rtmp_connections_per_address",
        "RTMP and RTMPS connections at a time from one IPv4 address or IPv6 /64.",
    ),
    key(
        "limits.webrtc_sessions",
        "WebRTC sessions at a time, publishers and viewers together. Each costs some 200 KiB.",
    ),
    key(
        "limits.joins_per_address_per_minute",
        "Viewers that may join (HTTP-FLV, RTMP play, WHEP, rooms) and WHIP publishers from one address in a minute; half of it at once.",
    ),
    key(
        "limits.header_timeout_s",
        "Seconds a client has to send a request's headers, or to use an idle connection again.",
    ),
    key(
        "limits.write_timeout_s",
        "Seconds a client may read nothing while there is something to send; then it is closed.",
    ),
    key("limits.body_bytes", "Largest request body, in bytes."),
    key("limits.login_per_address_per_minute", "Sign-in attempts from one address in a minute."),
    key("limits.login_per_name_per_minute", "Sign-in attempts on one account name in a minute, from anywhere."),
    key("limits.registration_per_address_per_hour", "New accounts from one address in an hour."),
    key("limits.broadcasts_per_account_per_hour", "New broadcasts of one account in an hour."),
    key(
        "limits.password_hashes",
        "Password hashes computed at a time; each takes 19 MiB and tens of milliseconds of a core.",
    ),
    key("log.format", "`text` or `json`, on standard error."),
    key("log.filter", "What is logged: a level, or `target=level` pairs separated by commas. Flag `--log`."),
];

/// The document `docs/ref/config.md`.
pub fn document() -> String {
    let defaults = serde_json::to_value(Config::default()).expect("the defaults are plain data");
    let mut text = String::from(PREFACE);
    let mut section = None;
    for key in KEYS {
        let here = key.path.split_once('.').map_or("", |(section, _)| section);
        if section != Some(here) {
            section = Some(here);
            let title = if here.is_empty() { "Top level" } else { here };
            text.push_str(&format!("\n## {title}\n| key | default | meaning |\n|---|---|---|\n"));
        }
        let prose = key.text.split_whitespace().collect::<Vec<_>>().join(" ");
        text.push_str(&format!("| `{}` | {} | {prose} |\n", key.path, default_of(&defaults, key.path)));
    }
    text.push_str(CLOSE);
    text
}

fn default_of(defaults: &Value, path: &str) -> String {
    match defaults.pointer(&format!("/{}", path.replace('.', "/"))) {
        None | Some(Value::Null) => "unset".into(),
        Some(Value::String(text)) => format!("`\"{text}\"`"),
        Some(value) => format!("`{value}`"),
    }
}

const PREFACE: &str = "\
# Configuration

`oriel serve` runs on its defaults without a file. A value is taken from, the later winning:

1. the default below;
2. the file named by `--config` (TOML);
3. the environment: `ORIEL__SECTION__KEY`, for example `ORIEL__HTTP__LISTEN=127.0.0.1:8080`;
4. a flag, where one is named below.

A key that does not exist is an error that names it and the file or variable it stands in. `oriel config check` reads
everything and says whether it would start; `oriel config dump` prints the values in force; `oriel config reference` prints
this page.
";

const CLOSE: &str = "
## Example
```toml
data_dir = \"/var/lib/oriel\"

[http]
listen = \"0.0.0.0:443\"
tls = true
public_url = \"https://live.example.org\"

[tls]
cert = \"/etc/oriel/fullchain.pem\"
key = \"/etc/oriel/privkey.pem\"

[accounts]
registration = \"closed\"
```
";
