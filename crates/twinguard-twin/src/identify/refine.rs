//! A few Gauss–Newton steps on all matrices at once, towards the maximum of the likelihood.
//!
//! Prediction errors ε of x̂⁺ = A x̂ + B u + K ε, ŷ = C x̂ + D u; minimises Σ εᵀ Λ⁻¹ ε over A, B, C, D, K and the starts.
//! Source: L. Ljung, *System Identification* (2nd ed. 1999), §7.2, §10.2; every entry is free (T. `McKelvey`, A. Helmersson,
//! T. Ribarits, *Automatica* 40 (2004) 1629–1635): directions that only change the basis of the state have no effect, the
//! damping leaves them alone. Cost a step: rows × q (n² + n p) + rows × p q², q = n (n + m + 2 p) + m p.

use nalgebra::{DMatrix, DVector};

use super::{dense::spectral_radius, record::Record, subspace::scaled_row};

/// The matrices of a predictor, in scaled units.
#[derive(Clone)]
pub(super) struct Predictor {
    pub(super) a: DMatrix<f64>,
    pub(super) b: DMatrix<f64>,
    pub(super) c: DMatrix<f64>,
    pub(super) d: DMatrix<f64>,
    pub(super) gain: DMatrix<f64>,
    pub(super) covariance: DMatrix<f64>,
}

/// Most free entries that are worth the work.
const ENTRIES: usize = 400;
/// Fewest rows of a stretch, and most stretches (each has a start of its own), the longest first.
const LEAST: usize = 20;
const STRETCHES: usize = 16;

/// At most `steps` improvements; the predictor that predicts best is returned, at worst the one given.
pub(super) fn refine(start: Predictor, record: &Record, scales: &[(f64, f64)], steps: usize) -> Predictor {
    let (n, m, p) = (start.a.nrows(), start.b.ncols(), start.c.nrows());
    // Innovations of a millionth of a signal's spread are rounding: there is nothing to gain.
    let silent = start.covariance.diagonal().max() < 1e-11;
    if silent
        || n * (n + m + 2 * p) + m * p > ENTRIES
        || spectral_radius(&(&start.a - &start.gain * &start.c)) >= 1.0
    {
        return start;
    }
    let rows: Vec<f64> = (0..record.len()).flat_map(|index| scaled_row(record, scales, index)).collect();
    let mut stretches: Vec<(usize, usize)> = record.stretches(LEAST).collect();
    stretches.sort_by_key(|(first, count)| (core::cmp::Reverse(*count), *first));
    stretches.truncate(STRETCHES);
    let mut starts = DVector::zeros(n * stretches.len());
    let Some(mut here) = Errors::of(&start, &starts, &rows, &stretches) else { return start };
    let mut best = start;
    let mut damping = 1e-3;
    let (mut taken, mut refused) = (0, 0);
    'better: while taken < steps {
        let Some(equations) = Equations::of(&best, &starts, &rows, &stretches) else { break };
        loop {
            if refused == 8 {
                break 'better;
            }
            let Some(step) = equations.step(damping) else { break 'better };
            let (trial, trial_starts) = moved(&best, &starts, &step);
            let settles = spectral_radius(&(&trial.a - &trial.gain * &trial.c)) < 1.0;
            let there = Errors::of(&trial, &trial_starts, &rows, &stretches);
            if let Some(there) = there.filter(|there| settles && there.cost < here.cost) {
                let gained = (here.cost - there.cost) / here.cost;
                (best, starts, here) = (trial, trial_starts, there);
                damping *= 0.1;
                taken += 1;
                if gained < 1e-9 {
                    break 'better;
                }
                break;
            }
            damping = f64::max(damping, 1e-9) * 10.0;
            refused += 1;
        }
    }
    best.covariance = &here.squares / (here.count - n as f64).max(1.0);
    best
}

/// Where the predictor is: state, inputs and prediction error of a row.
struct At<'a> {
    stretch: usize,
    begins: bool,
    x: &'a DVector<f64>,
    u: &'a DVector<f64>,
    e: &'a DVector<f64>,
}

