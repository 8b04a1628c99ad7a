//! The UDP socket that all sessions share.
//!
//! It answers from the address that a datagram came to, which a machine with several has to be told, and hands the packets of
//! one frame to the kernel in one call where that is possible (UDP segmentation).

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;

use moq_noq_udp::{RecvMeta, Transmit, UdpSocketState};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// Buffers of one receive call.
const BATCH: usize = 8;

/// Kernel buffers that hold a keyframe for many viewers, and what comes while we are busy. The kernel may give less.
const KERNEL_BUFFER_BYTES: usize = 4 << 20;

/// Most bytes of one segmented send: an IP packet's length is 16 bits.
const LARGEST_SEND: usize = 60_000;

#[derive(Debug)]
pub(super) struct Socket {
    io: UdpSocket,
    state: UdpSocketState,
    local: SocketAddr,
}

/// What came in one receive call.
pub(super) struct Received {
    buffers: Vec<Vec<u8>>,
    metas: [RecvMeta; BATCH],
    count: usize,
}

impl Socket {
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = std::net::UdpSocket::bind(address)?;
        socket.set_nonblocking(true)?;
        let state = UdpSocketState::new((&socket).into())?;
        // As much as the system allows; less is no failure.
        let _ = state.set_recv_buffer_size((&socket).into(), KERNEL_BUFFER_BYTES);
        let _ = state.set_send_buffer_size((&socket).into(), KERNEL_BUFFER_BYTES);
        let io = UdpSocket::from_std(socket)?;
        let local = io.local_addr()?;
        Ok(Self { io, state, local })
    }

    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    pub fn buffers(&self) -> Received {
        let size = 1500 * self.state.gro_segments().get();
        Received { buffers: vec![vec![0; size]; BATCH], metas: [RecvMeta::default(); BATCH], count: 0 }
    }

    /// Waits for datagrams.
    pub async fn receive(&self, into: &mut Received) -> io::Result<()> {
        into.count = 0;
        self.io
            .async_io(Interest::READABLE, || {
                let mut slices = into.buffers.iter_mut().map(|buffer| IoSliceMut::new(buffer));
                let mut slices: [IoSliceMut<'_>; BATCH] = std::array::from_fn(|_| slices.next().expect("one each"));
                into.count = self.state.recv((&self.io).into(), &mut slices, &mut into.metas)?;
                Ok(())
            })
            .await
    }

    /// Sends datagrams of `segment` bytes each (the last may be shorter) from `source` if it is known.
    pub async fn send(
        &self,
        to: SocketAddr,
        source: Option<IpAddr>,
        contents: &[u8],
        segment: usize,
    ) -> io::Result<()> {
        let segment_size = (contents.len() > segment).then_some(segment);
        let transmit = Transmit { destination: to, ecn: None, contents, segment_size, src_ip: source };
        self.io.async_io(Interest::WRITABLE, || self.state.send((&self.io).into(), &transmit)).await
    }

    fn segments(&self) -> NonZeroUsize {
        self.state.max_gso_segments()
    }
}

impl Received {
    /// Each datagram with its source and the address it came to.
    pub fn datagrams(&self) -> impl Iterator<Item = (SocketAddr, Option<IpAddr>, &[u8])> {
        self.metas[..self.count].iter().zip(&self.buffers).flat_map(|(meta, buffer)| {
            let source = SocketAddr::new(meta.addr.ip().to_canonical(), meta.addr.port());
            let local = meta.dst_ip.map(|ip| ip.to_canonical());
            buffer[..meta.len].chunks(meta.stride.max(1)).map(move |datagram| (source, local, datagram))
        })
    }
}

/// Datagrams on their way out, gathered while they go to one address and have one size.
pub(super) struct Outbox {
    bytes: Vec<u8>,
    to: Option<SocketAddr>,
    segment: usize,
    count: usize,
    /// A shorter datagram ends a segmented send.
    closed: bool,
}

impl Outbox {
    pub fn new() -> Self {
        Self { bytes: Vec::new(), to: None, segment: 0, count: 0, closed: false }
    }

    /// Adds a datagram, sending what cannot go together with it.
    pub async fn push(
        &mut self,
        socket: &Socket,
        to: SocketAddr,
        source: Option<IpAddr>,
        datagram: &[u8],
    ) -> io::Result<()> {
        let fits = self.to == Some(to)
            && !self.closed
            && datagram.len() <= self.segment
            && self.count < socket.segments().get()
            && self.bytes.len() + datagram.len() <= LARGEST_SEND;
        if !fits {
            self.flush(socket, source).await?;
            self.to = Some(to);
            self.segment = datagram.len();
        }
        self.closed = datagram.len() < self.segment;
        self.count += 1;
        self.bytes.extend_from_slice(datagram);
        Ok(())
    }

    pub async fn flush(&mut self, socket: &Socket, source: Option<IpAddr>) -> io::Result<()> {
        let Some(to) = self.to.take() else { return Ok(()) };
        let sent = socket.send(to, source, &self.bytes, self.segment).await;
        self.bytes.clear();
        (self.count, self.closed) = (0, false);
        sent
    }
}
