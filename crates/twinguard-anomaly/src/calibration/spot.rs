//! Peaks over a threshold in a stream: SPOT, and DSPOT for a level that drifts.
//!
//! Source: Siffer, Fouque, Termier, Largouët, *Anomaly Detection in Streams with Extreme Value Theory*, KDD 2017, algorithms 1 to 3. Excesses
//! above a high level t follow a generalised Pareto law (Pickands, Ann. Statist. 3, 1975); with k excursions in n rows the threshold of risk
//! q is z = t + σ/γ·((q·n/k)^−γ − 1). What passes z is an alarm and teaches nothing; what passes t teaches the tail.
//!
//! Three things differ from the paper. The law is fitted by moments (Hosking, Wallis, Technometrics 29, 1987, §2), so a step is O(1) and
//! remembers five numbers. The shape is not taken below 0, and 1/k is added to it, the predictive law of an exponential excess: few
//! excursions widen the limit. Exceedances fewer than `gap` rows apart are one excursion, so q is a rate of alarms, not of rows in alarm.

use crate::Error;

/// What is asked of a [`Spot`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpotConfig {
    /// False alarms per row; 86 400 rows a day and one alarm in ten days make 1/864 000.
    pub risk: f64,
    /// Share of normal rows below the start of the tail.
    pub level: f64,
    /// Rows between which exceedances are one excursion.
    pub gap: u32,
}

impl Default for SpotConfig {
    fn default() -> Self {
        Self { risk: 1e-4, level: 0.98, gap: 1 }
    }
}

/// A threshold that learns.
///
/// ```
/// use twinguard_anomaly::calibration::{Spot, SpotConfig};
/// let normal: Vec<f64> = (0..2000).map(|t| (t * 7919 % 2003) as f64 / 2003.0).collect();
/// let mut spot = Spot::fit(&normal, SpotConfig::default())?;
/// assert!(spot.threshold() > 1.0);
/// assert!(!spot.step(0.7) && spot.step(3.0));
/// # Ok::<(), twinguard_anomaly::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Spot {
    risk: f64,
    gap: u32,
    start: f64,
    rows: f64,
    excursions: f64,
    /// Sums of the excursions' excesses and of their squares.
    sum: f64,
    squares: f64,
    /// Largest excess of the present excursion, and rows since its last exceedance.
    peak: f64,
    since: u32,
    threshold: f64,
}

crate::archived!(Spot { risk, gap, start, rows, excursions, sum, squares, peak, since, threshold });

impl Spot {
    /// Learns from rows of normal operation, in time order; what is not finite is passed over.
    ///
    /// # Errors
    /// [`Error::Setting`] for a risk that is not between 0 and a tenth of the tail's share or a level that is not between 0 and 1;
    /// [`Error::Training`] for fewer than a hundred rows.
    pub fn fit(rows: &[f64], config: SpotConfig) -> Result<Self, Error> {
        let SpotConfig { risk, level, gap } = config;
        if !(level > 0.0 && level < 1.0) {
            return Err(Error::Setting { name: "level", value: level, must: "between 0 and 1" });
        }
        if !(risk > 0.0 && risk <= 0.1 * (1.0 - level)) {
            return Err(Error::Setting {
                name: "risk",
                value: risk,
                must: "between 0 and a tenth of 1 − level",
            });
        }
        let mut sorted: Vec<f64> = rows.iter().copied().filter(|x| x.is_finite()).collect();
        if sorted.len() < 100 {
            return Err(Error::Training { reason: "there must be 100 rows at least", count: sorted.len() });
        }
        sorted.sort_unstable_by(f64::total_cmp);
        let start = sorted[((level * sorted.len() as f64) as usize).min(sorted.len() - 1)];
        let mut spot = Self {
            risk,
            gap: gap.max(1),
            start,
            rows: 0.0,
            excursions: 0.0,
            sum: 0.0,
            squares: 0.0,
            peak: 0.0,
            since: u32::MAX,
            threshold: f64::MAX,
        };
        for x in rows.iter().filter(|x| x.is_finite()) {
            spot.learn(*x);
        }
        spot.settle();
        Ok(spot)
    }

