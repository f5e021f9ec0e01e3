//! Vector autoregression: every channel from all channels' last rows; its residual is what is new in a row.
//!
//! Source: Lütkepohl, *New Introduction to Multiple Time Series Analysis*, 2005, §3.2 (least squares), with a ridge (Hoerl, Kennard,
//! Technometrics 12, 1970). Order 1, 2 or 4 and ridge 0.001 to 1 per row are chosen by the mean logarithm of the channels' squared errors
//! out of fold. Sine and cosine of the hour of day enter where the history spans a week. Cost: m²·order multiplications a row. It lies when
//! the plant is driven harder than in training; a level that moved once is no residual after `order` rows.

use super::super::{
    dense::{Moments, ridge},
    panel::Panel,
    prepare::{History, Rows, Scales},
};
use super::{FOLDS, fold};

const ORDERS: [usize; 3] = [1, 2, 4];
const DEEPEST: usize = 4;
const RIDGES: [f64; 4] = [1.0, 0.1, 0.01, 0.001];

/// Weights of lags, calendar and 1, negative: a residual is the value plus their product.
#[derive(Clone, Debug)]
pub(in super::super) struct Var {
    order: usize,
    weights: Panel,
    m: usize,
    calendar: usize,
}

crate::archived!(Var { order, weights, m, calendar });

#[derive(Clone, Debug)]
pub(in super::super) struct VarState {
    features: Vec<f64>,
    filled: usize,
}

crate::archived!(VarState { features, filled });

/// The best so far: quality, order, ridge, weights by fold.
type Choice = (f64, usize, f64, Vec<Vec<f64>>);

impl Var {
    /// The model and its residuals out of fold, row by row.
    pub(in super::super) fn fit(history: &History, scales: &Scales) -> (Self, Vec<f64>) {
        let (n, m) = (history.rows, history.channels);
        let calendar = scales.calendar_width();
        let extra = calendar + 1;
        let width = m * (DEEPEST + 1) + extra;
        // lags 1 to 4, calendar, 1; the row itself last
        let features = |t: usize, x: &mut Vec<f64>| {
            x.clear();
            for lag in 1..=DEEPEST {
                x.extend_from_slice(history.z(t.saturating_sub(lag)));
            }
            x.extend_from_slice(&history.calendar(t)[..calendar]);
            x.push(1.0);
        };
        let mut moments = Moments::new(width, FOLDS);
        let mut x = Vec::with_capacity(width);
        for t in DEEPEST.min(n)..n {
            features(t, &mut x);
            x.extend_from_slice(history.z(t));
            moments.add(fold(t, n), &x);
        }
        let targets: Vec<usize> = (width - m..width).collect();
        let chosen =
            |order: usize| -> Vec<usize> { (0..m * order).chain(m * DEEPEST..m * DEEPEST + extra).collect() };
        let without: Vec<(Vec<f64>, f64)> = (0..FOLDS).map(|left| moments.without(Some(left))).collect();
        let own: Vec<Vec<f64>> = (0..FOLDS).map(|part| moments.only(part)).collect();
        let mut best: Choice = (f64::MAX, 1, RIDGES[0], Vec::new());
        for order in ORDERS {
            if order > 1 && order * m * 2 > n {
                continue;
            }
            let columns = chosen(order);
            for rho in RIDGES {
                let by_fold: Vec<Vec<f64>> = without
                    .iter()
                    .map(|(gram, rows)| ridge(gram, width, &columns, &targets, rho * rows))
                    .collect();
                let mut squares = vec![0.0; m];
                for (weights, gram) in by_fold.iter().zip(&own) {
                    for (j, w) in weights.chunks_exact(columns.len()).enumerate() {
                        squares[j] += left_over(gram, width, width - m + j, &columns, w);
                    }
                }
                let logarithms = squares.iter().map(|square| libm::log(square / n as f64 + 1e-6));
                let quality = logarithms.sum::<f64>() / m.max(1) as f64;
                if quality < best.0 - 1e-3 {
                    best = (quality, order, rho, by_fold);
                }
            }
        }
        let (_, order, rho, by_fold) = best;
        let columns = chosen(order);
        let d = columns.len();
        let by_fold: Vec<Panel> = by_fold.iter().map(|weights| residual(weights, d)).collect();
        let mut residuals = Vec::with_capacity(n * m);
        let mut own_features = Vec::with_capacity(d);
        for t in 0..n {
            features(t, &mut x);
            own_features.clear();
            own_features.extend(columns.iter().map(|column| x[*column]));
            let from = residuals.len();
            residuals.extend_from_slice(history.z(t));
            let own = &mut residuals[from..];
            if let Some(weights) = by_fold.get(fold(t, n)) {
                weights.add(0, &own_features, own);
            }
            own.iter_mut().zip(history.missing(t)).filter(|(_, gone)| **gone).for_each(|(r, _)| *r = 0.0);
        }
        let (gram, rows) = moments.without(None);
        let weights = residual(&ridge(&gram, width, &columns, &targets, rho * rows), d);
        (Self { order, weights, m, calendar }, residuals)
    }

