//! The scoreboard: what all cells come to.
//!
//! Sources: expected calibration error, M. P. Naeini et al., AAAI 2015, §2 (ten bins of equal width); Wilson's interval for
//! shares (E. B. Wilson, JASA 22, 1927); Garwood's bound for a Poisson rate (Biometrika 28, 1936): χ²₀.₉₅(2n + 2)/2.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use twinguard_twin::grid::chi_squared_quantile;
use twinguard_types::FindingKind;

use super::cell::{Cell, Naming};
use super::plan::{Plan, Sight};
use crate::Disturbance;

const WEEK_H: f64 = 168.0;

/// An attack-free run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quiet {
    /// The plant.
    pub plant: String,
    /// What the defender was shown.
    pub view: Sight,
    /// What went on.
    pub disturbance: Disturbance,
    /// Its length.
    pub samples: u64,
    /// The same in hours.
    pub hours: f64,
    /// Findings.
    pub alarms: u32,
    /// The first of them, in words.
    pub first: Vec<String>,
}

impl Quiet {
    /// Alarms per week, and the 95 % upper bound of their rate.
    #[must_use]
    pub fn per_week(&self) -> (f64, f64) {
        let weeks = (self.hours / WEEK_H).max(1e-12);
        let bound = chi_squared_quantile(2 * self.alarms as usize + 2, 0.95) / 2.0;
        (f64::from(self.alarms) / weeks, bound / weeks)
    }
}

/// So many of so many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Those that are.
    pub hits: u64,
    /// All.
    pub of: u64,
}

impl Share {
    fn count<'a>(cells: impl Iterator<Item = &'a Cell>, is: impl Fn(&Cell) -> bool) -> Self {
        cells.fold(Self::default(), |share, cell| Self {
            hits: share.hits + u64::from(is(cell)),
            of: share.of + 1,
        })
    }

    /// The share; `None` of nothing.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        (self.of > 0).then(|| self.hits as f64 / self.of as f64)
    }

    /// Wilson's 95 % interval.
    #[must_use]
    pub fn interval(&self) -> Option<(f64, f64)> {
        let share = self.value()?;
        let (n, z) = (self.of as f64, 1.959_964);
        let middle = share + z * z / (2.0 * n);
        let half = z * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt();
        let whole = 1.0 + z * z / n;
        Some((((middle - half) / whole).max(0.0), ((middle + half) / whole).min(1.0)))
    }
}

/// The headline figures of the cells of one view.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// What the defender was shown.
    pub view: Sight,
    /// Cells.
    pub cells: u64,
    /// Attacks that are possible at their plant.
    pub feasible: u64,
    /// Of these, such that could be seen.
    pub detectable: u64,
    /// Of these, seen.
    pub detected: Share,
    /// Seen before a limit would have been crossed.
    pub detected_in_time: Share,
    /// Faults seen.
    pub faults_detected: Share,
    /// Of attacks and faults seen: the party right, 30 and 100 samples after the alarm.
    pub party_right_30: Share,
    /// 100 samples after.
    pub party_right: Share,
    /// Named outright (belief of 0.8 and more).
    pub named: Share,
    /// Right when named outright.
    pub right_when_named: Share,
    /// Expected calibration error of the belief in the suspect.
    pub calibration_error: f64,
    /// Fault told from attack where the attack leaves timing or identity traces; faults count here and below.
    pub kind_right_traces: Share,
    /// The same where it leaves none; those left open count as right.
    pub kind_right_no_traces: Share,
    /// How many were left open of those.
    pub kind_open_no_traces: Share,
    /// Undetectable attacks with a finding in their window: luck, never counted as detection.
    pub undetectable_with_finding: Share,
    /// Everyday events that raised a finding, and that were called an attack.
    pub benign_alarmed: Share,
    /// Everyday events called an attack.
    pub benign_called_attack: Share,
    /// Runs in which the guard's own response did more harm beyond the limit than there would have been.
    pub made_worse: Share,
    /// Findings before attacks, all cells together, and hours of that.
    pub false_alarms: u64,
    /// Hours before attacks, all cells together.
    pub quiet_hours: f64,
    /// Techniques of ATT&CK for ICS that feasible cells showed, and those of them that were seen at least once.
    pub techniques: Share,
}

