//! The wiring: the one place that knows every floor below.

mod reload;
mod snapshot;

use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use twinguard_gate::Gate;
use twinguard_protocol::{Stack, point_map::PointMap, stack};
use twinguard_response::{Playbook, Responder, Situation};
use twinguard_twin::Plant;
use twinguard_types::{
    Access, Action, ActionId, ActionKind, Attestation, AttestationOutcome, Catalogue, Command, CommandId,
    CommandOrigin, Decision, Digest, Duration, Event, Finding, FindingId, FindingState, Intent, Outcome,
    OutcomeResult, Point, Principal, PrincipalId, PrincipalKind, Principals, Role, SignalId, Source, Stage,
    Suspect, Symptom, Timestamp, Verdict, View,
};

use crate::evidence::{Evidence, JournalStorage, Seal};
use crate::sense::{OPTIONAL_VIEWS, Senses};
use crate::{Approval, Artefact, Check, Config, Error, Input, Operator, Output, Recalibration, Verdicted};

/// Name under which our own commands are issued.
const OWN_NAME: &str = "twinguard";
/// Peers remembered as offenders.
const OFFENDER_LIMIT: usize = 256;
/// Numbers from here on are given by the guard, to what it sees on the wire and to what it asks for; a
/// platform counts below. Every reader of JSON keeps such numbers exactly.
pub(crate) const OWN_COMMANDS: u64 = 1 << 52;
/// How long after we asked for a command it may show up on the wire, and how exactly (wire types round).
const OWN_WINDOW: Duration = Duration::from_secs(60);
const OWN_TOLERANCE: f64 = 1e-3;
/// How far before a finding's onset an offence still belongs to it.
const BEFORE_ONSET: Duration = Duration::from_secs(120);

/// Watches one plant: takes what happens, gives findings, verdicts, actions and receipts.
///
/// Sans-IO: it reads no clock, no file, no socket; the same inputs in the same order give the same outputs, bit for bit.
/// `Send`, so that a platform may move it between threads.
#[derive(Debug)]
pub struct Guard {
    pub(crate) config: Config,
    plant: Plant,
    seal: Option<Seal>,
    now: Option<Timestamp>,
    stack: Stack,
    point_map: PointMap,
    events: Vec<Event<'static>>,
    senses: Senses,
    gate: Gate,
    responder: Playbook,
    evidence: Evidence,
    outputs: VecDeque<Output>,
    principals: Principals,
    own: PrincipalId,
    next_command: u64,
    offenders: VecDeque<(Timestamp, IpAddr)>,
    actions: BTreeMap<ActionId, ActionKind>,
    distrusted: BTreeMap<SignalId, FindingId>,
    shelved: BTreeMap<FindingId, Timestamp>,
    findings: BTreeMap<FindingId, Finding>,
    maintenance: Option<Timestamp>,
    views: BTreeSet<View>,
    counters: Counters,
    /// Commands of ours that may show up on the wire.
    sent: Vec<(Timestamp, SignalId, f64)>,
    /// Whether the journal says how this guard started.
    started: bool,
}

/// What a guard counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Counters {
    /// Frames taken.
    pub frames: u64,
    /// Field points taken, from frames and batches.
    pub points: u64,
    /// Commands seen on the wire.
    pub commands: u64,
    /// Odd bytes seen.
    pub malformed: u64,
    /// Inputs whose time lay before an earlier input's; they were taken at the later time.
    pub clamped: u64,
    /// Revisions of findings that were replaced by newer ones before they were polled.
    pub coalesced: u64,
    /// Times that this guard went on from a snapshot; each time the sessions on the wire were met anew.
    pub restored: u64,
}

