//! Who may watch a replay, remembered for a moment: a player asks for a file each second or two.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use store::{Replay, ReplayState, ReplayVisibility, Store};

/// How long an answer of the database is good for.
const FRESH: Duration = Duration::from_secs(5);

/// Answers kept. When full, old ones go.
const KEPT: usize = 4096;

/// What decides about one replay.
#[derive(Clone, Debug)]
pub struct Rule {
    owner: String,
    visibility: ReplayVisibility,
    /// The broadcast goes on, and whoever watches it may go back in it.
    pub live: bool,
}

impl Rule {
    /// Whether the address alone is enough.
    pub fn is_open(&self) -> bool {
        self.visibility != ReplayVisibility::Private
    }

    pub fn is_owner(&self, user: Option<&store::User>) -> bool {
        user.is_some_and(|user| user.id == self.owner)
    }
}

/// By replay: when it was asked for, and what there was.
type Known = HashMap<String, (Instant, Option<Rule>)>;

/// The rules of the replays asked for lately. Clones share.
#[derive(Clone, Default)]
pub struct Access {
    known: Arc<Mutex<Known>>,
}

impl Access {
    /// The rule for a replay; `None` when there is none. A database that does not answer leaves an old answer standing.
    pub async fn rule(&self, store: &Store, id: &str) -> Result<Option<Rule>, store::Error> {
        let known = self.lock().get(id).cloned();
        if let Some((_, rule)) = known.as_ref().filter(|(asked, _)| asked.elapsed() < FRESH) {
            return Ok(rule.clone());
        }
        match (store.replay(id).await, known) {
            (Ok(row), _) => {
                let rule = row.and_then(rule);
                let mut known = self.lock();
                if known.len() >= KEPT {
                    known.retain(|_, (asked, _)| asked.elapsed() < FRESH);
                }
                if known.len() < KEPT {
                    known.insert(id.to_owned(), (Instant::now(), rule.clone()));
                }
                Ok(rule)
            }
            (Err(error), Some((_, rule))) if error.is_unavailable() => Ok(rule),
            (Err(error), _) => Err(error),
        }
    }

    /// The rule has changed.
    pub fn forget(&self, id: &str) {
        self.lock().remove(id);
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().expect("no panic happens under this lock")
    }
}

fn rule(row: Replay) -> Option<Rule> {
    let live = !row.over;
    (row.state != ReplayState::Deleting).then_some(Rule { owner: row.owner.id, visibility: row.visibility, live })
}
