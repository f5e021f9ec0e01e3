//! What the operations page shows, as data: the page and the API's state are the same structure.

use serde::Serialize;
use twinguard::Verdicted;
use twinguard::types::{
    Action, ActionKind, Catalogue, Decision, Finding, FindingState, Severity, SignalId, Timestamp,
};

use super::{Core, Mode, Tally};
use crate::certificate::Standing;

/// Most signals on the page: those that disagree most come first.
const SIGNALS: usize = 500;
/// Texts from outside are cut here.
const TEXT: usize = 120;

/// Everything on the operations page at one time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Page {
    /// The plant's name.
    pub plant: String,
    /// Whether verdicts bind.
    pub mode: Mode,
    /// Now, seconds since 1970, UTC.
    pub at_s: f64,
    /// Signals, largest distance between field and model first.
    pub signals: Vec<SignalRow>,
    /// Signals that are not listed.
    pub signals_more: usize,
    /// Findings that are not closed, most severe first.
    pub findings: Vec<FindingRow>,
    /// Commands that wait for a person, oldest first.
    pub held: Vec<HeldRow>,
    /// The latest verdicts, newest first.
    pub verdicts: Vec<VerdictRow>,
    /// Actions that were asked for, newest first.
    pub actions: Vec<ActionRow>,
    /// Whether the gateway itself is well.
    pub health: Health,
}

/// One signal.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SignalRow {
    /// Its path.
    pub path: String,
    /// Its unit.
    pub unit: String,
    /// What the field reports.
    pub reported: Option<f64>,
    /// What the vendor's twin shows.
    pub vendor: Option<f64>,
    /// What the sealed model estimates, and its standard deviation.
    pub estimate: Option<(f64, f64)>,
    /// Distance of the report from the estimate, in standard deviations.
    pub distance: Option<f64>,
    /// The values that it can take.
    pub range: Option<(f64, f64)>,
    /// The limits next to it: lowest and highest value.
    pub limits: (Option<f64>, Option<f64>),
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FindingRow {
    /// Its number.
    pub id: u64,
    /// Its revision.
    pub revision: u32,
    /// When it was raised, seconds since 1970.
    pub raised_s: f64,
    /// 1 critical to 4 low.
    pub severity: u8,
    /// Cause and effect.
    pub title: String,
    /// What happened.
    pub summary: String,
    /// The most probable suspect and which one.
    pub suspect: String,
    /// Attack, fault, benign, undetermined.
    pub kind: &'static str,
    /// The one check that would settle most.
    pub next_step: String,
    /// Where it stands.
    pub state: FindingState,
}

/// One verdict.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VerdictRow {
    /// The command's number.
    pub command: u64,
    /// When, seconds since 1970.
    pub at_s: f64,
    /// Who asked.
    pub who: String,
    /// From where.
    pub from: Option<String>,
    /// The signal.
    pub signal: String,
    /// The value asked for.
    pub value: f64,
    /// `allow`, `clamp`, `step_up`, `hold`, `deny`.
    pub decision: &'static str,
    /// The nearest safe value, where clamped.
    pub clamped: Option<f64>,
    /// Why.
    pub why: String,
    /// Least margin to a limit, with its signal.
    pub margin: Option<(String, f64)>,
    /// The command had been sent when it was judged.
    pub already_sent: bool,
    /// Whether verdicts bind.
    pub mode: Mode,
}

/// A command that waits for a person.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HeldRow {
    /// The verdict that holds it.
    #[serde(flatten)]
    pub verdict: VerdictRow,
    /// The signal's unit.
    pub unit: String,
    /// The signal's present value, reported or estimated.
    pub now: Option<f64>,
    /// When it is denied by itself, seconds since 1970.
    pub until_s: f64,
}

/// An action that was asked for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ActionRow {
    /// Its number.
    pub id: u64,
    /// The finding that asks for it.
    pub finding: u64,
    /// When, seconds since 1970.
    pub at_s: f64,
    /// What.
    pub what: String,
    /// Why.
    pub why: String,
    /// How it is undone.
    pub undo: String,
    /// Whether it is only recommended.
    pub recommended_only: bool,
}

/// Whether the gateway itself is well.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Health {
    /// Why commands stop, while they do.
    pub trouble: Option<String>,
    /// Leaves in the journal.
    pub journal_leaves: u64,
    /// Its root.
    pub journal_root: String,
    /// Whether a seal covers the plant.
    pub sealed: bool,
    /// The guard takes what it is told as normal history.
    pub learning: bool,
    /// Seconds since the field was heard last.
    pub silent_s: Option<f64>,
    /// Fused surprise, and the one at which a finding is raised.
    pub surprise: (f64, f64),
    /// Detectors that run.
    pub detectors: u32,
    /// Certificates in use, the soonest to run out first.
    pub certificates: Vec<CertificateRow>,
    /// One-way lines that have told something.
    pub one_way: Vec<LineRow>,
    /// What was counted.
    pub tally: Tally,
}

