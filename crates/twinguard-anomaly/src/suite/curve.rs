//! From a statistic to its surprise: samples out of fold, widened for the number of independent ones.
//!
//! Sources: the cube root of a sum of squares is nearly normal (Wilson, Hilferty, PNAS 17, 1931, eq. 1); the predictive law of the next
//! normal value after n independent ones is Student's with n − 1 degrees of freedom and scale √(1 + 1/n) (Hahn, Meeker, *Statistical
//! Intervals*, 1991, §4.7); independent ones are counted by the integrated autocorrelation time (Geyer, Statistical Science 7, 1992, §3.3).
//! Beyond the top twentieth an exponential law of the excesses (generalised Pareto of shape 0; Pickands, Ann. Statist. 3, 1975), its mean
//! widened likewise, takes over where it is the less surprised.
//!
//! Evaluated as a table over the exponent and the first mantissa bits of the statistic: no transcendental function per row.

use crate::special::student_surprise;

const ROOT: f64 = 1.0 / 3.0;
/// Steps per octave, 2² of them.
const FINE: u32 = 2;
const OCTAVES_BELOW: u32 = 8;
const KNOTS: usize = 16 << FINE;
const SHIFT: u32 = 52 - FINE;
/// Larger surprises say no more.
const MOST: f64 = 300.0;

/// A monotone map from a statistic ≥ 0 to −log₁₀ p.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Curve {
    scale: f64,
    knots: [f64; KNOTS],
    /// Independent samples behind it.
    pub(super) independent: f64,
}

crate::archived!(Curve { scale, knots, independent });

const fn cell(x: f64) -> u64 {
    x.to_bits() >> SHIFT
}

const FIRST: u64 = cell(1.0) - (OCTAVES_BELOW << FINE) as u64;

impl Curve {
    /// Learns from statistics in time order; `widen` pays for the few independent ones.
    pub(super) fn fit(sample: &[f64], widen: bool) -> Self {
        let n = sample.len() as f64;
        let y: Vec<f64> = sample.iter().map(|s| libm::pow(s.max(0.0), ROOT)).collect();
        let mean = y.iter().sum::<f64>() / n.max(1.0);
        let variance = y.iter().map(|y| (y - mean) * (y - mean)).sum::<f64>() / (n - 1.0).max(1.0);
        let independent = (n / autocorrelation_time(&y, mean, variance)).max(4.0);
        let deviation = variance.sqrt().max(1e-6 * mean.abs()).max(1e-12);
        let spread = if widen { deviation * (1.0 + 1.0 / independent).sqrt() } else { deviation };
        let dof = if widen { independent - 1.0 } else { 1e9 };
        let mut sorted = y;
        sorted.sort_by(f64::total_cmp);
        let share = (5.0 / n.max(1.0)).clamp(0.05, 0.5);
        let beyond = &sorted[(((1.0 - share) * n) as usize).min(sorted.len())..];
        let limit = beyond.first().copied().unwrap_or(mean);
        let excess = beyond.iter().map(|y| y - limit).sum::<f64>() / beyond.len().max(1) as f64;
        let wide = if widen { 1.0 + 1.0 / (independent * share).max(1.0).sqrt() } else { 1.0 };
        let excess = (excess * wide).max(1e-9);
        let scale = libm::pow(mean.max(1e-9), 1.0 / ROOT);
        let mut last = 0.0_f64;
        let knots = core::array::from_fn(|knot| {
            let y = libm::pow(f64::from_bits((FIRST + knot as u64) << SHIFT) * scale, ROOT);
            let mut surprise = student_surprise((y - mean) / spread, dof);
            if y > limit {
                let tail = (y - limit) / excess - libm::log(share);
                surprise = surprise.min(tail / core::f64::consts::LN_10);
            }
            last = last.max(surprise).min(MOST);
            last
        });
        Self { scale: 1.0 / scale, knots, independent }
    }

