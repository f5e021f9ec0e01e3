//! Fatigue cracks: growth per load cycle as a power of the stress intensity.
//!
//! da/dN = C (ΔK)ᵐ, ΔK = Y Δσ √(π a). Source: P. Paris, F. Erdogan, *J. Basic Eng.* 85 (1963) 528–533; scatter of the growth
//! rate as a log-normal factor (D. Virkler, B. Hillberry, P. Goel, *J. Eng. Materials and Technology* 101 (1979) 148–153). ln C and m by
//! the regression of ln(Δa/ΔN) on ln ΔK (ASTM E647, appendix X1, secant method, in logarithms), their covariance from it.
//! Remaining cycles in closed form (integral of the law) at constant load, by seeded draws of (ln C, m, a) and a factor for
//! the scatter that is left; [`ParisErdogan::unscented`] gives a log-normal by sigma points.
//! It lies near the threshold and near fracture toughness, and under changing loads.

use super::{Degradation, Life, increments, monte_carlo, spread::normal_quantile, unscented};
use crate::Error;

/// How the part is loaded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// Range of the remote stress Δσ in megapascals.
    pub stress_range_mpa: f64,
    /// Geometry factor Y, about 1.
    pub geometry: f64,
}

/// A fitted law.
#[derive(Clone, Debug, PartialEq)]
pub struct ParisErdogan {
    load: Load,
    /// (ln C, m), C in metres a cycle with ΔK in `MPa √m`.
    pub parameters: (f64, f64),
    covariance: [f64; 4],
    /// Standard deviation of ln(rate) around the law.
    pub scatter: f64,
    /// Length of the crack at the last sample in metres, and its standard deviation.
    pub length_m: (f64, f64),
    growth_steps: f64,
    evidence: f64,
}

/// Draws behind a [`Life`], and their seed: results repeat.
const DRAWS: usize = 4096;
const SEED: u64 = 0x5041_5249;

impl ParisErdogan {
    /// From (cycles, crack length in metres), both rising; `sigma_m` is the standard deviation of the lengths.
    ///
    /// # Errors
    /// [`Error::NotPositive`] for load, geometry or sigma; [`Error::Unidentifiable`] for a history in which the crack grows
    /// in fewer than four steps, or hardly changes in length.
    pub fn fit(history: &[(f64, f64)], load: Load, sigma_m: f64) -> Result<Self, Error> {
        let checked = [load.stress_range_mpa, load.geometry, sigma_m];
        if let Some(index) = checked.iter().position(|value| !(*value > 0.0 && value.is_finite())) {
            return Err(Error::NotPositive { what: "stress range, geometry factor or sigma", index });
        }
        let steps = increments(history)?;
        let mut samples = Vec::with_capacity(steps.len());
        // A step counts once the crack has grown clear of the measurement noise.
        let (mut from, mut cycles, mut growth) = (history.first().map_or(0.0, |(_, a)| *a), 0.0, 0.0);
        for (duration, change) in steps {
            cycles += duration;
            growth += change;
            if growth > 4.0 * sigma_m && from > 0.0 {
                let middle = from + growth / 2.0;
                samples.push((libm::log(stress_intensity(load, middle)), libm::log(growth / cycles)));
                from += growth;
                (cycles, growth) = (0.0, 0.0);
            }
        }
        let refuse = |reason| Error::Unidentifiable { what: "crack".to_owned(), reason };
        if samples.len() < 4 {
            return Err(refuse("grows in fewer than four steps"));
        }
        let count = samples.len() as f64;
        let (mean_k, mean_r) =
            samples.iter().fold((0.0, 0.0), |(k, r), (a, b)| (k + a / count, r + b / count));
        let (mut kk, mut kr) = (0.0, 0.0);
        for (k, r) in &samples {
            kk += (k - mean_k) * (k - mean_k);
            kr += (k - mean_k) * (r - mean_r);
        }
        if kk < 1e-8 {
            return Err(refuse("hardly changes in length"));
        }
        let m = kr / kk;
        let log_c = mean_r - m * mean_k;
        let left: f64 = samples.iter().map(|(k, r)| (r - log_c - m * k).powi(2)).sum();
        let variance = (left / (count - 2.0)).max(1e-12);
        let covariance = [
            variance * (1.0 / count + mean_k * mean_k / kk),
            -variance * mean_k / kk,
            -variance * mean_k / kk,
            variance / kk,
        ];
        let evidence = -0.5 * count * (libm::log(core::f64::consts::TAU * variance) + 1.0) - 3.0;
        let length_m = (history.last().map_or(0.0, |(_, a)| *a), sigma_m);
        Ok(Self {
            load,
            parameters: (log_c, m),
            covariance,
            scatter: variance.sqrt(),
            length_m,
            growth_steps: (length_m.0 - history.first().map_or(0.0, |(_, a)| *a)) / count,
            evidence,
        })
    }

    /// Mean and covariance of (ln C, m, length).
    fn state(&self) -> ([f64; 3], [f64; 9]) {
        let [cc, cm, _, mm] = self.covariance;
        // The ridge keeps a covariance of two almost parallel directions positive definite.
        let ridge = 1e-9 * (cc + mm);
        let spread = self.length_m.1 * self.length_m.1;
        (
            [self.parameters.0, self.parameters.1, self.length_m.0],
            [cc + ridge, cm, 0.0, cm, mm + ridge, 0.0, 0.0, 0.0, spread],
        )
    }

