//! Where the plant would be if its sensors had said lately what they usually say.
//!
//! A filter believes what it measures, a little each slot. A sensor that lies slowly enough leads it anywhere, and every innovation on
//! the way is small. What gives it away is their sum: the model with the commands that were sent, and with the mean correction
//! that was usual before, is somewhere else. That is dead reckoning. It is drawn to the twin with a time constant of [`MEMORY`] slots, because
//! a plant may really be moved by what no model knows; who lies for longer than that has to be found by other means than the gate.
//!
//! Source: a lie is what the innovations of one side add up to: Murguia, Ruths, "CUSUM and chi-squared attack detection of compromised
//! sensors", *IEEE Conference on Control Applications* (2016); what takes its place here is the model itself.

use twinguard_twin::plant::Dynamics;

use super::Start;
use super::confidence::{FIRST, take_corrections};
use super::path::{Slot, one_slot};

/// Slots in which it is drawn to the twin.
const MEMORY: f64 = 14_400.0;

/// The model by itself, beside a twin that it is compared with.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub(super) struct Reckoning {
    state: Vec<f64>,
    /// Mean correction of the twin's states, per second.
    usual: Vec<f64>,
    slots: u32,
}

impl Reckoning {
    /// Takes in where the twin is after a slot; `slot` holds the slot's inputs and where the model said that the twin would be.
    pub(super) fn follow(&mut self, dynamics: &Dynamics, twin: &[f64], span_s: f64, slot: &mut Slot) {
        self.slots = self.slots.saturating_add(1);
        let learning = self.slots <= FIRST;
        let memory = if learning { f64::from(self.slots) } else { MEMORY };
        take_corrections(&mut self.usual, (twin, &slot.state), span_s, memory);
        if learning || self.state.len() != twin.len() {
            self.state.clear();
            self.state.extend_from_slice(twin);
            return;
        }
        one_slot(dynamics, &self.state, span_s, slot);
        for (((state, next), usual), twin) in
            self.state.iter_mut().zip(&slot.state).zip(&self.usual).zip(twin)
        {
            let reckoned = next + usual * span_s;
            *state = reckoned + (twin - reckoned) / MEMORY;
            if !state.is_finite() {
                *state = *twin;
            }
        }
    }

    /// `None` until it has seen what is usual.
    pub(super) fn start(&self) -> Option<Start> {
        (self.slots > FIRST).then(|| Start { state: self.state.clone(), push: self.usual.clone() })
    }
}
