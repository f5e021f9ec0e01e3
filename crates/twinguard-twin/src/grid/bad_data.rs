//! Which meters lie: χ² of the objective, largest normalised residual, removal one by one.
//!
//! Sources: E. Handschin, F. C. Schweppe, J. Kohlas, A. Fiechter, IEEE Trans. PAS-94 (1975) 329; A. Abur, A. Gómez Expósito
//! (2004) §5.4 to 5.8: residual covariance `Ω = R − H G⁻¹ Hᵀ`, `r_N = |r|/√Ω_ii`. Only entries of G⁻¹ on the gain's own
//! pattern are needed (sparse selected inverse). Limits: Bonferroni over the m meters in use, two-sided; or the
//! false-discovery rate of Y. Benjamini, Y. Hochberg, *J. R. Stat. Soc. B* 57 (1995) 289.
//!
//! χ² sums everything and misses a single gross error in a large grid; the largest normalised residual is looked at whatever
//! χ² says. The textbook's fixed limit of 3 removes good meters where there are thousands.
//!
//! **When it lies.** A critical meter has no residual, two meters that are critical together share theirs, and errors that
//! agree with each other can outvote the truth.

use statrs::function::erf::{erfc, erfc_inv};
use statrs::function::gamma::{gamma_lr, gamma_ur, ln_gamma};

use super::{Estimator, Fit, Options, Start};
use crate::Error;

/// A meter whose residual keeps less than this share of its variance is critical.
const CRITICAL: f64 = 1e-6;

/// When a residual is too large.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// With this probability at least one good meter of all is suspected.
    Bonferroni(f64),
    /// Of the suspected meters this share is good, on average.
    FalseDiscovery(f64),
    /// The textbook's: a fixed number, 3 as a rule.
    Fixed(f64),
}

impl Default for Limit {
    fn default() -> Self {
        Self::Bonferroni(0.05)
    }
}

/// The first look at a set of values, what was removed, and the last fit.
#[derive(Clone, Debug, PartialEq)]
pub struct Cleaned {
    /// With all meters in use.
    pub first: Fit,
    /// The largest normalised residual then; `None` when no meter is redundant.
    pub first_largest: Option<Largest>,
    /// Meters taken out, in that order.
    pub removed: Vec<usize>,
    /// Without them.
    pub last: Fit,
    /// The largest normalised residual that stays.
    pub last_largest: Option<Largest>,
}

/// A largest normalised residual.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Largest {
    /// The meter; the first of those that share the value.
    pub meter: usize,
    /// Its normalised residual, without sign.
    pub value: f64,
}

impl Estimator {
    /// Variance of each meter's residual at the last estimate; `None` for a critical meter and for one out of use.
    pub(super) fn residual_variances(&self) -> Vec<Option<f64>> {
        let mut variances = vec![None; self.meters.len()];
        self.variances_into(&mut variances);
        variances
    }

    fn variances_into(&self, variances: &mut [Option<f64>]) {
        let mut known = (u32::MAX, [0.0; 2]);
        for (meter, variance) in variances.iter_mut().enumerate() {
            let (group, row) = self.row[meter];
            if known.0 != group {
                known = (group, self.explained(&self.groups[group as usize]));
            }
            let own = self.meters[meter].sigma * self.meters[meter].sigma;
            let rest = own - known.1[usize::from(row)];
            *variance = (self.in_use[meter] && rest > CRITICAL * own).then_some(rest);
        }
    }

    fn used(&self) -> usize {
        self.in_use.iter().filter(|used| **used).count()
    }

    /// Normalised residuals `(z − h)/√Ω` of the last estimate, with sign; `None` for critical meters and those out of use.
    ///
    /// One refactorisation and one selected inverse; `out` is resized to one entry a meter.
    pub fn normalised_residuals(&mut self, out: &mut Vec<Option<f64>>) {
        self.invert();
        out.clear();
        out.resize(self.meters.len(), None);
        self.variances_into(out);
        for (meter, entry) in out.iter_mut().enumerate() {
            let residual = self.residual(meter);
            *entry = entry.map(|variance| residual / variance.sqrt());
        }
    }

    /// Estimates, and takes out the meter with the largest normalised residual while that is above the limit.
    ///
    /// Removed meters stay out of use until they are put back by [`Estimator::set_in_use`].
    ///
    /// # Errors
    /// As [`Estimator::estimate`].
    pub fn clean(
        &mut self,
        values: &[f64],
        start: Start,
        options: &Options,
        limit: Limit,
    ) -> Result<Cleaned, Error> {
        let first = self.estimate(values, start, options)?;
        let mut residuals = Vec::new();
        self.normalised_residuals(&mut residuals);
        let first_largest = largest(&residuals);
        let mut cleaned =
            Cleaned { first, first_largest, removed: vec![], last: first, last_largest: first_largest };
        while let Some(worst) =
            cleaned.last_largest.filter(|worst| exceeds(worst.value, &residuals, self.used(), limit))
        {
            self.set_in_use(worst.meter, false);
            cleaned.removed.push(worst.meter);
            cleaned.last = self.estimate(values, Start::Last, options)?;
            self.normalised_residuals(&mut residuals);
            cleaned.last_largest = largest(&residuals);
        }
        Ok(cleaned)
    }
}

