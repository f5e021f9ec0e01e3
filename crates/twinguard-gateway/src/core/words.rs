//! What the platform and people say through the API, as JSON, and what they are answered.

use core::net::IpAddr;

use serde::{Deserialize, Serialize};
use twinguard::types::{
    Access, AccessOutcome, ActionId, CommandId, Decision, FindingId, Label, Outcome, OutcomeResult, Point,
    Principal, PrincipalId, PrincipalKind, Quality, SignalId, Source, Timestamp, Value,
};
use twinguard::{Approval, Input, Operator};

use super::{Core, Mode, command};

/// Who speaks, as the token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// The principal; of a party of the plant file, what that file says of its kind and roles counts.
    pub principal: Principal,
    /// Whether it may speak for others.
    pub speaks_for: bool,
    /// Whether kind and roles were proved just now, and count instead of what was known of the name.
    pub proved: bool,
}

impl Who {
    /// Somebody by a name alone.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self { principal: Principal::new(name), speaks_for: false, proved: false }
    }
}

/// A value of a signal.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PointText {
    /// The signal's path.
    pub signal: String,
    /// A number or a state, in the signal's unit; absent where none could be had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Number>,
    /// Quality, good when absent.
    #[serde(default, skip_serializing_if = "is_good")]
    pub quality: Quality,
    /// Who says so, the field when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// When it held, seconds since 1970, UTC; when it arrived, if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_s: Option<f64>,
}

fn is_good(quality: &Quality) -> bool {
    *quality == Quality::Good
}

/// A number or a state.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Number {
    /// A state.
    Boolean(bool),
    /// A number.
    Real(f64),
}

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

impl Number {
    fn value(self) -> Option<Value> {
        match self {
            Self::Boolean(state) => Some(Value::Boolean(state)),
            Self::Real(number) => Value::real(number).ok(),
        }
    }
}

/// A command to vet.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandText {
    /// The signal's path.
    pub signal: String,
    /// To which value.
    pub value: Number,
    /// In whose name, for a bearer that may speak for others.
    pub principal: Option<PrincipalText>,
}

/// Somebody whom the platform knows.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrincipalText {
    /// The unique name.
    pub name: String,
    /// Kind, a person when absent.
    pub kind: Option<PrincipalKind>,
    /// Roles.
    #[serde(default)]
    pub roles: Vec<String>,
}

/// A login, a session, a read.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessText {
    /// Who.
    pub principal: PrincipalText,
    /// What, for example `login`.
    pub action: String,
    /// How it ended.
    pub outcome: AccessOutcome,
    /// From where.
    pub from: Option<IpAddr>,
}

/// How an action ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutcomeText {
    /// The action's number.
    pub action: u64,
    /// How it ended.
    pub result: OutcomeResult,
}

/// An operator's word.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case", deny_unknown_fields)]
pub enum OperatorText {
    /// A finding has been seen.
    Acknowledge {
        /// The finding.
        finding: u64,
    },
    /// A finding is put aside.
    Shelve {
        /// The finding.
        finding: u64,
        /// For so long.
        for_s: f64,
    },
    /// A finding is dealt with.
    Close {
        /// The finding.
        finding: u64,
        /// Why.
        reason: String,
    },
    /// Work is being done.
    Maintenance {
        /// For so long.
        for_s: f64,
        /// On these signals; none: the whole plant.
        #[serde(default)]
        signals: Vec<String>,
    },
    /// A sensor was replaced.
    SensorReplaced {
        /// The signal.
        signal: String,
    },
    /// The plant changes its mode of operation.
    Mode {
        /// The mode.
        mode: String,
    },
    /// An action of ours is ended by hand.
    Override {
        /// The action.
        action: u64,
    },
}