impl Guard {
    pub(crate) fn assemble(
        plant: Plant,
        seal: Option<Seal>,
        config: Config,
        learn_for: Option<Duration>,
    ) -> Result<Self, Error> {
        if config.queue == 0 {
            return Err(Error::Setting { key: "queue", value: "0".to_owned(), must: "positive" });
        }
        let point_map = if plant.bindings.is_empty() && plant.catalogue.is_empty() {
            PointMap::discover(config.discover)
        } else {
            PointMap::new(&plant.bindings)?
        };
        let mut principals = Principals::new();
        let own = principals.intern(Principal::new(OWN_NAME).kind(PrincipalKind::Guard)).unwrap_or_default();
        let gate = Gate::new(&plant, config.gate.clone())?;
        let responder = Playbook::new(plant.safe_state.clone(), config.autonomy)?;
        let senses = Senses::new(&plant, &config, learn_for)?;
        let evidence = Evidence::open(None)?;
        Ok(Self {
            config,
            plant,
            seal,
            now: None,
            stack: Stack::new(stack::Config::default()),
            point_map,
            events: Vec::new(),
            senses,
            gate,
            responder,
            evidence,
            outputs: VecDeque::new(),
            principals,
            own,
            next_command: OWN_COMMANDS,
            offenders: VecDeque::new(),
            actions: BTreeMap::new(),
            distrusted: BTreeMap::new(),
            shelved: BTreeMap::new(),
            findings: BTreeMap::new(),
            maintenance: None,
            views: BTreeSet::new(),
            counters: Counters::default(),
            sent: Vec::new(),
            started: false,
        })
    }

    /// Takes one input. Answers wait in [`Guard::poll`].
    ///
    /// `now` is the time of arrival; one that lies before an earlier input's is taken as that one's and counted.
    ///
    /// # Errors
    /// What an input asks of the guard and cannot be done (an approval of a command that is not held, an unknown finding);
    /// odd bytes are no error but an event.
    pub fn handle(&mut self, now: Timestamp, input: Input<'_>) -> Result<(), Error> {
        let now = self.clamp(now);
        if !self.started && !self.senses.is_learning() {
            self.started = true;
            let Self { evidence, plant, seal, config, .. } = self;
            evidence.start(now, &plant.name, plant.digest, *seal, config)?;
        }
        self.advance(now)?;
        match input {
            Input::Frame(frame) => {
                self.counters.frames += 1;
                self.views.insert(View::Wire);
                self.stack.handle(frame);
                self.drain(now)?;
            }
            Input::Points(points) => {
                for point in points {
                    self.point(point);
                }
            }
            Input::Command(command) => self.vet(now, command)?,
            Input::Intent(intent) => {
                self.views.insert(View::ControllerJournal);
                self.senses.sense(&Event::Intent(intent));
            }
            Input::Check(check) => self.check(now, &check)?,
            Input::Access(access) => self.access(&access),
            Input::Approval(approval) => self.approve(now, approval)?,
            Input::Artefact(artefact) => self.artefact(now, artefact)?,
            Input::Recalibration(delta) => self.recalibrate(now, delta)?,
            Input::Outcome(outcome) => self.outcome(outcome)?,
            Input::Operator(operator) => self.operator(now, operator)?,
            Input::Tick => self.senses.sense(&Event::Tick(now)),
        }
        self.decide(now)
    }

    /// The next answer, in the order in which it was decided.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When the guard wants to be told the time again (an [`Input::Tick`] will do), if nothing else happens.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        [self.responder.next_deadline(), self.gate.next_deadline(), self.stack.next_deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// The model's own estimate of a signal and its standard deviation, where there is a model.
    ///
    /// Signals that a finding accuses no longer enter it: it is the virtual sensor for them.
    #[must_use]
    pub fn estimate(&self, signal: SignalId) -> Option<(f64, f64)> {
        self.senses
            .twin()
            .and_then(|twin| twin.estimate(signal))
            .map(|estimate| (estimate.mean, estimate.sigma))
    }

    /// The signals: those of the plant file, or those found in traffic.
    #[must_use]
    pub fn catalogue(&self) -> &Catalogue {
        self.point_map.catalogue().filter(|found| !found.is_empty()).unwrap_or(&self.plant.catalogue)
    }

