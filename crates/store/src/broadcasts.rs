//! Broadcasts: announced, running, over.
//!
//! ```text
//! NOT_STARTED ──set_running──▶ RUNNING ──set_ended──▶ ENDED | TIMED_OUT
//!      └──────────────────────────set_ended──────────────▲
//! ```
//! A transition is one guarded statement, so two of them at once cannot both happen.

use serde::{Deserialize, Serialize};

use crate::engine::{Connection, QueryResult};
use crate::error::Error;
use crate::state::{Over, State};
use crate::store::Store;
use crate::users::User;

/// The longest list that [`Store::live_broadcasts`] gives.
const LIVE_MAX: i64 = 500;

/// Who finds a broadcast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// In every list.
    Public,
    /// Only who has the address.
    Unlisted,
}

/// Where it happens, in degrees.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Location {
    pub lat: f64,
    pub lng: f64,
}

/// A broadcast to announce.
#[derive(Debug, Clone)]
pub struct NewBroadcast {
    /// 13 characters, public.
    pub id: String,
    /// Id of the user.
    pub owner: String,
    pub title: String,
    pub location: Option<Location>,
    pub visibility: Visibility,
    /// SHA-256 of the stream key.
    pub key_hash: [u8; 32],
    pub created_ms: i64,
}

/// A broadcast as it is remembered.
#[derive(Debug, Clone, PartialEq)]
pub struct Broadcast {
    pub id: String,
    pub owner: User,
    pub title: String,
    pub location: Option<Location>,
    pub visibility: Visibility,
    pub state: State,
    pub created_ms: i64,
    pub started_ms: Option<i64>,
    pub ended_ms: Option<i64>,
    /// RUNNING without its publisher since then.
    pub interrupted_ms: Option<i64>,
}

/// The columns of a [`Broadcast`], with the rest of the statement.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT b.id, u.id AS owner_id, u.name AS owner_name, b.title, b.lat, b.lng, b.visibility, b.state, \
             b.created_ms, b.started_ms, b.ended_ms, b.interrupted_ms \
             FROM broadcasts b JOIN users u ON u.id = b.owner_id ",
            $rest
        )
    };
}

