//! Leave-one-out redundancy: each channel from all the others, now and one row ago.
//!
//! Source: ridge regression (Hoerl, Kennard, Technometrics 12, 1970), all targets from one inverse by the block formula for partial
//! regressions (Lauritzen, *Graphical Models*, 1996, §5.1.3): with P the inverse of the ridged moments and B the target's two own columns,
//! the weights of the others are −P[S, B] P[B, B]⁻¹. It gets better the more sensors are spoofed without knowing the plant, and lies under
//! attacks that respect all learnt relations. Cost: 2·m² multiplications a row.

use super::super::{
    dense::{Moments, inverse},
    panel::Panel,
    prepare::{History, Rows, Scales},
};
use super::var::residual;
use super::{FOLDS, fold};

const RIDGE: f64 = 0.01;

/// Weights of row, row before, calendar and 1, negative; zero at a channel's own two places.
#[derive(Clone, Debug)]
pub(in super::super) struct Crossed {
    weights: Panel,
    m: usize,
    calendar: usize,
}

crate::archived!(Crossed { weights, m, calendar });

#[derive(Clone, Debug)]
pub(in super::super) struct CrossedState {
    features: Vec<f64>,
    filled: bool,
}

crate::archived!(CrossedState { features, filled });

impl Crossed {
    /// The model and its residuals out of fold, row by row.
    pub(in super::super) fn fit(history: &History, scales: &Scales) -> (Self, Vec<f64>) {
        let (n, m) = (history.rows, history.channels);
        let calendar = scales.calendar_width();
        let width = 2 * m + calendar + 1;
        let features = |t: usize, x: &mut Vec<f64>| {
            x.clear();
            x.extend_from_slice(history.slow(t));
            x.extend_from_slice(history.slow(t.saturating_sub(1)));
            x.extend_from_slice(&history.calendar(t)[..calendar]);
            x.push(1.0);
        };
        let mut moments = Moments::new(width, FOLDS);
        let mut x = Vec::with_capacity(width);
        for t in 0..n {
            features(t, &mut x);
            moments.add(fold(t, n), &x);
        }
        let solve = |left: Option<usize>| {
            let (gram, rows) = moments.without(left);
            residual(&weights(&inverse(&gram, width, RIDGE * rows), width, m), width)
        };
        let by_fold: Vec<Panel> = (0..FOLDS).map(|left| solve(Some(left))).collect();
        let mut residuals = Vec::with_capacity(n * m);
        for t in 0..n {
            features(t, &mut x);
            let from = residuals.len();
            residuals.extend_from_slice(&x[..m]);
            let own = &mut residuals[from..];
            by_fold[fold(t, n)].add(0, &x, own);
            own.iter_mut().zip(history.missing(t)).filter(|(_, gone)| **gone).for_each(|(r, _)| *r = 0.0);
        }
        (Self { weights: solve(None), m, calendar }, residuals)
    }

    fn width(&self) -> usize {
        2 * self.m + self.calendar + 1
    }

    pub(in super::super) fn sound(&self, m: usize, calendar: usize) -> bool {
        self.m == m && self.calendar == calendar && self.weights.is(m, self.width())
    }

    pub(in super::super) fn state(&self) -> CrossedState {
        let mut features = vec![0.0; self.width()];
        features[self.width() - 1] = 1.0;
        CrossedState { features, filled: false }
    }

    pub(in super::super) fn fits(&self, state: &CrossedState) -> bool {
        state.features.len() == self.width()
    }

    /// True when `residuals` were computed: from the second row.
    pub(in super::super) fn step(&self, state: &mut CrossedState, row: &Rows, residuals: &mut [f64]) -> bool {
        let m = self.m;
        state.features.copy_within(0..m, m);
        state.features[..m].copy_from_slice(&row.slow);
        state.features[2 * m..2 * m + self.calendar].copy_from_slice(&row.calendar[..self.calendar]);
        if !core::mem::replace(&mut state.filled, true) {
            return false;
        }
        residuals.copy_from_slice(&row.slow);
        self.weights.add(0, &state.features, residuals);
        true
    }
}

fn weights(p: &[f64], width: usize, m: usize) -> Vec<f64> {
    let mut weights = vec![0.0; m * width];
    for (j, row) in weights.chunks_exact_mut(width).enumerate() {
        let (a, b) = (j, m + j);
        let (aa, ab, bb) = (p[a * width + a], p[a * width + b], p[b * width + b]);
        let determinant = (aa * bb - ab * ab).max(1e-300);
        let (first, second) = (bb / determinant, -ab / determinant);
        for (k, weight) in row.iter_mut().enumerate().filter(|(k, _)| *k != a && *k != b) {
            *weight = -(p[k * width + a] * first + p[k * width + b] * second);
        }
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::super::super::dense::ridge;
    use super::super::super::prepare::tests::{noise, prepared};
    use super::*;

    #[test]
    fn one_inverse_gives_every_regression() {
        let mut moments = Moments::new(5, 1);
        let mut state = 3;
        for _ in 0..300 {
            let x: Vec<f64> = (0..4).map(|_| noise(&mut state)).collect();
            moments.add(0, &[x[0], x[1] + x[0], x[2] - x[1], x[3] + 0.5 * x[2], 1.0]);
        }
        let (gram, rows) = moments.without(None);
        let all = weights(&inverse(&gram, 5, 0.01 * rows), 5, 2);
        for (target, others) in [(0, [1, 3, 4]), (1, [0, 2, 4])] {
            let direct = ridge(&gram, 5, &others, &[target], 0.01 * rows);
            for (other, want) in others.iter().zip(direct) {
                assert!((all[target * 5 + other] - want).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn a_sum_is_known_from_its_parts() {
        let mut state = 5;
        let rows: Vec<f64> = (0..600)
            .flat_map(|_| {
                let (a, b) = (noise(&mut state), noise(&mut state));
                [a, b, a + b]
            })
            .collect();
        let (scales, history) = prepared(&rows, 3);
        let (model, residuals) = Crossed::fit(&history, &scales);
        assert!(model.sound(3, 0));
        let mean = residuals.iter().map(|r| r * r).sum::<f64>() / residuals.len() as f64;
        assert!(mean < 1e-2, "{mean}");
    }
}
