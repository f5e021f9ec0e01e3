//! The limit of an asked rate: what share of normal rows passes it, on average over plants like this one.
//!
//! Source: the predictive law of the next normal value (Hahn, Meeker, *Statistical Intervals*, 1991, §4.7: Student's with one degree of freedom
//! fewer than there are independent samples, scale √(1 + 1/n)) for the mixed surprise to the power of 0.4, which lies between the cube root
//! that makes a sum of squares normal and the square root that makes a length so. Independent samples are counted by the integrated
//! autocorrelation time and a third of them is believed: the time is estimated from the same few samples and too short, noise has heavier
//! tails than normal, and the models saw the rows that they were chosen on. Power and third were chosen on 450 simulated plants; the
//! calibration program measures them on others. Where few samples stand behind it the limit widens.

use super::curve::autocorrelation_time;
use crate::special::student_surprise;

const POWER: f64 = 0.4;
const BELIEVED: f64 = 1.0 / 3.0;

/// Mean and deviation of a statistic's power, and how many independent samples are believed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Law {
    mean: f64,
    deviation: f64,
    pub(super) independent: f64,
}

crate::archived!(Law { mean, deviation, independent });

impl Law {
    /// From a statistic in time order, out of fold.
    pub(super) fn fit(sample: &[f64]) -> Self {
        let n = sample.len() as f64;
        let y: Vec<f64> = sample.iter().map(|s| libm::pow(s.max(0.0), POWER)).collect();
        let mean = y.iter().sum::<f64>() / n.max(1.0);
        let variance = y.iter().map(|y| (y - mean) * (y - mean)).sum::<f64>() / (n - 1.0).max(1.0);
        let independent = (BELIEVED * n / autocorrelation_time(&y, mean, variance)).max(3.0);
        Self { mean, deviation: variance.sqrt(), independent }
    }

    /// The statistic above which this share of normal rows lies.
    pub(super) fn limit(&self, rate: f64) -> f64 {
        let asked = -libm::log10(rate);
        let dof = self.independent - 1.0;
        // the quantile by bisection: the tail has no closed inverse
        let (mut low, mut high) = (-1e6, 1e6);
        for _ in 0..100 {
            let middle = 0.5 * (low + high);
            if student_surprise(middle, dof) < asked { low = middle } else { high = middle }
        }
        let y = self.mean + high * self.deviation * (1.0 + 1.0 / self.independent).sqrt();
        libm::pow(y.max(0.0), 1.0 / POWER)
    }

    pub(super) fn sound(&self) -> bool {
        self.deviation >= 0.0 && self.independent >= 3.0
    }
}

#[cfg(test)]
mod tests {
    use super::super::prepare::tests::noise;
    use super::*;

    #[test]
    fn the_asked_share_passes_on_average_and_few_samples_widen() {
        let mut state = 5;
        let mut draw = |n: usize| -> Vec<f64> {
            (0..n)
                .map(|_| (0..6).map(|_| (0..4).map(|_| noise(&mut state)).sum::<f64>().powi(2)).sum())
                .collect()
        };
        for (n, low) in [(100, 0.2), (3000, 0.6)] {
            for rate in [0.05, 0.01] {
                let mut got = 0.0;
                for _ in 0..40 {
                    let limit = Law::fit(&draw(n)).limit(rate);
                    got += draw(2000).iter().filter(|s| **s > limit).count() as f64 / 80_000.0;
                }
                assert!(got <= 1.1 * rate && got >= low * rate, "{n} {rate}: {got}");
            }
        }
        let few = Law { mean: 1.0, deviation: 0.2, independent: 5.0 };
        assert!(few.sound() && few.limit(0.01) > Law { independent: 50.0, ..few }.limit(0.01));
        assert!(few.limit(0.01) > few.limit(0.05) && few.limit(0.9) < 1.0);
    }
}
