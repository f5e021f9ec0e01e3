//! Squared distance of a row from the principal subspace (SPE, Q).
//!
//! Source: Jackson, Mudholkar, Technometrics 21, 1979; Kourti, `MacGregor`, Chemometr. Intell. Lab. Syst. 28, 1995, §2: the leading
//! directions that hold 90 % of the variance; sine and cosine of the hour of day are two more columns where the history spans a week.
//! It survives a new operating regime that keeps the relations between channels; it is blind inside the subspace. Cost: m·k.

use super::super::{
    dense::Moments,
    panel::{Panel, squares},
    prepare::{History, Rows, Scales},
};
use super::{FOLDS, fold};
use crate::linalg::eigen;

const SHARE: f64 = 0.9;

/// Directions of unit length.
#[derive(Clone, Debug)]
pub(in super::super) struct Subspace {
    directions: Panel,
    m: usize,
    calendar: usize,
}

crate::archived!(Subspace { directions, m, calendar });

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
            Panel::new(&vectors, width)
        };
        let by_fold: Vec<Panel> = (0..FOLDS).map(|left| solve(Some(left))).collect();
        let mut work = vec![0.0; width];
        let sample = (0..n)
            .map(|t| {
                fill(t, &mut x);
                distance(&by_fold[fold(t, n)], &x[..m], &x[m..], &mut work)
            })
            .collect();
        (Self { directions: solve(None), m, calendar }, sample)
    }

    pub(in super::super) fn sound(&self, m: usize, calendar: usize) -> bool {
        let width = m + calendar;
        let held = self.directions.rows();
        self.m == m && self.calendar == calendar && held <= width && self.directions.is(held, width)
    }

    /// `work`: a number per channel and per column of the calendar.
    pub(in super::super) fn at(&self, row: &Rows, work: &mut [f64]) -> f64 {
        distance(&self.directions, &row.slow, &unit(row.calendar)[..self.calendar], work)
    }
}

/// Sine and cosine with unit variance.
fn unit(calendar: [f64; 2]) -> [f64; 2] {
    calendar.map(|c| c * core::f64::consts::SQRT_2)
}

fn distance(directions: &Panel, x: &[f64], calendar: &[f64], work: &mut [f64]) -> f64 {
    let scores = &mut work[..directions.rows()];
    scores.fill(0.0);
    directions.add(0, x, scores);
    directions.add(x.len(), calendar, scores);
    (squares(x) + squares(calendar) - squares(scores)).max(0.0)
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
        assert!(model.at(&row, &mut [0.0; 3]) < 2.0 * limit);
        row.step(&scales, None, &[0.4, -0.4, -0.4]);
        assert!(model.at(&row, &mut [0.0; 3]) > 20.0 * limit);
    }
}
