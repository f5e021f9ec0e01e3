//! A history that may hold attacks: rows that the rest of the history finds impossible are left out, and named.
//!
//! Source: trimming by robust distances (Rousseeuw, Leroy, *Robust Regression and Outlier Detection*, 1987, §1.2; iterated as in Hadi, J. R.
//! Statist. Soc. B 54, 1992). The suite is fitted, each row scored by models of the other folds; the cube root of the mixed surprise is
//! nearly normal, so its median and median absolute deviation give a limit that a tenth of attacked rows hardly moves. Rows beyond it, with
//! raised ones near them, are left out and the suite fitted anew, until no more are found. It lies where an attack lasts for more than
//! a fold: then the attack is what is normal.

use core::ops::Range;

use super::{Suite, Training};
use crate::Error;

/// Robust deviations that normal rows hardly pass: about one in 4000 of a normal law; and those that its neighbours have to pass to go with
/// such a row.
const ODD: f64 = 3.5;
const RAISED: f64 = 2.0;
/// Odd rows closer than this belong together, and as many rows behind them are still under their memory.
const NEAR: usize = 16;
const ROUNDS: usize = 4;
/// More is no attack but another way of running: then nothing more is left out.
const MOST: f64 = 0.25;

/// Rows of a history that the rest of it contradicts.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Suspicious {
    /// Which rows.
    pub rows: Range<usize>,
    /// Robust deviations of the oddest of them.
    pub deviations: f64,
}

impl Suite {
    /// Chooses, fits and calibrates the models as [`Suite::fit`] does, on the rows that the rest of the history does not contradict. Look at
    /// what was left out: it may be an attack, a fault, or operation that is rare.
    ///
    /// ```
    /// use twinguard_anomaly::suite::{Suite, Training};
    /// let noise = |t: usize| (t * 7919 % 97) as f64 / 97.0;
    /// let value = |t: usize| (t as f64 / 9.0).sin() + 0.2 * noise(t) + if (600..640).contains(&t) { 2.0 } else { 0.0 };
    /// let values: Vec<f64> = (0..1500).flat_map(|t| [value(t), (t as f64 / 9.0).sin() + 0.2 * noise(t + 31)]).collect();
    /// let (suite, suspicious) = Suite::fit_trimmed(&Training { channels: 2, values: &values, times: None })?;
    /// assert!(suspicious.iter().any(|it| it.rows.contains(&610)), "{suspicious:?}");
    /// assert!(suite.report().rows < 1500);
    /// # Ok::<(), twinguard_anomaly::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Suite::fit`].
    pub fn fit_trimmed(training: &Training<'_>) -> Result<(Self, Vec<Suspicious>), Error> {
        let (mut suite, mut mixed) = Self::learn(training)?;
        let width = training.channels;
        let all = training.values.len() / width;
        let mut kept: Vec<usize> = (0..all).collect();
        let mut out: Vec<Suspicious> = Vec::new();
        for _ in 0..ROUNDS {
            let found = odd(&mixed);
            let left_out: usize = found.iter().map(|it| it.rows.len()).sum();
            if found.is_empty() || (all - kept.len() + left_out) as f64 > MOST * all as f64 {
                break;
            }
            // from rows that were kept to rows of the history
            out.extend(found.iter().map(|it| Suspicious {
                rows: kept[it.rows.start]..kept[it.rows.end - 1] + 1,
                deviations: it.deviations,
            }));
            let mut place = 0;
            kept.retain(|_| {
                place += 1;
                !found.iter().any(|it| it.rows.contains(&(place - 1)))
            });
            let values: Vec<f64> =
                kept.iter().flat_map(|t| &training.values[t * width..(t + 1) * width]).copied().collect();
            let times: Option<Vec<_>> = training.times.map(|times| kept.iter().map(|t| times[*t]).collect());
            let rest = Training { channels: width, values: &values, times: times.as_deref() };
            (suite, mixed) = Self::learn(&rest)?;
        }
        Ok((suite, merged(out)))
    }
}

