//! The stealth–impact curve: how far somebody gets unseen, against how often the detector cries wolf.
//!
//! Source: Urbina et al., *Limiting the Impact of Stealthy Attacks on Industrial Control Systems*, CCS 2016, §5: the largest deviation per
//! unit of time that is not seen, over the expected time between false alarms; it compares detectors that a share of detected attacks does
//! not, since attacks that are seen anyway add nothing. Here a deviation of one size is tried several times; it passes when at most half of the tries are
//! seen. Sizes between two that were tried are not invented: the curve is a staircase.

use crate::Error;

/// Tries of one deviation.
#[derive(Clone, Debug, PartialEq)]
pub struct Tries {
    /// How large it was, in whatever unit; per hour where the tries last an hour.
    pub size: f64,
    /// The loudest score of each try.
    pub loudest: Vec<f64>,
}

/// One point of the curve.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Impact {
    /// The limit that the scores are compared with.
    pub limit: f64,
    /// Rows between false alarms at this limit, on average; alarms less than the hold apart are one. Infinite without any.
    pub rows_between: f64,
    /// The largest size below which everything that was tried passed; 0 when nothing did.
    pub unseen: f64,
}

/// The curve for these limits: `normal` are scores of normal operation in the order of time, `hold` the rows in which an alarm is one with the
/// last.
///
/// ```
/// use twinguard_anomaly::evaluation::{Tries, stealth_impact};
/// let normal: Vec<f64> = (0..1000).map(|t| if t % 100 == 0 { 3.0 } else { 1.0 }).collect();
/// let tries: Vec<Tries> = (1..6).map(|k| Tries { size: f64::from(k), loudest: vec![f64::from(k); 3] }).collect();
/// let curve = stealth_impact(&normal, &tries, &[2.5, 3.5], 10)?;
/// assert_eq!((curve[0].rows_between, curve[0].unseen), (100.0, 2.0));
/// assert_eq!((curve[1].rows_between, curve[1].unseen), (f64::INFINITY, 3.0));
/// # Ok::<(), twinguard_anomaly::Error>(())
/// ```
///
/// # Errors
/// [`Error::Setting`] for a size that is not finite or a size without tries; [`Error::Training`] without normal scores.
pub fn stealth_impact(
    normal: &[f64],
    tries: &[Tries],
    limits: &[f64],
    hold: usize,
) -> Result<Vec<Impact>, Error> {
    if normal.is_empty() {
        return Err(Error::Training { reason: "no scores of normal operation", count: 0 });
    }
    for it in tries {
        if !it.size.is_finite() || it.loudest.is_empty() {
            return Err(Error::Setting { name: "size", value: it.size, must: "finite, with tries" });
        }
    }
    let mut order: Vec<&Tries> = tries.iter().collect();
    order.sort_by(|a, b| a.size.total_cmp(&b.size));
    Ok(limits
        .iter()
        .map(|limit| {
            let alarms = alarms(normal, *limit, hold);
            let rows_between = if alarms == 0 { f64::INFINITY } else { normal.len() as f64 / alarms as f64 };
            let passes = |it: &&&Tries| {
                2 * it.loudest.iter().filter(|score| **score > *limit).count() <= it.loudest.len()
            };
            let unseen = order.iter().take_while(passes).last().map_or(0.0, |it| it.size);
            Impact { limit: *limit, rows_between, unseen }
        })
        .collect())
}

fn alarms(scores: &[f64], limit: f64, hold: usize) -> usize {
    let (mut count, mut last) = (0, None);
    for (row, _) in scores.iter().enumerate().filter(|(_, score)| **score > limit) {
        if last.is_none_or(|last| row - last > hold) {
            count += 1;
        }
        last = Some(row);
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_in_what_passes_ends_the_curve() {
        let tries =
            [(1.0, 0.0), (2.0, 9.0), (3.0, 0.0)].map(|(size, score)| Tries { size, loudest: vec![score] });
        let curve = stealth_impact(&[0.0; 10], &tries, &[5.0], 0).unwrap();
        assert_eq!(curve[0].unseen, 1.0);
    }

    #[test]
    fn one_alarm_that_lasts_is_one() {
        let mut normal = vec![0.0; 100];
        normal[10..30].fill(9.0);
        normal[40] = 9.0;
        assert_eq!((alarms(&normal, 5.0, 5), alarms(&normal, 5.0, 20)), (2, 1));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let none = Tries { size: 1.0, loudest: Vec::new() };
        assert!(stealth_impact(&[1.0], &[none], &[1.0], 0).is_err());
        assert!(stealth_impact(&[], &[], &[1.0], 0).is_err());
    }
}
