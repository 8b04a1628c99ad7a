//! HTTP-FLV: `GET /live/ID.flv` is a file that never ends; the same path with a WebSocket upgrade gives the same bytes
//! as binary messages.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use futures::{SinkExt as _, StreamExt as _};
use gateway::address::limited_by;
use gateway::flv::{Framing, TooSlow, Viewer};
use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{Method, Version};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::viewers::{Protocol, Pull};
use crate::http::direct::Offer;
use crate::http::peer::Client;
use crate::problem::Problem;
use crate::services::Shared;

/// Messages a viewer has no reason to send; larger ones end the connection.
const LARGEST_MESSAGE: usize = 4 * 1024;

/// WebSocket close codes (RFC 6455 section 7.4.1): the broadcast is over, the server stops, the viewer is too slow.
const NORMAL: u16 = 1000;
const RESTART: u16 = 1012;
const TOO_SLOW: u16 = 4000;

/// A viewer's stream with what must live as long.
pub struct Watching {
    viewer: Viewer,
    /// Made once: a new one for each frame would cost a lock that all viewers share.
    drain: Pin<Box<WaitForCancellationFutureOwned>>,
    write_bound: Duration,
    _pull: Pull,
}

/// Why a stream stopped.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    Over,
    Draining,
    TooSlow,
}

impl Watching {
    async fn next(&mut self) -> Result<Bytes, Stop> {
        tokio::select! {
            biased;
            next = self.viewer.next() => outcome(next),
            () = self.drain.as_mut() => Err(Stop::Draining),
        }
    }

    /// For a socket that the packager may write to: see [`Viewer::next_for`].
    pub async fn next_for(&mut self, socket: &Arc<TcpStream>) -> Result<Bytes, Stop> {
        tokio::select! {
            biased;
            next = self.viewer.next_for(socket) => outcome(next),
            () = self.drain.as_mut() => Err(Stop::Draining),
        }
    }

    /// See [`Viewer::reclaim`].
    pub fn reclaim(&mut self) -> Option<Bytes> {
        self.viewer.reclaim()
    }
}

fn outcome(next: Result<Option<Bytes>, TooSlow>) -> Result<Bytes, Stop> {
    match next {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(Stop::Over),
        Err(TooSlow) => {
            metrics::counter!("oriel_slow_viewers_total").increment(1);
            Err(Stop::TooSlow)
        }
    }
}

/// `GET /live/{file}`, `file` being `ID.flv`. With `?clock=1` script tags between the frames tell when they were captured; other
/// players would list those as a track of its own.
pub async fn get(
    State(services): State<Shared>,
    client: Client,
    Path(file): Path<String>,
    RawQuery(query): RawQuery,
    request: Parts,
    socket: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let id = file.strip_suffix(".flv").ok_or_else(Problem::no_broadcast)?;
    if services.drain.is_cancelled() {
        return Err(Problem::Unavailable("the server is stopping; try again in a minute".into()));
    }
    let broadcast = services
        .directory
        .get(id)
        .filter(|broadcast| broadcast.phase() != live::Phase::Ended)
        .ok_or_else(|| Problem::not_found("this broadcast is not live"))?;
    if request.method == Method::HEAD {
        return Ok(streamed(Body::empty()));
    }
    services.rates.joins.check(&limited_by(client.ip))?;
    let upgrade = request.headers.contains_key(header::UPGRADE);
    let protocol = if upgrade { Protocol::FlvWebSocket } else { Protocol::Flv };
    let watching = Watching {
        viewer: services.flv.join(&broadcast, framing(query.as_deref())),
        drain: Box::pin(services.drain.clone().cancelled_owned()),
        write_bound: Duration::from_secs(services.config.limits.write_timeout_s),
        _pull: services.pulls.join(id, protocol),
    };
    if upgrade {
        let socket = socket.map_err(|rejection| Problem::Malformed(rejection.body_text().into()))?;
        return Ok(socket
            .max_message_size(LARGEST_MESSAGE)
            .write_buffer_size(0)
            .on_upgrade(move |socket| pump(watching, socket)));
    }
    if let Some(offer) = request.extensions.get::<Offer>() {
        offer.put(watching);
        return Ok(streamed(Body::empty()));
    }
    let body = match request.version {
        Version::HTTP_2 => bounded(watching),
        _ => direct(watching),
    };
    Ok(streamed(body))
}

fn framing(query: Option<&str>) -> Framing {
    let clock = query.unwrap_or_default().split('&').any(|pair| pair == "clock=1");
    if clock { Framing::FlvWithClock } else { Framing::Flv }
}

fn streamed(body: Body) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("video/x-flv"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Asks nginx not to gather the stream before it passes it on.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// One chunk per write of the packager. A viewer that reads nothing stalls the socket, which has its own deadline.
fn direct(watching: Watching) -> Body {
    let stream = futures::stream::unfold(watching, |mut watching| async move {
        let bytes = watching.next().await.ok()?;
        Some((Ok::<_, Infallible>(bytes), watching))
    });
    Body::from_stream(stream)
}

/// HTTP/2 holds a stream back without stalling the socket, so that the deadline must be here.
fn bounded(mut watching: Watching) -> Body {
    let (to_viewer, body) = mpsc::channel::<Bytes>(1);
    tokio::spawn(async move {
        while let Ok(bytes) = watching.next().await {
            let Ok(Ok(())) = tokio::time::timeout(watching.write_bound, to_viewer.send(bytes)).await else {
                return;
            };
        }
    });
    let stream = futures::stream::unfold(body, |mut body| async move {
        let bytes = body.recv().await?;
        Some((Ok::<_, Infallible>(bytes), body))
    });
    Body::from_stream(stream)
}

async fn pump(mut watching: Watching, socket: WebSocket) {
    let (mut out, mut heard) = socket.split();
    let bound = watching.write_bound;
    let stop = loop {
        tokio::select! {
            next = watching.next() => match next {
                Ok(bytes) => {
                    let sent = tokio::time::timeout(bound, out.send(Message::Binary(bytes))).await;
                    if !matches!(sent, Ok(Ok(()))) {
                        return;
                    }
                }
                Err(stop) => break stop,
            },
            // Reading answers pings and notices that the viewer left.
            said = heard.next() => match said {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => {}
            },
        }
    };
    let (code, reason) = match stop {
        Stop::Over => (NORMAL, "the broadcast is over"),
        Stop::Draining => (RESTART, "server restarting"),
        Stop::TooSlow => (TOO_SLOW, "too slow: come back"),
    };
    let close = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
    let _gone_anyway = tokio::time::timeout(bound, out.send(close)).await;
}
