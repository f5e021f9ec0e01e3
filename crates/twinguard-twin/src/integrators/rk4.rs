//! Classical Runge–Kutta of order 4 with fixed steps.
//!
//! Source: W. Kutta 1901; Hairer, Nørsett, Wanner, *Solving Ordinary Differential Equations I* (2nd ed. 1993),
//! table II.1.2. Local error O(h⁵); stable for real eigenvalues while |λ| h < 2.78. Cost: four evaluations a step.

use super::{MAX_STEPS, check_span};
use crate::Error;

/// Workspace for one order of system.
#[derive(Clone, Debug)]
pub struct Rk4 {
    stage: Vec<f64>,
    slope: Vec<f64>,
    sum: Vec<f64>,
}

impl Rk4 {
    /// A workspace for `order` states.
    #[must_use]
    pub fn new(order: usize) -> Self {
        Self { stage: vec![0.0; order], slope: vec![0.0; order], sum: vec![0.0; order] }
    }

    /// One step of `step_s` seconds; the caller has checked the lengths and checks the result.
    #[inline]
    pub fn step(
        &mut self,
        mut slope: impl FnMut(f64, &[f64], &mut [f64]),
        time_s: f64,
        step_s: f64,
        state: &mut [f64],
    ) {
        slope(time_s, state, &mut self.slope);
        self.sum.copy_from_slice(&self.slope);
        for (fraction, weight) in [(0.5, 2.0), (0.5, 2.0), (1.0, 1.0)] {
            let reach = fraction * step_s;
            for ((stage, state), slope) in self.stage.iter_mut().zip(&*state).zip(&self.slope) {
                *stage = state + reach * slope;
            }
            slope(time_s + reach, &self.stage, &mut self.slope);
            for (sum, slope) in self.sum.iter_mut().zip(&self.slope) {
                *sum += weight * slope;
            }
        }
        let sixth = step_s / 6.0;
        for (state, sum) in state.iter_mut().zip(&self.sum) {
            *state += sixth * sum;
        }
    }

    /// From `from_s` to `to_s` (either direction) in equal steps of at most `step_s`.
    ///
    /// # Errors
    /// [`Error::Dimension`] when `state` has another order, [`Error::NotFinite`] when the state leaves the finite
    /// numbers, [`Error::TooManySteps`] beyond [`MAX_STEPS`](super::MAX_STEPS).
    pub fn integrate(
        &mut self,
        mut slope: impl FnMut(f64, &[f64], &mut [f64]),
        from_s: f64,
        to_s: f64,
        step_s: f64,
        state: &mut [f64],
    ) -> Result<(), Error> {
        check_span(from_s, to_s, state, self.stage.len())?;
        let span = to_s - from_s;
        if span == 0.0 {
            return Ok(());
        }
        // A step that divides the span up to rounding must not cost one step more.
        let count = (span.abs() / step_s * (1.0 - 1e-12)).ceil().max(1.0);
        if !(step_s > 0.0 && count <= MAX_STEPS as f64) {
            return Err(Error::TooManySteps { limit: MAX_STEPS, time_s: from_s });
        }
        let step = span / count;
        for index in 0..count as usize {
            let time = from_s + step * index as f64;
            self.step(&mut slope, time, step, state);
            if state.iter().any(|state| !state.is_finite()) {
                return Err(Error::NotFinite { what: "integration", time_s: time + step });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circle(_: f64, state: &[f64], out: &mut [f64]) {
        out[0] = -state[1];
        out[1] = state[0];
    }

    #[test]
    fn halving_the_step_divides_the_error_by_sixteen() {
        let error = |step| {
            let mut state = [1.0, 0.0];
            Rk4::new(2).integrate(circle, 0.0, 2.0, step, &mut state).unwrap();
            (state[0] - 2f64.cos()).hypot(state[1] - 2f64.sin())
        };
        let ratio = error(0.1) / error(0.05);
        assert!((15.0..17.0).contains(&ratio), "{ratio}");
    }

    #[test]
    fn a_cubic_in_time_is_exact_forwards_and_back() {
        let mut state = [1.0];
        let mut rk4 = Rk4::new(1);
        let slope = |time: f64, _: &[f64], out: &mut [f64]| out[0] = 4.0 * time * time * time;
        rk4.integrate(slope, 0.0, 1.0, 1.0, &mut state).unwrap();
        assert!((state[0] - 2.0).abs() < 1e-15);
        rk4.integrate(slope, 1.0, 0.0, 0.3, &mut state).unwrap();
        assert!((state[0] - 1.0).abs() < 1e-14);
    }

    #[test]
    fn what_blows_up_is_an_error() {
        let mut state = [1.0];
        let square = |_: f64, state: &[f64], out: &mut [f64]| out[0] = state[0] * state[0];
        let error = Rk4::new(1).integrate(square, 0.0, 3.0, 0.1, &mut state).unwrap_err();
        assert!(matches!(error, Error::NotFinite { time_s, .. } if time_s > 1.0), "{error}");
        for step in [0.0, -1.0, f64::NAN, 1e-9] {
            let result = Rk4::new(1).integrate(square, 0.0, 3.0, step, &mut [0.0]);
            assert!(matches!(result, Err(Error::TooManySteps { .. })), "{step}");
        }
        let result = Rk4::new(1).integrate(square, 0.0, 3.0, 1.0, &mut [0.0, 0.0]);
        assert!(matches!(result, Err(Error::Dimension { .. })));
    }
}