    /// True when the row passes the threshold; otherwise it is learnt from. What is not finite is no row.
    pub fn step(&mut self, x: f64) -> bool {
        if !x.is_finite() {
            return false;
        }
        if x > self.threshold {
            self.since = self.since.saturating_add(1);
            return true;
        }
        if self.learn(x) {
            self.settle();
        }
        false
    }

    /// The present threshold.
    #[must_use]
    pub fn threshold(&self) -> f64 {
        self.threshold
    }

    /// Excursions that the tail was learnt from.
    #[must_use]
    pub fn excursions(&self) -> f64 {
        self.excursions
    }

    /// Counts a normal row; true when the tail has changed.
    fn learn(&mut self, x: f64) -> bool {
        self.rows += 1.0;
        let excess = x - self.start;
        if excess <= 0.0 {
            self.since = self.since.saturating_add(1);
            return false;
        }
        if core::mem::replace(&mut self.since, 0) >= self.gap {
            self.excursions += 1.0;
            self.peak = 0.0;
        }
        if excess <= self.peak {
            return false;
        }
        self.sum += excess - self.peak;
        self.squares += excess * excess - self.peak * self.peak;
        self.peak = excess;
        true
    }

    fn settle(&mut self) {
        let count = self.excursions.max(1.0);
        let mean = (self.sum / count).max(1e-12);
        let variance = (self.squares / count - mean * mean).max(0.0);
        let ratio = if variance > 0.0 { mean * mean / variance } else { 1.0 };
        let fitted = (0.5 * (1.0 - ratio) * count / (count + 100.0)).clamp(0.0, 0.5);
        let (shape, scale) = (fitted + (1.0 / count).min(0.5), mean * (1.0 - fitted));
        let odds = ((count + 1.0) / (self.risk * self.rows)).max(1.0);
        self.threshold = self.start + scale / shape * (libm::pow(odds, shape) - 1.0);
    }
}

/// [`Spot`] on what is left after the mean of the last rows that were normal (algorithm 3).
#[derive(Clone, Debug, PartialEq)]
pub struct Dspot {
    spot: Spot,
    window: Vec<f64>,
    at: usize,
    sum: f64,
}

crate::archived!(Dspot { spot, window, at, sum });

impl Dspot {
    /// Learns from rows of normal operation; `depth` rows make the local mean.
    ///
    /// # Errors
    /// As [`Spot::fit`], and [`Error::Setting`] for a depth of 0.
    pub fn fit(rows: &[f64], depth: usize, config: SpotConfig) -> Result<Self, Error> {
        if depth == 0 || depth > rows.len() {
            return Err(Error::Setting {
                name: "depth",
                value: depth as f64,
                must: "1 to the number of rows",
            });
        }
        let rows: Vec<f64> = rows.iter().copied().filter(|x| x.is_finite()).collect();
        let (first, rest) = rows.split_at(depth.min(rows.len()));
        let mut sum: f64 = first.iter().sum();
        let mut left = Vec::with_capacity(rest.len());
        for (t, x) in rest.iter().enumerate() {
            left.push(x - sum / depth as f64);
            sum += x - rows[t];
        }
        let window = rows[rows.len().saturating_sub(depth)..].to_vec();
        let sum = window.iter().sum();
        Ok(Self { spot: Spot::fit(&left, config)?, window, at: 0, sum })
    }

    /// True when the row passes the threshold above the local mean, which it then does not move.
    pub fn step(&mut self, x: f64) -> bool {
        let depth = self.window.len().max(1);
        if !x.is_finite() || self.spot.step(x - self.sum / depth as f64) {
            return x.is_finite();
        }
        if let Some(oldest) = self.window.get_mut(self.at) {
            self.sum += x - core::mem::replace(oldest, x);
        }
        self.at = if self.at + 1 < depth { self.at + 1 } else { 0 };
        if self.at == 0 {
            // rounding does not add up
            self.sum = self.window.iter().sum();
        }
        false
    }