    /// Cycles from `length_m` to `limit_m` at this (ln C, m): the integral of the law.
    fn cycles(&self, log_c: f64, m: f64, length_m: f64, limit_m: f64) -> f64 {
        if length_m >= limit_m {
            return 0.0;
        }
        if length_m <= 0.0 {
            return f64::INFINITY;
        }
        let base = self.load.geometry * self.load.stress_range_mpa * core::f64::consts::PI.sqrt();
        let rate = libm::exp(log_c + m * libm::log(base));
        let power = 1.0 - m / 2.0;
        // Near m = 2 the power law turns into a logarithm.
        let ratio = libm::log(limit_m / length_m);
        let way = if (power * ratio).abs() < 1e-8 {
            ratio
        } else {
            libm::pow(length_m, power) * libm::expm1(power * ratio) / power
        };
        way / rate
    }

    /// Remaining cycles as a log-normal by sigma points: mean and variance of their logarithm.
    ///
    /// # Errors
    /// [`Error::NotFinite`] when a sigma point has no finite life, and as [`Degradation::life`].
    pub fn unscented(&self, limit: f64) -> Result<Life, Error> {
        self.check(limit)?;
        let (mean, covariance) = self.state();
        let log = |x: &[f64]| libm::log(self.cycles(x[0], x[1], x[2], limit));
        let (centre, variance) = unscented(&mean, &covariance, log)?;
        let sigma = (variance + self.left(limit)).sqrt();
        let points = (0..DRAWS).map(|at| centre + sigma * normal_quantile((at as f64 + 0.5) / DRAWS as f64));
        Ok(Life::of_draws(points.map(libm::exp).collect()))
    }

    /// Variance of ln(cycles) by the scatter of the steps still to come: it averages out over them.
    fn left(&self, limit: f64) -> f64 {
        let steps = ((limit - self.length_m.0) / self.growth_steps.max(f64::MIN_POSITIVE)).max(1.0);
        self.scatter * self.scatter / steps
    }

    fn check(&self, limit: f64) -> Result<(), Error> {
        if limit.is_finite() && limit > self.length_m.0 {
            return Ok(());
        }
        Err(Error::Unidentifiable { what: "limit".to_owned(), reason: "is not beyond the crack's length" })
    }
}

/// ΔK in `MPa √m`.
fn stress_intensity(load: Load, length_m: f64) -> f64 {
    load.geometry * load.stress_range_mpa * (core::f64::consts::PI * length_m).sqrt()
}

impl Degradation for ParisErdogan {
    fn name(&self) -> &'static str {
        "paris_erdogan"
    }

    fn life(&self, limit: f64) -> Result<Life, Error> {
        self.check(limit)?;
        let (mean, covariance) = self.state();
        let scatter = self.left(limit).sqrt();
        let draws = monte_carlo(&mean, &covariance, DRAWS, SEED, |x, noise| {
            self.cycles(x[0], x[1], x[2], limit) * libm::exp(scatter * noise.gaussian())
        })?;
        Ok(Life::of_draws(draws))
    }

    fn evidence(&self) -> f64 {
        self.evidence
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{noise::Noise, prognosis::coverage};

    const LOAD: Load = Load { stress_range_mpa: 80.0, geometry: 1.0 };

    /// A crack whose rate scatters by 15 %, seen every 2000 cycles.
    fn crack(seed: u64, until_m: f64) -> (Vec<(f64, f64)>, f64) {
        let mut noise = Noise::new(seed, 5);
        let (mut a, mut cycles, mut seen, mut end) = (0.009_f64, 0.0, Vec::new(), 0.0);
        let log_c = (8.7e-11_f64).ln() + 0.1 * noise.gaussian();
        while a < until_m {
            if a < 0.018 {
                seen.push((cycles, a + 2e-5 * noise.gaussian()));
                end = cycles;
            }
            a += 2000.0 * (log_c + 2.9 * stress_intensity(LOAD, a).ln() + 0.15 * noise.gaussian()).exp();
            cycles += 2000.0;
        }
        (seen, cycles - end)
    }

    #[test]
    fn cracks_are_foretold_with_calibrated_intervals() {
        let (mut drawn, mut sigma) = (Vec::new(), Vec::new());
        for seed in 0..120 {
            let (seen, truth) = crack(seed, 0.05);
            let law = ParisErdogan::fit(&seen, LOAD, 2e-5).unwrap();
            drawn.push((law.life(0.05).unwrap(), truth));
            sigma.push((law.unscented(0.05).unwrap(), truth));
        }
        for predictions in [drawn, sigma] {
            let [half, most] = coverage(&predictions, &[0.5, 0.9])[..] else { panic!() };
            assert!((half - 0.5).abs() < 0.15 && (most - 0.9).abs() < 0.09, "{half} {most}");
        }
    }

    #[test]
    fn the_integral_is_that_of_the_law() {
        let (seen, _) = crack(1, 0.05);
        let law = ParisErdogan::fit(&seen, LOAD, 2e-5).unwrap();
        for m in [2.0, 2.0 + 1e-12, 3.1] {
            let log_c = -24.0;
            let (mut a, mut cycles) = (0.01, 0.0);
            while a < 0.02 {
                let rate = (log_c + m * stress_intensity(LOAD, a + 5e-7).ln()).exp();
                a += 1e-6;
                cycles += 1e-6 / rate;
            }
            assert!((law.cycles(log_c, m, 0.01, 0.02) / cycles - 1.0).abs() < 1e-3, "m = {m}");
        }
        assert!(law.life(0.001).is_err());
        assert!(ParisErdogan::fit(&seen[..4], LOAD, 2e-5).is_err());
        assert!(ParisErdogan::fit(&seen, Load { geometry: 0.0, ..LOAD }, 2e-5).is_err());
    }
}