    pub(super) fn at(&self, statistic: f64) -> f64 {
        let x = (statistic * self.scale).max(0.0);
        let place = cell(x);
        if place < FIRST {
            return self.knots[0];
        }
        let knot = (place - FIRST) as usize;
        if knot + 1 >= KNOTS {
            return self.knots[KNOTS - 1];
        }
        let part = (x.to_bits() & ((1 << SHIFT) - 1)) as f64 * (1.0 / (1u64 << SHIFT) as f64);
        self.knots[knot] + part * (self.knots[knot + 1] - self.knots[knot])
    }

    pub(super) fn sound(&self) -> bool {
        self.knots.iter().all(|knot| (0.0..=MOST).contains(knot))
    }
}

/// Rows that make one independent sample: 1 + 2 Σ ρ over the initial positive pairs of lags.
pub(super) fn autocorrelation_time(y: &[f64], mean: f64, variance: f64) -> f64 {
    let n = y.len();
    if n < 8 || variance <= 0.0 {
        return 1.0;
    }
    let at = |lag: usize| {
        let sum: f64 = y.iter().zip(&y[lag..]).map(|(a, b)| (a - mean) * (b - mean)).sum();
        sum / (n as f64 * variance)
    };
    let mut time = 1.0 + 2.0 * at(1);
    let mut lag = 2;
    while lag + 1 < n / 2 {
        let pair = at(lag) + at(lag + 1);
        if pair <= 0.0 {
            break;
        }
        time += 2.0 * pair;
        lag += 2;
    }
    time.clamp(1.0, n as f64 / 2.0)
}

/// Rows that make one independent sample, at least 1.
pub(crate) fn memory(series: &[f64]) -> f64 {
    let n = series.len().max(1) as f64;
    let mean = series.iter().sum::<f64>() / n;
    let variance = series.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n;
    autocorrelation_time(series, mean, variance)
}

#[cfg(test)]
mod tests {
    use super::super::prepare::tests::noise;
    use super::*;

    /// χ² with four degrees of freedom, nearly: from sums of uniforms.
    fn squares(seed: u64, n: usize) -> Vec<f64> {
        let mut state = seed;
        let mut normal = move || (0..12).map(|_| noise(&mut state)).sum::<f64>();
        (0..n).map(|_| (0..4).map(|_| normal().powi(2)).sum()).collect()
    }

    #[test]
    fn asked_rates_are_got_on_fresh_samples() {
        let curve = Curve::fit(&squares(1, 4000), true);
        assert!(curve.sound() && curve.independent > 2500.0, "{}", curve.independent);
        let fresh = squares(2, 40_000);
        for rate in [0.05, 0.01] {
            let limit = -libm::log10(rate);
            let got = fresh.iter().filter(|s| curve.at(**s) > limit).count() as f64 / 40_000.0;
            assert!(got > rate / 2.0 && got < 2.0 * rate, "{rate}: {got}");
        }
        assert!(curve.at(1e300) >= curve.at(100.0) && curve.at(100.0) > 5.0);
        assert!(curve.at(0.0) < 0.1 && curve.at(f64::NAN) < 0.1);
    }

    #[test]
    fn few_samples_are_believed_less() {
        let (few, many) = (Curve::fit(&squares(1, 30), true), Curve::fit(&squares(1, 3000), true));
        assert!(few.at(40.0) < many.at(40.0));
        let constant = Curve::fit(&[2.0; 50], true);
        assert!(constant.at(2.0) < 1.0 && constant.at(2.0).is_finite());
    }

    #[test]
    fn memory_is_counted() {
        let mut state = 3;
        let mut level = 0.0;
        let slow: Vec<f64> = (0..20_000)
            .map(|_| {
                level = 0.9 * level + noise(&mut state);
                level
            })
            .collect();
        let variance = slow.iter().map(|x| x * x).sum::<f64>() / 20_000.0;
        // (1 + 0.9)/(1 − 0.9)
        let time = autocorrelation_time(&slow, 0.0, variance);
        assert!((15.0..24.0).contains(&time), "{time}");
    }
}
