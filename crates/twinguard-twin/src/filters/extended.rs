//! The extended Kalman filter for any [`Model`].
//!
//! Sources: Bar-Shalom, Li, Kirubarajan (2001), §10.3 (first-order EKF); Van Loan, *IEEE TAC* 23 (1978) 395 (matrix
//! exponential for the step); Moler, Van Loan, *SIAM Review* 45 (2003) 3, method 3 (scaling and squaring).
//!
//! Continuous models: the mean moves by classical Runge–Kutta (order 4 in the step); the covariance by
//! Φ = exp(h ∂f/∂x) with the Jacobian frozen at the start of the step, its series cut after the fourth power at
//! ‖h ∂f/∂x‖ ≤ ¼ and squared up (error below 1e-5 times the number of quarters), so of order 1 in how much the Jacobian changes during the
//! step. The Runge–Kutta step is at most two of the fastest time constants at its start, whatever the plant file says: from 2.8 of them on
//! the method runs away from any stable model (Hairer, Wanner, *Solving Ordinary Differential Equations II*, §IV.2). Process noise enters as diag(σ²) h at the end of the step. Discrete models: x⁺ = f, Φ = ∂f/∂x, diag(σ²).

use super::{Innovation, Kalman};
use crate::integrators::Rk4;
use crate::{Error, Model, TimeBase};

/// Longest step, in time constants, and most steps that this asks for.
const STABLE: f64 = 2.0;
const MOST_STEPS: f64 = 1_000.0;

/// A filter around a model; the model itself is handed to each call, so that many filters can share one.
#[derive(Clone, Debug)]
pub struct ExtendedKalman {
    kalman: Kalman,
    rk4: Rk4,
    by_state: Vec<f64>,
    by_input: Vec<f64>,
    transition: Vec<f64>,
    power: Vec<f64>,
    spare: Vec<f64>,
    process: Vec<f64>,
    process_rate: Vec<f64>,
    input_variance: Vec<f64>,
    predicted: Vec<f64>,
    observation: Vec<f64>,
    output_by_input: Vec<f64>,
    innovation: Vec<Option<f64>>,
}

impl ExtendedKalman {
    /// A filter for this model: start at `mean` with the standard deviations `sigma`; `process_sigma` is the random
    /// walk of each state, per √second for continuous models and per step for discrete ones.
    ///
    /// # Errors
    /// [`Error::Dimension`], [`Error::NotFinite`], [`Error::NotPositive`] for a negative deviation.
    pub fn new(model: &dyn Model, mean: &[f64], sigma: &[f64], process_sigma: &[f64]) -> Result<Self, Error> {
        let (n, inputs, outputs) =
            (model.state_names().len(), model.input_names().len(), model.output_names().len());
        for (what, list) in
            [("states", mean), ("deviations of the start", sigma), ("process deviations", process_sigma)]
        {
            if list.len() != n {
                return Err(Error::Dimension { what, expected: n, found: list.len() });
            }
        }
        for (what, list) in [("initial deviation", sigma), ("process deviation", process_sigma)] {
            if let Some(index) = list.iter().position(|sigma| !(*sigma >= 0.0 && sigma.is_finite())) {
                return Err(Error::NotPositive { what, index });
            }
        }
        let mut covariance = vec![0.0; n * n];
        for (at, sigma) in sigma.iter().enumerate() {
            covariance[at * n + at] = sigma * sigma;
        }
        let mut process_rate = vec![0.0; n * n];
        for (at, sigma) in process_sigma.iter().enumerate() {
            process_rate[at * n + at] = sigma * sigma;
        }
        Ok(Self {
            kalman: Kalman::new(mean, &covariance, outputs)?,
            rk4: Rk4::new(n),
            by_state: vec![0.0; n * n],
            by_input: vec![0.0; n * inputs],
            transition: vec![0.0; n * n],
            power: vec![0.0; n * n],
            spare: vec![0.0; n * n],
            process: vec![0.0; n * n],
            process_rate,
            input_variance: vec![0.0; inputs],
            predicted: vec![0.0; outputs],
            observation: vec![0.0; outputs * n],
            output_by_input: vec![0.0; outputs * inputs],
            innovation: vec![None; outputs],
        })
    }

    /// State estimate and covariance.
    #[must_use]
    pub fn kalman(&self) -> &Kalman {
        &self.kalman
    }

