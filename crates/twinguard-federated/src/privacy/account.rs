//! What releases cost, added up, and what the sum means in ε and δ.
//!
//! Source: Bun, Steinke, *Concentrated differential privacy*, TCC 2016 (zCDP: a Gaussian of variance σ² on an answer of sensitivity Δ costs
//! ρ = Δ²/2σ², and costs add up); Canonne, Kamath, Steinke, *The discrete Gaussian for differential privacy*, `NeurIPS` 2020, theorem 4 (the
//! same for integers) and proposition 12 (from ρ to ε: the least over α of what Rényi divergence of order α gives). For order α, ρ-zCDP is
//! Rényi differential privacy (α, ρα) (Mironov, CSF 2017), so the account in RDP is the same one, at all orders at once.

use crate::Error;

/// A price in zero-concentrated differential privacy, in billionths, rounded up: sums are exact and never too small.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rho(u64);

const UNIT: f64 = 1e9;

impl Rho {
    /// A price, rounded up to the next billionth.
    ///
    /// # Errors
    /// [`Error::Setting`] for one that is negative, not finite, or beyond a million.
    pub fn new(rho: f64) -> Result<Self, Error> {
        if !(0.0..=1e6).contains(&rho) {
            return Err(Error::Setting { name: "rho", value: rho, must: "from 0 to a million" });
        }
        Ok(Self(libm::ceil(rho * UNIT) as u64))
    }

    /// The largest price whose ε at this δ is at most this.
    ///
    /// # Errors
    /// [`Error::Setting`] for an ε that is not above zero and below 1,000, or a δ that is not between 0 and 1.
    pub fn for_epsilon(target: f64, delta: f64) -> Result<Self, Error> {
        if !(target > 0.0 && target < 1e3) {
            return Err(Error::Setting { name: "epsilon", value: target, must: "above zero and below 1000" });
        }
        let (mut low, mut high) = (0_u64, (1e6 * UNIT) as u64);
        while low < high {
            let middle = low.midpoint(high) + u64::from(!(low + high).is_multiple_of(2));
            if epsilon(Self(middle), delta)? <= target { low = middle } else { high = middle - 1 }
        }
        Ok(Self(low))
    }

    /// From billionths.
    #[must_use]
    pub fn from_billionths(billionths: u64) -> Self {
        Self(billionths)
    }

    /// In billionths.
    #[must_use]
    pub fn billionths(self) -> u64 {
        self.0
    }

    /// As a number.
    #[must_use]
    pub fn value(self) -> f64 {
        self.0 as f64 / UNIT
    }

    /// Two prices together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The same price, so many times.
    #[must_use]
    pub fn times(self, count: u64) -> Self {
        Self(self.0.saturating_mul(count))
    }
}

/// ε at this δ of releases that cost ρ together: the least bound over orders α, never below the truth.
///
/// # Errors
/// [`Error::Setting`] for a δ that is not between 0 and 1.
pub fn epsilon(rho: Rho, delta: f64) -> Result<f64, Error> {
    if !(delta > 0.0 && delta < 1.0) {
        return Err(Error::Setting { name: "delta", value: delta, must: "between 0 and 1" });
    }
    let rho = rho.value();
    if rho == 0.0 {
        return Ok(0.0);
    }
    // any α > 1 bounds ε; the least is searched on ln(α − 1), where the bound is unimodal
    let bound = |ln: f64| {
        let above = libm::exp(ln);
        let alpha = 1.0 + above;
        let ln_delta = libm::log(delta);
        rho * alpha + (-ln_delta - libm::log(alpha)) / above + libm::log1p(-1.0 / alpha)
    };
    let (mut low, mut high) = (libm::log(1e-6), libm::log(1e9));
    for _ in 0..200 {
        let (a, b) = (low + (high - low) / 3.0, high - (high - low) / 3.0);
        if bound(a) <= bound(b) { high = b } else { low = a }
    }
    let least = bound(low.midpoint(high));
    // floating-point error is on the safe side
    Ok(least.max(0.0) * (1.0 + 1e-9) + 1e-12)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// δ of one continuous Gaussian with Δ/σ = μ at ε: Balle, Wang, *Improving the Gaussian mechanism*, ICML 2018, theorem 8.
    fn exact_delta(mu: f64, epsilon: f64) -> f64 {
        let phi = |x: f64| 0.5 * libm::erfc(-x / core::f64::consts::SQRT_2);
        phi(mu / 2.0 - epsilon / mu) - epsilon.exp() * phi(-mu / 2.0 - epsilon / mu)
    }

    fn exact_epsilon(mu: f64, delta: f64) -> f64 {
        let (mut low, mut high) = (0.0, 300.0);
        for _ in 0..200 {
            let middle = f64::midpoint(low, high);
            if exact_delta(mu, middle) > delta { low = middle } else { high = middle }
        }
        high
    }

    #[test]
    fn compositions_are_never_under_reported() {
        let mut cases = 0;
        for count in [1, 2, 3, 5, 10, 20, 50, 100, 365] {
            for noise in [1.0, 2.0, 5.0, 10.0, 30.0, 100.0] {
                for delta in [1e-5, 1e-6, 1e-9] {
                    let rho = Rho::new(1.0 / (2.0 * noise * noise)).unwrap().times(count);
                    let told = epsilon(rho, delta).unwrap();
                    // k Gaussians are one with √k times the sensitivity
                    let exact = exact_epsilon((count as f64).sqrt() / noise, delta);
                    assert!(told >= exact, "{count} × σ = {noise}, δ = {delta}: {told} < {exact}");
                    if exact > 0.05 && exact < 50.0 {
                        assert!(
                            told < 1.4 * exact + 0.02,
                            "{count} × σ = {noise}, δ = {delta}: {told} far above {exact}"
                        );
                    }
                    // and never above the plain bound of Bun and Steinke, proposition 1.3
                    let plain = rho.value() + 2.0 * (rho.value() * (1.0 / delta).ln()).sqrt();
                    assert!(told <= plain + 1e-6);
                    cases += 1;
                }
            }
        }
        assert!(cases >= 50);
    }

    #[test]
    fn prices_add_up_and_round_up() {
        let small = Rho::new(1e-12).unwrap();
        assert_eq!(small.billionths(), 1);
        assert_eq!(small.times(7).plus(small).billionths(), 8);
        assert!(Rho::new(-1.0).is_err() && Rho::new(f64::NAN).is_err());
        let rho = Rho::for_epsilon(1.0, 1e-6).unwrap();
        assert!(epsilon(rho, 1e-6).unwrap() <= 1.0);
        assert!(epsilon(rho.plus(small).times(1).plus(small), 1e-6).unwrap() > 1.0 - 1e-6);
        assert_eq!(epsilon(Rho::default(), 1e-6).unwrap(), 0.0);
    }
}
