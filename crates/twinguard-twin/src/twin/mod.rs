//! The running twin: a sealed model that follows the plant and says what does not fit.
//!
//! ```
//! use twinguard_twin::{Plant, Twin};
//! use twinguard_types::{Point, Source, Timestamp, Value};
//!
//! let plant = Plant::parse(include_str!("../../plants/cooling_loop.toml"), "cooling_loop.toml")?;
//! let [oil, hotspot] = ["transformer.oil.temperature", "transformer.hotspot.temperature"]
//!     .map(|path| plant.catalogue.id(path).unwrap());
//! let mut twin = Twin::new(&plant)?;
//! let mut last = None;
//! for second in 0..60 {
//!     let now = Timestamp::from_secs(second);
//!     while let Some(residual) = twin.advance(now) {
//!         last = Some(residual.nis / residual.dof as f64);
//!     }
//!     for (signal, value) in [(oil, 64.4), (hotspot, 80.9)] {
//!         twin.observe(&Point::new(signal, Value::real(value)?, Source::Field, now));
//!     }
//! }
//! assert!(last.unwrap() < 1.0, "it fits");
//! let found = twin.estimate(oil).unwrap();
//! assert!((found.mean - 64.4).abs() < 0.1 && found.sigma < 0.2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **Clock.** The first point sets the grid: slots as long as the plant's sampling (a discrete model: its step), each
//! point of a regular poll in the middle of its slot. [`Twin::advance`] completes a slot when its end and the plant's
//! `lateness` have passed: it moves the model to the slot's middle and takes in the last usable value of each sensor in
//! the slot. Whether it is called before or after handing over what arrived makes no difference.
//!
//! **Inputs.** Commands seen on the wire drive the model, held until the next, weighted by how long each held. A point
//! of an actuator's own register counts only until the first command. Points of other inputs (load, ambient) are held
//! likewise. Before anything is known, the model's defaults hold.
//!
//! **Imperfect data.** Bad, stale or substituted values and numbers outside the signal's range drop out. A measurement
//! for a complete slot is late: counted, not used; a late input holds from now on. A value for a later slot waits, and
//! at most 1,024 do. Nothing is gated: a filter that ignores what it does not expect hides the attack.
//!
//! **Distrust.** [`Twin::exclude`] takes a sensor out: its estimate becomes a virtual sensor that the rest of the plant
//! supports; [`Twin::exclude_all`] leaves the bare model, an open loop that cannot be led. [`Twin::rollback_to`] does so
//! from an earlier time on, because by the time a lie is found it has been believed for a while.
//!
//! **How sure.** The covariance grows with the declared process noise, with the noise of measured inputs (taken as white
//! from slot to slot), and with the declared uncertainty of parameters, which push the state by ∂f/∂p σ for about
//! [`PARAMETER_MEMORY_S`]. So does an excluded measured input: it keeps its value, and how far it was from that in the
//! hour before says how unsure it is. What a model leaves out no covariance knows: [`LeftOut`] learns it of each signal.

mod engine;
mod history;
mod input;
mod left_out;
mod snapshot;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use twinguard_types::{Command, Digest, Duration, Explanation, Point, Residual, SignalId, Source, Timestamp};

use crate::setup::{Place, Setup};
use crate::whatif::Fork;
use crate::{Error, Plant};
use engine::Engine;
use history::History;
use input::Input;

pub use crate::setup::PARAMETER_MEMORY_S;
pub use engine::Estimate;
pub use left_out::{LeftOut, ModelError};

/// Points that may wait for their slot.
const MAX_PENDING: usize = 1024;
/// A silence of more slots than this starts the twin anew.
const MAX_GAP: i64 = 100_000;

/// What became of points and time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Slots completed.
    pub slots: u64,
    /// Measurements that came after their slot was complete.
    pub late: u64,
    /// Values that were not usable: quality, range.
    pub unusable: u64,
    /// Points that found the waiting room full.
    pub dropped: u64,
    /// Times the twin started anew: after a long silence, or when the model left the finite numbers.
    pub restarts: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Pending {
    place: Place,
    at: Timestamp,
    value: f64,
    command: bool,
}

