//! What if: the plant's future on a copy of the estimate, held against its limits.
//!
//! Source: exponential Rosenbrock–Euler, x⁺ = x + h φ₁(h J) f(x) with J = ∂f/∂x (Hochbruck, Ostermann, "Exponential
//! integrators", *Acta Numerica* 19 (2010) 209–286, §2.4): of order 2, exact for linear models, stable for stiff ones at
//! any step, and its Φ = exp(h J) moves the covariance as well. Steps from 1 s up by the change of the non-linear rest.
//! Process noise enters as Q h at the end of a step, which is more than it really is where it decays within the step.
//!
//! The inputs hold what they have now, except for the holds that are asked about: a load that rises later is not foreseen.
//! Cost for an hour of the cooling loop: see the bench `kalman`.

use std::sync::Arc;

use twinguard_types::{Duration, SignalId, Timestamp};

use crate::filters::{Kalman, transition};
use crate::setup::{Place, Setup};
use crate::{Error, TimeBase};

/// Most steps of one simulation.
const MAX_STEPS: usize = 10_000;
/// Most samples of the trajectory that are kept.
const MAX_SAMPLES: usize = 512;

/// How near a limit the plant comes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Margin {
    /// Index into the plant's limits.
    pub limit: usize,
    /// The limit's signal.
    pub signal: SignalId,
    /// Least distance to the limit over the horizon, worst case (mean ± k σ), in the signal's unit; negative: beyond.
    pub least: f64,
    /// When that is.
    pub at: Timestamp,
    /// Mean then.
    pub mean: f64,
    /// Standard deviation then.
    pub sigma: f64,
    /// When the worst case first crosses the limit; now, when it stands beyond it already.
    pub crossed: Option<Timestamp>,
    /// Least distance of the mean's rate of change to the limit's rate, where it has one, per second.
    pub least_rate: Option<f64>,
}

/// The answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WhatIf {
    /// One per limit whose signal the model knows, in the order of the plant's limits.
    pub margins: Vec<Margin>,
    /// Limits (indices) whose signal the model does not know: nothing can be said of them.
    pub unjudged: Vec<usize>,
    /// The signals of the trajectory: every mapped output.
    pub signals: Vec<SignalId>,
    /// Times of the trajectory, at most 512.
    pub times: Vec<Timestamp>,
    /// Mean and standard deviation, one pair per signal, time after time.
    pub trajectory: Vec<(f64, f64)>,
    /// Steps taken.
    pub steps: usize,
    /// How far it came: less than the horizon when the steps ran out or the model left the finite numbers.
    pub reached: Timestamp,
}

/// A copy of an estimate; each simulation starts from it anew.
#[derive(Clone, Debug)]
pub struct Fork {
    setup: Arc<Setup>,
    at: Timestamp,
    time_s: f64,
    start: Kalman,
    process: Vec<f64>,
    inputs: Vec<f64>,
    sigmas: f64,
    room: Room,
}

#[derive(Clone, Debug)]
struct Room {
    kalman: Kalman,
    input: Vec<f64>,
    slope: Vec<f64>,
    next_slope: Vec<f64>,
    next: Vec<f64>,
    by_state: Vec<f64>,
    by_input: Vec<f64>,
    /// Order n + 1: ∂f/∂x beside f, for Φ and φ₁ in one exponential.
    bordered: Vec<f64>,
    exponential: Vec<f64>,
    power: Vec<f64>,
    spare: Vec<f64>,
    columns: Vec<f64>,
    noise: Vec<f64>,
    output: Vec<f64>,
    /// Outputs at the note before, and when.
    before: Vec<f64>,
    before_s: f64,
    rows: Vec<f64>,
    direct: Vec<f64>,
}

impl Fork {
    pub(crate) fn new(
        setup: Arc<Setup>,
        at: Timestamp,
        time_s: f64,
        kalman: &Kalman,
        process: &[f64],
        inputs: Vec<f64>,
    ) -> Self {
        let (n, m) = (kalman.order(), setup.dynamics.outputs.len());
        let bordered = || vec![0.0; (n + 1) * (n + 1)];
        let room = Room {
            kalman: kalman.clone(),
            input: inputs.clone(),
            slope: vec![0.0; n],
            next_slope: vec![0.0; n],
            next: vec![0.0; n],
            by_state: vec![0.0; n * n],
            by_input: vec![0.0; n * inputs.len()],
            bordered: bordered(),
            exponential: bordered(),
            power: bordered(),
            spare: bordered(),
            columns: vec![0.0; n * n],
            noise: vec![0.0; n * n],
            output: vec![0.0; m],
            before: vec![0.0; m],
            before_s: time_s,
            rows: vec![0.0; n * m],
            direct: vec![0.0; m * inputs.len()],
        };
        let (start, process) = (kalman.clone(), process.to_vec());
        Self { setup, at, time_s, start, process, inputs, sigmas: 3.0, room }
    }

