//! Sensor noise: white Gaussian plus slow drift; seeded, no global state.
//!
//! Sources: Box, Muller, *Ann. Math. Stat.* 29 (1958) 610, polar form of Marsaglia, Bray 1964; `ChaCha8`, D. J. Bernstein
//! 2008. Logarithms from `libm`, so that a seed gives the same bits everywhere. Drift: a random walk that
//! leaks, at most about 0.2 σ a day (`research` card 1: without it replay and freeze are trivially visible).

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

/// A stream of random numbers of its own, by seed and number of the stream.
#[derive(Clone, Debug)]
pub struct Noise {
    generator: ChaCha8Rng,
    spare: Option<f64>,
}

impl Noise {
    /// Streams of one seed are independent of each other.
    #[must_use]
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(stream);
        Self { generator, spare: None }
    }

    /// Uniform in 0…1, 1 excluded.
    pub fn uniform(&mut self) -> f64 {
        (self.generator.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in `low`…`high`.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// Mean 0, variance 1.
    pub fn gaussian(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        loop {
            let (a, b) = (self.between(-1.0, 1.0), self.between(-1.0, 1.0));
            let square = a * a + b * b;
            if square > 0.0 && square < 1.0 {
                let factor = (-2.0 * libm::log(square) / square).sqrt();
                self.spare = Some(b * factor);
                return a * factor;
            }
        }
    }
}

/// What one sensor adds to the truth, sampled once a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SensorNoise {
    /// Standard deviation of the white part.
    pub sigma: f64,
    drift: f64,
}

impl SensorNoise {
    /// A sensor whose drift starts anywhere within 0.1 σ.
    #[must_use]
    pub fn new(sigma: f64, noise: &mut Noise) -> Self {
        Self { sigma, drift: sigma * noise.between(-0.1, 0.1) }
    }

    /// The next error, one second later.
    pub fn sample(&mut self, noise: &mut Noise) -> f64 {
        self.walk(1.0, noise);
        self.error(noise)
    }

    /// Lets the drift walk for a while: 0.1 σ per √day, leaking with a time constant of a day.
    pub fn walk(&mut self, seconds: f64, noise: &mut Noise) {
        let share = seconds / 86_400.0;
        self.drift += -self.drift * share + self.sigma * 0.1 * share.sqrt() * noise.gaussian();
    }

    /// An error with the drift as it stands.
    pub fn error(&self, noise: &mut Noise) -> f64 {
        self.drift + self.sigma * noise.gaussian()
    }
}

/// Slow first-order disturbance of a quantity: a stationary Ornstein–Uhlenbeck process, sampled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wander {
    now: f64,
    keep: f64,
    kick: f64,
}

impl Wander {
    /// With this standard deviation and time constant, sampled every `period_s`; starts at zero.
    #[must_use]
    pub fn new(sigma: f64, time_constant_s: f64, period_s: f64) -> Self {
        let keep = libm::exp(-period_s / time_constant_s);
        Self { now: 0.0, keep, kick: sigma * (1.0 - keep * keep).sqrt() }
    }

    /// The next value.
    pub fn step(&mut self, noise: &mut Noise) -> f64 {
        self.now = self.keep * self.now + self.kick * noise.gaussian();
        self.now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaussians_have_mean_zero_variance_one_and_light_tails() {
        let mut noise = Noise::new(1, 0);
        let count = 100_000;
        let (mut sum, mut square, mut fourth) = (0.0, 0.0, 0.0);
        for _ in 0..count {
            let value = noise.gaussian();
            sum += value;
            square += value * value;
            fourth += value * value * value * value;
        }
        let count = f64::from(count);
        assert!((sum / count).abs() < 0.01 && (square / count - 1.0).abs() < 0.02);
        assert!((fourth / count - 3.0).abs() < 0.1);
    }

    #[test]
    fn drift_stays_below_a_fifth_of_sigma_a_day() {
        for seed in 0..20 {
            let mut noise = Noise::new(seed, 3);
            let mut sensor = SensorNoise::new(1.0, &mut noise);
            let start = sensor.drift;
            for _ in 0..86_400 {
                sensor.sample(&mut noise);
            }
            assert!((sensor.drift - start).abs() < 0.35, "{}", sensor.drift - start);
        }
    }

    #[test]
    fn streams_differ_and_repeat() {
        let first = |seed, stream| Noise::new(seed, stream).uniform().to_bits();
        assert_eq!(first(1, 2), first(1, 2));
        assert!(first(1, 2) != first(1, 3) && first(1, 2) != first(2, 2));
    }
}