/// The running estimator of one plant.
#[derive(Clone, Debug)]
pub struct Twin {
    setup: Arc<Setup>,
    engine: Engine,
    history: History,
    /// Middle of the slot that is being filled; `None` before the first point.
    slot: Option<Timestamp>,
    /// Middle of the first slot: the model's time 0.
    start: Timestamp,
    inputs: Vec<Input>,
    held: Vec<f64>,
    measured: Vec<Option<f64>>,
    measured_at: Vec<Timestamp>,
    excluded: Vec<bool>,
    pending: VecDeque<Pending>,
    counts: Counts,
    errors: BTreeMap<SignalId, ModelError>,
}

impl Twin {
    /// A twin of this plant, at the plant's initial state; its clock starts with the first point.
    ///
    /// # Errors
    /// [`Error::NoDynamics`] when the plant does not say how it moves; [`Error::Dimension`] or [`Error::NotPositive`]
    /// when what it says does not fit together (a plant from a file always does).
    pub fn new(plant: &Plant) -> Result<Self, Error> {
        Self::of(Arc::new(Setup::new(plant)?))
    }

    fn of(setup: Arc<Setup>) -> Result<Self, Error> {
        let engine = Engine::new(&setup)?;
        let states = engine.filter.kalman().order();
        let held = setup.dynamics.input_defaults.clone();
        let outputs = setup.dynamics.outputs.len();
        Ok(Self {
            engine,
            history: History::new(states, held.len(), outputs),
            slot: None,
            start: Timestamp::ZERO,
            inputs: held.iter().map(|value| Input::new(*value)).collect(),
            held,
            measured: vec![None; outputs],
            measured_at: vec![Timestamp::ZERO; outputs],
            excluded: vec![false; outputs],
            pending: VecDeque::with_capacity(MAX_PENDING),
            counts: Counts::default(),
            errors: BTreeMap::new(),
            setup,
        })
    }

    /// Takes in a field point: the measurement of an output or the value of an input; no allocation. Points of other sources and of
    /// signals outside the model are ignored.
    pub fn observe(&mut self, point: &Point) {
        let place = self.setup.place(point.signal);
        if point.source != Source::Field || place == Place::None {
            return;
        }
        let value = point.value.as_f64();
        if !point.quality.is_usable() || !self.setup.in_range(point.signal, value) {
            self.counts.unusable += 1;
            return;
        }
        // A device whose clock runs ahead cannot know a value before it arrives.
        let at = point.event_at.min(point.arrived_at);
        self.take(Pending { place, at, value, command: false });
    }

    /// Takes in a command seen on the wire (or let through by the gate): it drives the model from then on.
    pub fn command(&mut self, command: &Command) {
        let place = self.setup.place(command.signal);
        if let Place::Input(_) = place {
            self.take(Pending { place, at: command.at, value: command.value.as_f64(), command: true });
        }
    }

