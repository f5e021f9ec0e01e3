//! Wear that adds up: a Wiener process with drift, seen through measurement noise.
//!
//! x(t) = x₀ + μ t + σ B(t), y = x + e. Source: X.-S. Si, W. Wang, C.-H. Hu, D.-H. Zhou, *European J. Operational Research* 213 (2011)
//! 1–14, §3.1 (first passage: inverse Gaussian; for any sign of the drift D. Cox, H. Miller, *The Theory of Stochastic
//! Processes* (1965), §5.7); the drift's own uncertainty is mixed in (X.-S. Si et al., *IEEE Trans. Reliability* 61 (2012) 50–67);
//! measurement noise as G. Whitmore, *Lifetime Data Analysis* 1 (1995) 307–319; drift and scale integrated out of the
//! likelihood (D. Harville, *J. American Statistical Association* 72 (1977) 320–338, §5). It lies when wear accelerates: [`Exponential`](super::Exponential).

use super::{Degradation, Life, increments};
use crate::Error;

/// A fitted process: averages over what the history leaves open.
#[derive(Clone, Debug, PartialEq)]
pub struct Wiener {
    /// Drift per second.
    pub drift: f64,
    /// Standard error of the drift.
    pub drift_sigma: f64,
    /// Diffusion σ per √second.
    pub diffusion: f64,
    /// Standard deviation of the measurement noise.
    pub noise: f64,
    /// Level at the last sample, with its standard deviation.
    pub level: (f64, f64),
    explanations: Vec<Explanation>,
    evidence: f64,
}

/// One way to share the variance between process and sensor, with what follows from it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Explanation {
    weight: f64,
    drift: f64,
    drift_variance: f64,
    diffusion: f64,
    noise: f64,
    level: f64,
    level_variance: f64,
}

/// Shares of the noise that are weighed against each other, and nodes by which a normal distribution is mixed in.
const SHARES: usize = 16;
const NODES: usize = 24;

impl Wiener {
    /// From (time in seconds, value) with rising times.
    ///
    /// How much of the scatter is wear and how much is the sensor is told badly by short histories: every share is
    /// weighed by its likelihood (drift and scale integrated out), and all of them speak.
    ///
    /// # Errors
    /// [`Error::Unidentifiable`] for fewer than four samples, numbers that are not finite, times that do not rise.
    pub fn fit(history: &[(f64, f64)]) -> Result<Self, Error> {
        let steps = increments(history)?;
        let typical = steps.iter().map(|(duration, _)| duration).sum::<f64>() / steps.len() as f64;
        let mut likelihoods = Vec::with_capacity(SHARES);
        let mut explanations = Vec::with_capacity(SHARES);
        for at in 0..SHARES {
            // From no noise at all to a process that moves by a thousandth of it.
            let share = 1.0 - libm::pow(1e-3, at as f64 / (SHARES - 1) as f64);
            let (likelihood, explanation) = explain(history, (1.0 - share) / typical, share);
            likelihoods.push(likelihood);
            explanations.push(explanation);
        }
        let best = likelihoods.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = likelihoods.iter().map(|likelihood| libm::exp(likelihood - best)).sum();
        for (explanation, likelihood) in explanations.iter_mut().zip(&likelihoods) {
            explanation.weight = libm::exp(likelihood - best) / total;
        }
        explanations.retain(|explanation| explanation.weight > 1e-3);
        let mean = |of: fn(&Explanation) -> f64| explanations.iter().map(|e| e.weight * of(e)).sum::<f64>();
        let known = mean(|_| 1.0);
        let (drift, level) = (mean(|e| e.drift) / known, mean(|e| e.level) / known);
        Ok(Self {
            drift,
            drift_sigma: (mean(|e| e.drift_variance) / known).sqrt(),
            diffusion: (mean(|e| e.diffusion) / known).sqrt(),
            noise: (mean(|e| e.noise) / known).sqrt(),
            level: (level, (mean(|e| e.level_variance) / known).sqrt()),
            explanations,
            evidence: best - 3.0,
        })
    }

    /// Distribution of the time until `limit` is first reached.
    pub(super) fn first_passage(&self, limit: f64) -> Result<Life, Error> {
        let distance = limit - self.level.0;
        if !limit.is_finite() {
            return Err(Error::Unidentifiable { what: "limit".to_owned(), reason: "is not a finite number" });
        }
        let side = if distance == 0.0 { self.drift.signum() } else { distance.signum() };
        let normal = |at: usize| super::spread::normal_quantile((at as f64 + 0.5) / NODES as f64);
        let mut nodes = Vec::with_capacity(self.explanations.len() * NODES);
        for e in &self.explanations {
            for at in 0..NODES {
                // Drift and level are uncertain apart from each other: their nodes are paired in mixed order.
                let drift = side * (e.drift + e.drift_variance.sqrt() * normal(at));
                let level = e.level + e.level_variance.sqrt() * normal((at * 17 + 5) % NODES);
                nodes.push((
                    e.weight / NODES as f64,
                    drift,
                    (side * (limit - level)).max(0.0),
                    e.diffusion.sqrt(),
                ));
            }
        }
        let total: f64 = nodes.iter().map(|(weight, ..)| weight).sum();
        let cumulative = |time: f64| {
            let one = |(weight, drift, distance, sigma): &(f64, f64, f64, f64)| {
                weight * first_passage(time, *drift, *distance, *sigma)
            };
            nodes.iter().map(one).sum::<f64>() / total
        };
        let scale = (distance.abs() / (self.drift.abs() + self.drift_sigma)).max(1e-3);
        Ok(Life::of_distribution(cumulative, scale))
    }
}