    /// Number of outputs m.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.innovation.len()
    }

    /// State estimate and covariance, to be set from outside.
    pub fn kalman_mut(&mut self) -> &mut Kalman {
        &mut self.kalman
    }

    /// Sets the process covariance (n × n, symmetric positive semi-definite), per second or per step.
    ///
    /// # Errors
    /// [`Error::Dimension`], [`Error::NotFinite`].
    pub fn set_process(&mut self, covariance: &[f64]) -> Result<(), Error> {
        if covariance.len() != self.process_rate.len() {
            let expected = self.process_rate.len();
            return Err(Error::Dimension { what: "process covariances", expected, found: covariance.len() });
        }
        if covariance.iter().any(|entry| !entry.is_finite()) {
            return Err(Error::NotFinite { what: "process covariance", time_s: 0.0 });
        }
        self.process_rate.copy_from_slice(covariance);
        Ok(())
    }

    /// Sets the standard deviation of each input around what is handed to [`predict`](Self::predict), taken as
    /// independent from step to step: it enters as (h ∂f/∂u) diag(σ²) (h ∂f/∂u)ᵀ.
    ///
    /// # Errors
    /// [`Error::Dimension`], [`Error::NotPositive`] for what is not a number at or above 0.
    pub fn set_input_sigma(&mut self, sigma: &[f64]) -> Result<(), Error> {
        if sigma.len() != self.input_variance.len() {
            let expected = self.input_variance.len();
            return Err(Error::Dimension { what: "input deviations", expected, found: sigma.len() });
        }
        if let Some(index) = sigma.iter().position(|sigma| !(*sigma >= 0.0 && sigma.is_finite())) {
            return Err(Error::NotPositive { what: "input deviation", index });
        }
        for (variance, sigma) in self.input_variance.iter_mut().zip(sigma) {
            *variance = sigma * sigma;
        }
        Ok(())
    }

    /// Φ of the last prediction, row by row.
    #[must_use]
    pub fn transition(&self) -> &[f64] {
        &self.transition
    }

    /// The covariance that the last prediction added (n × n).
    #[must_use]
    pub fn process(&self) -> &[f64] {
        &self.process
    }

    /// ∂f/∂u of the last prediction, row by row (states × inputs).
    #[must_use]
    pub fn by_input(&self) -> &[f64] {
        &self.by_input
    }

    /// ∂h/∂x and ∂h/∂u of the last update, row by row.
    #[must_use]
    pub fn observation(&self) -> (&[f64], &[f64]) {
        (&self.observation, &self.output_by_input)
    }

    /// Innovations of the last update, per output; `None` where it did not take part.
    #[must_use]
    pub fn innovations(&self) -> &[Option<f64>] {
        &self.innovation
    }

    /// How the model was last linearised: transition, by input, observation, output by input. What reads between two
    /// steps reads these.
    pub(crate) fn linearised(&self) -> [&[f64]; 4] {
        [&self.transition, &self.by_input, &self.observation, &self.output_by_input]
    }

    /// The same, of a filter of this model.
    pub(crate) fn linearised_mut(&mut self) -> [&mut Vec<f64>; 4] {
        [&mut self.transition, &mut self.by_input, &mut self.observation, &mut self.output_by_input]
    }

    /// Moves by `step_s` seconds (continuous: in Runge–Kutta steps of at most `largest_step_s`) or, for a discrete
    /// model, by one of its steps.
    ///
    /// # Errors
    /// [`Error::NotFinite`] when the model leaves the finite numbers, [`Error::TooManySteps`]; the mean is then as far
    /// as it came, and the filter has to be set anew.
    pub fn predict(
        &mut self,
        model: &dyn Model,
        time_s: f64,
        step_s: f64,
        largest_step_s: f64,
        input: &[f64],
    ) -> Result<(), Error> {
        let n = self.kalman.order();
        model.dynamics_jacobian(time_s, self.kalman.mean(), input, &mut self.by_state, &mut self.by_input);
        if self.by_state.iter().any(|entry| !entry.is_finite()) {
            return Err(Error::NotFinite { what: "model Jacobian", time_s });
        }
        let scale = match model.time_base() {
            TimeBase::Continuous => {
                let slope =
                    |time: f64, state: &[f64], out: &mut [f64]| model.dynamics(time, state, input, out);
                let stable_s = (STABLE / bound(n, &self.by_state)).max(step_s / MOST_STEPS);
                let largest_s = largest_step_s.min(stable_s);
                self.rk4.integrate(slope, time_s, time_s + step_s, largest_s, self.kalman.mean_mut())?;
                transition(n, step_s, &self.by_state, &mut self.transition, &mut self.power, &mut self.spare);
                step_s
            }
            TimeBase::Discrete { .. } => {
                model.dynamics(time_s, self.kalman.mean(), input, &mut self.spare[..n]);
                if self.spare[..n].iter().any(|state| !state.is_finite()) {
                    return Err(Error::NotFinite { what: "model", time_s });
                }
                self.kalman.mean_mut().copy_from_slice(&self.spare[..n]);
                self.transition.copy_from_slice(&self.by_state);
                1.0
            }
        };
        // The filter wants Φ by columns.
        for (at, entry) in self.spare.iter_mut().enumerate() {
            *entry = self.transition[at % n * n + at / n];
        }
        for (process, rate) in self.process.iter_mut().zip(&self.process_rate) {
            *process = rate * scale;
        }
        for (input, variance) in
            self.input_variance.iter().enumerate().filter(|(_, variance)| **variance > 0.0)
        {
            let weight = variance * scale * scale;
            let inputs = self.input_variance.len();
            for i in 0..n {
                let row = weight * self.by_input[i * inputs + input];
                for j in 0..n {
                    self.process[i * n + j] += row * self.by_input[j * inputs + input];
                }
            }
        }
        self.kalman.predict(&self.spare, &self.process);
        Ok(())
    }

    /// h(x̂⁻, u): what each output should be.
    pub fn predict_output(&mut self, model: &dyn Model, time_s: f64, input: &[f64]) -> &[f64] {
        model.output(time_s, self.kalman.mean(), input, &mut self.predicted);
        &self.predicted
    }

    /// Takes in one measurement per output; `None` drops out, and so does an output that the model cannot compute.
    ///
    /// # Errors
    /// [`Error::Dimension`] for a wrong number of measurements or variances.
    pub fn update(
        &mut self,
        model: &dyn Model,
        time_s: f64,
        input: &[f64],
        measured: &[Option<f64>],
        variance: &[f64],
    ) -> Result<Innovation<'_>, Error> {
        self.update_with(model, time_s, input, measured, variance, |measured, predicted, _| {
            measured - predicted
        })
    }

    /// [`update`](Self::update) with a difference of the caller's own, for angles: (measured, predicted, channel).
    ///
    /// # Errors
    /// As [`update`](Self::update).
    pub fn update_with(
        &mut self,
        model: &dyn Model,
        time_s: f64,
        input: &[f64],
        measured: &[Option<f64>],
        variance: &[f64],
        difference: impl Fn(f64, f64, usize) -> f64,
    ) -> Result<Innovation<'_>, Error> {
        if measured.len() != self.innovation.len() {
            let expected = self.innovation.len();
            return Err(Error::Dimension { what: "measurements", expected, found: measured.len() });
        }
        let mean = self.kalman.mean();
        model.output(time_s, mean, input, &mut self.predicted);
        model.output_jacobian(time_s, mean, input, &mut self.observation, &mut self.output_by_input);
        let n = self.kalman.order().max(1);
        for (channel, innovation) in self.innovation.iter_mut().enumerate() {
            let row = &self.observation[channel * n..][..n];
            *innovation = measured[channel]
                .filter(|_| row.iter().all(|entry| entry.is_finite()))
                .map(|measured| difference(measured, self.predicted[channel], channel));
        }
        self.kalman.update(&self.innovation, &self.observation, variance)
    }
}

