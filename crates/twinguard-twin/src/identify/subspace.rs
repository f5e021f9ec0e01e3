//! Subspace identification: state-space models from a triangular factor, without iterations and without a start value.
//!
//! Source: P. Van Overschee, B. De Moor, *Subspace Identification for Linear Systems* (1996): N4SID (§4.3.1, weights of
//! theorem 12), MOESP (§4.3.2), CVA (§4.3.3). M. Verhaegen, *Automatica* 30 (1994) 61–74 (past-output MOESP, A and C from
//! the shift of the observability matrix). Order by D. Bauer, *Automatica* 37 (2001) 1561–1573, criterion SVC with penalty
//! log T, and only states whose correlation stands clear of noise. Innovations by a long autoregression, then B, D, K and the start by linear least squares given A and C: L. Ljung,
//! *System Identification* (2nd ed. 1999), §10.6 and (10.109).
//!
//! s block rows, N rows, m inputs, p outputs: O(s N (m+p)²) for the factor, O((s(m+p))³) for its parts,
//! O(N p n²(m+p)²) for B, D and K. It lies when an input does not move (refused), when outputs drive inputs in a closed
//! loop with strong noise (MOESP and N4SID are biased then; CVA with a long horizon less), and when the plant changes.

use nalgebra::{DMatrix, DVector};

use super::{
    dense::{least_squares, normal, rows, spectral_radius, stationary},
    hankel::{Factor, factor},
    innovations::Identified,
    record::Record,
    refine::{Predictor, refine},
};
use crate::{Error, TimeBase, models::linear::Matrices};

/// How past and future are weighted before their common directions are looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Weighting {
    /// Canonical variates: directions by how well they are predicted, whatever their size. The default.
    #[default]
    Cva,
    /// Past-output MOESP: directions by their size after the inputs are projected out.
    Moesp,
    /// N4SID: the oblique projection itself.
    N4sid,
}

/// How [`subspace`] works.
#[derive(Clone, Debug, PartialEq)]
pub struct Subspace {
    /// Number of states; `None`: chosen by the record.
    pub order: Option<usize>,
    /// Block rows s of past and future; `None`: by the length of the record and the number of channels.
    pub horizon: Option<usize>,
    /// Weighting.
    pub weighting: Weighting,
    /// Most Gauss–Newton steps towards the maximum of the likelihood afterwards; 0: none.
    pub refinements: usize,
    /// Names of inputs and outputs; `u1`, `y1`, … where they are missing.
    pub inputs: Vec<String>,
    /// As `inputs`.
    pub outputs: Vec<String>,
}

impl Default for Subspace {
    /// Order and horizon by the record, CVA, three refinements.
    fn default() -> Self {
        Self {
            order: None,
            horizon: None,
            weighting: Weighting::Cva,
            refinements: 3,
            inputs: Vec::new(),
            outputs: Vec::new(),
        }
    }
}

/// Most block rows, and most rows of the stacked matrix.
const HORIZON: usize = 64;
const STACK: usize = 1536;
/// Most states.
const ORDER: usize = 64;

