//! One connection: packets in and out, what they carry into a broadcast.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use live::Publisher;
use srt_protocol::connection::{Connection, DuplexConnection};
use srt_protocol::packet::{ControlTypes, Packet};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::guard::{datagram, sensible, survive};
use crate::ingest::sniff::{self, Sniffed};
use crate::ingest::{self, Container, Upload};

/// What the listener gives to the task of a connection.
pub(super) struct Opened {
    pub connection: Connection,
    pub inbox: mpsc::Receiver<Packet>,
}

/// How a connection ended without a mistake in its media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The encoder said goodbye.
    Said,
    /// It fell silent; it may come back.
    Dropped,
    /// We are shutting down.
    Stopped,
}

/// Why a connection failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller does not encrypt as it must, or left before it was answered.
    #[error("srt {peer}: the handshake came to nothing")]
    Handshake { peer: SocketAddr },
    /// What it sends cannot be published.
    #[error("srt {peer}: {source}")]
    Media { peer: SocketAddr, source: ingest::Error },
    /// It says what the protocol has no answer to.
    #[error("srt {peer}: the caller breaks the protocol")]
    Protocol { peer: SocketAddr },
}

/// Publishes what arrives until the connection ends.
pub(super) async fn run(
    opened: Opened,
    socket: Arc<UdpSocket>,
    peer: SocketAddr,
    mut publisher: Publisher,
    stop: CancellationToken,
) -> Result<End, Error> {
    let Opened { connection, mut inbox } = opened;
    let broken = || Error::Protocol { peer };
    let mut connection = survive(|| DuplexConnection::new(connection)).ok_or_else(broken)?;
    let mut media = Media::default();
    let (mut said, mut stopped, mut failed) = (false, false, None);
    while connection.is_open() {
        while let Some((packet, _)) = survive(|| connection.next_packet(Instant::now())).ok_or_else(broken)? {
            send(&socket, &packet, peer).await;
        }
        while let Some((_, bytes)) = survive(|| connection.next_data(Instant::now())).ok_or_else(broken)? {
            if failed.is_none()
                && let Err(source) = media.push(&bytes, &mut publisher)
            {
                // The peer is told by the end of the connection; SRT has no words after the handshake.
                connection.handle_data_input(Instant::now(), None);
                failed = Some(Error::Media { peer, source });
            }
        }
        let wake = survive(|| connection.check_timers(Instant::now())).ok_or_else(broken)?;
        tokio::select! {
            packet = inbox.recv() => match packet {
                Some(packet) if sensible(&packet) => {
                    said |= is_shutdown(&packet);
                    survive(|| connection.handle_packet_input(Instant::now(), Ok((packet, peer)))).ok_or_else(broken)?;
                }
                Some(_) => {}
                None => break,
            },
            () = tokio::time::sleep_until(wake.into()) => {}
            () = stop.cancelled(), if !stopped => {
                stopped = true;
                connection.handle_data_input(Instant::now(), None);
            }
        }
        if failed.is_some() || stopped {
            // Nothing of ours waits to be confirmed: say goodbye and go.
            while let Some((packet, _)) = survive(|| connection.next_packet(Instant::now())).flatten() {
                send(&socket, &packet, peer).await;
            }
            break;
        }
    }
    if let Some(error) = failed {
        return Err(error);
    }
    media.finish(&mut publisher).map_err(|source| Error::Media { peer, source })?;
    Ok(match (stopped, said) {
        (true, _) => End::Stopped,
        (_, true) => End::Said,
        _ => End::Dropped,
    })
}

fn is_shutdown(packet: &Packet) -> bool {
    matches!(packet, Packet::Control(control) if matches!(control.control_type, ControlTypes::Shutdown))
}

/// Sends a packet; one that cannot be sent is as good as lost on the way.
pub(super) async fn send(socket: &UdpSocket, packet: &Packet, peer: SocketAddr) {
    let Some(bytes) = datagram(packet) else { return };
    if let Err(error) = socket.send_to(&bytes, peer).await {
        tracing::debug!(%error, %peer, "srt send");
    }
}

/// The transport stream that a connection carries.
#[derive(Default)]
struct Media {
    first: Vec<u8>,
    upload: Option<Upload>,
}

impl Media {
    fn push(&mut self, bytes: &Bytes, publisher: &mut Publisher) -> Result<(), ingest::Error> {
        if let Some(upload) = &mut self.upload {
            return upload.push(bytes, publisher);
        }
        self.first.extend_from_slice(bytes);
        match sniff::sniff(&self.first) {
            Sniffed::Is(Container::Ts) => {
                let mut upload = Upload::new(Container::Ts);
                let pushed = upload.push(&std::mem::take(&mut self.first), publisher);
                self.upload = Some(upload);
                pushed
            }
            // A container without marks to begin again at would not outlive the first packet lost for good.
            Sniffed::Is(other) => Err(ingest::Error::Unknown(format!("{other:?} over SRT, which carries MPEG-TS"))),
            Sniffed::Other(what) => Err(ingest::Error::Unknown(what)),
            Sniffed::More => Ok(()),
        }
    }

    fn finish(self, publisher: &mut Publisher) -> Result<(), ingest::Error> {
        self.upload.map_or(Ok(()), |upload| upload.finish(publisher))
    }
}