/// No eigenvalue of the matrix is larger: the smaller of the largest sums of rows and of columns.
fn bound(n: usize, a: &[f64]) -> f64 {
    let rows = a.chunks_exact(n.max(1)).map(|row| row.iter().map(|entry| entry.abs()).sum::<f64>());
    let column = |at: usize| a.iter().skip(at).step_by(n.max(1)).map(|entry| entry.abs()).sum::<f64>();
    let columns = (0..n).map(column);
    rows.fold(0.0, f64::max).min(columns.fold(0.0, f64::max))
}

/// exp(h A) for a row-major n × n matrix (or, transposed, for a column-major one), by scaling and squaring.
///
/// At most 64 squarings; what overflows gives infinities, which the caller's checks find.
pub(crate) fn transition(
    n: usize,
    step: f64,
    a: &[f64],
    out: &mut [f64],
    power: &mut [f64],
    spare: &mut [f64],
) {
    let norm = a
        .chunks_exact(n.max(1))
        .map(|row| row.iter().map(|entry| entry.abs()).sum::<f64>())
        .fold(0.0, f64::max);
    let (mut squarings, mut size) = (0, norm * step.abs());
    while size > 0.25 && squarings < 64 {
        size *= 0.5;
        squarings += 1;
    }
    let scale = step * libm::ldexp(1.0, -squarings);
    // Horner: I + B (I + B/2 (I + B/3 (I + B/4))).
    for (at, (power, a)) in power.iter_mut().zip(a).enumerate() {
        *power = a * scale;
        out[at] = *power / 4.0 + f64::from(u8::from(at / n == at % n));
    }
    for divisor in [3.0, 2.0, 1.0] {
        multiply(n, power, out, spare);
        for (at, (out, spare)) in out.iter_mut().zip(&*spare).enumerate() {
            *out = spare / divisor + f64::from(u8::from(at / n == at % n));
        }
    }
    for _ in 0..squarings {
        multiply(n, out, out, spare);
        out.copy_from_slice(spare);
    }
}

