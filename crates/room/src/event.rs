//! Events of a room: what is numbered, stored and recovered.

use serde::{Deserialize, Serialize};
use store::{NewEvent, State, StoredEvent};

/// What somebody is in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The owner of the broadcast.
    Broadcaster,
    /// Signed in.
    User,
    /// Not signed in.
    Guest,
}

/// Somebody, as everyone in the room sees them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// A user's id, or `g-` and a hash for a guest.
    pub id: String,
    pub name: String,
    pub role: Role,
}

/// A comment, as it is stored and sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Said {
    pub id: String,
    pub cid: String,
    pub who: Person,
    pub text: String,
    /// Capture time of the frame its sender was seeing.
    pub captured_ms: Option<i64>,
}

/// A comment read from the store, long after it was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastComment {
    pub id: String,
    pub who: Person,
    pub text: String,
    /// Capture time of the frame its sender was seeing.
    pub captured_ms: Option<i64>,
    /// When the room took it.
    pub at_ms: i64,
}

impl PastComment {
    /// `None` for an event of another kind, or of a release that wrote it in another way.
    pub fn from_stored(row: &StoredEvent) -> Option<Self> {
        let Said { id, who, text, captured_ms, .. } =
            serde_json::from_str(&row.body).ok().filter(|_| row.kind == COMMENT)?;
        Some(Self { id, who, text, captured_ms, at_ms: row.at_ms })
    }
}

/// How the broadcast stands, as it is stored and sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Standing {
    pub state: State,
    pub interrupted: bool,
}

/// What an event says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Body {
    /// Content.
    Comment(Said),
    /// Control.
    State(Standing),
}

/// An event without a number: accepted, not yet stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Draft {
    pub body: Body,
    pub at_ms: i64,
    /// The connection to tell when it cannot be stored.
    pub sender: Option<u64>,
}

/// A numbered, durable event. Encoded once, here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub offset: i64,
    /// What the store has that this release cannot read is none: it keeps its number and is not sent.
    pub body: Option<Body>,
    pub json: String,
}

#[derive(Serialize)]
struct Wire<'a, T> {
    k: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    o: Option<i64>,
    #[serde(flatten)]
    body: &'a T,
    #[serde(skip_serializing_if = "Option::is_none")]
    at_ms: Option<i64>,
}

const COMMENT: &str = "comment";
const STATE: &str = "state";

impl Draft {
    /// The row to store.
    pub fn row(&self, broadcast: &str, epoch: &str, offset: i64) -> NewEvent {
        let (kind, body) = match &self.body {
            Body::Comment(said) => (COMMENT, to_json(said)),
            Body::State(standing) => (STATE, to_json(standing)),
        };
        NewEvent {
            broadcast: broadcast.into(),
            epoch: epoch.into(),
            offset,
            kind: kind.into(),
            body,
            at_ms: self.at_ms,
            captured_ms: match &self.body {
                Body::Comment(said) => said.captured_ms,
                Body::State(_) => None,
            },
        }
    }

    pub fn numbered(self, offset: i64) -> Event {
        let json = encode(&self.body, Some(offset), self.at_ms);
        Event { offset, body: Some(self.body), json }
    }

    /// The id of the comment it is.
    pub fn comment_id(&self) -> Option<&str> {
        match &self.body {
            Body::Comment(said) => Some(&said.id),
            Body::State(_) => None,
        }
    }
}

impl Event {
    pub fn from_stored(row: StoredEvent) -> Self {
        let body = match row.kind.as_str() {
            COMMENT => serde_json::from_str(&row.body).ok().map(Body::Comment),
            STATE => serde_json::from_str(&row.body).ok().map(Body::State),
            _ => None,
        };
        let json = body.as_ref().map(|body| encode(body, Some(row.offset), row.at_ms)).unwrap_or_default();
        Self { offset: row.offset, body, json }
    }

    pub fn comment(&self) -> Option<&Said> {
        match &self.body {
            Some(Body::Comment(said)) => Some(said),
            _ => None,
        }
    }
}

impl Standing {
    /// The event that is not numbered, for when the store cannot be waited for.
    pub fn unnumbered(self) -> String {
        encode(&Body::State(self), None, 0)
    }
}

fn encode(body: &Body, offset: Option<i64>, at_ms: i64) -> String {
    match body {
        Body::Comment(said) => to_json(&Wire { k: COMMENT, o: offset, body: said, at_ms: Some(at_ms) }),
        Body::State(standing) => to_json(&Wire { k: STATE, o: offset, body: standing, at_ms: None }),
    }
}

fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("these structs have only text keys and plain values")
}
