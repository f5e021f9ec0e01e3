//! The wiring: the one place that knows every floor below.

mod attest;
mod channel;
mod decide;
mod line;
mod out;
mod party;
mod policy;
mod recalibrate;
mod recover;
mod reload;
mod snapshot;
mod time;
mod wire;
mod word;

use core::net::{IpAddr, SocketAddr};
use std::collections::{BTreeMap, VecDeque};

use twinguard_anomaly::detectors::Federated;
use twinguard_gate::Gate;
use twinguard_integrity::PublicKey;
use twinguard_protocol::{Stack, point_map::PointMap, stack};
use twinguard_response::Playbook;
use twinguard_twin::Plant;
use twinguard_types::{
    AccessOutcome, ActionId, ActionKind, Catalogue, Command, Digest, Duration, Event, Finding, FindingId,
    Point, SignalId, Source, Suspect, Timestamp, View,
};

use crate::evidence::{Evidence, JournalStorage, Seal};
use crate::sense::Senses;
use crate::{Config, Error, Input, Output};

use channel::Channel;
use decide::{Aside, Window};
use party::Parties;

/// Peers remembered as offenders.
const OFFENDER_LIMIT: usize = 256;
/// Findings remembered; beyond, those that were closed first are forgotten.
const FINDING_LIMIT: usize = 512;
/// Actions remembered; beyond, the oldest that nothing holds on to are forgotten.
const ACTION_LIMIT: usize = 1_024;
/// Numbers from here on are given by the guard, to what it sees on the wire and to what it asks for; a
/// platform counts below. Every reader of JSON keeps such numbers exactly.
pub(crate) const OWN_COMMANDS: u64 = 1 << 52;

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
    /// A policy beside the plant file's rules.
    policy: Option<policy::PolicyFile>,
    responder: Playbook,
    evidence: Evidence,
    outputs: VecDeque<Output>,
    parties: Parties,
    /// Channels whose peers have proved who they are, by the peer's endpoint.
    channels: BTreeMap<SocketAddr, Channel>,
    next_command: u64,
    offenders: VecDeque<(Timestamp, IpAddr)>,
    actions: BTreeMap<ActionId, ActionKind>,
    distrusted: BTreeMap<SignalId, FindingId>,
    aside: BTreeMap<FindingId, Aside>,
    /// Who was accused when a person acknowledged a finding or put it aside.
    heard: BTreeMap<FindingId, Vec<Suspect>>,
    findings: BTreeMap<FindingId, Finding>,
    /// What is being given back, and models on their way back.
    returns: BTreeMap<FindingId, recover::Return>,
    /// Signals of which an independent reading is wanted, and until when.
    wanted: BTreeMap<SignalId, Timestamp>,
    /// What was read again of open findings' signals, and whether it agreed with the wire.
    read: BTreeMap<SignalId, bool>,
    maintenance: Vec<Window>,
    counters: Counters,
    /// Losses that the journal knows of: revisions that were replaced, inputs that were refused.
    lost: (u64, u64),
    /// The first that went wrong while an input was taken; the input is taken all the same.
    trouble: Option<Error>,
    /// Who may change the model's parameters, and the change in force.
    pub(crate) calibrators: Vec<PublicKey>,
    calibration: recalibrate::Calibration,
    /// What the twin has to run with, and when it was last looked at.
    watch: Option<attest::Watch>,
    attested: Option<Timestamp>,
    /// Until when what only a restored tap finds odd says nothing.
    resumed: Option<Timestamp>,
    /// When it was last told anything before it was restored, until it is told again.
    left: Option<Timestamp>,
    /// Commands of ours that may show up on the wire.
    sent: Vec<(Timestamp, SignalId, f64)>,
    /// Commands that a proxy asked about and may send, until they show up on the wire.
    admitted: Vec<Command>,
    /// Whether the journal says how this guard started.
    started: bool,
    /// How far the tap's clock was behind ours at its last frame.
    tap: Duration,
    /// A federation's model among the detectors.
    pub(crate) federated: Option<Joined>,
}

/// A federation's model, and what its seal said.
#[derive(Clone, Debug)]
pub(crate) struct Joined {
    pub(crate) model: Federated,
    pub(crate) seal: Seal,
}