/// A one-way line that telemetry comes by.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LineRow {
    /// Its name.
    pub name: String,
    /// Since when nothing valid has come, seconds since 1970, while that is so.
    pub silent_since_s: Option<f64>,
    /// Blocks that are lost.
    pub blocks_lost: u64,
    /// Points that were taken.
    pub points: u64,
}

/// A certificate in use.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CertificateRow {
    /// For what.
    pub of: String,
    /// Until when it is valid, seconds since 1970.
    pub not_after_s: f64,
    /// How its term stands.
    pub standing: Standing,
}

impl CertificateRow {
    /// What somebody has to do about it, if anything.
    #[must_use]
    pub fn warning(&self, now: Timestamp) -> Option<String> {
        let days = (self.not_after_s - now.as_secs_f64()) / 86_400.0;
        match self.standing {
            Standing::Good => None,
            Standing::Soon => Some(format!("the certificate of {} runs out in {days:.1} days", self.of)),
            Standing::Expired => {
                Some(format!("the certificate of {} has expired: no commands over it", self.of))
            }
        }
    }
}

/// How long a command waits for a person, in seconds; the gate's own.
const HOLD_S: f64 = 300.0;

impl LineRow {
    fn warning(&self) -> Option<String> {
        let name = &self.name;
        self.silent_since_s.map(|_| format!("one-way line `{name}` is silent: no telemetry comes by it"))
    }
}

impl Health {
    /// What somebody has to do before commands stop, and lines that telemetry does not come by.
    pub fn warnings(&self, now: Timestamp) -> impl Iterator<Item = String> + '_ {
        let certificates = self.certificates.iter().filter_map(move |row| row.warning(now));
        certificates.chain(self.one_way.iter().filter_map(LineRow::warning))
    }
}

/// The journal works again.
#[derive(Serialize)]
pub(super) struct MendedRow {
    pub(super) at_s: f64,
    /// The leaf that says what is missing.
    pub(super) leaf: u64,
}

impl Core {
    /// The page now.
    #[must_use]
    pub fn page(&self, now: Timestamp) -> Page {
        let mut signals: Vec<SignalRow> =
            self.guard.catalogue().iter().map(|(id, signal)| self.signal_row(id, signal)).collect();
        signals.sort_by(|a, b| {
            b.distance
                .unwrap_or(-1.0)
                .total_cmp(&a.distance.unwrap_or(-1.0))
                .then_with(|| a.path.cmp(&b.path))
        });
        let signals_more = signals.len().saturating_sub(SIGNALS);
        signals.truncate(SIGNALS);
        let mut findings: Vec<FindingRow> = self
            .findings
            .values()
            .filter(|finding| finding.state != FindingState::Closed)
            .map(FindingRow::of)
            .collect();
        findings.sort_by_key(|row| (row.severity, core::cmp::Reverse(row.id)));
        let catalogue = self.guard.catalogue();
        let row = |verdicted: &Verdicted| VerdictRow::of(verdicted, catalogue, self.mode);
        let held = self.held.values().map(|held| {
            let command = &held.verdicted.command;
            let signal = catalogue.signal(command.signal);
            HeldRow {
                unit: signal.map_or_else(String::new, |signal| short(&signal.unit)),
                now: self
                    .guard
                    .field(command.signal)
                    .or_else(|| self.guard.estimate(command.signal).map(|(mean, _)| mean)),
                until_s: held.verdicted.verdict.at.as_secs_f64() + HOLD_S,
                verdict: row(&held.verdicted),
            }
        });
        Page {
            plant: short(&self.guard.plant().name),
            mode: self.mode,
            at_s: now.as_secs_f64(),
            signals,
            signals_more,
            findings,
            held: held.collect(),
            verdicts: self.verdicts.iter().rev().map(|(_, verdicted)| row(verdicted)).collect(),
            actions: self.actions.iter().rev().map(|it| ActionRow::of(it, catalogue)).collect(),
            health: self.health(now),
        }
    }

    /// Whether the gateway itself is well.
    #[must_use]
    pub fn health(&self, now: Timestamp) -> Health {
        let evidence = self.guard.evidence();
        Health {
            trouble: self.trouble.clone(),
            journal_leaves: evidence.size(),
            journal_root: evidence.root().to_string(),
            sealed: self.guard.seal().is_some(),
            learning: self.guard.is_learning(),
            silent_s: self.heard.map(|at| now.since(at).as_secs_f64()),
            surprise: self.guard.surprise(),
            detectors: self.guard.detection().detectors,
            certificates: self.certificate_rows(now),
            one_way: self.lines.iter().map(|(name, line)| line.row(name)).collect(),
            tally: self.tally,
        }
    }