/// The answer to a command.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judged {
    /// Its number, for approvals.
    pub command: u64,
    /// `allow`, `clamp`, `step_up`, `hold`, `deny`.
    pub decision: &'static str,
    /// Whether to send something. In advisory mode this is advice.
    pub send: bool,
    /// What to send: the value asked for, or the nearest safe one.
    pub value: Option<f64>,
    /// Why, the deciding reason first.
    pub reasons: Vec<String>,
    /// Least margin to a limit in the what-if run, worst case, in the signal's unit.
    pub margin: Option<Margin>,
    /// Whether verdicts bind.
    pub mode: Mode,
    /// Where the journal holds it: leaf and root.
    pub journal: Option<Entry>,
}

/// A margin and the signal whose limit it is measured to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Margin {
    /// The signal's path.
    pub signal: String,
    /// Negative when crossed.
    pub value: f64,
}

/// A leaf of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Its index.
    pub leaf: u64,
    /// The root over all leaves up to it, hexadecimal.
    pub root: String,
}

/// Why something that was asked is not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// A word that the plant does not know, a value that cannot be.
    #[error("{0}")]
    Invalid(String),
    /// The bearer may not do this.
    #[error("{0}")]
    Forbidden(String),
    /// It was so once: the command is not held, or another one than the person saw.
    #[error("{0}")]
    Conflict(String),
    /// The guard or its journal fails.
    #[error("{0}")]
    Unguarded(String),
}

fn refuse_guard(error: &twinguard::Error) -> Refusal {
    match error {
        twinguard::Error::Integrity(_) => Refusal::Unguarded(error.to_string()),
        twinguard::Error::Gate(twinguard::gate::Error::NotHeld { .. }) => {
            Refusal::Conflict(error.to_string())
        }
        twinguard::Error::Gate(_) | twinguard::Error::UnknownPrincipal { .. } => {
            Refusal::Forbidden(error.to_string())
        }
        _ => Refusal::Invalid(error.to_string()),
    }
}

/// Longest text that is taken from outside as a name or a reason.
const TEXT: usize = 400;

fn short(what: &str, text: &str) -> Result<(), Refusal> {
    if text.is_empty() || text.len() > TEXT {
        return Err(Refusal::Invalid(format!("`{what}` must have 1 to {TEXT} bytes")));
    }
    Ok(())
}

fn duration(for_s: f64) -> Result<twinguard::types::Duration, Refusal> {
    match twinguard::types::Duration::from_secs_f64(for_s) {
        Ok(span) if !span.is_negative() => Ok(span),
        _ => Err(Refusal::Invalid("`for_s` must be a number of seconds from now".to_owned())),
    }
}

impl Core {
    /// Takes values; gives how many.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] naming the first point that is not understood; then none is taken.
    pub fn points(&mut self, now: Timestamp, texts: &[PointText]) -> Result<usize, Refusal> {
        let points: Vec<Point> = texts.iter().map(|text| self.point(now, text)).collect::<Result<_, _>>()?;
        self.tally.points += points.len() as u64;
        self.take_points(now, &points)
    }

    /// Tells the guard values that are understood.
    pub(super) fn take_points(&mut self, now: Timestamp, points: &[Point]) -> Result<usize, Refusal> {
        for point in points {
            if point.source == Source::Vendor && point.quality.is_usable() {
                self.vendor.insert(point.signal, (point.value.as_f64(), now));
            }
            if point.source == Source::Field {
                self.heard = Some(now);
            }
        }
        let came = self.tell(now, Input::Points(points));
        match came.trouble {
            // Telemetry passes whatever the journal does.
            None | Some(twinguard::Error::Integrity(_)) => Ok(points.len()),
            Some(error) => Err(refuse_guard(&error)),
        }
    }

    pub(super) fn point(&self, now: Timestamp, text: &PointText) -> Result<Point, Refusal> {
        let signal = self.signal(&text.signal)?;
        let bad = || Refusal::Invalid(format!("`{}` must be a finite number or a state", text.signal));
        let (value, quality) = match text.value {
            Some(number) => (number.value().ok_or_else(bad)?, text.quality),
            None => (Value::Integer(0), Quality::Bad),
        };
        let event_at = match text.at_s {
            Some(seconds) => Timestamp::from_secs_f64(seconds)
                .map_err(|_| Refusal::Invalid("`at_s` must be seconds since 1970".to_owned()))?,
            None => now,
        };
        let source = text.source.unwrap_or(Source::Field);
        if source == Source::Model {
            return Err(Refusal::Invalid(
                "`source` is `field` or `vendor`: the model is the guard's own".into(),
            ));
        }
        Ok(Point { signal, value, quality, source, event_at, arrived_at: now })
    }

