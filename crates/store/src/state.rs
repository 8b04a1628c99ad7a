//! The states of a broadcast, and their words.

use serde::{Deserialize, Serialize};

/// Where a broadcast is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum State {
    /// Announced; no publisher was seen yet.
    NotStarted,
    /// Live, or interrupted within the grace.
    Running,
    /// Over: somebody said so.
    Ended,
    /// Over: the publisher vanished and the grace ran out.
    TimedOut,
}

/// The two ways of being over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    Ended,
    TimedOut,
}

impl State {
    /// The word in the database and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotStarted => "NOT_STARTED",
            Self::Running => "RUNNING",
            Self::Ended => "ENDED",
            Self::TimedOut => "TIMED_OUT",
        }
    }

    /// ENDED or TIMED_OUT.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Ended | Self::TimedOut)
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        [Self::NotStarted, Self::Running, Self::Ended, Self::TimedOut].into_iter().find(|state| state.as_str() == word)
    }
}

impl From<Over> for State {
    fn from(over: Over) -> Self {
        match over {
            Over::Ended => Self::Ended,
            Over::TimedOut => Self::TimedOut,
        }
    }
}
