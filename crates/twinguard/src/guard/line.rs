//! Lines that bring telemetry: what went missing on them is a finding, and so is their silence.
//!
//! No detector weighs it: whoever receives a line counts its pieces and knows. For each line one finding of either kind is open at
//! a time.

use twinguard_types::{
    Confidence, Digest, Duration, Finding, FindingId, FindingKind, FindingState, Severity, Suspect, Timestamp,
};

use super::Guard;
use crate::{LineReport, LineStanding};

/// Findings of lines are numbered from here on, beyond those of the judge; every reader of JSON keeps such numbers exactly.
const LINES: u64 = 1 << 52;
/// Numbers that are missing in a sequence are no matter of chance: as for a broken seal, beyond any threshold.
const CERTAIN: f64 = 12.0;
/// More that went missing is told again after so long, not each time.
const AGAIN: Duration = Duration::from_secs(60);
/// Longest name in a title, in characters.
const NAME: usize = 30;

impl Guard {
    pub(super) fn line(&mut self, now: Timestamp, line: LineReport<'_>) {
        let name: String = line.name.chars().take(NAME).collect();
        let silent = format!("line {name} is silent");
        let (title, summary, severity, onset) = match line.standing {
            LineStanding::Lost { pieces } => (
                format!("line {name} lost telemetry"),
                format!(
                    "{pieces} pieces of what line {name} brings are missing so far, and are not sent again."
                ),
                Severity::Medium,
                now,
            ),
            LineStanding::Silent { since } => (
                silent,
                format!("Nothing has come by line {name} since {} s.", since.as_secs_f64()),
                Severity::High,
                since,
            ),
            LineStanding::Heard => {
                // What went missing stays missing.
                if let Some(open) = self.open_line_finding(line.name, &silent) {
                    self.heard(now, open, &name);
                }
                return;
            }
        };
        let open = self.open_line_finding(line.name, &title);
        if open.as_ref().is_some_and(|open| now.since(open.at) < AGAIN) {
            return;
        }
        let mut inputs = blake3::Hasher::new();
        if let Some(open) = &open {
            inputs.update(&open.inputs.0);
        }
        inputs.update(&now.as_nanos().to_le_bytes());
        inputs.update(summary.as_bytes());
        let first = open.as_ref();
        let finding = Finding {
            id: first.map_or_else(|| self.next_line_finding(now), |it| it.id),
            revision: first.map_or(0, |it| it.revision + 1),
            at: now,
            raised_at: first.map_or(now, |it| it.raised_at),
            onset: first.map_or(onset, |it| it.onset),
            severity,
            title,
            summary,
            suspect: Suspect::Network,
            suspect_element: Some(line.name.to_owned()),
            suspect_set: vec![Suspect::Network],
            // A cut cable, a full link, and somebody who drops what should not be seen look alike from here.
            kind: FindingKind::Undetermined,
            confidence: vec![Confidence { suspect: Suspect::Network, probability: 1.0 }],
            surprise: CERTAIN,
            threshold: 0.0,
            attribution: Vec::new(),
            evidence: Vec::new(),
            reasons: Vec::new(),
            techniques: Vec::new(),
            next_step: "look at the line and at its sender; read what it brings over another path".to_owned(),
            missing: Vec::new(),
            inputs: Digest(*inputs.finalize().as_bytes()),
            inputs_count: first.map_or(1, |it| it.inputs_count + 1),
            state: first.map_or(FindingState::Open, |it| it.state),
        };
        self.emit_finding(finding);
    }

    /// The finding of this line that is open under this title.
    fn open_line_finding(&self, name: &str, title: &str) -> Option<Finding> {
        let of_this = |it: &&Finding| {
            it.id.0 >= LINES
                && it.state != FindingState::Closed
                && it.suspect_element.as_deref() == Some(name)
                && it.title == title
        };
        self.findings.values().rev().find(of_this).cloned()
    }

    /// Something comes again: the silence is over.
    fn heard(&mut self, now: Timestamp, open: Finding, name: &str) {
        let lasted = now.since(open.onset).as_secs_f64();
        let summary = format!("Line {name} is heard again, after {lasted:.1} s.");
        let (revision, state) = (open.revision + 1, FindingState::Closed);
        self.emit_finding(Finding { revision, at: now, summary, state, ..open });
    }

    /// By the time, so that a number that was forgotten is not given again.
    fn next_line_finding(&self, now: Timestamp) -> FindingId {
        let millis = now.as_nanos().div_euclid(1_000_000).rem_euclid(1 << 51) as u64;
        let mut id = FindingId(LINES + millis);
        while self.findings.contains_key(&id) {
            id.0 += 1;
        }
        id
    }
}

#[cfg(test)]
mod tests {
    use twinguard_twin::Plant;

    use super::*;
    use crate::{Input, Output};

    #[test]
    fn a_line_that_fails_is_one_finding_that_ends_when_nothing_is_missing() {
        let plant =
            Plant::parse("format = 1\nname = \"p\"\n[[signal]]\npath = \"level\"\n", "plant.toml").unwrap();
        let mut guard = Guard::builder_unsealed(plant).build().unwrap();
        let at = Timestamp::from_secs;
        let mut tell = |now, name, standing| {
            guard.handle(now, Input::Line(LineReport { name, standing })).unwrap();
            let findings = std::iter::from_fn(|| guard.poll()).filter_map(|output| match output {
                Output::Finding(finding) => Some(finding),
                _ => None,
            });
            findings.collect::<Vec<_>>()
        };
        let [silent] = tell(at(30), "north", LineStanding::Silent { since: at(20) }).try_into().unwrap();
        assert_eq!(
            (silent.title.as_str(), silent.revision, silent.onset),
            ("line north is silent", 0, at(20))
        );
        let [other] = tell(at(30), "south", LineStanding::Lost { pieces: 2 }).try_into().unwrap();
        assert!(other.id != silent.id && other.severity == Severity::Medium);
        let [over] = tell(at(31), "north", LineStanding::Heard).try_into().unwrap();
        assert_eq!((over.id, over.revision, over.state), (silent.id, 1, FindingState::Closed));
        assert!(tell(at(32), "south", LineStanding::Lost { pieces: 3 }).is_empty(), "not each time");
        let [more] = tell(at(100), "south", LineStanding::Lost { pieces: 4 }).try_into().unwrap();
        assert_eq!((more.id, more.revision, more.inputs_count), (other.id, 1, 2));
        assert!(more.summary.starts_with("4 pieces"));
        assert!(tell(at(101), "south", LineStanding::Heard).is_empty(), "what is missing stays missing");
        let [again] = tell(at(200), "north", LineStanding::Silent { since: at(190) }).try_into().unwrap();
        assert_eq!(again.revision, 0, "another silence is another finding");
    }
}
