//! Requests for media over plain HTTP/1.1, past the HTTP library, whose buffers alone would cost a viewer 24 KiB a connection.
//! For a stream the packager can then write to the socket itself (`gateway::flv`).
//!
//! Only a GET of media whose head came whole is answered here, by the same routes; a connection that brings anything else is
//! handed to the library with nothing read from it.

use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex};
use std::task::{Poll, ready};
use std::time::Duration;

use anyhow::Context as _;
use axum::body::{Body, to_bytes};
use bytes::{Buf as _, Bytes, BytesMut};
use gateway::tcp::SharedTcp;
use http::response::Parts;
use http::{HeaderName, Method, Request, StatusCode, Version, header};
use tokio::io::{AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower::ServiceExt as _;

use super::listener::Serving;
use super::peer::Peer;
use crate::media::flv::Watching;

/// What a request for media begins with.
const STARTS: [&[u8]; 2] = [b"GET /live/", b"GET /hls/"];

/// Browsers send less than a KiB.
const LONGEST_HEAD: usize = 4096;
const MOST_HEADERS: usize = 48;

/// A segment of half a minute at 50 Mbit/s.
const LONGEST_BODY: usize = 200 << 20;

/// A player asks again within some seconds.
const IDLE: Duration = Duration::from_secs(30);

/// Where the route puts a granted stream instead of making a body of it.
#[derive(Clone, Default)]
pub struct Offer(Arc<Mutex<Option<Watching>>>);

impl Offer {
    pub fn put(&self, watching: Watching) {
        *self.0.lock().expect("nothing panics with it") = Some(watching);
    }

    fn take(&self) -> Option<Watching> {
        self.0.lock().expect("nothing panics with it").take()
    }
}

/// How far a connection was served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served {
    /// It is over.
    Whole,
    /// What comes next is for the library.
    SoFar,
}

/// What stands at the head of a connection's unread bytes.
enum Ahead {
    Media { length: usize, request: Box<Request<Body>> },
    Other,
    End,
}

/// Answers requests for media until the connection ends or brings something else.
pub async fn serve(stream: &SharedTcp, peer: Peer, serving: &Serving) -> anyhow::Result<Served> {
    let mut patience = serving.header_timeout;
    loop {
        let ahead = tokio::select! {
            biased;
            ahead = timeout(patience, look(stream.get())) => ahead.context("the peer asked for nothing")??,
            () = serving.drain.cancelled() => return Ok(Served::Whole),
        };
        let (length, request) = match ahead {
            Ahead::Media { length, request } => (length, request),
            Ahead::Other => return Ok(Served::SoFar),
            Ahead::End => return Ok(Served::Whole),
        };
        consume(stream.get(), length)?;
        if answer(stream, peer, *request, serving).await? == Served::Whole {
            stream.clone().shutdown().await?;
            return Ok(Served::Whole);
        }
        patience = IDLE;
    }
}

/// Waits for bytes and reads nothing of them.
async fn look(stream: &TcpStream) -> io::Result<Ahead> {
    // The buffer lives within a poll, so that a waiting connection does not hold it.
    std::future::poll_fn(|cx| {
        let mut head = [0; LONGEST_HEAD];
        let mut head = ReadBuf::new(&mut head);
        if ready!(stream.poll_peek(cx, &mut head))? == 0 {
            return Poll::Ready(Ok(Ahead::End));
        }
        let media = parse(head.filled()).map(|(length, request)| Ahead::Media { length, request: Box::new(request) });
        Poll::Ready(Ok(media.unwrap_or(Ahead::Other)))
    })
    .await
}

/// Reads bytes that have been seen.
fn consume(stream: &TcpStream, mut length: usize) -> io::Result<()> {
    let mut head = [0; LONGEST_HEAD];
    while length > 0 {
        match stream.try_read(&mut head[..length])? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            read => length -= read,
        }
    }
    Ok(())
}

fn parse(bytes: &[u8]) -> Option<(usize, Request<Body>)> {
    if !STARTS.iter().any(|start| bytes.starts_with(start)) {
        return None;
    }
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut head = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(length) = head.parse(bytes).ok()? else { return None };
    if head.version != Some(1) {
        return None;
    }
    let mut request = Request::builder().method(Method::GET).uri(head.path?).version(Version::HTTP_11);
    for field in head.headers {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        // A WebSocket, or a body, which nobody sends with a GET.
        if [header::UPGRADE, header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::EXPECT].contains(&name) {
            return None;
        }
        request = request.header(name, field.value);
    }
    Some((length, request.body(Body::empty()).ok()?))
}

