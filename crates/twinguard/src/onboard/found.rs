//! What hangs together in a history: signals that tell of each other, operating modes, the time of day.

use std::collections::BTreeMap;

use super::series::{Profile, Series, Shape};

/// Signals that are compared with each other; what comes after is not.
pub(super) const COMPARED: usize = 256;
/// Rows that are looked at.
const ROWS: usize = 5_000;
/// Correlation from which on two signals tell of each other.
const TOGETHER: f64 = 0.9;
/// Signals of few values whose joint state is a mode.
const SWITCHES: usize = 8;
/// Modes that are told, and the least share of the time that makes one.
const MODES: usize = 12;
const LEAST: f64 = 0.01;

/// Signals each of which tells much of the others.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Group {
    /// Paths.
    pub signals: Vec<String>,
    /// The least correlation, without its sign, that holds the group together.
    pub correlation: f64,
}

/// A state of all switches together that took up much of the time.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Mode {
    /// Each switch and its value.
    pub state: Vec<(String, f64)>,
    /// Share of the time.
    pub share: f64,
}

/// Columns by how they are compared, at most [`COMPARED`].
pub(super) fn compared(profiles: &[Profile]) -> Vec<usize> {
    let usable = |profile: &Profile| {
        matches!(profile.shape, Shape::Binary | Shape::Levels | Shape::Continuous) && profile.missing() < 0.5
    };
    let columns = (0..profiles.len()).filter(|at| profiles.get(*at).is_some_and(usable));
    columns.take(COMPARED).collect()
}

pub(super) fn groups(series: &Series, profiles: &[Profile], rows: usize) -> Vec<Group> {
    let columns: Vec<usize> = compared(profiles)
        .into_iter()
        .filter(|at| profiles.get(*at).is_some_and(|profile| profile.shape == Shape::Continuous))
        .collect();
    let step = rows.div_ceil(ROWS).max(1);
    let standard: Vec<Vec<f64>> = columns
        .iter()
        .map(|at| {
            let (values, profile) = (series.columns.get(*at), profiles.get(*at));
            let scale = profile.map_or(1.0, |profile| profile.deviation.max(f64::MIN_POSITIVE));
            let mean = profile.map_or(0.0, |profile| profile.mean);
            let picked = values.into_iter().flatten().take(rows).step_by(step);
            picked.map(|value| (value - mean) / scale).collect()
        })
        .collect();
    let correlation = |a: &[f64], b: &[f64]| {
        let pairs = a.iter().zip(b).filter(|(a, b)| a.is_finite() && b.is_finite());
        let (sum, count) = pairs.fold((0.0, 0_u32), |(sum, count), (a, b)| (sum + a * b, count + 1));
        if count > 100 { (sum / f64::from(count)).abs().min(1.0) } else { 0.0 }
    };
    // Each signal belongs to the group of its first fellow.
    let mut group: Vec<usize> = (0..columns.len()).collect();
    let mut weakest: BTreeMap<usize, f64> = BTreeMap::new();
    for (at, own) in standard.iter().enumerate() {
        for (other, values) in standard.iter().enumerate().take(at) {
            let strength = correlation(own, values);
            let (Some(mine), Some(theirs)) = (group.get(at).copied(), group.get(other).copied()) else {
                continue;
            };
            if strength < TOGETHER || mine == theirs {
                continue;
            }
            let both =
                [mine, theirs].iter().filter_map(|group| weakest.remove(group)).fold(strength, f64::min);
            group.iter_mut().filter(|group| **group == mine).for_each(|group| *group = theirs);
            weakest.insert(theirs, both);
        }
    }
    let mut groups = Vec::new();
    for (number, correlation) in weakest {
        let members = columns.iter().zip(&group).filter(|(_, group)| **group == number);
        let signals = members.filter_map(|(at, _)| series.names.get(*at).cloned()).collect();
        groups.push(Group { signals, correlation });
    }
    groups
}

/// The columns whose values make up the mode.
pub(super) fn switches(profiles: &[Profile]) -> Vec<usize> {
    let switch = |profile: &Profile| {
        let few =
            profile.shape == Shape::Binary || (profile.shape == Shape::Levels && profile.levels.len() <= 4);
        few && profile.missing() < 0.1
    };
    let columns = (0..profiles.len()).filter(|at| profiles.get(*at).is_some_and(switch));
    columns.take(SWITCHES).collect()
}

