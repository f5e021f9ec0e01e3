//! From a statistic to its surprise: the law of a statistic under normal operation, learnt.
//!
//! Up to a high quantile the empirical law is used; beyond it the excesses of independent excursions follow a
//! generalised Pareto law (Pickands 1975; Coles, *An Introduction to Statistical Modeling of Extreme Values*, ch. 4).
//! Its shape is estimated by L-moments (Hosking, Wallis, Technometrics 29, 1987), shrunk towards 0 and never taken
//! below it: a light tail is treated as exponential, which errs on the quiet side. With n excursions the predictive law of
//! an exponential excess is Pareto with shape 1/n, so 1/n (at most ½) is added: few samples cannot support a small p.

use crate::archived;

const LN_10: f64 = core::f64::consts::LN_10;
/// Fewer samples than this support no statement.
const LEAST_SAMPLES: usize = 30;
/// Excursions wanted above the start of the tail.
const WANTED: usize = 50;

/// The upper tail of one statistic.
///
/// ```
/// use twinguard_anomaly::Tail;
/// let samples: Vec<f64> = (0..2000).map(|k| (k * 7919 % 2000) as f64 / 2000.0).collect();
/// let tail = Tail::fit(&samples, 1, 1e-6);
/// assert!(tail.surprise(0.2) < 0.3 && (tail.surprise(0.9) - 1.0).abs() < 0.05);
/// assert!(tail.surprise(5.0) > 3.0);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tail {
    samples: usize,
    excursions: usize,
    knots: Vec<(f64, f64)>,
    scale: f64,
    shape: f64,
}

archived!(Tail { samples, excursions, knots, scale, shape });

impl Tail {
    /// Learns the tail from samples in the order of time. Exceedances less than `gap` samples apart, or less than twice the
    /// statistic's own memory, are one excursion: a level that is held for an hour is one witness, not many.
    /// `floor` is the least scale of the tail, in the statistic's unit: what is known of its resolution.
    #[must_use]
    pub fn fit(samples: &[f64], gap: usize, floor: f64) -> Self {
        let mut sorted: Vec<f64> = samples.iter().copied().filter(|value| value.is_finite()).collect();
        let n = sorted.len();
        if n < LEAST_SAMPLES {
            return Self { samples: n, ..Self::default() };
        }
        let middle = n / 2;
        sorted.select_nth_unstable_by(middle, f64::total_cmp);
        sorted[middle..].sort_unstable_by(f64::total_cmp);
        let level = |p: f64| sorted[(((1.0 - p) * n as f64) as usize).clamp(middle, n - 1)];
        let gap = gap.max(2 * dwell(samples, level(0.01)));
        let mut best: Option<(f64, Vec<f64>)> = None;
        for p in [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2] {
            let peaks = excursions(samples, level(p), gap);
            let enough = peaks.len() >= WANTED;
            if best.as_ref().is_none_or(|(_, most)| peaks.len() > most.len()) {
                best = Some((p, peaks));
            }
            if enough {
                break;
            }
        }
        let (start, mut peaks) = best.unwrap_or((0.2, Vec::new()));
        let start_level = level(start);
        let mut knots = vec![(sorted[middle], 0.0)];
        for p in [0.3, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005] {
            if p > start {
                knots.push((level(p), -libm::log10(p)));
            }
        }
        // the share that is truly above, ties left out
        let above = n - sorted[middle..].partition_point(|value| *value <= start_level) - middle;
        let share = (above as f64 + 0.5) / (n as f64 + 1.0);
        knots.push((start_level, -libm::log10(share.min(0.5))));
        let excursions = peaks.len();
        peaks.sort_unstable_by(f64::total_cmp);
        let (scale, shape) = pareto(&peaks, floor);
        Self { samples: n, excursions, knots, scale, shape }
    }

    /// A tail that is assumed, not learnt: exponential beyond 0 with this scale.
    #[must_use]
    pub fn assumed(scale: f64) -> Self {
        Self { samples: 0, excursions: 0, knots: vec![(0.0, 0.0)], scale: scale.max(1e-300), shape: 0.02 }
    }

