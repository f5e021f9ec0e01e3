//! Squared distance of a row from the principal subspace (SPE, Q).
//!
//! Source: Jackson, Mudholkar, Technometrics 21, 1979; Kourti, `MacGregor`, Chemometr. Intell. Lab. Syst. 28, 1995, §2: the leading
//! directions that hold 90 % of the variance; sine and cosine of the hour of day are two more columns where the history spans a week.
//! It survives a new operating regime that keeps the relations between channels; it is blind inside the subspace. Cost: m·k.

use super::super::{
    dense::{Moments, eigen},
    prepare::{History, Rows, Scales},
};
use super::{FOLDS, dot, fold};

const SHARE: f64 = 0.9;

/// Directions of unit length as rows.
#[derive(Clone, Debug)]
pub(in super::super) struct Subspace {
    vectors: Vec<f64>,
    m: usize,
    calendar: usize,
}

crate::archived!(Subspace { vectors, m, calendar });

impl Subspace {
    /// The model and its statistic out of fold.
    pub(in super::super) fn fit(history: &History, scales: &Scales) -> (Self, Vec<f64>) {
        let n = history.rows;
        let (m, calendar) = (history.channels, scales.calendar_width());
        let width = m + calendar;
        let mut moments = Moments::new(width, FOLDS);
        let mut x = vec![0.0; width];
        let fill = |t: usize, x: &mut [f64]| {
            x[..m].copy_from_slice(history.slow(t));
            x[m..].iter_mut().zip(unit(history.calendar(t))).for_each(|(x, c)| *x = c);
        };
        for t in 0..n {
            fill(t, &mut x);
            moments.add(fold(t, n), &x);
        }
        let solve = |left: Option<usize>| {
            let (values, mut vectors) = eigen(&moments.without(left).0, width);
            let total: f64 = values.iter().sum();
            let mut sum = 0.0;
            let mut held = 0;
            while held < width && sum < SHARE * total {
                sum += values[held];
                held += 1;
            }
            vectors.truncate(held * width);
            vectors
        };
        let by_fold: Vec<Vec<f64>> = (0..FOLDS).map(|left| solve(Some(left))).collect();
        let sample = (0..n)
            .map(|t| {
                fill(t, &mut x);
                distance(&by_fold[fold(t, n)], &x[..m], &x[m..])
            })
            .collect();
        (Self { vectors: solve(None), m, calendar }, sample)
    }

    pub(in super::super) fn sound(&self, m: usize, calendar: usize) -> bool {
        let width = m + calendar;
        self.m == m && self.calendar == calendar && width > 0 && self.vectors.len().is_multiple_of(width)
    }

    pub(in super::super) fn at(&self, row: &Rows) -> f64 {
        distance(&self.vectors, &row.slow, &unit(row.calendar)[..self.calendar])
    }
}

/// Sine and cosine with unit variance.
fn unit(calendar: [f64; 2]) -> [f64; 2] {
    calendar.map(|c| c * core::f64::consts::SQRT_2)
}

fn distance(vectors: &[f64], x: &[f64], calendar: &[f64]) -> f64 {
    let mut sum = dot(x, x) + dot(calendar, calendar);
    for vector in vectors.chunks_exact(x.len() + calendar.len()) {
        let score = dot(&vector[..x.len()], x) + dot(&vector[x.len()..], calendar);
        sum -= score * score;
    }
    sum.max(0.0)
}

#[cfg(test)]
mod tests {
    use super::super::super::prepare::tests::{noise, prepared};
    use super::*;

    #[test]
    fn a_broken_relation_leaves_the_subspace() {
        let mut state = 9;
        let rows: Vec<f64> = (0..800)
            .flat_map(|_| {
                let (a, b) = (noise(&mut state), 0.05 * noise(&mut state));
                [a, a + b, -a]
            })
            .collect();
        let (scales, history) = prepared(&rows, 3);
        let (model, sample) = Subspace::fit(&history, &scales);
        assert!(model.sound(3, 0) && sample.len() == 800);
        let limit = sample.iter().copied().fold(0.0, f64::max);
        let mut row = scales.rows();
        row.step(&scales, None, &[0.4, 0.4, -0.4]);
        assert!(model.at(&row) < 2.0 * limit);
        row.step(&scales, None, &[0.4, -0.4, -0.4]);
        assert!(model.at(&row) > 20.0 * limit);
    }
}
