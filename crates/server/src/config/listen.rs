//! A listening address that may be switched off.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An address to listen on, or `"off"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen(Option<SocketAddr>);

impl Listen {
    pub const OFF: Self = Self(None);

    pub fn at(address: SocketAddr) -> Self {
        Self(Some(address))
    }

    /// Every IPv4 interface.
    pub fn any(port: u16) -> Self {
        Self::at((Ipv4Addr::UNSPECIFIED, port).into())
    }

    pub fn loopback(port: u16) -> Self {
        Self::at((Ipv4Addr::LOCALHOST, port).into())
    }

    pub fn address(self) -> Option<SocketAddr> {
        self.0
    }
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::OFF);
        }
        text.parse().map(Self::at).map_err(|_| format!("{text:?} is neither \"address:port\" nor \"off\""))
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => address.fmt(f),
            None => f.write_str("off"),
        }
    }
}

impl Serialize for Listen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