    /// The plant.
    #[must_use]
    pub fn plant(&self) -> &Plant {
        &self.plant
    }

    /// What the plant's seal said; `None` for a plant that was loaded unsealed.
    #[must_use]
    pub fn seal(&self) -> Option<Seal> {
        self.seal
    }

    /// What was counted.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The journal and what proves it.
    #[must_use]
    pub fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// The same, to sign checkpoints with.
    pub fn evidence_mut(&mut self) -> &mut Evidence {
        &mut self.evidence
    }

    /// The latest fused surprise and the one at which a finding is raised.
    #[must_use]
    pub fn surprise(&self) -> (f64, f64) {
        self.senses.surprise()
    }

    /// How the detectors stand.
    #[must_use]
    pub fn detection(&self) -> crate::sense::DetectionReport {
        self.senses.report()
    }

    /// Whether the guard still takes what it is told as normal history.
    #[must_use]
    pub fn is_learning(&self) -> bool {
        self.senses.is_learning()
    }

    /// Ends learning: fits the detectors to what was told so far, and starts watching with fresh sessions and twin.
    ///
    /// # Errors
    /// Whatever the detectors refuse.
    pub fn finish_learning(&mut self) -> Result<(), Error> {
        if !self.senses.is_learning() {
            return Ok(());
        }
        let catalogue = self.catalogue().clone();
        self.senses.finish_learning(&self.plant, &self.config, &catalogue, true)?;
        self.stack = Stack::new(stack::Config::default());
        self.events.clear();
        self.now = None;
        self.views.clear();
        self.counters = Counters::default();
        self.outputs.clear();
        Ok(())
    }

    /// Keeps the journal here from now on.
    pub(crate) fn keep_journal(&mut self, storage: Option<JournalStorage>) -> Result<(), Error> {
        self.evidence = Evidence::open(storage)?;
        self.started = false;
        Ok(())
    }

    fn clamp(&mut self, now: Timestamp) -> Timestamp {
        let latest = self.now.unwrap_or(now);
        if now < latest {
            self.counters.clamped += 1;
        }
        let now = now.max(latest);
        self.now = Some(now);
        now
    }

    /// Everything that is due before `now` without new input.
    fn advance(&mut self, now: Timestamp) -> Result<(), Error> {
        if self.senses.learnt_enough(now) {
            // Learning and watching share one stream here: sessions go on.
            let catalogue = self.catalogue().clone();
            self.senses.finish_learning(&self.plant, &self.config, &catalogue, false)?;
        }
        self.senses.advance(now);
        for (command, verdict) in self.gate.tick(now) {
            self.emit_verdict(&command, verdict, false)?;
        }
        let mut actions = Vec::new();
        self.responder.tick(now, &mut actions);
        self.act(now, actions)
    }

    fn drain(&mut self, now: Timestamp) -> Result<(), Error> {
        let mut events = core::mem::take(&mut self.events);
        while let Some(item) = self.stack.poll() {
            self.point_map.bind(&item, &mut events);
        }
        for event in &events {
            match event {
                Event::Point(point) => self.point(point),
                Event::Command(command) => self.wire_command(now, *command)?,
                Event::Malformed(_) => {
                    self.counters.malformed += 1;
                    self.senses.sense(event);
                }
                _ => self.senses.sense(event),
            }
        }
        events.clear();
        self.events = events;
        Ok(())
    }

    fn point(&mut self, point: &Point) {
        match point.source {
            Source::Field => self.counters.points += 1,
            Source::Vendor => {
                self.views.insert(View::VendorTwin);
            }
            Source::Model => {}
        }
        self.senses.point(point);
    }