    fn signal(&self, path: &str) -> Result<SignalId, Refusal> {
        self.guard.catalogue().id(path).ok_or_else(|| {
            // Comparing costs as much as both are long.
            let all = self.guard.catalogue().iter().filter(|_| path.len() <= TEXT);
            let near = all
                .map(|(_, signal)| (strsim::osa_distance(path, &signal.path), signal))
                .min_by_key(|(distance, _)| *distance)
                .filter(|(distance, _)| *distance <= 3);
            let hint = near.map_or_else(String::new, |(_, it)| format!(", did you mean `{}`?", it.path));
            let shown: String = path.chars().take(120).collect();
            Refusal::Invalid(format!("unknown signal `{shown}`{hint}"))
        })
    }

    /// The number of whoever speaks, or of whom it speaks for.
    fn somebody(&mut self, who: &Who, named: Option<&PrincipalText>) -> Result<PrincipalId, Refusal> {
        let principal = match named {
            None => who.principal.clone(),
            Some(named) if who.speaks_for => {
                short("principal", &named.name)?;
                let principal =
                    Principal::new(named.name.as_str()).kind(named.kind.unwrap_or(PrincipalKind::User));
                named.roles.iter().take(64).fold(principal, |it, role| it.role(role.as_str()))
            }
            Some(named) if *named.name == *who.principal.name => who.principal.clone(),
            Some(_) => {
                return Err(Refusal::Forbidden(
                    "this token does not speak for others (`speaks_for`)".to_owned(),
                ));
            }
        };
        if who.proved && named.is_none_or(|named| *named.name == *who.principal.name) {
            return self.guard.proved_principal(principal).map_err(|it| Refusal::Forbidden(it.to_string()));
        }
        self.guard.principal(principal).map_err(|error| Refusal::Invalid(error.to_string()))
    }

    /// Vets a command.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] for an unknown signal or a value that cannot be, [`Refusal::Forbidden`] for a bearer that
    /// speaks for somebody else and may not, [`Refusal::Unguarded`] when the guard or its journal fails.
    pub fn command(&mut self, now: Timestamp, who: &Who, text: &CommandText) -> Result<Judged, Refusal> {
        let signal = self.signal(&text.signal)?;
        let bad = || Refusal::Invalid("`value` must be a finite number or a state".to_owned());
        let value = text.value.value().ok_or_else(bad)?;
        let principal = self.somebody(who, text.principal.as_ref())?;
        let id = self.next_id();
        let judged = self.judge(now, command(id, principal, (signal, value), now));
        let (verdicted, receipt) = judged.map_err(Refusal::Unguarded)?;
        Ok(self.judged(&verdicted, receipt))
    }

    fn judged(&self, verdicted: &twinguard::Verdicted, receipt: Option<twinguard::types::Receipt>) -> Judged {
        let verdict = &verdicted.verdict;
        let path = |signal| self.guard.catalogue().path(signal).to_owned();
        Judged {
            command: verdict.command.0,
            decision: verdict.decision.as_str(),
            send: verdict.decision.permits(),
            value: match verdict.decision {
                Decision::Allow => Some(verdicted.command.value.as_f64()),
                Decision::Clamp(value) => Some(value.as_f64()),
                _ => None,
            },
            reasons: verdict.reasons.iter().map(|reason| reason.text.clone()).collect(),
            margin: verdict.margin.map(|(signal, value)| Margin { signal: path(signal), value }),
            mode: self.mode,
            journal: receipt.map(|it| Entry { leaf: it.leaf, root: it.root.to_string() }),
        }
    }

