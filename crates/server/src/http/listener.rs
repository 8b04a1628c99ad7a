//! The HTTP accept loop: a bounded number of connections, `TCP_NODELAY`, TLS where it is on, deadlines, and a drain
//! that lets requests finish.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::tasks::Tasks;
use anyhow::Context as _;
use axum::Router;
use axum::body::Body;
use gateway::tcp::SharedTcp;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use tracing::Instrument as _;

use super::deadline::Deadlined;
use super::direct::{self, Served};
use super::peer::{Peer, Proxies};
use super::slots::{Slot, Slots};

/// After a failed accept (no file descriptors left): long enough for some to come back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Everything the loop needs beside its socket.
#[derive(Clone)]
pub struct Serving {
    pub router: Router,
    pub tls: Option<Arc<rustls::ServerConfig>>,
    pub slots: Slots,
    pub proxies: Proxies,
    pub header_timeout: Duration,
    pub write_timeout: Duration,
    /// Finish the requests under way and take no new ones.
    pub drain: CancellationToken,
    /// The connections' tasks, for the drain to wait on.
    pub tasks: Tasks,
}

/// Accepts until the drain begins.
pub async fn serve(listener: TcpListener, serving: Serving) {
    loop {
        let (stream, address) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    if !is_peers(&error) {
                        tracing::warn!(%error, "accept failed");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                    continue;
                }
            },
            () = serving.drain.cancelled() => return,
        };
        let proxy = serving.proxies.trusts(address.ip());
        match serving.slots.take(address.ip(), !proxy) {
            Ok(slot) => spawn(stream, address, slot, serving.clone()),
            Err(full) => {
                metrics::counter!("oriel_http_refused_total").increment(1);
                tracing::debug!(peer = %address, %full, "connection refused");
            }
        }
    }
}

/// The peer's doing, not a lack of ours.
fn is_peers(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}

fn spawn(stream: TcpStream, address: SocketAddr, slot: Slot, serving: Serving) {
    let span = tracing::info_span!("http", id = crate::telemetry::connection_id(), peer = %address);
    let tasks = serving.tasks.clone();
    tasks.spawn(
        async move {
            let _slot = slot;
            let _gauge = crate::telemetry::Gauge::up("oriel_http_connections");
            if let Err(error) = connection(stream, address, serving).await {
                tracing::debug!(%error, "connection closed");
            }
        }
        .instrument(span),
    );
}

/// Each branch on the heap by itself: a viewer of a stream should not hold the room of the largest.
async fn connection(stream: TcpStream, address: SocketAddr, serving: Serving) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let local = stream.local_addr()?;
    if serving.tls.is_some() {
        return Box::pin(secured(stream, Peer { address, local, tls: true }, serving)).await;
    }
    let peer = Peer { address, local, tls: false };
    let stream = SharedTcp::from(stream);
    if Box::pin(direct::serve(&stream, peer, &serving)).await? == Served::Whole {
        return Ok(());
    }
    let stream = Deadlined::new(stream, serving.header_timeout, serving.write_timeout);
    Box::pin(http1(stream, peer, serving)).await
}

async fn secured(stream: TcpStream, peer: Peer, serving: Serving) -> anyhow::Result<()> {
    let tls = serving.tls.clone().context("TLS is on")?;
    let handshake = TlsAcceptor::from(tls).accept(stream);
    let stream = tokio::time::timeout(serving.header_timeout, handshake).await??;
    let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let stream = Deadlined::new(stream, serving.header_timeout, serving.write_timeout);
    if h2 { http2(stream, peer, serving).await } else { http1(stream, peer, serving).await }
}

async fn http1<S>(stream: S, peer: Peer, serving: Serving) -> anyhow::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(serving.header_timeout).max_headers(64).half_close(false);
    let drain = serving.drain.clone();
    let connection = builder.serve_connection(TokioIo::new(stream), service(serving.router, peer)).with_upgrades();
    tokio::pin!(connection);
    tokio::select! {
        done = connection.as_mut() => return Ok(done?),
        () = drain.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    Ok(connection.await?)
}

async fn http2<S>(stream: S, peer: Peer, serving: Serving) -> anyhow::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(Some(Duration::from_secs(20)))
        .keep_alive_timeout(serving.write_timeout)
        .max_concurrent_streams(128)
        .max_header_list_size(32 * 1024)
        .max_send_buf_size(128 * 1024);
    let drain = serving.drain.clone();
    let connection = builder.serve_connection(TokioIo::new(stream), service(serving.router, peer));
    tokio::pin!(connection);
    tokio::select! {
        done = connection.as_mut() => return Ok(done?),
        () = drain.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    Ok(connection.await?)
}

/// The router as hyper wants it, each request told its peer.
fn service(
    router: Router,
    peer: Peer,
) -> impl hyper::service::Service<
    http::Request<Incoming>,
    Response = http::Response<Body>,
    Error = std::convert::Infallible,
    Future = impl Future<Output = Result<http::Response<Body>, std::convert::Infallible>> + Send,
> {
    hyper::service::service_fn(move |mut request: http::Request<Incoming>| {
        request.extensions_mut().insert(peer);
        router.clone().oneshot(request.map(Body::new))
    })
}
