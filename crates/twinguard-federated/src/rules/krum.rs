//! The one point that is nearest to its neighbours.
//!
//! Source: Blanchard, El Mhamdi, Guerraoui, Stainer, *Machine learning with adversaries: Byzantine tolerant gradient descent*, `NeurIPS`
//! 2017, §4. It holds for 2f + 2 < n; where honest sites differ it is one site's point, so worse than the mean without any liar.

use super::{Rule, at_least, distances, krum_scores, tolerated};
use crate::Error;

/// Chooses a single site.
#[derive(Clone, Copy, Debug)]
pub struct Krum {
    /// Share of sites that may lie.
    pub liars: f64,
}

impl Rule for Krum {
    fn name(&self) -> &'static str {
        "krum"
    }

    fn weights(&self, points: &[Vec<f64>]) -> Result<Vec<f64>, Error> {
        at_least(points, 1)?;
        let n = points.len();
        let scores = krum_scores(&distances(points), n, tolerated(self.liars, n));
        let best = (0..n).min_by(|a, b| scores[*a].total_cmp(&scores[*b]).then(a.cmp(b)));
        Ok((0..n).map(|place| f64::from(u8::from(Some(place) == best))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_chooses_one_of_the_crowd() {
        let points: Vec<Vec<f64>> = [1.0, 1.1, 1.2, 9.0, 1.05].map(|x| vec![x]).to_vec();
        assert_eq!(Krum { liars: 0.2 }.weights(&points).unwrap(), [0.0, 0.0, 0.0, 0.0, 1.0]);
    }
}