/// Everything that a campaign found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Board {
    /// The plan.
    pub plan: Plan,
    /// The cells, in the plan's order.
    pub cells: Vec<Cell>,
    /// Attack-free runs.
    pub quiet: Vec<Quiet>,
    /// The figures, by view.
    pub summaries: Vec<Summary>,
}

impl Board {
    pub(crate) fn new(plan: Plan, cells: Vec<Cell>, quiet: Vec<Quiet>) -> Self {
        let summaries = plan.views.iter().map(|view| Summary::of(&cells, *view)).collect();
        Self { plan, cells, quiet, summaries }
    }

    /// Seen and missed per technique, over the feasible detectable cells.
    #[must_use]
    pub fn techniques(&self) -> BTreeMap<&str, (u64, u64)> {
        let mut found: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for cell in self.cells.iter().filter(|cell| cell.counts()) {
            for technique in &cell.techniques {
                let entry = found.entry(technique).or_default();
                if cell.detected { entry.0 += 1 } else { entry.1 += 1 }
            }
        }
        found
    }

    /// How often each party was accused of what each party did: (who did it, who was accused) → cells.
    #[must_use]
    pub fn confusion(&self, view: Sight) -> BTreeMap<(&'static str, &'static str), u64> {
        let mut found = BTreeMap::new();
        for cell in self.cells.iter().filter(|cell| cell.key.view == view && cell.counts() && cell.detected) {
            let Some(naming) = cell.naming() else { continue };
            // A right accusation stands on the diagonal, whichever of the true parties it names.
            let truth = if cell.suspect_true.contains(&naming.suspect) {
                naming.suspect
            } else {
                cell.suspect_true.first().copied().unwrap_or(naming.suspect)
            };
            *found.entry((truth.as_str(), naming.suspect.as_str())).or_default() += 1;
        }
        found
    }
}

impl Summary {
    fn of(cells: &[Cell], view: Sight) -> Self {
        let all = || cells.iter().filter(|cell| cell.key.view == view);
        let attacks = || all().filter(|cell| cell.kind_true == FindingKind::Attack);
        let faults = || all().filter(|cell| cell.kind_true == FindingKind::Fault);
        let benign = || all().filter(|cell| cell.kind_true == FindingKind::Benign);
        let counted = || attacks().filter(|cell| cell.counts());
        let seen = || all().filter(|cell| cell.counts() && cell.detected);
        let right = |cell: &Cell, naming: Option<Naming>| {
            naming.is_some_and(|naming| naming.is_right(&cell.suspect_true, &cell.ambiguity))
        };
        let outright = |cell: &Cell| cell.confidence.is_some_and(|confidence| confidence >= Naming::OUTRIGHT);
        let leaves = |cell: &Cell| {
            use crate::Trace::{Identity, Timing};
            cell.traces.iter().any(|trace| matches!(trace, Timing | Identity))
        };
        let told = |cell: &Cell| cell.kind == Some(cell.kind_true);
        let open = |cell: &Cell| matches!(cell.kind, None | Some(FindingKind::Undetermined));
        let bare = || seen().filter(|cell| cell.kind_true == FindingKind::Fault || !leaves(cell));
        let hidden = || attacks().filter(|cell| cell.feasible && !cell.detectable);
        Self {
            view,
            cells: all().count() as u64,
            feasible: attacks().filter(|cell| cell.feasible).count() as u64,
            detectable: counted().count() as u64,
            detected: Share::count(counted(), |cell| cell.detected),
            detected_in_time: Share::count(counted(), Cell::in_time),
            faults_detected: Share::count(faults(), |cell| cell.detected),
            party_right_30: Share::count(seen(), |cell| right(cell, cell.at_30.clone())),
            party_right: Share::count(seen(), |cell| right(cell, cell.naming())),
            named: Share::count(seen(), outright),
            right_when_named: Share::count(seen().filter(|cell| outright(cell)), |cell| {
                right(cell, cell.naming())
            }),
            calibration_error: calibration_error(seen().filter_map(|cell| {
                let naming = cell.naming()?;
                Some((naming.confidence, naming.is_right(&cell.suspect_true, &cell.ambiguity)))
            })),
            kind_right_traces: Share::count(
                seen().filter(|cell| cell.kind_true == FindingKind::Attack && leaves(cell)),
                told,
            ),
            kind_right_no_traces: Share::count(bare(), |cell| told(cell) || open(cell)),
            kind_open_no_traces: Share::count(bare(), open),
            undetectable_with_finding: Share::count(hidden(), |cell| cell.detected),
            benign_alarmed: Share::count(benign(), |cell| cell.detected),
            benign_called_attack: Share::count(benign(), |cell| cell.kind == Some(FindingKind::Attack)),
            made_worse: Share::count(all().filter(|cell| cell.feasible), |cell| cell.made_worse),
            false_alarms: all().map(|cell| u64::from(cell.false_alarms)).sum(),
            quiet_hours: all().map(|cell| cell.quiet_s).sum::<f64>() / 3_600.0,
            techniques: techniques(counted()),
        }
    }
}