    /// A command that the tap saw: it has been sent, and is judged all the same.
    fn wire_command(&mut self, now: Timestamp, command: Command) -> Result<(), Error> {
        self.counters.commands += 1;
        // What an isolated peer sends does not reach the plant: the model must not follow it.
        let stopped = command.from.is_some_and(|from| self.gate.is_isolated(now, from.ip()));
        let ours = self.is_ours(now, &command);
        self.senses.command(&command, !stopped, ours);
        if self.senses.is_learning() {
            return Ok(());
        }
        // Without rules there is nothing to judge by: the detectors alone say what is unusual.
        if self.plant.rules.is_empty() {
            return Ok(());
        }
        let principal = self.principal_of(&command);
        let command =
            Command { principal: self.intern(principal.clone()), id: self.take_command_id(), ..command };
        let verdict = self.gate.admit(now, &command, &principal, self.senses.twin());
        let barred = verdict
            .reasons
            .first()
            .is_some_and(|reason| matches!(reason.stage, Stage::Policy | Stage::Identity));
        if !verdict.decision.permits()
            && barred
            && let Some(from) = command.from
        {
            self.offend(now, from.ip());
        }
        self.senses.sense(&Event::Verdict(&verdict));
        self.emit_verdict(&command, verdict, true)
    }

    /// Whether a command on the wire is one that we asked for lately.
    fn is_ours(&self, now: Timestamp, command: &Command) -> bool {
        let value = command.value.as_f64();
        self.sent.iter().any(|(at, signal, sent)| {
            *signal == command.signal
                && now.since(*at) <= OWN_WINDOW
                && (value - sent).abs() <= OWN_TOLERANCE * sent.abs().max(1.0)
        })
    }

    /// A command that the platform wants to send.
    fn vet(&mut self, now: Timestamp, command: Command) -> Result<(), Error> {
        self.senses.sense(&Event::Command(command));
        // An address says more than a number that anybody may choose; and nobody but us speaks as this guard.
        let known = self.principals.get(command.principal).filter(|known| known.kind != PrincipalKind::Guard);
        let principal = match known.filter(|_| command.from.is_none()) {
            Some(known) => known.clone(),
            None => self.principal_of(&command),
        };
        let verdict = self.gate.admit(now, &command, &principal, self.senses.twin());
        self.senses.sense(&Event::Verdict(&verdict));
        self.emit_verdict(&command, verdict, false)
    }

    fn approve(&mut self, now: Timestamp, approval: Approval) -> Result<(), Error> {
        self.word(now, "approval", &approval)?;
        let Approval { command, principal, approved } = approval;
        let (command, verdict) = self.gate.approve(now, command, principal, approved, self.senses.twin())?;
        self.emit_verdict(&command, verdict, false)
    }

    fn access(&mut self, access: &Access) {
        self.views.insert(View::Access);
        self.senses.sense(&Event::Access(*access));
    }

    fn check(&mut self, now: Timestamp, check: &Check) -> Result<(), Error> {
        self.word(now, "check", check)?;
        self.senses.check(now, check);
        Ok(())
    }

    fn artefact(&mut self, now: Timestamp, artefact: Artefact) -> Result<(), Error> {
        let expected = self.seal.map_or(self.plant.digest, |seal| seal.root);
        let outcome = if artefact.measured == expected {
            AttestationOutcome::Matches
        } else {
            AttestationOutcome::Differs
        };
        let attestation = Attestation { at: now, expected, measured: artefact.measured, outcome };
        self.word(now, "attestation", &attestation)?;
        self.senses.sense(&Event::Attestation(attestation));
        Ok(())
    }

    /// Sealed deltas are journalled; they take effect through a newly sealed plant and [`Guard::reload`].
    fn recalibrate(&mut self, now: Timestamp, delta: Recalibration<'_>) -> Result<(), Error> {
        let digest = Digest(*blake3::hash(delta.sealed).as_bytes());
        self.word(now, "recalibration", &digest)
    }

