//! Volumes under the range-based precision–recall and ROC surfaces.
//!
//! Source: Paparrizos et al., *Volume Under the Surface*, PVLDB 15(11), 2022, section 4: labels get a ramp √(1 − d/ℓ) on either side of
//! each anomaly for every buffer length ℓ up to a window, the recall is multiplied by the share of anomalies touched, the area is
//! taken at 250 ranks of the scores, and the areas are averaged over ℓ.

use crate::Error;

const THRESHOLDS: usize = 250;

/// Both volumes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Volumes {
    /// Under precision over recall.
    pub precision_recall: f64,
    /// Under the ROC.
    pub roc: f64,
}

/// Volumes for labels and scores by row, with buffers up to `window` rows.
///
/// # Errors
/// [`Error::Lengths`] when the two differ in length or have no rows; [`Error::Setting`] without an anomalous row.
pub fn volumes(labels: &[bool], scores: &[f64], window: usize) -> Result<Volumes, Error> {
    let n = labels.len();
    if n != scores.len() || n == 0 {
        return Err(Error::Lengths { labels: n, scores: scores.len() });
    }
    let positive = labels.iter().filter(|label| **label).count() as f64;
    if positive == 0.0 {
        return Err(Error::Setting { name: "labels", value: 0.0, must: "at least one anomalous row" });
    }
    let segments = segments(labels);
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    let step = (n - 1) as f64 / (THRESHOLDS - 1) as f64;
    let ranks = (0..THRESHOLDS).map(|k| if k + 1 == THRESHOLDS { n - 1 } else { (k as f64 * step) as usize });
    let limits: Vec<f64> = ranks.map(|rank| scores[order[rank]]).collect();
    // rows at or above each limit
    let taken: Vec<usize> =
        limits.iter().map(|limit| order.partition_point(|row| scores[*row] >= *limit)).collect();
    let crisp = running(&order, &taken, |row| f64::from(u8::from(labels[row])));
    let (mut areas_pr, mut areas_roc) = (0.0, 0.0);
    let mut ramped = vec![0.0; n];
    for buffer in 0..=window {
        let half = buffer / 2;
        ramped.iter_mut().zip(labels).for_each(|(ramp, label)| *ramp = f64::from(u8::from(*label)));
        let mut extended: Vec<(usize, usize)> = Vec::new();
        let mut previous = 0;
        for (first, end) in &segments {
            let last = end - 1;
            for row in last + 1..(last + half + 1).min(n) {
                ramped[row] += (1.0 - (row - last) as f64 / buffer as f64).sqrt();
            }
            for row in first.saturating_sub(half)..*first {
                ramped[row] += (1.0 - (first - row) as f64 / buffer as f64).sqrt();
            }
            let (low, high) = (first.saturating_sub(half), (end + half).min(n));
            match extended.last_mut() {
                Some(before) if *first <= previous + 2 * half => before.1 = high,
                _ => extended.push((low, high)),
            }
            previous = last;
        }
        ramped.iter_mut().for_each(|ramp| *ramp = ramp.min(1.0));
        let hits = running(&order, &taken, |row| ramped[row]);
        let mut most: Vec<f64> = extended
            .iter()
            .map(|(low, high)| scores[*low..*high].iter().copied().fold(f64::NEG_INFINITY, f64::max))
            .collect();
        most.sort_by(f64::total_cmp);
        let (mut recall_before, mut fpr_before) = (0.0, 0.0);
        for (k, limit) in limits.iter().enumerate() {
            let touched = most.len() - most.partition_point(|most| most < limit);
            let exist = touched as f64 / most.len() as f64;
            let smooth = positive + 0.5 * (hits[k] - crisp[k]);
            let recall = (hits[k] / smooth).min(1.0) * exist;
            let wrong = taken[k] as f64 - hits[k];
            let fpr = wrong / (n as f64 - smooth);
            areas_roc += (fpr - fpr_before) * (recall + recall_before) / 2.0;
            areas_pr += (recall - recall_before) * hits[k] / taken[k] as f64;
            (recall_before, fpr_before) = (recall, fpr);
        }
        areas_roc += (1.0 - fpr_before) * (1.0 + recall_before) / 2.0;
    }
    let count = (window + 1) as f64;
    Ok(Volumes { precision_recall: areas_pr / count, roc: areas_roc / count })
}

