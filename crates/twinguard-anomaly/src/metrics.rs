//! How good alarms are: by row, by incident, by day. Never point-adjusted.
//!
//! Definitions follow the open scorers (row-wise F1 with false-alarm and missed-alarm rate; area under ROC with mid-ranks; average
//! precision by steps with ties grouped).

use crate::Error;

/// Counts of rows, and the usual ratios.
///
/// ```
/// use twinguard_anomaly::metrics::Confusion;
/// let counts = Confusion::of(&[true, true, false, false], &[true, false, true, false])?;
/// assert_eq!((counts.f1(), counts.far(), counts.mar()), (0.5, 0.5, 0.5));
/// # Ok::<(), twinguard_anomaly::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Confusion {
    /// Anomalous rows with alarm.
    pub tp: u64,
    /// Normal rows with alarm.
    pub fp: u64,
    /// Anomalous rows without.
    pub fn_: u64,
    /// Normal rows without.
    pub tn: u64,
}

impl Confusion {
    /// Counts rows.
    ///
    /// # Errors
    /// [`Error::Lengths`] when the two differ in length.
    pub fn of(labels: &[bool], alarms: &[bool]) -> Result<Self, Error> {
        same(labels.len(), alarms.len())?;
        let mut counts = Self::default();
        for pair in labels.iter().zip(alarms) {
            *match pair {
                (true, true) => &mut counts.tp,
                (false, true) => &mut counts.fp,
                (true, false) => &mut counts.fn_,
                (false, false) => &mut counts.tn,
            } += 1;
        }
        Ok(counts)
    }

    /// Harmonic mean of precision and recall.
    #[must_use]
    pub fn f1(&self) -> f64 {
        2.0 * self.tp as f64 / (2 * self.tp + self.fp + self.fn_).max(1) as f64
    }

    /// Share of alarms that are right.
    #[must_use]
    pub fn precision(&self) -> f64 {
        self.tp as f64 / (self.tp + self.fp).max(1) as f64
    }

    /// Share of anomalous rows with alarm.
    #[must_use]
    pub fn recall(&self) -> f64 {
        self.tp as f64 / (self.tp + self.fn_).max(1) as f64
    }

    /// False-alarm rate: share of normal rows with alarm.
    #[must_use]
    pub fn far(&self) -> f64 {
        self.fp as f64 / (self.fp + self.tn).max(1) as f64
    }

    /// Missed-alarm rate: share of anomalous rows without.
    #[must_use]
    pub fn mar(&self) -> f64 {
        self.fn_ as f64 / (self.tp + self.fn_).max(1) as f64
    }
}

fn same(labels: usize, scores: usize) -> Result<(), Error> {
    if labels == scores { Ok(()) } else { Err(Error::Lengths { labels, scores }) }
}

/// Area under the ROC curve; `None` without both kinds of rows.
///
/// # Errors
/// [`Error::Lengths`] when the two differ in length.
pub fn roc_auc(labels: &[bool], scores: &[f64]) -> Result<Option<f64>, Error> {
    same(labels.len(), scores.len())?;
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*a].total_cmp(&scores[*b]));
    let mut ranks = 0.0;
    let mut start = 0;
    while start < order.len() {
        let tie = |place: &&usize| scores[**place] == scores[order[start]];
        let count = order[start..].iter().take_while(tie).count().max(1);
        let middle = start as f64 + (count as f64 + 1.0) / 2.0;
        let positive = order[start..start + count].iter().filter(|place| labels[**place]).count();
        ranks += middle * positive as f64;
        start += count;
    }
    let positive = labels.iter().filter(|label| **label).count() as f64;
    let negative = labels.len() as f64 - positive;
    if positive == 0.0 || negative == 0.0 {
        return Ok(None);
    }
    Ok(Some((ranks - positive * (positive + 1.0) / 2.0) / (positive * negative)))
}

/// The ROC curve: share of normal rows and share of anomalous rows with a score of at least each that occurs, from none to all; empty without both kinds
/// of rows.
///
/// ```
/// let curve = twinguard_anomaly::metrics::roc(&[false, true, false, true], &[0.1, 0.4, 0.4, 0.9])?;
/// assert_eq!(curve, [(0.0, 0.0), (0.0, 0.5), (0.5, 1.0), (1.0, 1.0)]);
/// # Ok::<(), twinguard_anomaly::Error>(())
/// ```
///
/// # Errors
/// [`Error::Lengths`] when the two differ in length.
pub fn roc(labels: &[bool], scores: &[f64]) -> Result<Vec<(f64, f64)>, Error> {
    same(labels.len(), scores.len())?;
    let positive = labels.iter().filter(|label| **label).count() as f64;
    let negative = labels.len() as f64 - positive;
    if positive == 0.0 || negative == 0.0 {
        return Ok(Vec::new());
    }
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    let (mut curve, mut hits, mut false_ones) = (vec![(0.0, 0.0)], 0.0, 0.0);
    for (place, row) in order.iter().enumerate() {
        if labels[*row] {
            hits += 1.0
        } else {
            false_ones += 1.0
        }
        // rows of one score come together
        if order.get(place + 1).is_none_or(|next| scores[*next] != scores[*row]) {
            curve.push((false_ones / negative, hits / positive));
        }
    }
    Ok(curve)
}

