//! Canonical variates: the part of the past that predicts the future, and the part that does not.
//!
//! Source: Larimore, American Control Conference 1990; statistics as in Odiowei, Cao, IEEE Trans. Industrial Informatics 6, 2010, §II: with
//! the past p (the last rows) and the future f (as many rows) whitened by their covariances, the singular vectors V of their
//! cross-covariance make the states `VᵀΣ_pp^−½p`; T² is their squared length, Q that of what they leave. States are those of a squared
//! correlation above 0.1. It leads the published rates on the Tennessee Eastman faults. Cost: (l·m)² multiplications a row for l rows of m
//! signals. It lies when the level wanders more than in the history.

use twinguard_types::Symptom;

use crate::{
    archived,
    linalg::{cholesky, eigen, forward},
    row_detector,
    rows::{RowModel, Standard},
};

const RIDGE: f64 = 1e-3;
const CORRELATION: f64 = 0.1;

/// T² and Q of canonical variates.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cva;

row_detector!(Cva, Model, "cva", Symptom::Redundancy);

struct Model {
    lags: usize,
    channels: usize,
    /// Cholesky factor of the past's covariance.
    factor: Vec<f64>,
    /// Directions of the whitened past, as rows.
    states: Vec<f64>,
    /// The last rows, newest first, and how many there are.
    past: Vec<f64>,
    filled: usize,
    white: Vec<f64>,
}

archived!(Model { lags, channels, factor, states, past, filled, white });

/// Covariance of two stacks of rows, `a` ending at row t, `b` beginning behind it.
fn covariance(
    n: usize,
    width: usize,
    mut stacks: impl FnMut(usize, &mut [f64], &mut [f64]),
) -> [Vec<f64>; 3] {
    let [mut aa, mut ab, mut bb] =
        [vec![0.0; width * width], vec![0.0; width * width], vec![0.0; width * width]];
    let (mut a, mut b) = (vec![0.0; width], vec![0.0; width]);
    for t in 0..n {
        stacks(t, &mut a, &mut b);
        for i in 0..width {
            for j in 0..width {
                aa[i * width + j] += a[i] * a[j] / n as f64;
                ab[i * width + j] += a[i] * b[j] / n as f64;
                bb[i * width + j] += b[i] * b[j] / n as f64;
            }
        }
    }
    for i in 0..width {
        aa[i * width + i] += RIDGE;
        bb[i * width + i] += RIDGE;
    }
    [aa, ab, bb]
}

impl RowModel for Model {
    fn learn(rows: &Standard<'_>) -> Option<Self> {
        let m = rows.channels;
        let lags = if m > 20 { 2 } else { 3 };
        let width = lags * m;
        let n = rows.rows().checked_sub(2 * lags).filter(|n| *n >= 2 * width)?;
        let [mut pp, pf, mut ff] = covariance(n, width, |t, past, future| {
            for lag in 0..lags {
                past[lag * m..(lag + 1) * m].copy_from_slice(rows.row(t + lags - 1 - lag));
                future[lag * m..(lag + 1) * m].copy_from_slice(rows.row(t + lags + lag));
            }
        });
        cholesky(&mut pp, width, 1e-9);
        cholesky(&mut ff, width, 1e-9);
        // G = L_p⁻¹ Σ_pf L_f⁻ᵀ: first the columns, then the rows
        let mut g = vec![0.0; width * width];
        let mut column = vec![0.0; width];
        for j in 0..width {
            (0..width).for_each(|i| column[i] = pf[i * width + j]);
            forward(&pp, width, &mut column);
            (0..width).for_each(|i| g[i * width + j] = column[i]);
        }
        g.chunks_exact_mut(width).for_each(|row| forward(&ff, width, row));
        let mut square = vec![0.0; width * width];
        for i in 0..width {
            for j in 0..width {
                square[i * width + j] = (0..width).map(|k| g[i * width + k] * g[j * width + k]).sum();
            }
        }
        let (values, mut states) = eigen(&square, width);
        let held = values.iter().take_while(|value| **value > CORRELATION).count().max(1);
        states.truncate(held * width);
        let blank = vec![0.0; width];
        Some(Self { lags, channels: m, factor: pp, states, past: blank.clone(), filled: 0, white: blank })
    }

    fn statistics(&self) -> usize {
        2
    }

    fn step(&mut self, z: &[f64], out: &mut [f64]) -> Option<usize> {
        let (m, width) = (self.channels, self.lags * self.channels);
        self.past.copy_within(0..width - m, m);
        self.past[..m].copy_from_slice(z);
        self.filled = (self.filled + 1).min(self.lags);
        if self.filled < self.lags {
            return None;
        }
        self.white.copy_from_slice(&self.past);
        forward(&self.factor, width, &mut self.white);
        let whole: f64 = self.white.iter().map(|x| x * x).sum();
        let mut held = 0.0;
        for state in self.states.chunks_exact(width) {
            let score: f64 = state.iter().zip(&self.white).map(|(a, b)| a * b).sum();
            held += score * score;
        }
        (out[0], out[1]) = (held, (whole - held).max(0.0));
        let off =
            |channel: usize| (0..self.lags).map(|lag| self.white[lag * m + channel].powi(2)).sum::<f64>();
        (0..m).max_by(|a, b| off(*a).total_cmp(&off(*b)).then(b.cmp(a)))
    }

    fn begin(&mut self) {
        self.filled = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, Plant};

    #[test]
    fn states_are_white_and_predict() {
        // a state that others follow, and noise that nothing follows
        let mut seed = 7_u64;
        let mut noise = move || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((seed >> 33) as f64 / f64::from(1u32 << 31) - 0.5) * 12_f64.sqrt()
        };
        let mut x = 0.0;
        let values: Vec<f64> = (0..6000)
            .flat_map(|_| {
                x = 0.9 * x + 0.436 * noise();
                [x, noise()]
            })
            .collect();
        let rows = Standard { channels: 2, values: &values, seed: 0 };
        let mut model = Model::learn(&rows).unwrap();
        assert_eq!(model.states.len(), 6, "one state");
        let (mut sums, mut n, mut naive) = ([0.0; 2], 0.0, 0.0);
        let mut out = [0.0; 2];
        // the whole squared length is that of the past by its inverse covariance, here by the explicit sum over the factor
        for t in 0..rows.rows() {
            if model.step(rows.row(t), &mut out).is_some() {
                sums[0] += out[0];
                sums[1] += out[1];
                n += 1.0;
                let mut solved = model.past.clone();
                forward(&model.factor, 6, &mut solved);
                crate::linalg::backward(&model.factor, 6, &mut solved);
                naive += solved.iter().zip(&model.past).map(|(a, b)| a * b).sum::<f64>();
            }
        }
        assert!((sums[0] / n - 1.0).abs() < 0.1, "T² of one state: {}", sums[0] / n);
        assert!((sums[1] / n - 5.0).abs() < 0.2, "Q of what is left of six: {}", sums[1] / n);
        assert!((naive / (sums[0] + sums[1]) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_biased_sensor_breaks_the_variates() {
        let mut fitted = testing::fit(&Cva, Plant::new(3).run(6_000));
        let mut plant = Plant::new(4);
        let quiet = testing::loudest(&mut *fitted, &mut plant, 1_500);
        plant.bias[1] = 25.0;
        assert!(testing::loudest(&mut *fitted, &mut plant, 100) > quiet.max(4.5));
    }
}
