//! The road of hearts: tapped, published, told as a gauge, saved.

use metrics::counter;
use store::{Error, HeartSecond};
use tokio::time::Instant;

use super::incoming::plausible;
use super::{Machine, not_before};
use crate::bus::Message;
use crate::clock::Now;
use crate::config::{HEARTS, HEARTS_SAVE};
use crate::encode::{self, Refusal};
use crate::frame::Hearts;
use crate::metric;
use crate::outbox::Worth;
use crate::timer::Timer;

impl Machine {
    pub(super) fn tap(&mut self, now: Now, id: u64, hearts: &Hearts) {
        if self.standing.state.is_over() {
            return self.refuse(id, Refusal::Ended, "The broadcast is over.", None);
        }
        let Some(member) = self.members.get(&id) else { return };
        let habits = self.people.get_mut(&member.person.id);
        // What is above the limit is not counted and not complained about: it is only hearts.
        let granted = habits.map_or(0, |habits| habits.hearts.take(HEARTS, now.at, hearts.n));
        if granted == 0 {
            return;
        }
        counter!(metric::HEARTS).increment(u64::from(granted));
        let seen_ms = hearts.captured_ms.filter(|captured_ms| plausible(*captured_ms, now.unix_ms));
        self.hearts.tap(granted, hearts.colour, seen_ms.unwrap_or(now.unix_ms).div_euclid(1000));
        self.arm(Timer::HeartsPublish, not_before(self.last.hearts_publish, self.config.hearts_publish, now.at));
        self.arm(Timer::HeartsSave, now.at + HEARTS_SAVE);
    }

    pub(super) fn publish_hearts(&mut self, now: Instant) {
        if let Some(colours) = self.hearts.take_to_publish() {
            self.last.hearts_publish = Some(now);
            self.outgoing.push(Message::Hearts(colours));
        }
    }

    pub(super) fn tell_hearts(&mut self, now: Instant) {
        if let Some(colours) = self.hearts.take_gauge() {
            self.last.hearts_gauge = Some(now);
            self.push_all(&encode::hearts(self.hearts.total(), colours), Worth::Gauge);
        }
    }

    /// The hearts to add to the store now.
    pub fn hearts_to_save(&mut self) -> Option<Vec<HeartSecond>> {
        let due = self.log.save_hearts || (self.draining && self.hearts.has_unsaved());
        if !due || self.log.saving_hearts || self.log.asks_past() {
            return None;
        }
        self.log.save_hearts = false;
        let seconds = self.hearts.take_to_save();
        self.log.saving_hearts = !seconds.is_empty();
        self.log.saving_hearts.then_some(seconds)
    }

    /// What became of them.
    pub fn hearts_saved(&mut self, now: Now, seconds: &[HeartSecond], result: Result<(), Error>) {
        self.log.saving_hearts = false;
        match result {
            Ok(()) => self.hearts.saved(seconds),
            Err(error) => {
                self.failed(now, "hearts", &error);
                match error {
                    Error::Unavailable { .. } => self.hearts.not_saved(seconds),
                    // They may be there, and hearts must not count twice; or they never will be.
                    _ => self.hearts.saved(seconds),
                }
            }
        }
        if self.hearts.has_unsaved() && !self.draining {
            self.arm(Timer::HeartsSave, now.at + HEARTS_SAVE);
        }
    }
}