/// A linear model of a record.
///
/// # Errors
/// [`Error::Unidentifiable`] for an input or output that does not move, inputs that are not rich enough, too few rows
/// in one stretch, or an order beyond the horizon; [`Error::NotFinite`] when a decomposition fails.
pub fn subspace(record: &Record, options: &Subspace) -> Result<Identified, Error> {
    let (m, p) = (record.inputs(), record.outputs());
    let name = |names: &[String], letter: char, at: usize| {
        names.get(at).cloned().unwrap_or_else(|| format!("{letter}{}", at + 1))
    };
    let scales = record.scales();
    for (at, (mean, spread)) in scales.iter().enumerate() {
        if *spread <= 1e-12 * mean.abs() || !spread.is_finite() {
            let channel =
                if at < m { name(&options.inputs, 'u', at) } else { name(&options.outputs, 'y', at - m) };
            return Err(Error::Unidentifiable { what: channel, reason: "does not move in this record" });
        }
    }
    let horizon = match options.horizon {
        Some(horizon) => horizon.clamp(2, HORIZON.min(STACK / (2 * (m + p))).max(2)),
        None => horizon(record, options.order),
    };
    let short =
        || Error::Unidentifiable { what: "record".to_owned(), reason: "has too few rows in one stretch" };
    let stacked = factor(record, &scales, horizon).ok_or_else(short)?;
    let split = Split::of(&stacked);
    for at in 0..stacked.heights[0] {
        if stacked.lower[(at, at)] < 1e-7 {
            let what = name(&options.inputs, 'u', at % m.max(1));
            return Err(Error::Unidentifiable {
                what,
                reason: "is not rich enough: it follows from its own past",
            });
        }
    }
    let directions = split.directions(options.weighting)?;
    let correlations = match options.weighting {
        Weighting::Cva => directions.values.clone(),
        _ => split.directions(Weighting::Cva)?.values,
    };
    let most = ORDER.min((horizon - 1) * p).min(directions.values.len());
    let order = match options.order {
        Some(order) if order == 0 || order > most => {
            let reason = "is beyond what the horizon can show";
            return Err(Error::Unidentifiable { what: format!("order {order}"), reason });
        }
        Some(order) => order,
        None => choose(&correlations, stacked.columns, [m, p], horizon, most),
    };
    let (a, c) = directions.shift(order, p)?;
    let innovations = Innovations::of(record, &scales, horizon.min(20)).ok_or_else(short)?;
    let solved = innovations.solve(record, &scales, a, c)?;
    let solved = refine(solved, record, &scales, options.refinements);

    // Back to the units of the history.
    let input_scale = DVector::from_iterator(m, scales.iter().take(m).map(|(_, spread)| *spread));
    let output_scale = DVector::from_iterator(p, scales.iter().skip(m).map(|(_, spread)| *spread));
    let unscale = |matrix: &DMatrix<f64>, left: Option<&DVector<f64>>, right: Option<&DVector<f64>>| {
        DMatrix::from_fn(matrix.nrows(), matrix.ncols(), |i, j| {
            matrix[(i, j)] * left.map_or(1.0, |scale| scale[i]) / right.map_or(1.0, |scale| scale[j])
        })
    };
    let outer = DMatrix::from_fn(p, p, |i, j| solved.covariance[(i, j)] * output_scale[i] * output_scale[j]);
    Ok(Identified {
        matrices: Matrices {
            base: TimeBase::Discrete { step_s: record.step_s() },
            states: (1..=order).map(|at| format!("x{at}")).collect(),
            inputs: (0..m).map(|at| name(&options.inputs, 'u', at)).collect(),
            outputs: (0..p).map(|at| name(&options.outputs, 'y', at)).collect(),
            a: rows(&solved.a),
            b: rows(&unscale(&solved.b, None, Some(&input_scale))),
            c: rows(&unscale(&solved.c, Some(&output_scale), None)),
            d: rows(&unscale(&solved.d, Some(&output_scale), Some(&input_scale))),
            x0: Vec::new(),
            u0: scales.iter().take(m).map(|(mean, _)| *mean).collect(),
            y0: scales.iter().skip(m).map(|(mean, _)| *mean).collect(),
        },
        gain: rows(&unscale(&solved.gain, None, Some(&output_scale))),
        innovation_covariance: rows(&outer),
        correlations,
        horizon,
        rows: record.len(),
    })
}

/// Block rows: long enough for the order asked for, short enough for the record.
fn horizon(record: &Record, order: Option<usize>) -> usize {
    let channels = record.inputs() + record.outputs();
    let wanted = order.map_or(10, |order| (2 * order / record.outputs() + 2).max(10));
    let longest = record.stretches(1).map(|(_, count)| count).max().unwrap_or(0);
    // Twenty columns for a row of the stacked matrix, where the record allows.
    wanted.min(longest / (40 * channels)).min(HORIZON).min(STACK / (2 * channels)).max(3)
}

/// Bauer's SVC (the squared correlation that is left out against the price of its parameters), but no state whose
/// correlation pure noise would show as well.
fn choose(
    correlations: &[f64],
    columns: usize,
    [inputs, outputs]: [usize; 2],
    horizon: usize,
    most: usize,
) -> usize {
    let price = (columns as f64).ln() / columns as f64;
    let cost = |order: usize| {
        let left = correlations.get(order).map_or(0.0, |value| value * value);
        left + price * (2 * order * outputs + order * inputs) as f64
    };
    let noise = noise_correlation(columns, horizon * (inputs + outputs), horizon * outputs);
    let clear = correlations.iter().take_while(|value| **value * **value > noise).count();
    let chosen = (1..=most).min_by(|left, right| cost(*left).total_cmp(&cost(*right))).unwrap_or(1);
    chosen.min(clear).max(1)
}

