//! M4: per column the first, least, greatest and last sample in time order, so that no peak is lost and joins stay
//! right (Jugel, Jerzak, Hackenbroich, Markl, *M4: a visualization-oriented time series data aggregation*, VLDB 2014).

use crate::data::{Sample, Trace};

/// Traces of at most this many samples are drawn as they are.
const AS_IS: usize = 1000;

/// A trace as it is drawn.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Drawn {
    /// Unbroken runs of (time, value).
    pub(crate) runs: Vec<Vec<(f64, f64)>>,
    /// Unbroken runs of (time, lower, upper) of ± 2 σ.
    pub(crate) band: Vec<Vec<(f64, f64, f64)>>,
    /// Spans without data.
    pub(crate) gaps: Vec<(f64, f64)>,
    /// Whether a column holds more than one sample.
    pub(crate) by_column: bool,
    /// Least and greatest value within the window, band left out.
    pub(crate) range: Option<(f64, f64)>,
    /// The last value within the window, with its σ.
    pub(crate) last: Option<Sample>,
}

/// One column on its way.
#[derive(Clone, Copy)]
struct Column {
    index: i64,
    points: [(f64, f64); 4],
}

impl Column {
    fn add(&mut self, point: (f64, f64)) {
        let [_, least, most, last] = &mut self.points;
        if point.1 < least.1 {
            *least = point;
        }
        if point.1 > most.1 {
            *most = point;
        }
        *last = point;
    }

    fn flush(self, run: &mut Vec<(f64, f64)>) {
        let [first, least, most, last] = self.points;
        let (early, late) = if least.0 <= most.0 { (least, most) } else { (most, least) };
        for point in [first, early, late, last] {
            if run.last() != Some(&point) {
                run.push(point);
            }
        }
    }
}

/// The trace between two times in at most `columns` columns; values are held below `clamp`.
pub(crate) fn draw(trace: &Trace, from: f64, to: f64, columns: usize, clamp: Option<f64>) -> Drawn {
    let mut drawn = Drawn::default();
    if !(to > from && columns > 0) {
        return drawn;
    }
    let samples: Vec<Sample> = window(&trace.samples, from, to);
    drawn.by_column = samples.len() > AS_IS;
    let column = |t: f64, columns: usize| ((t - from) / (to - from) * columns as f64).floor() as i64;
    let mut run: Vec<(f64, f64)> = Vec::new();
    let mut band: Vec<(f64, f64, f64)> = Vec::new();
    let mut open: Option<Column> = None;
    let mut previous: Option<f64> = None;
    let mut hole = false;
    for sample in &samples {
        let value = sample.value.filter(|v| v.is_finite()).map(|v| clamp.map_or(v, |top| v.min(top)));
        let Some(value) = value else {
            hole = true;
            continue;
        };
        let paused = previous.zip(trace.gap_s).is_some_and(|(before, gap)| sample.t_s - before > gap);
        if hole || paused {
            if let Some(before) = previous {
                drawn.gaps.push((before, sample.t_s));
            } else if hole {
                drawn.gaps.push((from, sample.t_s));
            }
            if let Some(column) = open.take() {
                column.flush(&mut run);
            }
            drawn.runs.push(std::mem::take(&mut run));
            drawn.band.push(std::mem::take(&mut band));
        }
        (hole, previous) = (false, Some(sample.t_s));
        let point = (sample.t_s, value);
        if (from..=to).contains(&sample.t_s) {
            let (low, high) = drawn.range.unwrap_or((value, value));
            drawn.range = Some((low.min(value), high.max(value)));
            drawn.last = Some(Sample { value: Some(value), ..*sample });
        }
        if drawn.by_column {
            let index = column(sample.t_s, columns);
            match &mut open {
                Some(column) if column.index == index => column.add(point),
                _ => {
                    if let Some(column) = open.replace(Column { index, points: [point; 4] }) {
                        column.flush(&mut run);
                    }
                }
            }
        } else {
            run.push(point);
        }
        if let Some(sigma) = sample.sigma.filter(|sigma| sigma.is_finite() && *sigma >= 0.0) {
            let (low, high) = (value - 2.0 * sigma, value + 2.0 * sigma);
            match band.last_mut() {
                Some(last) if samples.len() > 250 && column(last.0, 250) == column(sample.t_s, 250) => {
                    (last.1, last.2) = (last.1.min(low), last.2.max(high));
                }
                _ => band.push((sample.t_s, low, high)),
            }
        }
    }
    if let Some(column) = open {
        column.flush(&mut run);
    }
    if hole {
        drawn.gaps.push((previous.unwrap_or(from), to));
    }
    drawn.runs.push(run);
    drawn.band.push(band);
    drawn.runs.retain(|run| !run.is_empty());
    drawn.band.retain(|run| run.len() > 1);
    drawn
}

