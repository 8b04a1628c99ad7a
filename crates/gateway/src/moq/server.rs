//! The embedded relay: assembled here, run by the caller.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use moq_relay::auth::Admissions;
use moq_relay::{Config as RelayConfig, Relay, shutdown};
use tower::ServiceExt;

use super::{Request, WebSockets};

/// A viewer whose network vanished is forgotten after this: until then its session queues media.
const IDLE: Duration = Duration::from_secs(3);
const KEEP_ALIVE: Duration = Duration::from_secs(1);

/// Which certificate QUIC presents.
#[derive(Clone, Debug)]
pub enum Identity {
    /// A certificate chain and its key, PEM files, reloaded when they change.
    Files { cert: PathBuf, key: PathBuf },
    /// A self-signed one, made at each start for these names. Browsers accept it by the hash served at `/certificate.sha256`.
    SelfSigned { names: Vec<String> },
}

/// What the relay needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// UDP address. Browsers expect the port number of the HTTP listener.
    pub bind: SocketAddr,
    pub identity: Identity,
    /// How long sessions may stay after the drain began.
    pub drain: Duration,
}

/// Why the relay did not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The socket, the certificate or the configuration could not be used.
    #[error("quic on udp {bind}: {reason}")]
    Start { bind: SocketAddr, reason: String },
    /// The relay ended by itself.
    #[error("quic on udp {bind} stopped: {reason}")]
    Stopped { bind: SocketAddr, reason: String },
}

/// The relay, bound but not yet serving.
pub struct Server {
    relay: Relay,
    admissions: Admissions,
    bind: SocketAddr,
}

/// The certificate of the QUIC listener.
#[derive(Clone)]
pub struct Certificate {
    /// The relay tells the hash over HTTP only, so its route is asked in place.
    routes: axum::Router,
}

impl Certificate {
    /// SHA-256 of the certificate in hexadecimal, by which browsers accept a self-signed one; `None` without a certificate.
    pub async fn sha256(&self) -> Option<String> {
        let request =
            http::Request::get("/certificate.sha256").body(http_body_util::Empty::<bytes::Bytes>::new()).ok()?;
        let response = self.routes.clone().oneshot(request).await.ok()?;
        if !response.status().is_success() {
            return None;
        }
        let body = http_body_util::BodyExt::collect(response.into_body()).await.ok()?.to_bytes();
        String::from_utf8(body.to_vec()).ok()
    }
}

/// A relay that serves: ask it for requests until they end.
pub struct Running {
    admissions: Admissions,
    drain: shutdown::Trigger,
    task: tokio::task::JoinHandle<Result<(), Error>>,
}

impl Server {
    /// Binds the UDP socket and loads the certificate.
    pub async fn bind(config: Config) -> Result<Self, Error> {
        // Another part of the process may have installed the same provider already.
        moq_tokio::crypto::install_default().ok();
        let failed = |err: anyhow::Error| Error::Start { bind: config.bind, reason: format!("{err:#}") };
        let mut relay = Relay::load(relay_config(&config)).await.map_err(failed)?;
        let admissions = relay.admissions().expect("no source of grants was configured, so the caller decides");
        let bind = relay.addr().unwrap_or(config.bind);
        Ok(Self { relay, admissions, bind })
    }

    /// The bound UDP address.
    pub fn local_addr(&self) -> SocketAddr {
        self.bind
    }

    /// Where broadcasts are announced.
    pub fn origin(&self) -> moq_net::origin::Producer {
        self.relay.cluster().origin.clone()
    }

    /// The way in for sessions over WebSocket.
    pub fn websockets(&self) -> WebSockets {
        WebSockets::new(&self.relay)
    }

    /// The certificate that QUIC presents, which may be reloaded while it is served.
    pub fn certificate(&self) -> Certificate {
        Certificate { routes: self.relay.web().routes() }
    }

    /// Starts serving.
    pub fn start(self) -> Running {
        let Self { relay, admissions, bind } = self;
        let drain = relay.shutdown_trigger().clone();
        let task = tokio::spawn(async move {
            let ended = relay.with_signals(false).run().await;
            ended.map_err(|err| Error::Stopped { bind, reason: format!("{err:#}") })
        });
        Running { admissions, drain, task }
    }
}

impl Running {
    /// The next session to decide on; `None` when the relay has ended.
    pub async fn accept(&mut self) -> Option<Request> {
        self.admissions.next().await.map(Request::new)
    }

    /// Tells every session to leave. Serving ends when they have, at the latest after the configured time.
    pub fn drain(&self) -> impl Fn() + Send + Sync + 'static {
        let drain = self.drain.clone();
        move || drain.start()
    }

    /// Waits until the relay has ended.
    pub async fn ended(self) -> Result<(), Error> {
        match self.task.await {
            Ok(ended) => ended,
            // The task was aborted with the runtime.
            Err(_) => Ok(()),
        }
    }
}

fn relay_config(config: &Config) -> RelayConfig {
    let mut relay = RelayConfig::default();
    relay.listen.bind = Some(config.bind.to_string().parse().expect("a socket address is a bind address"));
    match &config.identity {
        Identity::Files { cert, key } => {
            relay.listen.tls.cert = vec![cert.clone()];
            relay.listen.tls.key = vec![key.clone()];
        }
        Identity::SelfSigned { names } => relay.listen.tls.generate = names.clone(),
    }
    relay.quic.idle_timeout = IDLE;
    relay.quic.keep_alive = KEEP_ALIVE;
    relay.drain_timeout = config.drain;
    // Packagers keep what their viewers may ask for; this is for viewers that read the tracks themselves.
    relay.cache.duration = Some(live::GROUPS_KEPT);
    relay
}
