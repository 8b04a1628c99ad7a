//! What can go wrong with the database, as the callers have to tell it apart.

/// Why a call on the store did not do what it says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A value that must be unique is taken, or the row is in a state that does not allow the change.
    #[error("conflict: {what}")]
    Conflict { what: String },
    /// The row that the call is about does not exist.
    #[error("no such {what}")]
    NotFound { what: String },
    /// The caller asked for something outside the documented bounds; nothing was written.
    #[error("invalid: {what}")]
    Invalid { what: String },
    /// The database did not answer in time, or refused. Nothing was written: the call may be made again.
    #[error("database unavailable while it should {doing}: {reason}")]
    Unavailable { doing: &'static str, reason: String },
    /// The time ran out while a write was under way: it may have happened or not. Read before writing again.
    #[error("database did not confirm in time that it could {doing}")]
    Uncertain { doing: &'static str },
    /// A stored value is not one this release can read.
    #[error("unreadable row: {what}")]
    Corrupt { what: String },
    /// The database could not be opened or brought up to date.
    #[error("cannot open database {place}: {reason}")]
    Open { place: String, reason: String },
}

impl Error {
    /// The database is the problem, not the request: answer "try again later".
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Uncertain { .. })
    }

    pub(crate) fn conflict(what: impl Into<String>) -> Self {
        Self::Conflict { what: what.into() }
    }

    pub(crate) fn not_found(what: impl Into<String>) -> Self {
        Self::NotFound { what: what.into() }
    }

    pub(crate) fn timed_out(doing: &'static str) -> Self {
        Self::Unavailable { doing, reason: "no answer in time".into() }
    }

    /// Sort an error of the driver. `doing` completes the sentence "while it should ...".
    pub(crate) fn from_sqlx(doing: &'static str, error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(cause) if cause.is_unique_violation() => Self::conflict(doing),
            sqlx::Error::Database(cause) if cause.is_foreign_key_violation() => {
                Self::not_found(format!("row to refer to, to {doing}"))
            }
            sqlx::Error::Database(cause) if cause.is_check_violation() => Self::Invalid { what: doing.into() },
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => Self::Corrupt { what: error.to_string() },
            _ => Self::Unavailable { doing, reason: error.to_string() },
        }
    }
}
