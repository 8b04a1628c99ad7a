//! Who is signed in. Only the SHA-256 of a session's token is known here.

use crate::engine::Connection;
use crate::error::Error;
use crate::store::{Store, now_ms};
use crate::users::User;
use crate::writer::Work;

/// A session's last use is noted at most this often: a page view must not cost a write.
const SEEN_EVERY_MS: i64 = 60_000;

impl Store {
    /// Remember a session of `user` (an id) until `expires_ms`.
    ///
    /// Errors: `NotFound` for an unknown user, `Conflict` for a token in use.
    pub async fn create_session(&self, token_hash: [u8; 32], user: &str, expires_ms: i64) -> Result<(), Error> {
        let now_ms = now_ms();
        let query = sqlx::query(
            "INSERT INTO sessions (token_hash, user_id, created_ms, expires_ms, seen_ms) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(token_hash.to_vec())
        .bind(user)
        .bind(now_ms)
        .bind(expires_ms)
        .bind(now_ms);
        self.write("create a session", async |db| query.execute(db).await).await.map(drop)
    }

    /// The user of a session that has not expired at `now_ms`. Notes the use, without waiting for it.
    pub async fn session_user(&self, token_hash: [u8; 32], now_ms: i64) -> Result<Option<User>, Error> {
        let query = sqlx::query_as(
            "SELECT u.id, u.name, s.seen_ms FROM sessions s JOIN users u ON u.id = s.user_id \
             WHERE s.token_hash = $1 AND s.expires_ms > $2",
        )
        .bind(token_hash.to_vec())
        .bind(now_ms);
        let row: Option<(String, String, i64)> =
            self.read("look up a session", async |db| query.fetch_optional(db).await).await?;
        let Some((id, name, seen_ms)) = row else { return Ok(None) };
        if now_ms.saturating_sub(seen_ms) >= SEEN_EVERY_MS {
            self.submit_and_forget(Work::Seen { token_hash, at_ms: now_ms });
        }
        Ok(Some(User { id, name }))
    }

    /// Forget a session; no error when there is none.
    pub async fn delete_session(&self, token_hash: [u8; 32]) -> Result<(), Error> {
        let query = sqlx::query("DELETE FROM sessions WHERE token_hash = $1").bind(token_hash.to_vec());
        self.write("delete a session", async |db| query.execute(db).await).await.map(drop)
    }

    /// Forget the sessions that have expired at `now_ms`; gives their number.
    pub async fn purge_expired(&self, now_ms: i64) -> Result<u64, Error> {
        let query = sqlx::query("DELETE FROM sessions WHERE expires_ms <= $1").bind(now_ms);
        let done = self.write("purge sessions", async |db| query.execute(db).await).await?;
        Ok(done.rows_affected())
    }
}

/// Note a session's use.
pub(crate) async fn seen(db: &mut Connection, token_hash: &[u8; 32], at_ms: i64) -> sqlx::Result<()> {
    let query = sqlx::query("UPDATE sessions SET seen_ms = $2 WHERE token_hash = $1 AND seen_ms < $2");
    query.bind(token_hash.to_vec()).bind(at_ms).execute(db).await.map(drop)
}
