//! Innovations of a model that is wrong by a few per cent, made comparable with noise.
//!
//! Per channel: d = ν − offset, v = d − ρ·d₋₁ (first-order autocorrelation), both learnt on normal history, divided by the
//! learnt deviation, minus a slow mean: the local level of Harvey (*Forecasting, Structural Time Series Models and the Kalman
//! Filter*, 1989, §4.1), which follows by at most 1 σ per 1000 samples and never beyond 1 σ. Where a model is wrong depends on the
//! operating point, so after silence the level is known less and follows faster, at a start within some ten samples, and where the plant
//! runs as it did not in the history a deviation is taken as much smaller as [`Regime`] says. The joint
//! form factors the learnt covariance of v. Without offset and autocorrelation a χ² of a model that is off by
//! 5 % means nothing. When it lies: a history whose residuals were under attack; a cold start (its first per cent is left out).

use twinguard_types::{Residual, SignalId, Timestamp};

use crate::{Archive, Error, History, Reader, Writer, archived, linalg, regime::Regime};

/// Per-channel and joint whitening of residuals.
#[derive(Clone, Debug)]
pub(crate) struct Whitener {
    pub(crate) signals: Vec<SignalId>,
    offset: Vec<f64>,
    rho: Vec<f64>,
    sigma: Vec<f64>,
    covariance: Vec<f64>,
    factor: Vec<f64>,
    factored_for: Vec<bool>,
    factored: bool,
    last: Vec<Option<f64>>,
    last_at: Option<Timestamp>,
    gap_nanos: i64,
    level: Level,
    regime: Regime,
    /// Standardised value of each channel now.
    pub(crate) standard: Vec<f64>,
    /// Which channels took part.
    pub(crate) present: Vec<bool>,
    joint: Vec<f64>,
}

archived!(Whitener {
    signals,
    offset,
    rho,
    sigma,
    covariance,
    factor,
    factored_for,
    factored,
    last,
    last_at,
    gap_nanos,
    level,
    regime,
    standard,
    present,
    joint,
});

/// Samples missed in a row that break a run.
const GAP: i64 = 5;
/// Time constant of the slow mean, samples.
const DRIFT: f64 = 1000.0;
/// Variance of the slow mean where nothing is known of it, in squared deviations: half a deviation.
const UNKNOWN: f64 = 0.25;

/// The slow mean of each channel and its variance, in deviations.
#[derive(Clone, Debug)]
struct Level {
    mean: Vec<f64>,
    variance: Vec<f64>,
}

impl Level {
    fn unknown(channels: usize) -> Self {
        Self { mean: vec![0.0; channels], variance: vec![UNKNOWN; channels] }
    }

    /// Time passes: the mean is known less.
    fn wait(&mut self, place: usize, steps: f64) {
        self.variance[place] = (self.variance[place] + steps / (DRIFT * DRIFT)).min(UNKNOWN);
    }

    /// The distance of a value from the mean, which then follows.
    fn follow(&mut self, place: usize, value: f64) -> f64 {
        self.wait(place, 1.0);
        let distance = value - self.mean[place];
        let gain = self.variance[place] / (self.variance[place] + 1.0);
        self.mean[place] = (self.mean[place] + gain * distance.clamp(-1.0, 1.0)).clamp(-1.0, 1.0);
        self.variance[place] *= 1.0 - gain;
        distance
    }
}

impl Archive for Level {
    fn save(&self, writer: &mut Writer) {
        self.mean.save(writer);
        self.variance.save(writer);
    }
    fn load(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let mean = Vec::<f64>::load(reader)?;
        // Before version 2 the mean followed at one pace, however long it was known.
        let variance =
            if reader.version() < 2 { vec![1.0 / DRIFT; mean.len()] } else { Archive::load(reader)? };
        Ok(Self { mean, variance })
    }
}

