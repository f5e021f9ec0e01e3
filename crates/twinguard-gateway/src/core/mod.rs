//! The guard with everything the gateway adds to it, without sockets, threads and clocks: what happens goes in with its
//! time, answers come back, and what is to be told to everybody waits in [`Core::take_news`].

pub mod iec104;
pub mod modbus;
pub mod mqtt;
pub mod noise;
pub mod oidc;
pub mod one_way;
pub mod opcua;
mod page;
mod proxy;
mod reading;
mod state;
mod succession;
mod waiting;
mod words;

use std::collections::{BTreeMap, VecDeque};

use twinguard::protocol::Family;
use twinguard::types::{
    Action, ActionKind, Command, CommandId, CommandOrigin, Decision, Duration, Finding, FindingId,
    FindingState, PrincipalId, Receipt, SignalId, Timestamp, Value,
};
use twinguard::{Approval, Guard, Input, Output, Verdicted};

use crate::certificate::Term;
pub use page::{
    ActionRow, CertificateRow, FindingRow, Health, HeldRow, LineRow, Page, SignalRow, VerdictRow,
};
pub use proxy::{Answer, Line};
pub use state::State;
pub use words::{
    AccessText, CommandText, Entry, Judged, Margin, Number, OperatorText, OutcomeText, PointText,
    PrincipalText, Refusal, Who,
};

/// Whether verdicts bind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Verdicts are told and journalled; proxies pass everything on, as if they were taps.
    Advisory,
    /// Nothing that the gate does not permit reaches the plant through the gateway.
    Enforce,
}

/// Rows of each kind that are kept for the page.
const ROWS: usize = 200;
/// Findings, actions that are kept for the page.
const KEPT: usize = 500;
/// Certificates that are kept, and how long after they have run out.
const CERTIFICATES: usize = 1_000;
const LAPSED: Duration = Duration::from_secs(7 * 86_400);
/// News that wait to be taken; older ones are dropped, the page has the state.
const NEWS: usize = 10_000;

/// Something for everybody who listens.
#[derive(Clone, Debug, PartialEq)]
pub struct News {
    /// `finding`, `verdict`, `action`; of one-way lines `gap`, `silence`, `heard`, `unreadable`; `journal` when
    /// it works again after a failure.
    pub kind: &'static str,
    /// What, as JSON text.
    pub json: String,
}

/// What the core counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Tally {
    /// Commands judged before they were sent.
    pub judged: u64,
    /// Of them allowed.
    pub allowed: u64,
    /// Of them brought to a safe value.
    pub clamped: u64,
    /// Of them held for a person, or for a stronger proof.
    pub held: u64,
    /// Of them denied.
    pub denied: u64,
    /// Commands refused because the guard or its journal failed.
    pub unguarded: u64,
    /// Findings raised.
    pub findings: u64,
    /// Points taken through the API.
    pub points: u64,
    /// Messages of proxied connections that could not be shown to the guard.
    pub unseen: u64,
}

/// One guard behind the gateway.
///
/// ```
/// use twinguard::{Guard, twin::Plant, types::Timestamp};
/// use twinguard_gateway::{Core, Mode, core::{CommandText, Who}};
///
/// let plant = "format = 1\nname = \"tank\"\n[[signal]]\npath = \"valve\"\nrole = \"actuator\"\n\
///              [[principal]]\nname = \"anna\"\nroles = [\"operator\"]\n\
///              [[rule]]\nname = \"r\"\neffect = \"allow\"\nroles = [\"operator\"]\nsignals = [\"valve\"]\nrange = [0.0, 0.5]\n";
/// let guard = Guard::builder_unsealed(Plant::parse(plant, "plant.toml")?).build()?;
/// let mut core = Core::new(guard, Mode::Enforce)?;
/// let mut ask = |value: f64| {
///     let command = CommandText { signal: "valve".to_owned(), value: value.into(), principal: None };
///     core.command(Timestamp::from_secs(1), &Who::named("anna"), &command).unwrap()
/// };
/// assert!(ask(0.4).send);
/// assert!(!ask(0.9).send);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Core {
    guard: Guard,
    mode: Mode,
    next_command: u64,
    tally: Tally,
    /// Why commands stop, while they do.
    trouble: Option<String>,
    held: BTreeMap<CommandId, Held>,
    verdicts: VecDeque<(Timestamp, Verdicted)>,
    findings: BTreeMap<FindingId, Finding>,
    actions: VecDeque<Action>,
    vendor: BTreeMap<SignalId, (f64, Timestamp)>,
    /// The latest field value of any signal.
    heard: Option<Timestamp>,
    news: VecDeque<News>,
    /// Certificates in use, by what they are used for.
    certificates: BTreeMap<String, Term>,
    /// One-way lines that have told something, by their names.
    lines: BTreeMap<String, one_way::Line>,
    proxy: proxy::Proxy,
    /// Whether commands began or ceased to wait since somebody asked.
    changed: bool,
}

