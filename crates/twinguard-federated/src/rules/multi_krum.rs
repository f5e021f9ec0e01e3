//! The mean of the points that are nearest to their neighbours.
//!
//! Source: Blanchard et al., `NeurIPS` 2017, §5 (m-Krum, here m = n − f). Better than Krum where honest sites differ.

use super::{Rule, at_least, distances, krum_scores, tolerated};
use crate::Error;

/// Chooses all but as many as may lie.
#[derive(Clone, Copy, Debug)]
pub struct MultiKrum {
    /// Share of sites that may lie.
    pub liars: f64,
}

impl Rule for MultiKrum {
    fn name(&self) -> &'static str {
        "multi_krum"
    }

    fn weights(&self, points: &[Vec<f64>]) -> Result<Vec<f64>, Error> {
        at_least(points, 1)?;
        let n = points.len();
        let f = tolerated(self.liars, n);
        let scores = krum_scores(&distances(points), n, f);
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|a, b| scores[*a].total_cmp(&scores[*b]).then(a.cmp(b)));
        let mut weights = vec![0.0; n];
        order.iter().take((n - f.min(n)).max(1)).for_each(|place| weights[*place] = 1.0);
        Ok(weights)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_leaves_out_as_many_as_may_lie() {
        let points: Vec<Vec<f64>> = [1.0, 1.1, 1.2, 9.0, 1.05].map(|x| vec![x]).to_vec();
        assert_eq!(MultiKrum { liars: 0.2 }.weights(&points).unwrap(), [1.0, 1.0, 1.0, 0.0, 1.0]);
    }
}
