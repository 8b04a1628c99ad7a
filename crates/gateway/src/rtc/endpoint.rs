//! One UDP port for all sessions.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use live::Broadcast;
use str0m::config::DtlsCert;
use str0m::rtp::Extension;
use str0m::{Candidate, IceCreds, Rtc, RtcConfig};
use tokio_util::sync::CancellationToken;

use super::demux::{Demux, Place};
use super::driver::Driver;
use super::offer::Offer;
use super::play::Play;
use super::publish::Publish;
use super::socket::Socket;
use super::{Config, Error};

/// After the socket failed: time for the cause to pass.
const RECEIVE_PAUSE: Duration = Duration::from_millis(100);

/// How often the loss on the way to a viewer is looked at: receivers report it once a second.
const LOSS_INTERVAL: Duration = Duration::from_secs(1);

/// Packets that a keyframe may be split over, at 1200 bytes each 4.7 MiB: str0m holds no more.
const VIDEO_PACKETS: usize = 4_096;

/// Answers offers, and carries their sessions. Clones share.
#[derive(Clone)]
pub struct Endpoint {
    socket: Arc<Socket>,
    demux: Demux,
    config: Arc<Config>,
    /// One certificate for all sessions; each peer is told its fingerprint.
    certificate: DtlsCert,
}

/// The endpoint's receiving side; datagrams are taken only while it runs.
pub struct Running {
    endpoint: Endpoint,
}

/// An answered offer, about to connect.
pub(super) struct Negotiated {
    pub driver: Driver,
    pub answer: String,
}

impl Endpoint {
    /// Binds the UDP port.
    pub fn bind(address: SocketAddr, config: Config) -> io::Result<(Self, Running)> {
        let socket = Arc::new(Socket::bind(address)?);
        let provider = str0m::crypto::from_feature_flags();
        let certificate =
            provider.dtls_provider.generate_certificate().expect("the provider compiled in makes certificates");
        let endpoint = Self { socket, demux: Demux::default(), config: Arc::new(config), certificate };
        Ok((endpoint.clone(), Running { endpoint }))
    }

    pub fn local_addr(&self) -> SocketAddr {
        self.socket.local_addr()
    }

    /// Sessions at this moment.
    pub fn sessions(&self) -> usize {
        self.demux.len()
    }

    /// Answers the offer of a publisher, who finds us at `addresses`. `holder` is who asks, for limits.
    pub fn publish(&self, offer: Offer, holder: IpAddr, addresses: &[SocketAddr]) -> Result<Publish, Error> {
        let wants = offer.wants;
        if !wants.sends_video && !wants.sends_audio {
            return Err(Error::Unacceptable("the offer sends neither video nor audio"));
        }
        Publish::new(self.negotiate(offer, holder, addresses, self.media_config(), self.config.sessions)?, wants)
    }

    /// Answers the offer of a player of `broadcast`, who finds us at `addresses`.
    pub fn play(
        &self,
        offer: Offer,
        holder: IpAddr,
        addresses: &[SocketAddr],
        broadcast: &Broadcast,
    ) -> Result<Play, Error> {
        let wants = offer.wants;
        if !wants.receives_video && !wants.receives_audio {
            return Err(Error::Unacceptable("the offer receives neither video nor audio"));
        }
        Play::check(broadcast)?;
        // Viewers leave room for publishers.
        let most = self.config.sessions - self.config.sessions / 10;
        let config = self.media_config().set_stats_interval(Some(LOSS_INTERVAL));
        Play::new(self.negotiate(offer, holder, addresses, config, most)?, wants)
    }

    /// The user fragment of the session `id`, which changes when ICE restarts.
    pub fn entity_tag(&self, id: &str) -> Option<String> {
        self.demux.fragment(id)
    }

    /// Ends a session and waits until it has let go of its broadcast; false when there is none of this id.
    pub async fn close(&self, id: &str) -> bool {
        let Some(over) = self.demux.stop(id) else { return false };
        over.cancelled().await;
        true
    }

