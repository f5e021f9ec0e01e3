//! Saving and restoring a guard.

use core::net::IpAddr;
use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use twinguard_anomaly::techniques;
use twinguard_gate::GateState;
use twinguard_protocol::point_map::PointMapState;
use twinguard_response::PlaybookState;
use twinguard_twin::Plant;
use twinguard_types::{
    ActionId, ActionKind, Command, Duration, Finding, FindingId, Principal, SignalId, Suspect, Timestamp,
};

use super::decide::{Aside, Window};
use super::party::Parties;
use super::policy::PolicyFile;
use super::recalibrate::Calibration;
use super::recover::Return;
use super::{Counters, Guard, OFFENDER_LIMIT, OWN_COMMANDS};
use crate::evidence::{Evidence, Head};
use crate::sense::{Senses, SensesBytes, SensesState};
use crate::snapshot::{self, refuse};
use crate::{Config, Error, Output, Seal};

/// How long after a restart a request of before may still be answered: as long as the stack waits for an answer.
const RESUMED: Duration = Duration::from_secs(10);

/// The part of a snapshot that is JSON text.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    config: Config,
    now: Option<Timestamp>,
    started: bool,
    journal: Head,
    counters: Counters,
    principals: Vec<Principal>,
    next_command: u64,
    offenders: VecDeque<(Timestamp, IpAddr)>,
    actions: BTreeMap<ActionId, ActionKind>,
    distrusted: BTreeMap<SignalId, FindingId>,
    aside: BTreeMap<FindingId, Aside>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    heard: BTreeMap<FindingId, Vec<Suspect>>,
    findings: Vec<Finding>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    returns: BTreeMap<FindingId, Return>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    wanted: BTreeMap<SignalId, Timestamp>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    read: BTreeMap<SignalId, bool>,
    maintenance: Vec<Window>,
    lost: (u64, u64),
    calibration: Calibration,
    sent: Vec<(Timestamp, SignalId, f64)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    admitted: Vec<Command>,
    tap: Duration,
    outputs: VecDeque<Output>,
    gate: GateState,
    policy: Option<PolicyFile>,
    responder: PlaybookState,
    points: PointMapState,
    senses: SensesState,
}

impl Guard {
    /// Everything that a guard of the same plant needs to go on from here, as versioned bytes:
    /// [`Builder::restore`](crate::Builder::restore) takes them.
    ///
    /// In it are what was learnt, the running twin, detectors and incident, held commands and actions in force, answers
    /// that were not polled yet, and the journal's size and root; the same state gives the same bytes. **Not** in it are
    /// the leaves of the journal, which its storage keeps ([`Evidence::sync`] it first), and the sessions on the wire: a
    /// message that is half there, and a request whose answer is still to come, are lost. Take it between polls.
    ///
    /// The bytes are checked against accidents, not against an adversary: keep them as safe as the journal.
    ///
    /// # Errors
    /// [`Error::Snapshot`] while the guard still learns, [`Error::Entry`] for a state that cannot be written down.
    pub fn snapshot(&self) -> Result<Vec<u8>, Error> {
        let (senses, bytes) = self.senses.save()?;
        let state = State {
            config: self.config.clone(),
            now: self.now,
            started: self.started,
            journal: self.evidence.head(),
            counters: self.counters,
            principals: self.parties.all().skip(2).map(|(_, principal)| principal.clone()).collect(),
            next_command: self.next_command,
            offenders: self.offenders.clone(),
            actions: self.actions.clone(),
            distrusted: self.distrusted.clone(),
            aside: self.aside.clone(),
            heard: self.heard.clone(),
            findings: self.findings.values().cloned().collect(),
            returns: self.returns.clone(),
            wanted: self.wanted.clone(),
            read: self.read.clone(),
            maintenance: self.maintenance.clone(),
            lost: self.lost,
            calibration: self.calibration.clone(),
            sent: self.sent.clone(),
            admitted: self.admitted.clone(),
            tap: self.tap,
            outputs: self.outputs.clone(),
            gate: self.gate.state(),
            policy: self.policy.clone(),
            responder: self.responder.state(),
            points: self.point_map.state(),
            senses,
        };
        let state = serde_json::to_vec(&state)?;
        let SensesBytes { twin, bank, judge, rows } = &bytes;
        Ok(snapshot::write(self.plant.digest, &[&state, twin, bank, judge, rows]))
    }

