//! The vendor's twin: the same equations with constants of its own, fed with what the platform is fed.
//!
//! Source: Luenberger, *IEEE TAC* 16 (1971) 596 (observer), gains by hand. Its constants are off by 1 to 3 % either way, by
//! seed; it follows its feed, whoever feeds it.

use std::sync::Arc;

use twinguard_types::SignalId;

use super::plant::Machine;
use super::wire::{Origin, Wire};
use super::{Noise, Register};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Feed {
    None,
    /// A measured output.
    Output(usize),
    /// A measured surrounding.
    Input(usize),
    /// A command: it counts from the next period on, as at the plant.
    Command(usize),
}

/// An observer.
#[derive(Clone, Debug)]
pub struct VendorTwin {
    machine: Machine,
    /// By register.
    feeds: Vec<Feed>,
    measured: Vec<Option<f64>>,
    commanded: Vec<Option<f64>>,
    /// Output, state, gain per period.
    leans: Vec<(usize, usize, f64)>,
    shown: Vec<f64>,
}

impl VendorTwin {
    pub(super) fn new(wire: Arc<Wire>, seed: u64) -> Self {
        let mut noise = Noise::new(seed, 30);
        let machine = Machine::new(wire.clone(), |spread| {
            let size = noise.between(0.01, 0.03);
            let sign = if noise.uniform() < 0.5 { -1.0 } else { 1.0 };
            // What is exactly known (gravity, a geometry) the vendor knows as well.
            if spread > 0.0 { sign * size } else { 0.0 }
        });
        let feeds = (0..wire.registers.len()).map(|place| {
            let sensor = wire.sensors.iter().find(|sensor| sensor.channel.register == place);
            let actuator = wire.actuators.iter().find(|actuator| actuator.channel.register == place);
            match (sensor.map(|sensor| sensor.origin), actuator) {
                (Some(Origin::Output(index)), _) => Feed::Output(index),
                (Some(Origin::Input(index)), _) => Feed::Input(index),
                (None, Some(actuator)) => Feed::Command(actuator.input),
                (None, None) => Feed::None,
            }
        });
        let feeds: Vec<Feed> = feeds.collect();
        let reference = wire.reference;
        let lean = |lean: &super::reference::Lean| {
            let output = reference.outputs.iter().position(|name| *name == lean.output)?;
            Some((output, lean.state, (lean.gain * wire.period_s).clamp(-1.0, 1.0)))
        };
        let outputs = machine.output.len();
        Self {
            feeds,
            measured: vec![None; outputs],
            leans: reference.leans.iter().filter_map(lean).collect(),
            shown: vec![0.0; outputs],
            commanded: vec![None; machine.input.len()],
            machine,
        }
    }

    /// Takes in a register as the platform sees it: a reading, or a write on its way.
    pub fn observe(&mut self, register: Register) {
        if let Some(place) = self.machine.wire.place(&register) {
            self.take(place, register.raw);
        }
    }

    pub(super) fn take(&mut self, place: usize, raw: u16) {
        let Some(channel) = self.machine.wire.channels.get(place) else { return };
        match self.feeds.get(place) {
            Some(Feed::Output(index)) => {
                if let Some(measured) = self.measured.get_mut(*index) {
                    *measured = Some(channel.word.value(raw));
                }
            }
            Some(Feed::Input(index)) => {
                if let Some(input) = self.machine.input.get_mut(*index) {
                    *input = channel.word.value(raw);
                }
            }
            Some(Feed::Command(index)) => {
                if let Some(commanded) = self.commanded.get_mut(*index) {
                    *commanded = Some(channel.word.value(raw));
                }
            }
            _ => {}
        }
    }

    /// One period: moves on, then leans towards what was measured since.
    pub fn step(&mut self) {
        self.machine.advance();
        self.shown.copy_from_slice(&self.machine.output);
        for (output, state, gain) in &self.leans {
            if let (Some(Some(measured)), Some(shown), Some(state)) =
                (self.measured.get(*output), self.shown.get(*output), self.machine.state.get_mut(*state))
            {
                *state += gain * (measured - shown);
            }
        }
        self.measured.fill(None);
        self.machine.show();
        for (input, commanded) in self.machine.input.iter_mut().zip(&mut self.commanded) {
            *input = commanded.take().unwrap_or(*input);
        }
    }

    /// What the platform shows for a signal of the plant file; `None` for what it only passes on.
    #[must_use]
    pub fn value(&self, signal: SignalId) -> Option<f64> {
        self.values().find(|(shown, _)| *shown == signal).map(|(_, value)| value)
    }

    /// What the platform shows, with signals: the measured ones in the order of their registers, then the modelled ones.
    pub fn values(&self) -> impl Iterator<Item = (SignalId, f64)> + '_ {
        let measured = self.machine.wire.sensors.iter().map(|sensor| (sensor.channel.signal, sensor.origin));
        let all = measured.chain(self.machine.wire.modelled.iter().copied());
        all.filter(|(_, origin)| matches!(origin, Origin::Output(_)))
            .map(|(signal, origin)| (signal, self.machine.value(origin)))
    }
}
