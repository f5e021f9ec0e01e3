//! What comes in: one enum, every variant with its meaning from the start.

use twinguard_integrity::attest::Look;
use twinguard_protocol::Frame;
use twinguard_types::{
    Access, ActionId, Command, CommandId, Digest, FindingId, Intent, Outcome, Point, PrincipalId, SignalId,
    Timestamp,
};

/// Everything that a guard can be told. `now` comes beside it, in [`Guard::handle`](crate::Guard::handle).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Input<'a> {
    /// Bytes as a tap saw them.
    Frame(&'a Frame<'a>),
    /// A batch of values from any source, each with its event time, arrival time and quality.
    Points(&'a [Point]),
    /// A command to vet before it is sent; the answer is an [`Output::Verdict`](crate::Output::Verdict).
    ///
    /// With a network endpoint in `from` a proxy holds it on its way and sends it if the verdict permits that: when a frame
    /// shows it within a minute, it is not judged a second time ([`Guard::withdraw`](crate::Guard::withdraw)).
    Command(Command),
    /// A selection before a command, with the value that is to follow, held on its way like a command. It moves nothing: identity,
    /// policy and guards of kind `select` decide, the command that follows is judged by itself.
    Select(Command),
    /// What the controller or operator says it sent.
    Intent(Intent),
    /// The result of a spot check over an independent or authenticated path.
    Check(Check),
    /// Somebody logged in, connected, was refused.
    Access(Access),
    /// A person agrees to a held command.
    Approval(Approval),
    /// A model, policy or parameter file was measured while the plant runs.
    Artefact(Artefact),
    /// An attestor of the platform's own twin looked at what runs ([`twinguard_integrity::attest`]).
    Attested(Attested<'a>),
    /// A signed change of parameters.
    Recalibration(Recalibration<'a>),
    /// An action of ours was done, failed or was refused.
    Outcome(Outcome),
    /// A person deals with findings, or declares what the plant is doing.
    Operator(Operator<'a>),
    /// How a line stands that brings telemetry, as its receiver knows: what went missing and silence are findings.
    Line(LineReport<'a>),
    /// Time passed.
    Tick,
}

/// How a line stands that brings telemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineReport<'a> {
    /// Its name.
    pub name: &'a str,
    /// How it stands.
    pub standing: LineStanding,
}

/// How a line stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineStanding {
    /// Some of what it brings is missing for good.
    Lost {
        /// How many pieces so far.
        pieces: u64,
    },
    /// Nothing comes.
    Silent {
        /// Since when.
        since: Timestamp,
    },
    /// Something comes again.
    Heard,
}

/// A second reading of a signal.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Check {
    /// The signal.
    pub signal: SignalId,
    /// What the independent path said, in the signal's unit.
    pub value: f64,
    /// Standard deviation of that reading, in the same unit; 0 for an exact one.
    pub sigma: f64,
    /// When it was read.
    pub at: Timestamp,
}

/// A person's word on a held command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Approval {
    /// The held command.
    pub command: CommandId,
    /// Who approves or refuses, see [`Guard::principal`](crate::Guard::principal): never the one who asked, and somebody
    /// who may give such a command.
    pub principal: PrincipalId,
    /// Approved or refused.
    pub approved: bool,
}

/// A measurement of what runs against what was sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Artefact {
    /// The digest found now.
    pub measured: Digest,
}

/// What a look at the platform's own twin found. A part of a sweep without alarms is passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attested<'a> {
    /// The sealed digest: [`Attestor::expected`](twinguard_integrity::Attestor::expected).
    pub expected: Digest,
    /// What was measured: [`Attestor::measure`](twinguard_integrity::Attestor::measure).
    pub measured: Digest,
    /// The look.
    pub look: &'a Look,
}

/// A change of model parameters with its signature.
///
/// A C2SP signed note by a key of [`Builder::calibrator`](crate::Builder::calibrator), of these lines: `twinguard
/// recalibration v1`; `plant` and the digest of the plant file; `number` and a number above that of the change before; then
/// one line for each parameter that differs from the plant file, its name and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recalibration<'a> {
    /// The signed text.
    pub sealed: &'a [u8],
}

/// What an operator says. Every one is journalled, none trains silently.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Operator<'a> {
    /// A finding has been seen.
    Acknowledge {
        /// The finding.
        finding: FindingId,
    },
    /// A finding is put aside: until then its revisions are journalled only, and nothing is done about it, unless it comes to
    /// accuse somebody whom it did not accuse when it was put aside.
    Shelve {
        /// The finding.
        finding: FindingId,
        /// Until when.
        until: Timestamp,
    },
    /// A finding is dealt with, as a person says: what was taken is given back step by step.
    Close {
        /// The finding.
        finding: FindingId,
        /// Why.
        reason: &'a str,
    },
    /// Work is being done: findings about these signals are journalled and told only if they outlast it, and nothing is done
    /// about them.
    Maintenance {
        /// Until when.
        until: Timestamp,
        /// The signals that are worked on; none: the whole plant, and every finding is held back.
        signals: &'a [SignalId],
    },
    /// A sensor was replaced: what the old one did no longer speaks of it.
    SensorReplaced {
        /// The signal.
        signal: SignalId,
    },
    /// The plant changes its mode of operation.
    Mode {
        /// The mode's name, as in the plant file's rules.
        mode: &'a str,
    },
    /// A finding seems to be over: the sensors that it accuses are read again over an independent path, and where they tell the truth the
    /// finding is closed and what was taken for it is given back step by step.
    Recover {
        /// The finding.
        finding: FindingId,
    },
    /// An action of ours is ended by hand; the operator always wins.
    Override {
        /// The action.
        action: ActionId,
    },
}
