//! The addresses of a broadcast, as a client of this request can use them.

use std::net::SocketAddr;

use crate::api::types::{Ingest, OneLine, ServerAndKey, Urls, Whip};
use crate::broadcast::names::StreamKey;
use crate::http::peer::Client;
use crate::media::rtmp::{PLAY_APP, PUBLISH_APP};
use crate::services::Services;

/// Where this server is, seen from outside.
pub struct Outside {
    /// `http` or `https`, host and port, without a slash at the end.
    site: String,
    /// Scheme, host and port. Where one of the two is off it is the other.
    rtmp: String,
    rtmps: String,
    webrtc: bool,
}

impl Outside {
    pub fn new(services: &Services, client: &Client) -> Self {
        let config = &services.config;
        let scheme = if client.https { "https" } else { "http" };
        let site = match &config.http.public_url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => format!("{scheme}://{}", client.host),
        };
        let host = config.rtmp.public_host.clone().unwrap_or_else(|| host_of(&site));
        let addresses = services.addresses.get();
        let at = |scheme: &str, address: Option<SocketAddr>| Some(format!("{scheme}://{host}:{}", address?.port()));
        let rtmp = at("rtmp", addresses.and_then(|addresses| addresses.rtmp));
        let rtmps = at("rtmps", addresses.and_then(|addresses| addresses.rtmps));
        Self {
            rtmp: rtmp.clone().or(rtmps.clone()).unwrap_or_default(),
            rtmps: rtmps.or(rtmp).unwrap_or_default(),
            site,
            webrtc: services.rtc.is_some(),
        }
    }

    /// `http` or `https`, host and port.
    pub fn site(&self) -> &str {
        &self.site
    }

    pub fn watch(&self, id: &str) -> String {
        format!("{}/watch/{id}", self.site)
    }

    pub fn embed(&self, id: &str) -> String {
        format!("{}/embed/{id}", self.site)
    }

    pub fn thumbnail(&self, id: &str) -> String {
        format!("{}/api/v1/broadcasts/{id}/thumbnail.jpg", self.site)
    }

    pub fn replay_picture(&self, id: &str) -> String {
        format!("{}/api/v1/replays/{id}/picture.jpg", self.site)
    }

    /// `rewinds`: it is being recorded, and viewers may go back in it.
    pub fn urls(&self, id: &str, rewinds: bool) -> Urls {
        let site = &self.site;
        let sockets = site.replacen("http", "ws", 1);
        Urls {
            flv: format!("{site}/live/{id}.flv"),
            flv_ws: format!("{sockets}/live/{id}.flv"),
            hls: format!("{site}/hls/{id}/index.m3u8"),
            hls_plain: format!("{site}/hls/{id}/plain.m3u8"),
            moq: format!("{site}/moq/{id}"),
            whep: self.webrtc.then(|| format!("{site}/whep/{id}")),
            rtmp: format!("{}/{PLAY_APP}/{id}", self.rtmp),
            thumbnail: self.thumbnail(id),
            dvr: rewinds.then(|| format!("{site}/replay/{id}/dvr.m3u8")),
            embed: self.embed(id),
            room: format!("{sockets}/api/v1/broadcasts/{id}/room"),
        }
    }

    pub fn ingest(&self, key: &StreamKey) -> Ingest {
        let fields =
            |host: &str| ServerAndKey { server: format!("{host}/{PUBLISH_APP}"), key: key.reveal().to_owned() };
        let line = |host: &str| format!("{host}/{PUBLISH_APP}/{}", key.reveal());
        let token = || key.reveal().to_owned();
        Ingest {
            whip: self.webrtc.then(|| Whip { url: format!("{}/whip", self.site), bearer_token: token() }),
            rtmp: fields(&self.rtmp),
            rtmps: fields(&self.rtmps),
            one_line: OneLine { rtmp: line(&self.rtmp), rtmps: line(&self.rtmps) },
        }
    }
}

/// The host of a URL, an IPv6 address in its brackets.
fn host_of(site: &str) -> String {
    site.parse::<http::Uri>()
        .ok()
        .and_then(|uri| uri.host().map(ToOwned::to_owned))
        .unwrap_or_else(|| "localhost".into())
}