impl Store {
    /// Announce a broadcast, NOT_STARTED.
    ///
    /// Errors: `Conflict` when the id or the key is taken, `NotFound` for an unknown owner.
    pub async fn create_broadcast(&self, new: NewBroadcast) -> Result<(), Error> {
        let query = sqlx::query(
            "INSERT INTO broadcasts (id, owner_id, title, lat, lng, visibility, key_hash, state, created_ms) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(&new.id)
        .bind(&new.owner)
        .bind(&new.title)
        .bind(new.location.map(|at| at.lat))
        .bind(new.location.map(|at| at.lng))
        .bind(new.visibility.as_str())
        .bind(new.key_hash.to_vec())
        .bind(State::NotStarted.as_str())
        .bind(new.created_ms);
        self.write("create a broadcast", async |db| query.execute(db).await).await.map(drop)
    }

    /// The broadcast of that id.
    pub async fn broadcast(&self, id: &str) -> Result<Option<Broadcast>, Error> {
        let query = sqlx::query_as::<_, Row>(select!("WHERE b.id = $1")).bind(id);
        let row = self.read("look up a broadcast", async |db| query.fetch_optional(db).await).await?;
        row.map(Broadcast::try_from).transpose()
    }

    /// The broadcast that this stream key (its SHA-256) publishes.
    pub async fn broadcast_by_key(&self, key_hash: [u8; 32]) -> Result<Option<Broadcast>, Error> {
        let query = sqlx::query_as::<_, Row>(select!("WHERE b.key_hash = $1")).bind(key_hash.to_vec());
        let row = self.read("look up a stream key", async |db| query.fetch_optional(db).await).await?;
        row.map(Broadcast::try_from).transpose()
    }

    /// The public broadcasts that are RUNNING, newest first, at most 500.
    pub async fn live_broadcasts(&self) -> Result<Vec<Broadcast>, Error> {
        let query = sqlx::query_as::<_, Row>(select!(
            "WHERE b.state = 'RUNNING' AND b.visibility = 'public' ORDER BY b.started_ms DESC, b.id LIMIT $1"
        ))
        .bind(LIVE_MAX);
        let rows = self.read("list live broadcasts", async |db| query.fetch_all(db).await).await?;
        rows.into_iter().map(Broadcast::try_from).collect()
    }

    /// The broadcasts of a user in whatever state, newest first.
    pub async fn broadcasts_of(&self, owner: &str, limit: u32) -> Result<Vec<Broadcast>, Error> {
        let query =
            sqlx::query_as::<_, Row>(select!("WHERE b.owner_id = $1 ORDER BY b.created_ms DESC, b.id LIMIT $2"))
                .bind(owner)
                .bind(i64::from(limit));
        let rows = self.read("list a user's broadcasts", async |db| query.fetch_all(db).await).await?;
        rows.into_iter().map(Broadcast::try_from).collect()
    }

    /// Its publisher is there: NOT_STARTED becomes RUNNING, RUNNING stays and is no longer interrupted.
    ///
    /// Errors: `Conflict` when it is over, `NotFound`.
    pub async fn set_running(&self, id: &str, at_ms: i64) -> Result<(), Error> {
        let query = sqlx::query(
            "UPDATE broadcasts SET state = 'RUNNING', started_ms = COALESCE(started_ms, $2), interrupted_ms = NULL \
             WHERE id = $1 AND state IN ('NOT_STARTED', 'RUNNING')",
        )
        .bind(id)
        .bind(at_ms);
        self.transition(id, "start a broadcast", async |db| query.execute(db).await).await
    }

    /// Its publisher is gone and the grace runs; the first such time stays until `set_running`.
    ///
    /// Errors: `Conflict` when it is not RUNNING, `NotFound`.
    pub async fn set_interrupted(&self, id: &str, at_ms: i64) -> Result<(), Error> {
        let query = sqlx::query(
            "UPDATE broadcasts SET interrupted_ms = COALESCE(interrupted_ms, $2) WHERE id = $1 AND state = 'RUNNING'",
        )
        .bind(id)
        .bind(at_ms);
        self.transition(id, "interrupt a broadcast", async |db| query.execute(db).await).await
    }

    /// It is over, started or not.
    ///
    /// Errors: `Conflict` when it was over already, `NotFound`.
    pub async fn set_ended(&self, id: &str, over: Over, at_ms: i64) -> Result<(), Error> {
        let query = sqlx::query(
            "UPDATE broadcasts SET state = $2, ended_ms = $3, interrupted_ms = NULL \
             WHERE id = $1 AND state IN ('NOT_STARTED', 'RUNNING')",
        )
        .bind(id)
        .bind(State::from(over).as_str())
        .bind(at_ms);
        self.transition(id, "end a broadcast", async |db| query.execute(db).await).await
    }

    /// After a start of the process: the broadcasts that a dead process left RUNNING, oldest first. Each is marked
    /// interrupted from `now_ms` unless it was already, so that a process that keeps dying does not prolong the
    /// grace; when to give them up is the caller's decision.
    pub async fn recover_after_restart(&self, now_ms: i64) -> Result<Vec<Broadcast>, Error> {
        let mark =
            sqlx::query("UPDATE broadcasts SET interrupted_ms = $1 WHERE state = 'RUNNING' AND interrupted_ms IS NULL")
                .bind(now_ms);
        self.write("mark what a restart interrupted", async |db| mark.execute(db).await).await?;
        let query = sqlx::query_as::<_, Row>(select!("WHERE b.state = 'RUNNING' ORDER BY b.started_ms, b.id"));
        let rows = self.read("list what a restart interrupted", async |db| query.fetch_all(db).await).await?;
        rows.into_iter().map(Broadcast::try_from).collect()
    }

    /// Run a guarded update; when it touched nothing, say why.
    async fn transition(
        &self,
        id: &str,
        doing: &'static str,
        update: impl AsyncFnOnce(&mut Connection) -> sqlx::Result<QueryResult>,
    ) -> Result<(), Error> {
        if self.write(doing, update).await?.rows_affected() > 0 {
            return Ok(());
        }
        match self.broadcast(id).await? {
            Some(found) => Err(Error::conflict(format!("broadcast {id} is {}", found.state.as_str()))),
            None => Err(Error::not_found(format!("broadcast {id}"))),
        }
    }
}

/// A row of `select!`.
#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    owner_id: String,
    owner_name: String,
    title: String,
    lat: Option<f64>,
    lng: Option<f64>,
    visibility: String,
    state: String,
    created_ms: i64,
    started_ms: Option<i64>,
    ended_ms: Option<i64>,
    interrupted_ms: Option<i64>,
}

impl TryFrom<Row> for Broadcast {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let unreadable =
            |what: &str, value: &str| Error::Corrupt { what: format!("broadcast {}: {what} {value}", row.id) };
        Ok(Self {
            state: State::parse(&row.state).ok_or_else(|| unreadable("state", &row.state))?,
            visibility: Visibility::parse(&row.visibility).ok_or_else(|| unreadable("visibility", &row.visibility))?,
            location: row.lat.zip(row.lng).map(|(lat, lng)| Location { lat, lng }),
            owner: User { id: row.owner_id, name: row.owner_name },
            id: row.id,
            title: row.title,
            created_ms: row.created_ms,
            started_ms: row.started_ms,
            ended_ms: row.ended_ms,
            interrupted_ms: row.interrupted_ms,
        })
    }
}

impl Visibility {
    /// The word in the database and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Unlisted => "unlisted",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Public, Self::Unlisted].into_iter().find(|visibility| visibility.as_str() == word)
    }
}
