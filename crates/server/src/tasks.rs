//! Tasks that somebody waits for at the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Counts the tasks it has spawned. Clones share.
#[derive(Clone, Default)]
pub struct Tasks {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    running: AtomicUsize,
    done: Notify,
}

/// A task's place in the count, given up however it ends.
struct Place(Arc<Shared>);

impl Tasks {
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.shared.running.fetch_add(1, Ordering::AcqRel);
        let place = Place(self.shared.clone());
        tokio::spawn(async move {
            let _place = place;
            task.await;
        });
    }

    /// Tasks that have not ended.
    pub fn len(&self) -> usize {
        self.shared.running.load(Ordering::Acquire)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits until none is left.
    pub async fn wait(&self) {
        loop {
            let done = self.shared.done.notified();
            if self.is_empty() {
                return;
            }
            done.await;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.0.running.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.done.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waiting_ends_when_the_last_task_has_ended_even_by_panic() {
        let tasks = Tasks::default();
        for seconds in 1..=3 {
            tasks.spawn(tokio::time::sleep(std::time::Duration::from_secs(seconds)));
        }
        tasks.spawn(async { std::panic::resume_unwind(Box::new("on purpose")) });
        let start = tokio::time::Instant::now();
        tasks.wait().await;
        assert_eq!(start.elapsed().as_secs(), 3);
    }
}
