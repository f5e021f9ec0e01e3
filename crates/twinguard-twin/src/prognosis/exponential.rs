//! Damage that feeds on itself: the logarithm of the signal is a Wiener process.
//!
//! x(t) = θ exp(β t + σ B(t)). Source: N. Gebraeel, M. Lawley, R. Li, J. Ryan, *IIE Transactions* 37 (2005) 543–557, model with
//! Brownian error. It lies when the signal has an offset that does not grow: subtract it first.

use super::{Degradation, Life, Wiener};
use crate::Error;

/// A fitted process.
#[derive(Clone, Debug, PartialEq)]
pub struct Exponential {
    /// The process of ln x.
    pub logarithm: Wiener,
    evidence: f64,
}

impl Exponential {
    /// From (time in seconds, positive value) with rising times.
    ///
    /// # Errors
    /// [`Error::Unidentifiable`] for values that are not positive, and as [`Wiener::fit`].
    pub fn fit(history: &[(f64, f64)]) -> Result<Self, Error> {
        if history.iter().any(|(_, value)| *value <= 0.0) {
            let reason = "holds values that are not positive";
            return Err(Error::Unidentifiable { what: "history".to_owned(), reason });
        }
        let logs: Vec<(f64, f64)> = history.iter().map(|(time, value)| (*time, libm::log(*value))).collect();
        let logarithm = Wiener::fit(&logs)?;
        // Densities of x, not of ln x: each sample pays its Jacobian.
        let jacobian: f64 = logs.iter().skip(1).map(|(_, log)| log).sum();
        let evidence = logarithm.evidence() - jacobian;
        Ok(Self { logarithm, evidence })
    }
}

impl Degradation for Exponential {
    fn name(&self) -> &'static str {
        "exponential"
    }

    fn life(&self, limit: f64) -> Result<Life, Error> {
        if limit.is_nan() || limit <= 0.0 {
            return Err(Error::Unidentifiable { what: "limit".to_owned(), reason: "is not positive" });
        }
        self.logarithm.first_passage(libm::log(limit))
    }

    fn evidence(&self) -> f64 {
        self.evidence
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubling_every_ten_seconds_reaches_eight_after_thirty() {
        let wobble = [0.0, 0.01, -0.008, 0.004];
        let history: Vec<(f64, f64)> = (0..40_u32)
            .map(|k| (f64::from(k), (2.0_f64.ln() * f64::from(k) / 10.0 + wobble[k as usize % 4]).exp()))
            .collect();
        let last = history.last().unwrap().1;
        let life = Exponential::fit(&history).unwrap().life(8.0 * last).unwrap();
        assert!((life.quantile(0.5) - 30.0).abs() < 1.5, "{}", life.quantile(0.5));
        assert!(Exponential::fit(&[(0.0, 1.0), (1.0, 0.0), (2.0, 1.0), (3.0, 2.0)]).is_err());
        assert!(Exponential::fit(&history).unwrap().life(-1.0).is_err());
    }
}
