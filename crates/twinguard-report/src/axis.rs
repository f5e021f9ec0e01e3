//! Axes: round ticks, ranges that start where the data asks, time steps that people count in.

use crate::number;

/// A value axis.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ValueAxis {
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) ticks: Vec<f64>,
    pub(crate) decimals: usize,
}

impl ValueAxis {
    /// An axis that holds `low` to `high` with some air and about `wanted` steps. An empty or single-valued range is
    /// widened, never refused.
    pub(crate) fn new(low: f64, high: f64, from_zero: bool, wanted: f64) -> Self {
        let (mut low, mut high) = if low.is_finite() && high.is_finite() && low <= high {
            (low.max(-1e300), high.min(1e300))
        } else {
            (0.0, 1.0)
        };
        if high - low <= low.abs().max(high.abs()) * 1e-9 {
            let air = (low.abs() * 0.05).max(if low == 0.0 { 1.0 } else { 0.0 });
            (low, high) = (low - air, high + air);
        }
        let air = (high - low) * 0.07;
        if from_zero && low >= -air && high > 0.0 {
            (low, high) = (low.min(0.0), high + air);
        } else {
            (low, high) = (low - air, high + air);
        }
        let mut step = round_step((high - low) / wanted);
        let mut ticks = steps(low, high, step);
        while ticks.len() < 3 && step > (high - low) / 16.0 {
            step = round_step(step / 2.5);
            ticks = steps(low, high, step);
        }
        Self { low, high, ticks, decimals: number::step_decimals(step) }
    }

    /// Place of a value from the top, 0 to 1 within the axis.
    pub(crate) fn place(&self, value: f64) -> f64 {
        (self.high - value) / (self.high - self.low)
    }

    /// A tick's text, short enough for the gutter.
    pub(crate) fn label(&self, tick: f64) -> String {
        let (scaled, suffix) = match tick.abs() {
            size if size >= 1e12 => return number::fixed(tick, 0),
            size if size >= 1e9 => (tick / 1e9, "G"),
            size if size >= 1e6 => (tick / 1e6, "M"),
            size if size >= 1e5 => (tick / 1e3, "k"),
            _ => return number::fixed(tick, self.decimals),
        };
        let decimals = if (scaled - scaled.round()).abs() < 1e-6 { 0 } else { 2 };
        format!("{}{}{suffix}", number::fixed(scaled, decimals), number::NNBSP)
    }
}

/// Multiples of a step within a range, at most eight.
fn steps(low: f64, high: f64, step: f64) -> Vec<f64> {
    let first = (low / step - 1e-9).ceil();
    let at = |index: u32| (first + f64::from(index)) * step;
    (0..8)
        .map(at)
        .take_while(|t| *t <= high + step * 1e-9)
        .map(|t| if t.abs() < step * 1e-6 { 0.0 } else { t })
        .collect()
}

/// The next of 1, 2, 5 × 10ⁿ at or above `step`.
fn round_step(step: f64) -> f64 {
    let mut power = 1.0;
    while power > step && power > 1e-300 {
        power /= 10.0;
    }
    while power * 10.0 <= step && power < 1e300 {
        power *= 10.0;
    }
    for factor in [1.0, 2.0, 5.0, 10.0] {
        if power * factor >= step * 0.999_999 {
            return power * factor;
        }
    }
    power * 10.0
}

/// Steps of a time axis, seconds.
const STEPS: [f64; 31] = [
    0.001,
    0.002,
    0.005,
    0.01,
    0.02,
    0.05,
    0.1,
    0.2,
    0.5,
    1.0,
    2.0,
    5.0,
    10.0,
    15.0,
    30.0,
    60.0,
    120.0,
    300.0,
    600.0,
    900.0,
    1800.0,
    3600.0,
    7200.0,
    10_800.0,
    21_600.0,
    43_200.0,
    86_400.0,
    172_800.0,
    604_800.0,
    2_592_000.0,
    31_536_000.0,
];

/// Ticks of a time axis from `from` to `to`, counted from `zero`, at most nine.
pub(crate) fn time_ticks(from: f64, to: f64, zero: f64) -> Vec<f64> {
    let span = to - from;
    if !(span.is_finite() && span > 0.0) {
        return vec![from];
    }
    let mut step = STEPS.iter().copied().find(|step| (span / step) + 1.0 < 10.0).unwrap_or(31_536_000.0);
    while span / step > 9.0 {
        step *= 10.0;
    }
    let first = ((from - zero) / step - 1e-9).ceil();
    (0..10).map(|n| zero + (first + f64::from(n)) * step).take_while(|t| *t <= to + step * 1e-6).collect()
}