/// Small orders at a size that the compiler knows; the order of summation is the same at every size.
fn multiply(n: usize, left: &[f64], right: &[f64], out: &mut [f64]) {
    macro_rules! sizes {
        ($($size:literal)*) => {
            match n {
                $($size => sized::<$size>(left, right, out),)*
                _ => any(n, left, right, out),
            }
        };
    }
    sizes!(2 3 4 5 6 7 8 9 10 11 12 13 14 15 16);
}

fn sized<const N: usize>(left: &[f64], right: &[f64], out: &mut [f64]) {
    let (left, right, out) = (left.as_chunks::<N>().0, right.as_chunks::<N>().0, out.as_chunks_mut::<N>().0);
    for (row, out) in left.iter().zip(out) {
        let mut sum = [0.0; N];
        for (factor, right) in row.iter().zip(right) {
            for (sum, right) in sum.iter_mut().zip(right) {
                *sum += factor * right;
            }
        }
        *out = sum;
    }
}

fn any(n: usize, left: &[f64], right: &[f64], out: &mut [f64]) {
    out.fill(0.0);
    for (row, out) in left.chunks_exact(n.max(1)).zip(out.chunks_exact_mut(n.max(1))) {
        for (factor, right) in row.iter().zip(right.chunks_exact(n.max(1))) {
            for (out, right) in out.iter_mut().zip(right) {
                *out += factor * right;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_has_the_same_bits_at_a_known_size() {
        for n in 1..20_usize {
            let entry = |at: usize| libm::sin(1.0 + (7 * at) as f64) * libm::ldexp(1.0, (at % 9) as i32);
            let left: Vec<f64> = (0..n * n).map(entry).collect();
            let right: Vec<f64> = (0..n * n).map(|at| entry(at + 1_000)).collect();
            let (mut known, mut plain) = (vec![1.0; n * n], vec![2.0; n * n]);
            multiply(n, &left, &right, &mut known);
            any(n, &left, &right, &mut plain);
            assert!(known.iter().zip(&plain).all(|(a, b)| a.to_bits() == b.to_bits()), "{n}");
        }
    }

    #[test]
    fn a_step_that_is_too_long_for_the_model_does_not_run_away() {
        let plant = include_str!("../../plants/water_network.toml");
        let dynamics = crate::Plant::parse(plant, "water_network.toml").unwrap().dynamics.unwrap();
        let (model, sigma) = (&*dynamics.model, &dynamics.initial_sigma);
        let process = &dynamics.process_sigma;
        let mut filter = ExtendedKalman::new(model, &dynamics.initial_state, sigma, process).unwrap();
        let mut input = dynamics.input_defaults.clone();
        input[1] = 1.0;
        // pumps follow their commands within 20 s
        for minute in 0..100 {
            filter.predict(model, 60.0 * f64::from(minute), 60.0, 60.0, &input).unwrap();
        }
        let [_, _, one, two, _] = filter.kalman().mean() else { panic!("five states") };
        assert!((one - 1.0).abs() < 1e-3 && (two - 1.0).abs() < 1e-3, "{one} {two}");
    }

    #[test]
    fn the_exponential_of_a_rotation_is_a_rotation() {
        let (mut out, mut power, mut spare) = ([0.0; 4], [0.0; 4], [0.0; 4]);
        for step in [1e-3, 0.3, 2.0, 30.0] {
            transition(2, step, &[0.0, -1.0, 1.0, 0.0], &mut out, &mut power, &mut spare);
            for (found, exact) in out.iter().zip([step.cos(), -step.sin(), step.sin(), step.cos()]) {
                assert!((found - exact).abs() < 4e-3 * step.max(1.0), "{step}: {found} {exact}");
            }
        }
        transition(1, 100.0, &[-1.0], &mut out[..1], &mut power[..1], &mut spare[..1]);
        assert!(out[0] > 0.0 && out[0] < 1e-40, "{}", out[0]);
    }
}
