//! Replays: wanted, recorded, ready, going.
//!
//! ```text
//! WAITING ──replay_progress──▶ RECORDING ──replay_ready──▶ READY ──delete_replay──▶ DELETING ──forget_replay──▶ (no row)
//! ```
//! A row says that a broadcast is to have a replay; the media itself is elsewhere. A row in DELETING stays until its media is
//! gone, so that a deletion survives a crash.

use serde::{Deserialize, Serialize};

use crate::engine::{Connection, QueryResult};
use crate::error::Error;
use crate::store::Store;
use crate::users::User;

/// The longest list of replays.
const LIST_MAX: i64 = 200;

/// Who may watch a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReplayVisibility {
    /// Everyone, and it is in the lists.
    Public,
    /// Who has the address.
    Unlisted,
    /// Its owner.
    Private,
}

/// Where a replay is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ReplayState {
    /// Nothing is recorded yet.
    Waiting,
    Recording,
    /// Whole.
    Ready,
    /// Nobody may watch it any more.
    Deleting,
}

/// A replay as it is remembered.
#[derive(Debug, Clone, PartialEq)]
pub struct Replay {
    /// Id of the broadcast, and of the replay.
    pub id: String,
    pub owner: User,
    /// The broadcast's.
    pub title: String,
    pub visibility: ReplayVisibility,
    pub state: ReplayState,
    /// Whether the broadcast is over.
    pub over: bool,
    pub duration_ms: i64,
    pub bytes: i64,
    pub lost_ms: i64,
    pub captured_ms: Option<i64>,
    pub finished_ms: Option<i64>,
}

/// How far a recording is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    pub duration_ms: i64,
    pub bytes: i64,
    pub lost_ms: i64,
    pub captured_ms: Option<i64>,
}

/// The columns of a [`Replay`], with the rest of the statement.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT b.id, u.id AS owner_id, u.name AS owner_name, b.title, b.state AS broadcast_state, r.visibility, \
             r.state, r.duration_ms, r.bytes, r.lost_ms, r.captured_ms, r.finished_ms \
             FROM replays r JOIN broadcasts b ON b.id = r.broadcast_id JOIN users u ON u.id = b.owner_id ",
            $rest
        )
    };
}

impl Store {
    /// The broadcast is to have a replay.
    ///
    /// Errors: `Conflict` when it has one, `NotFound` for an unknown broadcast.
    pub async fn create_replay(&self, id: &str, visibility: ReplayVisibility) -> Result<(), Error> {
        let query = sqlx::query(
            "INSERT INTO replays (broadcast_id, visibility, state, duration_ms, bytes, lost_ms) \
             VALUES ($1, $2, 'WAITING', 0, 0, 0)",
        )
        .bind(id)
        .bind(visibility.as_str());
        self.write("create a replay", async |db| query.execute(db).await).await.map(drop)
    }

    /// The replay of that broadcast, in whatever state.
    pub async fn replay(&self, id: &str) -> Result<Option<Replay>, Error> {
        let query = sqlx::query_as::<_, Row>(select!("WHERE r.broadcast_id = $1")).bind(id);
        let row = self.read("look up a replay", async |db| query.fetch_optional(db).await).await?;
        row.map(Replay::try_from).transpose()
    }

    /// The public replays that are READY and not empty, newest first, captured before `before_ms`; at most 200.
    pub async fn public_replays(&self, before_ms: i64, limit: u32) -> Result<Vec<Replay>, Error> {
        let query = sqlx::query_as::<_, Row>(select!(
            "WHERE r.state = 'READY' AND r.visibility = 'public' AND r.captured_ms < $1 \
             ORDER BY r.captured_ms DESC, b.id LIMIT $2"
        ))
        .bind(before_ms)
        .bind(i64::from(limit).min(LIST_MAX));
        self.replays("list replays", async |db| query.fetch_all(db).await).await
    }

    /// The replays of a user that hold something, newest first, at most 200.
    pub async fn replays_of(&self, owner: &str) -> Result<Vec<Replay>, Error> {
        let query = sqlx::query_as::<_, Row>(select!(
            "WHERE b.owner_id = $1 AND r.state IN ('RECORDING', 'READY') AND r.captured_ms IS NOT NULL \
             ORDER BY r.captured_ms DESC, b.id LIMIT $2"
        ))
        .bind(owner)
        .bind(LIST_MAX);
        self.replays("list a user's replays", async |db| query.fetch_all(db).await).await
    }

    /// Every replay but those that are going, oldest first: what retention decides on.
    pub async fn kept_replays(&self) -> Result<Vec<Replay>, Error> {
        let query = sqlx::query_as::<_, Row>(select!("WHERE r.state <> 'DELETING' ORDER BY r.captured_ms, b.id"));
        self.replays("list what is kept", async |db| query.fetch_all(db).await).await
    }

    /// The replays whose media is to be removed.
    pub async fn deleting_replays(&self) -> Result<Vec<Replay>, Error> {
        let query = sqlx::query_as::<_, Row>(select!("WHERE r.state = 'DELETING' ORDER BY b.id"));
        self.replays("list what is deleted", async |db| query.fetch_all(db).await).await
    }

