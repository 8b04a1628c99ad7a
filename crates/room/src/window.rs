//! The last events of a room, for those who come back soon.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::event::Event;

/// Consecutive offsets, the newest last.
#[derive(Debug)]
pub(crate) struct Window {
    events: VecDeque<Arc<Event>>,
    max: usize,
    /// Offset of the newest event ever pushed, 0 before the first.
    last: i64,
}

impl Window {
    /// Empty, after offset `last`.
    pub fn new(max: usize, last: i64) -> Self {
        Self { events: VecDeque::new(), max, last }
    }

    pub fn last(&self) -> i64 {
        self.last
    }

    /// The offset after which everything is here.
    pub fn reaches(&self) -> i64 {
        self.events.front().map_or(self.last, |event| event.offset - 1)
    }

    /// Add the next event; false (and nothing happens) when its offset is not the next.
    pub fn push(&mut self, event: Arc<Event>) -> bool {
        if event.offset != self.last + 1 {
            return false;
        }
        self.last = event.offset;
        self.events.push_back(event);
        if self.events.len() > self.max {
            self.events.pop_front();
        }
        true
    }

    /// The events in (`after`, `until`] that are here, oldest first.
    pub fn between(&self, after: i64, until: i64) -> impl Iterator<Item = &Arc<Event>> + Clone {
        let skip = usize::try_from(after - self.reaches()).unwrap_or(0);
        self.events.range(skip.min(self.events.len())..).take_while(move |event| event.offset <= until)
    }
}
