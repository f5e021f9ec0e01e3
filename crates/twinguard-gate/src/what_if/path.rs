//! The mean of the future, finely enough that no peak is missed between two samples.
//!
//! Classical Runge–Kutta at the model's own step where the horizon is at most [`STEPS`] of them, else Dormand–Prince
//! between [`SAMPLES`] instants. What pushed the state from slot to slot until now, beyond what the model explains, goes on
//! pushing: the offset-free prediction of Pannocchia, Rawlings, "Disturbance models for offset-free model-predictive
//! control", *Journal of the American Institute of Chemical Engineers* 49 (2003), with the disturbance on the states. Model
//! time counts from the start of the run.

use twinguard_twin::TimeBase;
use twinguard_twin::integrators::{DormandPrince, Rk4, Tolerance};
use twinguard_twin::plant::Dynamics;
use twinguard_types::Duration;

const STEPS: f64 = 400.0;
const SAMPLES: usize = 96;
/// Most steps of a discrete model.
const DISCRETE: usize = 100_000;

/// Outputs over time.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Path {
    /// Seconds since the start, ascending; the last is not before the horizon.
    pub(super) times: Vec<f64>,
    /// All outputs at each.
    pub(super) outputs: Vec<f64>,
}

/// Runs the model from a state with inputs held and a push on the states, per second. `None` when it leaves the finite
/// numbers.
pub(super) fn run(
    dynamics: &Dynamics,
    start: &[f64],
    inputs: &[f64],
    push: &[f64],
    horizon: Duration,
) -> Option<Path> {
    let model = &*dynamics.model;
    let horizon_s = horizon.as_secs_f64();
    let mut state = start.to_vec();
    let mut path = Path::default();
    let mut output = vec![0.0; dynamics.outputs.len()];
    let mut note = |time_s: f64, state: &[f64]| {
        model.output(time_s, state, inputs, &mut output);
        path.times.push(time_s);
        path.outputs.extend_from_slice(&output);
        state.iter().chain(&output).all(|it| it.is_finite())
    };
    let rate = |time_s: f64, state: &[f64], out: &mut [f64]| {
        model.dynamics(time_s, state, inputs, out);
        out.iter_mut().zip(push).for_each(|(out, push)| *out += push);
    };
    let mut fine = note(0.0, &state);
    match model.time_base() {
        TimeBase::Discrete { step_s } => {
            let mut next = state.clone();
            let steps = (horizon_s / step_s - 1e-9).ceil().max(0.0) as usize;
            for step in 1..=steps.min(DISCRETE) {
                model.dynamics((step - 1) as f64 * step_s, &state, inputs, &mut next);
                for ((state, next), push) in state.iter_mut().zip(&next).zip(push) {
                    *state = next + push * step_s;
                }
                fine &= note(step as f64 * step_s, &state);
            }
            fine &= steps <= DISCRETE;
        }
        TimeBase::Continuous if horizon_s <= STEPS * dynamics.step.as_secs_f64() => {
            let steps = (horizon_s / dynamics.step.as_secs_f64()).ceil().max(1.0);
            let step_s = horizon_s / steps;
            let mut integrator = Rk4::new(state.len());
            for step in 1..=steps as usize {
                integrator.step(rate, (step - 1) as f64 * step_s, step_s, &mut state);
                fine &= note(step as f64 * step_s, &state);
            }
        }
        TimeBase::Continuous => {
            let mut integrator = DormandPrince::new(state.len());
            let tolerance = Tolerance { relative: 1e-4, absolute: 1e-6, max_steps: 1_000 };
            for sample in 1..=SAMPLES {
                let at = |sample: usize| horizon_s * sample as f64 / SAMPLES as f64;
                integrator.integrate(rate, at(sample - 1), at(sample), tolerance, &mut state).ok()?;
                fine &= note(at(sample), &state);
            }
        }
    }
    fine.then_some(path)
}

/// Room for steps of a slot's length; a copy starts with none, and all are equal.
#[derive(Debug, Default)]
pub(super) struct Slot {
    pub(super) inputs: Vec<f64>,
    pub(super) state: Vec<f64>,
    integrator: Option<(usize, Rk4)>,
}

impl Clone for Slot {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Slot {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// One step of a slot's length from `start` with the slot's inputs: its `state` is where the model says the state would be.
pub(super) fn one_slot(dynamics: &Dynamics, start: &[f64], span_s: f64, slot: &mut Slot) {
    let model = &*dynamics.model;
    let Slot { inputs, state, integrator } = slot;
    state.clear();
    state.extend_from_slice(start);
    match model.time_base() {
        TimeBase::Discrete { .. } => model.dynamics(0.0, start, inputs, state),
        TimeBase::Continuous => {
            let steps = (span_s / dynamics.step.as_secs_f64().max(1e-6)).ceil().clamp(1.0, 1_000.0);
            let order = state.len();
            let held = integrator.take().filter(|(of, _)| *of == order);
            let (_, integrator) = integrator.insert(held.unwrap_or_else(|| (order, Rk4::new(order))));
            let rate =
                |time_s: f64, state: &[f64], out: &mut [f64]| model.dynamics(time_s, state, inputs, out);
            for _ in 0..steps as usize {
                integrator.step(rate, 0.0, span_s / steps, state);
            }
        }
    }
}
