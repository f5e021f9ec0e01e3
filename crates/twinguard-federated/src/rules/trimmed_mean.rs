//! The mean of each coordinate without its largest and smallest values.
//!
//! Source: Yin, Chen, Kannan, Bartlett, ICML 2018, algorithm 1, option II (β-trimmed mean). It holds while fewer lie than are trimmed at
//! each end.

use super::{Rule, at_least, tolerated};
use crate::Error;

/// Trims the expected number of liars at each end.
#[derive(Clone, Copy, Debug)]
pub struct TrimmedMean {
    /// Share of sites that may lie.
    pub liars: f64,
}

impl Rule for TrimmedMean {
    fn name(&self) -> &'static str {
        "trimmed_mean"
    }

    fn combine(&self, points: &[Vec<f64>], _: &[f64]) -> Result<Vec<f64>, Error> {
        at_least(points, 1)?;
        let trim = tolerated(self.liars, points.len()).min((points.len() - 1) / 2);
        let of = |at: usize| {
            let mut values: Vec<f64> = points.iter().filter_map(|point| point.get(at).copied()).collect();
            values.sort_by(f64::total_cmp);
            let held = values.get(trim..values.len().saturating_sub(trim)).unwrap_or_default();
            held.iter().sum::<f64>() / held.len().max(1) as f64
        };
        Ok((0..points.first().map_or(0, Vec::len)).map(of).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_are_left_out() {
        let points: Vec<Vec<f64>> = [-99.0, 1.0, 2.0, 3.0, 500.0].map(|x| vec![x]).to_vec();
        assert_eq!(TrimmedMean { liars: 0.2 }.combine(&points, &[1.0; 5]).unwrap(), [2.0]);
    }
}
