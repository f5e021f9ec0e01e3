//! Values in the tails of their own distributions, all signals together.
//!
//! Source: ECOD (Li, Zhao, Hu, Botta, Ionescu, Chen, IEEE TKDE 35, 2023, algorithm 1): per signal −ln of the empirical probability of a value
//! as low and as high; summed over the signals left, right, and by the side of each signal's skewness; the largest of the three sums.
//! Without parameters and without interactions: it knows nothing of relations, and nothing of time. Here the law is the history's alone, a
//! thousand values a signal. Cost: a binary search and a logarithm a signal.

use twinguard_types::Symptom;

use crate::{
    archived, row_detector,
    rows::{RowModel, Standard},
};

const HELD: usize = 1024;

/// Empirical tails of single signals.
#[derive(Clone, Copy, Debug, Default)]
pub struct Marginals;

row_detector!(Marginals, Model, "marginals", Symptom::Range);

struct Model {
    /// Sorted values of each signal.
    sorted: Vec<Vec<f64>>,
    /// Whether the longer tail is the left one.
    left: Vec<bool>,
}

archived!(Model { sorted, left });

/// −ln of the share of values at least as low, and at least as high.
fn tails(sorted: &[f64], z: f64) -> (f64, f64) {
    let n = sorted.len() as f64;
    let low = sorted.partition_point(|x| *x <= z) as f64;
    let high = n - sorted.partition_point(|x| *x < z) as f64;
    // the value itself is one more
    let surprise = |count: f64| -libm::log((count + 1.0) / (n + 1.0));
    (surprise(low), surprise(high))
}

impl RowModel for Model {
    fn learn(rows: &Standard<'_>) -> Option<Self> {
        let stride = (rows.rows() / HELD).max(1);
        let (mut sorted, mut left) = (Vec::new(), Vec::new());
        for channel in 0..rows.channels {
            let mut column: Vec<f64> = rows.column(channel).into_iter().step_by(stride).collect();
            let n = column.len() as f64;
            let mean = column.iter().sum::<f64>() / n;
            left.push(column.iter().map(|x| (x - mean).powi(3)).sum::<f64>() < 0.0);
            column.sort_unstable_by(f64::total_cmp);
            sorted.push(column);
        }
        Some(Self { sorted, left })
    }

    fn statistics(&self) -> usize {
        1
    }

    fn step(&mut self, z: &[f64], out: &mut [f64]) -> Option<usize> {
        let (mut sums, mut most, mut place) = ([0.0; 3], 0.0, 0);
        for (channel, ((z, sorted), left)) in z.iter().zip(&self.sorted).zip(&self.left).enumerate() {
            let (low, high) = tails(sorted, *z);
            sums[0] += low;
            sums[1] += high;
            sums[2] += if *left { low } else { high };
            if low.max(high) > most {
                (most, place) = (low.max(high), channel);
            }
        }
        out[0] = sums.iter().fold(0.0, |most: f64, sum| most.max(*sum));
        Some(place)
    }

    fn begin(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, Plant};

    #[test]
    fn it_is_the_plain_sum_over_tails() {
        let values: Vec<f64> = (0..600).map(|k| libm::exp(f64::from(k * 7919 % 601) / 300.0) - 2.0).collect();
        let rows = Standard { channels: 3, values: &values, seed: 0 };
        let mut model = Model::learn(&rows).unwrap();
        let mut out = [0.0];
        for z in [[-2.0, 0.0, 1.0], [9.0, -9.0, 0.3], values[..3].try_into().unwrap()] {
            let place = model.step(&z, &mut out).unwrap();
            let mut sums = [0.0; 3];
            for channel in 0..3 {
                let column = rows.column(channel);
                let share = |test: &dyn Fn(f64) -> bool| {
                    (column.iter().filter(|x| test(**x)).count() as f64 + 1.0) / (column.len() as f64 + 1.0)
                };
                let (low, high) = (-share(&|x| x <= z[channel]).ln(), -share(&|x| x >= z[channel]).ln());
                let mean = column.iter().sum::<f64>() / column.len() as f64;
                let skew: f64 = column.iter().map(|x| (x - mean).powi(3)).sum();
                sums[0] += low;
                sums[1] += high;
                sums[2] += if skew < 0.0 { low } else { high };
            }
            let naive = sums.iter().copied().fold(0.0, f64::max);
            assert!((out[0] - naive).abs() < 1e-12, "{} for {naive}", out[0]);
            assert!(place < 3);
        }
    }

    #[test]
    fn rows_beyond_all_others_pass_every_normal_one() {
        let values: Vec<f64> = (0..1800).map(|k| f64::from(k * 7919 % 1801) / 900.0 - 1.0).collect();
        let rows = Standard { channels: 3, values: &values, seed: 0 };
        let mut model = Model::learn(&rows).unwrap();
        let (mut out, mut most) = ([0.0], 0.0_f64);
        for t in 0..rows.rows() {
            model.step(rows.row(t), &mut out);
            most = most.max(out[0]);
        }
        model.step(&[3.0, 3.0, 3.0], &mut out);
        assert!(out[0] > most, "{} {most}", out[0]);
        let mut fitted = testing::fit(&Marginals, Plant::new(3).run(3_000));
        assert!(testing::loudest(&mut *fitted, &mut Plant::new(4), 500).is_finite());
    }
}
