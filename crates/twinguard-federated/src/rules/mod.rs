//! Robust rules: from the points of several sites to one, some of whom may lie. One file each, and a line here.
//!
//! A rule first gives each site a weight (zero: left out), then combines the points. Rules see points in the clear: they cannot stand
//! behind secure aggregation.

mod bulyan;
mod geometric_median;
mod krum;
mod mean;
mod median;
mod multi_krum;
mod screened;
mod trimmed_mean;

pub use bulyan::Bulyan;
pub use geometric_median::GeometricMedian;
pub use krum::Krum;
pub use mean::Mean;
pub use median::Median;
pub use multi_krum::MultiKrum;
pub use screened::Screened;
pub use trimmed_mean::TrimmedMean;

use crate::Error;

/// Several points become one.
pub trait Rule: Send + Sync {
    /// Its name, unique in the registry.
    fn name(&self) -> &'static str;

    /// The weight of each point: zero for one that is left out. All of them, unless the rule chooses.
    ///
    /// # Errors
    /// [`Error::TooFewSites`] for fewer points than the rule needs.
    fn weights(&self, points: &[Vec<f64>]) -> Result<Vec<f64>, Error> {
        at_least(points, 1)?;
        Ok(vec![1.0; points.len()])
    }

    /// The point that stands for those with weight: their mean, unless the rule says otherwise.
    ///
    /// # Errors
    /// As [`Rule::weights`].
    fn combine(&self, points: &[Vec<f64>], weights: &[f64]) -> Result<Vec<f64>, Error> {
        at_least(points, 1)?;
        let total: f64 = weights.iter().sum();
        let mut sum = vec![0.0; points.first().map_or(0, Vec::len)];
        for (point, weight) in points.iter().zip(weights).filter(|(_, weight)| **weight > 0.0) {
            sum.iter_mut().zip(point).for_each(|(sum, x)| *sum += weight / total * x);
        }
        Ok(sum)
    }
}

/// All rules with their usual settings for a share of liars, alphabetical.
#[must_use]
pub fn all(liars: f64) -> Vec<Box<dyn Rule>> {
    vec![
        Box::new(Bulyan { liars }),
        Box::new(GeometricMedian),
        Box::new(Krum { liars }),
        Box::new(Mean),
        Box::new(Median),
        Box::new(MultiKrum { liars }),
        Box::new(Screened),
        Box::new(TrimmedMean { liars }),
    ]
}

/// The default, in the order in which candidates are put to the vote: screened mean, then the geometric median.
#[must_use]
pub fn usual() -> Vec<Box<dyn Rule>> {
    vec![Box::new(Screened), Box::new(GeometricMedian)]
}

fn at_least(points: &[Vec<f64>], least: usize) -> Result<(), Error> {
    if points.len() < least { Err(Error::TooFewSites { sites: points.len(), least }) } else { Ok(()) }
}

/// Sites that may lie, of so many.
fn tolerated(liars: f64, sites: usize) -> usize {
    libm::ceil(liars.clamp(0.0, 0.5) * sites as f64) as usize
}

/// The middle of some numbers, the mean of the two middle ones for an even count; zero without any.
fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match (values.get(half), half.checked_sub(1).and_then(|below| values.get(below))) {
        (Some(high), Some(low)) if values.len().is_multiple_of(2) => low.midpoint(*high),
        (Some(middle), _) => *middle,
        _ => 0.0,
    }
}

/// Coordinate by coordinate, the middle of the points with weight.
pub(crate) fn weighted_median(points: &[Vec<f64>], weights: &[f64], width: usize) -> Vec<f64> {
    let held = |at: usize| -> Vec<f64> {
        let chosen = points.iter().zip(weights).filter(|(_, weight)| **weight > 0.0);
        chosen.filter_map(|(point, _)| point.get(at).copied()).collect()
    };
    (0..width).map(|at| middle(held(at))).collect()
}

/// Squares of the distances between all points, row-major.
fn distances(points: &[Vec<f64>]) -> Vec<f64> {
    let n = points.len();
    let mut out = vec![0.0; n * n];
    for i in 0..n {
        for j in 0..i {
            let square = points[i].iter().zip(&points[j]).map(|(a, b)| (a - b) * (a - b)).sum::<f64>();
            // what is not a number is far from everything
            let square = if square.is_finite() { square } else { f64::MAX };
            out[i * n + j] = square;
            out[j * n + i] = square;
        }
    }
    out
}

/// Krum's score of each point: the sum of the squares of the distances to its n − f − 2 nearest others.
fn krum_scores(distances: &[f64], n: usize, f: usize) -> Vec<f64> {
    let near = n.saturating_sub(f + 2).max(1);
    let score = |i: usize| {
        let mut row: Vec<f64> = (0..n).filter(|j| *j != i).map(|j| distances[i * n + j]).collect();
        row.sort_by(f64::total_cmp);
        row.iter().take(near).sum::<f64>()
    };
    (0..n).map(score).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Eleven honest points around (1, 2, 3), nine liars far away, together.
    pub(super) fn crowd(liars: usize) -> Vec<Vec<f64>> {
        let honest = (0..20 - liars).map(|k| {
            let jitter = |m: usize| ((k * m) % 7) as f64 / 70.0 - 0.04;
            vec![1.0 + jitter(3), 2.0 + jitter(5), 3.0 + jitter(11)]
        });
        honest.chain((0..liars).map(|k| vec![50.0 + k as f64 / 100.0, -50.0, 50.0])).collect()
    }

    fn off(rule: &dyn Rule, points: &[Vec<f64>]) -> f64 {
        let weights = rule.weights(points).unwrap();
        let point = rule.combine(points, &weights).unwrap();
        point.iter().zip([1.0, 2.0, 3.0]).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    }

    #[test]
    fn each_rule_holds_against_the_liars_it_is_made_for() {
        for (name, liars, most) in [
            ("bulyan", 4, 0.1),
            ("geometric_median", 9, 0.2),
            ("krum", 8, 0.1),
            ("median", 9, 0.1),
            ("multi_krum", 8, 0.1),
            ("screened", 9, 0.1),
            ("trimmed_mean", 8, 0.1),
        ] {
            let rules = all(liars as f64 / 20.0);
            let rule = rules.iter().find(|rule| rule.name() == name).unwrap();
            let off = off(&**rule, &crowd(liars));
            assert!(off < most, "{name}: {off}");
        }
        assert!(off(&Mean, &crowd(1)) > 1.0, "the mean does not hold against one");
    }

    #[test]
    fn without_liars_all_are_near_the_mean() {
        for rule in all(0.0) {
            assert!(off(&*rule, &crowd(0)) < 0.1, "{}", rule.name());
            assert!(rule.weights(&[]).is_err());
            let one = vec![vec![7.0]];
            if let Ok(weights) = rule.weights(&one) {
                assert_eq!(rule.combine(&one, &weights).unwrap(), [7.0], "{}", rule.name());
            }
        }
    }

    #[test]
    fn a_liar_without_numbers_is_no_danger() {
        let mut points = crowd(0);
        points[3] = vec![f64::INFINITY; 3];
        for rule in [&Screened as &dyn Rule, &Median, &Krum { liars: 0.1 }, &MultiKrum { liars: 0.1 }] {
            assert!(off(rule, &points) < 0.1, "{}", rule.name());
        }
    }

    #[test]
    fn names_are_alphabetical() {
        let names: Vec<_> = all(0.1).iter().map(|rule| rule.name()).collect();
        assert!(names.is_sorted());
    }
}
