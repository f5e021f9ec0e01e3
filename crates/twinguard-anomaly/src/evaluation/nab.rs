//! The Numenta Anomaly Benchmark's score, version 1.1.
//!
//! Source: Lavin, Ahmad, *Evaluating Real-Time Anomaly Detection Algorithms*, ICMLA 2015, section II, and the benchmark's own rules for
//! its single threshold: the one that maximises the raw score over the corpus (an oracle, part of the protocol).

use crate::Error;

/// What a profile pays.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Profile {
    /// For a window found.
    pub found: f64,
    /// For a false row.
    pub false_row: f64,
    /// For a window missed.
    pub missed: f64,
}

/// The standard profile.
pub const STANDARD: Profile = Profile { found: 1.0, false_row: 0.11, missed: 1.0 };
/// False alarms cost twice.
pub const LOW_FALSE_POSITIVES: Profile = Profile { found: 1.0, false_row: 0.22, missed: 1.0 };
/// Misses cost twice.
pub const LOW_FALSE_NEGATIVES: Profile = Profile { found: 1.0, false_row: 0.11, missed: 2.0 };

/// A scored series: one score a row, windows with first and last row.
#[derive(Clone, Debug)]
pub struct Series {
    /// Scores by row.
    pub scores: Vec<f64>,
    /// First and last row of each labelled window, in order.
    pub windows: Vec<(usize, usize)>,
}

/// A corpus' score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Numenta {
    /// 100 for a perfect detector, 0 for one that is silent.
    pub score: f64,
    /// The threshold that the protocol chose.
    pub threshold: f64,
    /// Windows in the corpus.
    pub windows: usize,
    /// Windows found at the threshold.
    pub found: usize,
    /// Rows above the threshold outside windows.
    pub false_rows: usize,
}

/// Reward by relative place.
fn sigmoid(x: f64) -> f64 {
    if x > 3.0 { -1.0 } else { 2.0 / (1.0 + libm::exp(5.0 * x)) - 1.0 }
}

/// Weight of each row and the window it lies in; rows of the probation are left out.
fn rows(series: &Series, profile: Profile, first_window: usize, all: &mut Vec<(f64, f64, Option<usize>)>) {
    let n = series.scores.len();
    let probation = ((0.15 * n as f64) as usize).min(750);
    let most = sigmoid(-1.0);
    let mut before: Option<(usize, usize)> = None;
    let mut inside: Option<usize> = None;
    let mut next = 0;
    for (row, score) in series.scores.iter().enumerate() {
        if inside.is_none() && series.windows.get(next).is_some_and(|window| window.0 == row) {
            inside = Some(next);
            next += 1;
        }
        let (weight, place) = match inside {
            Some(window) => {
                let (first, last) = series.windows[window];
                let length = (last - first + 1) as f64;
                (
                    sigmoid(-((last - row + 1) as f64) / length) * profile.found / most,
                    Some(first_window + window),
                )
            }
            None => {
                let past =
                    before.map_or(-1.0, |(end, width)| sigmoid((row - end) as f64 / (width as f64 - 1.0)));
                (past * profile.false_row, None)
            }
        };
        if row >= probation {
            all.push((*score, weight, place));
        }
        if let Some(window) = inside
            && series.windows[window].1 == row
        {
            let (first, last) = series.windows[window];
            before = Some((last, last - first + 1));
            inside = None;
        }
    }
}

