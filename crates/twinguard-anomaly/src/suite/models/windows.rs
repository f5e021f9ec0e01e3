//! Shapes of single channels: the Mahalanobis distance of a window from the windows of normal operation.
//!
//! Source: windowed principal components (Sub-PCA; Liu, Paparrizos, *The Elephant in the Room*, 2024, §4), all directions kept,
//! eigenvalues not below 1 % of the largest: directions at the floor have one common weight, so they need no inner products. 32 rows of
//! at most eight channels that take many values. It asks what linear prediction does not: does this shape occur at all? Cost: 32·k a channel.

use super::super::{
    dense::{Moments, eigen},
    prepare::{History, Scales},
};
use super::{FOLDS, Recent, affordable, column, dot, fold, shaped};

const LENGTH: usize = 32;

/// Shapes by channel.
#[derive(Clone, Debug)]
pub(in super::super) struct Windows {
    length: usize,
    channels: Vec<usize>,
    shapes: Vec<Shape>,
}

crate::archived!(Windows { length, channels, shapes });

#[derive(Clone, Debug)]
struct Shape {
    mean: Vec<f64>,
    vectors: Vec<f64>,
    inverse: Vec<f64>,
    floor: f64,
}

crate::archived!(Shape { mean, vectors, inverse, floor });

impl Shape {
    fn learn(moments: &Moments, left: Option<usize>, length: usize) -> Self {
        let (gram, rows) = moments.without(left);
        let width = length + 1;
        let mean: Vec<f64> = (0..length).map(|i| gram[i * width + length] / rows.max(1.0)).collect();
        let mut covariance = vec![0.0; length * length];
        for i in 0..length {
            for j in 0..length {
                covariance[i * length + j] = gram[i * width + j] / rows.max(1.0) - mean[i] * mean[j];
            }
        }
        let (values, mut vectors) = eigen(&covariance, length);
        let floor = (0.01 * values[0]).max(0.001);
        let held = values.iter().take_while(|value| **value > floor).count();
        vectors.truncate(held * length);
        let inverse = values[..held].iter().map(|value| 1.0 / value).collect();
        Self { mean, vectors, inverse, floor: 1.0 / floor }
    }

    fn distance(&self, window: &[f64], centred: &mut [f64]) -> f64 {
        centred.iter_mut().zip(window.iter().zip(&self.mean)).for_each(|(c, (x, mean))| *c = x - mean);
        let mut rest = dot(centred, centred);
        let mut sum = 0.0;
        for (vector, inverse) in self.vectors.chunks_exact(window.len()).zip(&self.inverse) {
            let score = dot(vector, centred);
            rest -= score * score;
            sum += score * score * inverse;
        }
        (sum + rest.max(0.0) * self.floor) / window.len() as f64
    }
}

impl Windows {
    /// The model and its statistic out of fold; `None` when the history is too short or no channel takes many values.
    pub(in super::super) fn fit(history: &History, scales: &Scales) -> Option<(Self, Vec<f64>)> {
        let n = history.rows;
        let length = affordable(LENGTH, n)?;
        let channels = shaped(scales);
        if channels.is_empty() {
            return None;
        }
        let mut sample = vec![0.0; n];
        let mut shapes = Vec::with_capacity(channels.len());
        let mut centred = vec![0.0; length];
        for channel in &channels {
            let x = column(history, *channel);
            let mut moments = Moments::new(length + 1, FOLDS);
            let mut features = vec![1.0; length + 1];
            for t in length - 1..n {
                features[..length].copy_from_slice(&x[t + 1 - length..=t]);
                moments.add(fold(t, n), &features);
            }
            let by_fold: Vec<Shape> =
                (0..FOLDS).map(|left| Shape::learn(&moments, Some(left), length)).collect();
            for t in length - 1..n {
                let distance = by_fold[fold(t, n)].distance(&x[t + 1 - length..=t], &mut centred);
                sample[t] += distance / channels.len() as f64;
            }
            shapes.push(Shape::learn(&moments, None, length));
        }
        let first = sample[length - 1];
        sample[..length - 1].iter_mut().for_each(|value| *value = first);
        Some((Self { length, channels, shapes }, sample))
    }

    pub(in super::super) fn sound(&self, m: usize) -> bool {
        let length = self.length;
        let shape =
            |shape: &Shape| shape.mean.len() == length && shape.vectors.len() == shape.inverse.len() * length;
        (8..=LENGTH).contains(&length)
            && self.channels.iter().all(|channel| *channel < m)
            && self.shapes.len() == self.channels.len()
            && self.shapes.iter().all(shape)
    }

    pub(in super::super) fn state(&self) -> Recent {
        Recent::new(self.length, self.channels.len())
    }

    pub(in super::super) fn fits(&self, state: &Recent) -> bool {
        state.sound(self.length, self.channels.len())
    }

    pub(in super::super) fn step(&self, state: &mut Recent, row: &[f64]) -> Option<f64> {
        state.step(&self.channels, row, |place, window, scratch| self.shapes[place].distance(window, scratch))
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::prepare::tests::{noise, prepared};
    use super::*;

    #[test]
    fn a_shape_that_never_was_is_far() {
        let mut state = 4;
        let wave = |t: usize| libm::sin(t as f64 / 4.0);
        let rows: Vec<f64> = (0..1200).map(|t| wave(t) + 0.1 * noise(&mut state)).collect();
        let (scales, history) = prepared(&rows, 1);
        let (model, sample) = Windows::fit(&history, &scales).unwrap();
        assert!(model.sound(1));
        let limit = sample.iter().copied().fold(0.0, f64::max);
        let (mut recent, mut row) = (model.state(), scales.rows());
        let mut most = 0.0_f64;
        for t in 1200..1300 {
            // half a period is skipped, every value is normal
            let shift = if t < 1250 { 0 } else { 12 };
            row.step(&scales, None, &[wave(t + shift)]);
            if let Some(distance) = model.step(&mut recent, &row.slow) {
                assert!(t >= 1250 || distance < 2.0 * limit, "{t}: {distance} against {limit}");
                most = most.max(distance);
            }
        }
        assert!(most > 3.0 * limit, "{most} against {limit}");
    }
}