    fn outcome(&mut self, outcome: Outcome) -> Result<(), Error> {
        self.word(outcome.at, "outcome", &outcome)?;
        let kind = self.actions.get(&outcome.action).cloned();
        // Informing actions are not waited for; their outcome is journalled all the same.
        if matches!(
            kind,
            Some(ActionKind::Notify { .. } | ActionKind::Verify { .. } | ActionKind::Release { .. })
        ) {
            return Ok(());
        }
        self.responder.on_outcome(&outcome)?;
        if outcome.result != OutcomeResult::Done
            && let Some(ActionKind::IsolatePeer { peer }) = kind
        {
            self.gate.release(peer);
        }
        Ok(())
    }

    fn operator(&mut self, now: Timestamp, operator: Operator<'_>) -> Result<(), Error> {
        if let Operator::Acknowledge { finding }
        | Operator::Shelve { finding, .. }
        | Operator::Close { finding, .. } = operator
            && !self.findings.contains_key(&finding)
        {
            return Err(Error::UnknownFinding { finding });
        }
        self.word(now, "operator", &operator)?;
        match operator {
            Operator::Acknowledge { finding } => self.set_state(now, finding, FindingState::Acknowledged),
            Operator::Shelve { finding, until } => {
                self.shelved.insert(finding, until);
                self.set_state(now, finding, FindingState::Shelved)
            }
            Operator::Close { finding, .. } => {
                self.set_state(now, finding, FindingState::Closed)?;
                self.senses.close(finding);
                self.stand_down(now, finding)
            }
            Operator::Maintenance { until } => {
                self.maintenance = Some(until);
                Ok(())
            }
            Operator::SensorReplaced { signal } => {
                self.trust_again(signal);
                Ok(())
            }
            Operator::Mode { mode } => {
                self.gate.set_mode(mode);
                Ok(())
            }
            Operator::Override { action } => self.override_action(now, action),
        }
    }

    fn override_action(&mut self, now: Timestamp, action: ActionId) -> Result<(), Error> {
        match self.actions.get(&action).cloned() {
            Some(ActionKind::IsolatePeer { peer }) => {
                self.gate.release(peer);
            }
            Some(ActionKind::Substitute { signal, .. } | ActionKind::IsolateSignal { signal }) => {
                self.trust_again(signal)
            }
            _ => {}
        }
        let outcome = Outcome { action, result: OutcomeResult::Refused, at: now };
        // An action that is settled already stays settled.
        let _ = self.responder.on_outcome(&outcome);
        Ok(())
    }

    fn set_state(&mut self, now: Timestamp, id: FindingId, state: FindingState) -> Result<(), Error> {
        let finding = self.findings.get_mut(&id).ok_or(Error::UnknownFinding { finding: id })?;
        finding.state = state;
        finding.revision += 1;
        finding.at = now;
        let finding = finding.clone();
        self.emit_finding(finding)
    }

    /// Findings become answers, answers become actions.
    fn decide(&mut self, now: Timestamp) -> Result<(), Error> {
        if self.senses.is_learning() {
            return Ok(());
        }
        while let Some(mut finding) = self.senses.poll(now) {
            self.complete(now, &mut finding);
            if finding.state == FindingState::Closed {
                self.emit_finding(finding.clone())?;
                self.stand_down(now, finding.id)?;
                continue;
            }
            self.distrust(now, &finding);
            self.grade(now, &mut finding);
            self.emit_finding(finding.clone())?;
            if self.maintenance.is_some_and(|until| now < until)
                || self.shelved.get(&finding.id).is_some_and(|until| now < *until)
            {
                continue;
            }
            let offenders = self.offenders_since(finding.onset);
            let situation = Situation {
                twin: self.senses.twin(),
                offenders: &offenders,
                principal: self.own,
                next_command: CommandId(self.next_command),
            };
            let mut actions = Vec::new();
            self.responder.respond(now, &finding, &situation, &mut actions);
            self.act(now, actions)?;
        }
        Ok(())
    }

