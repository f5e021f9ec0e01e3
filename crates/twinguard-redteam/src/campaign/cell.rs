//! One attack on one plant under one seed, and what came of it.

use serde::{Deserialize, Serialize};
use twinguard_types::{Finding, FindingKind, FindingState, Suspect, Timestamp};

use super::plan::Sight;
use crate::{Disturbance, Family, Trace, Window};

/// Samples after the alarm at which the suspect is asked for.
pub(crate) const NAMED_AFTER: [u64; 2] = [30, 100];

/// What a cell is about: the same key, the same result.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    /// The plant.
    pub plant: String,
    /// The attack; `fault:` and `benign:` go before the plant's own incidents.
    pub attack: String,
    /// The seed.
    pub seed: u64,
    /// What goes on besides.
    pub disturbance: Disturbance,
    /// What the defender is shown.
    pub view: Sight,
}

/// Who is accused at an instant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Naming {
    /// The most probable.
    pub suspect: Suspect,
    /// All that are not told apart.
    pub suspect_set: Vec<Suspect>,
    /// Attack, fault, benign or undetermined.
    pub kind: FindingKind,
    /// Belief in the most probable.
    pub confidence: f64,
}

impl Naming {
    /// From this belief on the suspect counts as named outright.
    pub const OUTRIGHT: f64 = 0.8;

    pub(crate) fn of(finding: &Finding) -> Self {
        Self {
            suspect: finding.suspect,
            suspect_set: finding.suspect_set.clone(),
            kind: finding.kind,
            confidence: finding.confidence.first().map_or(0.0, |first| first.probability),
        }
    }

    /// Whether the party is right: it is one of those who did it, or one that was declared beforehand to be
    /// indistinguishable while one who did it is in the set.
    #[must_use]
    pub fn is_right(&self, parties: &[Suspect], ambiguity: &[Suspect]) -> bool {
        let truth_in_set = self.suspect_set.iter().any(|suspect| parties.contains(suspect));
        parties.contains(&self.suspect) || (ambiguity.contains(&self.suspect) && truth_in_set)
    }
}

/// One cell of the board.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// What it is about.
    #[serde(flatten)]
    pub key: Key,
    /// Where it stands on the board.
    pub family: Family,
    /// Techniques of ATT&CK for ICS.
    pub techniques: Vec<String>,
    /// Whether the attack is possible at this plant.
    pub feasible: bool,
    /// Whether anything of it could be seen, by theory.
    pub detectable: bool,
    /// Whether it began: what it waited for came. True where it waits for nothing.
    #[serde(default = "yes")]
    pub launched: bool,
    /// Parties that cannot be told from those who did it, declared before the run.
    pub ambiguity: Vec<Suspect>,
    /// What it leaves besides values.
    pub traces: Vec<Trace>,
    /// Whether a finding was raised while it was on.
    pub detected: bool,
    /// Seconds from its start to the finding.
    pub ttd_s: Option<f64>,
    /// Samples from its start to the finding.
    pub ttd_samples: Option<u64>,
    /// Seconds from its start until a limit is crossed when nobody guards; `None`: not within the window.
    pub damage_s: Option<f64>,
    /// Who is accused 100 samples after the alarm.
    pub suspect: Option<Suspect>,
    /// All that are not told apart then.
    pub suspect_set: Vec<Suspect>,
    /// Belief in the suspect.
    pub confidence: Option<f64>,
    /// Who did it: any of these is right.
    pub suspect_true: Vec<Suspect>,
    /// What the finding says it is.
    pub kind: Option<FindingKind>,
    /// What it is.
    pub kind_true: FindingKind,
    /// The same 30 samples after the alarm.
    pub at_30: Option<Naming>,
    /// Largest deviation of the judged signal from an untouched run, in its unit, with the guard.
    pub max_deviation: f64,
    /// The same without a guard.
    pub max_deviation_unguarded: f64,
    /// Largest share of the way from the untouched run to the limit that the judged signal was driven, with the guard; 1 at
    /// the limit.
    #[serde(default)]
    pub impact: f64,
    /// Share of the harm beyond the limit (excess × time) that the guard prevented; `None`: there was none.
    pub damage_prevented: Option<f64>,
    /// Whether the harm beyond the limit is larger with the guard than without: its response did that.
    #[serde(default)]
    pub made_worse: bool,
    /// Findings before the attack.
    pub false_alarms: u32,
    /// Seconds before the attack.
    pub quiet_s: f64,
    /// The same as a rate; coarse in a single cell.
    pub false_alarms_per_week: f64,
    /// Detectors behind the finding, loudest first.
    pub detectors: Vec<String>,
    /// The loudest fused surprise while the attack was on, and the alarm line.
    pub loudest: Option<(f64, f64)>,
    /// Why it was missed, in words.
    pub missed: Option<String>,
}

