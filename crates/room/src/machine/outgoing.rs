//! The timers, and what they send.

use std::collections::HashSet;
use std::sync::Arc;

use metrics::counter;
use tokio::time::Instant;

use super::Machine;
use crate::clock::Now;
use crate::encode::{self, Frame};
use crate::event::Event;
use crate::metric;
use crate::outbox::{Outbox, Pushed, Worth};
use crate::timer::Timer;

impl Machine {
    /// When to call [`Machine::timeout`].
    pub fn next_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Do what is due.
    pub fn timeout(&mut self, now: Now) {
        while let Some(timer) = self.timers.take_due(now.at) {
            match timer {
                Timer::Flush => self.flush(now.at),
                Timer::HeartsPublish => self.publish_hearts(now.at),
                Timer::HeartsGauge => self.tell_hearts(now.at),
                Timer::HeartsSave => self.log.save_hearts = true,
                Timer::Viewers => self.tell_viewers(now.at),
                Timer::LateState => self.tell_late_state(),
                Timer::StoreRetry => self.log.retry(),
                Timer::Forget => self.forget(now.at),
            }
        }
    }

    /// Send the events that have come: one frame for all, and one for each of those whose own words are not in it.
    fn flush(&mut self, now: Instant) {
        let events = std::mem::take(&mut self.fresh);
        let Some(newest) = events.last() else { return };
        self.last.flush = Some(now);
        self.flushed = newest.offset;
        let chosen = self.sampler.choose(now, events.iter().map(|event| &**event));
        let choice = || events.iter().zip(&chosen);
        let shared = encode::batch(choice().filter(|(_, chosen)| **chosen).map(|(event, _)| event.json.as_str()));
        let left_out: HashSet<&str> = choice()
            .filter(|(_, chosen)| !**chosen)
            .filter_map(|(event, _)| event.comment())
            .map(|said| said.who.id.as_str())
            .collect();
        counter!(metric::ENCODED).increment(1);
        counter!(metric::SAMPLED_OUT).increment(chosen.iter().filter(|chosen| !**chosen).count() as u64);
        let mut tally = Tally::default();
        for member in self.members.values() {
            let own = &member.person.id;
            if !left_out.contains(own.as_str()) {
                if let Some(shared) = &shared {
                    tally.push(&member.outbox, shared, Worth::Keep);
                }
                continue;
            }
            // In one frame and in order: a connection that breaks between two would lose one of them for good.
            let mine = |event: &Event| event.comment().is_some_and(|said| said.who.id == *own);
            let kept = choice().filter(|(event, chosen)| **chosen || mine(event));
            if let Some(frame) = encode::batch(kept.map(|(event, _)| event.json.as_str())) {
                tally.push(&member.outbox, &frame, Worth::Keep);
            }
        }
        tally.count();
        self.remember(events);
    }

    /// Keep the last comments for newcomers.
    fn remember(&mut self, events: Vec<Arc<Event>>) {
        self.recent.extend(events.into_iter().filter(|event| event.comment().is_some()));
        let surplus = self.recent.len().saturating_sub(self.config.snapshot_comments);
        self.recent.drain(..surplus);
    }

    fn tell_viewers(&mut self, now: Instant) {
        for member in self.members.values_mut() {
            member.playing = member.playing.filter(|(_, until)| now < *until);
        }
        let viewers = self.viewers(now);
        if viewers != self.viewers_told {
            self.viewers_told = viewers;
            self.last.viewers = Some(now);
            self.push_all(&encode::viewers(viewers), Worth::Gauge);
        }
        if viewers > 0 {
            // Reports run out without anybody saying so.
            self.arm(Timer::Viewers, now + self.config.viewers_gauge);
        }
    }

    /// The store keeps a change of state waiting; the viewers must not wait with it.
    fn tell_late_state(&mut self) {
        if !self.log.has_state() {
            return;
        }
        if let Some(frame) = encode::batch(std::iter::once(self.standing.unnumbered().as_str())) {
            self.push_all(&frame, Worth::Keep);
        }
    }

    fn forget(&mut self, now: Instant) {
        self.people.retain(|_, habits| habits.forget_at.is_none_or(|at| now < at));
        if let Some(next) = self.people.values().filter_map(|habits| habits.forget_at).min() {
            self.arm(Timer::Forget, next);
        }
    }

    pub(super) fn push_all(&self, frame: &Frame, worth: Worth) {
        let mut tally = Tally::default();
        for member in self.members.values() {
            tally.push(&member.outbox, frame, worth);
        }
        tally.count();
    }
}

/// What became of frames, counted once for a whole room: a counter costs more than a push.
#[derive(Default)]
pub(super) struct Tally {
    queued: u64,
    bytes: u64,
    dropped: u64,
    overflowed: u64,
}

impl Tally {
    pub fn push(&mut self, outbox: &Outbox, frame: &Frame, worth: Worth) {
        match outbox.push(frame, worth) {
            Pushed::Queued => {
                self.queued += 1;
                self.bytes += frame.size_bytes() as u64;
            }
            Pushed::Dropped => self.dropped += 1,
            Pushed::Overflowed => self.overflowed += 1,
            Pushed::Closed => {}
        }
    }

    pub fn count(self) {
        let counts = [
            (metric::FRAMES, self.queued),
            (metric::FRAME_BYTES, self.bytes),
            (metric::GAUGES_DROPPED, self.dropped),
            (metric::SLOW, self.overflowed),
        ];
        for (name, n) in counts.into_iter().filter(|(_, n)| *n > 0) {
            counter!(name).increment(n);
        }
    }
}