/// The squared canonical correlation that the largest of independent noise exceeds once in a hundred: I. Johnstone, *Annals
/// of Statistics* 36 (2008) 2638–2716, theorem 1, with the 99 % quantile of the Tracy–Widom law of order 1.
fn noise_correlation(columns: usize, past: usize, future: usize) -> f64 {
    const TRACY_WIDOM_99: f64 = 2.0234;
    let total = (columns as f64 - 1.0).max((past + future + 2) as f64);
    let angle = |size: usize| 2.0 * libm::asin(((size as f64 - 0.5) / total).sqrt().min(1.0));
    let (gamma, phi) = (angle(past.min(future)), angle(past.max(future)));
    let centre = 2.0 * libm::log(libm::tan(f64::midpoint(phi, gamma)));
    let sine = libm::sin(phi + gamma);
    let scale = libm::cbrt(16.0 / (total * total) / (sine * sine * libm::sin(phi) * libm::sin(gamma)));
    1.0 / (1.0 + libm::exp(-(centre + TRACY_WIDOM_99 * scale)))
}

/// The blocks of L below the future inputs.
struct Split<'a> {
    past: nalgebra::DMatrixView<'a, f64>,
    past_inputs: nalgebra::DMatrixView<'a, f64>,
    future_past: nalgebra::DMatrixView<'a, f64>,
    future_rest: nalgebra::DMatrixView<'a, f64>,
}

/// Left directions Γ-to-be with their weights.
struct Directions {
    vectors: DMatrix<f64>,
    values: Vec<f64>,
}

impl<'a> Split<'a> {
    fn of(stacked: &'a Factor) -> Self {
        let [inputs, past, future] = stacked.heights;
        let lower = &stacked.lower;
        Self {
            past_inputs: lower.view((inputs, 0), (past, inputs)),
            past: lower.view((inputs, inputs), (past, past)),
            future_past: lower.view((inputs + past, inputs), (future, past)),
            future_rest: lower.view((inputs + past, inputs + past), (future, future)),
        }
    }

    fn directions(&self, weighting: Weighting) -> Result<Directions, Error> {
        let lost = || Error::NotFinite { what: "subspace decomposition", time_s: 0.0 };
        let cross = self.future_past.clone_owned();
        let svd = |matrix: DMatrix<f64>| {
            let svd = matrix.try_svd(true, false, f64::EPSILON, 10_000).ok_or_else(lost)?;
            let mut order: Vec<usize> = (0..svd.singular_values.len()).collect();
            order.sort_by(|i, j| svd.singular_values[*j].total_cmp(&svd.singular_values[*i]));
            let vectors = svd.u.ok_or_else(lost)?.select_columns(&order);
            Ok::<_, Error>((vectors, order.iter().map(|at| svd.singular_values[*at]).collect::<Vec<f64>>()))
        };
        match weighting {
            Weighting::Moesp => {
                let (vectors, values) = svd(cross)?;
                Ok(Directions { vectors, values })
            }
            Weighting::N4sid => {
                // O = L32 L22⁻¹ [L21 L22], by solving from the right; a singular L22 (no noise) by least squares.
                let past = self.past.clone_owned();
                let regression = match past.transpose().solve_upper_triangular(&cross.transpose()) {
                    Some(solved) if solved.amax() < 1e6 => solved.transpose(),
                    _ => least_squares(&past.transpose(), &cross.transpose()).ok_or_else(lost)?.transpose(),
                };
                let mut oblique = DMatrix::zeros(cross.nrows(), self.past_inputs.ncols() + cross.ncols());
                oblique
                    .view_mut((0, 0), (cross.nrows(), self.past_inputs.ncols()))
                    .copy_from(&(regression * self.past_inputs));
                oblique.view_mut((0, self.past_inputs.ncols()), cross.shape()).copy_from(&cross);
                let (vectors, values) = svd(oblique)?;
                Ok(Directions { vectors, values })
            }
            Weighting::Cva => {
                let rest = self.future_rest.clone_owned();
                let mut spread = &cross * cross.transpose() + &rest * rest.transpose();
                // A direction that never moves keeps a weight that is small, not none.
                let floor = 1e-10 * spread.diagonal().max().max(f64::MIN_POSITIVE);
                for at in 0..spread.nrows() {
                    spread[(at, at)] += floor;
                }
                let weight = spread.cholesky().ok_or_else(lost)?.l();
                let whitened = weight.solve_lower_triangular(&cross).ok_or_else(lost)?;
                let (vectors, values) = svd(whitened)?;
                Ok(Directions { vectors: weight * vectors, values })
            }
        }
    }
}

