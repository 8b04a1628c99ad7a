//! Rooms as viewers see them: a test per rule of the protocol, on paused time with a memory that can be made to fail,
//! and (`with_store`) on a real database.

mod fake;
mod hearts;
mod joining;
mod limits;
mod presence;
mod recovery;
mod sampling;
mod slow;
mod stalls;
mod state;
mod with_store;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use store::{State, User};
use tokio::time::{Instant, timeout, timeout_at};

use self::fake::Fake;
use crate::{Bus, Close, Config, Connection, Hello, Identity, JoinError, Room, Rooms};

/// Longer than anything in a room takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// One node with a memory that can be made to fail. `room` and `other` are running.
struct World {
    rooms: Rooms,
    memory: Arc<Fake>,
    config: Config,
    bus: Bus,
}

impl World {
    fn new(config: Config) -> Self {
        let memory = Arc::new(Fake::new(&["room", "other"]));
        let bus = Bus::local();
        let rooms = Rooms::with_memory(config.clone(), memory.clone(), bus.clone());
        Self { rooms, memory, config, bus }
    }

    /// The process dies and another starts on the same memory.
    fn restart(&mut self) {
        self.bus = Bus::local();
        self.rooms = Rooms::with_memory(self.config.clone(), self.memory.clone(), self.bus.clone());
    }

    fn room(&self) -> Room {
        self.rooms.open("room", State::Running, false)
    }

    async fn guest(&self, n: usize) -> Viewer {
        self.back(n, None).await
    }

    /// A guest who was at (epoch, offset).
    async fn back(&self, n: usize, at: Option<(&str, i64)>) -> Viewer {
        enter(&self.rooms, "room", guest(n), at).await.expect("a guest comes in")
    }

    async fn broadcaster(&self) -> Viewer {
        let identity = Identity { is_broadcaster: true, ..signed_in("ada") };
        enter(&self.rooms, "room", identity, None).await.expect("the broadcaster comes in")
    }
}

fn guest(n: usize) -> Identity {
    Identity { user: None, is_broadcaster: false, device: format!("device-of-guest-{n:04}") }
}

fn signed_in(name: &str) -> Identity {
    let user = User { id: format!("id-of-{name}"), name: name.into() };
    Identity { user: Some(user), is_broadcaster: false, device: "device-of-someone".into() }
}

async fn enter(
    rooms: &Rooms,
    broadcast: &str,
    identity: Identity,
    at: Option<(&str, i64)>,
) -> Result<Viewer, JoinError> {
    let hello = Hello {
        device: identity.device.clone(),
        epoch: at.map(|(epoch, _)| epoch.to_string()),
        offset: at.map(|(_, offset)| offset),
    };
    let mut connection = rooms.join(broadcast, identity, hello).await?;
    let welcome = connection.next_frame().await.expect("the first frame is the welcome");
    let welcome: Value = serde_json::from_str(welcome.as_str()).expect("frames are JSON");
    assert_eq!(welcome["t"], "welcome");
    Ok(Viewer { connection, welcome, said: 0 })
}

/// Somebody in a room.
struct Viewer {
    connection: Connection,
    welcome: Value,
    said: usize,
}

impl Viewer {
    /// Send a frame.
    fn send(&self, frame: Value) {
        self.connection.incoming(&frame.to_string()).expect("the connection is open");
    }

    /// Say something.
    fn say(&mut self, text: &str) {
        self.said += 1;
        let cid = format!("{}-{}", self.id(), self.said);
        self.send(json!({ "t": "comment", "cid": cid, "text": text, "captured_ms": null }));
    }

    fn id(&self) -> &str {
        &self.connection.you().id
    }

    fn epoch(&self) -> String {
        self.welcome["epoch"].as_str().expect("an epoch is text").to_string()
    }

    /// The next frame, whatever it is.
    async fn frame(&mut self) -> Value {
        let frame = timeout(PATIENCE, self.connection.next_frame()).await.expect("a frame comes");
        serde_json::from_str(frame.expect("the connection is open").as_str()).expect("frames are JSON")
    }

    /// How the connection ends, after everything that waits.
    async fn close(&mut self) -> Close {
        let end = async {
            loop {
                if let Err(close) = self.connection.next_frame().await {
                    return close;
                }
            }
        };
        timeout(PATIENCE, end).await.expect("the connection ends")
    }

    /// All frames of the next `ms` milliseconds.
    async fn frames(&mut self, ms: u64) -> Vec<Value> {
        let end = Instant::now() + Duration::from_millis(ms);
        let mut frames = Vec::new();
        while let Ok(frame) = timeout_at(end, self.connection.next_frame()).await {
            let frame = frame.expect("the connection is open");
            frames.push(serde_json::from_str(frame.as_str()).expect("frames are JSON"));
        }
        frames
    }

    /// All events of a kind in the next `ms` milliseconds.
    async fn events(&mut self, kind: &str, ms: u64) -> Vec<Value> {
        events_in(&self.frames(ms).await, kind)
    }

    /// The texts of the comments of the next second.
    async fn hears(&mut self) -> Vec<String> {
        texts(&self.events("comment", 1000).await)
    }
}

fn events_in(frames: &[Value], kind: &str) -> Vec<Value> {
    let batches = frames.iter().filter(|frame| frame["t"] == "batch");
    let events = batches.flat_map(|frame| frame["e"].as_array().expect("a batch has a list"));
    events.filter(|event| event["k"] == kind).cloned().collect()
}

fn texts(comments: &[Value]) -> Vec<String> {
    comments.iter().map(|comment| comment["text"].as_str().expect("a comment has a text").to_string()).collect()
}

fn offsets(events: &[Value]) -> Vec<i64> {
    events.iter().map(|event| event["o"].as_i64().expect("the event is numbered")).collect()
}
