//! The Bernoulli CUSUM: whether something that should hardly ever happen happens too often.
//!
//! Source: Reynolds, Stoumbos, Journal of Quality Technology 31, 1999: each hit adds ln(½/q), each miss takes ln((1−q)/½) away, with q the
//! normal share of hits; by Lundberg's inequality the sum reaches g with probability at most e^−g.

use twinguard_types::Timestamp;

use crate::archived;

/// The sum stops here, nats: eight decades of surprise are 18.
const BOUND: f64 = 37.0;

/// What a hit adds and a miss takes away, nats.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Law {
    hit: f64,
    miss: f64,
}

archived!(Law { hit, miss });

impl Law {
    /// The law of this share of hits, of which at least 10⁻⁴ and at most 0.4 is believed.
    pub(crate) fn new(share: f64) -> Self {
        let share = share.clamp(1e-4, 0.4);
        Self { hit: libm::log(0.5 / share), miss: libm::log((1.0 - share) / 0.5) }
    }

    /// The law of what was counted: `hits` of `all`.
    pub(crate) fn counted(hits: usize, all: usize) -> Self {
        Self::new((hits as f64 + 0.5) / (all as f64 + 1.0))
    }
}

/// A running sum.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    nats: f64,
    /// Hits since it was last zero.
    pub(crate) hits: u32,
    /// When it last left zero.
    pub(crate) since: Timestamp,
}

archived!(Sum { nats, hits, since });

impl Sum {
    /// Takes an outcome that came at this time.
    pub(crate) fn step(&mut self, law: &Law, at: Timestamp, hit: bool) {
        if self.nats == 0.0 {
            (self.since, self.hits) = (at, 0);
        }
        self.hits = self.hits.saturating_add(u32::from(hit));
        self.nats = (self.nats + if hit { law.hit } else { -law.miss }).clamp(0.0, BOUND);
    }

    /// −log₁₀ of the probability of a sum as large.
    pub(crate) fn surprise(&self) -> f64 {
        self.nats / core::f64::consts::LN_10
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_sum_stays_within_its_bound_and_begins_anew(hits: Vec<bool>, share in 0.0_f64..0.6) {
            let (law, mut sum) = (Law::new(share), Sum::default());
            for (second, hit) in hits.into_iter().enumerate() {
                let before = sum;
                sum.step(&law, Timestamp::from_secs(second as i64), hit);
                prop_assert!((0.0..=BOUND).contains(&sum.nats));
                let grew = sum.nats >= before.nats;
                prop_assert!(grew == hit || sum.nats == before.nats);
                prop_assert!(sum.hits > 0 || sum.nats == 0.0);
            }
        }
    }
}
