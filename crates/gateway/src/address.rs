//! What limits per address count.

use std::net::{IpAddr, Ipv6Addr};

/// An IPv4 address, or an IPv6 /64, since a subscriber has a whole one.
pub fn limited_by(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => IpAddr::V4(ip),
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << 64))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_v6_subscriber_is_one_address() {
        let a = limited_by("2001:db8:1:2:3::4".parse().unwrap());
        let b = limited_by("2001:db8:1:2:ffff::1".parse().unwrap());
        assert_eq!(a, b);
        assert_eq!(limited_by("::ffff:192.0.2.1".parse().unwrap()).to_string(), "192.0.2.1");
    }
}
