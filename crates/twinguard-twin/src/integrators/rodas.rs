//! Rodas4, a Rosenbrock method for stiff systems: one exact Jacobian and one factorisation a step, no iteration.
//!
//! Source: Hairer, Wanner, *Solving Ordinary Differential Equations II* (2nd ed. 1996), §IV.7 and the coefficients of their
//! code RODAS (order 4 with an embedded order 3, stiffly accurate, L-stable). Six evaluations, one n × n factorisation and
//! six solutions a step: for systems of up to some hundred states with one time constant far below the others. Smooth
//! ones go cheaper by [`DormandPrince`](super::DormandPrince); what jumps costs steps in any method.
//!
//! A slope that depends on time is differenced in time, as there; all else is exact. The order of operations is fixed, so
//! the same input gives the same bits.

use super::{Tolerance, check_span};
use crate::Error;

const GAMMA: f64 = 0.25;
const NODES: [f64; 6] = [0.0, 0.386, 0.21, 0.63, 1.0, 1.0];
const BY_TIME: [f64; 6] = [0.25, -0.1043, 0.1035, -0.036_200_000_000_000_23, 0.0, 0.0];
/// What of the earlier increments makes the place of a stage.
const PLACES: [[f64; 5]; 6] = [
    [0.0; 5],
    [1.544, 0.0, 0.0, 0.0, 0.0],
    [0.946_678_528_081_582_6, 0.255_701_169_898_328_4, 0.0, 0.0, 0.0],
    [3.314_825_187_068_521, 2.896_124_015_972_201, 0.998_641_913_997_781_7, 0.0, 0.0],
    [1.221_224_509_226_641, 6.019_134_481_288_629, 12.537_083_329_320_87, -0.687_886_036_105_895, 0.0],
    [1.221_224_509_226_641, 6.019_134_481_288_629, 12.537_083_329_320_87, -0.687_886_036_105_895, 1.0],
];
/// What of the earlier increments, over the step, enters the right-hand side.
const PULLS: [[f64; 5]; 6] = [
    [0.0; 5],
    [-5.6688, 0.0, 0.0, 0.0, 0.0],
    [-2.430_093_356_833_875, -0.206_359_915_709_191_5, 0.0, 0.0, 0.0],
    [-0.107_352_905_815_137_5, -9.594_562_251_023_355, -20.470_286_148_096_16, 0.0, 0.0],
    [7.496_443_313_967_647, -10.246_804_314_643_52, -33.999_903_528_199_05, 11.708_908_932_061_6, 0.0],
    [
        8.083_246_795_921_522,
        -7.981_132_988_064_893,
        -31.521_594_328_743_71,
        16.319_305_431_231_36,
        -6.058_818_238_834_054,
    ],
];
const SAFETY: f64 = 0.9;

/// Workspace for one order of system.
#[derive(Clone, Debug)]
pub struct Rodas {
    increments: [Vec<f64>; 6],
    stage: Vec<f64>,
    slope: Vec<f64>,
    by_time: Vec<f64>,
    by_state: Vec<f64>,
    matrix: Vec<f64>,
    pivots: Vec<usize>,
}

impl Rodas {
    /// A workspace for `order` states.
    #[must_use]
    pub fn new(order: usize) -> Self {
        Self {
            increments: core::array::from_fn(|_| vec![0.0; order]),
            stage: vec![0.0; order],
            slope: vec![0.0; order],
            by_time: vec![0.0; order],
            by_state: vec![0.0; order * order],
            matrix: vec![0.0; order * order],
            pivots: vec![0; order],
        }
    }