    /// So much is recorded. Does nothing for a replay that is READY or going.
    pub async fn replay_progress(&self, id: &str, recorded: Recorded) -> Result<(), Error> {
        let query = sqlx::query(
            "UPDATE replays SET state = 'RECORDING', duration_ms = $2, bytes = $3, lost_ms = $4, captured_ms = $5 \
             WHERE broadcast_id = $1 AND state IN ('WAITING', 'RECORDING')",
        )
        .bind(id)
        .bind(recorded.duration_ms)
        .bind(recorded.bytes)
        .bind(recorded.lost_ms)
        .bind(recorded.captured_ms);
        self.write("note how far a recording is", async |db| query.execute(db).await).await.map(drop)
    }

    /// The recording is whole. Does nothing for a replay that is READY or going.
    pub async fn replay_ready(&self, id: &str, recorded: Recorded, at_ms: i64) -> Result<(), Error> {
        let query = sqlx::query(
            "UPDATE replays SET state = 'READY', duration_ms = $2, bytes = $3, lost_ms = $4, captured_ms = $5, \
             finished_ms = $6 WHERE broadcast_id = $1 AND state IN ('WAITING', 'RECORDING')",
        )
        .bind(id)
        .bind(recorded.duration_ms)
        .bind(recorded.bytes)
        .bind(recorded.lost_ms)
        .bind(recorded.captured_ms)
        .bind(at_ms);
        self.write("finish a replay", async |db| query.execute(db).await).await.map(drop)
    }

    /// Who may watch it from now on.
    ///
    /// Errors: `NotFound`, for one that is going too.
    pub async fn set_replay_visibility(&self, id: &str, visibility: ReplayVisibility) -> Result<(), Error> {
        let query = sqlx::query("UPDATE replays SET visibility = $2 WHERE broadcast_id = $1 AND state <> 'DELETING'")
            .bind(id)
            .bind(visibility.as_str());
        self.touch(id, "change a replay's visibility", async |db| query.execute(db).await).await
    }

    /// Nobody may watch it any more; its media is to be removed.
    ///
    /// Errors: `NotFound`.
    pub async fn delete_replay(&self, id: &str) -> Result<(), Error> {
        let query = sqlx::query("UPDATE replays SET state = 'DELETING' WHERE broadcast_id = $1").bind(id);
        self.touch(id, "delete a replay", async |db| query.execute(db).await).await
    }

    /// Its media is gone.
    pub async fn forget_replay(&self, id: &str) -> Result<(), Error> {
        let query = sqlx::query("DELETE FROM replays WHERE broadcast_id = $1 AND state = 'DELETING'").bind(id);
        self.write("forget a replay", async |db| query.execute(db).await).await.map(drop)
    }

    async fn replays(
        &self,
        doing: &'static str,
        fetch: impl AsyncFnOnce(&mut Connection) -> sqlx::Result<Vec<Row>>,
    ) -> Result<Vec<Replay>, Error> {
        self.read(doing, fetch).await?.into_iter().map(Replay::try_from).collect()
    }

    async fn touch(
        &self,
        id: &str,
        doing: &'static str,
        update: impl AsyncFnOnce(&mut Connection) -> sqlx::Result<QueryResult>,
    ) -> Result<(), Error> {
        match self.write(doing, update).await?.rows_affected() {
            0 => Err(Error::not_found(format!("replay {id}"))),
            _ => Ok(()),
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
    broadcast_state: String,
    visibility: String,
    state: String,
    duration_ms: i64,
    bytes: i64,
    lost_ms: i64,
    captured_ms: Option<i64>,
    finished_ms: Option<i64>,
}

impl TryFrom<Row> for Replay {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let unreadable =
            |what: &str, value: &str| Error::Corrupt { what: format!("replay {}: {what} {value}", row.id) };
        let visibility = ReplayVisibility::parse(&row.visibility);
        Ok(Self {
            visibility: visibility.ok_or_else(|| unreadable("visibility", &row.visibility))?,
            state: ReplayState::parse(&row.state).ok_or_else(|| unreadable("state", &row.state))?,
            over: matches!(row.broadcast_state.as_str(), "ENDED" | "TIMED_OUT"),
            owner: User { id: row.owner_id, name: row.owner_name },
            id: row.id,
            title: row.title,
            duration_ms: row.duration_ms,
            bytes: row.bytes,
            lost_ms: row.lost_ms,
            captured_ms: row.captured_ms,
            finished_ms: row.finished_ms,
        })
    }
}

impl ReplayVisibility {
    /// The word in the database and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Unlisted => "unlisted",
            Self::Private => "private",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Public, Self::Unlisted, Self::Private].into_iter().find(|visibility| visibility.as_str() == word)
    }
}

impl ReplayState {
    fn parse(word: &str) -> Option<Self> {
        match word {
            "WAITING" => Some(Self::Waiting),
            "RECORDING" => Some(Self::Recording),
            "READY" => Some(Self::Ready),
            "DELETING" => Some(Self::Deleting),
            _ => None,
        }
    }
}