/// What the journal says of it.
#[derive(serde::Serialize)]
struct Told<'a> {
    model: Option<Digest>,
    columns: &'a [String],
    seal: Seal,
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
    /// Inputs that were not taken because too many answers waited to be polled.
    pub refused: u64,
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
        if config.settle < Duration::ZERO {
            let value = format!("{:?}", config.settle);
            return Err(Error::Setting { key: "settle", value, must: "at or above 0" });
        }
        let point_map = if plant.bindings.is_empty() && plant.catalogue.is_empty() {
            PointMap::discover(config.discover)
        } else {
            PointMap::new(&plant.bindings)?
        };
        let parties = Parties::of(&plant)?;
        let gate = Gate::new(&plant, config.gate.clone())?;
        let responder = config.playbook(&plant)?;
        let senses = Senses::new(&plant, &config, learn_for)?;
        let evidence = Evidence::open(None)?;
        let watch = attest::Watch::of(&plant)?;
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
            policy: None,
            responder,
            evidence,
            outputs: VecDeque::new(),
            parties,
            channels: BTreeMap::new(),
            next_command: OWN_COMMANDS,
            offenders: VecDeque::new(),
            actions: BTreeMap::new(),
            distrusted: BTreeMap::new(),
            aside: BTreeMap::new(),
            heard: BTreeMap::new(),
            findings: BTreeMap::new(),
            returns: BTreeMap::new(),
            wanted: BTreeMap::new(),
            read: BTreeMap::new(),
            maintenance: Vec::new(),
            counters: Counters::default(),
            lost: (0, 0),
            trouble: None,
            calibrators: Vec::new(),
            calibration: recalibrate::Calibration::default(),
            watch,
            attested: None,
            resumed: None,
            left: None,
            sent: Vec::new(),
            admitted: Vec::new(),
            started: false,
            tap: Duration::ZERO,
            federated: None,
        })
    }

    /// Takes one input. Answers wait in [`Guard::poll`].
    ///
    /// `now` is the time of arrival; one that lies before an earlier input's is taken as that one's and counted.
    ///
    /// # Errors
    /// [`Error::Full`] when as many answers wait as [`Config::queue`] allows: the input is not taken, poll and give it again.
    /// What an input asks of the guard and cannot be done (an approval of a command that is not held, an unknown finding).
    /// [`Error::Integrity`] when the journal's storage fails: the input is taken and answered all the same.
    /// Odd bytes are no error but an event.
    pub fn handle(&mut self, now: Timestamp, input: Input<'_>) -> Result<(), Error> {
        if self.outputs.len() >= self.config.queue {
            self.counters.refused += 1;
            return Err(Error::Full { waiting: self.outputs.len() });
        }
        let now = self.clamp(now);
        self.start(now)?;
        self.tell_losses(now);
        self.return_at(now);
        self.advance(now);
        self.attest(now);
        let taken = self.take(now, input);
        self.trouble.take().map_or(taken, Err)
    }

    fn take(&mut self, now: Timestamp, input: Input<'_>) -> Result<(), Error> {
        match input {
            Input::Frame(frame) => {
                self.counters.frames += 1;
                self.senses.see(View::Wire, now);
                self.tap = now.since(frame.at);
                self.stack.handle(frame);
                self.drain(now);
            }
            Input::Points(points) => points.iter().for_each(|point| self.point(point)),
            Input::Command(command) => self.vet(now, command),
            Input::Select(command) => self.select(now, command),
            Input::Intent(intent) => self.senses.sense(&Event::Intent(intent)),
            Input::Check(check) => self.check(now, &check)?,
            Input::Access(access) => {
                if access.outcome == AccessOutcome::Granted
                    && access.action.as_str() == "login"
                    && let Some(known) = self.known(access.principal)
                {
                    self.gate.proved(now, &known.name);
                }
                self.senses.sense(&Event::Access(access));
            }
            Input::Approval(approval) => self.approve(now, approval)?,
            Input::Artefact(artefact) => self.artefact(now, artefact),
            Input::Attested(found) => self.attested_elsewhere(now, found),
            Input::Recalibration(delta) => self.recalibrate(now, delta)?,
            Input::Outcome(outcome) => self.outcome(outcome)?,
            Input::Operator(operator) => self.operator(now, operator)?,
            Input::Line(line) => self.line(now, line),
            // The time alone; what was due at it is done.
            Input::Tick => {}
        }
        Ok(())
    }

    /// The next answer, in the order in which it was decided.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
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

    /// The latest usable value that the field told of a signal, in its unit.
    #[must_use]
    pub fn field(&self, signal: SignalId) -> Option<f64> {
        self.senses.field(signal)
    }

    /// The signals: those of the plant file, or those found in traffic.
    #[must_use]
    pub fn catalogue(&self) -> &Catalogue {
        self.point_map.catalogue().filter(|found| !found.is_empty()).unwrap_or(&self.plant.catalogue)
    }

    /// The running twin, where the plant file has a model: states, parameters, forks to ask "what if".
    #[must_use]
    pub fn twin(&self) -> Option<&twinguard_twin::Twin> {
        self.senses.twin()
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
        let federated = self.federated.as_ref().map(|joined| &joined.model);
        self.senses.finish_learning(&self.plant, &self.config, &catalogue, federated, true)?;
        self.stack = Stack::new(stack::Config::default());
        self.events.clear();
        self.now = None;
        self.counters = Counters::default();
        self.outputs.clear();
        Ok(())
    }

    /// What was said of the configuration after a history was taken in counts as well.
    pub(crate) fn configure(&mut self, config: Config) -> Result<(), Error> {
        self.gate = Gate::new(&self.plant, config.gate.clone())?;
        self.responder = config.playbook(&self.plant)?;
        self.config = config;
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

    /// Ends learning when its span is over, and says in the journal how this guard starts.
    fn start(&mut self, now: Timestamp) -> Result<(), Error> {
        if self.senses.learnt_enough(now) {
            // Learning and watching share one stream here: sessions go on.
            let catalogue = self.catalogue().clone();
            let federated = self.federated.as_ref().map(|joined| &joined.model);
            self.senses.finish_learning(&self.plant, &self.config, &catalogue, federated, false)?;
        }
        if !self.started && !self.senses.is_learning() {
            let Self { evidence, plant, seal, config, .. } = self;
            match evidence.start(now, &plant.name, plant.digest, *seal, config) {
                Ok(receipt) => {
                    self.started = true;
                    self.outputs.push_back(Output::Receipt(receipt));
                    self.tell_federated(now);
                }
                Err(error) => self.fail(error),
            }
        }
        Ok(())
    }

    /// Says in the journal which federated model takes part.
    fn tell_federated(&mut self, now: Timestamp) {
        if let Some(Joined { model, seal }) = &self.federated {
            let told = Told { model: model.digest(), columns: model.columns(), seal: *seal };
            match self.evidence.word(now, "federated", &told) {
                Ok(receipt) => self.outputs.push_back(Output::Receipt(receipt)),
                Err(error) => self.fail(error),
            }
        }
    }

    fn point(&mut self, point: &Point) {
        if point.source == Source::Field {
            self.counters.points += 1;
        }
        self.senses.point(point);
    }
}