/// Runs the predictor over all stretches. Nothing, if the rows do not reach.
fn walk(
    predictor: &Predictor,
    starts: &DVector<f64>,
    rows: &[f64],
    stretches: &[(usize, usize)],
    mut each: impl FnMut(&At<'_>),
) -> Option<()> {
    let Predictor { a, b, c, d, gain, .. } = predictor;
    let (n, m, p) = (a.nrows(), b.ncols(), c.nrows());
    let (mut u, mut e, mut next) = (DVector::zeros(m), DVector::zeros(p), DVector::zeros(n));
    for (stretch, (first, count)) in stretches.iter().enumerate() {
        let mut x = starts.rows(stretch * n, n).clone_owned();
        for index in *first..first + count {
            let (inputs, outputs) = rows.get(index * (m + p)..(index + 1) * (m + p))?.split_at_checked(m)?;
            u.copy_from_slice(inputs);
            e.copy_from_slice(outputs);
            e.gemv(-1.0, c, &x, 1.0);
            e.gemv(-1.0, d, &u, 1.0);
            each(&At { stretch, begins: index == *first, x: &x, u: &u, e: &e });
            next.gemv(1.0, a, &x, 0.0);
            next.gemv(1.0, b, &u, 1.0);
            next.gemv(1.0, gain, &e, 1.0);
            core::mem::swap(&mut x, &mut next);
        }
    }
    Some(())
}

/// Prediction errors of a record.
struct Errors {
    cost: f64,
    squares: DMatrix<f64>,
    count: f64,
}

impl Errors {
    fn of(
        predictor: &Predictor,
        starts: &DVector<f64>,
        rows: &[f64],
        stretches: &[(usize, usize)],
    ) -> Option<Self> {
        let whiten = predictor.covariance.clone().cholesky()?;
        let p = predictor.c.nrows();
        let mut errors = Self { cost: 0.0, squares: DMatrix::zeros(p, p), count: 0.0 };
        let mut white = DVector::zeros(p);
        walk(predictor, starts, rows, stretches, |at| {
            white.copy_from(at.e);
            whiten.l_dirty().solve_lower_triangular_mut(&mut white);
            errors.cost += white.norm_squared();
            errors.squares.ger(1.0, at.e, at.e, 1.0);
            errors.count += 1.0;
        })?;
        (errors.cost.is_finite() && errors.count > 0.0).then_some(errors)
    }
}

/// Normal equations of the prediction errors' Jacobian.
struct Equations {
    gram: DMatrix<f64>,
    right: DVector<f64>,
}

/// Rows of the Jacobian that are multiplied together: one product of many rows is many times faster than many of one row.
const BLOCK: usize = 64;

impl Equations {
    fn of(
        predictor: &Predictor,
        starts: &DVector<f64>,
        rows: &[f64],
        stretches: &[(usize, usize)],
    ) -> Option<Self> {
        let Predictor { a, b, c, gain, covariance, .. } = predictor;
        let (n, m, p) = (a.nrows(), b.ncols(), c.nrows());
        let own = n * (n + m + 2 * p) + m * p;
        let q = own + starts.len();
        let (from_b, from_c) = (n * n, n * n + n * m);
        let (from_d, from_k) = (from_c + p * n, from_c + p * n + p * m);
        let whiten = covariance.clone().cholesky()?;
        let lower = whiten.l_dirty();
        let (closed, c) = ((a - gain * c).transpose(), c.transpose());
        let mut equations = Self { gram: DMatrix::zeros(q, q), right: DVector::zeros(q) };
        // One row of sensitivities an entry: ∂x/∂θ, a state a column; and ∂ε/∂θ, an output a column.
        let (mut s, mut next) = (DMatrix::<f64>::zeros(q, n), DMatrix::<f64>::zeros(q, n));
        let mut slopes = DMatrix::<f64>::zeros(q, p);
        let (mut block, mut whites) = (DMatrix::zeros(q, BLOCK * p), DVector::zeros(BLOCK * p));
        let mut held = 0;
        walk(predictor, starts, rows, stretches, |at| {
            if at.begins {
                s.fill(0.0);
                s.view_mut((own + at.stretch * n, 0), (n, n)).fill_with_identity();
            }
            slopes.gemm(-1.0, &s, &c, 0.0);
            next.gemm(1.0, &s, &closed, 0.0);
            for out in 0..p {
                // what an error is moved by, moves the state through the gain
                let mut moves = |entry: usize, by: f64| {
                    slopes[(entry, out)] -= by;
                    for state in 0..n {
                        next[(entry, state)] -= gain[(state, out)] * by;
                    }
                };
                for from in 0..n {
                    moves(from_c + out * n + from, at.x[from]);
                }
                for from in 0..m {
                    moves(from_d + out * m + from, at.u[from]);
                }
            }
            for state in 0..n {
                for from in 0..n {
                    next[(state * n + from, state)] += at.x[from];
                }
                for from in 0..m {
                    next[(from_b + state * m + from, state)] += at.u[from];
                }
                for from in 0..p {
                    next[(from_k + state * p + from, state)] += at.e[from];
                }
            }
            core::mem::swap(&mut s, &mut next);
            for out in 0..p {
                let (done, mut this) = slopes.columns_range_pair_mut(0..out, out);
                for before in 0..out {
                    this.axpy(-lower[(out, before)], &done.column(before), 1.0);
                }
                this /= lower[(out, out)];
            }
            block.columns_mut(held * p, p).copy_from(&slopes);
            let mut white = whites.rows_mut(held * p, p);
            white.copy_from(at.e);
            lower.solve_lower_triangular_mut(&mut white);
            held += 1;
            if held == BLOCK {
                equations.add(&block, &whites, held * p);
                held = 0;
            }
        })?;
        equations.add(&block, &whites, held * p);
        Some(equations)
    }

    /// Adds so many rows of the Jacobian, which are columns here.
    fn add(&mut self, block: &DMatrix<f64>, whites: &DVector<f64>, count: usize) {
        let block = block.columns(0, count);
        self.gram.gemm(1.0, &block, &block.transpose(), 1.0);
        self.right.gemv(-1.0, &block, &whites.rows(0, count), 1.0);
    }

    fn step(&self, damping: f64) -> Option<DVector<f64>> {
        let scale = self.gram.diagonal().max();
        let mut matrix = self.gram.clone();
        for at in 0..matrix.nrows() {
            matrix[(at, at)] += damping * (matrix[(at, at)] + 1e-6 * scale);
        }
        let step = matrix.cholesky()?.solve(&self.right);
        step.iter().all(|value| value.is_finite()).then_some(step)
    }
}

fn moved(from: &Predictor, starts: &DVector<f64>, step: &DVector<f64>) -> (Predictor, DVector<f64>) {
    let (n, m, p) = (from.a.nrows(), from.b.ncols(), from.c.nrows());
    let mut at = 0;
    let mut add = |matrix: &DMatrix<f64>, height: usize, width: usize| {
        let base = at;
        at += height * width;
        DMatrix::from_fn(height, width, |i, j| matrix[(i, j)] + step[base + i * width + j])
    };
    let a = add(&from.a, n, n);
    let b = add(&from.b, n, m);
    let c = add(&from.c, p, n);
    let d = add(&from.d, p, m);
    let gain = add(&from.gain, n, p);
    let starts = starts + step.rows(at, starts.len());
    (Predictor { a, b, c, d, gain, covariance: from.covariance.clone() }, starts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::Noise;

    #[test]
    fn a_wrong_start_is_led_to_the_plant() {
        let one = |value: f64| DMatrix::from_element(1, 1, value);
        let (mut record, mut noise) = (Record::empty(1.0, 1, 1).unwrap(), Noise::new(3, 1));
        let mut x = 0.0;
        for _ in 0..4000 {
            let (u, e) = (noise.gaussian(), 0.3 * noise.gaussian());
            record.push([u, x + e]);
            x = 0.8 * x + 0.5 * u + 0.4 * e;
        }
        let start = Predictor {
            a: one(0.6),
            b: one(0.7),
            c: one(1.0),
            d: one(0.0),
            gain: one(0.1),
            covariance: one(1.0),
        };
        let found = refine(start, &record, &[(0.0, 1.0), (0.0, 1.0)], 20);
        let values =
            [found.a[(0, 0)], found.b[(0, 0)] * found.c[(0, 0)], found.gain[(0, 0)] * found.c[(0, 0)]];
        for (found, truth) in values.into_iter().zip([0.8, 0.5, 0.4]) {
            assert!((found - truth).abs() < 0.05, "{values:?}");
        }
        assert!((found.covariance[(0, 0)] / 0.09 - 1.0).abs() < 0.1);
    }
}