    /// Approves or refuses a held command. `signal` and `value` are what the person saw: another command is not meant.
    ///
    /// # Errors
    /// [`Refusal::Conflict`] for a command that is not held or is another one, [`Refusal::Forbidden`] for somebody who
    /// may not agree.
    pub fn decide(
        &mut self,
        now: Timestamp,
        who: &Who,
        id: u64,
        seen: (&str, f64),
        approved: bool,
    ) -> Result<Judged, Refusal> {
        let id = CommandId(id);
        let held =
            self.held.get(&id).ok_or_else(|| Refusal::Conflict(format!("command {id} is not held")))?;
        let command = held.verdicted.command;
        let same = self.guard.catalogue().path(command.signal) == seen.0
            && command.value.as_f64().to_bits() == seen.1.to_bits();
        if !same {
            return Err(Refusal::Conflict(format!("command {id} is another one than was seen; look again")));
        }
        let principal = self.somebody(who, None)?;
        let approval = Approval { command: id, principal, approved };
        match self.approve(now, approval) {
            Ok(Some(verdicted)) => Ok(self.judged(&verdicted, None)),
            Ok(None) => Err(Refusal::Conflict(format!("command {id} is not held"))),
            Err(error) => Err(refuse_guard(&error)),
        }
    }

    /// Takes a login or a session.
    ///
    /// # Errors
    /// [`Refusal::Invalid`], [`Refusal::Forbidden`].
    pub fn access(&mut self, now: Timestamp, who: &Who, text: &AccessText) -> Result<(), Refusal> {
        let action = Label::new(&text.action).map_err(|error| Refusal::Invalid(error.to_string()))?;
        let principal = self.somebody(who, Some(&text.principal))?;
        let access = Access { at: now, principal, action, outcome: text.outcome, from: text.from };
        self.tell(now, Input::Access(access));
        Ok(())
    }

    /// Takes how an action ended.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] for an action that the guard does not know.
    pub fn outcome(&mut self, now: Timestamp, text: OutcomeText) -> Result<(), Refusal> {
        let outcome = Outcome { action: ActionId(text.action), result: text.result, at: now };
        let came = self.tell(now, Input::Outcome(outcome));
        came.trouble.map_or(Ok(()), |error| Err(refuse_guard(&error)))
    }

    /// Takes an operator's word.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] for what the guard does not know.
    pub fn operator(&mut self, now: Timestamp, text: &OperatorText) -> Result<(), Refusal> {
        let signals: Vec<SignalId>;
        let operator = match text {
            OperatorText::Acknowledge { finding } => Operator::Acknowledge { finding: FindingId(*finding) },
            OperatorText::Shelve { finding, for_s } => {
                Operator::Shelve { finding: FindingId(*finding), until: now + duration(*for_s)? }
            }
            OperatorText::Close { finding, reason } => {
                short("reason", reason)?;
                Operator::Close { finding: FindingId(*finding), reason }
            }
            OperatorText::Maintenance { for_s, signals: paths } => {
                signals = paths.iter().map(|path| self.signal(path)).collect::<Result<_, _>>()?;
                Operator::Maintenance { until: now + duration(*for_s)?, signals: &signals }
            }
            OperatorText::SensorReplaced { signal } => {
                Operator::SensorReplaced { signal: self.signal(signal)? }
            }
            OperatorText::Mode { mode } => {
                short("mode", mode)?;
                Operator::Mode { mode }
            }
            OperatorText::Override { action } => Operator::Override { action: ActionId(*action) },
        };
        let came = self.tell(now, Input::Operator(operator));
        came.trouble.map_or(Ok(()), |error| Err(refuse_guard(&error)))
    }
}

impl Core {
    /// Somebody came with a secret that nobody holds.
    pub fn stranger(&mut self, now: Timestamp, from: IpAddr) {
        let who = Who::named(&from.to_string());
        let Ok(principal) = self.somebody(&who, None) else { return };
        let access = Access {
            at: now,
            principal,
            action: Label::literal("login"),
            outcome: AccessOutcome::Refused,
            from: Some(from),
        };
        self.tell(now, Input::Access(access));
    }
}