    /// −log₁₀ of the probability of a value at least this large; never negative, finite. Without enough samples 0.
    #[must_use]
    pub fn surprise(&self, value: f64) -> f64 {
        let Some(&(start, base)) = self.knots.last() else { return 0.0 };
        if !value.is_finite() {
            return 0.0;
        }
        if value > start {
            return base + libm::log1p(self.shape * (value - start) / self.scale) / (self.shape * LN_10);
        }
        let place = self.knots.partition_point(|(level, _)| *level < value);
        match (place.checked_sub(1).and_then(|below| self.knots.get(below)), self.knots.get(place)) {
            (Some(&(x0, s0)), Some(&(x1, s1))) => s0 + (s1 - s0) * (value - x0) / (x1 - x0),
            _ => 0.0,
        }
    }

    /// The value whose surprise is this, beyond the start of the tail; a bound for detectors with memory.
    #[must_use]
    pub fn level(&self, surprise: f64) -> f64 {
        let Some(&(start, base)) = self.knots.last() else { return f64::MAX };
        start + self.scale * libm::expm1(self.shape * LN_10 * (surprise - base).max(0.0)) / self.shape
    }

    /// Number of samples behind it.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// Number of independent excursions behind the tail beyond the empirical part.
    #[must_use]
    pub fn excursions(&self) -> usize {
        self.excursions
    }

    /// Whether it can say anything.
    #[must_use]
    pub fn speaks(&self) -> bool {
        !self.knots.is_empty()
    }
}

/// Samples (a power of two) until the autocorrelation of a column falls below 1/e.
pub(crate) fn memory(column: &[f64], mean: f64, deviation: f64) -> usize {
    let mut lag = 1;
    while lag < column.len() / 2 {
        let pairs = column.iter().zip(&column[lag..]);
        let sum: f64 = pairs.map(|(a, b)| (a - mean) * (b - mean)).sum();
        if sum / ((column.len() - lag) as f64) < 0.37 * deviation * deviation {
            break;
        }
        lag *= 2;
    }
    lag
}

/// The memory of a statistic, its peaks cut.
fn dwell(samples: &[f64], high: f64) -> usize {
    let cut: Vec<f64> =
        samples.iter().filter(|value| value.is_finite()).map(|value| value.min(high)).collect();
    let n = cut.len().max(1) as f64;
    let mean = cut.iter().sum::<f64>() / n;
    let square = cut.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / n;
    if square > 0.0 { memory(&cut, mean, square.sqrt()) } else { 1 }
}

/// Largest excess of each excursion above the level.
fn excursions(samples: &[f64], level: f64, gap: usize) -> Vec<f64> {
    let mut peaks: Vec<f64> = Vec::new();
    let mut last: Option<usize> = None;
    for (place, value) in samples.iter().enumerate() {
        if !value.is_finite() || *value <= level {
            continue;
        }
        let excess = value - level;
        match (last, peaks.last_mut()) {
            (Some(before), Some(peak)) if place - before < gap.max(1) => *peak = peak.max(excess),
            _ => peaks.push(excess),
        }
        last = Some(place);
    }
    peaks
}

/// Scale and shape of the excesses, sorted ascending.
fn pareto(peaks: &[f64], floor: f64) -> (f64, f64) {
    let n = peaks.len();
    if n == 0 {
        return (floor.max(1e-12), 0.5);
    }
    let count = n as f64;
    let mean = peaks.iter().sum::<f64>() / count;
    let mut shape = 0.0;
    if n >= 10 && mean > 0.0 {
        let b1 = peaks.iter().enumerate().map(|(j, x)| j as f64 / (count - 1.0) * x).sum::<f64>() / count;
        let l2 = 2.0 * b1 - mean;
        if l2 > 0.0 {
            shape = ((2.0 - mean / l2) * count / (count + 100.0)).clamp(0.0, 0.5);
        }
    }
    ((mean * (1.0 - shape)).max(floor).max(1e-12), shape + (1.0 / count).min(0.5))
}

/// How often something that should not happen happens: events per day with a prior that says "never, until seen".
///
/// Gamma prior with shape 10⁻⁴ over a tenth of a day: after any quiet history the rate is about once in ten years, and the
/// first event in the history makes it what the history says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rare {
    per_day: f64,
}

archived!(Rare { per_day });

