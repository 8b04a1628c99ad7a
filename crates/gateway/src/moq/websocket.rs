//! MoQ sessions over a WebSocket that the HTTP server has upgraded.

use std::net::SocketAddr;
use std::time::Duration;

use moq_relay::{Relay, auth, cluster, shutdown};
use qmux::ws::{KeepAlive, Upgraded};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

/// How long a peer may take to set up its session after the upgrade.
const SETUP: Duration = Duration::from_secs(10);

/// Viewers send control messages only; a larger frame is not one.
const LARGEST_MESSAGE: usize = 1 << 20;

/// moq-transport drafts that require the newer multiplexing, which must not be offered with the older.
const NEWER_ONLY: [&str; 5] = ["moqt-18", "moqt-19", "moqt-20", "moqt-21", "moqt-22"];

/// Why a WebSocket session ended early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server turned the session away.
    #[error("session refused")]
    Refused,
    /// The peer did not set up its session in time.
    #[error("no session set-up within {SETUP:?}")]
    Late,
    /// The session failed.
    #[error(transparent)]
    Session(#[from] moq_net::Error),
}

/// None of the subprotocols that a client offers is one of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("none of the offered WebSocket subprotocols is supported")]
pub struct NoCommonProtocol;

/// Serves sessions over WebSockets. Clones share.
#[derive(Clone)]
pub struct WebSockets {
    auth: auth::Auth,
    cluster: cluster::Cluster,
    shutdown: shutdown::Observer,
}

/// Picks the subprotocol to answer an upgrade with, from the client's comma-separated offer.
///
/// `Ok(None)` for a client that offers none; after an error the upgrade must be refused.
pub fn subprotocol(offered: Option<&str>) -> Result<Option<String>, NoCommonProtocol> {
    let offered: Vec<&str> =
        offered.unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    if offered.is_empty() {
        return Ok(None);
    }
    supported().into_iter().find(|ours| offered.contains(&ours.as_str())).map(Some).ok_or(NoCommonProtocol)
}

/// All subprotocols, newest first: each multiplexing with each MoQ version, then multiplexing alone.
fn supported() -> Vec<String> {
    let versions = moq_net::Versions::all();
    let paired = versions.alpns().into_iter().flat_map(|alpn| {
        [qmux::Version::QMux01, qmux::Version::QMux00]
            .into_iter()
            .filter(move |version| *version == qmux::Version::QMux01 || !NEWER_ONLY.contains(&alpn))
            .map(move |version| format!("{}{alpn}", version.prefix()))
    });
    let alone = qmux::ALPNS.iter().map(|alpn| (*alpn).to_owned());
    paired.chain(alone).collect()
}

impl WebSockets {
    pub(super) fn new(relay: &Relay) -> Self {
        Self { auth: relay.auth().clone(), cluster: relay.cluster().clone(), shutdown: relay.shutdown().clone() }
    }

    /// Serves one session over an upgraded connection until it ends. `path` and `query` are those of the upgrade request.
    pub async fn serve(
        &self,
        io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        peer: SocketAddr,
        path: &str,
        query: Option<&str>,
        subprotocol: Option<&str>,
    ) -> Result<(), Error> {
        let mut request = self.auth.request(moq_auth::Transport::WebSocket, path.to_owned());
        request.query = query.map(str::to_owned);
        request.remote = Some(peer);
        request.alpn = subprotocol.map(str::to_owned);
        let mut lease = self.auth.admit(request).await.map_err(|_| Error::Refused)?;
        let subscribe = self.cluster.subscriber(lease.token()).ok_or(Error::Refused)?.consume();

        let config =
            WebSocketConfig::default().max_message_size(Some(LARGEST_MESSAGE)).max_frame_size(Some(LARGEST_MESSAGE));
        let socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
        // A viewer whose host vanished sends nothing at all; without pings its session would stay for hours.
        let mut socket = Upgraded::new(socket).with_keep_alive(KeepAlive::default());
        if let Some(name) = subprotocol {
            socket = socket.with_alpn(name);
        }
        let transport = moq_tokio::transport::Session::new(socket.accept());
        let server = moq_net::Server::new().with_versions(moq_net::Versions::all()).with_publisher(subscribe);
        let accepting = server.accept(tokio::time::Instant::now().into_std(), transport);
        let (session, driver) = tokio::time::timeout(SETUP, accepting).await.map_err(|_| Error::Late)??;

        let driver = moq_net::time::run(driver);
        tokio::pin!(driver);
        let mut shutdown = self.shutdown.clone();
        tokio::select! {
            err = &mut driver => ended(err),
            _ = lease.ended() => {
                session.abort(moq_net::Error::Unauthorized);
                // The close reaches the peer only through the driver.
                ended(driver.await)
            }
            _ = shutdown.started() => {
                let drained = shutdown.drain_session(&session);
                tokio::pin!(drained);
                tokio::select! {
                    err = &mut driver => ended(err),
                    _ = &mut drained => ended(driver.await),
                }
            }
        }
    }
}

/// A clean close is not a failure.
fn ended(err: moq_net::Error) -> Result<(), Error> {
    match err {
        moq_net::Error::Closed => Ok(()),
        err => Err(err.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_common_subprotocol_wins() {
        let newest = supported().remove(0);
        let offer = format!("webtransport, {newest}");
        assert_eq!(subprotocol(Some(&offer)), Ok(Some(newest)));
    }

    #[test]
    fn a_foreign_offer_is_refused_and_no_offer_is_not() {
        assert_eq!(subprotocol(Some("graphql-ws")), Err(NoCommonProtocol));
        assert_eq!(subprotocol(None), Ok(None));
    }
}
