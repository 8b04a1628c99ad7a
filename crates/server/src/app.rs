//! The server, assembled. [`App::start`] is the order of assembly, [`App::drain`] the order of taking apart.

use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::tasks::Tasks;
use anyhow::Context as _;
use gateway::archive::Archive;
use gateway::rtmp::Listener as RtmpListener;
use gateway::{flv, hls, moq, rtc, rtmp, srt};
use live::Directory;
use store::Store;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::account::password::Passwords;
use crate::bind::{self, BindError, Door};
use crate::broadcast::Registry;
use crate::broadcast::journal::Journal;
use crate::config::{Config, Limits, Listen};
use crate::http::listener::{self, Serving};
use crate::http::peer::Proxies;
use crate::http::same_origin::PublicHost;
use crate::http::slots::Slots;
use crate::media::thumbnail::Thumbnails;
use crate::media::viewers::Pulls;
use crate::replay::{self, Access, Recordings};
use crate::services::{Addresses, Rates, Services, Shared};
use crate::{http, media, telemetry, tls, upkeep};
use room::Rooms;

/// The drain's share for what people are doing: requests finish, streams and rooms say goodbye.
const GOODBYES: Duration = Duration::from_secs(6);

/// The drain's share for writing down what is left.
const LAST_WRITES: Duration = Duration::from_secs(2);

/// How often a free pair of TCP and UDP ports is looked for, with `http.listen` on port 0.
const PAIR_TRIES: usize = 16;

/// A server that runs until it is drained.
pub struct App {
    services: Shared,
    addresses: Addresses,
    /// Connections and accept loops.
    tasks: Tasks,
    /// What must outlive them: the journal, the upkeep.
    background: Tasks,
    stop_background: CancellationToken,
    drain_moq: Option<Box<dyn Fn() + Send + Sync>>,
}

/// Sockets bound before anything else happens, so that a taken port changes nothing.
struct Doors {
    http: TcpListener,
    rtmp: Option<RtmpListener>,
    rtmps: Option<RtmpListener>,
    srt: Option<srt::Listener>,
    metrics: Option<TcpListener>,
    rtc: Option<(rtc::Endpoint, rtc::Running)>,
    moq: Option<moq::Server>,
}

impl App {
    /// Starts a server. When this returns, every listener answers.
    ///
    /// Errors: a port that is taken, a data directory or certificate that cannot be used, a database that does not open.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        config.check().map_err(anyhow::Error::msg)?;
        let recorder = telemetry::metrics::recorder();
        let drain = CancellationToken::new();
        let stop_background = CancellationToken::new();
        let (tasks, background) = (Tasks::default(), Tasks::default());

        // What is on disk: the directory, the certificate.
        make_data_dir(&config.data_dir)?;
        let files = tls::files(&config)?;
        let certificate = tls::Certificate::load(files.clone())?;

        // The doors, before the database: a second server on the same ports must not touch the first one's data.
        let doors = Doors::open(&config, &certificate, files, drain.clone()).await?;
        let addresses = doors.addresses()?;

        // Memory: what is remembered, and the way to it that nobody waits for.
        let path = config.data_dir.join("oriel.db");
        let store = Store::open(&store::Config::file(&path)).await?;
        let journal = Journal::default();
        background.spawn(journal.clone().run(store.clone(), stop_background.clone()));

        // Media: broadcasts, and what packages them once for all viewers.
        let directory = match &doors.moq {
            Some(moq) => Directory::new(moq.origin()),
            None => Directory::standalone(),
        };
        let flush = Duration::from_millis(config.flv.flush_ms.into());
        let flv = flv::Packagers::new(flv::Config { flush, ..flv::Config::default() });
        let hls = hls::Packagers::new(hls::Config { part_target: part_target(&config), ..hls::Config::default() });

        let archive = Archive::new(replay::archive_config(&config, part_target(&config)))?;

        // Messages: the rooms beside the broadcasts.
        let rooms = Rooms::new(room::Config::default(), store.clone(), room::Bus::local());

        // Control: who may publish, and the broadcasts that a stopped server left running.
        let enabled = config.recording.enabled;
        let recordings =
            Recordings::new(enabled, archive.clone(), store.clone(), stop_background.clone(), background.clone());
        let registry =
            Registry::new(store.clone(), directory.clone(), rooms.clone(), journal, recordings, config.grace());
        let resumed = registry.recover().await?;
        if resumed > 0 {
            tracing::info!(resumed, "broadcasts wait for their publishers to come back");
        }

