//! One session: str0m in the middle, its datagrams and its clock around it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use str0m::net::{Protocol, Receive};
use str0m::{Event, Input, Output, Rtc};
use tokio::time::sleep_until;

use super::demux::{Datagram, Place};
use super::socket::{Outbox, Socket};
use super::{Config, Error};

/// A session's protocol state and its place at the endpoint.
pub(super) struct Driver {
    rtc: Rtc,
    socket: Arc<Socket>,
    place: Place,
    announced: Vec<SocketAddr>,
    config: Arc<Config>,
    outbox: Outbox,
    /// The address of ours that the peer's last datagram came to, which answers come from.
    local: Option<IpAddr>,
    made: Instant,
    heard: Instant,
    connected: bool,
    /// When str0m wants to be called next.
    due: Instant,
}

/// Why [`Driver::wait`] returned.
pub(super) enum Wake {
    /// Events may follow from it.
    Progress,
    /// The session was asked to end.
    Stopped,
    /// The peer is silent.
    Gone,
}

impl Driver {
    pub fn new(rtc: Rtc, socket: Arc<Socket>, place: Place, announced: Vec<SocketAddr>, config: Arc<Config>) -> Self {
        let now = Instant::now();
        let outbox = Outbox::new();
        Self {
            rtc,
            socket,
            place,
            announced,
            config,
            outbox,
            local: None,
            made: now,
            heard: now,
            connected: false,
            due: now,
        }
    }

    pub fn id(&self) -> &str {
        &self.place.id
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    pub fn rtc(&mut self) -> &mut Rtc {
        &mut self.rtc
    }

    /// Sends what str0m has to send, and gives its next event; `None` when it waits for time or datagrams. To be called until
    /// then after each change of it.
    pub async fn event(&mut self) -> Result<Option<Event>, Error> {
        loop {
            match self.rtc.poll_output()? {
                Output::Transmit(transmit) => {
                    let sent =
                        self.outbox.push(&self.socket, transmit.destination, self.local, &transmit.contents).await;
                    self.complain(sent);
                }
                Output::Event(event) => {
                    self.connected |= matches!(event, Event::Connected);
                    return Ok(Some(event));
                }
                Output::Timeout(due) => {
                    self.due = due;
                    let sent = self.outbox.flush(&self.socket, self.local).await;
                    self.complain(sent);
                    return Ok(None);
                }
            }
        }
    }

    /// Waits for a datagram, the time that str0m asked for or `until`, and hands it in. Nothing is lost when it is dropped.
    pub async fn wait(&mut self, until: Instant) -> Result<Wake, Error> {
        let now = Instant::now();
        if !self.connected && now - self.made >= self.config.connect_deadline {
            return Err(Error::Unconnected(self.config.connect_deadline));
        }
        let limit =
            if self.connected { self.heard + self.config.idle } else { self.made + self.config.connect_deadline };
        if now >= limit || !self.rtc.is_alive() {
            return Ok(Wake::Gone);
        }
        let due = self.due.min(limit).min(until);
        tokio::select! {
            biased;
            () = self.place.stop.cancelled() => return Ok(Wake::Stopped),
            Some(datagram) = self.place.inbox.recv() => self.receive(&datagram),
            () = sleep_until(due.into()) => self.rtc.handle_input(Input::Timeout(Instant::now()))?,
        }
        Ok(Wake::Progress)
    }

    /// Says goodbye to the peer.
    pub async fn close(mut self) {
        if self.rtc.close().is_err() {
            return;
        }
        while let Ok(Some(_)) = self.event().await {}
    }

    fn receive(&mut self, datagram: &Datagram) {
        let family = |address: &&SocketAddr| address.is_ipv4() == datagram.source.is_ipv4();
        // To str0m every datagram comes to the address that was announced, whatever the networks between made of it.
        let destination = *self.announced.iter().find(family).unwrap_or(&self.announced[0]);
        let Ok(received) = Receive::new(Protocol::Udp, datagram.source, destination, &datagram.bytes) else {
            return;
        };
        self.heard = datagram.at;
        self.local = datagram.local;
        // Anybody can send a datagram in the peer's name, so that a bad one ends nothing. A handshake that does not go on has
        // its deadline.
        if let Err(error) = self.rtc.handle_input(Input::Receive(datagram.at, received)) {
            tracing::debug!(%error, source = %datagram.source, "webrtc datagram refused");
        }
    }

    /// A datagram that the system did not take is one that the network lost.
    fn complain(&self, sent: std::io::Result<()>) {
        if let Err(error) = sent {
            tracing::debug!(%error, "webrtc datagram not sent");
        }
    }
}
