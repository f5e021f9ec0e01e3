//! Split-conformal p-values with a correction for time series.
//!
//! Source: Vovk, Gammerman, Shafer, *Algorithmic Learning in a Random World*, 2005, §2.2 (the rank of a new score among scores that the
//! model did not see is uniform when all are exchangeable); Chernozhukov, Wüthrich, Zhu, COLT 2018, §2.2: for series, blocks are what is
//! exchangeable. Scores that move together for `block` rows make n/block witnesses, so the new score counts for a whole block: with k of n
//! scores as large, p = (k + block)/(n + block). Cost: a binary search. It lies when operation leaves what the scores were taken from.

use crate::suite::memory;
use crate::{Archive, Error, Reader, Writer};

/// Scores of normal operation, by rank.
///
/// ```
/// use twinguard_anomaly::calibration::Conformal;
/// let conformal = Conformal::fit(&[0.1, 0.4, 0.2, 0.3], 1);
/// assert_eq!(conformal.p(0.35), 2.0 / 5.0); // one of four is as large, and itself
/// assert_eq!(conformal.limit(0.4).unwrap(), 0.3);
/// assert!(conformal.limit(0.1).is_err(), "four scores cannot support a tenth");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Conformal {
    sorted: Vec<f64>,
    block: f64,
}

impl Archive for Conformal {
    fn save(&self, writer: &mut Writer) {
        self.sorted.save(writer);
        self.block.save(writer);
    }
    fn load(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let (sorted, block): (Vec<f64>, f64) = Archive::load(reader)?;
        if sorted.is_sorted() && block >= 1.0 {
            Ok(Self { sorted, block })
        } else {
            Err(reader.refuse("scores out of order"))
        }
    }
}

impl Conformal {
    /// From scores that the model behind them did not see; `block` rows (1 at least) move together. Scores that are not finite are left out.
    #[must_use]
    pub fn fit(scores: &[f64], block: usize) -> Self {
        let mut sorted: Vec<f64> = scores.iter().copied().filter(|score| score.is_finite()).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        Self { sorted, block: block.max(1) as f64 }
    }

    /// The same with the block that the scores' own autocorrelation gives, in time order.
    #[must_use]
    pub fn of_series(scores: &[f64]) -> Self {
        Self::fit(scores, memory(scores).ceil() as usize)
    }

    /// Probability of a score at least this large in normal operation.
    #[must_use]
    pub fn p(&self, score: f64) -> f64 {
        let n = self.sorted.len();
        let below = self.sorted.partition_point(|other| *other < score);
        let p = ((n - below) as f64 + self.block) / (n as f64 + self.block);
        if score.is_nan() { 1.0 } else { p.min(1.0) }
    }

    /// The score that at most this share of normal ones passes: `p` of everything above it is at most `rate`.
    ///
    /// # Errors
    /// [`Error::Unattainable`] for a rate that so few blocks cannot support.
    pub fn limit(&self, rate: f64) -> Result<f64, Error> {
        let n = self.sorted.len();
        // how many scores may lie above
        let above = rate * (n as f64 + self.block) - self.block;
        if !(above >= 0.0 && rate < 1.0) {
            return Err(Error::Unattainable { asked: rate, least: self.attainable() });
        }
        let place = n.saturating_sub((above + 1e-9) as usize + 1);
        self.sorted.get(place).copied().ok_or(Error::Unattainable { asked: rate, least: self.attainable() })
    }

    /// Blocks behind it.
    #[must_use]
    pub fn independent(&self) -> f64 {
        self.sorted.len() as f64 / self.block
    }

    /// The least p it can give.
    #[must_use]
    pub fn attainable(&self) -> f64 {
        1.0 / (1.0 + self.independent())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;
    use rand_distr::{Distribution, StandardNormal};

    use super::*;

    fn series(seed: u64, n: usize, memory: f64) -> Vec<f64> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut level = 0.0;
        (0..n)
            .map(|_| {
                let noise: f64 = StandardNormal.sample(&mut rng);
                level = memory * level + (1.0 - memory * memory).sqrt() * noise;
                level
            })
            .collect()
    }

    proptest! {
        #[test]
        fn p_and_limit_are_one_law(scores in prop::collection::vec(-5.0..5.0_f64, 1..60), block in 1_usize..6, rate in 0.01..0.99_f64) {
            let conformal = Conformal::fit(&scores, block);
            let count = |score: f64| scores.iter().filter(|other| **other >= score).count();
            for score in &scores {
                let naive = (count(*score) + block) as f64 / (scores.len() + block) as f64;
                prop_assert!((conformal.p(*score) - naive).abs() < 1e-12);
            }
            match conformal.limit(rate) {
                Ok(limit) => prop_assert!(conformal.p(limit + 1e-9) <= rate + 1e-12),
                Err(_) => prop_assert!(rate < conformal.attainable() + 1e-12),
            }
        }
    }

    #[test]
    fn the_asked_rate_is_kept_on_average_over_series() {
        for (memory, n) in [(0.0, 500), (0.9, 500), (0.9, 2000)] {
            let mut got = 0.0;
            for seed in 0..200 {
                let conformal = Conformal::of_series(&series(seed, n, memory));
                let limit = conformal.limit(0.05).unwrap_or(f64::INFINITY);
                let fresh = series(seed + 10_000, 2000, memory);
                got += fresh.iter().filter(|x| **x > limit).count() as f64 / 2000.0 / 200.0;
            }
            assert!(got <= 0.055 && (memory > 0.0 || got > 0.04), "{memory} {n}: {got}");
        }
    }
}
