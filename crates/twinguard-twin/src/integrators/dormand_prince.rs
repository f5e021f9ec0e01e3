//! Dormand–Prince 5(4) with step size by tolerance.
//!
//! Source: Dormand, Prince, *J. Comp. Appl. Math.* 6 (1980) 19–26; coefficients of Hairer, Nørsett, Wanner,
//! *Solving Ordinary Differential Equations I* (2nd ed. 1993), table II.5.2; starting step of §II.4; PI control of
//! Hairer, Wanner, *II* §IV.2 with the constants of their code DOPRI5 (β 0.04, safety 0.9, change within 0.2…10).
//! Cost: six evaluations a step (the last slope is the next first one). Not for stiff systems: they cost steps.

use super::check_span;
use crate::Error;

/// How exact [`DormandPrince`] is: local error below `absolute + relative · |state|` in the mean square.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// In the states' units.
    pub absolute: f64,
    /// Dimensionless.
    pub relative: f64,
    /// Most steps that one call takes, rejected ones included.
    pub max_steps: usize,
}

impl Default for Tolerance {
    /// 1e-10 both, 100,000 steps.
    fn default() -> Self {
        Self { absolute: 1e-10, relative: 1e-10, max_steps: 100_000 }
    }
}

/// Workspace for one order of system.
#[derive(Clone, Debug)]
pub struct DormandPrince {
    slopes: [Vec<f64>; 7],
    stage: Vec<f64>,
}