    fn negotiate(
        &self,
        offer: Offer,
        holder: IpAddr,
        addresses: &[SocketAddr],
        config: RtcConfig,
        most: usize,
    ) -> Result<Negotiated, Error> {
        let credentials = IceCreds::new();
        // Unguessable, as a password has to be.
        let id = IceCreds::new().pass;
        let place = self.demux.enter(id, credentials.ufrag.clone(), holder, most).ok_or(Error::Full)?;
        let mut rtc = config.set_local_ice_credentials(credentials).build(Instant::now());
        let mut announced = Vec::new();
        for address in addresses {
            let candidate = Candidate::host(*address, "udp").map_err(|error| Error::Sdp(error.to_string()))?;
            if rtc.add_local_candidate(candidate).is_some() {
                announced.push(*address);
            }
        }
        if announced.is_empty() {
            return Err(Error::NoAddress);
        }
        let answer = rtc.sdp_api().accept_offer(offer.sdp)?.to_sdp_string();
        let driver = self.driver(rtc, place, announced);
        Ok(Negotiated { driver, answer })
    }

    fn driver(&self, rtc: Rtc, place: Place, announced: Vec<SocketAddr>) -> Driver {
        Driver::new(rtc, self.socket.clone(), place, announced, self.config.clone())
    }

    fn media_config(&self) -> RtcConfig {
        let mut config = RtcConfig::new()
            .set_ice_lite(true)
            .set_dtls_cert(self.certificate.clone())
            .clear_codecs()
            .enable_h264(true)
            .enable_opus(true, false)
            .set_reordering_size_video(VIDEO_PACKETS);
        config.extension_map().set(9, Extension::AbsoluteCaptureTime);
        config
    }
}

impl Running {
    /// Takes datagrams until `stop`.
    pub async fn serve(self, stop: CancellationToken) {
        let Endpoint { socket, demux, .. } = self.endpoint;
        let mut received = socket.buffers();
        loop {
            let outcome = tokio::select! {
                outcome = socket.receive(&mut received) => outcome,
                () = stop.cancelled() => return,
            };
            if let Err(error) = outcome {
                tracing::warn!(%error, "webrtc socket cannot receive");
                tokio::time::sleep(RECEIVE_PAUSE).await;
                continue;
            }
            for (source, local, datagram) in received.datagrams() {
                demux.route(source, local, datagram);
            }
        }
    }
}

/// The addresses to announce for a socket bound to `bound`, when none are configured: those by which the peer's own request
/// came, and that by which this machine reaches others.
pub fn reachable(bound: SocketAddr, requested: impl IntoIterator<Item = IpAddr>) -> Vec<SocketAddr> {
    let mut found: Vec<IpAddr> = match bound.ip() {
        ip if !ip.is_unspecified() => vec![ip],
        _ => requested.into_iter().chain(outward(bound.is_ipv6())).collect(),
    };
    let mut seen = Vec::new();
    found.retain(|ip| {
        let usable = !ip.is_unspecified() && !ip.is_multicast() && (ip.is_ipv4() || bound.is_ipv6());
        let new = usable && !seen.contains(ip);
        seen.push(*ip);
        new
    });
    found.into_iter().map(|ip| SocketAddr::new(ip, bound.port())).collect()
}

/// The address that the routing table gives for the world. Connecting a UDP socket sends nothing.
fn outward(with_v6: bool) -> Vec<IpAddr> {
    let via = |bind: &str, world: &str| {
        let socket = std::net::UdpSocket::bind(bind).ok()?;
        socket.connect(world).ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    let v4 = via("0.0.0.0:0", "198.51.100.1:9");
    let v6 = if with_v6 { via("[::]:0", "[2001:db8::1]:9") } else { None };
    v4.into_iter().chain(v6).collect()
}