impl Whitener {
    /// Learns; `None` with fewer than 200 residuals.
    pub(crate) fn fit(history: &History<'_>) -> Option<Self> {
        let count = history.residuals().count();
        if count < 200 {
            return None;
        }
        let skip = (count / 100).clamp(30, 300);
        let mut signals: Vec<SignalId> = Vec::new();
        for residual in history.residuals().skip(skip) {
            for signal in residual.signals {
                if let Err(place) = signals.binary_search(signal) {
                    signals.insert(place, *signal);
                }
            }
        }
        let n = signals.len();
        let mut columns: Vec<Vec<f64>> = vec![Vec::with_capacity(count); n];
        let mut last_at: Option<Timestamp> = None;
        let mut steps: Vec<i64> = Vec::new();
        for residual in history.residuals().skip(skip) {
            columns.iter_mut().for_each(|column| column.push(f64::NAN));
            for (signal, value) in residual.signals.iter().zip(residual.innovation) {
                if let (Ok(place), true) = (signals.binary_search(signal), value.is_finite())
                    && let Some(slot) = columns[place].last_mut()
                {
                    *slot = value.clamp(-1e100, 1e100);
                }
            }
            if let Some(last_at) = last_at {
                steps.push((residual.at - last_at).as_nanos());
            }
            last_at = Some(residual.at);
        }
        steps.sort_unstable();
        let step = steps.get(steps.len() / 2).copied().unwrap_or(1_000_000_000);
        let (mut offset, mut rho, mut sigma) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
        for (place, column) in columns.iter_mut().enumerate() {
            let (mean, deviation) = clipped_moments(column);
            offset[place] = mean;
            let (mut product, mut square) = (0.0, 0.0);
            let clip = |value: f64| (value - mean).clamp(-6.0 * deviation, 6.0 * deviation);
            for pair in column.windows(2) {
                if pair[0].is_finite() && pair[1].is_finite() {
                    product += clip(pair[0]) * clip(pair[1]);
                    square += clip(pair[0]) * clip(pair[0]);
                }
            }
            rho[place] = if square > 0.0 { (product / square).clamp(-0.5, 0.98) } else { 0.0 };
            let mut before = f64::NAN;
            for value in column.iter_mut() {
                let centred = *value - mean;
                *value = if before.is_finite() { centred - rho[place] * before } else { centred };
                before = centred;
            }
            sigma[place] = clipped_moments(column).1;
        }
        let mut covariance = vec![0.0; n * n];
        for row in 0..n {
            for column in 0..=row {
                let (mut sum, mut seen) = (0.0, 0.0);
                for (a, b) in columns[row].iter().zip(&columns[column]) {
                    if a.is_finite() && b.is_finite() && sigma[row] > 0.0 && sigma[column] > 0.0 {
                        sum += (a / sigma[row]).clamp(-6.0, 6.0) * (b / sigma[column]).clamp(-6.0, 6.0);
                        seen += 1.0;
                    }
                }
                let mut value: f64 = if seen > 50.0 { sum / seen } else { 0.0 };
                if row == column {
                    // a ridge, so that redundant channels cannot make a tiny pivot speak loudly
                    value = value.max(1.0) + 0.02;
                }
                covariance[row * n + column] = value;
                covariance[column * n + row] = value;
            }
        }
        Some(Self {
            offset,
            rho,
            sigma,
            covariance,
            factor: vec![0.0; n * n],
            factored_for: vec![false; n],
            factored: false,
            last: vec![None; n],
            last_at: None,
            gap_nanos: step.saturating_mul(GAP),
            level: Level::unknown(n),
            regime: Regime::fit(history.residuals().skip(skip), &signals),
            standard: vec![0.0; n],
            present: vec![false; n],
            joint: vec![0.0; n],
            signals,
        })
    }

    /// Takes a residual; afterwards `standard` and `present` hold.
    pub(crate) fn step(&mut self, residual: &Residual<'_>) {
        let silence = self.last_at.map_or(0, |last| (residual.at - last).as_nanos());
        if silence > self.gap_nanos {
            self.last.iter_mut().for_each(|last| *last = None);
            self.regime.break_off();
            let steps = GAP as f64 * silence as f64 / self.gap_nanos as f64;
            (0..self.signals.len()).for_each(|place| self.level.wait(place, steps));
        }
        self.last_at = Some(residual.at);
        self.present.iter_mut().for_each(|present| *present = false);
        self.regime.step(residual, &self.signals);
        for (signal, value) in residual.signals.iter().zip(residual.innovation) {
            let Ok(place) = self.signals.binary_search(signal) else { continue };
            if !value.is_finite() || self.sigma[place] <= 1e-12 {
                continue;
            }
            let centred = value.clamp(-1e100, 1e100) - self.offset[place];
            let centred = self.regime.beyond(place, centred);
            // the first of a run has no predecessor, hence another law: it only starts the run
            let Some(last) = self.last[place].replace(centred) else { continue };
            let white = centred - self.rho[place] * last;
            let standard = self.level.follow(place, white / self.sigma[place]);
            self.standard[place] = standard.clamp(-1e6, 1e6);
            self.present[place] = true;
        }
        for place in 0..self.signals.len() {
            if !residual.signals.contains(&self.signals[place]) {
                self.last[place] = None;
                self.level.wait(place, 1.0);
            }
        }
    }