impl Directions {
    /// A and C from the observability matrix Γ = U Σ^½: C its first block row, A what shifts it by one.
    fn shift(&self, order: usize, outputs: usize) -> Result<(DMatrix<f64>, DMatrix<f64>), Error> {
        let lost = || Error::NotFinite { what: "shift of the observability matrix", time_s: 0.0 };
        let roots = DVector::from_iterator(order, self.values.iter().take(order).map(|value| value.sqrt()));
        let observability =
            DMatrix::from_fn(self.vectors.nrows(), order, |i, j| self.vectors[(i, j)] * roots[j]);
        let height = observability.nrows() - outputs;
        let upper = observability.rows(0, height).clone_owned();
        let lower = observability.rows(outputs, height).clone_owned();
        let a = least_squares(&upper, &lower).ok_or_else(lost)?;
        Ok((a, observability.rows(0, outputs).clone_owned()))
    }
}

/// Innovations by a long autoregression.
struct Innovations {
    /// Rows of e, p each; `None` for the first rows of a stretch.
    rows: Vec<Option<Vec<f64>>>,
    covariance: DMatrix<f64>,
    lags: usize,
}

/// A row of the record, every channel shifted and scaled.
pub(super) fn scaled_row(record: &Record, scales: &[(f64, f64)], index: usize) -> Vec<f64> {
    let (u, y) = record.row(index);
    u.iter().chain(y).zip(scales).map(|(value, (mean, spread))| (value - mean) / spread).collect()
}

impl Innovations {
    fn of(record: &Record, scales: &[(f64, f64)], lags: usize) -> Option<Self> {
        let (m, p) = (record.inputs(), record.outputs());
        let width = m + p;
        // As many lags as the record can pay for.
        let usable: usize = record.stretches(2).map(|(_, count)| count).sum();
        let lags = lags.min(usable / (10 * width)).max(1);
        let stacked = factor_of_lags(record, scales, lags)?;
        let regressors = lags * width + m;
        let known = stacked.rows_range(0..regressors).columns_range(0..regressors).clone_owned();
        let cross = stacked.rows_range(regressors..regressors + p).columns_range(0..regressors).clone_owned();
        let coefficients = match known.transpose().solve_upper_triangular(&cross.transpose()) {
            Some(solved) if solved.amax() < 1e6 => solved.transpose(),
            _ => least_squares(&known.transpose(), &cross.transpose())?.transpose(),
        };
        let mut rows = vec![None; record.len()];
        let mut covariance = DMatrix::zeros(p, p);
        let mut count = 0.0;
        for (first, length) in record.stretches(lags + 1) {
            let scaled: Vec<f64> =
                (first..first + length).flat_map(|index| scaled_row(record, scales, index)).collect();
            for index in lags..length {
                let past = scaled.get((index - lags) * width..index * width + m)?;
                let y = scaled.get(index * width + m..(index + 1) * width)?;
                let e: Vec<f64> = (0..p)
                    .map(|out| {
                        y[out]
                            - past.iter().enumerate().map(|(at, v)| coefficients[(out, at)] * v).sum::<f64>()
                    })
                    .collect();
                let vector = DVector::from_row_slice(&e);
                covariance += &vector * vector.transpose();
                count += 1.0;
                rows[first + index] = Some(e);
            }
        }
        Some(Self { rows, covariance: covariance / f64::max(count - regressors as f64, 1.0), lags })
    }