    /// What only the facade knows of a finding: which views were missing, who was shelved.
    fn complete(&mut self, now: Timestamp, finding: &mut Finding) {
        let mut missing: Vec<View> =
            OPTIONAL_VIEWS.into_iter().filter(|view| !self.views.contains(view)).collect();
        if self.senses.twin().is_none() {
            missing.push(View::Model);
        }
        if !self.senses.has_history() {
            missing.push(View::History);
        }
        missing.sort_unstable();
        finding.missing = missing;
        if let Some(before) = self.findings.get(&finding.id) {
            finding.revision = finding.revision.max(before.revision + 1);
            let kept = matches!(before.state, FindingState::Acknowledged | FindingState::Shelved);
            if kept && finding.state == FindingState::Open {
                finding.state = before.state;
            }
        }
        if self.shelved.get(&finding.id).is_some_and(|until| *until <= now) {
            self.shelved.remove(&finding.id);
        }
    }

    /// Accused sensors leave the estimate, from before the onset on: the virtual sensor must not have swallowed the lie.
    fn distrust(&mut self, _now: Timestamp, finding: &Finding) {
        let accused =
            finding.suspect_set.iter().any(|suspect| matches!(suspect, Suspect::Sensor | Suspect::Network));
        // While nobody may be to blame, a sensor that is left out would only blind the estimate.
        let open = finding.suspect_set.contains(&Suspect::None) || finding.suspect == Suspect::Model;
        if !accused || open {
            return;
        }
        let repeated = finding
            .evidence
            .iter()
            .any(|evidence| evidence.symptom == Symptom::Repeat && evidence.surprise >= evidence.threshold);
        let mut signals: Vec<SignalId> = finding.attribution.iter().map(|share| share.signal).collect();
        if repeated && let Some(dynamics) = &self.plant.dynamics {
            // Whoever can play one recording can play them all: no measurement of this plant is believed.
            let measured = |signal: &SignalId| {
                self.plant.catalogue.signal(*signal).is_some_and(|known| known.role == Role::Measurement)
            };
            signals
                .extend(dynamics.outputs.iter().chain(&dynamics.inputs).flatten().copied().filter(measured));
        }
        signals.retain(|signal| !self.distrusted.contains_key(signal));
        signals.sort_unstable();
        signals.dedup();
        if signals.is_empty() {
            return;
        }
        for signal in &signals {
            self.distrusted.insert(*signal, finding.id);
        }
        self.senses.distrust(&signals, finding.onset);
    }

    fn trust_again(&mut self, signal: SignalId) {
        if self.distrusted.remove(&signal).is_some() {
            self.senses.trust(signal);
        }
    }

    /// Severity comes from the margin to a limit, not from the score.
    fn grade(&mut self, now: Timestamp, finding: &mut Finding) {
        if let Some(severity) = self.senses.severity(now) {
            finding.severity = finding.severity.max(severity);
        }
    }

    fn stand_down(&mut self, now: Timestamp, id: FindingId) -> Result<(), Error> {
        let signals: Vec<SignalId> = self
            .distrusted
            .iter()
            .filter(|(_, finding)| **finding == id)
            .map(|(signal, _)| *signal)
            .collect();
        for signal in signals {
            self.trust_again(signal);
        }
        let mut actions = Vec::new();
        if let Some(finding) = self.findings.get(&id).cloned() {
            self.responder.stand_down(now, &finding, &mut actions);
        }
        self.act(now, actions)
    }