/// Text of a time tick; signed when the axis counts from an onset.
pub(crate) fn time_label(seconds: f64, signed: bool) -> String {
    if seconds.abs() < 1e-9 {
        return "0".into();
    }
    let text = if seconds.abs() < 0.95 {
        format!("{}{}ms", number::fixed(seconds * 1000.0, 0), number::NNBSP)
    } else {
        number::duration(seconds)
    };
    if signed && seconds > 0.0 { format!("+{text}") } else { text }
}

/// Places for labels of `height` px whose wished centres are given: neighbours closer than a height are merged into
/// a cluster that is centred on its mean and kept within 0 to `room`. The order of the input is kept in the output.
pub(crate) fn dodge(wished: &[f64], height: f64, room: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wished.len()).collect();
    let at = |index: usize| wished.get(index).copied().unwrap_or_default();
    order.sort_by(|a, b| at(*a).total_cmp(&at(*b)));
    // A cluster is (sum of wishes, members); its top follows from both.
    let mut clusters: Vec<(f64, Vec<usize>)> = Vec::new();
    let top = |cluster: &(f64, Vec<usize>)| {
        let size = cluster.1.len() as f64 * height;
        (cluster.0 / cluster.1.len() as f64 - size / 2.0).min(room - size).max(0.0)
    };
    for index in order {
        let mut cluster = (at(index), vec![index]);
        while let Some(above) = clusters.pop() {
            if top(&above) + above.1.len() as f64 * height > top(&cluster) + 1e-9 {
                cluster = (above.0 + cluster.0, [above.1, cluster.1].concat());
            } else {
                clusters.push(above);
                break;
            }
        }
        clusters.push(cluster);
    }
    let mut places = vec![0.0; wished.len()];
    for cluster in &clusters {
        for (row, index) in cluster.1.iter().enumerate() {
            if let Some(place) = places.get_mut(*index) {
                *place = top(cluster) + (row as f64 + 0.5) * height;
            }
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn axes_hold_the_data_with_round_ticks() {
        let axis = ValueAxis::new(59.0, 124.0, false, 5.0);
        assert_eq!(axis.ticks, [60.0, 80.0, 100.0, 120.0]);
        assert_eq!(ValueAxis::new(100.0, 420.0, true, 3.0).low, 0.0);
        for (low, high) in
            [(5.0, 5.0), (0.0, 0.0), (f64::NAN, 1.0), (f64::INFINITY, f64::NEG_INFINITY), (-1e308, 1e308)]
        {
            let axis = ValueAxis::new(low, high, false, 3.0);
            assert!(axis.low < axis.high && !axis.ticks.is_empty(), "{low} {high} {axis:?}");
        }
    }

    #[test]
    fn time_steps_are_those_people_count_in() {
        let check = |from, to, zero, expect: &str| {
            let labels: Vec<_> = time_ticks(from, to, zero)
                .iter()
                .map(|t| time_label(t - zero, zero != 0.0).replace(number::NNBSP, " "))
                .collect();
            assert_eq!(labels.join(" | "), expect);
        };
        check(0.0, 1200.0, 0.0, "0 | 5 min | 10 min | 15 min | 20 min");
        check(595.0, 630.0, 600.0, "−5 s | 0 | +5 s | +10 s | +15 s | +20 s | +25 s | +30 s");
        check(0.0, 7.0 * 86_400.0, 0.0, "0 | 1 d | 2 d | 3 d | 4 d | 5 d | 6 d | 7 d");
        check(0.0, 0.0, 0.0, "0");
        check(0.0, 0.3, 0.0, "0 | 50 ms | 100 ms | 150 ms | 200 ms | 250 ms | 300 ms");
    }

    #[test]
    fn labels_make_room_for_each_other() {
        assert_eq!(dodge(&[100.0, 20.0], 15.0, 250.0), [100.0, 20.0]);
        assert_eq!(dodge(&[100.0, 100.0], 15.0, 250.0), [92.5, 107.5]);
        assert_eq!(dodge(&[0.0], 15.0, 250.0), [7.5]);
        assert_eq!(dodge(&[249.0, 250.0, 251.0], 15.0, 250.0), [212.5, 227.5, 242.5]);
    }

    proptest! {
        #[test]
        fn labels_never_overlap(wished in prop::collection::vec(0.0..90.0f64, 0..6)) {
            let mut places = dodge(&wished, 15.0, 90.0);
            places.sort_by(f64::total_cmp);
            prop_assert!(places.iter().all(|place| (7.4..82.6).contains(place)));
            prop_assert!(places.windows(2).all(|pair| pair[1] - pair[0] > 14.99));
        }

        #[test]
        fn three_to_eight_ticks_within_the_axis(low in -1e6..1e6f64, span in 1e-3..1e6f64) {
            let axis = ValueAxis::new(low, low + span, false, 5.0);
            prop_assert!((3..=8).contains(&axis.ticks.len()), "{axis:?}");
            prop_assert!(axis.low <= low && axis.high >= low + span);
        }
    }
}
