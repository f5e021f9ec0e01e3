//! Forecast-aided estimation: what each bus should do next, and how odd what it does is.
//!
//! Source: A. M. Leite da Silva, M. B. Do Coutto Filho, J. F. de Queiroz, IEE Proc. C 130 (1983) 237 (Holt's two-parameter
//! smoothing of every state); normalised innovation per state, after M. B. Do Coutto Filho, J. C. S. de Souza, IEEE Trans.
//! PWRS 24 (2009) 1667, §III. The variance of each innovation is learnt, not assumed.
//!
//! An attack `a = Hc` moves states that the network does not bind: each bus's own innovation sees a jump that the sum over
//! all buses drowns. **When it lies:** a ramp slower than the smoothing follows is forecast like a load.

/// How quickly a [`Forecast`] follows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Smoothing {
    /// Weight of the newest value in the level, 0 to 1.
    pub level: f64,
    /// Weight of the newest change in the trend, 0 to 1.
    pub trend: f64,
    /// Weight of the newest square in the variance, 0 to 1.
    pub variance: f64,
    /// Steps before innovations are given: the variance has to be learnt first.
    pub warm_up: u32,
}

impl Default for Smoothing {
    fn default() -> Self {
        Self { level: 0.6, trend: 0.05, variance: 0.01, warm_up: 100 }
    }
}

/// A forecaster of a vector, entry by entry.
///
/// ```
/// use twinguard_twin::grid::{Forecast, Smoothing};
///
/// let mut forecast = Forecast::new(1, Smoothing { warm_up: 20, ..Smoothing::default() });
/// let mut worst: f64 = 0.0;
/// for step in 0..100 {
///     let value = 0.01 * f64::from(step) + if step % 2 == 0 { 0.001 } else { -0.001 };
///     worst = forecast.observe(&[value]).map_or(worst, |found| worst.max(found[0].abs()));
/// }
/// assert!(worst < 3.0, "a ramp with noise");
/// assert!(forecast.observe(&[1.1]).unwrap()[0] > 10.0, "a jump by a tenth");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    smoothing: Smoothing,
    level: Vec<f64>,
    trend: Vec<f64>,
    variance: Vec<f64>,
    normal: Vec<f64>,
    steps: u32,
}

/// An innovation beyond this many standard deviations teaches the variance no more than this.
const CLIP: f64 = 3.0;

impl Forecast {
    /// Knows nothing yet.
    #[must_use]
    pub fn new(entries: usize, smoothing: Smoothing) -> Self {
        let zero = || vec![0.0; entries];
        Self { smoothing, level: zero(), trend: zero(), variance: zero(), normal: zero(), steps: 0 }
    }

    /// What is expected next; `None` before the first two values.
    pub fn expected(&self) -> Option<impl Iterator<Item = f64> + '_> {
        let next = self.level.iter().zip(&self.trend).map(|(level, trend)| level + trend);
        (self.steps > 1).then_some(next)
    }

    /// Takes in the newest values and gives each one's normalised innovation: about standard normal when nothing is wrong.
    ///
    /// `None` while it warms up. Entries beyond those it was made for are ignored. No allocation.
    pub fn observe(&mut self, values: &[f64]) -> Option<&[f64]> {
        let s = self.smoothing;
        for (at, value) in values.iter().enumerate().take(self.level.len()) {
            let (level, trend) = (self.level[at], self.trend[at]);
            match self.steps {
                0 => self.level[at] = *value,
                1 => (self.level[at], self.variance[at]) = (*value, (value - level) * (value - level)),
                steps => {
                    let innovation = value - (level + trend);
                    let sigma = self.variance[at].sqrt().max(f64::MIN_POSITIVE);
                    self.normal[at] = innovation / sigma;
                    // While it warms up the start's variance is worth one value.
                    let (weight, most) = if steps < s.warm_up {
                        (s.variance.max(1.0 / f64::from(steps)), f64::INFINITY)
                    } else {
                        (s.variance, CLIP * sigma)
                    };
                    let size = innovation.abs().min(most);
                    self.variance[at] += weight * (size * size - self.variance[at]);
                    let next = level + trend + s.level * innovation;
                    self.trend[at] += s.trend * (next - level - trend);
                    self.level[at] = next;
                }
            }
        }
        self.steps = self.steps.saturating_add(1);
        (self.steps > s.warm_up.max(2)).then_some(&self.normal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::Noise;

    #[test]
    fn innovations_of_a_drifting_load_are_about_standard_normal() {
        let mut noise = Noise::new(3, 0);
        let mut forecast = Forecast::new(20, Smoothing::default());
        let mut state = [0.0; 20];
        let (mut sum, mut count, mut beyond) = (0.0, 0.0, 0.0);
        for _ in 0..3000 {
            state.iter_mut().for_each(|entry| *entry += 0.01 * noise.gaussian());
            let seen: Vec<f64> = state.iter().map(|entry| entry + 0.005 * noise.gaussian()).collect();
            for innovation in forecast.observe(&seen).into_iter().flatten() {
                sum += innovation * innovation;
                count += 1.0;
                beyond += f64::from(u8::from(innovation.abs() > 1.96));
            }
        }
        assert!((0.95..1.15).contains(&(sum / count)), "{}", sum / count);
        assert!((0.04..0.065).contains(&(beyond / count)), "{}", beyond / count);
    }

    #[test]
    fn it_expects_a_line_to_go_on() {
        let mut forecast = Forecast::new(2, Smoothing::default());
        assert!(forecast.expected().is_none());
        (0..500).for_each(|step| {
            forecast.observe(&[f64::from(step), 5.0]);
        });
        let expected: Vec<f64> = forecast.expected().unwrap().collect();
        assert!((expected[0] - 500.0).abs() < 0.1 && expected[1] == 5.0, "{expected:?}");
    }
}