impl Rare {
    /// The rate after `count` events in `days` of normal operation.
    #[must_use]
    pub fn new(count: usize, days: f64) -> Self {
        Self { per_day: (count as f64 + 1e-4) / (days.max(0.0) + 0.1) }
    }

    /// Expected events per day.
    #[must_use]
    pub fn per_day(&self) -> f64 {
        self.per_day
    }

    /// Surprise of one such event among `per_day` looks a day.
    #[must_use]
    pub fn surprise(&self, looks_per_day: f64) -> f64 {
        -libm::log10((self.per_day / looks_per_day.max(1.0)).clamp(1e-16, 1.0))
    }
}

/// A burst of rare events: CUSUM of the log-likelihood ratio of `FACTOR` times the normal rate (Lorden 1971). The
/// probability under normal operation that it reaches g is at most e^−g (Lundberg's inequality), so g / ln 10 is a surprise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Burst {
    per_nano: f64,
    sum: f64,
    last: Option<twinguard_types::Timestamp>,
    since: Option<twinguard_types::Timestamp>,
}

archived!(Burst { per_nano, sum, last, since });

impl Burst {
    const FACTOR: f64 = 30.0;

    pub(crate) fn new(rate: Rare) -> Self {
        Self { per_nano: rate.per_day() / 86_400e9, sum: 0.0, last: None, since: None }
    }

    /// One event; its surprise and when the burst began.
    pub(crate) fn hit(&mut self, at: twinguard_types::Timestamp) -> (f64, twinguard_types::Timestamp) {
        if let Some(last) = self.last {
            let nanos = at.since(last).as_nanos().max(0) as f64;
            self.sum = (self.sum - (Self::FACTOR - 1.0) * self.per_nano * nanos).max(0.0);
        }
        self.last = Some(at);
        if self.sum == 0.0 {
            self.since = Some(at);
        }
        self.sum = (self.sum + libm::log(Self::FACTOR)).min(60.0);
        (self.sum / LN_10, self.since.unwrap_or(at))
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;
    use rand_distr::{Distribution, Exp1, StandardNormal};

    use super::*;

    #[test]
    fn an_exponential_tail_is_recovered_beyond_the_sample() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let samples: Vec<f64> = (0..20_000).map(|_| Exp1.sample(&mut rng)).collect();
        let tail = Tail::fit(&samples, 1, 1e-9);
        for decades in [2.0, 4.0, 6.0, 8.0] {
            let got = tail.surprise(decades * LN_10);
            assert!((0.6 * decades..1.1 * decades).contains(&got), "{decades} decades: {got}");
            assert!((tail.surprise(tail.level(8.0)) - 8.0).abs() < 1e-9);
        }
    }

    #[test]
    fn a_gaussian_never_claims_more_than_it_is() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        for n in [100, 1000, 50_000] {
            let samples: Vec<f64> = (0..n)
                .map(|_| {
                    let x: f64 = StandardNormal.sample(&mut rng);
                    x.abs()
                })
                .collect();
            let tail = Tail::fit(&samples, 1, 1e-9);
            // P(|x| > 6) = 2e-9
            assert!(tail.surprise(6.0) < 8.7, "n {n}: {}", tail.surprise(6.0));
        }
    }

    #[test]
    fn few_or_equal_samples_claim_little() {
        assert_eq!(Tail::fit(&[1.0; 10], 1, 1.0).surprise(1e9), 0.0);
        let flat = Tail::fit(&[0.0; 1000], 1, 1.0);
        assert_eq!(flat.surprise(0.0), 0.0);
        assert!(flat.surprise(10.0) < 6.0);
        assert_eq!(flat.surprise(f64::NAN), 0.0);
    }

    #[test]
    fn surprise_never_falls_as_the_value_grows() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let samples: Vec<f64> = (0..3000).map(|_| StandardNormal.sample(&mut rng)).collect();
        let tail = Tail::fit(&samples, 5, 1e-9);
        let mut last = 0.0;
        for k in -50..200 {
            let now = tail.surprise(f64::from(k) * 0.1);
            assert!(now >= last, "at {k}");
            last = now;
        }
    }

    #[test]
    fn rare_events_follow_the_history() {
        assert!(Rare::new(0, 0.25).per_day() < 1e-3);
        assert!(Rare::new(3, 0.25).per_day() > 5.0);
    }
}
