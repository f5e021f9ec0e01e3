//! From rows in units to rows in deviations of normal operation.
//!
//! A channel's scale is its deviation, but not less than a tenth of its range: rare binaries and spikes must not own it. A channel that
//! holds fewer than twenty independent values in training has no known level; level-based models see it high-passed. Channels with one
//! value are not given a scale: that they move at all is news, by the rule of succession (Laplace, 1814, chapter 3).

use twinguard_types::Timestamp;

use super::curve::autocorrelation_time;

/// Deviations beyond which a value is not taken to be further off.
const FAR: f64 = 30.0;
/// Independent values that make a level known.
const KNOWN: f64 = 20.0;
const WEEK_NS: i64 = 7 * 86_400_000_000_000;
const DAY_NS: i64 = 86_400_000_000_000;

/// What is known of the channels.
#[derive(Clone, Debug, Default)]
pub(super) struct Scales {
    /// Number of columns of a row.
    pub(super) width: usize,
    /// Columns that vary in training.
    pub(super) live: Vec<usize>,
    mean: Vec<f64>,
    inverse: Vec<f64>,
    /// Weight of the high-pass, 0 for none, and one over the deviation of what it leaves.
    pass: Vec<f64>,
    passed: Vec<f64>,
    /// Columns with one value in training, and the value.
    pub(super) constant: Vec<usize>,
    held: Vec<f64>,
    /// Surprise of one constant that moves.
    news: f64,
    calendar: bool,
    /// Live channels that take many values.
    pub(super) continuous: Vec<usize>,
}

crate::archived!(Scales {
    width,
    live,
    mean,
    inverse,
    pass,
    passed,
    constant,
    held,
    news,
    calendar,
    continuous
});

/// The row at hand, in deviations.
#[derive(Clone, Debug)]
pub(super) struct Rows {
    pub(super) z: Vec<f64>,
    /// The same with slow channels high-passed.
    pub(super) slow: Vec<f64>,
    pub(super) missing: Vec<bool>,
    level: Vec<f64>,
    seen: Vec<bool>,
    pub(super) calendar: [f64; 2],
    /// How many constants are away from their value, and the first of them.
    pub(super) strays: usize,
    pub(super) stray: Option<usize>,
    /// Whether slow drifts are followed.
    pub(super) follow: bool,
}

crate::archived!(Rows { z, slow, missing, level, seen, calendar, strays, stray, follow });

/// Training rows in deviations.
#[derive(Clone, Debug)]
pub(super) struct History {
    pub(super) rows: usize,
    pub(super) channels: usize,
    z: Vec<f64>,
    slow: Vec<f64>,
    missing: Vec<bool>,
    calendar: Vec<[f64; 2]>,
}

impl History {
    pub(super) fn of(scales: &Scales, values: &[f64], times: Option<&[Timestamp]>) -> Self {
        let rows = values.len() / scales.width.max(1);
        let channels = scales.live.len();
        let mut history = Self {
            rows,
            channels,
            z: Vec::with_capacity(rows * channels),
            slow: Vec::with_capacity(rows * channels),
            missing: Vec::with_capacity(rows * channels),
            calendar: Vec::with_capacity(rows),
        };
        let mut row = scales.rows();
        for (t, values) in values.chunks_exact(scales.width.max(1)).enumerate() {
            row.step(scales, times.and_then(|times| times.get(t)).copied(), values);
            history.z.extend_from_slice(&row.z);
            history.slow.extend_from_slice(&row.slow);
            history.missing.extend_from_slice(&row.missing);
            history.calendar.push(row.calendar);
        }
        history
    }

    pub(super) fn z(&self, t: usize) -> &[f64] {
        &self.z[t * self.channels..(t + 1) * self.channels]
    }
    pub(super) fn slow(&self, t: usize) -> &[f64] {
        &self.slow[t * self.channels..(t + 1) * self.channels]
    }
    pub(super) fn missing(&self, t: usize) -> &[bool] {
        &self.missing[t * self.channels..(t + 1) * self.channels]
    }
    pub(super) fn calendar(&self, t: usize) -> [f64; 2] {
        self.calendar[t]
    }
}

