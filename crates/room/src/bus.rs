//! Between the nodes of a room, and from a node to itself: a sender, too, sees its message when the bus delivers it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::broadcast;

use crate::event::Event;
use crate::hearts::Colours;

/// Messages that may wait for one room. Beyond: lost, noticed by the gap, and read from the store.
const WAITING_MAX: usize = 256;

/// What carries messages.
#[derive(Debug, Clone)]
pub enum Bus {
    /// Within this process.
    Local(Local),
}

/// The bus of a single node.
#[derive(Debug, Clone, Default)]
pub struct Local {
    rooms: Arc<Mutex<HashMap<String, broadcast::Sender<Message>>>>,
}

/// What nodes tell each other about a room.
#[derive(Debug, Clone)]
pub(crate) enum Message {
    /// Durable events, consecutive.
    Events(Vec<Arc<Event>>),
    /// Hearts since the node's last such message.
    Hearts(Colours),
}

/// What comes out of the bus.
#[derive(Debug)]
pub(crate) enum Delivery {
    Message(Message),
    /// Messages were lost here.
    Lost,
}

/// A room's ear on the bus.
#[derive(Debug)]
pub(crate) struct Subscription {
    receiver: broadcast::Receiver<Message>,
    bus: Local,
    broadcast: String,
}

impl Bus {
    /// A bus for a single node.
    pub fn local() -> Self {
        Self::Local(Local::default())
    }

    pub(crate) fn subscribe(&self, broadcast: &str) -> Subscription {
        let Self::Local(bus) = self;
        let receiver = {
            let mut rooms = bus.lock();
            rooms.entry(broadcast.into()).or_insert_with(|| broadcast::channel(WAITING_MAX).0).subscribe()
        };
        Subscription { receiver, bus: bus.clone(), broadcast: broadcast.into() }
    }

    /// Tell every node with an ear on this room, this one included. Never waits.
    pub(crate) fn publish(&self, broadcast: &str, message: Message) {
        let Self::Local(bus) = self;
        if let Some(room) = bus.lock().get(broadcast) {
            // Fails when nobody listens, which is nobody's loss.
            let _ = room.send(message);
        }
    }
}

impl Local {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, broadcast::Sender<Message>>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscription {
    /// The next delivery. Cancel-safe.
    pub async fn next(&mut self) -> Delivery {
        match self.receiver.recv().await {
            Ok(message) => Delivery::Message(message),
            Err(broadcast::error::RecvError::Lagged(_)) => Delivery::Lost,
            // The sender lives as long as this ear.
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut rooms = self.bus.lock();
        // This receiver still counts.
        if rooms.get(&self.broadcast).is_some_and(|room| room.receiver_count() <= 1) {
            rooms.remove(&self.broadcast);
        }
    }
}