    /// How far the value lies above the slow mean and above what the history was like, and how far below both: a plant that goes
    /// back to where it was learnt is no news.
    pub(crate) fn sides(&self, place: usize) -> [f64; 2] {
        let (standard, level) = (self.standard[place], self.level.mean[place]);
        [standard + level.min(0.0), -standard - level.max(0.0)]
    }

    /// Takes over the slow mean of another run of the same law, so that running on starts where learning ended, and by its time
    /// knows how long ago that was.
    pub(crate) fn follow(&mut self, runner: &Self) {
        self.level.clone_from(&runner.level);
        self.last_at = runner.last_at;
    }

    /// The model is another: where its slow mean lies is not known.
    pub(crate) fn start_anew(&mut self) {
        self.level = Level::unknown(self.signals.len());
        self.last.fill(None);
        self.regime.break_off();
    }

    /// Squared length of the jointly whitened innovation and its degrees of freedom.
    pub(crate) fn squared(&mut self) -> (f64, usize) {
        let n = self.signals.len();
        let m = self.present.iter().filter(|present| **present).count();
        if !self.factored || self.factored_for != self.present {
            self.factored = true;
            let chosen = || (0..n).filter(|place| self.present[*place]);
            for (row, from) in chosen().enumerate() {
                for (column, to) in chosen().enumerate() {
                    self.factor[row * m + column] = self.covariance[from * n + to];
                }
            }
            linalg::cholesky(&mut self.factor, m, 0.02);
            self.factored_for.copy_from_slice(&self.present);
        }
        let mut used = 0;
        for place in 0..n {
            if self.present[place] {
                self.joint[used] = self.standard[place];
                used += 1;
            }
        }
        linalg::forward(&self.factor, m, &mut self.joint[..m]);
        (self.joint[..m].iter().map(|z| z * z).sum(), m)
    }
}

/// Mean and deviation with values beyond 6 deviations pulled in, twice; NaN entries are gaps.
pub(crate) fn clipped_moments(values: &[f64]) -> (f64, f64) {
    let (mut low, mut high) = (f64::NEG_INFINITY, f64::INFINITY);
    let (mut mean, mut deviation) = (0.0, 0.0);
    for _ in 0..3 {
        let (mut count, mut sum) = (0.0, 0.0);
        for value in values.iter().filter(|value| value.is_finite()) {
            sum += value.clamp(low, high);
            count += 1.0;
        }
        if count == 0.0 {
            return (0.0, 0.0);
        }
        mean = sum / count;
        let mut square = 0.0;
        for value in values.iter().filter(|value| value.is_finite()) {
            let centred = value.clamp(low, high) - mean;
            square += centred * centred;
        }
        deviation = (square / count).sqrt();
        (low, high) = (mean - 6.0 * deviation, mean + 6.0 * deviation);
    }
    (mean, deviation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slow_mean_is_found_at_once_and_then_kept() {
        let mut level = Level::unknown(1);
        for step in 0..60 {
            level.follow(0, 0.6 + if step % 2 == 0 { 0.3 } else { -0.3 });
        }
        assert!((level.mean[0] - 0.6).abs() < 0.1, "{}", level.mean[0]);
        for _ in 0..5_000 {
            level.follow(0, 0.6);
        }
        let before = level.mean[0];
        level.follow(0, 1.6);
        let gain = level.mean[0] - before;
        assert!((gain * DRIFT - 1.0).abs() < 0.05, "a thousandth of what is new: {gain}");
        level.wait(0, 1e9);
        assert!(level.variance[0] <= UNKNOWN);
    }

    #[test]
    fn a_slow_mean_of_version_1_is_read() {
        let mut writer = Writer::new();
        vec![0.25, -0.5].save(&mut writer);
        let bytes = writer.finish();
        let mut reader = Reader::new(&bytes);
        reader.set_version(1);
        let level = Level::load(&mut reader).unwrap();
        assert_eq!((level.mean, level.variance), (vec![0.25, -0.5], vec![1.0 / DRIFT; 2]));
        reader.end().unwrap();
    }
}