    /// Completes at most one slot at or before `now`; call it until it gives `None`. No allocation.
    ///
    /// The residual's time is the slot's middle; its `dof` is 0 when nothing was measured.
    pub fn advance(&mut self, now: Timestamp) -> Option<Residual<'_>> {
        let at = self.slot?;
        let step = self.setup.step;
        let due = at + self.half() + self.setup.lateness;
        if now < due {
            return None;
        }
        if (now - due).as_nanos() / step.as_nanos() > MAX_GAP {
            self.restart();
            return None;
        }
        for (held, input) in self.held.iter_mut().zip(&mut self.inputs) {
            *held = input.close(at, step);
        }
        if self.history.is_empty() {
            self.history.save(at - step, &self.engine, &self.held);
        }
        self.history.push(at, &self.held, &self.measured);
        self.counts.slots += 1;
        self.slot = Some(at + step);
        let time_s = (at - self.start).as_secs_f64();
        if self.engine.run(&self.setup, at, time_s, &self.held, &self.measured, &self.excluded).is_err() {
            self.restart();
            return None;
        }
        self.history.save_when_due(at, &self.engine, &self.held);
        self.measured.fill(None);
        for _ in 0..self.pending.len() {
            if let Some(pending) = self.pending.pop_front() {
                self.take(pending);
            }
        }
        Some(self.engine.residual(at))
    }

    /// What the twin believes of a mapped output or input, as of the last completed slot; `None` for other signals. For one that is
    /// left out, with what the model is known to miss of it ([`set_model_errors`](Self::set_model_errors)).
    #[must_use]
    pub fn estimate(&self, signal: SignalId) -> Option<Estimate> {
        let own = self.own_estimate(signal)?;
        match self.errors.get(&signal).filter(|_| self.is_excluded(signal)) {
            Some(error) => {
                Some(Estimate { mean: own.mean + error.bias, sigma: own.sigma.hypot(error.sigma) })
            }
            None => Some(own),
        }
    }

    fn own_estimate(&self, signal: SignalId) -> Option<Estimate> {
        match self.setup.place(signal) {
            Place::None => None,
            Place::Output(index) => self.engine.estimates.get(index).copied(),
            Place::Input(index) => {
                let sigma = self.setup.dynamics.input_sigma.get(index).copied().unwrap_or(0.0);
                self.inputs
                    .get(index)
                    .map(|input| Estimate { mean: input.value, sigma: sigma.max(self.engine.unsure[index]) })
            }
        }
    }

    /// The model's states: names and values, as of the last completed slot.
    #[must_use]
    pub fn state(&self) -> (&[String], &[f64]) {
        (self.setup.dynamics.model.state_names(), self.engine.filter.kalman().mean())
    }

    /// Takes a signal out or back in: an excluded sensor no longer updates the filter, an excluded measured input keeps
    /// the value it has. Commands always count, for the plant obeys them whoever sends them.
    pub fn exclude(&mut self, signal: SignalId, excluded: bool) {
        match self.setup.place(signal) {
            Place::Output(index) => self.excluded[index] = excluded,
            Place::Input(index) => {
                let excluded = excluded && !self.setup.is_command[index];
                if self.inputs[index].excluded != excluded {
                    self.inputs[index].excluded = excluded;
                    self.engine.unsure[index] =
                        if excluded { self.unsure(index, Timestamp::MAX) } else { 0.0 };
                    self.engine.since_push = 0;
                }
            }
            Place::None => {}
        }
    }

    /// How far the truth may be from the value that an input keeps, by what it was up to a time.
    fn unsure(&self, index: usize, until: Timestamp) -> f64 {
        let sigma = self.setup.dynamics.input_sigma.get(index).copied().unwrap_or(0.0);
        self.history.spread(index, self.inputs[index].value, until).max(sigma)
    }

    /// Takes all sensors out or back in: what is left is the bare model, driven by commands and measured inputs.
    pub fn exclude_all(&mut self, excluded: bool) {
        self.excluded.fill(excluded);
    }

    /// Whether a signal is excluded.
    #[must_use]
    pub fn is_excluded(&self, signal: SignalId) -> bool {
        match self.setup.place(signal) {
            Place::Output(index) => self.excluded[index],
            Place::Input(index) => self.inputs[index].excluded,
            Place::None => false,
        }
    }

    /// Goes back to the last saved state before `before` and runs up to now again with what is excluded now: to be
    /// called after [`exclude`](Self::exclude), with the onset of a lie. Gives the time it went back to, or `None` (and
    /// does nothing) when nothing so old is left: states are saved every 60 slots, and 3,600 slots are kept.
    ///
    /// Excluded inputs keep the value they had at that time. Residuals of the repeated slots are not given again, but
    /// the bank of explanations sees them. Cost: one filter step per slot since.
    pub fn rollback_to(&mut self, before: Timestamp) -> Option<Timestamp> {
        let saved = self.history.back_to(before)?;
        self.engine.go_back(&saved);
        for (index, value) in saved.held.iter().enumerate() {
            if self.inputs[index].excluded {
                self.inputs[index].value = *value;
                self.engine.unsure[index] = self.unsure(index, saved.at).max(self.engine.unsure[index]);
            }
        }
        for index in self.history.slots_after(saved.at) {
            let slot = self.history.slot(index);
            self.held.copy_from_slice(slot.held);
            for (held, input) in self.held.iter_mut().zip(&self.inputs) {
                if input.excluded {
                    *held = input.value;
                }
            }
            let (at, time_s) = (slot.at, (slot.at - self.start).as_secs_f64());
            if self.engine.run(&self.setup, at, time_s, &self.held, slot.measured, &self.excluded).is_err() {
                self.restart();
                return None;
            }
            self.history.save_when_due(at, &self.engine, &self.held);
        }
        Some(saved.at)
    }

    /// Which single causes explain the last 128 innovations, best first: see [`bank`](crate::bank).
    pub fn explain(&mut self, now: Timestamp) -> &[Explanation] {
        let time_s = (now - self.start).as_secs_f64();
        self.engine.explain(&self.setup, now, (time_s, &self.held), &self.excluded)
    }

    /// A copy of the estimate to ask "what if".
    #[must_use]
    pub fn fork(&self) -> Fork {
        let inputs = self.inputs.iter().map(|input| input.value).collect();
        let at = self.slot.map_or(self.start, |slot| slot - self.setup.step);
        let time_s = (at - self.start).as_secs_f64();
        Fork::new(self.setup.clone(), at, time_s, self.engine.filter.kalman(), &self.engine.process, inputs)
    }

    /// Parameters of the model that runs, in its order: to be compared with the sealed plant's.
    #[must_use]
    pub fn parameters(&self) -> &[(String, f64)] {
        self.setup.dynamics.model.parameters()
    }

    /// BLAKE3 over names, form and parameters of the model that runs: to be compared with the sealed plant's.
    #[must_use]
    pub fn digest_parameters(&self) -> Digest {
        self.setup.digest()
    }

    /// What became of points and time so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Middle of the slot that is being filled; `None` before the first point.
    #[must_use]
    pub fn clock(&self) -> Option<Timestamp> {
        self.slot
    }

    /// Length of a slot.
    #[must_use]
    pub fn step(&self) -> Duration {
        self.setup.step
    }

    fn half(&self) -> Duration {
        Duration::from_nanos(self.setup.step.as_nanos() / 2)
    }

    /// Back to the plant's initial state and an open clock; inputs and exclusions stay. For whoever knows that what happened meanwhile
    /// was not seen: the state that it ran on to by itself is then worse than none.
    pub fn restart(&mut self) {
        self.counts.restarts += 1;
        self.slot = None;
        self.measured.fill(None);
        self.history.clear();
        self.engine.reset(&self.setup);
        self.counts.dropped += self.pending.len() as u64;
        self.pending.clear();
    }

    fn take(&mut self, pending: Pending) {
        let slot = match self.slot {
            Some(slot) => slot,
            None => {
                let open = pending.at - self.setup.step;
                self.inputs.iter_mut().for_each(|input| input.open(open));
                self.start = pending.at;
                *self.slot.insert(pending.at)
            }
        };
        let (half, late_before) = (self.half(), slot - self.half());
        match pending.place {
            Place::Output(_) if pending.at >= slot + half => self.wait(pending),
            Place::Output(_) if pending.at < late_before => self.counts.late += 1,
            Place::Output(index) => {
                if self.measured[index].is_none() || pending.at >= self.measured_at[index] {
                    self.measured[index] = Some(pending.value);
                    self.measured_at[index] = pending.at;
                }
            }
            Place::Input(_) if pending.at > slot => self.wait(pending),
            Place::Input(index) => {
                let echo = self.setup.is_command[index] && !pending.command;
                self.inputs[index].set(pending.at, pending.value, pending.command, echo);
            }
            Place::None => {}
        }
    }

    fn wait(&mut self, pending: Pending) {
        if self.pending.len() < MAX_PENDING {
            self.pending.push_back(pending);
        } else {
            self.counts.dropped += 1;
        }
    }
}
