//! The point whose distances to all points have the least sum.
//!
//! Source: Weiszfeld, Tôhoku Math. J. 43, 1937; Vardi, Zhang, PNAS 97, 2000 (what to do on a point); Pillutla, Kakade, Harchaoui, *Robust
//! aggregation for federated learning*, IEEE Trans. Signal Process. 70, 2022 (smoothed, a few rounds suffice). It breaks at half of the
//! sites; below that, its error grows with the share of liars and the honest spread.

use super::{Rule, at_least, weighted_median};
use crate::Error;

/// Weiszfeld's iteration, smoothed.
#[derive(Clone, Copy, Debug)]
pub struct GeometricMedian;

const ROUNDS: usize = 200;

impl Rule for GeometricMedian {
    fn name(&self) -> &'static str {
        "geometric_median"
    }

    fn combine(&self, points: &[Vec<f64>], weights: &[f64]) -> Result<Vec<f64>, Error> {
        at_least(points, 1)?;
        let width = points.first().map_or(0, Vec::len);
        let mut here = weighted_median(points, weights, width);
        let distance = |point: &[f64], here: &[f64]| {
            point.iter().zip(here).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt()
        };
        let held: Vec<&Vec<f64>> = points
            .iter()
            .zip(weights)
            .filter(|(point, weight)| **weight > 0.0 && point.iter().all(|x| x.is_finite()))
            .map(|(point, _)| point)
            .collect();
        for _ in 0..ROUNDS {
            let lengths: Vec<f64> = held.iter().map(|point| distance(point, &here)).collect();
            // a point that we stand on does not hold us there: its weight is bounded
            let floor = (1e-9 * lengths.iter().sum::<f64>()).max(1e-150);
            let inverse: Vec<f64> = lengths.iter().map(|length| 1.0 / length.max(floor)).collect();
            let total: f64 = inverse.iter().sum();
            let mut next = vec![0.0; width];
            for (point, weight) in held.iter().zip(&inverse) {
                next.iter_mut().zip(point.iter()).for_each(|(sum, x)| *sum += weight / total * x);
            }
            let moved = distance(&next, &here);
            here = next;
            if moved <= 1e-12 * lengths.iter().sum::<f64>() {
                break;
            }
        }
        Ok(here)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_triangle_it_is_the_fermat_point() {
        let points = [vec![0.0, 0.0], vec![1.0, 0.0], vec![0.5, 0.75_f64.sqrt()]];
        let point = GeometricMedian.combine(&points, &[1.0; 3]).unwrap();
        assert!(
            (point[0] - 0.5).abs() < 1e-9 && (point[1] - 0.75_f64.sqrt() / 3.0).abs() < 1e-9,
            "{point:?}"
        );
    }

    #[test]
    fn on_a_line_it_is_the_middle_point() {
        let points: Vec<Vec<f64>> = [0.0, 1.0, 5.0, 100.0, 1000.0].map(|x| vec![x]).to_vec();
        let point = GeometricMedian.combine(&points, &[1.0; 5]).unwrap();
        assert!((point[0] - 5.0).abs() < 1e-3, "{point:?}");
    }
}