/// Average precision: steps of recall times precision, ties grouped.
///
/// # Errors
/// [`Error::Lengths`] when the two differ in length.
pub fn average_precision(labels: &[bool], scores: &[f64]) -> Result<f64, Error> {
    Ok(curve(labels, scores)?.1)
}

/// The best F1 over all thresholds and the score at which it is reached: an oracle's choice, never a claim.
///
/// # Errors
/// [`Error::Lengths`] when the two differ in length.
pub fn best_f1(labels: &[bool], scores: &[f64]) -> Result<(f64, f64), Error> {
    Ok(curve(labels, scores)?.0)
}

fn curve(labels: &[bool], scores: &[f64]) -> Result<((f64, f64), f64), Error> {
    same(labels.len(), scores.len())?;
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    let all = labels.iter().filter(|label| **label).count() as f64;
    let (mut best, mut area, mut found, mut before) = ((0.0, 0.0), 0.0, 0.0, 0.0);
    for (place, row) in order.iter().enumerate() {
        found += f64::from(u8::from(labels[*row]));
        if order.get(place + 1).is_some_and(|next| scores[*next] == scores[*row]) {
            continue;
        }
        let taken = place as f64 + 1.0;
        let recall = found / all.max(1.0);
        area += (recall - before) * found / taken;
        before = recall;
        let f1 = 2.0 * found / (taken + all);
        if f1 > best.0 {
            best = (f1, scores[*row]);
        }
    }
    Ok((best, area))
}

/// Rows from the start of each anomaly to its first alarm; `None` for one that was missed.
///
/// # Errors
/// [`Error::Lengths`] when the two differ in length.
pub fn delays(labels: &[bool], alarms: &[bool]) -> Result<Vec<Option<usize>>, Error> {
    same(labels.len(), alarms.len())?;
    let mut delays = Vec::new();
    let mut row = 0;
    while row < labels.len() {
        let length = labels[row..].iter().take_while(|label| **label).count();
        if length > 0 {
            delays.push(alarms[row..row + length].iter().position(|alarm| *alarm));
        }
        row += length.max(1);
    }
    Ok(delays)
}

/// False alarms per day: runs of alarms on normal rows, runs less than `merge` rows apart counted once.
///
/// # Errors
/// [`Error::Lengths`] when the two differ in length; [`Error::Setting`] for a period that is not positive.
pub fn false_alarms_per_day(
    labels: &[bool],
    alarms: &[bool],
    period_s: f64,
    merge: usize,
) -> Result<f64, Error> {
    same(labels.len(), alarms.len())?;
    if !(period_s > 0.0 && period_s.is_finite()) {
        return Err(Error::Setting { name: "period_s", value: period_s, must: "above zero" });
    }
    let mut last: Option<usize> = None;
    let (mut count, mut normal) = (0.0, 0.0);
    for (row, (label, alarm)) in labels.iter().zip(alarms).enumerate() {
        if *label {
            continue;
        }
        normal += 1.0;
        if *alarm {
            if last.is_none_or(|last| row - last > merge) {
                count += 1.0;
            }
            last = Some(row);
        }
    }
    Ok(if normal > 0.0 { count * 86_400.0 / (normal * period_s) } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A fixed pattern with ties, the same that the scorers were run on.
    fn pattern() -> (Vec<bool>, Vec<f64>) {
        let labels = (0..200u32).map(|k| k * k * 7 % 31 < 9).collect();
        let scores = (0..200u32)
            .map(|k| f64::from(k * 37 % 101 / 4) / 10.0 + if k * k * 7 % 31 < 9 { 0.7 } else { 0.0 });
        (labels, scores.collect())
    }

    #[test]
    fn agrees_with_the_open_scorers() {
        let (labels, scores) = pattern();
        let near = |got: f64, want: f64| assert!((got - want).abs() < 1e-9, "{got} against {want}");
        near(roc_auc(&labels, &scores).unwrap().unwrap(), ROC);
        near(average_precision(&labels, &scores).unwrap(), AP);
        let (f1, at) = best_f1(&labels, &scores).unwrap();
        near(f1, F1.0);
        near(at, F1.1);
        let alarms: Vec<bool> = scores.iter().map(|score| *score >= 2.0).collect();
        let counts = Confusion::of(&labels, &alarms).unwrap();
        near(counts.f1(), BINARY.0);
        near(counts.far(), BINARY.1);
        near(counts.mar(), BINARY.2);
    }

    const ROC: f64 = 0.7400964696223317;
    const AP: f64 = 0.7117133853160962;
    const F1: (f64, f64) = (0.6640316205533597, 0.7);
    const BINARY: (f64, f64, f64) = (0.5637583892617449, 0.19827586206896552, 0.5);

    #[test]
    fn delays_and_daily_rates() {
        let labels = [false, true, true, true, false, true, false, false];
        let alarms = [true, false, false, true, true, false, false, true];
        assert_eq!(delays(&labels, &alarms).unwrap(), [Some(2), None]);
        assert_eq!(false_alarms_per_day(&labels, &alarms, 86_400.0, 1).unwrap(), 0.75);
        assert!(delays(&labels[1..], &alarms).is_err());
        assert_eq!(roc_auc(&[true], &[1.0]).unwrap(), None);
        assert!(false_alarms_per_day(&labels, &alarms, 0.0, 1).is_err());
    }
}
