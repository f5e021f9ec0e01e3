//! Shapes of single channels: the Mahalanobis distance of a window from the windows of normal operation.
//!
//! Source: windowed principal components (Sub-PCA; Liu, Paparrizos, *The Elephant in the Room*, 2024, §4), all directions kept,
//! eigenvalues not below 1 % of the largest. 32 rows of at most eight channels that take many values, four of them looked at in a row. It
//! asks what linear prediction does not: does this shape occur at all? Cost: a triangle of 32·32 for each of the four.

use super::super::{
    dense::Moments,
    panel::{Panel, squares},
    prepare::{History, Scales},
};
use super::recent::{Due, LONGEST, Looks, columns, looked, shaped};
use super::{FOLDS, fold};
use crate::linalg::{cholesky, eigen};

/// Shapes by channel.
#[derive(Clone, Debug)]
pub(in super::super) struct Windows {
    length: usize,
    shapes: Vec<Shape>,
}

crate::archived!(Windows { length, shapes });

/// A triangle that makes normal windows white, and minus the white mean.
#[derive(Clone, Debug)]
struct Shape {
    whiten: Panel,
    offset: Vec<f64>,
}

crate::archived!(Shape { whiten, offset });

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
        let (values, vectors) = eigen(&covariance, length);
        let floor = (0.01 * values[0]).max(0.001);
        let mut precision = vec![0.0; length * length];
        for (value, vector) in values.iter().zip(vectors.chunks_exact(length)) {
            for (row, a) in precision.chunks_exact_mut(length).zip(vector) {
                row.iter_mut().zip(vector).for_each(|(sum, b)| *sum += a * b / value.max(floor));
            }
        }
        cholesky(&mut precision, length, 1e-12);
        // the distance is |Lᵀ(x − mean)|²: rows of Lᵀ begin at the diagonal
        let mut triangle = vec![0.0; length * length];
        for i in 0..length {
            for j in i..length {
                triangle[i * length + j] = precision[j * length + i];
            }
        }
        let whiten = Panel::new(&triangle, length);
        let mut offset = vec![0.0; length];
        whiten.add(0, &mean, &mut offset);
        offset.iter_mut().for_each(|x| *x = -*x);
        Self { whiten, offset }
    }

    fn distance(&self, window: &[f64]) -> f64 {
        let mut white = [0.0; LONGEST];
        let white = &mut white[..self.offset.len().min(LONGEST)];
        white.copy_from_slice(&self.offset);
        self.whiten.add(0, window, white);
        squares(white) / window.len() as f64
    }
}

impl Windows {
    /// The model and its statistic out of fold; `None` when the history is too short or no channel takes many values.
    pub(in super::super) fn fit(history: &History, scales: &Scales) -> Option<(Self, Vec<f64>)> {
        let n = history.rows;
        let (channels, length) = shaped(scales, n);
        if channels.is_empty() {
            return None;
        }
        let columns = columns(history, channels);
        let mut shapes = Vec::with_capacity(columns.len());
        let mut by_fold: Vec<Vec<Shape>> = Vec::with_capacity(columns.len());
        for x in &columns {
            let mut moments = Moments::new(length + 1, FOLDS);
            let mut features = vec![1.0; length + 1];
            for t in length - 1..n {
                features[..length].copy_from_slice(&x[t + 1 - length..=t]);
                moments.add(fold(t, n), &features);
            }
            by_fold.push((0..FOLDS).map(|left| Shape::learn(&moments, Some(left), length)).collect());
            shapes.push(Shape::learn(&moments, None, length));
        }
        let sample =
            looked(n, length, &columns, |place, t, window| by_fold[place][fold(t, n)].distance(window));
        Some((Self { length, shapes }, sample))
    }

    pub(in super::super) fn sound(&self, channels: usize, longest: usize) -> bool {
        let length = self.length;
        let shape = |shape: &Shape| shape.whiten.is(length, length) && shape.offset.len() == length;
        length == longest
            && (8..=LONGEST).contains(&length)
            && self.shapes.len() == channels
            && self.shapes.iter().all(shape)
    }

    pub(in super::super) fn step(&self, looks: &mut Looks, due: &Due) -> Option<f64> {
        due.look(self.length, looks, |place, window| self.shapes[place].distance(window))
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::prepare::tests::{noise, prepared};
    use super::super::recent::Recent;
    use super::*;

    #[test]
    fn the_triangle_is_the_floored_mahalanobis_distance() {
        let mut state = 6;
        let length = 8;
        let mut moments = Moments::new(length + 1, 1);
        let mut level = 0.0;
        let windows: Vec<Vec<f64>> = (0..400)
            .map(|_| {
                (0..length)
                    .map(|_| {
                        level = 0.95 * level + noise(&mut state);
                        level + 0.5
                    })
                    .collect()
            })
            .collect();
        for window in &windows {
            moments.add(0, &[window.as_slice(), &[1.0]].concat());
        }
        let shape = Shape::learn(&moments, None, length);
        let mean: Vec<f64> = (0..length).map(|i| windows.iter().map(|w| w[i]).sum::<f64>() / 400.0).collect();
        let covariance: Vec<f64> = (0..length * length)
            .map(|k| {
                let (i, j) = (k / length, k % length);
                windows.iter().map(|w| (w[i] - mean[i]) * (w[j] - mean[j])).sum::<f64>() / 400.0
            })
            .collect();
        let (values, vectors) = eigen(&covariance, length);
        let floor = (0.01 * values[0]).max(0.001);
        for window in &windows[..20] {
            let naive: f64 = values
                .iter()
                .zip(vectors.chunks_exact(length))
                .map(|(value, vector)| {
                    let score: f64 = (0..length).map(|i| vector[i] * (window[i] - mean[i])).sum();
                    score * score / value.max(floor)
                })
                .sum::<f64>()
                / length as f64;
            let got = shape.distance(window);
            assert!((got - naive).abs() < 1e-9 * (1.0 + naive), "{got} for {naive}");
        }
    }

    #[test]
    fn a_shape_that_never_was_is_far() {
        let mut state = 4;
        let wave = |t: usize| libm::sin(t as f64 / 4.0);
        let rows: Vec<f64> = (0..1200).map(|t| wave(t) + 0.1 * noise(&mut state)).collect();
        let (scales, history) = prepared(&rows, 1);
        let (model, sample) = Windows::fit(&history, &scales).unwrap();
        assert!(model.sound(1, LONGEST));
        let limit = sample.iter().copied().fold(0.0, f64::max);
        let (mut recent, mut looks, mut row) = (Recent::new(1, LONGEST), Looks::default(), scales.rows());
        let mut most = 0.0_f64;
        for t in 1200..1300 {
            // half a period is skipped, every value is normal
            let shift = if t < 1250 { 0 } else { 12 };
            row.step(&scales, None, &[wave(t + shift)]);
            let due = recent.step(&[0], &row.slow);
            if let Some(distance) = model.step(&mut looks, &due) {
                assert!(t >= 1250 || distance < 2.0 * limit, "{t}: {distance} against {limit}");
                most = most.max(distance);
            }
        }
        assert!(most > 3.0 * limit, "{most} against {limit}");
    }
}
