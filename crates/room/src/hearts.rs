//! Hearts: counted by colour, told as a gauge, stored by the second.

use std::collections::BTreeMap;

use store::{COLOURS, HeartSecond};

pub(crate) type Colours = [u32; COLOURS];

/// Seconds that may wait for the store; further ones are added to the last of them, so that the sum stays right.
const SECONDS_MAX: usize = 300;

/// A room's hearts.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    /// Of the store, when the room was opened.
    before: i64,
    /// Delivered by the bus since.
    since: i64,
    /// Of those, already in the store.
    saved: i64,
    gauge: Colours,
    to_publish: Colours,
    to_save: BTreeMap<i64, Colours>,
}

impl Counter {
    /// Taps of somebody here, for the second of capture `at_s`.
    pub fn tap(&mut self, n: u32, colour: usize, at_s: i64) {
        add_one(&mut self.to_publish, colour, n);
        let full = self.to_save.len() >= SECONDS_MAX && !self.to_save.contains_key(&at_s);
        let at_s = if full { self.to_save.keys().next_back().copied().unwrap_or(at_s) } else { at_s };
        add_one(self.to_save.entry(at_s).or_default(), colour, n);
    }

    /// What other nodes, and this one by way of the bus, have to know.
    pub fn take_to_publish(&mut self) -> Option<Colours> {
        take(&mut self.to_publish)
    }

    /// The bus delivers.
    pub fn deliver(&mut self, colours: Colours) {
        self.since += sum(&colours);
        merge(&mut self.gauge, &colours);
    }

    /// What has come since the last gauge.
    pub fn take_gauge(&mut self) -> Option<Colours> {
        take(&mut self.gauge)
    }

    pub fn total(&self) -> i64 {
        self.before + self.since
    }

    pub fn has_unsaved(&self) -> bool {
        !self.to_save.is_empty()
    }

    pub fn take_to_save(&mut self) -> Vec<HeartSecond> {
        std::mem::take(&mut self.to_save).into_iter().map(|(at_s, colours)| HeartSecond { at_s, colours }).collect()
    }

    /// The store has them.
    pub fn saved(&mut self, seconds: &[HeartSecond]) {
        self.saved += seconds.iter().map(HeartSecond::total).sum::<i64>();
    }

    /// The store certainly does not have them.
    pub fn not_saved(&mut self, seconds: &[HeartSecond]) {
        for second in seconds {
            merge(self.to_save.entry(second.at_s).or_default(), &second.colours);
        }
    }

    /// What the store counts now; none of ours may be on its way there.
    pub fn set_stored(&mut self, stored: i64) {
        self.before = stored - self.saved;
    }
}

fn add_one(colours: &mut Colours, colour: usize, n: u32) {
    if let Some(count) = colours.get_mut(colour) {
        *count = count.saturating_add(n);
    }
}

fn merge(into: &mut Colours, from: &Colours) {
    for (colour, n) in from.iter().enumerate() {
        add_one(into, colour, *n);
    }
}

fn sum(colours: &Colours) -> i64 {
    colours.iter().copied().map(i64::from).sum()
}

fn take(colours: &mut Colours) -> Option<Colours> {
    let taken = std::mem::take(colours);
    (sum(&taken) > 0).then_some(taken)
}
