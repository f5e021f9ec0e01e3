//! As much error as a given detector lets pass: the statistic stays just below its threshold.
//!
//! Source: D. I. Urbina et al., "Limiting the impact of stealthy attacks on industrial control systems", CCS 2016, §5: for
//! CUSUM S ← max(0, S + |r| − b) ≤ τ the attacker spends τ at once and then holds |r| = b; for a stateless test |r| ≤ τ.
//! Both bounds are kept here, in the sensor's standard deviations, with an allowance for its own noise: a stateless
//! threshold of 3 σ, CUSUM with b = 0.5 σ and τ = 5 σ.

use crate::Entry;
use crate::profile::{Channel, FALSE_VALUE, Family, Knowledge, Resources, Visibility};

/// The detector that it stays under, in standard deviations of the sensor.
pub(crate) const THRESHOLD: f64 = 3.0;
pub(crate) const SLACK: f64 = 0.5;
pub(crate) const SUM: f64 = 5.0;

/// The largest error in this step, in standard deviations, that keeps both statistics below; spends from the sum.
pub(crate) fn allowed(sum: &mut f64) -> f64 {
    // A third of each bound is left to the sensor's own noise.
    let most = (SUM * 2.0 / 3.0 - *sum + SLACK).clamp(0.0, THRESHOLD * 2.0 / 3.0);
    *sum = (*sum + most - SLACK).max(0.0);
    most
}

pub(crate) const ENTRY: Entry = Entry {
    name: "stealthy",
    story: "as much error on the controlled measurement as a CUSUM lets pass",
    family: Family::Theory,
    needs: Resources {
        knowledge: Knowledge::Detector,
        disclosure: &[Channel::Readings],
        disruption: &[Channel::Readings],
    },
    visibility: Visibility::Never,
    build: |target| {
        let sigma = if target.sensor.sigma > 0.0 { target.sensor.sigma } else { target.bias.abs() / 20.0 };
        let step = sigma.copysign(target.bias);
        let mut sum = 0.0;
        target.falsify(move |since, number| number + since.map_or(0.0, |_| step * allowed(&mut sum)))
    },
    ..FALSE_VALUE
};

#[cfg(test)]
mod tests {
    use super::*;

    /// The reference detector, as in the paper, on the error alone.
    #[test]
    fn stays_below_the_detector_and_holds_its_slack() {
        let (mut sum, mut watched, mut last) = (0.0, 0.0_f64, 0.0);
        for _ in 0..10_000 {
            last = allowed(&mut sum);
            assert!(last <= THRESHOLD);
            watched = (watched + last - SLACK).max(0.0);
            assert!(watched <= SUM, "{watched}");
        }
        assert!((last - SLACK).abs() < 1e-9, "what can be held for ever is the slack: {last}");
        assert!(watched > 3.0, "and the sum is spent: {watched}");
    }
}