/// A number whose square still is one.
fn tame(x: f64) -> f64 {
    x.clamp(-1e100, 1e100)
}

impl Scales {
    pub(super) fn fit(values: &[f64], width: usize, times: Option<&[Timestamp]>) -> Self {
        let n = values.len() / width.max(1);
        let mut scales = Self { width, calendar: times.is_some_and(spans_a_week), ..Self::default() };
        for channel in 0..width {
            let column = values.iter().skip(channel).step_by(width);
            let column: Vec<f64> = column.filter(|x| x.is_finite()).map(|x| tame(*x)).collect();
            if column.is_empty() || column.len() * 2 < n {
                continue;
            }
            let count = column.len() as f64;
            let mean = column.iter().sum::<f64>() / count;
            let variance = column.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / count;
            let (low, high) = column.iter().fold((f64::MAX, f64::MIN), |(l, h), x| (l.min(*x), h.max(*x)));
            if high - low <= 1e-9 * (1.0 + mean.abs()) {
                scales.constant.push(channel);
                scales.held.push(mean);
                continue;
            }
            let scale = variance.sqrt().max(0.1 * (high - low));
            let z: Vec<f64> = column.iter().map(|x| (x - mean) / scale).collect();
            let power = z.iter().map(|z| z * z).sum::<f64>() / count;
            let slow = count / autocorrelation_time(&z, 0.0, power) < KNOWN;
            let weight = 1.0 / (count / 10.0).max(20.0);
            let mut passed = 1.0;
            if slow {
                let (mut level, mut sum) = (z[0], 0.0);
                for z in &z {
                    level += weight * (z - level);
                    sum += (z - level) * (z - level);
                }
                passed = 1.0 / (sum / count).sqrt().max(1e-3);
            }
            if takes_many_values(&column) {
                scales.continuous.push(scales.live.len());
            }
            scales.live.push(channel);
            scales.mean.push(mean);
            scales.inverse.push(1.0 / scale);
            scales.pass.push(if slow { weight } else { 0.0 });
            scales.passed.push(passed);
        }
        let constants = scales.constant.len().max(1) as f64;
        scales.news = libm::log10((n as f64 + 1.0) / constants).max(0.5);
        scales
    }

    /// Columns of the calendar: sine and cosine of the hour of day, or none.
    pub(super) fn calendar_width(&self) -> usize {
        if self.calendar { 2 } else { 0 }
    }

    /// Channels whose level is not known.
    pub(super) fn slow(&self) -> usize {
        self.pass.iter().filter(|pass| **pass > 0.0).count()
    }

    /// Share of the channels whose level is known.
    pub(super) fn level_known(&self) -> f64 {
        1.0 - self.slow() as f64 / self.pass.len().max(1) as f64
    }

    pub(super) fn rows(&self) -> Rows {
        let m = self.live.len();
        Rows {
            z: vec![0.0; m],
            slow: vec![0.0; m],
            missing: vec![false; m],
            level: vec![0.0; m],
            seen: vec![false; m],
            calendar: [0.0; 2],
            strays: 0,
            stray: None,
            follow: true,
        }
    }

    pub(super) fn novelty(&self, strays: usize) -> f64 {
        strays as f64 * self.news
    }

    pub(super) fn sound(&self) -> bool {
        let m = self.live.len();
        let columns = |list: &[usize]| list.iter().all(|column| *column < self.width);
        [&self.mean, &self.inverse, &self.pass, &self.passed].iter().all(|list| list.len() == m)
            && self.constant.len() == self.held.len()
            && columns(&self.live)
            && columns(&self.constant)
            && self.continuous.iter().all(|channel| *channel < m)
    }
}