    /// From `from_s` to `to_s` (either direction) with `jacobian` writing ∂f/∂x (n × n, by rows). Each call starts anew, with
    /// a step of a microsecond that grows sixfold where it may.
    ///
    /// ```
    /// use twinguard_twin::integrators::{Rodas, Tolerance};
    ///
    /// // A sensor a million times faster than what it follows.
    /// let slope = |t: f64, x: &[f64], out: &mut [f64]| out[0] = -1e6 * (x[0] - t.cos());
    /// let jacobian = |_: f64, _: &[f64], out: &mut [f64]| out[0] = -1e6;
    /// let mut state = [0.0];
    /// // An explicit method would need a million steps.
    /// let tolerance = Tolerance { max_steps: 50_000, ..Tolerance::default() };
    /// Rodas::new(1).integrate(slope, jacobian, 0.0, 3.0, tolerance, &mut state)?;
    /// assert!((state[0] - 3f64.cos()).abs() < 1e-6);
    /// # Ok::<(), twinguard_twin::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Dimension`] when `state` has another order, [`Error::NotFinite`] when the state leaves the finite
    /// numbers, [`Error::TooManySteps`] when the tolerance asks for more steps than it allows.
    pub fn integrate(
        &mut self,
        mut slope: impl FnMut(f64, &[f64], &mut [f64]),
        mut jacobian: impl FnMut(f64, &[f64], &mut [f64]),
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
        let (mut time, mut size, mut grow) = (from_s, (to_s - from_s).abs().min(1e-6), 6.0);
        let mut fresh = false;
        for _ in 0..tolerance.max_steps {
            if !fresh {
                self.linearise(&mut slope, &mut jacobian, time, state);
                fresh = true;
            }
            let left = (to_s - time).abs();
            let last = size * 1.01 >= left;
            let step = if last { left } else { size } * direction;
            let error = self.attempt(&mut slope, time, step, tolerance, state);
            if !error.is_finite() || error > 1.0 {
                let shrink = SAFETY / libm::pow(error, 0.25);
                size = step.abs() * if shrink.is_finite() { shrink.max(0.2) } else { 0.1 };
                grow = 1.0;
                if size < 1e-14 * (1e-14 + time.abs()) || size < 1e-150 {
                    return Err(if error.is_finite() {
                        Error::TooManySteps { limit: tolerance.max_steps, time_s: time }
                    } else {
                        Error::NotFinite { what: "integration", time_s: time }
                    });
                }
                continue;
            }
            state.copy_from_slice(&self.stage);
            if last {
                return Ok(());
            }
            time += step;
            fresh = false;
            size = step.abs() * (SAFETY / libm::pow(error.max(1e-12), 0.25)).clamp(0.2, grow);
            grow = 6.0;
        }
        Err(Error::TooManySteps { limit: tolerance.max_steps, time_s: time })
    }

    /// f, ∂f/∂x and ∂f/∂t where the step begins.
    fn linearise(
        &mut self,
        slope: &mut impl FnMut(f64, &[f64], &mut [f64]),
        jacobian: &mut impl FnMut(f64, &[f64], &mut [f64]),
        time_s: f64,
        state: &[f64],
    ) {
        slope(time_s, state, &mut self.slope);
        jacobian(time_s, state, &mut self.by_state);
        let apart = (f64::EPSILON * time_s.abs().max(1e-5)).sqrt();
        slope(time_s + apart, state, &mut self.by_time);
        for (by_time, slope) in self.by_time.iter_mut().zip(&self.slope) {
            *by_time = (*by_time - slope) / apart;
        }
    }

    /// Fills `stage` with the state after the step and gives the scaled error; not finite when it cannot be had.
    fn attempt(
        &mut self,
        slope: &mut impl FnMut(f64, &[f64], &mut [f64]),
        time_s: f64,
        step: f64,
        tolerance: Tolerance,
        state: &[f64],
    ) -> f64 {
        let n = state.len();
        let diagonal = 1.0 / (GAMMA * step);
        for (at, (entry, by_state)) in self.matrix.iter_mut().zip(&self.by_state).enumerate() {
            *entry = if at / n == at % n { diagonal } else { 0.0 } - by_state;
        }
        if !factorise(n, &mut self.matrix, &mut self.pivots) {
            return f64::INFINITY;
        }
        for stage in 0..6 {
            let (done, next) = self.increments.split_at_mut(stage);
            let Some(increment) = next.first_mut() else { continue };
            if stage == 0 {
                increment.copy_from_slice(&self.slope);
            } else {
                for (at, (place, state)) in self.stage.iter_mut().zip(state).enumerate() {
                    let sum: f64 =
                        done.iter().zip(&PLACES[stage]).map(|(done, weight)| weight * done[at]).sum();
                    *place = state + sum;
                }
                slope(time_s + NODES[stage] * step, &self.stage, increment);
            }
            for (at, increment) in increment.iter_mut().enumerate() {
                let pull: f64 = done.iter().zip(&PULLS[stage]).map(|(done, weight)| weight * done[at]).sum();
                *increment += pull / step + BY_TIME[stage] * step * self.by_time[at];
            }
            solve(n, &self.matrix, &self.pivots, increment);
        }
        // The last stage stands at the embedded solution; its increment is the error.
        let mut square = 0.0;
        for ((stage, before), increment) in self.stage.iter_mut().zip(state).zip(&self.increments[5]) {
            *stage += increment;
            let scale = tolerance.absolute + tolerance.relative * before.abs().max(stage.abs());
            square += (increment / scale) * (increment / scale);
        }
        (square / n as f64).sqrt()
    }
}