fn yes() -> bool {
    true
}

impl Cell {
    /// Whether it counts for detection.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.feasible && self.detectable && self.launched && self.kind_true != FindingKind::Benign
    }

    /// Whether it was seen before a limit would have been crossed.
    #[must_use]
    pub fn in_time(&self) -> bool {
        self.detected && self.damage_s.is_none_or(|damage| self.ttd_s.is_some_and(|seen| seen < damage))
    }

    /// Who was accused 100 samples after the alarm.
    #[must_use]
    pub fn naming(&self) -> Option<Naming> {
        Some(Naming {
            suspect: self.suspect?,
            suspect_set: self.suspect_set.clone(),
            kind: self.kind?,
            confidence: self.confidence.unwrap_or(0.0),
        })
    }
}

/// Follows the findings of a run.
#[derive(Debug)]
pub(crate) struct Watch {
    window: Option<Window>,
    /// Time of the two namings after the alarm.
    waits: [twinguard_types::Duration; 2],
    pub(crate) false_alarms: u32,
    pub(crate) first: Option<Timestamp>,
    id: Option<twinguard_types::FindingId>,
    pub(crate) namings: [Option<Naming>; 2],
    pub(crate) detectors: Vec<String>,
    /// A finding of before was still open when the attack began.
    pub(crate) occupied: bool,
    open: std::collections::BTreeSet<twinguard_types::FindingId>,
}

impl Watch {
    pub(crate) fn new(window: Option<Window>, sample: twinguard_types::Duration) -> Self {
        let wait = |samples: u64| {
            let samples = i64::try_from(samples).unwrap_or(i64::MAX);
            twinguard_types::Duration::from_nanos(sample.as_nanos().saturating_mul(samples))
        };
        Self {
            window,
            waits: NAMED_AFTER.map(wait),
            false_alarms: 0,
            first: None,
            id: None,
            namings: [None, None],
            detectors: Vec::new(),
            occupied: false,
            open: Default::default(),
        }
    }

    /// An attack that waited has begun.
    pub(crate) fn open(&mut self, window: Option<Window>) {
        self.window = window;
    }

    pub(crate) fn take(&mut self, finding: &Finding) {
        let during = self.window.is_some_and(|window| window.contains(finding.raised_at));
        let before = self.window.is_none_or(|window| finding.raised_at < window.start);
        if finding.state == FindingState::Closed {
            self.open.remove(&finding.id);
        } else {
            self.open.insert(finding.id);
        }
        if before {
            self.false_alarms += u32::from(finding.revision == 0);
            self.occupied |= self.window.is_some_and(|window| window.contains(finding.at))
                && finding.state != FindingState::Closed;
            return;
        }
        if !during {
            return;
        }
        let first = *self.first.get_or_insert(finding.raised_at);
        if *self.id.get_or_insert(finding.id) != finding.id || finding.state == FindingState::Closed {
            return;
        }
        for (wait, naming) in self.waits.iter().zip(&mut self.namings) {
            if naming.is_none() || finding.at.since(first) <= *wait {
                *naming = Some(Naming::of(finding));
            }
        }
        if finding.at.since(first) <= self.waits[1] {
            let passed = finding.evidence.iter().filter(|it| it.surprise >= it.threshold);
            self.detectors = passed.map(|it| it.detector.clone()).collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naming(suspect: Suspect, set: &[Suspect]) -> Naming {
        Naming { suspect, suspect_set: set.to_vec(), kind: FindingKind::Attack, confidence: 0.9 }
    }

    #[test]
    fn an_ambiguity_has_to_be_declared_and_to_hold_the_truth() {
        let sensor = [Suspect::Sensor];
        assert!(naming(Suspect::Sensor, &[Suspect::Sensor]).is_right(&sensor, &[]));
        assert!(!naming(Suspect::Fault, &[Suspect::Fault, Suspect::Sensor]).is_right(&sensor, &[]));
        assert!(
            naming(Suspect::Fault, &[Suspect::Fault, Suspect::Sensor]).is_right(&sensor, &[Suspect::Fault])
        );
        assert!(!naming(Suspect::Fault, &[Suspect::Fault]).is_right(&sensor, &[Suspect::Fault]));
    }
}
