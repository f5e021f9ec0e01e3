//! What estimators need of a plant and what does not change while they run; shared by a twin and its forks.

use std::sync::Arc;

use twinguard_types::{Digest, Direction, Duration, Encoding, Role, SignalId};

use crate::filters::ExtendedKalman;
use crate::plant::{Dynamics, Limit};
use crate::{Error, Model, Plant, TimeBase};

/// How long a wrong parameter is taken to push the same way, seconds.
///
/// A push that stays the same for this long moves the state by as much as white noise of twice its square times this
/// time does (Gelb, *Applied Optimal Estimation*, 1974, §2.2, shaping of correlated noise).
pub const PARAMETER_MEMORY_S: f64 = 1800.0;

/// Where a signal stands in the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    None,
    Output(usize),
    Input(usize),
}

/// The shared part.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) dynamics: Dynamics,
    pub(crate) limits: Vec<Limit>,
    places: Vec<Place>,
    ranges: Vec<Option<(f64, f64)>>,
    /// Which inputs are commands: those whose signal is no measurement.
    pub(crate) is_command: Vec<bool>,
    /// Measurement noise of each output, quantisation included.
    pub(crate) variance: Vec<f64>,
    /// The grid's step.
    pub(crate) step: Duration,
    pub(crate) lateness: Duration,
    /// For each uncertain parameter the model with it one σ higher.
    perturbed: Perturbed,
}

/// Numbers for [`Setup::add_push`] to work with.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    nominal: Vec<f64>,
    shifted: Vec<f64>,
    input: Vec<f64>,
}

impl Room {
    pub(crate) fn new(states: usize, inputs: usize) -> Self {
        Self { nominal: vec![0.0; states], shifted: vec![0.0; states], input: vec![0.0; inputs] }
    }
}

struct Perturbed(Vec<Arc<dyn Model>>);

impl core::fmt::Debug for Perturbed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} models", self.0.len())
    }
}

impl Setup {
    pub(crate) fn new(plant: &Plant) -> Result<Self, Error> {
        let dynamics =
            plant.dynamics.clone().ok_or_else(|| Error::NoDynamics { plant: plant.name.clone() })?;
        let model = dynamics.model.clone();
        let mut places = vec![Place::None; plant.catalogue.len()];
        let mut enter = |signal: Option<SignalId>, at: Place| {
            if let Some(place) = signal.and_then(|signal| places.get_mut(signal.index())) {
                *place = at;
            }
        };
        dynamics.inputs.iter().enumerate().for_each(|(index, signal)| enter(*signal, Place::Input(index)));
        dynamics.outputs.iter().enumerate().for_each(|(index, signal)| enter(*signal, Place::Output(index)));
        let step = match model.time_base() {
            TimeBase::Continuous => plant.time.sampling,
            TimeBase::Discrete { step_s } => Duration::from_secs_f64(step_s).unwrap_or(plant.time.sampling),
        };
        let perturbed = model.parameters().iter().zip(&dynamics.parameter_sigma);
        let perturbed = perturbed
            .filter(|(_, sigma)| **sigma > 0.0)
            .map(|((name, value), sigma)| {
                Ok(dynamics.with_parameters(&[(name.as_str(), value + sigma)])?.model)
            })
            .collect::<Result<_, Error>>()?;
        let role =
            |signal: &Option<SignalId>| signal.and_then(|signal| Some(plant.catalogue.signal(signal)?.role));
        let range = |signal: &twinguard_types::Signal| signal.range.map(|range| (range.min(), range.max()));
        Ok(Self {
            limits: plant.limits.clone(),
            places,
            ranges: plant.catalogue.iter().map(|(_, signal)| range(signal)).collect(),
            is_command: dynamics
                .inputs
                .iter()
                .map(|signal| role(signal).is_some_and(|role| role != Role::Measurement))
                .collect(),
            variance: (0..dynamics.outputs.len()).map(|output| variance(plant, &dynamics, output)).collect(),
            step: step.max(Duration::from_nanos(2)),
            lateness: plant.time.lateness.max(Duration::ZERO),
            perturbed: Perturbed(perturbed),
            dynamics,
        })
    }

    /// The same with other parameters, which are then not uncertain any more.
    pub(crate) fn varied(&self, parameters: &[(&str, f64)]) -> Result<Self, Error> {
        Ok(Self {
            dynamics: self.dynamics.with_parameters(parameters)?,
            limits: self.limits.clone(),
            places: self.places.clone(),
            ranges: self.ranges.clone(),
            is_command: self.is_command.clone(),
            variance: self.variance.clone(),
            step: self.step,
            lateness: self.lateness,
            perturbed: Perturbed(Vec::new()),
        })
    }

    /// The signals that the model has a place for.
    pub(crate) fn signals(&self) -> impl Iterator<Item = SignalId> {
        self.dynamics.inputs.iter().chain(&self.dynamics.outputs).copied().flatten()
    }

    /// Models with one uncertain parameter each a standard deviation higher, with the parameter's number.
    pub(crate) fn perturbed(&self) -> impl Iterator<Item = (usize, &dyn Model)> {
        let unsure = self.dynamics.parameter_sigma.iter().enumerate().filter(|(_, sigma)| **sigma > 0.0);
        unsure.map(|(at, _)| at).zip(self.perturbed.0.iter().map(|model| &**model))
    }

