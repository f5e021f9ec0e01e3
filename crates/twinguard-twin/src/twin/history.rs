//! What the last hour held: inputs and measurements of each slot, and states to go back to.

use twinguard_types::Timestamp;

use super::engine::Engine;

/// Slots kept.
pub(super) const SLOTS: usize = 3600;
/// Slots between two saved states.
const SAVE_EVERY: usize = 60;
/// Saved states kept: one more than the slots need, for the state before the first slot.
pub(super) const SAVES: usize = SLOTS / SAVE_EVERY + 1;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Saved {
    pub(super) at: Timestamp,
    pub(super) mean: Vec<f64>,
    pub(super) u: Vec<f64>,
    pub(super) d: Vec<f64>,
    pub(super) held: Vec<f64>,
}

pub(super) struct Slot<'a> {
    pub(super) at: Timestamp,
    pub(super) held: &'a [f64],
    pub(super) measured: &'a [Option<f64>],
}

/// A ring of slots and a ring of saved states. Rings are made full at once and used again, so nothing is allocated later.
#[derive(Clone, Debug)]
pub(super) struct History {
    inputs: usize,
    outputs: usize,
    times: Vec<Timestamp>,
    held: Vec<f64>,
    measured: Vec<Option<f64>>,
    /// Slots ever pushed since the last clear; slot `i` lies at `i % SLOTS`.
    count: usize,
    /// Oldest first.
    saved: Vec<Saved>,
    since_save: usize,
}

impl History {
    pub(super) fn new(inputs: usize, outputs: usize) -> Self {
        Self {
            inputs,
            outputs,
            times: vec![Timestamp::ZERO; SLOTS],
            held: vec![0.0; SLOTS * inputs],
            measured: vec![None; SLOTS * outputs],
            count: 0,
            saved: Vec::with_capacity(SAVES),
            since_save: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) fn clear(&mut self) {
        self.count = 0;
        self.since_save = 0;
        self.saved.clear();
    }

    pub(super) fn push(&mut self, at: Timestamp, held: &[f64], measured: &[Option<f64>]) {
        let place = self.count % SLOTS;
        self.times[place] = at;
        self.held[place * self.inputs..][..self.inputs].copy_from_slice(held);
        self.measured[place * self.outputs..][..self.outputs].copy_from_slice(measured);
        self.count += 1;
    }

    pub(super) fn save_when_due(&mut self, at: Timestamp, engine: &Engine, held: &[f64]) {
        self.since_save += 1;
        if self.since_save >= SAVE_EVERY {
            self.save(at, engine, held);
        }
    }

    pub(super) fn save(&mut self, at: Timestamp, engine: &Engine, held: &[f64]) {
        self.since_save = 0;
        let kalman = engine.filter.kalman();
        let (u, d) = kalman.factors();
        let full = self.saved.len() >= SAVES;
        if full {
            self.saved.rotate_left(1);
        } else {
            let state = Saved { at, mean: vec![], u: vec![], d: vec![], held: vec![] };
            self.saved.push(state);
        }
        if let Some(saved) = self.saved.last_mut() {
            saved.at = at;
            let fill = |to: &mut Vec<f64>, from: &[f64]| {
                to.clear();
                to.extend_from_slice(from);
            };
            fill(&mut saved.mean, kalman.mean());
            fill(&mut saved.u, u);
            fill(&mut saved.d, d);
            fill(&mut saved.held, held);
        }
    }

    /// The last saved state before this time, when all slots since are still there; later ones are forgotten.
    pub(super) fn back_to(&mut self, before: Timestamp) -> Option<Saved> {
        let oldest = self.slots().next().map(|index| self.slot(index).at)?;
        let place = self.saved.iter().rposition(|saved| saved.at < before)?;
        // The slot right after the saved one must not have been overwritten.
        let saved = self.saved.get(place).filter(|saved| saved.at >= oldest || self.count <= SLOTS)?.clone();
        self.saved.truncate(place + 1);
        self.since_save = 0;
        Some(saved)
    }

    pub(super) fn parts(&self) -> (core::ops::Range<usize>, &[Saved], usize) {
        (self.slots(), &self.saved, self.since_save)
    }

    pub(super) fn set_saved(&mut self, saved: Vec<Saved>, since_save: usize) {
        self.saved.clear();
        self.saved.extend(saved);
        self.since_save = since_save;
    }

    fn slots(&self) -> core::ops::Range<usize> {
        self.count.saturating_sub(SLOTS)..self.count
    }

    pub(super) fn slots_after(&self, at: Timestamp) -> core::ops::Range<usize> {
        let first = self.slots().find(|index| self.times[index % SLOTS] > at).unwrap_or(self.count);
        first..self.count
    }

    pub(super) fn slot(&self, index: usize) -> Slot<'_> {
        let place = index % SLOTS;
        Slot {
            at: self.times[place],
            held: &self.held[place * self.inputs..][..self.inputs],
            measured: &self.measured[place * self.outputs..][..self.outputs],
        }
    }
}