const NODES: [f64; 7] = [0.0, 1.0 / 5.0, 3.0 / 10.0, 4.0 / 5.0, 8.0 / 9.0, 1.0, 1.0];
const WEIGHTS: [[f64; 6]; 7] = [
    [0.0; 6],
    [1.0 / 5.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    [3.0 / 40.0, 9.0 / 40.0, 0.0, 0.0, 0.0, 0.0],
    [44.0 / 45.0, -56.0 / 15.0, 32.0 / 9.0, 0.0, 0.0, 0.0],
    [19372.0 / 6561.0, -25360.0 / 2187.0, 64448.0 / 6561.0, -212.0 / 729.0, 0.0, 0.0],
    [9017.0 / 3168.0, -355.0 / 33.0, 46732.0 / 5247.0, 49.0 / 176.0, -5103.0 / 18656.0, 0.0],
    [35.0 / 384.0, 0.0, 500.0 / 1113.0, 125.0 / 192.0, -2187.0 / 6784.0, 11.0 / 84.0],
];
/// Fifth-order minus fourth-order weights.
const ERROR: [f64; 7] =
    [71.0 / 57600.0, 0.0, -71.0 / 16695.0, 71.0 / 1920.0, -17253.0 / 339200.0, 22.0 / 525.0, -1.0 / 40.0];
const BETA: f64 = 0.04;
const SAFETY: f64 = 0.9;

impl DormandPrince {
    /// A workspace for `order` states.
    #[must_use]
    pub fn new(order: usize) -> Self {
        Self { slopes: core::array::from_fn(|_| vec![0.0; order]), stage: vec![0.0; order] }
    }

    /// From `from_s` to `to_s` (either direction). Each call starts anew, so its result depends on its arguments alone.
    ///
    /// # Errors
    /// [`Error::Dimension`] when `state` has another order, [`Error::NotFinite`] when the state leaves the finite
    /// numbers, [`Error::TooManySteps`] when the tolerance asks for more steps than it allows.
    pub fn integrate(
        &mut self,
        mut slope: impl FnMut(f64, &[f64], &mut [f64]),
        from_s: f64,
        to_s: f64,
        tolerance: Tolerance,
        state: &mut [f64],
    ) -> Result<(), Error> {
        check_span(from_s, to_s, state, self.stage.len())?;
        if from_s == to_s || state.is_empty() {
            return Ok(());
        }
        let direction = (to_s - from_s).signum();
        let mut time = from_s;
        let [first, ..] = &mut self.slopes;
        slope(time, state, first);
        let mut size = self.first_step(&mut slope, time, direction, tolerance, state);
        let mut error_before: f64 = 1e-4;
        let mut grow = 10.0;
        for _ in 0..tolerance.max_steps {
            let left = (to_s - time).abs();
            // The last step ends on the mark; a remainder below a hundredth of a step is taken along.
            let last = size * 1.01 >= left;
            let step = if last { left } else { size } * direction;
            let error = self.attempt(&mut slope, time, step, tolerance, state);
            if !error.is_finite() {
                grow = 1.0;
                size *= 0.2;
                if size < 1e-14 * (1.0 + time.abs()) {
                    return Err(Error::NotFinite { what: "integration", time_s: time });
                }
                continue;
            }
            let power = libm::pow(error, 0.2 - BETA * 0.75);
            if error > 1.0 {
                grow = 1.0;
                size = step.abs() / (power / SAFETY).min(5.0);
                if size < 1e-14 * (1.0 + time.abs()) {
                    return Err(Error::TooManySteps { limit: tolerance.max_steps, time_s: time });
                }
                continue;
            }
            state.copy_from_slice(&self.stage);
            if last {
                return Ok(());
            }
            time += step;
            self.slopes.swap(0, 6);
            let shrink = power / libm::pow(error_before, BETA) / SAFETY;
            size = step.abs() / shrink.clamp(1.0 / grow, 5.0);
            grow = 10.0;
            error_before = error.max(1e-4);
        }
        Err(Error::TooManySteps { limit: tolerance.max_steps, time_s: time })
    }

    /// Fills `stage` with the state after the step and gives the scaled error; slope 0 is given, slope 6 made.
    fn attempt(
        &mut self,
        slope: &mut impl FnMut(f64, &[f64], &mut [f64]),
        time_s: f64,
        step: f64,
        tolerance: Tolerance,
        state: &[f64],
    ) -> f64 {
        for ((index, node), weights) in NODES.iter().enumerate().zip(&WEIGHTS).skip(1) {
            let (done, next) = self.slopes.split_at_mut(index);
            for (at, (stage, state)) in self.stage.iter_mut().zip(state).enumerate() {
                let sum: f64 = done.iter().zip(weights).map(|(slope, weight)| weight * slope[at]).sum();
                *stage = state + step * sum;
            }
            slope(time_s + node * step, &self.stage, &mut next[0]);
        }
        let mut square = 0.0;
        for (at, (after, before)) in self.stage.iter().zip(state).enumerate() {
            let error: f64 = self.slopes.iter().zip(&ERROR).map(|(slope, weight)| weight * slope[at]).sum();
            let scale = tolerance.absolute + tolerance.relative * before.abs().max(after.abs());
            let scaled = step * error / scale;
            square += scaled * scaled;
        }
        (square / state.len() as f64).sqrt()
    }

    /// A step so small that an Euler step stays near; slope 0 is given.
    fn first_step(
        &mut self,
        slope: &mut impl FnMut(f64, &[f64], &mut [f64]),
        time_s: f64,
        direction: f64,
        tolerance: Tolerance,
        state: &[f64],
    ) -> f64 {
        let mean = |values: &mut dyn Iterator<Item = f64>| {
            (values.map(|value| value * value).sum::<f64>() / state.len() as f64).sqrt()
        };
        let scale = |state: f64| tolerance.absolute + tolerance.relative * state.abs();
        let [first, second, ..] = &mut self.slopes;
        let value = mean(&mut state.iter().map(|state| state / scale(*state)));
        let change = mean(&mut first.iter().zip(state).map(|(slope, state)| slope / scale(*state)));
        let guess = if value < 1e-5 || change < 1e-5 { 1e-6 } else { 0.01 * value / change };
        for ((stage, state), slope) in self.stage.iter_mut().zip(state).zip(&*first) {
            *stage = state + direction * guess * slope;
        }
        slope(time_s + direction * guess, &self.stage, second);
        let bend = mean(
            &mut second
                .iter()
                .zip(&*first)
                .zip(state)
                .map(|((after, slope), state)| (after - slope) / scale(*state)),
        ) / guess;
        let most = change.max(bend);
        let size = if most <= 1e-15 { (guess * 1e-3).max(1e-6) } else { libm::pow(0.01 / most, 0.2) };
        let size = size.min(100.0 * guess);
        if size.is_finite() && size > 0.0 { size } else { 1e-6 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_consistent() {
        for (node, weights) in NODES.iter().zip(&WEIGHTS) {
            assert!((weights.iter().sum::<f64>() - node).abs() < 1e-14);
        }
        assert!(ERROR.iter().sum::<f64>().abs() < 1e-16);
    }

    /// Arenstorf's closed orbit of three bodies (Hairer, Nørsett, Wanner I, §II.0): after one period back at the start.
    #[test]
    fn arenstorf_orbit_closes() {
        let mass = 0.012_277_471;
        let orbit = |_: f64, x: &[f64], out: &mut [f64]| {
            let far = 1.0 - mass;
            let earth = ((x[0] + mass).powi(2) + x[1] * x[1]).powf(1.5);
            let moon = ((x[0] - far).powi(2) + x[1] * x[1]).powf(1.5);
            out[0] = x[2];
            out[1] = x[3];
            out[2] = x[0] + 2.0 * x[3] - far * (x[0] + mass) / earth - mass * (x[0] - far) / moon;
            out[3] = x[1] - 2.0 * x[2] - far * x[1] / earth - mass * x[1] / moon;
        };
        let start = [0.994, 0.0, 0.0, -2.001_585_106_379_082_5];
        let mut state = start;
        let tolerance = Tolerance { absolute: 1e-13, relative: 1e-13, ..Tolerance::default() };
        let mut integrator = DormandPrince::new(4);
        integrator.integrate(orbit, 0.0, 17.065_216_560_157_964, tolerance, &mut state).unwrap();
        assert!(state.iter().zip(start).all(|(end, start)| (end - start).abs() < 1e-5), "{state:?}");
        let few = Tolerance { max_steps: 20, ..tolerance };
        let error = integrator.integrate(orbit, 0.0, 17.0, few, &mut start.clone()).unwrap_err();
        assert!(matches!(error, Error::TooManySteps { limit: 20, .. }));
    }

    #[test]
    fn backwards_and_blow_up() {
        let mut state = [2.0];
        let growth = |_: f64, x: &[f64], out: &mut [f64]| out[0] = x[0];
        DormandPrince::new(1).integrate(growth, 1.0, 0.0, Tolerance::default(), &mut state).unwrap();
        assert!((state[0] - 2.0 * (-1f64).exp()).abs() < 1e-9);
        let square = |_: f64, x: &[f64], out: &mut [f64]| out[0] = x[0] * x[0];
        let result = DormandPrince::new(1).integrate(square, 0.0, 2.0, Tolerance::default(), &mut [1.0]);
        assert!(result.is_err(), "{result:?}");
        let nothing = |_: f64, _: &[f64], out: &mut [f64]| out[0] = f64::NAN;
        let result = DormandPrince::new(1).integrate(nothing, 0.0, 2.0, Tolerance::default(), &mut [1.0]);
        assert!(matches!(result, Err(Error::NotFinite { .. })), "{result:?}");
    }
}
