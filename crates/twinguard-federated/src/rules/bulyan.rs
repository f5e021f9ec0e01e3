//! Krum's choice, again and again, then a trimmed mean around the median of what was chosen.
//!
//! Source: El Mhamdi, Guerraoui, Rouault, *The hidden vulnerability of distributed learning in Byzantium*, ICML 2018, §4: θ = n − 2f points
//! by repeated Krum, then of each coordinate the mean of the θ − 2f values nearest to the median. It holds for n ≥ 4f + 3.

use super::{Rule, at_least, distances, krum_scores, middle, tolerated};
use crate::Error;

/// For at most a quarter of liars.
#[derive(Clone, Copy, Debug)]
pub struct Bulyan {
    /// Share of sites that may lie.
    pub liars: f64,
}

impl Rule for Bulyan {
    fn name(&self) -> &'static str {
        "bulyan"
    }

    fn weights(&self, points: &[Vec<f64>]) -> Result<Vec<f64>, Error> {
        at_least(points, 1)?;
        let n = points.len();
        let f = tolerated(self.liars, n);
        let mut left: Vec<usize> = (0..n).collect();
        let mut weights = vec![0.0; n];
        for _ in 0..n.saturating_sub(2 * f).max(1) {
            let chosen: Vec<Vec<f64>> = left.iter().map(|place| points[*place].clone()).collect();
            let scores = krum_scores(&distances(&chosen), chosen.len(), f);
            let best = (0..left.len()).min_by(|a, b| scores[*a].total_cmp(&scores[*b]).then(a.cmp(b)));
            let Some(best) = best else { break };
            weights[left.remove(best)] = 1.0;
        }
        Ok(weights)
    }

    fn combine(&self, points: &[Vec<f64>], weights: &[f64]) -> Result<Vec<f64>, Error> {
        at_least(points, 1)?;
        let f = tolerated(self.liars, points.len());
        let chosen: Vec<&Vec<f64>> =
            points.iter().zip(weights).filter(|(_, weight)| **weight > 0.0).map(|(point, _)| point).collect();
        let kept = chosen.len().saturating_sub(2 * f).max(1);
        let of = |at: usize| {
            let mut values: Vec<f64> = chosen.iter().filter_map(|point| point.get(at).copied()).collect();
            let centre = middle(values.clone());
            values.sort_by(|a, b| (a - centre).abs().total_cmp(&(b - centre).abs()).then(a.total_cmp(b)));
            values.iter().take(kept).sum::<f64>() / kept as f64
        };
        Ok((0..points.first().map_or(0, Vec::len)).map(of).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_liar_in_one_coordinate_does_not_count() {
        let mut points: Vec<Vec<f64>> = (0..11).map(|k| vec![1.0 + f64::from(k) / 100.0; 20]).collect();
        points[4][7] = 1.9; // near in distance, far in one coordinate
        let rule = Bulyan { liars: 0.1 };
        let weights = rule.weights(&points).unwrap();
        let point = rule.combine(&points, &weights).unwrap();
        assert!((point[7] - point[0]).abs() < 0.05, "{point:?}");
    }
}
