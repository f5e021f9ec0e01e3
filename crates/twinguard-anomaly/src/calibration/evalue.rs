//! Alarms with an average run length, valid at any time: a Shiryaev–Roberts detector made of e-values.
//!
//! Source: Shin, Ramdas, Rinaldo, *E-detectors*, 2022, Definition 2.4 and Theorem 2.2: with e-values whose expectation given the past is at
//! most 1, M ← (M + 1)·e reaches A after A steps on average at the earliest. E-values come from p-values by the mixture of all power
//! calibrators, (1 − p + p·ln p)/(p·ln² p) (Vovk, Wang, Ann. Statist. 49, 2021, eq. 3). The mean of e-values is an e-value whatever their
//! dependence (same, Proposition 3.1): rows that move together are averaged over a block, and blocks are multiplied. Cost: a logarithm a row.
//! It lies when blocks are shorter than what the scores remember.

use crate::Error;

/// Evidence beyond this says no more, so that what ended is forgotten.
const BEYOND: f64 = 100.0;

/// The e-value of a p-value: large for small ones, at most 1 on average over uniform ones.
#[must_use]
pub fn e_value(p: f64) -> f64 {
    let p = p.clamp(1e-300, 1.0);
    let log = libm::log(p);
    // the limit at 1 by its series: the closed form is 0/0 there
    if p > 0.999 { 0.5 + (1.0 - p) / 6.0 } else { (1.0 - p + p * log) / (p * log * log) }
}

/// Adds up e-values until they pass for an alarm.
///
/// ```
/// use twinguard_anomaly::calibration::EDetector;
/// let mut detector = EDetector::new(1000.0, 1)?;
/// assert!(!detector.step(0.4));
/// assert!((0..4).any(|_| detector.step(1e-3)), "four rows of one in a thousand");
/// detector.reset();
/// assert_eq!(detector.evidence(), 0.0);
/// # Ok::<(), twinguard_anomaly::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct EDetector {
    bar: f64,
    block: u32,
    sum: f64,
    rows: u32,
    evidence: f64,
}

crate::archived!(EDetector { bar, block, sum, rows, evidence });

impl EDetector {
    /// One false alarm in `arl` rows of normal operation, or fewer; `block` rows move together.
    ///
    /// # Errors
    /// [`Error::Setting`] for a run length below two blocks or not finite.
    pub fn new(arl: f64, block: u32) -> Result<Self, Error> {
        let block = block.max(1);
        let bar = arl / f64::from(block);
        if !(2.0..1e300).contains(&bar) {
            return Err(Error::Setting { name: "arl", value: arl, must: "two blocks or more" });
        }
        Ok(Self { bar, block, sum: 0.0, rows: 0, evidence: 0.0 })
    }

    /// Takes in a row's p-value; true while the evidence passes for an alarm.
    pub fn step(&mut self, p: f64) -> bool {
        self.sum += e_value(if p.is_nan() { 1.0 } else { p });
        self.rows += 1;
        if self.rows >= self.block {
            let mean = self.sum / f64::from(self.block);
            self.evidence = ((self.evidence + 1.0) * mean).min(BEYOND * self.bar);
            (self.sum, self.rows) = (0.0, 0);
        }
        self.alarms()
    }

    /// Whether the evidence passes for an alarm.
    #[must_use]
    pub fn alarms(&self) -> bool {
        self.evidence >= self.bar
    }

    /// Expected number of blocks that normal operation needs for as much.
    #[must_use]
    pub fn evidence(&self) -> f64 {
        self.evidence
    }

    /// Forgets: after an alarm that was dealt with.
    pub fn reset(&mut self) {
        (self.sum, self.rows, self.evidence) = (0.0, 0, 0.0);
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};

    use super::*;

    fn uniform(rng: &mut ChaCha8Rng) -> f64 {
        (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    #[test]
    fn e_values_are_the_integral_of_power_calibrators_and_worth_one() {
        for p in [1e-12, 1e-4, 0.05, 0.5, 0.9, 0.998, 0.9995, 1.0_f64] {
            // ∫ κ p^(κ−1) dκ over (0, 1), by Simpson's rule
            let f = |k: f64| k * libm::pow(p, k - 1.0);
            let n = 20_000;
            let h = 1.0 / f64::from(n);
            let odd: f64 = (0..n / 2).map(|k| f(h * f64::from(2 * k + 1))).sum();
            let even: f64 = (1..n / 2).map(|k| f(h * f64::from(2 * k))).sum();
            let want = h / 3.0 * (f(0.0) + f(1.0) + 4.0 * odd + 2.0 * even);
            assert!((e_value(p) / want - 1.0).abs() < 1e-4, "{p}: {} for {want}", e_value(p));
        }
        // mass below 10⁻⁹ is the only part that a sum in the logarithm leaves out
        let steps = 200_000;
        let mut mean = 0.0;
        for k in 0..steps {
            let at = |k: f64| libm::exp(-20.7 * k / f64::from(steps));
            let (high, low) = (at(f64::from(k)), at(f64::from(k + 1)));
            mean += e_value(0.5 * (high + low)) * (high - low);
        }
        assert!(mean < 1.0 && mean > 0.9, "{mean}");
    }

    #[test]
    fn false_alarms_are_no_earlier_than_asked() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        for (arl, block) in [(200.0, 1), (1000.0, 1), (1000.0, 10)] {
            let mut waited = 0_u64;
            for _ in 0..400 {
                let mut detector = EDetector::new(arl, block).unwrap();
                // rows of a block are one and the same: the worst dependence
                let mut p = 0.0;
                for t in 0..40_000_u64 {
                    if t % u64::from(block) == 0 {
                        p = uniform(&mut rng);
                    }
                    waited += 1;
                    if detector.step(p) {
                        break;
                    }
                }
            }
            let mean = waited as f64 / 400.0;
            assert!(mean > arl, "{arl} in blocks of {block}: {mean}");
        }
    }

    #[test]
    fn a_lasting_change_alarms_and_its_end_releases() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let mut detector = EDetector::new(86_400.0, 1).unwrap();
        let begun = (0..200).position(|_| detector.step(0.02 * uniform(&mut rng)));
        assert!(begun.is_some_and(|rows| rows < 20), "{begun:?}");
        (0..500).for_each(|_| {
            detector.step(0.001);
        });
        let ended = (0..200).position(|_| !detector.step(uniform(&mut rng)));
        assert!(ended.is_some_and(|rows| rows < 60), "{ended:?}");
    }
}
