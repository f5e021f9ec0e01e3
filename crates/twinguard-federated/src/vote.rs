//! The clean-validation vote: each site judges a candidate by its own normal data, which no coordinator can forge.
//!
//! Source: the idea of Cao, Fang, Liu, Gong, *`FLTrust`*, NDSS 2021 §4 (trust comes from clean data that the judge owns), with the sites as
//! judges instead of the server, and a majority instead of a weight. A minority of liars can neither carry a bad candidate nor stop a good one.

use twinguard_anomaly::Error;
use twinguard_anomaly::statistic::{Covariance, Subspace};

/// What a candidate is worth to a site.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judgement {
    /// Variance of the site's normal data outside the candidate's directions, over that outside as many directions of its own.
    pub excess: f64,
    /// Mean score of the site's normal data over what the candidate promises, 1 where they agree.
    pub level: f64,
}

impl Judgement {
    /// Judges a candidate by the second moments of the site's own normal rows, about their own mean; better rows that were not contributed.
    ///
    /// # Errors
    /// As [`Subspace::with_directions`].
    pub fn of(candidate: &Subspace, own: &Covariance) -> Result<Self, Error> {
        let best = Subspace::with_directions(own, candidate.directions())?;
        let rest = |model: &Subspace| (1.0 - model.captured(own)).max(1e-6);
        Ok(Self { excess: rest(candidate) / rest(&best), level: candidate.expected_score(own) / 2.0 })
    }

    /// Whether the site votes for it: not much worse than its own directions, neither deaf nor crying wolf.
    ///
    /// `tolerance` is how many times the own rest is borne, and the mean score's factor either way: 2 where sites are alike, more where not.
    #[must_use]
    pub fn accepts(&self, tolerance: f64) -> bool {
        self.excess <= tolerance && self.level <= tolerance && self.level * tolerance >= 1.0
    }
}

#[cfg(test)]
mod tests {
    use twinguard_anomaly::statistic::{Gram, Grid, Quantise, Tally};

    use super::*;

    fn covariance(hidden: f64, scale: f64) -> Covariance {
        let mut tally = Tally::new(Gram::new(Grid::around([(0.0, 1.0); 3]).unwrap(), 0).unwrap());
        for k in 0..3000_u32 {
            let (a, b) =
                (f64::from(k * 7919 % 997) / 498.5 - 1.0, f64::from(k * 104_729 % 499) / 249.5 - 1.0);
            let c = f64::from(k * 31 % 307) / 153.5 - 1.0;
            tally.observe(&[scale * a, scale * (a + 0.1 * b), scale * hidden * c]).unwrap();
        }
        Covariance::of(&tally).unwrap()
    }

    #[test]
    fn good_candidates_pass_and_poisoned_ones_do_not() {
        let own = covariance(0.1, 1.0);
        let judge =
            |of: &Covariance| Judgement::of(&Subspace::with_directions(of, 1).unwrap(), &own).unwrap();
        assert!(judge(&covariance(0.1, 1.05)).accepts(2.0));
        let hidden = judge(&covariance(10.0, 1.0));
        assert!(!hidden.accepts(2.0) && hidden.excess > 10.0, "a direction is wasted: {hidden:?}");
        let shrunk = judge(&covariance(0.1, 0.2));
        assert!(!shrunk.accepts(2.0) && shrunk.level > 10.0, "it cries wolf: {shrunk:?}");
        let swollen = judge(&covariance(0.1, 5.0));
        assert!(!swollen.accepts(2.0) && swollen.level < 0.1, "it is deaf: {swollen:?}");
    }
}
