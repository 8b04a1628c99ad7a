//! The engine underneath: types, how it is opened, its migrations, and the words it spells in its own way.
//!
//! Every other file is written in SQL that SQLite and PostgreSQL share: `$1` placeholders, `ON CONFLICT`, no
//! engine's own functions. A second engine is added here, and with a folder beside `migrations/sqlite`.

use std::str::FromStr;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{SqlSafeStr, SqlitePool};

use crate::store::{Config, Place};

pub(crate) type Pool = SqlitePool;
pub(crate) type Connection = sqlx::SqliteConnection;
pub(crate) type QueryResult = sqlx::sqlite::SqliteQueryResult;

/// Opens a transaction that will write. SQLite takes the write lock here: taking it later, after a read, can fail
/// without waiting.
pub(crate) const BEGIN_WRITE: &str = "BEGIN IMMEDIATE";

/// Pages of write-ahead log before SQLite folds it back into the file (4 KiB each, so 4 MiB).
const WAL_PAGES: &str = "1000";

/// The two ways into the database.
pub(crate) struct Pools {
    pub read: Pool,
    /// One connection: SQLite has one writer, so waiting in line here is cheaper than colliding there.
    pub write: Pool,
}

/// Open, creating the file when it is missing, and bring the schema up to date.
pub(crate) async fn open(config: &Config) -> Result<Pools, String> {
    let pools = match &config.place {
        Place::Memory => {
            // A memory database lives as long as its connection, so there is one, for everything.
            let options = SqliteConnectOptions::from_str("sqlite::memory:").map_err(|e| e.to_string())?;
            let only = pool(config, 1).connect_with(tuned(options, config)).await.map_err(|e| e.to_string())?;
            Pools { read: only.clone(), write: only }
        }
        Place::File(path) => {
            let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
            let options = tuned(options, config)
                .journal_mode(SqliteJournalMode::Wal)
                // An answered comment survives a power cut; the group commit pays for it.
                .synchronous(SqliteSynchronous::Full)
                .pragma("wal_autocheckpoint", WAL_PAGES);
            let write = pool(config, 1).connect_with(options.clone()).await.map_err(|e| e.to_string())?;
            let read = pool(config, config.readers.max(1)).connect_lazy_with(options.pragma("query_only", "ON"));
            Pools { read, write }
        }
    };
    let mut connection = pools.write.acquire().await.map_err(|e| e.to_string())?;
    migrator().run(&mut *connection).await.map_err(|e| e.to_string())?;
    drop(connection);
    Ok(pools)
}

fn tuned(options: SqliteConnectOptions, config: &Config) -> SqliteConnectOptions {
    options
        .foreign_keys(true)
        // Shorter than our own patience, so that a locked file is a plain refusal and not an unknown outcome.
        .busy_timeout(config.timeout / 2)
}

fn pool(config: &Config, connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(config.timeout)
        .idle_timeout(None)
        .max_lifetime(None)
        // A connection to a file does not go stale, and the test would wait where the statement must not.
        .test_before_acquire(false)
}

/// The schema's history, oldest first. A migration must work with the release before it.
fn migrator() -> Migrator {
    let migrations = [
        (1, "first", include_str!("../migrations/sqlite/0001_first.sql")),
        (2, "replays", include_str!("../migrations/sqlite/0002_replays.sql")),
    ];
    Migrator::with_migrations(
        migrations
            .into_iter()
            .map(|(version, name, sql)| {
                Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
            })
            .collect(),
    )
}