impl Rows {
    pub(super) fn step(&mut self, scales: &Scales, at: Option<Timestamp>, row: &[f64]) {
        let value = |channel: usize| row.get(channel).copied().filter(|x| x.is_finite()).map(tame);
        for (j, channel) in scales.live.iter().enumerate() {
            let x = value(*channel);
            self.missing[j] = x.is_none();
            if let Some(x) = x {
                self.z[j] = ((x - scales.mean[j]) * scales.inverse[j]).clamp(-FAR, FAR);
                if !core::mem::replace(&mut self.seen[j], true) {
                    self.level[j] = self.z[j];
                }
            }
            self.slow[j] = if scales.pass[j] > 0.0 {
                if self.follow {
                    self.level[j] += scales.pass[j] * (self.z[j] - self.level[j]);
                }
                ((self.z[j] - self.level[j]) * scales.passed[j]).clamp(-FAR, FAR)
            } else {
                self.z[j]
            };
        }
        (self.strays, self.stray) = (0, None);
        for (channel, held) in scales.constant.iter().zip(&scales.held) {
            if value(*channel).is_some_and(|x| (x - held).abs() > 1e-6 * (1.0 + held.abs())) {
                self.strays += 1;
                self.stray.get_or_insert(*channel);
            }
        }
        if let (true, Some(at)) = (scales.calendar, at) {
            let part = at.as_nanos().rem_euclid(DAY_NS) as f64 / DAY_NS as f64;
            let angle = core::f64::consts::TAU * part;
            self.calendar = [libm::sin(angle), libm::cos(angle)];
        }
    }

    pub(super) fn fits(&self, scales: &Scales) -> bool {
        let m = scales.live.len();
        [&self.z, &self.slow, &self.level].iter().all(|list| list.len() == m)
            && self.missing.len() == m
            && self.seen.len() == m
            && self.stray.is_none_or(|column| column < scales.width)
    }
}

fn spans_a_week(times: &[Timestamp]) -> bool {
    match (times.first(), times.last()) {
        (Some(first), Some(last)) => last.as_nanos().saturating_sub(first.as_nanos()) >= WEEK_NS,
        _ => false,
    }
}

/// More than ten distinct values.
fn takes_many_values(column: &[f64]) -> bool {
    let mut values: Vec<f64> = Vec::with_capacity(10);
    for x in column {
        if !values.contains(x) {
            if values.len() == 10 {
                return true;
            }
            values.push(*x);
        }
    }
    false
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn prepared(values: &[f64], width: usize) -> (Scales, History) {
        let scales = Scales::fit(values, width, None);
        let history = History::of(&scales, values, None);
        (scales, history)
    }

    /// Uniform between −½ and ½.
    pub(in super::super) fn noise(state: &mut u64) -> f64 {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 33) as f64 / f64::from(1u32 << 31) - 0.5
    }

    #[test]
    fn channels_are_told_apart() {
        let mut state = 1;
        let mut walk = 0.0;
        let rows: Vec<f64> = (0..500)
            .flat_map(|t| {
                walk += noise(&mut state);
                [noise(&mut state), walk, 4.0, f64::from(u8::from(t % 100 == 0)), f64::NAN]
            })
            .collect();
        let (scales, history) = prepared(&rows, 5);
        assert_eq!((scales.live.as_slice(), scales.constant.as_slice()), (&[0, 1, 3][..], &[2][..]));
        assert_eq!((scales.continuous.as_slice(), scales.slow()), (&[0, 1][..], 1), "the walk has no level");
        assert!(scales.sound() && history.rows == 500 && history.channels == 3);
        // a spike of a rare binary is not ten deviations
        assert!(history.z(100)[2] <= 10.0);
        let mut row = scales.rows();
        row.step(&scales, None, &[0.0, 0.0, 5.0]);
        assert_eq!((row.strays, row.stray, row.missing[2]), (1, Some(2), true));
    }

    #[test]
    fn the_calendar_needs_a_week() {
        let hour = |t: i64| Timestamp::from_secs(t * 3600);
        let (short, long): (Vec<_>, Vec<_>) = ((0..100).map(hour).collect(), (0..200).map(hour).collect());
        assert!(!spans_a_week(&short) && spans_a_week(&long));
    }
}
