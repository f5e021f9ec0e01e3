//! History in memory, and what each signal did in it.
//!
//! Sources: noise from second differences, Gasser, Sroka, Jennen-Steinmetz, Biometrika 73 (1986), eq. 2.1, with the median absolute value in
//! place of the mean square (Hampel 1974: 0.6745 σ), so that jumps do not count.

use std::io::Read;

use twinguard_twin::importers::Telemetry;
use twinguard_types::{Duration, Timestamp};

use crate::Error;

/// Values that are kept; a longer history is thinned to every second row, again and again.
const VALUES: usize = 32_000_000;
/// Different values of a signal that are counted.
const LEVELS: usize = 12;

/// Rows of history, by column. What is missing is NaN.
#[derive(Clone, Debug, Default)]
pub(super) struct Series {
    pub(super) names: Vec<String>,
    pub(super) times: Vec<Timestamp>,
    pub(super) columns: Vec<Vec<f64>>,
    /// Rows in the file, and those that were passed over.
    pub(super) rows: u64,
    pub(super) skipped: u64,
    /// Every how many rows one was kept.
    pub(super) stride: u64,
    pub(super) has_times: bool,
    /// The usual time between rows of the file, and how often it was five times longer, nothing, or backwards.
    pub(super) period: Duration,
    pub(super) holes: u64,
    pub(super) repeated: u64,
    pub(super) backwards: u64,
}

impl Series {
    pub(super) fn read<R: Read>(
        telemetry: &mut Telemetry<R>,
        mut progress: impl FnMut(u64),
    ) -> Result<Self, Error> {
        let names: Vec<String> =
            telemetry.signals().map(|id| telemetry.catalogue().path(id).to_owned()).collect();
        let mut series = Self {
            columns: vec![Vec::new(); names.len()],
            names,
            stride: 1,
            has_times: telemetry.has_times(),
            ..Self::default()
        };
        let (mut intervals, mut before) = (Vec::new(), None::<Timestamp>);
        while let Some(row) = telemetry.next_row()? {
            let at = row.at;
            if let Some(before) = before {
                let interval = at.since(before).as_nanos();
                series.backwards += u64::from(interval < 0);
                series.repeated += u64::from(interval == 0);
                if interval > 0 {
                    intervals.push(interval);
                }
            }
            before = Some(at);
            if series.rows.is_multiple_of(series.stride) {
                series.times.push(at);
                for (column, point) in series.columns.iter_mut().zip(row.points) {
                    column.push(if point.quality.is_usable() { point.value.as_f64() } else { f64::NAN });
                }
            }
            series.rows += 1;
            if series.times.len() * series.columns.len() > VALUES {
                series.thin();
            }
            progress(series.rows);
        }
        series.skipped = telemetry.skipped();
        if !intervals.is_empty() {
            let middle = intervals.len() / 2;
            let (_, median, _) = intervals.select_nth_unstable(middle);
            let median = *median;
            series.holes = intervals.iter().filter(|interval| **interval > 5 * median).count() as u64;
            series.period = Duration::from_nanos(median);
        }
        Ok(series)
    }

    fn thin(&mut self) {
        let every_second = |at: &mut usize| {
            *at += 1;
            *at % 2 == 1
        };
        let mut at = 0;
        self.times.retain(|_| every_second(&mut at));
        for column in &mut self.columns {
            let mut at = 0;
            column.retain(|_| every_second(&mut at));
        }
        self.stride = self.stride.saturating_mul(2);
    }

    /// Time from the first row to the last.
    pub(super) fn span(&self) -> Duration {
        match (self.times.first(), self.times.last()) {
            (Some(first), Some(last)) => last.since(*first),
            _ => Duration::ZERO,
        }
    }
}

/// How a signal moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// Never a number: text, or nothing.
    #[default]
    Silent,
    /// One value throughout.
    Constant,
    /// Two values.
    Binary,
    /// A few values.
    Levels,
    /// It never falls but for a start from the beginning: a meter that adds up, a clock.
    Counter,
    /// Everything else.
    Continuous,
}

/// What a signal did in a stretch of history.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Profile {
    /// Usable values.
    pub usable: u64,
    /// Rows.
    pub rows: u64,
    /// How it moves.
    pub shape: Shape,
    /// Its values, where there are at most twelve.
    pub levels: Vec<f64>,
    /// Least value.
    pub least: f64,
    /// Greatest value.
    pub most: f64,
    /// A thousandth of the values lie below, and above.
    pub usual: (f64, f64),
    /// Mean.
    pub mean: f64,
    /// Standard deviation.
    pub deviation: f64,
    /// Standard deviation of what changes from row to row without order; 0 where it cannot be told.
    pub noise: f64,
}