/// Intervals of rows beyond the robust limit.
fn odd(mixed: &[f64]) -> Vec<Suspicious> {
    let y: Vec<f64> = mixed.iter().map(|s| libm::cbrt(s.max(0.0))).collect();
    let median = |list: &[f64]| {
        let mut sorted = list.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
    };
    let middle = median(&y);
    let spread = 1.4826 * median(&y.iter().map(|y| (y - middle).abs()).collect::<Vec<_>>());
    let mut found: Vec<Suspicious> = Vec::new();
    for (t, y) in y.iter().enumerate() {
        let deviations = (y - middle) / spread.max(1e-9);
        if deviations <= RAISED {
            continue;
        }
        let end = (t + 1 + NEAR).min(mixed.len());
        match found.last_mut() {
            Some(last) if last.rows.end + NEAR > t => {
                last.rows.end = end;
                last.deviations = last.deviations.max(deviations);
            }
            _ => found.push(Suspicious { rows: t..end, deviations }),
        }
    }
    found.retain(|it| it.deviations > ODD);
    found
}

/// In order, those that touch put together.
fn merged(mut list: Vec<Suspicious>) -> Vec<Suspicious> {
    list.sort_by_key(|it| it.rows.start);
    let mut out: Vec<Suspicious> = Vec::with_capacity(list.len());
    for it in list {
        match out.last_mut() {
            Some(last) if last.rows.end >= it.rows.start => {
                last.rows.end = last.rows.end.max(it.rows.end);
                last.deviations = last.deviations.max(it.deviations);
            }
            _ => out.push(it),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::prepare::tests::noise;
    use super::*;

    fn plant(seed: u64, rows: usize, attacked: &[Range<usize>]) -> Vec<f64> {
        let mut state = seed;
        let mut x = 0.0;
        (0..rows)
            .flat_map(|t| {
                x = 0.8 * x + noise(&mut state);
                let bias = if attacked.iter().any(|it| it.contains(&t)) { 1.5 } else { 0.0 };
                [x, 2.0 * x + 0.3 * noise(&mut state) + bias, noise(&mut state)]
            })
            .collect()
    }

    #[test]
    fn attacks_in_the_history_are_named_and_left_out() {
        let attacks = [300..340, 900..960];
        let values = plant(1, 1500, &attacks);
        let training = Training { channels: 3, values: &values, times: None };
        let (trimmed, suspicious) = Suite::fit_trimmed(&training).unwrap();
        for attack in &attacks {
            let covered: usize =
                attack.clone().filter(|t| suspicious.iter().any(|it| it.rows.contains(t))).count();
            assert!(covered * 10 > attack.len() * 8, "{attack:?}: {suspicious:?}");
        }
        let left_out: usize = suspicious.iter().map(|it| it.rows.len()).sum();
        assert!(left_out < 250, "{suspicious:?}");
        // and the same attack is then seen, where a suite that learnt it is less surprised
        let test = plant(2, 400, core::slice::from_ref(&(200..260)));
        let mean = |suite: &Suite| {
            let mut state = suite.state();
            let all: Vec<f64> =
                test.chunks_exact(3).map(|row| state.observe(suite, None, row).surprise).collect();
            all[210..260].iter().sum::<f64>() / 50.0
        };
        let whole = Suite::fit(&training).unwrap();
        assert!(mean(&trimmed) > 1.3 * mean(&whole), "{} {}", mean(&trimmed), mean(&whole));
    }

    #[test]
    fn a_clean_history_is_kept() {
        let values = plant(5, 1500, &[]);
        let (_, suspicious) =
            Suite::fit_trimmed(&Training { channels: 3, values: &values, times: None }).unwrap();
        let left_out: usize = suspicious.iter().map(|it| it.rows.len()).sum();
        assert!(left_out < 75, "{suspicious:?}");
    }
}
