//! What handlers and media listeners work with: one of each, made by [`crate::app`].

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};

use live::Directory;
use store::Store;
use tokio_util::sync::CancellationToken;

use crate::account::password::Passwords;
use crate::broadcast::Registry;
use crate::config::{Config, Limits};
use crate::http::peer::Proxies;
use crate::http::rate::Rate;
use crate::http::same_origin::PublicHost;
use crate::media::thumbnail::Thumbnails;
use crate::media::viewers::Pulls;
use crate::replay::Access;
use crate::tasks::Tasks;
use room::Rooms;

/// Shared by every request.
pub type Shared = Arc<Services>;

pub struct Services {
    pub config: Config,
    pub store: Store,
    pub directory: Directory,
    pub registry: Registry,
    pub rooms: Rooms,
    pub passwords: Passwords,
    pub rates: Rates,
    pub thumbnails: Thumbnails,
    pub pulls: Pulls,
    pub flv: gateway::flv::Packagers,
    pub hls: gateway::hls::Packagers,
    pub webrtc: gateway::rtc::Feeds,
    /// WebRTC, when it is on.
    pub rtc: Option<gateway::rtc::Endpoint>,
    pub archive: gateway::archive::Archive,
    pub access: Access,
    pub proxies: Proxies,
    pub public_host: PublicHost,
    /// Connections and what else the drain waits for.
    pub tasks: Tasks,
    /// Set once, when every listener is bound.
    pub addresses: OnceLock<Addresses>,
    /// The server is stopping.
    pub drain: CancellationToken,
}

/// Where the listeners really are: port 0 in the configuration gives a free one.
#[derive(Clone, Debug)]
pub struct Addresses {
    pub http: SocketAddr,
    pub rtmp: Option<SocketAddr>,
    pub rtmps: Option<SocketAddr>,
    /// UDP.
    pub srt: Option<SocketAddr>,
    pub metrics: Option<SocketAddr>,
    /// QUIC.
    pub udp: Option<SocketAddr>,
    /// WebRTC, UDP.
    pub rtc: Option<SocketAddr>,
}

/// The rate limits of [`Limits`].
pub struct Rates {
    pub login_by_address: Rate<IpAddr>,
    pub login_by_name: Rate<String>,
    pub registration: Rate<IpAddr>,
    pub broadcasts: Rate<String>,
    pub joins: Rate<IpAddr>,
}

impl Rates {
    pub fn new(limits: &Limits) -> Self {
        let joins = limits.joins_per_address_per_minute;
        Self {
            login_by_address: Rate::per_minute(
                limits.login_per_address_per_minute,
                limits.login_per_address_per_minute,
            ),
            login_by_name: Rate::per_minute(limits.login_per_name_per_minute, limits.login_per_name_per_minute),
            registration: Rate::per_hour(
                limits.registration_per_address_per_hour,
                limits.registration_per_address_per_hour,
            ),
            broadcasts: Rate::per_hour(limits.broadcasts_per_account_per_hour, limits.broadcasts_per_account_per_hour),
            joins: Rate::per_minute(joins, joins / 2),
        }
    }
}