impl Profile {
    pub(super) fn of(values: &[f64]) -> Self {
        let mut sorted: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
        let mut profile = Self { usable: sorted.len() as u64, rows: values.len() as u64, ..Self::default() };
        sorted.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let place = (share * sorted.len().saturating_sub(1) as f64).round() as usize;
            sorted.get(place).copied().unwrap_or_default()
        };
        let (Some(least), Some(most)) = (sorted.first().copied(), sorted.last().copied()) else {
            return profile;
        };
        (profile.least, profile.most, profile.usual) = (least, most, (at(0.001), at(0.999)));
        let count = sorted.len() as f64;
        // Halves, so that the greatest numbers do not overflow.
        profile.mean = sorted.iter().map(|value| value / count).sum();
        let square = sorted.iter().map(|value| (value - profile.mean).powi(2) / count).sum::<f64>();
        profile.deviation = square.sqrt();
        let mut levels = sorted.clone();
        levels.dedup();
        profile.shape = match levels.len() {
            1 => Shape::Constant,
            2 => Shape::Binary,
            few if few <= LEVELS && sorted.len() >= 20 * few => Shape::Levels,
            _ if counts_up(values) => Shape::Counter,
            _ => Shape::Continuous,
        };
        if levels.len() <= LEVELS {
            profile.levels = levels;
        }
        if profile.shape == Shape::Continuous {
            profile.noise = noise(values).min(profile.deviation);
        }
        if !(profile.mean.is_finite() && profile.deviation.is_finite()) {
            // Numbers whose squares no number holds are no measurements.
            profile = Self { usable: 0, rows: profile.rows, ..Self::default() };
        }
        profile
    }

    /// Whether it moved at all.
    #[must_use]
    pub const fn moves(&self) -> bool {
        !matches!(self.shape, Shape::Silent | Shape::Constant)
    }

    /// Share of rows without a usable value.
    #[must_use]
    pub fn missing(&self) -> f64 {
        if self.rows == 0 { 0.0 } else { 1.0 - self.usable as f64 / self.rows as f64 }
    }
}

/// Whether a series rises but for rare starts from the beginning.
fn counts_up(values: &[f64]) -> bool {
    let (mut up, mut down, mut before) = (0_u64, 0_u64, f64::NAN);
    for value in values.iter().filter(|value| value.is_finite()) {
        up += u64::from(*value > before);
        down += u64::from(*value < before);
        before = *value;
    }
    up >= 20 && down * 500 <= up
}

fn noise(values: &[f64]) -> f64 {
    let second = |three: &[f64]| match three {
        [a, b, c] => (a - 2.0 * b + c).abs(),
        _ => f64::NAN,
    };
    let mut sizes: Vec<f64> = values.windows(3).map(second).filter(|size| size.is_finite()).collect();
    if sizes.is_empty() {
        return 0.0;
    }
    let middle = sizes.len() / 2;
    let (_, median, _) = sizes.select_nth_unstable_by(middle, f64::total_cmp);
    *median / 0.674_5 / 6.0_f64.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_told_apart() {
        let shape = |values: &[f64]| Profile::of(values).shape;
        assert_eq!(shape(&[]), Shape::Silent);
        assert_eq!(shape(&[f64::NAN]), Shape::Silent);
        assert_eq!(shape(&[1.0, f64::NAN, 1.0]), Shape::Constant);
        assert_eq!(shape(&[0.0, 1.0, 1.0]), Shape::Binary);
        let levels: Vec<f64> = (0..200).map(|at| f64::from(at % 4)).collect();
        assert_eq!(shape(&levels), Shape::Levels);
        let counter: Vec<f64> = (0..200).map(f64::from).collect();
        assert_eq!(shape(&counter), Shape::Counter);
        let wave: Vec<f64> = (0..2000).map(|at| (f64::from(at) / 50.0).sin()).collect();
        assert_eq!(shape(&wave), Shape::Continuous);
        assert_eq!(Profile::of(&[f64::MAX, -f64::MAX, f64::MAX]).usable, 0);
    }

    #[test]
    fn noise_is_what_has_no_order() {
        let mut state = 1_u32;
        let mut chance = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from(state >> 8) / f64::from(1 << 24) - 0.5
        };
        let values: Vec<f64> =
            (0..20_000).map(|at| 50.0 + 10.0 * (f64::from(at) / 500.0).sin() + chance()).collect();
        // The deviation of even noise of width 1; its second differences are not normal, which costs a tenth.
        let expected = (1.0_f64 / 12.0).sqrt();
        let noise = Profile::of(&values).noise;
        assert!((noise / expected - 1.0).abs() < 0.15, "{noise} {expected}");
    }
}
