//! The median of each coordinate by itself.
//!
//! Source: Yin, Chen, Kannan, Bartlett, *Byzantine-robust distributed learning*, ICML 2018, algorithm 1. It holds up to half of the sites
//! lying, at a price of order √d/√m where honest sites differ; liars just inside the honest spread move it (Baruch et al., `NeurIPS` 2019).

use super::{Rule, at_least, weighted_median};
use crate::Error;

/// Coordinate by coordinate.
#[derive(Clone, Copy, Debug)]
pub struct Median;

impl Rule for Median {
    fn name(&self) -> &'static str {
        "median"
    }

    fn combine(&self, points: &[Vec<f64>], weights: &[f64]) -> Result<Vec<f64>, Error> {
        at_least(points, 1)?;
        Ok(weighted_median(points, weights, points.first().map_or(0, Vec::len)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_middle_of_each_coordinate() {
        let points = [vec![1.0, 9.0], vec![2.0, 8.0], vec![99.0, -99.0]];
        assert_eq!(Median.combine(&points, &[1.0; 3]).unwrap(), [2.0, 8.0]);
    }
}