    /// A guard that goes on from a snapshot. The journal is taken when all else is in order, and stays when anything is refused; `given`: its
    /// storage is the platform's.
    pub(crate) fn resume(
        plant: Plant,
        seal: Option<Seal>,
        config: Config,
        journal: &mut Option<Evidence>,
        given: bool,
        bytes: &[u8],
    ) -> Result<Self, Error> {
        let [state, twin, bank, judge, rows] = snapshot::read(plant.digest, bytes)?;
        let state: State = serde_json::from_slice(state).map_err(|error| refuse(error.to_string()))?;
        let mut guard = Self::assemble(plant, seal, config, None)?;
        if state.offenders.len() > OFFENDER_LIMIT {
            return Err(refuse("it remembers more offenders than a guard does"));
        }
        // A number that leaves no room for the next command cannot have been reached by counting.
        if !(OWN_COMMANDS..OWN_COMMANDS | 1 << 51).contains(&state.next_command) {
            return Err(refuse("its commands are not numbered as a guard does"));
        }
        // The plant file's parties come first, as when the others were entered.
        guard.parties = Parties::new(state.principals)?;
        if let Some(policy) = &state.policy {
            policy.apply(&mut guard.gate, &guard.plant)?;
        }
        guard.policy = state.policy;
        guard.gate = guard.gate.with_state(state.gate)?;
        guard.responder = guard.responder.with_state(state.responder)?;
        guard.point_map = guard.point_map.with_state(state.points)?;
        let bytes = SensesBytes { twin, bank, judge, rows };
        guard.calibration = state.calibration;
        let plant = guard.calibrated()?;
        guard.watch = super::attest::Watch::of(&plant)?;
        guard.senses = Senses::load(&plant, &guard.config, guard.catalogue(), state.senses, &bytes)?;

        let Some(evidence) = journal else { return Err(refuse("its journal is in use")) };
        let same = evidence.resume(given, state.journal)?;
        if let Some(evidence) = journal.take() {
            guard.evidence = evidence;
        }
        // Under another configuration, or in another journal, the guard says again how it starts.
        guard.started = state.started && same && state.config == guard.config;
        guard.counters = Counters { restored: state.counters.restored.saturating_add(1), ..state.counters };
        let mut outputs = state.outputs;
        for output in &mut outputs {
            if let Output::Finding(finding) = output {
                name_techniques(finding);
            }
        }
        guard.outputs = outputs;
        guard.findings = state
            .findings
            .into_iter()
            .map(|mut finding| {
                name_techniques(&mut finding);
                (finding.id, finding)
            })
            .collect();
        guard.now = state.now;
        guard.next_command = state.next_command;
        guard.offenders = state.offenders;
        guard.actions = state.actions;
        guard.distrusted = state.distrusted;
        guard.aside = state.aside;
        guard.heard = state.heard;
        guard.returns = state.returns;
        guard.wanted = state.wanted;
        guard.read = state.read;
        guard.maintenance = state.maintenance;
        guard.lost = state.lost;
        guard.resumed = state.now.map(|now| now + RESUMED);
        guard.left = state.now;
        guard.sent = state.sent;
        guard.admitted = state.admitted;
        guard.tap = state.tap;
        Ok(guard)
    }
}

/// Names of techniques are not read from text: a finding gets them from the list again.
fn name_techniques(finding: &mut Finding) {
    let known = techniques();
    for technique in &mut finding.techniques {
        if let Some(same) = known.iter().find(|known| known.id == technique.id) {
            technique.name = same.name;
        }
    }
}
