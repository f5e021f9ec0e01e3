//! Departure of each signal from the subspace of its own normal dynamics.
//!
//! Source: PASAD (Aoudi, Iturbe, Almgren, ACM CCS 2018, §3.2, the isometry trick of §3.4): singular spectrum analysis of a signal's lagged
//! vectors in normal operation; the r leading directions U; the centroid c of the projected normal vectors; departure |c − Uᵀx|² of each
//! new lagged vector. Directions here are those of 90 % of the power, 15 at most; lags an eighth of the history, 96 at most. Ported to a
//! stream: the projection is computed from a ring of the last lags, O(lags·r) a row, without allocation. It sees what a change does to the
//! course of one signal, and no relation between signals.

use twinguard_types::Symptom;

use crate::{
    archived,
    linalg::eigen,
    row_detector,
    rows::{RowModel, Standard},
};

const MOST_LAGS: usize = 96;
const FEWEST_LAGS: usize = 16;
const MOST_DIRECTIONS: usize = 15;
const SHARE: f64 = 0.9;

/// Singular spectrum of single signals.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pasad;

row_detector!(Pasad, Model, "pasad", Symptom::Residual);

#[derive(Clone, Debug, Default)]
struct Signal {
    /// Directions as rows of lags, newest value last.
    directions: Vec<f64>,
    centroid: Vec<f64>,
    /// Written twice, so that the last lags are one slice.
    ring: Vec<f64>,
}

archived!(Signal { directions, centroid, ring });

struct Model {
    lags: usize,
    signals: Vec<Signal>,
    at: usize,
    filled: usize,
}

archived!(Model { lags, signals, at, filled });

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

impl Signal {
    fn learn(column: &[f64], lags: usize) -> Self {
        let mut gram = vec![0.0; lags * lags];
        for window in column.windows(lags) {
            for (i, a) in window.iter().enumerate() {
                let row = &mut gram[i * lags..i * lags + i + 1];
                row.iter_mut().zip(window).for_each(|(sum, b)| *sum += a * b);
            }
        }
        for i in 0..lags {
            for j in 0..i {
                gram[j * lags + i] = gram[i * lags + j];
            }
        }
        let (values, mut directions) = eigen(&gram, lags);
        let total: f64 = values.iter().sum();
        let mut sum = 0.0;
        let mut held = 0;
        while held < MOST_DIRECTIONS.min(lags) && sum < SHARE * total {
            sum += values[held];
            held += 1;
        }
        directions.truncate(held.max(1) * lags);
        let windows = (column.len() + 1 - lags) as f64;
        let mean: Vec<f64> = (0..lags)
            .map(|lag| column[lag..column.len() + 1 + lag - lags].iter().sum::<f64>() / windows)
            .collect();
        let centroid = directions.chunks_exact(lags).map(|direction| dot(direction, &mean)).collect();
        Self { directions, centroid, ring: vec![0.0; 2 * lags] }
    }

    fn departure(&self, window: &[f64]) -> f64 {
        let scores = self.directions.chunks_exact(window.len()).map(|direction| dot(direction, window));
        self.centroid.iter().zip(scores).map(|(c, score)| (c - score) * (c - score)).sum()
    }
}

impl RowModel for Model {
    fn learn(rows: &Standard<'_>) -> Option<Self> {
        let lags = (rows.rows() / 8).clamp(FEWEST_LAGS, MOST_LAGS);
        let signals = (0..rows.channels).map(|channel| Signal::learn(&rows.column(channel), lags)).collect();
        (rows.rows() >= 2 * lags).then_some(Self { lags, signals, at: 0, filled: 0 })
    }

    fn statistics(&self) -> usize {
        self.signals.len()
    }

    fn step(&mut self, z: &[f64], out: &mut [f64]) -> Option<usize> {
        let lags = self.lags;
        self.filled = (self.filled + 1).min(lags);
        for ((signal, z), out) in self.signals.iter_mut().zip(z).zip(out) {
            (signal.ring[self.at], signal.ring[self.at + lags]) = (*z, *z);
            if self.filled == lags {
                *out = signal.departure(&signal.ring[self.at + 1..=self.at + lags]);
            }
        }
        self.at = (self.at + 1) % lags.max(1);
        (self.filled == lags).then_some(0)
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
    fn a_stream_is_the_projection_of_the_trajectory_matrix() {
        let wave =
            |t: usize| (t as f64 / 7.0).sin() + 0.3 * (t as f64 / 2.3).cos() + (t * 7919 % 83) as f64 / 400.0;
        let column: Vec<f64> = (0..500).map(wave).collect();
        let rows = Standard { channels: 1, values: &column, seed: 0 };
        let mut model = Model::learn(&rows).unwrap();
        let lags = model.lags;
        let signal = model.signals[0].clone();
        // directions are eigenvectors of the trajectory matrix times its transpose: H Hᵀ u = s² u
        let u = &signal.directions[..lags];
        let product: Vec<f64> = (0..lags)
            .map(|i| column.windows(lags).map(|window| window[i] * dot(window, u)).sum::<f64>())
            .collect();
        let value = dot(&product, u);
        assert!(product.iter().zip(u).all(|(a, b)| (a - value * b).abs() < 1e-6 * value));
        let mut out = [0.0];
        for t in 0..700 {
            let got = model.step(&[wave(t)], &mut out);
            if t + 1 < lags {
                assert!(got.is_none());
                continue;
            }
            let window: Vec<f64> = (t + 1 - lags..=t).map(wave).collect();
            // the mean of all projected normal vectors, one by one
            let mut naive = 0.0;
            for direction in signal.directions.chunks_exact(lags) {
                let normal = column.windows(lags).map(|w| dot(direction, w));
                let centroid = normal.sum::<f64>() / (column.len() + 1 - lags) as f64;
                naive += (centroid - dot(direction, &window)).powi(2);
            }
            assert!((out[0] - naive).abs() < 1e-9 * (1.0 + naive), "{t}: {} for {naive}", out[0]);
        }
    }

    #[test]
    fn a_bias_leaves_the_normal_course() {
        let mut fitted = testing::fit(&Pasad, Plant::new(3).run(6_000));
        let mut plant = Plant::new(4);
        let quiet = testing::loudest(&mut *fitted, &mut plant, 1_500);
        plant.bias[0] = 6.0;
        assert!(testing::loudest(&mut *fitted, &mut plant, 300) > quiet.max(4.0));
    }
}
