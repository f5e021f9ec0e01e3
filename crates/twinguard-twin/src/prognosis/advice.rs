//! When to act: the time at which maintenance costs least, with its reason.
//!
//! Source: age replacement, R. Barlow, L. Hunter, *Operations Research* 8 (1960) 90–100: acting at τ costs per unit of time
//! (c F(τ) + 1 − F(τ)) / ∫₀^τ (1 − F), with a failure c times as dear as planned work.

use super::Life;
use crate::Error;

/// What to do about a [`Life`].
#[derive(Clone, Debug, PartialEq)]
pub struct Advice {
    /// Act before this time has passed; infinite: acting early never pays.
    pub act_within: f64,
    /// Probability that the limit is reached before that all the same.
    pub risk: f64,
    /// Cost per unit of time compared with waiting for the failure: 1 means no gain.
    pub cost_ratio: f64,
    /// The central 80 % interval of the remaining life.
    pub interval: (f64, f64),
}

/// The cheapest time to act when a failure costs `failure_cost` times as much as planned work (more than 1).
///
/// # Errors
/// [`Error::NotPositive`] for a cost that is not above 1.
pub fn advise(life: &Life, failure_cost: f64) -> Result<Advice, Error> {
    if !(failure_cost > 1.0 && failure_cost.is_finite()) {
        return Err(Error::NotPositive { what: "cost of a failure above that of planned work", index: 0 });
    }
    let points = life.points();
    let count = points.len() as f64;
    let interval = life.interval(0.8);
    // Between two points the survival is constant: the best time lies just before a point.
    let (mut uptime, mut before) = (0.0, 0.0);
    let mut best: Option<(f64, f64, f64)> = None;
    for (index, point) in points.iter().enumerate().take_while(|(_, point)| point.is_finite()) {
        let failed = index as f64 / count;
        uptime += (1.0 - failed) * (point - before);
        before = *point;
        let cost = (failure_cost * failed + 1.0 - failed) / uptime.max(f64::MIN_POSITIVE);
        if uptime > 0.0 && best.is_none_or(|(least, _, _)| cost < least) {
            best = Some((cost, *point, failed));
        }
    }
    let all_fail = points.last().is_some_and(|last| last.is_finite());
    let waiting = if all_fail { failure_cost / uptime.max(f64::MIN_POSITIVE) } else { f64::INFINITY };
    Ok(match best {
        Some((cost, act_within, risk)) if all_fail && cost < waiting => {
            Advice { act_within, risk, cost_ratio: cost / waiting, interval }
        }
        Some((_, act_within, risk)) if !all_fail && risk > 0.0 => {
            // Some never fail: there is no mean to wait for, the least rate while failures come is the advice.
            Advice { act_within, risk, cost_ratio: 1.0, interval }
        }
        _ => Advice { act_within: f64::INFINITY, risk: life.within(f64::MAX), cost_ratio: 1.0, interval },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sharp_wear_is_replaced_early_and_random_failures_are_not() {
        // Uniform on 90…110, failure ten times as dear: act near 90.
        let sharp = Life::of_draws((0..1000).map(|k| 90.0 + 0.02 * f64::from(k)).collect());
        let advice = advise(&sharp, 10.0).unwrap();
        assert!((89.0..93.0).contains(&advice.act_within) && advice.risk < 0.1, "{advice:?}");
        assert!(advice.cost_ratio < 0.2);
        // Without memory nothing is gained by acting early.
        let memoryless = Life::of_distribution(|time| 1.0 - (-time).exp(), 1.0);
        let advice = advise(&memoryless, 10.0).unwrap();
        assert!(advice.cost_ratio > 0.95, "{advice:?}");
        assert!(advise(&sharp, 1.0).is_err());
    }
}