async fn answer(
    stream: &SharedTcp,
    peer: Peer,
    mut request: Request<Body>,
    serving: &Serving,
) -> anyhow::Result<Served> {
    let offer = Offer::default();
    request.extensions_mut().insert(peer);
    request.extensions_mut().insert(offer.clone());
    let close =
        request.headers().get(header::CONNECTION).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"));
    let response = tokio::select! {
        response = serving.router.clone().oneshot(request) => match response {
            Ok(response) => response,
            Err(never) => match never {},
        },
        // A player that gave up waiting for the next part.
        () = closed(stream.get()) => return Ok(Served::Whole),
    };
    if let Some(watching) = offer.take() {
        write(stream, head(&response.into_parts().0, None, true), Bytes::new(), serving.write_timeout).await?;
        feed(stream, watching, serving.write_timeout).await?;
        return Ok(Served::Whole);
    }
    let close = close || serving.drain.is_cancelled();
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, LONGEST_BODY).await?;
    let bare = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&parts.status);
    let head = head(&parts, (!bare).then_some(body.len()), close);
    write(stream, head, body, serving.write_timeout).await?;
    Ok(if close { Served::Whole } else { Served::SoFar })
}

/// Waits until the peer has closed; for ever when it has sent something more instead.
async fn closed(stream: &TcpStream) {
    match look(stream).await {
        Ok(Ahead::End) | Err(_) => {}
        Ok(_) => std::future::pending().await,
    }
}

/// A body without a length ends with the connection (RFC 9112 section 6.3).
fn head(response: &Parts, length: Option<usize>, close: bool) -> Bytes {
    let mut out = BytesMut::with_capacity(1024);
    let status = response.status;
    let reason = status.canonical_reason().unwrap_or_default();
    out.extend_from_slice(format!("HTTP/1.1 {} {reason}\r\n", status.as_u16()).as_bytes());
    let own = [header::CONNECTION, header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::DATE];
    for (name, value) in response.headers.iter().filter(|(name, _)| !own.contains(name)) {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            out.extend_from_slice(part);
        }
    }
    if let Some(length) = length {
        out.extend_from_slice(format!("content-length: {length}\r\n").as_bytes());
    }
    let date = httpdate::fmt_http_date(std::time::SystemTime::now());
    out.extend_from_slice(format!("date: {date}\r\n").as_bytes());
    out.extend_from_slice(if close { b"connection: close\r\n\r\n" } else { b"\r\n" });
    out.freeze()
}

/// Writes the stream until it is over, or the viewer leaves or takes nothing for too long.
async fn feed(stream: &SharedTcp, mut watching: Watching, write_bound: Duration) -> io::Result<()> {
    loop {
        tokio::select! {
            biased;
            next = watching.next_for(stream.get()) => match next {
                Ok(bytes) => write(stream, bytes, Bytes::new(), write_bound).await?,
                Err(_stop) => break,
            },
            left = left(stream.get()) => return left,
        }
    }
    if let Some(rest) = watching.reclaim() {
        write(stream, rest, Bytes::new(), write_bound).await?;
    }
    Ok(())
}

/// Waits until the viewer closes. What it says meanwhile means nothing.
async fn left(stream: &TcpStream) -> io::Result<()> {
    let mut words = [0; 64];
    loop {
        stream.readable().await?;
        match stream.try_read(&mut words) {
            Ok(0) => return Ok(()),
            Ok(_) => tokio::task::consume_budget().await,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

async fn write(stream: &SharedTcp, first: Bytes, then: Bytes, bound: Duration) -> io::Result<()> {
    match timeout(bound, stream.clone().write_all_buf(&mut first.chain(then))).await {
        Ok(written) => written,
        Err(_) => {
            let late = format!("the peer read nothing for {} s", bound.as_secs());
            Err(io::Error::new(ErrorKind::TimedOut, late))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_request_for_media_is_recognised() {
        let bytes = b"GET /live/abc.flv?clock=1 HTTP/1.1\r\nHost: x\r\nOrigin: http://y\r\n\r\nmore";
        let (length, request) = parse(bytes).unwrap();
        assert_eq!(length, bytes.len() - 4);
        assert!(parse(b"GET /hls/abc/media.m3u8 HTTP/1.1\r\n\r\n").is_some());
        assert_eq!(request.uri(), "/live/abc.flv?clock=1");
        assert_eq!(request.headers()[header::ORIGIN], "http://y");
    }

    #[test]
    fn everything_else_is_left_alone() {
        for other in [
            "GET /live/abc.flv HTTP/1.1\r\nHost: x\r\n",
            "GET /live/abc.flv HTTP/1.0\r\nHost: x\r\n\r\n",
            "GET /live/abc.flv HTTP/1.1\r\nUpgrade: websocket\r\n\r\n",
            "GET /live/abc.flv HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
            "HEAD /live/abc.flv HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /live/a b HTTP/1.1\r\nHost: x\r\n\r\n",
            "",
        ] {
            assert!(parse(other.as_bytes()).is_none(), "{other}");
        }
    }
}