/// P(first passage ≤ t) of a Wiener process with drift over a distance d ≥ 0.
fn first_passage(time: f64, drift: f64, distance: f64, sigma: f64) -> f64 {
    if distance <= 0.0 {
        return 1.0;
    }
    let root = sigma * time.sqrt();
    let phi = |x: f64| 0.5 * libm::erfc(-x / core::f64::consts::SQRT_2);
    let ahead = phi((drift * time - distance) / root);
    let exponent = 2.0 * drift * distance / (sigma * sigma);
    let behind = phi((-distance - drift * time) / root);
    // e^exponent · Φ(…) stays finite: a large exponent meets a vanishing tail.
    let mirrored = if behind > 0.0 { libm::exp((exponent + libm::log(behind)).min(0.0)) } else { 0.0 };
    (ahead + mirrored).min(1.0)
}

/// The history under a process variance (per second) and a noise variance that are right up to a common factor: drift by
/// generalised least squares, that factor, the level at the end; and the log-likelihood with drift and factor integrated
/// out.
fn explain(history: &[(f64, f64)], process: f64, noise: f64) -> (f64, Explanation) {
    let mut samples = history.iter();
    let (first, start) = samples.next().copied().unwrap_or_default();
    // The filter is linear: run on the values and on the times, its innovations give the drift by regression.
    let (mut level, mut slope, mut spread, mut before) = (start, 0.0, noise, first);
    let (mut yy, mut ty, mut tt, mut logs) = (0.0, 0.0, 0.0, 0.0);
    for &(time, value) in samples {
        let duration = time - before;
        before = time;
        slope += duration;
        spread += process * duration;
        let variance = spread + noise;
        let (by_value, by_time) = (value - level, slope);
        yy += by_value * by_value / variance;
        ty += by_value * by_time / variance;
        tt += by_time * by_time / variance;
        logs += libm::log(variance);
        let gain = spread / variance;
        level += gain * by_value;
        slope -= gain * by_time;
        spread *= 1.0 - gain;
    }
    let drift = ty / tt;
    let dof = (history.len() - 2).max(1) as f64;
    let factor = ((yy - drift * ty) / dof).max(f64::MIN_POSITIVE);
    let likelihood = -0.5 * (dof * (libm::log(core::f64::consts::TAU * factor) + 1.0) + logs + libm::log(tt));
    // A history of n samples knows the factor as a Student distribution does: its wider tails, by their variance.
    let factor = factor * if dof > 2.0 { dof / (dof - 2.0) } else { 3.0 };
    let explanation = Explanation {
        weight: 0.0,
        drift,
        drift_variance: factor / tt,
        diffusion: factor * process,
        noise: factor * noise,
        level: level + drift * slope,
        level_variance: factor * spread,
    };
    (likelihood, explanation)
}

impl Degradation for Wiener {
    fn name(&self) -> &'static str {
        "wiener"
    }

    fn life(&self, limit: f64) -> Result<Life, Error> {
        self.first_passage(limit)
    }

    fn evidence(&self) -> f64 {
        self.evidence
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{noise::Noise, prognosis::coverage};

    #[test]
    fn first_passage_is_inverse_gaussian() {
        // Inverse Gaussian with mean 2 and shape 8 (drift 1, distance 2, σ² = ½): F(2) = Φ(0) + e^8 Φ(−4).
        let exact = 0.5 + 8.0_f64.exp() * 0.5 * libm::erfc(4.0 / core::f64::consts::SQRT_2);
        assert!((first_passage(2.0, 1.0, 2.0, 0.5_f64.sqrt()) - exact).abs() < 1e-12);
        // With drift away from the limit it is reached with probability e^(2 μ d / σ²) at all.
        let never = first_passage(1e12, -1.0, 2.0, 2.0);
        assert!((never - (-1.0_f64).exp()).abs() < 1e-9, "{never}");
    }

    #[test]
    fn intervals_are_calibrated() {
        // Machines of one kind, each watched for half of its way: the truth has to lie where the quantiles say.
        let mut predictions = Vec::new();
        for seed in 0..200 {
            let mut noise = Noise::new(seed, 2);
            let (mut level, mut history, mut truth) = (0.0_f64, Vec::new(), 0.0);
            let drift = 1.0 + 0.2 * noise.gaussian();
            for step in 0..100_000 {
                if history.len() < 60 {
                    history.push((f64::from(step), level + 0.5 * noise.gaussian()));
                } else if level >= 120.0 {
                    truth = f64::from(step) - 59.0;
                    break;
                }
                level += drift + 0.8 * noise.gaussian();
            }
            predictions.push((Wiener::fit(&history).unwrap().life(120.0).unwrap(), truth));
        }
        let [half, most] = coverage(&predictions, &[0.5, 0.9])[..] else { panic!() };
        assert!((half - 0.5).abs() < 0.09 && (most - 0.9).abs() < 0.06, "{half} {most}");
    }

    #[test]
    fn a_signal_that_falls_reaches_a_lower_limit() {
        let mut noise = Noise::new(1, 3);
        let history: Vec<(f64, f64)> =
            (0..50).map(|k| (f64::from(k), 100.0 - f64::from(k) + noise.gaussian())).collect();
        let wear = Wiener::fit(&history).unwrap();
        let down = wear.life(31.0).unwrap().quantile(0.5);
        assert!((15.0..25.0).contains(&down), "{down}");
        assert!(wear.life(200.0).unwrap().quantile(0.5).is_infinite());
        assert!(wear.life(f64::NAN).is_err());
    }
}