        let services = Arc::new(Services {
            passwords: Passwords::new(config.limits.password_hashes),
            rates: Rates::new(&config.limits),
            proxies: Proxies::parse(&config.http.trusted_proxies).map_err(anyhow::Error::msg)?,
            public_host: public_host(&config),
            tasks: tasks.clone(),
            addresses: OnceLock::new(),
            thumbnails: Thumbnails::default(),
            pulls: Pulls::default(),
            drain,
            store,
            directory,
            registry,
            rooms,
            flv,
            hls,
            webrtc: rtc::Feeds::default(),
            rtc: doors.rtc.as_ref().map(|(endpoint, _)| endpoint.clone()),
            archive,
            access: Access::default(),
            config,
        });
        background.spawn(upkeep::run(services.clone(), recorder.clone(), stop_background.clone()));
        background.spawn(certificate.clone().follow(stop_background.clone()));

        // Last, the doors open; the server is ready when all of them are.
        let drain_moq = doors.serve(&services, &certificate, recorder, &tasks);
        services.addresses.set(addresses.clone()).expect("this is the only place that sets it");
        Ok(Self { services, addresses, tasks, background, stop_background, drain_moq })
    }

    /// Where it listens.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// What its parts are, for the demo and for tests.
    pub fn services(&self) -> &Shared {
        &self.services
    }

    /// Stops within ten seconds: no new broadcasts, publishers or viewers; those here are told; what is known is written.
    pub async fn drain(self) {
        tracing::info!("stopping");
        self.services.registry.drain();
        self.services.drain.cancel();
        if let Some(drain_moq) = &self.drain_moq {
            drain_moq();
        }
        let goodbyes = async {
            self.services.rooms.drain().await;
            self.tasks.wait().await;
        };
        if tokio::time::timeout(GOODBYES, goodbyes).await.is_err() {
            tracing::warn!(connections = self.tasks.len(), "some connections did not end in time and are cut off");
        }
        // Publishers that are gone have said so to the journal by now.
        self.stop_background.cancel();
        let last_writes = async {
            self.background.wait().await;
            self.services.store.close().await;
        };
        if tokio::time::timeout(LAST_WRITES, last_writes).await.is_err() {
            tracing::warn!("the database did not take everything in time");
        }
        tracing::info!("stopped");
    }
}

impl Doors {
    async fn open(
        config: &Config,
        certificate: &Arc<tls::Certificate>,
        files: tls::Files,
        drain: CancellationToken,
    ) -> anyhow::Result<Self> {
        let (http, moq) = http_doors(config, files).await?;
        let limits = rtmp::Config {
            connections_per_address: config.limits.rtmp_connections_per_address,
            pending_connections: config.limits.rtmp_pending_connections,
            write_timeout: Duration::from_secs(config.limits.write_timeout_s),
            ..rtmp::Config::default()
        };
        let plain = rtmp_door(bind::RTMP, config.rtmp.listen, None, &limits, &drain).await?;
        let secure = certificate.server(&[]);
        let rtmps = rtmp_door(bind::RTMPS, config.rtmp.tls_listen, Some(secure), &limits, &drain).await?;
        let srt = srt_door(config, &drain).await?;
        let rtc = config.rtc.listen.address().map(|address| rtc_door(address, &config.limits)).transpose()?;
        let metrics = config.metrics.listen.address();
        let metrics = metrics.map(|address| bind::tcp(bind::METRICS, address)).transpose()?;
        Ok(Self { http, rtmp: plain, rtmps, srt, metrics, rtc, moq })
    }

    fn addresses(&self) -> std::io::Result<Addresses> {
        Ok(Addresses {
            http: self.http.local_addr()?,
            rtmp: self.rtmp.as_ref().map(RtmpListener::local_addr).transpose()?,
            rtmps: self.rtmps.as_ref().map(RtmpListener::local_addr).transpose()?,
            srt: self.srt.as_ref().map(srt::Listener::local_addr),
            metrics: self.metrics.as_ref().map(TcpListener::local_addr).transpose()?,
            udp: self.moq.as_ref().map(moq::Server::local_addr),
            rtc: self.rtc.as_ref().map(|(endpoint, _)| endpoint.local_addr()),
        })
    }

