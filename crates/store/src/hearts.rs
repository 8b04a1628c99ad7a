//! Hearts: a row per second and broadcast for the replay's graph, and the total beside it.

use crate::engine::Connection;
use crate::error::Error;
use crate::store::Store;
use crate::writer::Work;

/// Colours a heart can have.
pub const COLOURS: usize = 6;

/// Seconds in one call of [`Store::add_hearts`].
const MAX_SECONDS: usize = 1000;

/// The hearts of one second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeartSecond {
    /// Unix second of capture of what the senders saw.
    pub at_s: i64,
    /// How many of each colour.
    pub colours: [u32; COLOURS],
}

impl HeartSecond {
    pub fn total(&self) -> i64 {
        self.colours.iter().copied().map(i64::from).sum()
    }
}

type Row = (i64, i64, i64, i64, i64, i64, i64);

impl Store {
    /// Add hearts to their seconds and to the total; returns when durable, in the commit of the room events.
    ///
    /// Errors: as [`Store::append_events`], without `Conflict`: hearts add up.
    pub async fn add_hearts(&self, broadcast: &str, seconds: Vec<HeartSecond>) -> Result<(), Error> {
        if seconds.is_empty() {
            return Ok(());
        }
        if seconds.len() > MAX_SECONDS {
            return Err(Error::Invalid { what: "too many seconds of hearts".into() });
        }
        self.submit(Work::Hearts { broadcast: broadcast.to_string(), seconds }, "add hearts").await
    }

    /// All hearts a broadcast ever got.
    pub async fn heart_total(&self, broadcast: &str) -> Result<i64, Error> {
        let query =
            sqlx::query_as::<_, (i64,)>("SELECT total FROM heart_totals WHERE broadcast_id = $1").bind(broadcast);
        let row = self.read("read a heart total", async |db| query.fetch_optional(db).await).await?;
        Ok(row.map_or(0, |(total,)| total))
    }

    /// The hearts of a broadcast from second `from_s` on, oldest first, at most `limit` seconds.
    pub async fn hearts(&self, broadcast: &str, from_s: i64, limit: u32) -> Result<Vec<HeartSecond>, Error> {
        let query = sqlx::query_as::<_, Row>(
            "SELECT at_s, colour0, colour1, colour2, colour3, colour4, colour5 FROM hearts \
             WHERE broadcast_id = $1 AND at_s >= $2 ORDER BY at_s LIMIT $3",
        )
        .bind(broadcast)
        .bind(from_s)
        .bind(i64::from(limit));
        let rows = self.read("read hearts", async |db| query.fetch_all(db).await).await?;
        Ok(rows.into_iter().map(HeartSecond::from).collect())
    }
}

impl From<Row> for HeartSecond {
    fn from((at_s, c0, c1, c2, c3, c4, c5): Row) -> Self {
        Self { at_s, colours: [c0, c1, c2, c3, c4, c5].map(|n| u32::try_from(n).unwrap_or(u32::MAX)) }
    }
}

/// Add inside the writer's transaction.
pub(crate) async fn add(db: &mut Connection, broadcast: &str, seconds: &[HeartSecond]) -> sqlx::Result<()> {
    for second in seconds {
        let mut query = sqlx::query(
            "INSERT INTO hearts (broadcast_id, at_s, colour0, colour1, colour2, colour3, colour4, colour5) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (broadcast_id, at_s) DO UPDATE SET \
             colour0 = hearts.colour0 + excluded.colour0, colour1 = hearts.colour1 + excluded.colour1, \
             colour2 = hearts.colour2 + excluded.colour2, colour3 = hearts.colour3 + excluded.colour3, \
             colour4 = hearts.colour4 + excluded.colour4, colour5 = hearts.colour5 + excluded.colour5",
        )
        .bind(broadcast)
        .bind(second.at_s);
        for n in second.colours {
            query = query.bind(i64::from(n));
        }
        query.execute(&mut *db).await?;
    }
    sqlx::query(
        "INSERT INTO heart_totals (broadcast_id, total) VALUES ($1, $2) \
         ON CONFLICT (broadcast_id) DO UPDATE SET total = heart_totals.total + excluded.total",
    )
    .bind(broadcast)
    .bind(seconds.iter().map(HeartSecond::total).sum::<i64>())
    .execute(&mut *db)
    .await
    .map(drop)
}