fn largest(residuals: &[Option<f64>]) -> Option<Largest> {
    let mut found: Option<Largest> = None;
    for (meter, value) in residuals.iter().enumerate() {
        let Some(value) = value.map(f64::abs) else { continue };
        // Meters that are critical together share their value up to rounding: the first one stands for them.
        if found.is_none_or(|found| value > found.value * (1.0 + 1e-9)) {
            found = Some(Largest { meter, value });
        }
    }
    found
}

/// Whether the largest value is too large, where this many meters are in use (critical ones too).
fn exceeds(value: f64, residuals: &[Option<f64>], used: usize, limit: Limit) -> bool {
    match limit {
        Limit::Fixed(limit) => value > limit,
        Limit::Bonferroni(level) => value > two_sided_quantile(level / used.max(1) as f64),
        Limit::FalseDiscovery(level) => {
            let mut p: Vec<f64> = residuals.iter().flatten().map(|value| two_sided_p(*value)).collect();
            p.sort_unstable_by(f64::total_cmp);
            p.iter().zip(1..).any(|(p, rank)| *p <= level * f64::from(rank) / used as f64)
        }
    }
}

/// Probability that a standard normal number is at least this far from zero.
fn two_sided_p(value: f64) -> f64 {
    erfc(value.abs() / core::f64::consts::SQRT_2)
}

/// The distance from zero that a standard normal number exceeds with this probability.
#[must_use]
pub fn two_sided_quantile(probability: f64) -> f64 {
    core::f64::consts::SQRT_2 * erfc_inv(probability.clamp(1e-300, 1.0))
}

/// The value that χ² with this many degrees of freedom stays below with this probability; 0 without degrees of freedom.
///
/// Wilson and Hilferty's cube (1931), then Newton on the incomplete gamma function (NIST DLMF §8.2).
#[must_use]
pub fn chi_squared_quantile(dof: usize, probability: f64) -> f64 {
    if dof == 0 {
        return 0.0;
    }
    let probability = probability.clamp(1e-12, 1.0 - 1e-12);
    let (half, dof) = (dof as f64 / 2.0, dof as f64);
    let normal = -core::f64::consts::SQRT_2 * erfc_inv(2.0 * probability);
    let spread = 2.0 / (9.0 * dof);
    let mut x = (dof * libm::pow(1.0 - spread + normal * spread.sqrt(), 3.0)).max(1e-8 * dof);
    for _ in 0..50 {
        let density = libm::exp((half - 1.0) * libm::log(x / 2.0) - x / 2.0 - ln_gamma(half)) / 2.0;
        let step = ((gamma_lr(half, x / 2.0) - probability) / density).clamp(-x / 2.0, x);
        x -= step;
        if step.abs() <= 1e-14 * x {
            break;
        }
    }
    x
}

/// Probability that χ² with this many degrees of freedom is at least this large.
#[must_use]
pub fn chi_squared_tail(dof: usize, value: f64) -> f64 {
    if dof == 0 || value <= 0.0 { 1.0 } else { gamma_ur(dof as f64 / 2.0, value / 2.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        // scipy.stats.chi2.ppf(0.95, dof), norm.isf(p/2).
        for (dof, expected) in [
            (1, 3.841_458_820_694_124),
            (2, 5.991_464_547_107_979),
            (49, 66.338_648_862_968_8),
            (14387, 14_667.147_280_862_131),
        ] {
            let found = chi_squared_quantile(dof, 0.95);
            assert!((found / expected - 1.0).abs() < 1e-11, "{dof}: {found}");
            assert!((chi_squared_tail(dof, found) - 0.05).abs() < 1e-11);
        }
        assert!((two_sided_quantile(0.05) - 1.959_963_984_540_054).abs() < 1e-12);
        assert_eq!(chi_squared_quantile(0, 0.95), 0.0);
        assert!((chi_squared_quantile(3, 1e-6) / 2.417_7e-4 - 1.0).abs() < 1e-3);
    }

    #[test]
    fn limits_count_the_meters() {
        let mut residuals = vec![Some(0.1); 999];
        residuals.push(Some(3.5));
        assert!(exceeds(3.5, &residuals, 1000, Limit::Fixed(3.0)), "the textbook's");
        assert!(!exceeds(3.5, &residuals, 1000, Limit::default()), "4.06 over a thousand");
        residuals.extend([Some(-4.2), Some(4.2), None]);
        assert_eq!(largest(&residuals), Some(Largest { meter: 1000, value: 4.2 }));
        assert!(exceeds(4.2, &residuals, 1003, Limit::FalseDiscovery(0.05)));
        assert!(!exceeds(0.1, &[Some(0.1)], 1, Limit::FalseDiscovery(0.05)));
    }
}
