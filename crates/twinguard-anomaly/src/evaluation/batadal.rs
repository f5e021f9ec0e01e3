//! The score S of BATADAL, the battle of the attack detection algorithms: half for the time to detect, half for the rows.
//!
//! Source: Taormina et al., J. Water Resour. Plann. Manage. 144(8), 2018, eq. 1 to 4: S = ½ T + ½ (TPR + TNR)/2 with
//! T = 1 − mean(TTD/duration); an attack that is missed takes its whole duration.

use core::ops::Range;

use crate::{Error, metrics::Confusion};

/// The score and its parts.
#[derive(Clone, Debug, PartialEq)]
pub struct Battle {
    /// S, 0 to 1; an alarm that always stands has 0.75.
    pub score: f64,
    /// The part for the time to detect.
    pub time: f64,
    /// The part for the rows.
    pub rows: f64,
    /// Rows.
    pub counts: Confusion,
    /// Rows until each attack was seen; its length when it was not.
    pub delays: Vec<usize>,
    /// Attacks that were seen.
    pub detected: usize,
}

/// Scores alarms by row against windows of attacks (first row, end).
///
/// # Errors
/// [`Error::Lengths`] for a window that is empty or ends behind the rows, [`Error::Setting`] without any window.
pub fn battle(windows: &[Range<usize>], alarms: &[bool]) -> Result<Battle, Error> {
    if windows.is_empty() {
        return Err(Error::Setting { name: "windows", value: 0.0, must: "at least one" });
    }
    let mut labels = vec![false; alarms.len()];
    let mut delays = Vec::with_capacity(windows.len());
    let (mut sum, mut detected) = (0.0, 0);
    for window in windows {
        let rows = alarms.get(window.clone()).filter(|rows| !rows.is_empty());
        let rows = rows.ok_or(Error::Lengths { labels: window.end, scores: alarms.len() })?;
        let first = rows.iter().position(|alarm| *alarm);
        detected += usize::from(first.is_some());
        let delay = first.unwrap_or(rows.len());
        sum += delay as f64 / rows.len() as f64;
        delays.push(delay);
        labels[window.clone()].iter_mut().for_each(|label| *label = true);
    }
    let counts = Confusion::of(&labels, alarms)?;
    let time = 1.0 - sum / windows.len() as f64;
    let rows = (counts.recall() + 1.0 - counts.far()) / 2.0;
    Ok(Battle { score: 0.5 * time + 0.5 * rows, time, rows, counts, delays, detected })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_that_always_stands_has_three_quarters() {
        let windows = [10..20, 40..44];
        let always = battle(&windows, &[true; 60]).unwrap();
        assert!((always.score - 0.75).abs() < 1e-12);
        let never = battle(&windows, &[false; 60]).unwrap();
        assert_eq!((never.score, never.detected, never.delays.as_slice()), (0.25, 0, &[10, 4][..]));
        let alarms: Vec<bool> = (0..60).map(|row| windows.iter().any(|w| w.contains(&row))).collect();
        assert_eq!(battle(&windows, &alarms).unwrap().score, 1.0);
        assert!(battle(&[0..9, 50..61], &[false; 60]).is_err() && battle(&[], &[false; 60]).is_err());
    }

    /// The pattern that the open scorer was run on.
    #[test]
    fn agrees_with_the_open_scorer() {
        let alarms: Vec<bool> = (0..120).map(|k| k * 7 % 11 < 2).collect();
        let got = battle(&[10..21, 29..33, 72..96], &alarms).unwrap();
        assert!((got.score - 0.677_868_427_868_427_8).abs() < 1e-9, "{got:?}");
        assert_eq!((got.delays.as_slice(), got.counts.tp, got.counts.fp), (&[1, 1, 2][..], 7, 15));
    }
}