    fn certificate_rows(&self, now: Timestamp) -> Vec<CertificateRow> {
        let row = |(of, term): (&String, &crate::certificate::Term)| CertificateRow {
            of: short(of),
            not_after_s: term.not_after.as_secs_f64(),
            standing: term.standing(now),
        };
        let mut rows: Vec<CertificateRow> = self.certificates.iter().map(row).collect();
        rows.sort_by(|a, b| a.not_after_s.total_cmp(&b.not_after_s).then_with(|| a.of.cmp(&b.of)));
        rows
    }

    fn signal_row(&self, id: SignalId, signal: &twinguard::types::Signal) -> SignalRow {
        let reported = self.guard.field(id);
        let estimate = self.guard.estimate(id);
        let sigma = signal.sigma.unwrap_or(0.0);
        let distance = reported.zip(estimate).map(|(value, (mean, deviation))| {
            (value - mean).abs() / deviation.hypot(sigma).max(f64::MIN_POSITIVE)
        });
        let of_signal = || self.guard.plant().limits.iter().filter(|limit| limit.signal == id);
        SignalRow {
            path: short(&signal.path),
            unit: short(&signal.unit),
            reported,
            vendor: self.vendor.get(&id).map(|(value, _)| *value),
            estimate,
            distance: distance.filter(|it| it.is_finite()),
            range: signal.range.map(|range| (range.min(), range.max())),
            limits: (
                of_signal().filter_map(|it| it.min).reduce(f64::max),
                of_signal().filter_map(|it| it.max).reduce(f64::min),
            ),
        }
    }
}

impl FindingRow {
    pub(super) fn of(finding: &Finding) -> Self {
        let element = finding.suspect_element.as_ref().map_or_else(String::new, |it| format!(" {it}"));
        Self {
            id: finding.id.0,
            revision: finding.revision,
            raised_s: finding.raised_at.as_secs_f64(),
            severity: match finding.severity {
                Severity::Critical => 1,
                Severity::High => 2,
                Severity::Medium => 3,
                Severity::Low => 4,
            },
            title: short(&finding.title),
            summary: finding.summary.chars().take(1_000).collect(),
            suspect: short(&format!("{}{element}", finding.suspect.as_str())),
            kind: finding.kind.as_str(),
            next_step: finding.next_step.chars().take(1_000).collect(),
            state: finding.state,
        }
    }
}

impl VerdictRow {
    pub(super) fn of(verdicted: &Verdicted, catalogue: &Catalogue, mode: Mode) -> Self {
        let Verdicted { command, principal, verdict, already_sent } = verdicted;
        Self {
            command: command.id.0,
            at_s: verdict.at.as_secs_f64(),
            who: short(&principal.name),
            from: command.from.map(|from| from.to_string()),
            signal: short(catalogue.path(command.signal)),
            value: command.value.as_f64(),
            decision: verdict.decision.as_str(),
            clamped: match verdict.decision {
                Decision::Clamp(value) => Some(value.as_f64()),
                _ => None,
            },
            why: verdict
                .reasons
                .first()
                .map_or_else(String::new, |reason| reason.text.chars().take(400).collect()),
            margin: verdict.margin.map(|(signal, value)| (short(catalogue.path(signal)), value)),
            already_sent: *already_sent,
            mode,
        }
    }
}

impl ActionRow {
    pub(super) fn of(action: &Action, catalogue: &Catalogue) -> Self {
        let what = match &action.kind {
            ActionKind::IsolatePeer { peer } => format!("let nothing of {peer} through"),
            ActionKind::IsolateSignal { signal } => format!("do not use {}", catalogue.path(*signal)),
            ActionKind::Substitute { signal, value, .. } => {
                format!("use {value} for {}", catalogue.path(*signal))
            }
            ActionKind::Command(command) => {
                format!("{} := {}", catalogue.path(command.signal), command.value)
            }
            ActionKind::Verify { signal } => format!("read {} another way", catalogue.path(*signal)),
            ActionKind::Notify { text } => text.clone(),
            ActionKind::Release { action } => format!("end action {action}"),
            _ => "see the journal".to_owned(),
        };
        Self {
            id: action.id.0,
            finding: action.finding.0,
            at_s: action.at.as_secs_f64(),
            what: what.chars().take(400).collect(),
            why: action.reason.chars().take(400).collect(),
            undo: action.undo.chars().take(400).collect(),
            recommended_only: action.recommended_only,
        }
    }
}

fn short(text: &str) -> String {
    text.chars().take(TEXT).collect()
}
