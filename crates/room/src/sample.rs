//! Which content everyone gets when there is more than anyone can read.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::event::{Body, Event, Role};

const SECOND: Duration = Duration::from_secs(1);

/// Keeps the shared frames of a room within a rate over any second.
#[derive(Debug)]
pub(crate) struct Sampler {
    per_s: usize,
    flush: Duration,
    /// Content of the last second's flushes, and how much of it was left out.
    past: VecDeque<(Instant, usize, usize)>,
}

impl Sampler {
    pub fn new(per_s: usize, flush: Duration) -> Self {
        Self { per_s, flush, past: VecDeque::new() }
    }

    /// For each event, whether everyone gets it. Control and the broadcaster's own words always; of the rest, as
    /// many as the second still has room for, spread evenly, so that being first is no advantage.
    pub fn choose<'a>(&mut self, now: Instant, events: impl Iterator<Item = &'a Event> + Clone) -> Vec<bool> {
        while self.past.front().is_some_and(|(at, ..)| now.saturating_duration_since(*at) >= SECOND) {
            self.past.pop_front();
        }
        let must = events.clone().filter(|event| class(event) == Class::Must).count();
        let may = events.clone().filter(|event| class(event) == Class::May).count();
        let chosen = self.budget().saturating_sub(must).min(may);
        let mut nth = 0;
        let choice = events
            .map(|event| match class(event) {
                Class::Control | Class::Must => true,
                Class::May => {
                    nth += 1;
                    // Steps `chosen` times over `may` turns.
                    nth * chosen / may > (nth - 1) * chosen / may
                }
            })
            .collect();
        self.past.push_back((now, must + chosen, may - chosen));
        choice
    }

    fn budget(&self) -> usize {
        let sent: usize = self.past.iter().map(|(_, sent, _)| sent).sum();
        let left = self.per_s.saturating_sub(sent);
        // While a crowd shouts, each flush gets its share: the whole second at once would come in gusts.
        let crowded = self.past.iter().any(|(_, _, left_out)| *left_out > 0);
        let share = (self.per_s as f64 * self.flush.as_secs_f64()).ceil() as usize;
        if crowded { left.min(share.max(1)) } else { left }
    }
}

#[derive(PartialEq, Eq)]
enum Class {
    Control,
    /// Content that is never left out.
    Must,
    May,
}

fn class(event: &Event) -> Class {
    match &event.body {
        Some(Body::Comment(said)) if said.who.role == Role::Broadcaster => Class::Must,
        Some(Body::Comment(_)) => Class::May,
        Some(Body::State(_)) | None => Class::Control,
    }
}