fn techniques<'a>(cells: impl Iterator<Item = &'a Cell>) -> Share {
    let mut seen: BTreeMap<&str, bool> = BTreeMap::new();
    for cell in cells {
        for technique in &cell.techniques {
            *seen.entry(technique).or_default() |= cell.detected;
        }
    }
    Share { hits: seen.values().filter(|seen| **seen).count() as u64, of: seen.len() as u64 }
}

/// Σ over ten bins of (cells in it / all) · |share right − mean belief|.
fn calibration_error(said: impl Iterator<Item = (f64, bool)>) -> f64 {
    let mut bins = [(0.0, 0.0, 0.0); 10];
    for (belief, right) in said {
        let bin = ((belief * 10.0) as usize).min(9);
        bins[bin].0 += 1.0;
        bins[bin].1 += belief;
        bins[bin].2 += f64::from(u8::from(right));
    }
    let all: f64 = bins.iter().map(|bin| bin.0).sum();
    let gap = |bin: &(f64, f64, f64)| if bin.0 > 0.0 { (bin.2 - bin.1).abs() } else { 0.0 };
    if all > 0.0 { bins.iter().map(gap).sum::<f64>() / all } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_their_intervals() {
        let share = Share { hits: 19, of: 20 };
        let (low, high) = share.interval().unwrap();
        // Wilson 95 %: 0.764 to 0.991 (Newcombe 1998, table I, gives 0.7639, 0.9911 for 19 of 20).
        assert!((low - 0.7639).abs() < 1e-3 && (high - 0.9911).abs() < 1e-3, "{low} {high}");
        assert_eq!(Share::default().value(), None);
    }

    #[test]
    fn rates_have_garwoods_bound() {
        let quiet = Quiet {
            plant: String::new(),
            view: Sight::All,
            disturbance: Disturbance::Calm,
            samples: 0,
            hours: 168.0,
            alarms: 0,
            first: Vec::new(),
        };
        let (rate, bound) = quiet.per_week();
        assert!(rate == 0.0 && (bound - 2.996).abs() < 1e-2, "{bound}");
    }

    #[test]
    fn belief_that_is_always_right_by_its_own_measure_has_no_error() {
        let said = (0..10).map(|turn| (0.9, turn != 0));
        assert!(calibration_error(said) < 1e-12);
        assert!((calibration_error([(0.9, false)].into_iter()) - 0.9).abs() < 1e-12);
    }
}