    pub(crate) fn setup(&self) -> &Arc<Setup> {
        &self.setup
    }

    pub(crate) fn start(&self) -> &Kalman {
        &self.start
    }

    /// The same fork at a state that is known exactly, of a setup of the same sizes, by the mean alone.
    pub(crate) fn at_state(&self, setup: Arc<Setup>, state: &[f64]) -> Result<Self, Error> {
        let n = state.len();
        let known = Kalman::new(state, &vec![0.0; n * n], 1)?;
        let (process, inputs) = (vec![0.0; n * n], self.inputs.clone());
        Ok(Self::new(setup, self.at, self.time_s, &known, &process, inputs).worst_case(0.0))
    }

    /// Sets how many standard deviations the worst case lies from the mean; 3 unless set.
    #[must_use]
    pub fn worst_case(mut self, sigmas: f64) -> Self {
        self.sigmas = sigmas;
        self
    }

    /// The time of the copied estimate.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// Runs the model ahead while the given inputs hold these values and all others what they have.
    ///
    /// ```
    /// # use twinguard_twin::{Plant, Twin};
    /// use twinguard_types::Duration;
    /// # let plant = Plant::parse(include_str!("../plants/cooling_loop.toml"), "cooling_loop.toml")?;
    /// # let twin = Twin::new(&plant)?;
    /// let [pump, valve] = ["cooler.pump.command", "cooler.valve.command"].map(|path| plant.catalogue.id(path).unwrap());
    /// let horizon = Duration::from_secs(4 * 3600);
    /// // By the mean alone: a twin that has seen nothing yet is not sure of anything.
    /// let mut fork = twin.fork().worst_case(0.0);
    /// let fine = fork.simulate(horizon, &[(valve, 0.8)])?;
    /// assert!(fine.margins.iter().all(|margin| margin.crossed.is_none()));
    /// let bad = fork.simulate(horizon, &[(pump, 0.0), (valve, 0.0)])?;
    /// assert!(bad.margins.iter().any(|margin| margin.crossed.is_some()));
    /// # Ok::<(), twinguard_twin::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NotModelled`] when a hold names a signal that is no input of the model, [`Error::NotFinite`] when its
    /// value is not a number.
    pub fn simulate(&mut self, horizon: Duration, holds: &[(SignalId, f64)]) -> Result<WhatIf, Error> {
        self.room.input.copy_from_slice(&self.inputs);
        for (signal, value) in holds {
            let Place::Input(index) = self.setup.place(*signal) else {
                return Err(Error::NotModelled { signal: signal.0 });
            };
            if !value.is_finite() {
                return Err(Error::NotFinite { what: "held input", time_s: self.time_s });
            }
            self.room.input[index] = *value;
        }
        let (u, d) = self.start.factors();
        self.room.kalman.set_factors(self.start.mean(), u, d)?;
        self.room.before_s = self.time_s;
        let mut answer = self.open_answer();
        let horizon_s = horizon.as_secs_f64().max(0.0);
        let at = |passed_s: f64| self.at + Duration::from_secs_f64(passed_s).unwrap_or(Duration::MAX);
        let keep_every_s = horizon_s / (MAX_SAMPLES - 1) as f64;
        self.room.note(&self.setup, self.sigmas, self.time_s, at(0.0), true, &mut answer);
        let (mut passed, mut kept, mut size) = (0.0, 0.0, 1.0f64);
        while passed < horizon_s && answer.steps < MAX_STEPS {
            let left = horizon_s - passed;
            let time_s = self.time_s + passed;
            let moved = match self.setup.model().time_base() {
                TimeBase::Continuous => {
                    let largest = (horizon_s / 16.0).max(1.0);
                    self.room.flow(
                        &self.setup,
                        time_s,
                        &mut size,
                        left.min(largest),
                        &self.process,
                        &mut answer.steps,
                    )
                }
                TimeBase::Discrete { step_s } => {
                    answer.steps += 1;
                    self.room.jump(&self.setup, time_s, &self.process).then_some(step_s)
                }
            };
            let Some(step) = moved else { break };
            passed += step;
            let keep = passed >= kept + keep_every_s || passed >= horizon_s;
            if keep {
                kept = passed;
            }
            self.room.note(&self.setup, self.sigmas, self.time_s + passed, at(passed), keep, &mut answer);
        }
        answer.reached = at(passed);
        Ok(answer)
    }