    /// B, D, K and the start of every stretch, by least squares: x is driven by u and e, y − e = C x + D u.
    fn solve(
        &self,
        record: &Record,
        scales: &[(f64, f64)],
        a: DMatrix<f64>,
        c: DMatrix<f64>,
    ) -> Result<Predictor, Error> {
        let (m, p, n) = (record.inputs(), record.outputs(), a.nrows());
        let drives = m + p;
        let lost = || Error::NotFinite { what: "least squares for B, D and K", time_s: 0.0 };
        let starts: Vec<(usize, usize)> = record.stretches(self.lags + 2).collect();
        let shared = n * drives + p * m;
        let size = shared + n * starts.len();
        let mut gram = DMatrix::zeros(size, size);
        let mut right = DMatrix::zeros(size, 1);
        // States of the unit systems: row per driven state, column per (drive, state) pair; then powers of A.
        let mut line = vec![0.0; p * shared];
        let mut free = vec![0.0; p * n];
        for (stretch, (first, count)) in starts.iter().enumerate() {
            let mut driven = DMatrix::<f64>::zeros(n, n * drives);
            let mut power = DMatrix::<f64>::identity(n, n);
            for index in self.lags..*count {
                let Some(e) = self.rows.get(first + index).and_then(Option::as_ref) else { continue };
                let row = scaled_row(record, scales, first + index);
                let (u, y) = row.split_at(m);
                let seen = &c * &driven;
                let seen_free = &c * &power;
                for out in 0..p {
                    let line = &mut line[out * shared..(out + 1) * shared];
                    for at in 0..n * drives {
                        line[at] = seen[(out, at)];
                    }
                    for (at, slot) in line.iter_mut().skip(n * drives).enumerate() {
                        *slot = if at / m.max(1) == out { u[at % m] } else { 0.0 };
                    }
                    for at in 0..n {
                        free[out * n + at] = seen_free[(out, at)];
                    }
                }
                let base = shared + stretch * n;
                for out in 0..p {
                    let (line, free) =
                        (&line[out * shared..(out + 1) * shared], &free[out * n..(out + 1) * n]);
                    let target = y[out] - e[out];
                    for (i, left) in line.iter().enumerate() {
                        if *left == 0.0 {
                            continue;
                        }
                        for (j, other) in line.iter().enumerate().take(i + 1) {
                            gram[(i, j)] += left * other;
                        }
                        right[(i, 0)] += left * target;
                    }
                    for (i, left) in free.iter().enumerate() {
                        for (j, other) in line.iter().enumerate() {
                            gram[(base + i, j)] += left * other;
                        }
                        for (j, other) in free.iter().enumerate().take(i + 1) {
                            gram[(base + i, base + j)] += left * other;
                        }
                        right[(base + i, 0)] += left * target;
                    }
                }
                driven = &a * driven;
                for state in 0..n {
                    for (drive, value) in u.iter().chain(e).enumerate() {
                        driven[(state, drive * n + state)] += value;
                    }
                }
                power = &a * power;
                if !driven.iter().all(|value| value.abs() < 1e100) {
                    return Err(Error::NotFinite {
                        what: "run of an unstable model",
                        time_s: record.step_s() * index as f64,
                    });
                }
            }
        }
        gram.fill_upper_triangle_with_lower_triangle();
        let solution = match normal(&gram, &right) {
            Some(solution) => solution,
            None => least_squares(&gram, &right).ok_or_else(lost)?,
        };
        let b = DMatrix::from_fn(n, m, |state, input| solution[(input * n + state, 0)]);
        let gain = DMatrix::from_fn(n, p, |state, out| solution[((m + out) * n + state, 0)]);
        let d = DMatrix::from_fn(p, m, |out, input| solution[(n * drives + out * m + input, 0)]);
        let covariance = self.covariance.clone();
        // A predictor that does not settle is replaced by the stationary filter of the same noise.
        if spectral_radius(&(&a - &gain * &c)) < 1.0 {
            return Ok(Predictor { a, b, c, d, gain, covariance });
        }
        let process = &gain * &covariance * gain.transpose();
        let cross = &gain * &covariance;
        // Without noise there is no gain to find: a stable model then predicts by itself.
        let alone = || (spectral_radius(&a) < 1.0).then(|| (DMatrix::zeros(n, p), covariance.clone()));
        let (gain, covariance) = stationary(&a, &c, &process, &cross, &covariance)
            .or_else(alone)
            .ok_or(Error::NotPositive { what: "noise", index: 0 })?;
        Ok(Predictor { a, b, c, d, gain, covariance })
    }
}

