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
    let Some(mut here) = Run::of(&start, &starts, &rows, &stretches) else { return start };
    let mut best = start;
    let mut damping = 1e-3;
    let (mut taken, mut refused) = (0, 0);
    while taken < steps && refused < 8 {
        let Some(step) = here.step(damping) else { break };
        let (trial, trial_starts) = moved(&best, &starts, &step);
        let settles = spectral_radius(&(&trial.a - &trial.gain * &trial.c)) < 1.0;
        match Run::of(&trial, &trial_starts, &rows, &stretches)
            .filter(|there| settles && there.cost < here.cost)
        {
            Some(there) => {
                let gained = (here.cost - there.cost) / here.cost;
                (best, starts, here) = (trial, trial_starts, there);
                damping *= 0.1;
                taken += 1;
                if gained < 1e-9 {
                    break;
                }
            }
            None => {
                damping = f64::max(damping, 1e-9) * 10.0;
                refused += 1;
            }
        }
    }
    best.covariance = &here.squares / (here.count - n as f64).max(1.0);
    best
}

/// Prediction errors of a record with the normal equations of their Jacobian.
struct Run {
    gram: DMatrix<f64>,
    right: DVector<f64>,
    cost: f64,
    squares: DMatrix<f64>,
    count: f64,
}

impl Run {
    fn of(
        predictor: &Predictor,
        starts: &DVector<f64>,
        rows: &[f64],
        stretches: &[(usize, usize)],
    ) -> Option<Self> {
        let Predictor { a, b, c, d, gain, covariance } = predictor;
        let (n, m, p) = (a.nrows(), b.ncols(), c.nrows());
        let width = m + p;
        let own = n * (n + m + 2 * p) + m * p;
        let q = own + starts.len();
        let whiten = covariance.clone().cholesky()?;
        let mut run = Self {
            gram: DMatrix::zeros(q, q),
            right: DVector::zeros(q),
            cost: 0.0,
            squares: DMatrix::zeros(p, p),
            count: 0.0,
        };
        for (stretch, (first, count)) in stretches.iter().enumerate() {
            let mut x = starts.rows(stretch * n, n).clone_owned();
            // One column of sensitivities an entry: ∂x/∂θ, and ∂ε/∂θ.
            let mut s = DMatrix::<f64>::zeros(n, q);
            s.view_mut((0, own + stretch * n), (n, n)).fill_with_identity();
            let mut de = DMatrix::<f64>::zeros(p, q);
            for index in *first..first + count {
                let row = rows.get(index * width..(index + 1) * width)?;
                let u = DVector::from_row_slice(row.get(..m)?);
                let y = DVector::from_row_slice(row.get(m..)?);
                let e = y - c * &x - d * &u;
                de.gemm(-1.0, c, &s, 0.0);
                let (from_c, from_d) = (n * n + n * m, n * n + n * m + p * n);
                for out in 0..p {
                    for at in 0..n {
                        de[(out, from_c + out * n + at)] -= x[at];
                    }
                    for at in 0..m {
                        de[(out, from_d + out * m + at)] -= u[at];
                    }
                }
                let mut white = e.clone();
                whiten.l_dirty().solve_lower_triangular_mut(&mut white);
                run.cost += white.norm_squared();
                run.squares.ger(1.0, &e, &e, 1.0);
                run.count += 1.0;
                let mut line = de.clone();
                whiten.l_dirty().solve_lower_triangular_mut(&mut line);
                run.gram.gemm_tr(1.0, &line, &line, 1.0);
                run.right.gemv_tr(-1.0, &line, &white, 1.0);
                let mut next = gain * &de;
                next.gemm(1.0, a, &s, 1.0);
                let (from_b, from_k) = (n * n, n * n + n * m + p * n + p * m);
                for state in 0..n {
                    for at in 0..n {
                        next[(state, state * n + at)] += x[at];
                    }
                    for at in 0..m {
                        next[(state, from_b + state * m + at)] += u[at];
                    }
                    for at in 0..p {
                        next[(state, from_k + state * p + at)] += e[at];
                    }
                }
                s = next;
                x = a * x + b * &u + gain * e;
            }
        }
        (run.cost.is_finite() && run.count > 0.0).then_some(run)
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
