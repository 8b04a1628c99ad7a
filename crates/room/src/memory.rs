//! What a room needs of the store, and nothing more. Tests stall it here.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use store::{Broadcast, Error, HeartSecond, NewEvent, Position, Store, StoredEvent};

/// What was before the room was opened.
#[derive(Debug, Clone, Default)]
pub(crate) struct Past {
    pub position: Option<Position>,
    /// Oldest first.
    pub comments: Vec<StoredEvent>,
    pub hearts: i64,
}

type Answer<T> = BoxFuture<'static, Result<T, Error>>;

pub(crate) trait Memory: Send + Sync + 'static {
    fn broadcast(&self, id: String) -> Answer<Option<Broadcast>>;
    fn past(&self, broadcast: String, comments: u32) -> Answer<Past>;
    fn append(&self, events: Vec<NewEvent>) -> Answer<()>;
    fn events_after(&self, broadcast: String, epoch: String, offset: i64, limit: u32) -> Answer<Vec<StoredEvent>>;
    fn add_hearts(&self, broadcast: String, seconds: Vec<HeartSecond>) -> Answer<()>;
}

impl Memory for Store {
    fn broadcast(&self, id: String) -> Answer<Option<Broadcast>> {
        let store = self.clone();
        async move { Self::broadcast(&store, &id).await }.boxed()
    }

    fn past(&self, broadcast: String, comments: u32) -> Answer<Past> {
        let store = self.clone();
        async move {
            let position = store.room_position(&broadcast).await?;
            let comments = store.recent_comments(&broadcast, comments).await?;
            let hearts = store.heart_total(&broadcast).await?;
            Ok(Past { position, comments, hearts })
        }
        .boxed()
    }

    fn append(&self, events: Vec<NewEvent>) -> Answer<()> {
        let store = self.clone();
        async move { store.append_events(events).await }.boxed()
    }

    fn events_after(&self, broadcast: String, epoch: String, offset: i64, limit: u32) -> Answer<Vec<StoredEvent>> {
        let store = self.clone();
        async move { Self::events_after(&store, &broadcast, &epoch, offset, limit).await }.boxed()
    }

    fn add_hearts(&self, broadcast: String, seconds: Vec<HeartSecond>) -> Answer<()> {
        let store = self.clone();
        async move { Self::add_hearts(&store, &broadcast, seconds).await }.boxed()
    }
}
