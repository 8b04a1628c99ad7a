//! `GET /api/v1/broadcasts/{id}/room`: a WebSocket whose text frames are the room's protocol
//! (`docs/ref/room-protocol.md`).

use std::time::Duration;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::response::Response;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt as _, StreamExt as _};
use gateway::address::limited_by;
use http::HeaderMap;
use room::{ClientFrame, Close, Connection, Hello, Identity, JoinError, MAX_FRAME_BYTES};

use crate::api::auth::Caller;
use crate::broadcast::names::is_id;
use crate::http::peer::Client;
use crate::http::same_origin::same_origin;
use crate::problem::Problem;
use crate::services::Shared;

/// A client says hello within this.
const HELLO: Duration = Duration::from_secs(10);

/// A client that sends nothing for this long is gone: it pings or reports more often, and answers pings.
const SILENT: Duration = Duration::from_secs(60);

/// The server asks whether a quiet client is there.
const ASK: Duration = Duration::from_secs(20);

type Out = SplitSink<WebSocket, Message>;
type Heard = SplitStream<WebSocket>;

/// Takes the upgrade. Who it is is settled here, before anything is said.
pub async fn get(
    State(services): State<Shared>,
    client: Client,
    Path(id): Path<String>,
    headers: HeaderMap,
    Caller(user): Caller,
    socket: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let socket = socket.map_err(|rejection| Problem::Malformed(rejection.body_text().into()))?;
    // The cookie speaks for the user, and a WebSocket from another site would carry it.
    same_origin(&headers, &client, &services.public_host)?;
    services.rates.joins.check(&limited_by(client.ip))?;
    let span = tracing::info_span!("room", id = crate::telemetry::connection_id(), peer = %client.ip, broadcast = id);
    let socket = socket.max_message_size(MAX_FRAME_BYTES).max_frame_size(MAX_FRAME_BYTES).write_buffer_size(0);
    Ok(socket.on_upgrade(move |socket| {
        use tracing::Instrument as _;
        async move { converse(services, id, user, socket).await }.instrument(span)
    }))
}

async fn converse(services: Shared, id: String, user: Option<store::User>, socket: WebSocket) {
    let (mut out, mut heard) = socket.split();
    let bound = Duration::from_secs(services.config.limits.write_timeout_s);
    let hung_up = match enter(&services, &id, user, &mut heard).await {
        Ok(connection) => talk(connection, &mut out, &mut heard, bound).await,
        Err(hung_up) => hung_up,
    };
    if let Some(Close { code, reason }) = hung_up {
        tracing::debug!(code, %reason, "hanging up");
        let close = Message::Close(Some(CloseFrame { code, reason: reason.as_ref().into() }));
        let _gone_anyway = tokio::time::timeout(bound, out.send(close)).await;
    }
}

/// Waits for the hello and joins. `Err(None)`: the client left first.
async fn enter(
    services: &Shared,
    id: &str,
    user: Option<store::User>,
    heard: &mut Heard,
) -> Result<Connection, Option<Close>> {
    let hello = match tokio::time::timeout(HELLO, hello(heard)).await {
        Ok(hello) => hello?,
        Err(_) => return Err(Some(Close::BAD_HELLO)),
    };
    if !is_id(id) {
        return Err(Some(Close::NO_BROADCAST));
    }
    let is_broadcaster = match &user {
        Some(user) => owns(services, id, user).await?,
        None => false,
    };
    let identity = Identity { user, is_broadcaster, device: hello.device.clone() };
    services.rooms.join(id, identity, hello).await.map_err(|error: JoinError| {
        tracing::debug!(%error, "not let in");
        Some(error.close())
    })
}

async fn hello(heard: &mut Heard) -> Result<Hello, Option<Close>> {
    loop {
        match heard.next().await {
            Some(Ok(Message::Text(text))) => {
                return match ClientFrame::parse(&text) {
                    Ok(ClientFrame::Hello(hello)) => Ok(hello),
                    _ => Err(Some(Close::BAD_HELLO)),
                };
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(Message::Binary(_))) => return Err(Some(Close::BAD_HELLO)),
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(None),
        }
    }
}

async fn owns(services: &Shared, id: &str, user: &store::User) -> Result<bool, Option<Close>> {
    match services.store.broadcast(id).await {
        Ok(Some(broadcast)) => Ok(broadcast.owner.id == user.id),
        Ok(None) => Err(Some(Close::NO_BROADCAST)),
        Err(error) => {
            tracing::warn!(%error, "cannot tell the broadcaster");
            Err(Some(Close::LATER))
        }
    }
}

/// Carries frames both ways until somebody hangs up; how, when it is us.
async fn talk(mut connection: Connection, out: &mut Out, heard: &mut Heard, bound: Duration) -> Option<Close> {
    let mut ask = tokio::time::interval(ASK);
    ask.reset();
    let mut last_heard = tokio::time::Instant::now();
    loop {
        tokio::select! {
            frame = connection.next_frame() => {
                let text = match frame {
                    Ok(frame) => frame,
                    Err(close) => return Some(close),
                };
                if !send(out, Message::Text(text_of(text)), bound).await {
                    return None;
                }
            }
            said = heard.next() => {
                last_heard = tokio::time::Instant::now();
                match said {
                    Some(Ok(Message::Text(text))) => {
                        if let Err(close) = connection.incoming(&text) {
                            return Some(close);
                        }
                    }
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    Some(Ok(Message::Binary(_))) => return Some(Close { code: 1003, reason: "text frames only".into() }),
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                }
            }
            _ = ask.tick() => {
                if last_heard.elapsed() > SILENT || !send(out, Message::Ping(bytes::Bytes::new()), bound).await {
                    return None;
                }
            }
        }
    }
}

/// Whether it went out in time.
async fn send(out: &mut Out, message: Message, bound: Duration) -> bool {
    matches!(tokio::time::timeout(bound, out.send(message)).await, Ok(Ok(())))
}

/// The frame's bytes, shared by everyone who gets it.
fn text_of(frame: room::Frame) -> Utf8Bytes {
    Utf8Bytes::try_from(frame.into_bytes()).expect("frames are JSON text")
}
