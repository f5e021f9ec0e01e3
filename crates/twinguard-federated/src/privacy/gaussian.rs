//! Integers with a Gaussian shape, drawn exactly: no floating-point number whose rounding could tell.
//!
//! Source: Canonne, Kamath, Steinke, *The discrete Gaussian for differential privacy*, `NeurIPS` 2020, algorithms 1 to 3. All arithmetic is on
//! integers of 128 bits. Mironov, *On significance of the least significant bits*, CCS 2012: why. The time a draw takes depends on what is
//! drawn; a site that shows its timing shows something of its noise.

use rand_core::Rng;

use crate::Error;

/// P(x) ∝ exp(−x²/2σ²) over the integers, σ a whole number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiscreteGaussian {
    sigma: u64,
}

impl DiscreteGaussian {
    /// With this σ, a whole number from 1 to 2²⁶. A larger one asks for a coarser grid: see
    /// [`Grid::with_bits`](twinguard_anomaly::statistic::Grid::with_bits).
    ///
    /// # Errors
    /// [`Error::Setting`] for any other.
    pub fn new(sigma: f64) -> Result<Self, Error> {
        if !(1.0..=f64::from(1 << 26)).contains(&sigma) || sigma.fract() != 0.0 {
            return Err(Error::Setting {
                name: "sigma",
                value: sigma,
                must: "a whole number from 1 to 2^26: a coarser grid needs less",
            });
        }
        Ok(Self { sigma: sigma as u64 })
    }

    /// σ.
    #[must_use]
    pub fn sigma(&self) -> u64 {
        self.sigma
    }

    /// Draws one.
    pub fn sample<R: Rng>(&self, rng: &mut R) -> i64 {
        let sigma = u128::from(self.sigma);
        // algorithm 3 with t = σ + 1: |Y| ≤ some tens of t, so the squares below stay within 2¹²²
        let t = sigma + 1;
        loop {
            let y = laplace(t, rng);
            let size = u128::from(y.unsigned_abs());
            // (|y| − σ²/t)² / 2σ² = (|y|·t − σ²)² / (2σ²t²)
            let Some(scaled) = size.checked_mul(t) else { continue };
            let difference = scaled.abs_diff(sigma * sigma);
            let Some(square) = difference.checked_mul(difference) else { continue };
            if bernoulli_exp(square, 2 * sigma * sigma * t * t, rng) {
                return y;
            }
        }
    }
}

/// A whole number below n, each alike: rejection of what does not fit.
fn uniform<R: Rng>(n: u128, rng: &mut R) -> u128 {
    let bits = 128 - n.saturating_sub(1).leading_zeros();
    let mask = if bits == 0 { 0 } else { u128::MAX >> (128 - bits) };
    loop {
        let drawn = (u128::from(rng.next_u64()) << 64 | u128::from(rng.next_u64())) & mask;
        if drawn < n.max(1) {
            return drawn;
        }
    }
}

/// True with probability exp(−n/d): algorithm 1.
fn bernoulli_exp<R: Rng>(mut n: u128, d: u128, rng: &mut R) -> bool {
    // γ > 1: the product of exp(−1) for each whole part
    while n > d {
        if !small_exp(d, d, rng) {
            return false;
        }
        n -= d;
    }
    small_exp(n, d, rng)
}

/// exp(−n/d) for n ≤ d: the parity of how long ever rarer coins fall.
fn small_exp<R: Rng>(n: u128, d: u128, rng: &mut R) -> bool {
    let mut k: u128 = 1;
    loop {
        // true with probability n/(d·k); two draws keep the numbers small
        let falls = uniform(k, rng) == 0 && uniform(d, rng) < n;
        if !falls {
            return !k.is_multiple_of(2);
        }
        k += 1;
    }
}

/// P(x) ∝ exp(−|x|/t): algorithm 2.
fn laplace<R: Rng>(t: u128, rng: &mut R) -> i64 {
    loop {
        let u = uniform(t, rng);
        if !bernoulli_exp(u, t, rng) {
            continue;
        }
        let mut v: u128 = 0;
        while bernoulli_exp(1, 1, rng) {
            v += 1;
        }
        let size = u + t * v;
        let negative = uniform(2, rng) == 1;
        // one of the two zeros is drawn again
        if negative && size == 0 {
            continue;
        }
        if let Ok(size) = i64::try_from(size) {
            return if negative { -size } else { size };
        }
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    #[test]
    fn frequencies_are_those_of_the_law() {
        for sigma in [1_i32, 3, 10] {
            let noise = DiscreteGaussian::new(f64::from(sigma)).unwrap();
            let mut rng = ChaCha20Rng::seed_from_u64(1);
            let (n, reach) = (40_000, 4 * sigma);
            let mut counts = vec![0.0; (2 * reach + 1) as usize];
            for _ in 0..n {
                let drawn = noise.sample(&mut rng);
                if drawn.unsigned_abs() <= reach.unsigned_abs().into() {
                    counts[(drawn + i64::from(reach)) as usize] += 1.0;
                }
            }
            let weight = |x: i32| (-f64::from(x * x) / f64::from(2 * sigma * sigma)).exp();
            let all: f64 = (-20 * sigma..=20 * sigma).map(weight).sum();
            // Pearson's statistic over the cells that expect five or more
            let (mut chi, mut cells) = (0.0, 0);
            for (x, count) in (-reach..=reach).zip(&counts) {
                let expected = f64::from(n) * weight(x) / all;
                if expected >= 5.0 {
                    chi += (count - expected) * (count - expected) / expected;
                    cells += 1;
                }
            }
            let surprise = twinguard_anomaly::chi_squared_surprise(chi, cells);
            assert!(surprise < 4.0, "σ = {sigma}: χ² = {chi} over {cells} cells");
        }
    }

    #[test]
    fn a_large_sigma_has_its_spread_and_the_same_seed_the_same_draws() {
        let noise = DiscreteGaussian::new(f64::from(1 << 26)).unwrap();
        let draw = || {
            let mut rng = ChaCha20Rng::seed_from_u64(7);
            (0..4000).map(|_| noise.sample(&mut rng)).collect::<Vec<_>>()
        };
        let drawn = draw();
        assert_eq!(drawn, draw());
        let spread = (drawn.iter().map(|x| (*x as f64).powi(2)).sum::<f64>() / 4000.0).sqrt();
        assert!((spread / f64::from(1 << 26) - 1.0).abs() < 0.05, "{spread}");
        assert!(DiscreteGaussian::new(0.5).is_err() && DiscreteGaussian::new(1e9).is_err());
    }
}
