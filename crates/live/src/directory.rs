//! The broadcasts this node can serve.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use moq_net::{broadcast, origin};

use crate::{Broadcast, Settings, WriteError};

/// Why a broadcast could not be opened here.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// The moq origin refused the path.
    #[error("broadcast {id}: {source}")]
    Origin { id: String, source: moq_net::Error },
    /// Its tracks could not be made.
    #[error("broadcast {id}: {source}")]
    Open { id: String, source: WriteError },
}

/// All broadcasts of a node, by id. Clones share.
#[derive(Clone, Default)]
pub struct Directory {
    origin: Option<origin::Producer>,
    broadcasts: Arc<Mutex<HashMap<String, Broadcast>>>,
}

impl Directory {
    /// Announces every broadcast on `origin`, where MoQ sessions and other nodes find it.
    pub fn new(origin: origin::Producer) -> Self {
        Self { origin: Some(origin), broadcasts: Arc::default() }
    }

    /// Serves this process alone.
    pub fn standalone() -> Self {
        Self::default()
    }

    /// The broadcast `id`, opened now if it was not.
    pub fn open(&self, id: &str, settings: Settings) -> Result<Broadcast, DirectoryError> {
        let mut broadcasts = self.lock();
        if let Some(broadcast) = broadcasts.get(id) {
            return Ok(broadcast.clone());
        }
        let producer = match &self.origin {
            Some(origin) => origin
                .publish(id, origin::Route::default())
                .map_err(|source| DirectoryError::Origin { id: id.to_owned(), source })?,
            None => broadcast::Info::new().produce(),
        };
        let broadcast = Broadcast::new(id, producer, settings)
            .map_err(|source| DirectoryError::Open { id: id.to_owned(), source })?;
        broadcasts.insert(id.to_owned(), broadcast.clone());
        Ok(broadcast)
    }

    pub fn get(&self, id: &str) -> Option<Broadcast> {
        self.lock().get(id).cloned()
    }

    /// Ends the broadcast and forgets it.
    pub fn remove(&self, id: &str) {
        if let Some(broadcast) = self.lock().remove(id) {
            broadcast.end();
        }
    }

    /// All broadcasts, in no order.
    pub fn all(&self) -> Vec<Broadcast> {
        self.lock().values().cloned().collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Broadcast>> {
        self.broadcasts.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