    /// Starts every accept loop; gives what tells the MoQ sessions to leave.
    fn serve(
        self,
        services: &Shared,
        certificate: &Arc<tls::Certificate>,
        recorder: metrics_exporter_prometheus::PrometheusHandle,
        tasks: &Tasks,
    ) -> Option<Box<dyn Fn() + Send + Sync>> {
        let limits = &services.config.limits;
        let moq_routes =
            self.moq.as_ref().map(|moq| media::moq::router(services.clone(), moq.websockets(), moq.certificate()));
        let serving = Serving {
            router: http::router(services.clone(), moq_routes),
            tls: services.config.http.tls.then(|| certificate.server(&["h2", "http/1.1"])),
            slots: Slots::new(limits.http_connections, limits.http_connections_per_address),
            proxies: services.proxies.clone(),
            header_timeout: Duration::from_secs(limits.header_timeout_s),
            write_timeout: Duration::from_secs(limits.write_timeout_s),
            drain: services.drain.clone(),
            tasks: tasks.clone(),
        };
        if let Some(metrics) = self.metrics {
            let router = telemetry::metrics::router(recorder);
            let slots = Slots::new(64, 64);
            let serving = Serving { router, tls: None, slots, ..serving.clone() };
            tasks.spawn(listener::serve(metrics, serving));
        }
        tasks.spawn(listener::serve(self.http, serving));
        if let Some((_, running)) = self.rtc {
            // Sessions say goodbye in the drain: what carries their datagrams ends after them.
            tasks.spawn(running.serve(services.drain.clone()));
        }
        for listener in [self.rtmp, self.rtmps].into_iter().flatten() {
            tasks.spawn(media::rtmp::serve(listener, services.clone(), tasks.clone()));
        }
        if let Some(listener) = self.srt {
            tasks.spawn(media::srt::serve(listener, services.clone(), tasks.clone()));
        }
        self.moq.map(|moq| {
            let running = moq.start();
            let drain = running.drain();
            tasks.spawn(media::moq::admit(running, services.clone()));
            Box::new(drain) as Box<dyn Fn() + Send + Sync>
        })
    }
}

fn rtc_door(address: SocketAddr, limits: &Limits) -> Result<(rtc::Endpoint, rtc::Running), BindError> {
    let config = rtc::Config { sessions: limits.webrtc_sessions, ..rtc::Config::default() };
    rtc::Endpoint::bind(address, config).map_err(|source| BindError::new(bind::RTC, "UDP", address, source))
}

async fn rtmp_door(
    door: Door,
    listen: Listen,
    tls: Option<Arc<rustls::ServerConfig>>,
    limits: &rtmp::Config,
    drain: &CancellationToken,
) -> Result<Option<RtmpListener>, BindError> {
    let Some(address) = listen.address() else { return Ok(None) };
    let bound = RtmpListener::bind(address, tls, limits.clone(), drain.clone()).await;
    bound.map(Some).map_err(|source| BindError::new(door, "TCP", address, source))
}

async fn srt_door(config: &Config, drain: &CancellationToken) -> Result<Option<srt::Listener>, BindError> {
    let Some(address) = config.srt.listen.address() else { return Ok(None) };
    let limits = srt::Config {
        latency: Duration::from_millis(config.srt.latency_ms.into()),
        passphrase: config.srt.passphrase.clone(),
        ..srt::Config::default()
    };
    let bound = srt::Listener::bind(address, limits, drain.clone()).await;
    bound.map(Some).map_err(|source| BindError::new(bind::SRT, "UDP", address, source))
}

/// HTTP, and QUIC on the UDP port with the same number, where browsers look for it.
async fn http_doors(config: &Config, files: tls::Files) -> anyhow::Result<(TcpListener, Option<moq::Server>)> {
    let address = config.http.listen.address().context("http.listen is off")?;
    let mut http = bind::tcp(bind::HTTP, address)?;
    if !config.moq.enabled {
        return Ok((http, None));
    }
    // The relay's own error does not tell a taken port from anything else.
    let mut free = bind::probe_udp(bind::HTTP, http.local_addr()?);
    for _ in 0..PAIR_TRIES {
        if free.is_ok() || address.port() != 0 {
            break;
        }
        // A port of the system's choice that is free for TCP only: another one.
        http = bind::tcp(bind::HTTP, address)?;
        free = bind::probe_udp(bind::HTTP, http.local_addr()?);
    }
    free?;
    let identity = match files.self_signed {
        true => moq::Identity::SelfSigned { names: tls::names(config) },
        false => moq::Identity::Files { cert: files.cert, key: files.key },
    };
    let moq = moq::Server::bind(moq::Config { bind: http.local_addr()?, identity, drain: GOODBYES }).await?;
    Ok((http, Some(moq)))
}

/// PART-TARGET for parts that are meant to last `hls.part_ms`: a part ends before the frame that would cross the target,
/// so that the target is a twentieth above.
fn part_target(config: &Config) -> Duration {
    Duration::from_millis(config.hls.part_ms.into()) * 21 / 20
}

/// The host that people reach us by, when it is configured.
fn public_host(config: &Config) -> PublicHost {
    let uri = config.http.public_url.as_ref().and_then(|url| url.parse::<::http::Uri>().ok());
    PublicHost(uri.and_then(|uri| uri.authority().map(ToString::to_string)))
}

/// The data directory holds secrets: it is for its owner only.
fn make_data_dir(path: &Path) -> anyhow::Result<()> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.with_context(|| format!("cannot make the data directory {}; choose another with --data-dir", path.display()))?;
    let mode = std::fs::metadata(path)?.permissions().mode();
    if mode & 0o077 != 0 {
        tracing::warn!(path = %path.display(), "others may read the data directory; chmod 700 it");
    }
    Ok(())
}