    fn width(&self) -> usize {
        self.m * self.order + self.calendar + 1
    }

    pub(in super::super) fn sound(&self, m: usize, calendar: usize) -> bool {
        ORDERS.contains(&self.order)
            && self.m == m
            && self.calendar == calendar
            && self.weights.is(m, self.width())
    }

    pub(in super::super) fn state(&self) -> VarState {
        let mut features = vec![0.0; self.width()];
        features[self.width() - 1] = 1.0;
        VarState { features, filled: 0 }
    }

    pub(in super::super) fn fits(&self, state: &VarState) -> bool {
        state.features.len() == self.width()
    }

    /// True when `residuals` were computed: after `order` rows.
    pub(in super::super) fn step(&self, state: &mut VarState, row: &Rows, residuals: &mut [f64]) -> bool {
        let m = self.m;
        let ready = state.filled >= self.order;
        if ready {
            let at = m * self.order;
            state.features[at..at + self.calendar].copy_from_slice(&row.calendar[..self.calendar]);
            residuals.copy_from_slice(&row.z);
            self.weights.add(0, &state.features, residuals);
        } else {
            state.filled += 1;
        }
        state.features.copy_within(0..m * (self.order - 1), m);
        state.features[..m].copy_from_slice(&row.z);
        ready
    }
}

/// Minus these rows of `width` weights.
pub(super) fn residual(weights: &[f64], width: usize) -> Panel {
    Panel::new(&weights.iter().map(|w| -w).collect::<Vec<_>>(), width)
}

/// Squared errors of a regression over rows of which only the second moments are known.
fn left_over(gram: &[f64], n: usize, target: usize, columns: &[usize], weights: &[f64]) -> f64 {
    let mut sum = gram[target * n + target];
    for (a, column) in weights.iter().zip(columns) {
        let row = &gram[column * n..(column + 1) * n];
        let inner: f64 = weights.iter().zip(columns).map(|(b, other)| b * row[*other]).sum();
        sum += a * (inner - 2.0 * row[target]);
    }
    sum.max(0.0)
}

#[cfg(test)]
mod tests {
    use super::super::super::prepare::tests::prepared;
    use super::*;

    #[test]
    fn it_finds_the_law_of_a_driven_plant() {
        // x follows itself and y; y is noise
        let mut state = (0.0, 1u64);
        let rows: Vec<f64> = (0..2000)
            .flat_map(|_| {
                state.1 = state.1.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let noise = (state.1 >> 33) as f64 / f64::from(1u32 << 31) - 0.5;
                let x = state.0;
                state.0 = 0.8 * state.0 + noise;
                [x, noise]
            })
            .collect();
        let (scales, history) = prepared(&rows, 2);
        let (var, residuals) = Var::fit(&history, &scales);
        assert!(var.sound(2, 0) && residuals.len() == 4000);
        let of = |j: usize| residuals.iter().skip(j).step_by(2).map(|r| r * r).sum::<f64>() / 2000.0;
        assert!(of(0) < 1e-3, "x is known: {}", of(0));
        assert!(of(1) > 0.9, "noise is not: {}", of(1));
    }
}