/// The triangular factor of `[past of lags rows | inputs now | outputs now]`, divided by √columns.
fn factor_of_lags(record: &Record, scales: &[(f64, f64)], lags: usize) -> Option<DMatrix<f64>> {
    let (m, p) = (record.inputs(), record.outputs());
    let width = m + p;
    let size = (lags + 1) * width;
    let mut gram = vec![0.0; size * size];
    let mut columns = 0;
    for (first, count) in record.stretches(lags + 1) {
        let scaled: Vec<f64> =
            (first..first + count).flat_map(|index| scaled_row(record, scales, index)).collect();
        columns += count - lags;
        super::hankel::add(&mut gram, &scaled, width, lags + 1, count - lags);
    }
    if columns <= size {
        return None;
    }
    // A trace of the diagonal keeps records without noise solvable; it is far below any sensor's resolution.
    let full = DMatrix::from_fn(size, size, |i, j| {
        let value = gram[i.min(j) * size + i.max(j)] / columns as f64;
        if i == j { value * (1.0 + 1e-13) + 1e-15 } else { value }
    });
    Some(full.cholesky()?.l())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two coupled lags, two inputs, two outputs, output noise; a generator that needs no crate.
    fn record(rows: usize, noise: f64) -> Record {
        let mut state = [0.0_f64; 2];
        let mut seed = 9_u64;
        let mut uniform = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
        };
        let mut record = Record::empty(2.0, 2, 2).unwrap();
        for _ in 0..rows {
            let u = [uniform(), uniform() * 3.0 + 7.0];
            let y = [
                state[0] + noise * uniform() + 20.0,
                100.0 * (state[0] - state[1]) + 5.0 * u[0] + 100.0 * noise * uniform(),
            ];
            record.push(u.into_iter().chain(y));
            state = [
                0.8 * state[0] + 0.1 * state[1] + u[0],
                -0.2 * state[0] + 0.7 * state[1] + 0.5 * (u[1] - 7.0),
            ];
        }
        record
    }

    #[test]
    fn every_weighting_finds_a_noiseless_plant() {
        for weighting in [Weighting::Cva, Weighting::Moesp, Weighting::N4sid] {
            let options = Subspace { weighting, order: Some(2), ..Subspace::default() };
            let found = subspace(&record(400, 0.0), &options).unwrap();
            let markov = found.markov(3);
            let expected =
                [[[0.0, 0.0], [5.0, 0.0]], [[1.0, 0.0], [100.0, -50.0]], [[0.8, 0.05], [100.0, -30.0]]];
            for (found, expected) in
                markov.iter().flatten().flatten().zip(expected.iter().flatten().flatten())
            {
                assert!((found - expected).abs() < 1e-3 * (1.0 + expected.abs()), "{weighting:?} {markov:?}");
            }
        }
    }

    #[test]
    fn order_and_noise_are_found() {
        let record = record(3000, 0.2);
        let (learn, rest) = record.split(0.7);
        let found = subspace(&learn, &Subspace::default()).unwrap();
        assert_eq!(found.order(), 2, "{:?}", found.correlations);
        // Uniform noise of width 0.2: standard deviation 0.2 / √12.
        let sigma = found.innovation_covariance[0][0].sqrt();
        assert!((sigma / (0.2 / 12.0_f64.sqrt()) - 1.0).abs() < 0.1, "{sigma}");
        let judged = found.judge(&rest).unwrap();
        assert!((judged.normalised - 1.0).abs() < 0.1, "{judged:?}");
        assert!(judged.whiteness.iter().all(|w| w.abs() < 0.1), "{judged:?}");
        assert!(judged.simulated.iter().all(|fit| *fit > 0.8), "{judged:?}");
    }

    #[test]
    fn what_cannot_be_found_is_said() {
        let mut still = Record::empty(1.0, 1, 1).unwrap();
        let mut few = still.clone();
        for k in 0..200 {
            still.push([1.0, f64::from(k).sin()]);
        }
        for k in 0..6 {
            few.push([f64::from(k * k % 7), f64::from(k)]);
        }
        let error = subspace(&still, &Subspace::default()).unwrap_err();
        assert_eq!(error.to_string(), "`u1` does not move in this record");
        let error = subspace(&few, &Subspace::default()).unwrap_err();
        assert_eq!(error.to_string(), "`record` has too few rows in one stretch");
        let options = Subspace { order: Some(400), ..Subspace::default() };
        assert!(matches!(subspace(&record(400, 0.1), &options), Err(Error::Unidentifiable { .. })));
    }
}
