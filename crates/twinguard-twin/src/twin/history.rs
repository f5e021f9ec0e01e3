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
    /// Room for all; the first `kept` count, oldest first.
    saved: Vec<Saved>,
    kept: usize,
    since_save: usize,
}

impl History {
    pub(super) fn new(states: usize, inputs: usize, outputs: usize) -> Self {
        let zeros = |length| vec![0.0; length];
        let empty = Saved {
            at: Timestamp::ZERO,
            mean: zeros(states),
            u: zeros(states * states),
            d: zeros(states),
            held: zeros(inputs),
        };
        Self {
            inputs,
            outputs,
            times: vec![Timestamp::ZERO; SLOTS],
            held: vec![0.0; SLOTS * inputs],
            measured: vec![None; SLOTS * outputs],
            count: 0,
            saved: vec![empty; SAVES],
            kept: 0,
            since_save: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) fn clear(&mut self) {
        self.count = 0;
        self.since_save = 0;
        self.kept = 0;
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
        if self.kept < SAVES {
            self.kept += 1;
        } else {
            self.saved.rotate_left(1);
        }
        let kalman = engine.filter.kalman();
        let (u, d) = kalman.factors();
        let saved = &mut self.saved[self.kept - 1];
        saved.at = at;
        saved.mean.copy_from_slice(kalman.mean());
        saved.u.copy_from_slice(u);
        saved.d.copy_from_slice(d);
        saved.held.copy_from_slice(held);
    }

    /// The last saved state before this time, when all slots since are still there; later ones are forgotten.
    pub(super) fn back_to(&mut self, before: Timestamp) -> Option<Saved> {
        let oldest = self.slots().next().map(|index| self.slot(index).at)?;
        let place = self.saved[..self.kept].iter().rposition(|saved| saved.at < before)?;
        // The slot right after the saved one must not have been overwritten.
        let saved = self.saved.get(place).filter(|saved| saved.at >= oldest || self.count <= SLOTS)?.clone();
        self.kept = place + 1;
        self.since_save = 0;
        Some(saved)
    }

    /// The last saved state that lies at least this many slots back, when all slots since are still there.
    pub(super) fn stretch(&self, slots: usize) -> Option<Saved> {
        let held = self.slots();
        let before = self.slot(held.end.checked_sub(slots.min(held.len()))?).at;
        let oldest = self.slot(held.start).at;
        let saved = self.saved[..self.kept].iter();
        saved
            .rev()
            .find(|saved| saved.at <= before)
            .filter(|saved| saved.at >= oldest || self.count <= SLOTS)
            .or_else(|| self.saved[..self.kept].iter().find(|saved| saved.at >= oldest))
            .cloned()
    }

    pub(super) fn parts(&self) -> (core::ops::Range<usize>, &[Saved], usize) {
        (self.slots(), &self.saved[..self.kept], self.since_save)
    }

    /// At most [`SAVES`] states, oldest first.
    pub(super) fn set_saved(&mut self, saved: Vec<Saved>, since_save: usize) {
        self.kept = 0;
        for (place, saved) in self.saved.iter_mut().zip(saved) {
            *place = saved;
            self.kept += 1;
        }
        self.since_save = since_save;
    }

    /// Root of the mean square by which an input was off `value` in the slots up to `until`.
    pub(super) fn spread(&self, input: usize, value: f64, until: Timestamp) -> f64 {
        let (mut squares, mut count) = (0.0, 0.0);
        for slot in self.slots().map(|index| self.slot(index)).take_while(|slot| slot.at <= until) {
            let off = slot.held[input] - value;
            squares += off * off;
            count += 1.0;
        }
        (squares / f64::max(count, 1.0)).sqrt()
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
