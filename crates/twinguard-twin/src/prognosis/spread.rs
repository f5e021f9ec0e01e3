//! Uncertainty through a function: by seeded draws, and by sigma points.
//!
//! Source: S. Julier, J. Uhlmann, *Proc. IEEE* 92 (2004) 401–422 (unscented transform, κ = 3 − n); draws in antithetic pairs
//! (Hammersley, Morton 1956), so that linear functions have the exact mean.

use nalgebra::{DMatrix, DVector};
use statrs::distribution::{ContinuousCDF, Normal};

use crate::{Error, noise::Noise};

/// The factor by which standard normal numbers get this covariance.
fn factor(mean: &[f64], covariance: &[f64]) -> Result<DMatrix<f64>, Error> {
    let n = mean.len();
    if n == 0 || covariance.len() != n * n {
        return Err(Error::Dimension { what: "covariances", expected: n * n, found: covariance.len() });
    }
    if mean.iter().chain(covariance).any(|value| !value.is_finite()) {
        return Err(Error::NotFinite { what: "mean or covariance", time_s: 0.0 });
    }
    let matrix = DMatrix::from_row_slice(n, n, covariance);
    matrix.cholesky().map(|factor| factor.l()).ok_or(Error::NotPositive { what: "covariance", index: 0 })
}

/// `function` of `draws` draws from a normal distribution; the covariance (n × n, row by row) is positive definite.
///
/// # Errors
/// [`Error::Dimension`], [`Error::NotFinite`], [`Error::NotPositive`] for mean and covariance.
pub fn monte_carlo(
    mean: &[f64],
    covariance: &[f64],
    draws: usize,
    seed: u64,
    mut function: impl FnMut(&[f64], &mut Noise) -> f64,
) -> Result<Vec<f64>, Error> {
    let factor = factor(mean, covariance)?;
    let mut noise = Noise::new(seed, 0);
    let mut values = Vec::with_capacity(draws);
    while values.len() < draws {
        let standard = DVector::from_fn(mean.len(), |_, _| noise.gaussian());
        let away = &factor * standard;
        for sign in [1.0, -1.0] {
            let point: Vec<f64> =
                mean.iter().zip(away.iter()).map(|(mean, away)| mean + sign * away).collect();
            if values.len() < draws {
                values.push(function(&point, &mut noise));
            }
        }
    }
    Ok(values)
}

/// Mean and variance of `function` by 2n + 1 sigma points.
///
/// # Errors
/// As [`monte_carlo`]; [`Error::NotFinite`] also for a value of the function.
pub fn unscented(
    mean: &[f64],
    covariance: &[f64],
    mut function: impl FnMut(&[f64]) -> f64,
) -> Result<(f64, f64), Error> {
    let factor = factor(mean, covariance)?;
    let n = mean.len() as f64;
    // κ = 3 − n matches the fourth moment of a normal distribution; n ≥ 3 keeps weights non-negative with κ = 0.
    let kappa = (3.0 - n).max(0.0);
    let reach = (n + kappa).sqrt();
    let mut points = vec![(kappa / (n + kappa), function(mean))];
    for column in factor.column_iter() {
        for sign in [1.0, -1.0] {
            let point: Vec<f64> =
                mean.iter().zip(column.iter()).map(|(mean, away)| mean + sign * reach * away).collect();
            points.push((0.5 / (n + kappa), function(&point)));
        }
    }
    let average: f64 = points.iter().map(|(weight, value)| weight * value).sum();
    let variance: f64 = points.iter().map(|(weight, value)| weight * (value - average).powi(2)).sum();
    if average.is_finite() && variance.is_finite() {
        Ok((average, variance))
    } else {
        Err(Error::NotFinite { what: "function of sigma points", time_s: 0.0 })
    }
}

/// Quantile of the standard normal distribution.
pub(super) fn normal_quantile(probability: f64) -> f64 {
    Normal::standard().inverse_cdf(probability)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_agree_with_a_log_normal() {
        // E exp(x) = exp(m + s²/2) with m = 0, s² = 0.04: 1.0202.
        let (mean, variance) = unscented(&[0.0], &[0.04], |x| x[0].exp()).unwrap();
        let exact = 0.02_f64.exp();
        assert!((mean - exact).abs() < 1e-4, "{mean}");
        assert!((variance / (exact * exact * (0.04_f64.exp() - 1.0)) - 1.0).abs() < 0.03);
        let draws = monte_carlo(&[0.0], &[0.04], 20_000, 1, |x, _| x[0].exp()).unwrap();
        assert!((draws.iter().sum::<f64>() / 20_000.0 - exact).abs() < 2e-3);
        assert_eq!(draws, monte_carlo(&[0.0], &[0.04], 20_000, 1, |x, _| x[0].exp()).unwrap());
    }

    #[test]
    fn covariances_are_checked() {
        assert!(matches!(unscented(&[0.0], &[-1.0], |x| x[0]), Err(Error::NotPositive { .. })));
        assert!(matches!(unscented(&[0.0], &[1.0, 2.0], |x| x[0]), Err(Error::Dimension { .. })));
        assert!(matches!(monte_carlo(&[f64::NAN], &[1.0], 4, 1, |x, _| x[0]), Err(Error::NotFinite { .. })));
    }
}