/// A row-major matrix becomes its factors L and U, rows swapped as `pivots` say; false when it is singular.
fn factorise(n: usize, matrix: &mut [f64], pivots: &mut [usize]) -> bool {
    for k in 0..n {
        let mut best = k;
        for row in k + 1..n {
            if matrix[row * n + k].abs() > matrix[best * n + k].abs() {
                best = row;
            }
        }
        pivots[k] = best;
        if best != k {
            for column in 0..n {
                matrix.swap(k * n + column, best * n + column);
            }
        }
        let pivot = matrix[k * n + k];
        if !(pivot != 0.0 && pivot.is_finite()) {
            return false;
        }
        let (above, below) = matrix.split_at_mut((k + 1) * n);
        let upper = &above[k * n + k + 1..];
        for row in below.chunks_exact_mut(n) {
            let factor = row[k] / pivot;
            row[k] = factor;
            for (entry, upper) in row[k + 1..].iter_mut().zip(upper) {
                *entry -= factor * upper;
            }
        }
    }
    true
}

fn solve(n: usize, factors: &[f64], pivots: &[usize], x: &mut [f64]) {
    for (k, pivot) in pivots.iter().enumerate() {
        x.swap(k, *pivot);
    }
    for row in 1..n {
        let known: f64 = factors[row * n..][..row].iter().zip(&*x).map(|(factor, x)| factor * x).sum();
        x[row] -= known;
    }
    for row in (0..n).rev() {
        let known: f64 =
            factors[row * n..][row + 1..n].iter().zip(&x[row + 1..]).map(|(factor, x)| factor * x).sum();
        x[row] = (x[row] - known) / factors[row * n + row];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(
        slope: fn(f64, &[f64], &mut [f64]),
        jacobian: fn(f64, &[f64], &mut [f64]),
        to_s: f64,
        (absolute, relative): (f64, f64),
        start: &[f64],
    ) -> Vec<f64> {
        let mut state = start.to_vec();
        let tolerance = Tolerance { absolute, relative, max_steps: 20_000 };
        Rodas::new(start.len()).integrate(slope, jacobian, 0.0, to_s, tolerance, &mut state).unwrap();
        state
    }

    /// Robertson's kinetics; reference: Mazzia, Magherini, *Test Set for Initial Value Problem Solvers* (2008), II-10.
    #[test]
    fn robertson_ends_where_the_test_set_says() {
        let slope = |_: f64, y: &[f64], out: &mut [f64]| {
            let (slow, fast, mixed) = (0.04 * y[0], 3e7 * y[1] * y[1], 1e4 * y[1] * y[2]);
            (out[0], out[1], out[2]) = (mixed - slow, slow - mixed - fast, fast);
        };
        let jacobian = |_: f64, y: &[f64], out: &mut [f64]| {
            out.copy_from_slice(&[
                -0.04,
                1e4 * y[2],
                1e4 * y[1],
                0.04,
                -1e4 * y[2] - 6e7 * y[1],
                -1e4 * y[1],
                0.0,
                6e7 * y[1],
                0.0,
            ]);
        };
        let end = run(slope, jacobian, 1e11, (1e-18, 1e-9), &[1.0, 0.0, 0.0]);
        let exact = [0.208_334_014_970_125_5e-7, 0.833_336_077_033_471_3e-13, 0.999_999_979_166_505];
        for (found, exact) in end.iter().zip(exact) {
            assert!((found / exact - 1.0).abs() < 1e-6, "{end:?}");
        }
    }

    /// Van der Pol's oscillator with ε = 1e-6; reference: the same test set, II-4.
    #[test]
    fn van_der_pol_ends_where_the_test_set_says() {
        let slope = |_: f64, y: &[f64], out: &mut [f64]| {
            (out[0], out[1]) = (y[1], ((1.0 - y[0] * y[0]) * y[1] - y[0]) / 1e-6);
        };
        let jacobian = |_: f64, y: &[f64], out: &mut [f64]| {
            out.copy_from_slice(&[0.0, 1.0, (-2.0 * y[0] * y[1] - 1.0) / 1e-6, (1.0 - y[0] * y[0]) / 1e-6]);
        };
        let end = run(slope, jacobian, 2.0, (1e-9, 1e-9), &[2.0, 0.0]);
        let exact = [0.170_616_773_217_048_3e1, -0.892_809_701_024_797_5];
        for (found, exact) in end.iter().zip(exact) {
            assert!((found - exact).abs() < 1e-6, "{end:?}");
        }
        let again = run(slope, jacobian, 2.0, (1e-9, 1e-9), &[2.0, 0.0]);
        assert_eq!(end, again, "the same bits");
    }

    /// Fixed steps through a loose tolerance: halving the step divides the error by 2⁴ or more.
    #[test]
    fn it_is_of_order_four_with_time_in_the_slope() {
        let slope = |t: f64, x: &[f64], out: &mut [f64]| out[0] = -x[0] * x[0] * t.cos();
        let loose = Tolerance { absolute: 1e9, relative: 0.0, max_steps: 1 };
        let error = |count: i32| {
            let mut rodas = Rodas::new(1);
            let (mut state, step) = ([0.5], 1.0 / f64::from(count));
            for index in 0..count {
                let time = f64::from(index) * step;
                rodas.linearise(
                    &mut { slope },
                    &mut |t: f64, x: &[f64], out: &mut [f64]| out[0] = -2.0 * x[0] * t.cos(),
                    time,
                    &state,
                );
                assert!(rodas.attempt(&mut { slope }, time, step, loose, &state).is_finite());
                state.copy_from_slice(&rodas.stage);
            }
            (state[0] - 1.0 / (2.0 + 1f64.sin())).abs()
        };
        let ratio = error(10) / error(20);
        assert!(ratio > 13.0, "{ratio}");
    }

    #[test]
    fn what_blows_up_is_an_error_and_order_is_checked() {
        let square = |_: f64, x: &[f64], out: &mut [f64]| out[0] = x[0] * x[0];
        let jacobian = |_: f64, x: &[f64], out: &mut [f64]| out[0] = 2.0 * x[0];
        let mut rodas = Rodas::new(1);
        let tolerance = Tolerance::default();
        assert!(rodas.integrate(square, jacobian, 0.0, 2.0, tolerance, &mut [1.0]).is_err());
        let error = rodas.integrate(square, jacobian, 0.0, 2.0, tolerance, &mut [1.0, 2.0]).unwrap_err();
        assert!(matches!(error, Error::Dimension { .. }));
        let nothing = |_: f64, _: &[f64], out: &mut [f64]| out[0] = f64::NAN;
        let error = rodas.integrate(nothing, jacobian, 0.0, 2.0, tolerance, &mut [1.0]).unwrap_err();
        assert!(matches!(error, Error::NotFinite { .. }));
    }

    #[test]
    fn a_matrix_that_needs_pivots_is_solved() {
        let mut matrix = [0.0, 2.0, 1.0, 1.0, 1.0, 0.0, 4.0, 0.0, 3.0];
        let mut pivots = [0; 3];
        assert!(factorise(3, &mut matrix, &mut pivots));
        let mut x = [7.0, 3.0, 13.0];
        solve(3, &matrix, &pivots, &mut x);
        assert!(x.iter().zip([1.0, 2.0, 3.0]).all(|(found, exact)| (found - exact).abs() < 1e-14), "{x:?}");
        assert!(!factorise(2, &mut [1.0, 2.0, 2.0, 4.0], &mut [0; 2]));
    }
}