    /// Carries actions out as far as they are ours: commands through the gate, isolation at the gate.
    fn act(&mut self, now: Timestamp, actions: Vec<Action>) -> Result<(), Error> {
        for mut action in actions {
            if let ActionKind::Command(command) = &mut action.kind
                && !action.recommended_only
            {
                command.id = self.take_command_id();
                let command = *command;
                let own = Principal::new(OWN_NAME).kind(PrincipalKind::Guard);
                let verdict = self.gate.admit(now, &command, &own, self.senses.twin());
                self.responder.on_verdict(action.id, &verdict)?;
                let permitted = verdict.decision.permits();
                self.emit_verdict(&command, verdict, false)?;
                if !permitted {
                    continue;
                }
                // When it shows up on the wire it is ours, and nobody's injection.
                self.sent.retain(|(at, ..)| now.since(*at) <= OWN_WINDOW);
                self.sent.push((now, command.signal, command.value.as_f64()));
            }
            if let ActionKind::IsolatePeer { peer } = action.kind
                && !action.recommended_only
            {
                self.gate.isolate(peer, action.expires);
            }
            self.actions.insert(action.id, action.kind.clone());
            let receipt = self.evidence.action(now, &action)?;
            self.outputs.push_back(Output::Action(action));
            self.outputs.push_back(Output::Receipt(receipt));
        }
        Ok(())
    }

    /// Enters what a person or the platform said.
    fn word(
        &mut self,
        at: Timestamp,
        kind: &'static str,
        record: &impl serde::Serialize,
    ) -> Result<(), Error> {
        let receipt = self.evidence.word(at, kind, record)?;
        self.outputs.push_back(Output::Receipt(receipt));
        Ok(())
    }

    fn emit_finding(&mut self, finding: Finding) -> Result<(), Error> {
        let receipt = self.evidence.finding(finding.at, &finding)?;
        self.findings.insert(finding.id, finding.clone());
        if self.outputs.len() >= self.config.queue {
            let waiting = self
                .outputs
                .iter()
                .position(|output| matches!(output, Output::Finding(old) if old.id == finding.id));
            if let Some(Output::Finding(old)) = waiting.and_then(|place| self.outputs.get_mut(place)) {
                *old = finding;
                self.counters.coalesced += 1;
                self.outputs.push_back(Output::Receipt(receipt));
                return Ok(());
            }
        }
        self.outputs.push_back(Output::Finding(finding));
        self.outputs.push_back(Output::Receipt(receipt));
        Ok(())
    }

    fn emit_verdict(&mut self, command: &Command, verdict: Verdict, already_sent: bool) -> Result<(), Error> {
        let principal = match self.principals.get(command.principal) {
            Some(known) => known.clone(),
            None => self.principal_of(command),
        };
        let verdicted = Verdicted { command: *command, principal, verdict, already_sent };
        let receipt = self.evidence.verdict(verdicted.verdict.at, &verdicted)?;
        if let Decision::Clamp(value) = verdicted.verdict.decision
            && command.origin == CommandOrigin::Platform
        {
            let clamped = Intent {
                principal: command.principal,
                signal: command.signal,
                value,
                at: verdicted.verdict.at,
            };
            self.senses.own_command(&clamped);
        }
        self.outputs.push_back(Output::Verdict(verdicted));
        self.outputs.push_back(Output::Receipt(receipt));
        Ok(())
    }

    fn principal_of(&self, command: &Command) -> Principal {
        match command.from {
            Some(from) => self.gate.identities().identify(from.ip()),
            None => Principal::new("unknown"),
        }
    }

    fn intern(&mut self, principal: Principal) -> PrincipalId {
        self.principals.intern(principal).unwrap_or_default()
    }

    fn take_command_id(&mut self) -> CommandId {
        let id = CommandId(self.next_command);
        self.next_command += 1;
        id
    }

    fn offend(&mut self, now: Timestamp, peer: IpAddr) {
        if self.offenders.len() >= OFFENDER_LIMIT {
            self.offenders.pop_front();
        }
        self.offenders.push_back((now, peer));
    }

    fn offenders_since(&self, onset: Timestamp) -> Vec<IpAddr> {
        let from = onset - BEFORE_ONSET;
        let peers: BTreeSet<IpAddr> =
            self.offenders.iter().filter(|(at, _)| *at >= from).map(|(_, peer)| *peer).collect();
        peers.into_iter().collect()
    }
}
