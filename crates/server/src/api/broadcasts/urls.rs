//! The addresses of a broadcast, as a client of this request can use them.

use std::net::SocketAddr;

use crate::api::types::{Ingest, OneLine, ServerAndKey, Urls};
use crate::broadcast::names::StreamKey;
use crate::http::peer::Client;
use crate::services::Services;

/// Where this server is, seen from outside.
pub struct Outside {
    /// `http` or `https`, host and port, without a slash at the end.
    site: String,
    rtmp: Option<String>,
    rtmps: Option<String>,
    moq: bool,
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
        let at = |address: Option<SocketAddr>| address.map(|address| format!("{host}:{}", address.port()));
        Self {
            site,
            rtmp: at(addresses.and_then(|addresses| addresses.rtmp)),
            rtmps: at(addresses.and_then(|addresses| addresses.rtmps)),
            moq: config.moq.enabled,
        }
    }

    pub fn watch(&self, id: &str) -> String {
        format!("{}/watch/{id}", self.site)
    }

    pub fn urls(&self, id: &str) -> Urls {
        let site = &self.site;
        let sockets = site.replacen("http", "ws", 1);
        Urls {
            flv: format!("{site}/live/{id}.flv"),
            flv_ws: format!("{sockets}/live/{id}.flv"),
            hls: format!("{site}/hls/{id}/index.m3u8"),
            hls_plain: format!("{site}/hls/{id}/plain.m3u8"),
            moq: self.moq.then(|| format!("{site}/moq/{id}")),
            rtmp: self.rtmp.as_ref().map(|host| format!("rtmp://{host}/play/{id}")),
            thumbnail: format!("{site}/api/v1/broadcasts/{id}/thumbnail.jpg"),
            room: format!("{sockets}/api/v1/broadcasts/{id}/room"),
        }
    }

    pub fn ingest(&self, key: &StreamKey) -> Ingest {
        let fields = |server: String| ServerAndKey { server, key: key.reveal().to_owned() };
        let line = |server: &String| format!("{server}/{}", key.reveal());
        let rtmp = self.rtmp.as_ref().map(|host| format!("rtmp://{host}/live"));
        let rtmps = self.rtmps.as_ref().map(|host| format!("rtmps://{host}/live"));
        Ingest {
            one_line: OneLine {
                rtmp: rtmp.as_ref().map(line),
                rtmps: rtmps.as_ref().map(line),
            },
            rtmp: rtmp.map(fields),
            rtmps: rtmps.map(fields),
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