    fn open_answer(&self) -> WhatIf {
        let mut answer = WhatIf { reached: self.at, ..WhatIf::default() };
        answer.signals.extend(self.setup.dynamics.outputs.iter().flatten());
        for (index, limit) in self.setup.limits.iter().enumerate() {
            if self.setup.place(limit.signal) == Place::None {
                answer.unjudged.push(index);
            } else {
                answer.margins.push(Margin {
                    limit: index,
                    signal: limit.signal,
                    least: f64::INFINITY,
                    at: self.at,
                    mean: f64::NAN,
                    sigma: 0.0,
                    crossed: None,
                    least_rate: None,
                });
            }
        }
        answer
    }
}

impl Room {
    /// One accepted step of a continuous model, of at most `most` seconds; gives its length, and in `size` the next.
    fn flow(
        &mut self,
        setup: &Setup,
        time_s: f64,
        size: &mut f64,
        most: f64,
        process: &[f64],
        steps: &mut usize,
    ) -> Option<f64> {
        let (model, n) = (setup.model(), self.slope.len());
        let state = self.kalman.mean();
        model.dynamics(time_s, state, &self.input, &mut self.slope);
        model.dynamics_jacobian(time_s, state, &self.input, &mut self.by_state, &mut self.by_input);
        if self.slope.iter().chain(&self.by_state).any(|entry| !entry.is_finite()) {
            return None;
        }
        self.bordered.fill(0.0);
        for i in 0..n {
            self.bordered[i * (n + 1)..][..n].copy_from_slice(&self.by_state[i * n..][..n]);
            self.bordered[i * (n + 1) + n] = self.slope[i];
        }
        loop {
            *steps += 1;
            let step = size.min(most);
            transition(n + 1, step, &self.bordered, &mut self.exponential, &mut self.power, &mut self.spare);
            let rows = self.exponential.chunks_exact(n + 1);
            for ((next, state), row) in self.next.iter_mut().zip(state).zip(rows) {
                *next = state + row[n];
            }
            model.dynamics(time_s + step, &self.next, &self.input, &mut self.next_slope);
            // What the linear model did not foresee of the slope, over the step.
            let mut worst: f64 = 0.0;
            for (i, row) in self.by_state.chunks_exact(n.max(1)).enumerate() {
                let change = self.next.iter().zip(state).map(|(next, state)| next - state);
                let foreseen: f64 = row.iter().zip(change).map(|(entry, change)| entry * change).sum();
                let rest = (self.next_slope[i] - self.slope[i] - foreseen) * step / 3.0;
                let scale = 1e-3 * setup.dynamics.initial_sigma[i] + 3e-4 * state[i].abs() + 1e-9;
                worst = if rest.is_finite() { worst.max(rest.abs() / scale) } else { f64::INFINITY };
            }
            let factor = 0.9 / libm::cbrt(worst.max(1e-6));
            if worst <= 1.0 {
                *size = step * factor.clamp(0.5, 4.0);
                for (at, column) in self.columns.iter_mut().enumerate() {
                    *column = self.exponential[(at % n) * (n + 1) + at / n];
                }
                for (noise, rate) in self.noise.iter_mut().zip(process) {
                    *noise = rate * step;
                }
                self.kalman.predict(&self.columns, &self.noise);
                self.kalman.mean_mut().copy_from_slice(&self.next);
                return Some(step);
            }
            *size = step * if worst.is_finite() { factor.clamp(0.1, 0.9) } else { 0.1 };
            if *size < 1e-6 || *steps >= MAX_STEPS {
                return None;
            }
        }
    }

    /// One step of a discrete model.
    fn jump(&mut self, setup: &Setup, time_s: f64, process: &[f64]) -> bool {
        let (model, n) = (setup.model(), self.slope.len());
        model.dynamics(time_s, self.kalman.mean(), &self.input, &mut self.next);
        model.dynamics_jacobian(
            time_s,
            self.kalman.mean(),
            &self.input,
            &mut self.by_state,
            &mut self.by_input,
        );
        if self.next.iter().chain(&self.by_state).any(|entry| !entry.is_finite()) {
            return false;
        }
        for (at, column) in self.columns.iter_mut().enumerate() {
            *column = self.by_state[(at % n) * n + at / n];
        }
        self.kalman.predict(&self.columns, process);
        self.kalman.mean_mut().copy_from_slice(&self.next);
        true
    }