/// Sums over the rows taken at each limit.
fn running(order: &[usize], taken: &[usize], value: impl Fn(usize) -> f64) -> Vec<f64> {
    let (mut sum, mut at) = (0.0, 0);
    let mut sums = Vec::with_capacity(taken.len());
    for count in taken {
        for row in &order[at..*count] {
            sum += value(*row);
        }
        at = *count;
        sums.push(sum);
    }
    sums
}

/// First row and end of each run of anomalous rows.
fn segments(labels: &[bool]) -> Vec<(usize, usize)> {
    let mut segments = Vec::new();
    let mut row = 0;
    while row < labels.len() {
        let length = labels[row..].iter().take_while(|label| **label).count();
        if length > 0 {
            segments.push((row, row + length));
        }
        row += length.max(1);
    }
    segments
}

/// The buffer window that the TSB-AD benchmark takes from the data: the lag of the highest local maximum of the autocorrelation between
/// 6 and 303, 125 when there is none.
#[must_use]
pub fn period(series: &[f64]) -> usize {
    const NONE: usize = 125;
    let x = &series[..series.len().min(20_000)];
    let n = x.len();
    if n < 8 {
        return NONE;
    }
    let mean = x.iter().sum::<f64>() / n as f64;
    let z: Vec<f64> = x.iter().map(|x| x - mean).collect();
    let power: f64 = z.iter().map(|z| z * z).sum();
    if power <= 0.0 {
        return NONE;
    }
    let at: Vec<f64> = (3..=400.min(n - 1))
        .map(|lag| z.iter().zip(&z[lag..]).map(|(a, b)| a * b).sum::<f64>() / power)
        .collect();
    let mut best: Option<(usize, f64)> = None;
    for k in 1..at.len().saturating_sub(1) {
        if at[k] > at[k - 1] && at[k] > at[k + 1] && best.is_none_or(|(_, most)| at[k] > most) {
            best = Some((k, at[k]));
        }
    }
    match best {
        Some((k, _)) if (3..=300).contains(&k) => k + 3,
        _ => NONE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_perfect_score_beats_a_random_one() {
        let labels: Vec<bool> =
            (0..600).map(|row| (200..240).contains(&row) || (400..420).contains(&row)).collect();
        let perfect: Vec<f64> = labels.iter().map(|label| f64::from(u8::from(*label))).collect();
        let random: Vec<f64> = (0..600u32).map(|row| f64::from(row * 7919 % 613)).collect();
        let (good, bad) = (volumes(&labels, &perfect, 20).unwrap(), volumes(&labels, &random, 20).unwrap());
        assert!(good.precision_recall > 0.8 && bad.precision_recall < 0.3, "{good:?} {bad:?}");
        assert!(good.roc > 0.9 && (bad.roc - 0.5).abs() < 0.15);
        assert!(volumes(&labels, &perfect[1..], 20).is_err() && volumes(&[false; 5], &[0.0; 5], 2).is_err());
    }

    #[test]
    fn a_sine_has_its_period() {
        let sine: Vec<f64> =
            (0..2000).map(|t| libm::sin(f64::from(t) * core::f64::consts::TAU / 50.0)).collect();
        assert_eq!(period(&sine), 50);
        assert_eq!(period(&[1.0; 50]), 125);
    }

    /// The pattern that the open scorer was run on.
    #[test]
    fn agrees_with_the_open_scorer() {
        let labels: Vec<bool> = (0..900).map(|k| (120..140 + k / 300 * 15).contains(&(k % 300))).collect();
        let score = |k: usize| {
            (k * 37 % 101 / 4) as f64 / 10.0 + if labels[k] && !k.is_multiple_of(3) { 0.9 } else { 0.0 }
        };
        let scores: Vec<f64> = (0..900).map(score).collect();
        for (window, pr, roc) in [
            (0, 0.428_468_779_554_364_24, 0.718_137_166_816_412_2),
            (7, 0.432_745_146_362_107_26, 0.732_219_843_770_803_4),
            (40, 0.470_818_434_254_405_95, 0.793_536_215_796_808_9),
        ] {
            let got = volumes(&labels, &scores, window).unwrap();
            assert!((got.precision_recall - pr).abs() < 1e-9 && (got.roc - roc).abs() < 1e-9, "{got:?}");
        }
        assert_eq!(period(&scores), 30);
        let labels: Vec<f64> = labels.iter().map(|label| f64::from(u8::from(*label))).collect();
        assert_eq!(period(&labels), 300);
    }
}