/// How often each joint state of the switches came.
pub(super) fn states(
    series: &Series,
    switches: &[usize],
    rows: core::ops::Range<usize>,
) -> BTreeMap<Vec<u64>, u64> {
    let mut states = BTreeMap::new();
    for row in rows {
        let value = |at: &usize| series.columns.get(*at)?.get(row).copied().filter(|value| value.is_finite());
        // Where one is missing the mode is unknown.
        if let Some(state) = switches.iter().map(value).collect::<Option<Vec<f64>>>() {
            // As bits, which have an order; both zeros are one value.
            let bits = state.iter().map(|value| (value + 0.0).to_bits()).collect::<Vec<u64>>();
            *states.entry(bits).or_insert(0) += 1;
        }
    }
    states
}

pub(super) fn modes(series: &Series, switches: &[usize], states: &BTreeMap<Vec<u64>, u64>) -> Vec<Mode> {
    if switches.is_empty() {
        return Vec::new();
    }
    let total: u64 = states.values().sum();
    let mut modes: Vec<Mode> = states
        .iter()
        .map(|(bits, count)| {
            let name = |at: &usize| series.names.get(*at).cloned().unwrap_or_default();
            let state =
                switches.iter().map(name).zip(bits.iter().map(|bits| f64::from_bits(*bits))).collect();
            Mode { state, share: *count as f64 / total.max(1) as f64 }
        })
        .filter(|mode| mode.share >= LEAST)
        .collect();
    modes.sort_by(|a, b| b.share.total_cmp(&a.share));
    modes.truncate(MODES);
    modes
}

/// Share of a column's variance that the hour of the day explains; `None` for less than three days.
pub(super) fn daily(series: &Series, column: usize, rows: usize) -> Option<f64> {
    const DAY_S: i64 = 86_400;
    if !series.has_times || series.span().as_secs_f64() < (3 * DAY_S) as f64 {
        return None;
    }
    let values = series.columns.get(column)?;
    let mut hours = [(0.0, 0.0); 24];
    let (mut sum, mut square, mut count) = (0.0, 0.0, 0.0);
    let shift = values.iter().find(|value| value.is_finite())?;
    for (at, value) in series.times.iter().zip(values).take(rows).filter(|(_, value)| value.is_finite()) {
        let value = value - shift;
        let hour = at.as_nanos().div_euclid(3_600_000_000_000).rem_euclid(24);
        if let Some((own, n)) = usize::try_from(hour).ok().and_then(|hour| hours.get_mut(hour)) {
            (*own, *n) = (*own + value, *n + 1.0);
        }
        (sum, square, count) = (sum + value, square + value * value, count + 1.0);
    }
    let total = square - sum * sum / count;
    let between: f64 = hours.iter().filter(|(_, n)| *n > 0.0).map(|(own, n)| own * own / n).sum();
    (total > 0.0).then(|| ((between - sum * sum / count) / total).clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use twinguard_types::Timestamp;

    #[test]
    fn groups_modes_and_the_time_of_day_are_found() {
        let rows = 24 * 5 * 6;
        let wave = |at: usize| (core::f64::consts::TAU * at as f64 / 144.0).sin();
        let odd = |at: usize| (at * 7919 % 101) as f64;
        let columns: Vec<Vec<f64>> = vec![
            (0..rows).map(wave).collect(),
            (0..rows).map(|at| 5.0 - 2.0 * wave(at)).collect(),
            (0..rows).map(odd).collect(),
            (0..rows).map(|at| f64::from(u8::from(at % 144 < 36))).collect(),
        ];
        let series = Series {
            names: ["a", "b", "c", "pump"].map(str::to_owned).to_vec(),
            times: (0..rows as i64).map(|at| Timestamp::from_secs(at * 600)).collect(),
            columns,
            has_times: true,
            ..Series::default()
        };
        let profiles: Vec<Profile> = series.columns.iter().map(|values| Profile::of(values)).collect();
        let groups = groups(&series, &profiles, rows);
        assert_eq!(groups.len(), 1);
        assert_eq!(groups[0].signals, ["a", "b"]);
        let switches = switches(&profiles);
        let states = states(&series, &switches, 0..rows);
        let modes = modes(&series, &switches, &states);
        assert_eq!(modes[0].state, [("pump".to_owned(), 0.0)]);
        assert!((modes[0].share - 0.75).abs() < 1e-9);
        assert!(daily(&series, 0, rows).unwrap() > 0.9 && daily(&series, 2, rows).unwrap() < 0.2);
    }
}
