//! Who asks: the connection's peer, and behind a trusted proxy the address it speaks for.

use std::net::{IpAddr, SocketAddr};

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, header};

use crate::problem::Problem;

/// The TCP connection a request came on; put into each request by the accept loop.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    pub address: SocketAddr,
    /// The address of ours that it came to.
    pub local: SocketAddr,
    pub tls: bool,
}

/// On whose behalf a request is made, and how the client reaches us.
#[derive(Clone, Debug)]
pub struct Client {
    pub ip: IpAddr,
    /// The client speaks TLS, to us or to the proxy in front.
    pub https: bool,
    /// `Host`, with its port.
    pub host: String,
}

/// Addresses whose forwarding headers are believed.
#[derive(Clone, Debug, Default)]
pub struct Proxies(Vec<(IpAddr, u8)>);

impl Proxies {
    /// From `address` or `address/bits`.
    pub fn parse(list: &[String]) -> Result<Self, String> {
        list.iter().map(|text| network(text)).collect::<Result<_, _>>().map(Self)
    }

    pub fn trusts(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.0.iter().any(|(network, bits)| within(ip, *network, *bits))
    }

    /// The client of a request with these headers on this connection.
    pub fn client(&self, peer: Peer, headers: &HeaderMap, authority: Option<&str>) -> Client {
        let host = authority.or_else(|| text(headers, header::HOST.as_str())).unwrap_or("localhost").to_owned();
        let direct = Client { ip: peer.address.ip().to_canonical(), https: peer.tls, host };
        if !self.trusts(direct.ip) {
            return direct;
        }
        Client {
            ip: self.forwarded_for(headers).unwrap_or(direct.ip),
            https: text(headers, "x-forwarded-proto").map_or(direct.https, |proto| proto == "https"),
            host: direct.host,
        }
    }

    /// The last hop that is not one of ours: everything before it is the client's own claim.
    fn forwarded_for(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let hops: Vec<&str> = headers
            .get_all("x-forwarded-for")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .collect();
        hops.iter()
            .rev()
            .map_while(|hop| hop.trim().parse::<IpAddr>().ok())
            .map(|ip| ip.to_canonical())
            .find(|ip| !self.trusts(*ip))
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn network(text: &str) -> Result<(IpAddr, u8), String> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (text, None),
    };
    let wrong = || format!("{text:?} is neither an address nor a network");
    let ip: IpAddr = address.trim().parse().map_err(|_| wrong())?;
    let most = if ip.is_ipv4() { 32 } else { 128 };
    let bits = match bits {
        Some(bits) => bits.parse().map_err(|_| wrong())?,
        None => most,
    };
    if bits > most {
        return Err(wrong());
    }
    Ok((ip, bits))
}

fn within(ip: IpAddr, network: IpAddr, bits: u8) -> bool {
    match (ip, network) {
        (IpAddr::V4(ip), IpAddr::V4(network)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            ip.to_bits() & mask == network.to_bits() & mask
        }
        (IpAddr::V6(ip), IpAddr::V6(network)) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            ip.to_bits() & mask == network.to_bits() & mask
        }
        _ => false,
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Client {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| Problem::internal("the request came without its client"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(ip: &str) -> Peer {
        let address = SocketAddr::new(ip.parse().unwrap(), 1);
        Peer { address, local: address, tls: false }
    }

    fn headers(forwarded_for: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", forwarded_for.parse().unwrap());
        headers.insert("x-forwarded-proto", "https".parse().unwrap());
        headers.insert("host", "live.example:8080".parse().unwrap());
        headers
    }

    fn proxies(list: &[&str]) -> Proxies {
        Proxies::parse(&list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn a_stranger_cannot_forge_its_address() {
        let client = proxies(&["10.0.0.0/8"]).client(peer("192.0.2.1"), &headers("1.1.1.1"), None);
        assert_eq!(client.ip.to_string(), "192.0.2.1");
        assert!(!client.https);
        assert_eq!(client.host, "live.example:8080");
    }

    #[test]
    fn behind_proxies_the_last_foreign_hop_counts() {
        let client = proxies(&["10.0.0.0/8"]).client(peer("10.1.1.1"), &headers("6.6.6.6, 192.0.2.7, 10.2.2.2"), None);
        assert_eq!(client.ip.to_string(), "192.0.2.7");
        assert!(client.https);
    }

    #[test]
    fn networks_match_on_their_bits() {
        let proxies = proxies(&["10.0.0.0/8", "::1", "0.0.0.0/0"]);
        assert!(proxies.trusts("10.255.0.1".parse().unwrap()));
        assert!(proxies.trusts("::1".parse().unwrap()));
        assert!(!proxies.trusts("::2".parse().unwrap()));
        assert!(proxies.trusts("8.8.8.8".parse().unwrap()));
    }
}
