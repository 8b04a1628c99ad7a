//! One viewer's place in a room: their WebSocket, without the socket.

use std::sync::Arc;

use crate::close::Close;
use crate::encode::Frame;
use crate::event::Person;
use crate::frame::ClientFrame;
use crate::outbox::Outbox;
use crate::shared::Shared;

/// A connection to a room; dropping it leaves.
///
/// Made for one task that selects over a socket and [`Connection::next_frame`]:
/// ```ignore
/// loop {
///     tokio::select! {
///         frame = connection.next_frame() => socket.send(frame?).await?,
///         text = socket.next() => connection.incoming(&text?)?,
///     }
/// }
/// ```
pub struct Connection {
    room: Arc<Shared>,
    id: u64,
    you: Person,
    outbox: Arc<Outbox>,
}

impl Connection {
    pub(crate) fn new(room: Arc<Shared>, id: u64, you: Person, outbox: Arc<Outbox>) -> Self {
        Self { room, id, you, outbox }
    }

    /// Who the room thinks this is.
    pub fn you(&self) -> &Person {
        &self.you
    }

    /// A text frame of the client. What it asks for wrongly is answered by an error frame; an error here ends the
    /// connection.
    pub fn incoming(&self, text: &str) -> Result<(), Close> {
        let frame = ClientFrame::parse(text);
        self.room.with(|machine, now| machine.incoming(now, self.id, frame))
    }

    /// The next frame to send, or how to hang up. Cancel-safe.
    pub async fn next_frame(&mut self) -> Result<Frame, Close> {
        self.outbox.next().await
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.room.with(|machine, now| machine.detach(now, self.id));
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("broadcast", &self.room.broadcast).field("id", &self.id).finish()
    }
}