    /// What a unit of each uncertain parameter adds to the model's dynamics and to its outputs, by a difference over its
    /// standard deviation; those that give no number are left out.
    pub(crate) fn effects(
        &self,
        time_s: f64,
        state: &[f64],
        input: &[f64],
    ) -> Vec<(usize, Vec<f64>, Vec<f64>)> {
        let at = |model: &dyn Model| {
            let (mut slope, mut output) = (vec![0.0; state.len()], vec![0.0; self.dynamics.outputs.len()]);
            model.dynamics(time_s, state, input, &mut slope);
            model.output(time_s, state, input, &mut output);
            (slope, output)
        };
        let (slope, output) = at(self.model());
        let per_unit = |moved: Vec<f64>, plain: &[f64], sigma: f64| -> Vec<f64> {
            moved.iter().zip(plain).map(|(moved, plain)| (moved - plain) / sigma).collect()
        };
        let effects = self.perturbed().map(|(number, model)| {
            let (moved, shown) = at(model);
            let sigma = self.dynamics.parameter_sigma[number];
            (number, per_unit(moved, &slope, sigma), per_unit(shown, &output, sigma))
        });
        effects.filter(|(_, push, shown)| push.iter().chain(shown).all(|entry| entry.is_finite())).collect()
    }

    pub(crate) fn model(&self) -> &dyn Model {
        &*self.dynamics.model
    }

    pub(crate) fn place(&self, signal: SignalId) -> Place {
        self.places.get(signal.index()).copied().unwrap_or(Place::None)
    }

    /// Whether the signal can have this value at all.
    pub(crate) fn in_range(&self, signal: SignalId, value: f64) -> bool {
        let range = self.ranges.get(signal.index()).copied().flatten();
        range.is_none_or(|(min, max)| (min..=max).contains(&value))
    }

    /// A filter at the plant's initial state.
    pub(crate) fn filter(&self) -> Result<ExtendedKalman, Error> {
        let Dynamics { initial_state, initial_sigma, process_sigma, input_sigma, .. } = &self.dynamics;
        let mut filter = ExtendedKalman::new(self.model(), initial_state, initial_sigma, process_sigma)?;
        filter.set_input_sigma(input_sigma)?;
        Ok(filter)
    }

    /// Adds to the process covariance `rate` (n × n) what uncertain parameters push at this state, and inputs that are
    /// `unsure` by a standard deviation each: per second, or per step for discrete models.
    pub(crate) fn add_push(
        &self,
        time_s: f64,
        state: &[f64],
        input: &[f64],
        unsure: &[f64],
        rate: &mut [f64],
        room: &mut Room,
    ) {
        let weight = match self.model().time_base() {
            TimeBase::Continuous => 2.0 * PARAMETER_MEMORY_S,
            TimeBase::Discrete { step_s } => 2.0 * PARAMETER_MEMORY_S / step_s,
        };
        let Room { nominal, shifted, input: moved } = room;
        self.model().dynamics(time_s, state, input, nominal);
        let mut add = |shifted: &[f64]| {
            for (i, row) in rate.chunks_exact_mut(nominal.len().max(1)).enumerate() {
                for (j, entry) in row.iter_mut().enumerate() {
                    let push = weight * (shifted[i] - nominal[i]) * (shifted[j] - nominal[j]);
                    *entry += if push.is_finite() { push } else { 0.0 };
                }
            }
        };
        for model in &self.perturbed.0 {
            model.dynamics(time_s, state, input, shifted);
            add(shifted);
        }
        for (index, sigma) in unsure.iter().enumerate().filter(|(_, sigma)| **sigma > 0.0) {
            moved.copy_from_slice(input);
            moved[index] += sigma;
            self.model().dynamics(time_s, state, moved, shifted);
            add(shifted);
        }
    }

    /// BLAKE3 over names, time base, form and parameters of the model.
    pub(crate) fn digest(&self) -> Digest {
        let mut hash = blake3::Hasher::new_derive_key("twinguard 2026 twin parameters v1");
        let mut text = |text: &str| {
            hash.update(&(text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        };
        let model = self.model();
        for names in [model.state_names(), model.input_names(), model.output_names()] {
            text(&names.len().to_string());
            names.iter().for_each(|name| text(name));
        }
        text(&format!("{:?} {:?}", model.time_base(), self.dynamics.form));
        for (name, value) in model.parameters() {
            text(name);
            text(&value.to_bits().to_string());
        }
        Digest(*hash.finalize().as_bytes())
    }
}

/// σ² of the sensor plus q²/12 of the wire's integer steps; a sensor without either is exact to a millionth of its range.
fn variance(plant: &Plant, dynamics: &Dynamics, output: usize) -> f64 {
    let Some(signal) = dynamics.outputs.get(output).copied().flatten() else { return 1.0 };
    let sigma = dynamics.output_sigma.get(output).copied().unwrap_or(0.0);
    let reads = plant
        .bindings
        .iter()
        .filter(|binding| binding.signal == signal && binding.direction == Direction::Read);
    let steps = reads.filter(|binding| !matches!(binding.encoding, Encoding::F32 | Encoding::F64));
    let quantum = steps.map(|binding| binding.scale.abs()).fold(0.0, f64::max);
    let range =
        plant.catalogue.signal(signal).and_then(|signal| signal.range).map_or(1.0, |range| range.span());
    (sigma * sigma + quantum * quantum / 12.0).max(1e-12 * range * range)
}
