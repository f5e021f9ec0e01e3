//! Two guards on the same input: which findings a change gains and loses, and how many alarms a day it costs, before it goes live.
//!
//! ```
//! use twinguard::shadow::{Shadow, Side};
//! use twinguard::types::Duration;
//!
//! let mut shadow = Shadow::new(Duration::from_secs(600));
//! # let (old_outputs, new_outputs): (Vec<twinguard::Output>, Vec<twinguard::Output>) = (vec![], vec![]);
//! old_outputs.iter().for_each(|output| shadow.hear(Side::Old, output));
//! new_outputs.iter().for_each(|output| shadow.hear(Side::New, output));
//! let change = shadow.compare(Duration::from_secs(7 * 86_400));
//! assert!(change.gained.is_empty() && change.lost.is_empty());
//! ```
//!
//! The platform runs both: it tells two guards the same and lets the shadow hear what each of them says. The new one acts on nothing: whoever runs it
//! keeps its actions to themselves.

use std::collections::BTreeMap;

use twinguard_types::{Duration, Finding, FindingId, Suspect, Timestamp};

use crate::Output;

/// Findings that are kept of each side; what comes after is counted.
const LIMIT: usize = 100_000;

/// Whose output it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The guard that is in force.
    Old,
    /// The one that might take its place.
    New,
}

/// A finding in its last revision, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Heard {
    /// When it was raised.
    pub raised_at: Timestamp,
    /// Its last revision.
    pub until: Timestamp,
    /// What it says.
    pub title: String,
    /// Whom it names.
    pub suspect_set: Vec<Suspect>,
}

/// Listens to two guards.
#[derive(Clone, Debug)]
pub struct Shadow {
    tolerance: Duration,
    old: BTreeMap<FindingId, Heard>,
    new: BTreeMap<FindingId, Heard>,
    /// Findings beyond the limit, by side.
    beyond: [u64; 2],
}

/// What a change does to the findings.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Change {
    /// Findings of both, as pairs: what the old one says, what the new one says.
    pub kept: Vec<(Heard, Heard)>,
    /// Findings of the new one alone.
    pub gained: Vec<Heard>,
    /// Findings of the old one alone.
    pub lost: Vec<Heard>,
    /// Pairs that name other suspects.
    pub renamed: u64,
    /// Findings a day, of the old one and of the new one.
    pub per_day: (f64, f64),
    /// Findings that came when there was no room, of the old one and of the new one.
    pub beyond: (u64, u64),
}

impl Shadow {
    /// Two findings are one when their times overlap, or lie within `tolerance` of each other.
    #[must_use]
    pub const fn new(tolerance: Duration) -> Self {
        Self { tolerance, old: BTreeMap::new(), new: BTreeMap::new(), beyond: [0; 2] }
    }

    /// Takes what a guard says; only findings matter.
    pub fn hear(&mut self, side: Side, output: &Output) {
        let Output::Finding(finding) = output else { return };
        let (heard, beyond) = match side {
            Side::Old => (&mut self.old, 0),
            Side::New => (&mut self.new, 1),
        };
        let Finding { id, raised_at, at, title, suspect_set, .. } = finding;
        if !heard.contains_key(id) && heard.len() == LIMIT {
            if let Some(count) = self.beyond.get_mut(beyond) {
                *count += 1;
            }
            return;
        }
        let own = Heard {
            raised_at: *raised_at,
            until: *at,
            title: title.clone(),
            suspect_set: suspect_set.clone(),
        };
        heard.insert(*id, own);
    }

    /// Pairs what was heard; `watched` is how long both watched.
    #[must_use]
    pub fn compare(&self, watched: Duration) -> Change {
        let sorted = |heard: &BTreeMap<FindingId, Heard>| {
            let mut list: Vec<Heard> = heard.values().cloned().collect();
            list.sort_by_key(|heard| heard.raised_at);
            list
        };
        let (old, mut new) = (sorted(&self.old), sorted(&self.new));
        let days = watched.as_secs_f64() / 86_400.0;
        let rate = |count: usize| if days > 0.0 { count as f64 / days } else { 0.0 };
        let mut change = Change {
            per_day: (rate(old.len()), rate(new.len())),
            beyond: (self.beyond[0], self.beyond[1]),
            ..Change::default()
        };
        for own in old {
            let overlaps = |other: &Heard| {
                other.raised_at <= own.until + self.tolerance && own.raised_at <= other.until + self.tolerance
            };
            match new.iter().position(overlaps) {
                Some(at) => {
                    let other = new.remove(at);
                    let same = own.suspect_set.iter().any(|suspect| other.suspect_set.contains(suspect));
                    change.renamed += u64::from(!same && own.suspect_set != other.suspect_set);
                    change.kept.push((own, other));
                }
                None => change.lost.push(own),
            }
        }
        change.gained = new;
        change
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(from: i64, until: i64, suspect: Suspect) -> Heard {
        Heard {
            raised_at: Timestamp::from_secs(from),
            until: Timestamp::from_secs(until),
            title: "x".to_owned(),
            suspect_set: vec![suspect],
        }
    }

    #[test]
    fn findings_are_paired_by_their_times() {
        let mut shadow = Shadow::new(Duration::from_secs(10));
        let list = |list: &[Heard]| (1..).map(FindingId).zip(list.iter().cloned()).collect();
        shadow.old = list(&[
            heard(0, 50, Suspect::Sensor),
            heard(200, 210, Suspect::Sensor),
            heard(500, 510, Suspect::Fault),
        ]);
        shadow.new = list(&[
            heard(55, 70, Suspect::Sensor),
            heard(300, 310, Suspect::Network),
            heard(505, 600, Suspect::Feed),
        ]);
        let change = shadow.compare(Duration::from_secs(43_200));
        assert_eq!((change.kept.len(), change.gained.len(), change.lost.len()), (2, 1, 1));
        assert_eq!((change.renamed, change.per_day), (1, (6.0, 6.0)));
        assert_eq!(
            (change.lost[0].raised_at, change.gained[0].raised_at),
            (Timestamp::from_secs(200), Timestamp::from_secs(300))
        );
        assert_eq!(shadow.compare(Duration::ZERO).per_day, (0.0, 0.0));
    }
}