/// A command that waits for a person.
#[derive(Clone, Debug)]
struct Held {
    verdicted: Verdicted,
}

/// What came of one input.
#[derive(Debug, Default)]
struct Came {
    verdicts: Vec<Verdicted>,
    receipt: Option<Receipt>,
    /// Why the input was not taken, or not kept.
    trouble: Option<twinguard::Error>,
}

impl Core {
    /// A core around a guard.
    ///
    /// # Errors
    /// What the guard's point map refuses.
    pub fn new(guard: Guard, mode: Mode) -> Result<Self, twinguard::Error> {
        Ok(Self {
            proxy: proxy::Proxy::new(&guard, &[])?,
            guard,
            mode,
            next_command: 1,
            tally: Tally::default(),
            trouble: None,
            held: BTreeMap::new(),
            verdicts: VecDeque::new(),
            findings: BTreeMap::new(),
            actions: VecDeque::new(),
            vendor: BTreeMap::new(),
            heard: None,
            news: VecDeque::new(),
            certificates: BTreeMap::new(),
            lines: BTreeMap::new(),
            changed: false,
        })
    }

    /// The same with servers of these protocols on these ports behind proxies.
    ///
    /// # Errors
    /// What the guard's point map refuses.
    pub fn with_servers(mut self, servers: &[(Family, u16)]) -> Result<Self, twinguard::Error> {
        self.proxy = proxy::Proxy::new(&self.guard, servers)?;
        Ok(self)
    }

    /// The guard.
    #[must_use]
    pub const fn guard(&self) -> &Guard {
        &self.guard
    }

    /// Whether verdicts bind.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// What was counted.
    #[must_use]
    pub const fn tally(&self) -> Tally {
        self.tally
    }

    /// Why commands stop, while they do.
    #[must_use]
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Time passed.
    pub fn tick(&mut self, now: Timestamp) {
        self.tell(now, Input::Tick);
    }

