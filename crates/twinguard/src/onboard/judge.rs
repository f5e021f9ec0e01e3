//! How good the learnt model is on a part of the history that it never saw.
//!
//! Sources: each signal from the others by ridge regression ([`Regression`]); its 99 % interval by split conformal prediction (Vovk, Gammerman,
//! Shafer, *Algorithmic Learning in a Random World*, 2005, §2.2): the residuals of a middle part, which the regression did not see either,
//! give the interval that the last part is judged by. What is said holds as far as the last part is like the first ones.

use twinguard_anomaly::statistic::{Covariance, Gram, Grid, Quantise as _, Regression, Tally};

use super::found::compared;
use super::series::{Profile, Series};
use crate::Error;

/// Rows from which on something is judged.
const FEWEST: usize = 300;
/// Rows of each part that are looked at.
const ROWS: usize = 20_000;
/// Shares of the history: learnt from, and up to where intervals are found.
const LEARN: f64 = 0.55;
pub(super) const CALIBRATE: f64 = 0.7;
/// Share of values that an interval should hold.
const COVER: f64 = 0.99;
/// Ridge, in variances.
const RIDGE: f64 = 1e-3;
/// A lasting lie shows in one row when it is this many deviations of the regression's error.
const SHOWS: f64 = 5.0;

/// How well the other signals tell one.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Explained {
    /// Share of the variance on the last part that the others explain; below 0 when they mislead.
    pub share: f64,
    /// Share of the last part's values inside the 99 % interval.
    pub covered: f64,
    /// Half width of that interval, in the signal's unit.
    pub interval: f64,
    /// The least lasting lie that contradicts the other signals in a single row, in the signal's unit.
    pub shows_from: f64,
}

/// By column; `None` where nothing can be said.
pub(super) fn explained(series: &Series, profiles: &[Profile]) -> Result<Vec<Option<Explained>>, Error> {
    let mut judged = vec![None; series.columns.len()];
    let columns = compared(profiles);
    let rows = series.times.len();
    if columns.len() < 2 || rows < FEWEST {
        return Ok(judged);
    }
    let at = |share: f64| (rows as f64 * share) as usize;
    let (learn, calibrate) = (at(LEARN), at(CALIBRATE));
    let filled: Vec<Vec<f64>> = columns.iter().map(|column| fill(series, *column)).collect();
    let scale = |values: &Vec<f64>| {
        let profile = Profile::of(values.get(..learn).unwrap_or_default());
        (profile.mean, if profile.deviation > 0.0 { profile.deviation } else { 1.0 })
    };
    let scales: Vec<(f64, f64)> = filled.iter().map(scale).collect();
    let grid = Grid::around(scales.iter().copied())?;
    let mut tally = Tally::new(Gram::new(grid.clone(), 0)?);
    let mut row = vec![0.0; columns.len()];
    let pick = |row: &mut Vec<f64>, number: usize| {
        for (slot, values) in row.iter_mut().zip(&filled) {
            *slot = values.get(number).copied().unwrap_or(f64::NAN);
        }
    };
    for number in (0..learn).step_by(learn.div_ceil(ROWS).max(1)) {
        pick(&mut row, number);
        tally.observe(&row)?;
    }
    let model = Regression::redundancy(&Covariance::of(&tally)?, RIDGE)?;
    let sigma: Vec<f64> = model.variances().iter().map(|variance| variance.sqrt()).collect();
    let mut window = vec![0; columns.len()];
    let mut residuals = |from: usize, to: usize| -> Result<Vec<Vec<f64>>, Error> {
        let mut residuals = vec![Vec::new(); columns.len()];
        for number in (from..to).step_by((to - from).div_ceil(ROWS).max(1)) {
            pick(&mut row, number);
            if !grid.quantise(&row, &mut window)? {
                continue;
            }
            for (place, list) in residuals.iter_mut().enumerate() {
                // In the signal's unit.
                let scale =
                    scales.get(place).map_or(1.0, |scale| scale.1) * sigma.get(place).copied().unwrap_or(1.0);
                list.push(model.residual(place, &window) * scale);
            }
        }
        Ok(residuals)
    };
    let middle = residuals(learn, calibrate)?;
    let last = residuals(calibrate, rows)?;
    for (place, column) in columns.iter().enumerate() {
        let (Some(middle), Some(last)) = (middle.get(place), last.get(place)) else { continue };
        let values = filled.get(place).and_then(|values| values.get(calibrate..)).unwrap_or_default();
        if middle.is_empty() || last.is_empty() {
            continue;
        }
        let mut sizes: Vec<f64> = middle.iter().map(|residual| residual.abs()).collect();
        sizes.sort_by(f64::total_cmp);
        let rank = (((sizes.len() + 1) as f64 * COVER).ceil() as usize).clamp(1, sizes.len());
        let interval = sizes.get(rank - 1).copied().unwrap_or_default();
        let mean_square =
            |list: &[f64]| list.iter().map(|value| value * value).sum::<f64>() / list.len() as f64;
        let variance = Profile::of(values).deviation.powi(2);
        let error = mean_square(last);
        let covered = last.iter().filter(|residual| residual.abs() <= interval).count() as f64;
        if let Some(slot) = judged.get_mut(*column) {
            *slot = Some(Explained {
                share: if variance > 0.0 {
                    1.0 - error / variance
                } else {
                    f64::from(u8::from(error <= 0.0))
                },
                covered: covered / last.len() as f64,
                interval,
                shows_from: SHOWS * mean_square(middle).max(error).sqrt(),
            });
        }
    }
    Ok(judged)
}

/// A column whose holes hold the value before, or its first one.
fn fill(series: &Series, column: usize) -> Vec<f64> {
    let values = series.columns.get(column).map(Vec::as_slice).unwrap_or_default();
    let mut last = values.iter().copied().find(|value| value.is_finite()).unwrap_or_default();
    let mut hold = |value: &f64| {
        if value.is_finite() {
            last = *value;
        }
        last
    };
    values.iter().map(&mut hold).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use twinguard_types::Timestamp;

    #[test]
    fn what_the_others_tell_is_judged_on_later_rows() {
        let mut state = 7_u32;
        let mut chance = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from(state >> 8) / f64::from(1 << 24) - 0.5
        };
        let rows = 6_000;
        let (mut load, mut columns) = (0.0, vec![Vec::new(); 4]);
        for _ in 0..rows {
            load = 0.99 * load + chance();
            columns[0].push(20.0 + load + 0.1 * chance());
            columns[1].push(5.0 - 2.0 * load + 0.1 * chance());
            columns[2].push(chance());
            columns[3].push(load * 3.0 + 0.1 * chance());
        }
        let series = Series {
            names: ["a", "b", "c", "d"].map(str::to_owned).to_vec(),
            times: (0..rows).map(Timestamp::from_secs).collect(),
            columns,
            ..Series::default()
        };
        let profiles: Vec<Profile> = series.columns.iter().map(|values| Profile::of(values)).collect();
        let judged = explained(&series, &profiles).unwrap();
        let [a, _, c, _] = judged[..] else { panic!("four") };
        let (a, c) = (a.unwrap(), c.unwrap());
        assert!(a.share > 0.98 && c.share < 0.1, "{a:?} {c:?}");
        assert!((0.975..=1.0).contains(&a.covered), "{a:?}");
        // Its own noise is 0.029, and the others' add a little.
        assert!((0.1..0.3).contains(&a.shows_from), "{a:?}");
    }
}
