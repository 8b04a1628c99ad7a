//! What was said in a room, in order: epoch, then offset.

use crate::engine::Connection;
use crate::error::Error;
use crate::store::Store;
use crate::writer::Work;

/// Events in one call of [`Store::append_events`].
pub const MAX_EVENTS: usize = 1000;

/// Bytes of one event's body.
pub const MAX_BODY_BYTES: usize = 8 * 1024;

/// An event to remember.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    pub broadcast: String,
    /// Names one unbroken numbering. Later epochs must sort after earlier ones, as text.
    pub epoch: String,
    /// 1, 2, 3 ... in the epoch.
    pub offset: i64,
    /// The room's name for the kind; `"comment"` is what [`Store::recent_comments`] looks for.
    pub kind: String,
    /// JSON, not looked into here.
    pub body: String,
    pub at_ms: i64,
    /// Capture time of what its sender was seeing, if any.
    pub captured_ms: Option<i64>,
}

/// A place in a room's comments by capture time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// Capture time, or when the room accepted it.
    pub time_ms: i64,
    pub epoch: String,
    pub offset: i64,
}

/// An event as it was remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    pub epoch: String,
    pub offset: i64,
    pub kind: String,
    pub body: String,
    pub at_ms: i64,
}

/// Where a room's numbering stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The latest epoch.
    pub epoch: String,
    /// The last offset in it.
    pub last_offset: i64,
}

type Row = (String, i64, String, String, i64);

impl Store {
    /// Remember events, all or none; returns when they are durable. Calls from everywhere share one commit.
    ///
    /// Errors: `NotFound` for an unknown broadcast, `Conflict` for an offset that is taken, `Invalid` beyond
    /// [`MAX_EVENTS`] or [`MAX_BODY_BYTES`], `Unavailable` (nothing written) and `Uncertain` (look with
    /// [`Store::events_after`] before writing again).
    pub async fn append_events(&self, events: Vec<NewEvent>) -> Result<(), Error> {
        if events.is_empty() {
            return Ok(());
        }
        if events.len() > MAX_EVENTS || events.iter().any(|event| event.body.len() > MAX_BODY_BYTES) {
            return Err(Error::Invalid { what: "too many events, or one too large".into() });
        }
        self.submit(Work::Append(events), "append room events").await
    }

    /// The events of an epoch after `offset`, oldest first, at most `limit`.
    pub async fn events_after(
        &self,
        broadcast: &str,
        epoch: &str,
        offset: i64,
        limit: u32,
    ) -> Result<Vec<StoredEvent>, Error> {
        let query = sqlx::query_as::<_, Row>(
            "SELECT epoch, event_offset, kind, body, at_ms FROM room_events \
             WHERE broadcast_id = $1 AND epoch = $2 AND event_offset > $3 ORDER BY event_offset LIMIT $4",
        )
        .bind(broadcast)
        .bind(epoch)
        .bind(offset)
        .bind(i64::from(limit));
        let rows = self.read("read room events", async |db| query.fetch_all(db).await).await?;
        Ok(rows.into_iter().map(StoredEvent::from).collect())
    }

    /// The last `n` comments of a room, whatever their epoch, oldest first.
    pub async fn recent_comments(&self, broadcast: &str, n: u32) -> Result<Vec<StoredEvent>, Error> {
        let query = sqlx::query_as::<_, Row>(
            "SELECT epoch, event_offset, kind, body, at_ms FROM room_events \
             WHERE broadcast_id = $1 AND kind = 'comment' ORDER BY epoch DESC, event_offset DESC LIMIT $2",
        )
        .bind(broadcast)
        .bind(i64::from(n));
        let rows = self.read("read recent comments", async |db| query.fetch_all(db).await).await?;
        Ok(rows.into_iter().rev().map(StoredEvent::from).collect())
    }

    /// The comments of a room by capture time (or, without one, by the time they were accepted), those after `after`, at most
    /// `limit`. With each its place.
    pub async fn comments_after(
        &self,
        broadcast: &str,
        after: &Moment,
        limit: u32,
    ) -> Result<Vec<(Moment, StoredEvent)>, Error> {
        let query = sqlx::query_as::<_, (i64, String, i64, String, String, i64)>(
            "SELECT COALESCE(captured_ms, at_ms), epoch, event_offset, kind, body, at_ms FROM room_events \
             WHERE broadcast_id = $1 AND kind = 'comment' \
             AND (COALESCE(captured_ms, at_ms), epoch, event_offset) > ($2, $3, $4) \
             ORDER BY COALESCE(captured_ms, at_ms), epoch, event_offset LIMIT $5",
        )
        .bind(broadcast)
        .bind(after.time_ms)
        .bind(&after.epoch)
        .bind(after.offset)
        .bind(i64::from(limit));
        let rows = self.read("read comments by capture time", async |db| query.fetch_all(db).await).await?;
        let one = |(time_ms, epoch, offset, kind, body, at_ms): (i64, String, i64, String, String, i64)| {
            (Moment { time_ms, epoch: epoch.clone(), offset }, StoredEvent { epoch, offset, kind, body, at_ms })
        };
        Ok(rows.into_iter().map(one).collect())
    }

    /// Where the room's numbering stands; `None` when nothing was said yet.
    pub async fn room_position(&self, broadcast: &str) -> Result<Option<Position>, Error> {
        let query = sqlx::query_as::<_, (String, i64)>(
            "SELECT epoch, event_offset FROM room_events \
             WHERE broadcast_id = $1 ORDER BY epoch DESC, event_offset DESC LIMIT 1",
        )
        .bind(broadcast);
        let row = self.read("read a room's position", async |db| query.fetch_optional(db).await).await?;
        Ok(row.map(|(epoch, last_offset)| Position { epoch, last_offset }))
    }
}

impl From<Row> for StoredEvent {
    fn from((epoch, offset, kind, body, at_ms): Row) -> Self {
        Self { epoch, offset, kind, body, at_ms }
    }
}

/// Write events inside the writer's transaction.
pub(crate) async fn insert(db: &mut Connection, events: &[NewEvent]) -> sqlx::Result<()> {
    for event in events {
        sqlx::query(
            "INSERT INTO room_events (broadcast_id, epoch, event_offset, kind, body, at_ms, captured_ms) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(&event.broadcast)
        .bind(&event.epoch)
        .bind(event.offset)
        .bind(&event.kind)
        .bind(&event.body)
        .bind(event.at_ms)
        .bind(event.captured_ms)
        .execute(&mut *db)
        .await?;
    }
    Ok(())
}
