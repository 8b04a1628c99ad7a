//! A session that asks to watch a broadcast.

use std::net::SocketAddr;

use moq_auth::{Grant, Pattern, Patterns, lease};
use moq_relay::auth::Admission;

use super::PATH;

/// A session waiting to be let in. Dropping it turns it away.
pub struct Request {
    admission: Admission,
}

impl Request {
    pub(super) fn new(admission: Admission) -> Self {
        Self { admission }
    }

    /// The broadcast that the session was dialled for; `None` when the path names none.
    pub fn broadcast(&self) -> Option<&str> {
        self.admission.request.path.strip_prefix(PATH).filter(|id| !id.is_empty() && !id.contains(['/', '*']))
    }

    /// The query of the dialled address, where a player that cannot set headers puts its token.
    pub fn query(&self) -> Option<&str> {
        self.admission.request.query.as_deref()
    }

    pub fn peer(&self) -> Option<SocketAddr> {
        self.admission.request.remote
    }

    /// Lets the session watch its broadcast, and nothing else. It may publish nothing.
    pub fn accept(self) {
        let watched: Patterns = self.broadcast().and_then(|id| id.parse::<Pattern>().ok()).into_iter().collect();
        let mut grant = Grant::new(std::iter::empty::<Pattern>().collect(), watched);
        // Names are told and asked for as they stand in the directory, not below the dialled path.
        grant.root = Some(String::new());
        self.admission.grant(lease::Consumer::fixed(grant));
    }

    /// Turns the session away.
    pub fn reject(self) {
        self.admission.refuse(moq_relay::auth::Error::Refused);
    }
}