/// Scores a corpus under one profile with the one best threshold.
///
/// # Errors
/// [`Error::Lengths`] for a window that is turned around, overlaps the one before or ends behind its series; [`Error::Setting`] for a
/// corpus without windows.
pub fn numenta(corpus: &[Series], profile: Profile) -> Result<Numenta, Error> {
    let mut all = Vec::new();
    let mut windows = 0;
    for series in corpus {
        let mut free = 0;
        for (first, last) in &series.windows {
            if *first < free || last < first || *last >= series.scores.len() {
                return Err(Error::Lengths { labels: last + 1, scores: series.scores.len() });
            }
            free = last + 1;
        }
        rows(series, profile, windows, &mut all);
        windows += series.windows.len();
    }
    if windows == 0 {
        return Err(Error::Setting { name: "windows", value: 0.0, must: "at least one" });
    }
    let mut order: Vec<usize> = (0..all.len()).collect();
    order.sort_by(|a, b| all[*b].0.total_cmp(&all[*a].0));
    let mut reached = vec![false; windows];
    all.iter().filter_map(|row| row.2).for_each(|window| reached[window] = true);
    let reachable = reached.iter().filter(|reached| **reached).count();
    let mut best: Vec<Option<f64>> = vec![None; windows];
    let mut raw = -profile.missed * reachable as f64;
    let mut top = (raw, 1.1, 0, 0);
    let (mut found, mut false_rows) = (0, 0);
    for (place, row) in order.iter().enumerate() {
        let (score, weight, window) = all[*row];
        if place > 0 && all[order[place - 1]].0 != score && raw > top.0 {
            top = (raw, all[order[place - 1]].0, found, false_rows);
        }
        match window {
            None => {
                raw += weight;
                false_rows += 1;
            }
            Some(window) => {
                let old = best[window].unwrap_or(-profile.missed);
                found += usize::from(best[window].is_none());
                raw += old.max(weight) - old;
                best[window] = Some(old.max(weight));
            }
        }
    }
    if let Some(last) = order.last()
        && raw > top.0
    {
        top = (raw, all[*last].0, found, false_rows);
    }
    let null = -profile.missed * windows as f64;
    let perfect = profile.found * windows as f64;
    Ok(Numenta {
        score: 100.0 * (top.0 - null) / (perfect - null),
        threshold: top.1,
        windows,
        found: top.2,
        false_rows: top.3,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_has_zero_and_early_alarms_have_nearly_all() {
        let silent = Series { scores: vec![0.0; 1000], windows: vec![(500, 599)] };
        assert!(numenta(std::slice::from_ref(&silent), STANDARD).unwrap().score.abs() < 1e-9);
        let mut early = silent.clone();
        early.scores[500] = 1.0;
        let got = numenta(&[early], STANDARD).unwrap();
        assert!((got.score - 100.0).abs() < 1e-9 && got.found == 1 && got.false_rows == 0, "{got:?}");
        let mut late = silent.clone();
        late.scores[599] = 1.0;
        let late = numenta(&[late], STANDARD).unwrap().score;
        assert!(late > 50.0 && late < 60.0, "{late}");
        assert!(numenta(&[Series { scores: vec![0.0; 10], windows: vec![(5, 10)] }], STANDARD).is_err());
    }

    /// The pattern that the open scorer was run on.
    #[test]
    fn agrees_with_the_open_scorer() {
        let anomalous = |k: usize| (120..140 + k / 300 * 15).contains(&(k % 300));
        let score = |k: usize| {
            ((k * 37 % 101 / 4) as f64 / 10.0 + if anomalous(k) && !k.is_multiple_of(3) { 0.9 } else { 0.0 })
                / 5.0
        };
        let scores: Vec<f64> = (0..900).map(score).collect();
        let mut reversed = scores.clone();
        reversed.reverse();
        let corpus = [
            Series { scores, windows: vec![(120, 139), (420, 454)] },
            Series { scores: reversed, windows: vec![(720, 769)] },
        ];
        for (profile, want) in [
            (STANDARD, 62.364_261_030_057_41),
            (LOW_FALSE_POSITIVES, 49.530_927_696_724_085),
            (LOW_FALSE_NEGATIVES, 74.909_507_353_371_62),
        ] {
            let got = numenta(&corpus, profile).unwrap();
            assert!((got.score - want).abs() < 1e-9 && got.false_rows == 7 && got.found == 3, "{got:?}");
        }
    }
}