    /// The present threshold of a row.
    #[must_use]
    pub fn threshold(&self) -> f64 {
        self.spot.threshold() + self.sum / self.window.len().max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;
    use rand_distr::{Distribution, Exp1, StandardNormal};

    use super::*;

    fn normals(seed: u64, n: usize) -> Vec<f64> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        (0..n).map(|_| StandardNormal.sample(&mut rng)).collect()
    }

    #[test]
    fn an_exponential_tail_gives_the_quantile() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let rows: Vec<f64> = (0..100_000).map(|_| Exp1.sample(&mut rng)).collect();
        for risk in [1e-3, 1e-4, 1e-5] {
            let spot = Spot::fit(&rows, SpotConfig { risk, ..SpotConfig::default() }).unwrap();
            let want = -libm::log(risk);
            assert!((spot.threshold() / want - 1.0).abs() < 0.08, "{risk}: {} for {want}", spot.threshold());
        }
    }

    #[test]
    fn the_risk_is_kept_over_many_short_histories() {
        for risk in [2e-3, 1e-3] {
            let mut alarms = 0;
            for seed in 0..300 {
                let mut spot =
                    Spot::fit(&normals(seed, 500), SpotConfig { risk, ..SpotConfig::default() }).unwrap();
                alarms += normals(seed + 5000, 2000).iter().filter(|x| spot.step(**x)).count();
            }
            let got = alarms as f64 / 600_000.0;
            assert!(got <= 2.0 * risk && got >= 0.3 * risk, "{risk}: {got}");
        }
    }

    #[test]
    fn running_sums_are_the_plain_excursions() {
        let rows = normals(3, 3000);
        let config = SpotConfig { risk: 1e-4, level: 0.95, gap: 7 };
        let spot = Spot::fit(&rows, config).unwrap();
        let mut peaks: Vec<f64> = Vec::new();
        let mut last = None;
        for (t, x) in rows.iter().enumerate().filter(|(_, x)| **x > spot.start) {
            let excess = x - spot.start;
            match (last, peaks.last_mut()) {
                (Some(before), Some(peak)) if t - before <= 7 => *peak = peak.max(excess),
                _ => peaks.push(excess),
            }
            last = Some(t);
        }
        assert_eq!(spot.excursions(), peaks.len() as f64);
        assert!((spot.sum - peaks.iter().sum::<f64>()).abs() < 1e-9);
        assert!((spot.squares - peaks.iter().map(|x| x * x).sum::<f64>()).abs() < 1e-9);
    }

    #[test]
    fn a_drift_is_followed_and_a_jump_is_not() {
        let drift = |t: usize, x: f64| x + t as f64 / 200.0;
        let rows: Vec<f64> = normals(5, 4000).iter().enumerate().map(|(t, x)| drift(t, *x)).collect();
        let mut dspot =
            Dspot::fit(&rows[..2000], 50, SpotConfig { risk: 1e-4, ..Default::default() }).unwrap();
        let mut spot = Spot::fit(&rows[..2000], SpotConfig { risk: 1e-4, ..Default::default() }).unwrap();
        let late = rows[2000..].iter().filter(|x| dspot.step(**x)).count();
        assert!(late <= 3, "{late}");
        assert!(rows[2000..].iter().filter(|x| spot.step(**x)).count() > late, "SPOT knows no drift");
        let before = dspot.threshold();
        assert!((0..1000).all(|_| dspot.step(before + 5.0)), "an alarm teaches nothing");
        assert_eq!(dspot.threshold(), before);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let rows = normals(1, 200);
        for config in [
            SpotConfig { risk: 0.0, ..Default::default() },
            SpotConfig { risk: 0.5, ..Default::default() },
            SpotConfig { level: 1.0, ..Default::default() },
            SpotConfig { risk: f64::NAN, ..Default::default() },
        ] {
            assert!(Spot::fit(&rows, config).is_err());
        }
        assert!(Spot::fit(&rows[..50], SpotConfig::default()).is_err());
        assert!(Spot::fit(&[f64::NAN; 500], SpotConfig::default()).is_err());
        let mut flat = Spot::fit(&[1.0; 500], SpotConfig::default()).unwrap();
        assert!(!flat.step(1.0) && !flat.step(f64::NAN) && flat.step(2.0));
    }
}