/// The samples of a window with one neighbour on each side, in time order.
fn window(samples: &[Sample], from: f64, to: f64) -> Vec<Sample> {
    let mut ordered: Vec<Sample> = Vec::new();
    let sorted = samples.windows(2).all(|pair| matches!(pair, [a, b] if a.t_s <= b.t_s));
    let samples = if sorted {
        samples
    } else {
        ordered.extend(samples.iter().filter(|sample| sample.t_s.is_finite()));
        ordered.sort_by(|a, b| a.t_s.total_cmp(&b.t_s));
        &ordered
    };
    let begin = samples.partition_point(|sample| sample.t_s < from).saturating_sub(1);
    let end = (samples.partition_point(|sample| sample.t_s <= to) + 1).min(samples.len());
    samples.get(begin..end).unwrap_or_default().to_vec()
}

/// The value nearest to a time, not farther than `reach`.
pub(crate) fn nearest(trace: &Trace, t: f64, reach: f64) -> Option<f64> {
    let after = trace.samples.partition_point(|sample| sample.t_s < t);
    [after.checked_sub(1), Some(after)]
        .into_iter()
        .flatten()
        .filter_map(|index| trace.samples.get(index))
        .filter(|sample| (sample.t_s - t).abs() <= reach)
        .min_by(|a, b| (a.t_s - t).abs().total_cmp(&(b.t_s - t).abs()))
        .and_then(|sample| sample.value)
        .filter(|value| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Speaker;
    use proptest::prelude::*;

    #[test]
    fn gaps_break_the_line() {
        let values = [Some(1.0), Some(2.0), None, Some(f64::NAN), Some(3.0)];
        let samples =
            values.iter().zip(0..).map(|(v, t)| Sample { t_s: f64::from(t), value: *v, sigma: Some(0.5) });
        let trace = Trace::new(Speaker::Reported, samples);
        let drawn = draw(&trace, 0.0, 5.0, 500, None);
        assert_eq!(drawn.runs, [vec![(0.0, 1.0), (1.0, 2.0)], vec![(4.0, 3.0)]]);
        assert_eq!(drawn.gaps, [(1.0, 4.0)]);
        assert_eq!(drawn.band, [vec![(0.0, 0.0, 2.0), (1.0, 1.0, 3.0)]]);
        let paused = Trace::new(Speaker::Reported, [(0.0, 1.0), (1.0, 1.0), (9.0, 1.0)]).gap_after(5.0);
        assert_eq!(draw(&paused, 0.0, 10.0, 500, None).gaps, [(1.0, 9.0)]);
        let empty = Trace::new(Speaker::Reported, [(0.0, f64::NAN)]);
        assert_eq!(draw(&empty, 0.0, 10.0, 500, None).gaps, [(0.0, 10.0)]);
    }

    #[test]
    fn unordered_samples_are_put_in_order() {
        let trace = Trace::new(Speaker::Reported, [(2.0, 2.0), (0.0, 0.0), (1.0, 1.0)]);
        assert_eq!(draw(&trace, 0.0, 2.0, 500, None).runs, [vec![(0.0, 0.0), (1.0, 1.0), (2.0, 2.0)]]);
    }

    proptest! {
        #[test]
        fn no_peak_is_lost(values in prop::collection::vec(-1e3..1e3f64, 1001..3000)) {
            let trace = Trace::new(Speaker::Reported, values.iter().zip(0..).map(|(v, t)| (f64::from(t), *v)));
            let drawn = draw(&trace, 0.0, values.len() as f64, 50, None);
            let points: Vec<_> = drawn.runs.concat();
            prop_assert!(points.len() <= 200);
            prop_assert!(points.windows(2).all(|pair| pair[0].0 <= pair[1].0));
            let ends = |all: &mut dyn Iterator<Item = f64>| {
                all.fold((f64::MAX, f64::MIN), |(low, high), v| (low.min(v), high.max(v)))
            };
            let drawn_ends = ends(&mut points.iter().map(|p| p.1));
            prop_assert_eq!(drawn_ends, ends(&mut values.iter().copied()));
            prop_assert_eq!(points.first().map(|p| p.1), values.first().copied());
            prop_assert_eq!(points.last().map(|p| p.1), values.last().copied());
        }
    }
}