    /// Outputs now, held against the limits.
    fn note(
        &mut self,
        setup: &Setup,
        sigmas: f64,
        time_s: f64,
        at: Timestamp,
        keep: bool,
        answer: &mut WhatIf,
    ) {
        let (model, n) = (setup.model(), self.slope.len());
        self.before.copy_from_slice(&self.output);
        let passed = time_s - core::mem::replace(&mut self.before_s, time_s);
        model.output(time_s, self.kalman.mean(), &self.input, &mut self.output);
        model.output_jacobian(time_s, self.kalman.mean(), &self.input, &mut self.rows, &mut self.direct);
        let spread = |output: usize| self.kalman.variance(&self.rows[output * n..][..n]).max(0.0).sqrt();
        for margin in &mut answer.margins {
            let limit = &setup.limits[margin.limit];
            let (mean, sigma) = match setup.place(margin.signal) {
                Place::Output(output) => (self.output[output], spread(output)),
                Place::Input(input) => (self.input[input], 0.0),
                Place::None => continue,
            };
            let above = limit.max.map_or(f64::INFINITY, |max| max - (mean + sigmas * sigma));
            let below = limit.min.map_or(f64::INFINITY, |min| mean - sigmas * sigma - min);
            let distance = above.min(below);
            // What is not a number is beyond every limit.
            let distance = if distance.is_nan() { f64::NEG_INFINITY } else { distance };
            if distance < 0.0 && margin.crossed.is_none() {
                margin.crossed = Some(at);
            }
            if let (Some(rate), Place::Output(output)) = (limit.rate, setup.place(margin.signal))
                && passed > 0.0
            {
                let slope = (self.output[output] - self.before[output]).abs() / passed;
                margin.least_rate =
                    Some(margin.least_rate.map_or(rate - slope, |least| least.min(rate - slope)));
            }
            if distance < margin.least || margin.mean.is_nan() {
                (margin.least, margin.at, margin.mean, margin.sigma) = (distance, at, mean, sigma);
            }
        }
        if keep && answer.times.len() < MAX_SAMPLES {
            answer.times.push(at);
            for (output, _) in
                setup.dynamics.outputs.iter().enumerate().filter(|(_, signal)| signal.is_some())
            {
                answer.trajectory.push((self.output[output], spread(output)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::integrators::Rk4;
    use crate::{Plant, Twin};

    /// A few dozen steps against an hour and a half of classical Runge–Kutta at one second.
    #[test]
    fn few_steps_are_exact_enough() {
        let plant = Plant::parse(include_str!("../plants/cooling_loop.toml"), "cooling_loop.toml").unwrap();
        let dynamics = plant.dynamics.clone().unwrap();
        let id = |path: &str| plant.catalogue.id(path).unwrap();
        for (pump, valve) in [(0.9, 0.2), (0.0, 0.0), (0.3, 1.0), (1.0, 0.0)] {
            let mut fork = Twin::new(&plant).unwrap().fork();
            let holds = [(id("cooler.pump.command"), pump), (id("cooler.valve.command"), valve)];
            let answer = fork.simulate(Duration::from_secs(5400), &holds).unwrap();
            let mut state = dynamics.initial_state.clone();
            let mut input = dynamics.input_defaults.clone();
            (input[0], input[1]) = (pump, valve);
            let slope = |t: f64, x: &[f64], out: &mut [f64]| dynamics.model.dynamics(t, x, &input, out);
            Rk4::new(state.len()).integrate(slope, 0.0, 5400.0, 1.0, &mut state).unwrap();
            let mut output = vec![0.0; dynamics.outputs.len()];
            dynamics.model.output(5400.0, &state, &input, &mut output);
            let last = &answer.trajectory[answer.trajectory.len() - output.len()..];
            for (found, exact) in last.iter().zip(&output) {
                assert!((found.0 - exact).abs() < 0.1, "{pump} {valve}: {found:?} {exact}");
            }
            assert!((10..120).contains(&answer.steps), "{}", answer.steps);
            assert_eq!(answer.reached, fork.at() + Duration::from_secs(5400));
        }
    }
}