    /// When [`Core::tick`] wants to be called next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.guard.next_deadline()
    }

    /// What is to be told to everybody who listens, oldest first.
    pub fn take_news(&mut self) -> impl Iterator<Item = News> + '_ {
        self.news.drain(..)
    }

    /// Puts a policy in force beside the plant file's rules, in place of the one before; gives what the linter finds in
    /// both together, one a line. `file` is the name shown in mistakes.
    ///
    /// # Errors
    /// [`twinguard::Error::Gate`] with the place of a mistake; the one before stays in force then.
    pub fn set_policy(
        &mut self,
        now: Timestamp,
        text: &str,
        file: &str,
    ) -> Result<Vec<String>, twinguard::Error> {
        let defects = self.guard.set_policy(now, text, file)?;
        // The journal's entry is taken from the guard's queue.
        self.tell(now, Input::Tick);
        Ok(defects.iter().map(ToString::to_string).collect())
    }

    /// The roles that the policy speaks of.
    #[must_use]
    pub fn roles(&self) -> std::collections::BTreeSet<String> {
        self.guard.roles()
    }

    /// A certificate is used from now on: `of` says for what, `client anna` or `api`. Its end is forecast on the page, in the
    /// health and in the metrics.
    pub fn certificate(&mut self, now: Timestamp, of: String, term: Term) {
        if self.certificates.len() >= CERTIFICATES {
            self.certificates.retain(|_, it| now.since(it.not_after) < LAPSED);
        }
        if self.certificates.len() < CERTIFICATES || self.certificates.contains_key(&of) {
            self.certificates.insert(of, term);
        }
    }

    /// Hands what the journal took to its storage: call it now and then, so that findings last as verdicts do. A journal that failed is
    /// tried again; once it works, what is missing in it is entered, and commands are judged again.
    pub fn keep(&mut self, now: Timestamp) {
        let evidence = self.guard.evidence_mut();
        let kept = evidence.mend(now).and_then(|mended| evidence.sync().map(|()| mended));
        match kept {
            Ok(None) => {}
            Ok(Some(receipt)) => {
                self.trouble = None;
                self.say("journal", &page::MendedRow { at_s: now.as_secs_f64(), leaf: receipt.leaf });
            }
            Err(error) => self.stopped(&error.to_string()),
        }
    }

    /// Makes the journal last and leaves.
    ///
    /// # Errors
    /// [`twinguard::Error::Integrity`] from the journal's storage.
    pub fn close(&mut self) -> Result<(), twinguard::Error> {
        self.guard.evidence_mut().sync()
    }

    fn next_id(&mut self) -> CommandId {
        let id = CommandId(self.next_command);
        self.next_command += 1;
        id
    }

    /// Tells the guard something that must not fail what asked for it: telemetry passes whatever the journal does.
    fn tell(&mut self, now: Timestamp, input: Input<'_>) -> Came {
        let taken = self.guard.handle(now, input);
        let mut came = Came::default();
        while let Some(output) = self.guard.poll() {
            match output {
                Output::Finding(finding) => self.take_finding(finding),
                Output::Verdict(verdicted) => {
                    self.take_verdict(now, &verdicted);
                    came.verdicts.push(verdicted);
                }
                Output::Action(action) => self.take_action(action),
                Output::Receipt(receipt) => came.receipt = Some(receipt),
                _ => {}
            }
        }
        match taken {
            Ok(()) => {}
            Err(error) => {
                if matches!(error, twinguard::Error::Integrity(_)) {
                    self.stopped(&error.to_string());
                }
                came.trouble = Some(error);
            }
        }
        came
    }

    /// Judges a command, and makes its verdict last before anybody hears of it. A verdict that the journal does not hold
    /// is none.
    fn judge(&mut self, now: Timestamp, command: Command) -> Result<(Verdicted, Option<Receipt>), String> {
        self.judge_as(now, command, Input::Command(command))
    }

    fn judge_as(
        &mut self,
        now: Timestamp,
        command: Command,
        input: Input<'_>,
    ) -> Result<(Verdicted, Option<Receipt>), String> {
        let came = self.tell(now, input);
        self.tally.judged += 1;
        let verdict = came.verdicts.into_iter().find(|it| it.command.id == command.id);
        let kept = match came.trouble {
            Some(error) => Err(error),
            None => self.guard.evidence_mut().sync(),
        };
        match (kept, verdict) {
            (Ok(()), Some(verdicted)) => {
                self.trouble = None;
                match verdicted.verdict.decision {
                    Decision::Allow => self.tally.allowed += 1,
                    Decision::Clamp(_) => self.tally.clamped += 1,
                    Decision::Hold | Decision::StepUp => self.tally.held += 1,
                    Decision::Deny => self.tally.denied += 1,
                }
                Ok((verdicted, came.receipt))
            }
            (Ok(()), None) => Err(self.unguarded("the guard gave no verdict".to_owned())),
            (Err(error), verdicted) => {
                // What the gate let through is not sent.
                if verdicted.is_some_and(|it| it.verdict.decision.permits()) {
                    self.guard.withdraw(now, command.id);
                }
                self.held.remove(&command.id);
                Err(self.unguarded(error.to_string()))
            }
        }
    }

    fn unguarded(&mut self, why: String) -> String {
        self.tally.unguarded += 1;
        self.stopped(&why);
        why
    }

    /// Commands stop; the first reason says most.
    fn stopped(&mut self, why: &str) {
        self.trouble.get_or_insert_with(|| why.to_owned());
    }

    fn take_finding(&mut self, finding: Finding) {
        if finding.revision == 0 {
            self.tally.findings += 1;
        }
        self.say("finding", &page::FindingRow::of(&finding));
        if self.findings.len() >= KEPT && !self.findings.contains_key(&finding.id) {
            let closed = self.findings.values().find(|it| it.state == FindingState::Closed).map(|it| it.id);
            if let Some(id) = closed.or_else(|| self.findings.keys().next().copied()) {
                self.findings.remove(&id);
            }
        }
        self.findings.insert(finding.id, finding);
    }

    fn take_verdict(&mut self, now: Timestamp, verdicted: &Verdicted) {
        let id = verdicted.command.id;
        if verdicted.verdict.decision == Decision::Hold {
            self.held.insert(id, Held { verdicted: verdicted.clone() });
            self.changed = true;
        } else {
            self.changed |= self.held.remove(&id).is_some();
        }
        self.proxy.decided(now, verdicted);
        let row = page::VerdictRow::of(verdicted, self.guard.catalogue(), self.mode);
        self.say("verdict", &row);
        if self.verdicts.len() >= ROWS {
            self.verdicts.pop_front();
        }
        self.verdicts.push_back((now, verdicted.clone()));
    }

    fn take_action(&mut self, action: Action) {
        self.say("action", &page::ActionRow::of(&action, self.guard.catalogue()));
        if let ActionKind::Release { action: earlier } = action.kind {
            self.actions.retain(|it| it.id != earlier);
        }
        if self.actions.len() >= KEPT {
            self.actions.pop_front();
        }
        self.actions.push_back(action);
    }

    fn say(&mut self, kind: &'static str, record: &impl serde::Serialize) {
        // A record of numbers and texts can always be written.
        let Ok(json) = serde_json::to_string(record) else { return };
        if self.news.len() >= NEWS {
            self.news.pop_front();
        }
        self.news.push_back(News { kind, json });
    }
}

fn command(
    id: CommandId,
    principal: PrincipalId,
    (signal, value): (SignalId, Value),
    now: Timestamp,
) -> Command {
    Command { id, principal, signal, value, at: now, origin: CommandOrigin::Platform, from: None }
}

/// A person's word on a held command.
impl Core {
    fn approve(&mut self, now: Timestamp, approval: Approval) -> Result<Option<Verdicted>, twinguard::Error> {
        let came = self.tell(now, Input::Approval(approval));
        match came.trouble {
            Some(error) => Err(error),
            None => Ok(came.verdicts.into_iter().find(|it| it.command.id == approval.command)),
        }
    }
}

#[cfg(test)]
mod tests;
