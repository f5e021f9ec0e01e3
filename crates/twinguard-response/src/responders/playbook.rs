//! The fixed playbook: who is accused decides what is done.
//!
//! Source: NIST SP 800-61r3 §3.5 (containment chosen by effect and evidence), IEC 62443-3-3 SR 5.2 and SR 3.6
//! (zone boundary protection, deterministic output: a predetermined state when normal operation cannot be kept).
//!
//! | evidence | action |
//! |---|---|
//! | measured values accused, estimate at hand | substitute the model's estimate for each accused signal |
//! | commands accused, writer known | isolate the writer |
//! | commands accused, or a limit within reach | bring actuators to their safe values, through the gate |
//! | anything else | tell a person, name the next check |
//!
//! Two independent kinds of evidence are needed before anything that affects the process is done by itself; with
//! one kind the same action is recommended only. While the evidence still allows that nothing is wrong at all, nobody
//! is told to touch the process.

use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};

use twinguard_types::{
    Action, ActionId, ActionKind, Command, CommandId, CommandOrigin, Duration, Finding, FindingId, Outcome,
    OutcomeResult, Severity, SignalId, Suspect, Symptom, Timestamp, Value, Verdict,
};

use crate::{Autonomy, Error, Responder, Situation};

/// How long an action may stay without an outcome.
const DEADLINE: Duration = Duration::from_secs(30);
/// Peers isolated at one time: a finding that accuses more needs a person.
const ISOLATION_BUDGET: usize = 8;
/// Signals substituted at one time.
const SUBSTITUTION_BUDGET: usize = 64;
/// Smallest share in a finding's attribution at which a signal is replaced.
const LEAST_SHARE: f64 = 0.02;

/// See the module's documentation.
#[derive(Clone, Debug)]
pub struct Playbook {
    safe_state: Vec<(SignalId, Value)>,
    autonomy: Autonomy,
    next: u64,
    pending: BTreeMap<ActionId, Action>,
    in_force: BTreeMap<ActionId, (FindingId, Taken)>,
    /// What was asked for, and whether it was granted or only recommended.
    asked: BTreeMap<(FindingId, Taken), bool>,
    notified: BTreeSet<FindingId>,
}

/// What a [`Playbook`] remembers: what was asked for, what waits for its outcome, what is in force.
///
/// With the feature `serde` it can be written down; [`Playbook::with_state`] goes on from it.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct PlaybookState {
    next: u64,
    pending: Vec<Action>,
    in_force: BTreeMap<ActionId, (FindingId, Taken)>,
    asked: Vec<(FindingId, Taken, bool)>,
    notified: BTreeSet<FindingId>,
}

/// What an action took hold of, so that nothing is done twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
enum Taken {
    Peer(IpAddr),
    Signal(SignalId),
    Actuator(SignalId),
    Check(SignalId),
}

impl Playbook {
    /// A playbook with the plant's safe values.
    ///
    /// # Errors
    /// [`Error::SafeValue`] when a value is not finite.
    pub fn new(safe_state: Vec<(SignalId, f64)>, autonomy: Autonomy) -> Result<Self, Error> {
        let safe_state = safe_state
            .into_iter()
            .map(|(signal, value)| {
                Value::real(value).map(|value| (signal, value)).map_err(|_| Error::SafeValue { signal })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            safe_state,
            autonomy,
            next: 0,
            pending: BTreeMap::new(),
            in_force: BTreeMap::new(),
            asked: BTreeMap::new(),
            notified: BTreeSet::new(),
        })
    }

    /// What the playbook remembers.
    #[must_use]
    pub fn state(&self) -> PlaybookState {
        PlaybookState {
            next: self.next,
            pending: self.pending.values().cloned().collect(),
            in_force: self.in_force.clone(),
            asked: self
                .asked
                .iter()
                .map(|((finding, taken), granted)| (*finding, *taken, *granted))
                .collect(),
            notified: self.notified.clone(),
        }
    }

    /// Goes on from what a playbook remembered.
    ///
    /// # Errors
    /// [`Error::State`] when an action waits that was never numbered.
    pub fn with_state(self, state: PlaybookState) -> Result<Self, Error> {
        let PlaybookState { next, pending, in_force, asked, notified } = state;
        let numbered = pending.iter().map(|action| action.id).chain(in_force.keys().copied());
        // A number that leaves no room for the next action cannot have been reached by counting.
        if next > u64::from(u32::MAX) << 24 || numbered.into_iter().any(|id| id.0 >= next) {
            return Err(Error::State { reason: "its actions are not numbered as a playbook does" });
        }
        Ok(Self {
            next,
            pending: pending.into_iter().map(|action| (action.id, action)).collect(),
            in_force,
            asked: asked.into_iter().map(|(finding, taken, granted)| ((finding, taken), granted)).collect(),
            notified,
            ..self
        })
    }

    /// Whether an action waits for its outcome or is in force.
    #[must_use]
    pub fn holds(&self, action: ActionId) -> bool {
        self.pending.contains_key(&action) || self.in_force.contains_key(&action)
    }

    /// Actions that took effect and were not given back.
    pub fn in_force(&self) -> impl Iterator<Item = ActionId> {
        self.in_force.keys().copied()
    }

    #[expect(clippy::too_many_arguments, reason = "one private constructor of the one action type")]
    fn act(
        &mut self,
        now: Timestamp,
        finding: FindingId,
        taken: Option<Taken>,
        kind: ActionKind,
        granted: bool,
        reason: String,
        undo: &str,
        actions: &mut Vec<Action>,
    ) {
        if let Some(taken) = taken {
            // A recommendation may become an action when more evidence comes, never the other way round.
            let before = self.asked.get(&(finding, taken)).copied();
            if before == Some(true) || before == Some(granted) {
                return;
            }
            self.asked.insert((finding, taken), granted);
        }
        let id = ActionId(self.next);
        self.next += 1;
        let action = Action {
            id,
            finding,
            at: now,
            deadline: now + DEADLINE,
            expires: None,
            kind,
            reason,
            undo: undo.to_owned(),
            recommended_only: !granted,
        };
        let affects_process = matches!(taken, Some(Taken::Peer(_) | Taken::Signal(_) | Taken::Actuator(_)));
        if granted && affects_process {
            self.pending.insert(id, action.clone());
        }
        actions.push(action);
    }

    /// Whether this peer is cut off, or about to be, for whatever finding.
    fn is_cut_off(&self, peer: IpAddr) -> bool {
        self.in_force.values().any(|(_, taken)| *taken == Taken::Peer(peer))
            || self.pending.values().any(|action| action.kind == ActionKind::IsolatePeer { peer })
    }

    fn taken(&self, matches: impl Fn(&Taken) -> bool) -> usize {
        self.asked.keys().filter(|(_, taken)| matches(taken)).count()
    }
}

/// Independent kinds of evidence: symptoms that rest on different views of the plant.
fn kinds_of_evidence(finding: &Finding) -> usize {
    let view = |symptom: Symptom| match symptom {
        Symptom::Residual | Symptom::Redundancy => 0,
        Symptom::Range | Symptom::Rate | Symptom::Freeze | Symptom::Noise => 1,
        Symptom::Repeat => 2,
        Symptom::VendorOffset => 3,
        Symptom::Provenance | Symptom::Journal => 4,
        Symptom::Novelty => 5,
        Symptom::Timing | Symptom::Malformed => 6,
        Symptom::Identity => 7,
        Symptom::Seal => 8,
        _ => 9,
    };
    let views: BTreeSet<u8> = finding
        .evidence
        .iter()
        .filter(|evidence| evidence.surprise >= evidence.threshold)
        .map(|evidence| view(evidence.symptom))
        .collect();
    views.len()
}

impl Responder for Playbook {
    fn name(&self) -> &'static str {
        "playbook"
    }

    fn respond(
        &mut self,
        now: Timestamp,
        finding: &Finding,
        situation: &Situation<'_>,
        actions: &mut Vec<Action>,
    ) {
        // As long as nobody may be to blame, people are told and a second reading is asked for; nothing else.
        let settled = !finding.suspect_set.contains(&Suspect::None);
        let accused = |suspects: &[Suspect]| {
            settled && finding.suspect_set.iter().any(|suspect| suspects.contains(suspect))
        };
        let enough = kinds_of_evidence(finding) >= 2;
        let doubt = if enough { "" } else { "; only one kind of evidence, so this is a recommendation" };

        if accused(&[Suspect::CommandPath, Suspect::Identity]) {
            for peer in situation
                .offenders
                .iter()
                .filter(|peer| !self.is_cut_off(**peer))
                .copied()
                .collect::<Vec<_>>()
            {
                if self.taken(|taken| matches!(taken, Taken::Peer(_))) >= ISOLATION_BUDGET {
                    break;
                }
                self.act(
                    now,
                    finding.id,
                    Some(Taken::Peer(peer)),
                    ActionKind::IsolatePeer { peer },
                    self.autonomy.isolate && enough,
                    format!("{peer} sent commands that no controller or operator says it sent{doubt}"),
                    "released by an operator when the peer is trusted again",
                    actions,
                );
            }
        }

        if accused(&[Suspect::Sensor, Suspect::Network]) {
            for share in finding.attribution.iter().filter(|share| share.share >= LEAST_SHARE) {
                let Some(estimate) = situation.twin.and_then(|twin| twin.estimate(share.signal)) else {
                    continue;
                };
                let Ok(value) = Value::real(estimate.mean) else { continue };
                if self.taken(|taken| matches!(taken, Taken::Signal(_))) >= SUBSTITUTION_BUDGET {
                    break;
                }
                self.act(
                    now,
                    finding.id,
                    Some(Taken::Signal(share.signal)),
                    ActionKind::Substitute { signal: share.signal, value, sigma: estimate.sigma },
                    self.autonomy.substitute && enough,
                    format!("the measured value is not to be trusted; uncertainty grows while the model runs alone{doubt}"),
                    "returned when field and model agree again",
                    actions,
                );
                self.act(
                    now,
                    finding.id,
                    Some(Taken::Check(share.signal)),
                    ActionKind::Verify { signal: share.signal },
                    true,
                    "a second reading over an independent path separates a fault from an attack".to_owned(),
                    "nothing to undo",
                    actions,
                );
            }
        }

        let harm_is_near = settled && finding.severity == Severity::Critical;
        if accused(&[Suspect::CommandPath, Suspect::Actuator, Suspect::Identity]) || harm_is_near {
            for (offset, (signal, value)) in self.safe_state.clone().into_iter().enumerate() {
                let command = Command {
                    id: CommandId(situation.next_command.0 + offset as u64),
                    principal: situation.principal,
                    signal,
                    value,
                    at: now,
                    origin: CommandOrigin::Guard,
                    from: None,
                };
                self.act(
                    now,
                    finding.id,
                    Some(Taken::Actuator(signal)),
                    ActionKind::Command(command),
                    self.autonomy.safe_state && enough,
                    format!(
                        "safe state while commands cannot be trusted; production or energy may suffer{doubt}"
                    ),
                    "the controller takes over again after release",
                    actions,
                );
            }
        }

        if self.notified.insert(finding.id) {
            let text =
                if finding.next_step.is_empty() { finding.title.clone() } else { finding.next_step.clone() };
            self.act(
                now,
                finding.id,
                None,
                ActionKind::Notify { text },
                true,
                finding.title.clone(),
                "nothing to undo",
                actions,
            );
        }
    }

    fn on_verdict(&mut self, action: ActionId, verdict: &Verdict) -> Result<(), Error> {
        if !self.pending.contains_key(&action) {
            return Err(Error::NotPending { action });
        }
        if !verdict.decision.permits() {
            self.on_outcome(&Outcome { action, result: OutcomeResult::Refused, at: verdict.at })?;
        }
        Ok(())
    }

    fn on_outcome(&mut self, outcome: &Outcome) -> Result<(), Error> {
        let action =
            self.pending.remove(&outcome.action).ok_or(Error::NotPending { action: outcome.action })?;
        let taken = match &action.kind {
            ActionKind::IsolatePeer { peer } => Taken::Peer(*peer),
            ActionKind::Substitute { signal, .. } => Taken::Signal(*signal),
            ActionKind::Command(command) => Taken::Actuator(command.signal),
            _ => return Ok(()),
        };
        match outcome.result {
            OutcomeResult::Done => {
                self.in_force.insert(action.id, (action.finding, taken));
            }
            // Forget that it was asked for, so that the next revision of the finding may ask again.
            OutcomeResult::Failed => {
                self.asked.remove(&(action.finding, taken));
            }
            OutcomeResult::Refused => {}
        }
        Ok(())
    }

    fn next_deadline(&self) -> Option<Timestamp> {
        self.pending.values().map(|action| action.deadline).min()
    }

    fn tick(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        let silent: Vec<ActionId> =
            self.pending.iter().filter(|(_, action)| action.deadline <= now).map(|(id, _)| *id).collect();
        for id in silent {
            let Some(action) = self.pending.remove(&id) else { continue };
            if let ActionKind::IsolatePeer { peer } = action.kind {
                // The gate keeps it out whatever the platform did.
                self.in_force.insert(id, (action.finding, Taken::Peer(peer)));
            }
            let text = format!(
                "action {id} was not confirmed by its deadline; carry it out by hand: {}",
                action.reason
            );
            self.act(
                now,
                action.finding,
                None,
                ActionKind::Notify { text },
                true,
                "silence escalates to a person".to_owned(),
                "nothing to undo",
                actions,
            );
        }
    }

    fn stand_down(&mut self, now: Timestamp, finding: &Finding, actions: &mut Vec<Action>) {
        // What was asked for may be under way already.
        let asked = self.pending.values().filter(|action| {
            action.finding == finding.id && !matches!(action.kind, ActionKind::IsolatePeer { .. })
        });
        let over: BTreeSet<ActionId> = self
            .in_force
            .iter()
            .filter(|(_, (id, taken))| *id == finding.id && !matches!(taken, Taken::Peer(_)))
            .map(|(action, _)| *action)
            .chain(asked.map(|action| action.id))
            .collect();
        for action in over {
            self.in_force.remove(&action);
            self.pending.remove(&action);
            self.act(
                now,
                finding.id,
                None,
                ActionKind::Release { action },
                true,
                "the finding is closed".to_owned(),
                "the action can be asked for again",
                actions,
            );
        }
        // A peer stays out until a person lets it in.
        let mut kept: BTreeSet<(FindingId, Taken)> = self.in_force.values().copied().collect();
        kept.extend(self.pending.values().filter_map(|action| match action.kind {
            ActionKind::IsolatePeer { peer } => Some((action.finding, Taken::Peer(peer))),
            _ => None,
        }));
        self.asked.retain(|asked, _| asked.0 != finding.id || kept.contains(asked));
        self.notified.remove(&finding.id);
    }

    fn release(&mut self, now: Timestamp, action: ActionId, actions: &mut Vec<Action>) {
        let pending = self.pending.remove(&action).map(|action| action.finding);
        let in_force = self.in_force.remove(&action);
        if let Some((finding, taken)) = in_force
            && !self.notified.contains(&finding)
        {
            // Its finding is over: nothing keeps it from being asked for again.
            self.asked.remove(&(finding, taken));
        }
        let Some(finding) = pending.or(in_force.map(|(finding, _)| finding)) else { return };
        self.act(
            now,
            finding,
            None,
            ActionKind::Release { action },
            true,
            "an operator ended it".to_owned(),
            "the action can be asked for again",
            actions,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use twinguard_types::{Attribution, Digest, Evidence, FindingKind, FindingState, PrincipalId};

    fn finding(suspects: &[Suspect], symptoms: &[Symptom]) -> Finding {
        Finding {
            id: FindingId(1),
            revision: 0,
            at: Timestamp::ZERO,
            raised_at: Timestamp::ZERO,
            onset: Timestamp::ZERO,
            severity: Severity::High,
            title: "test".into(),
            summary: String::new(),
            suspect: suspects[0],
            suspect_element: None,
            suspect_set: suspects.to_vec(),
            kind: FindingKind::Attack,
            confidence: Vec::new(),
            surprise: 9.0,
            threshold: 6.0,
            attribution: vec![Attribution { signal: SignalId(0), share: 1.0 }],
            evidence: symptoms
                .iter()
                .map(|symptom| Evidence {
                    detector: "d".into(),
                    symptom: *symptom,
                    surprise: 9.0,
                    threshold: 6.0,
                    since: Timestamp::ZERO,
                })
                .collect(),
            reasons: Vec::new(),
            techniques: Vec::new(),
            next_step: "look".into(),
            missing: Vec::new(),
            inputs: Digest::default(),
            inputs_count: 0,
            state: FindingState::Open,
        }
    }

    fn situation(offenders: &[core::net::IpAddr]) -> Situation<'_> {
        Situation { twin: None, offenders, principal: PrincipalId(0), next_command: CommandId(10) }
    }

    fn respond(playbook: &mut Playbook, finding: &Finding) -> Vec<Action> {
        let offenders = ["10.0.0.66".parse().unwrap()];
        let mut actions = Vec::new();
        playbook.respond(Timestamp::from_secs(1), finding, &situation(&offenders), &mut actions);
        actions
    }

    fn playbook(autonomy: Autonomy) -> Playbook {
        Playbook::new(vec![(SignalId(3), 1.0)], autonomy).unwrap()
    }

    #[test]
    fn recommending_is_the_default() {
        let actions = respond(
            &mut playbook(Autonomy::default()),
            &finding(&[Suspect::CommandPath], &[Symptom::Provenance, Symptom::Novelty]),
        );
        assert!(actions.iter().any(|action| matches!(action.kind, ActionKind::IsolatePeer { .. })));
        assert!(
            actions
                .iter()
                .filter(|action| !matches!(action.kind, ActionKind::Notify { .. }))
                .all(|action| action.recommended_only)
        );
    }

    #[test]
    fn one_kind_of_evidence_never_acts_on_the_process() {
        let one = respond(
            &mut playbook(Autonomy::FULL),
            &finding(&[Suspect::CommandPath], &[Symptom::Provenance, Symptom::Journal]),
        );
        assert!(
            one.iter()
                .filter(|action| matches!(action.kind, ActionKind::Command(_)))
                .all(|action| action.recommended_only)
        );
        let two = respond(
            &mut playbook(Autonomy::FULL),
            &finding(&[Suspect::CommandPath], &[Symptom::Provenance, Symptom::Residual]),
        );
        assert!(
            two.iter()
                .any(|action| matches!(action.kind, ActionKind::Command(_)) && !action.recommended_only)
        );
    }

    #[test]
    fn nothing_is_done_twice_and_all_is_given_back() {
        let mut playbook = playbook(Autonomy::FULL);
        let finding = finding(&[Suspect::CommandPath], &[Symptom::Provenance, Symptom::Residual]);
        let first = respond(&mut playbook, &finding);
        assert!(respond(&mut playbook, &finding).is_empty());
        for action in &first {
            let outcome =
                Outcome { action: action.id, result: OutcomeResult::Done, at: Timestamp::from_secs(2) };
            let known = playbook.on_outcome(&outcome).is_ok();
            assert_eq!(known, !matches!(action.kind, ActionKind::Notify { .. }));
        }
        assert_eq!(playbook.next_deadline(), None);
        let mut released = Vec::new();
        playbook.stand_down(Timestamp::from_secs(9), &finding, &mut released);
        assert!(released.iter().all(|action| matches!(action.kind, ActionKind::Release { .. })));
        assert_eq!(released.len(), 1, "the actuator is released, the peer stays isolated");
    }

    #[test]
    fn a_recommendation_becomes_an_action_with_more_evidence() {
        let mut playbook = playbook(Autonomy::FULL);
        respond(&mut playbook, &finding(&[Suspect::CommandPath], &[Symptom::Provenance]));
        let later = respond(
            &mut playbook,
            &finding(&[Suspect::CommandPath], &[Symptom::Provenance, Symptom::Residual]),
        );
        assert_eq!(later.iter().filter(|action| !action.recommended_only).count(), 2);
    }

    #[test]
    fn silence_escalates_to_a_person() {
        let mut playbook = playbook(Autonomy::FULL);
        respond(&mut playbook, &finding(&[Suspect::CommandPath], &[Symptom::Provenance, Symptom::Residual]));
        let deadline = playbook.next_deadline().unwrap();
        let mut actions = Vec::new();
        playbook.tick(deadline, &mut actions);
        assert_eq!(actions.len(), 2, "one for the peer, one for the actuator");
        assert!(actions.iter().all(|action| matches!(action.kind, ActionKind::Notify { .. })));
    }

    #[test]
    fn a_refused_command_is_settled() {
        let mut playbook = playbook(Autonomy::FULL);
        let actions = respond(
            &mut playbook,
            &finding(&[Suspect::CommandPath], &[Symptom::Provenance, Symptom::Residual]),
        );
        let action = actions.iter().find(|action| matches!(action.kind, ActionKind::Command(_))).unwrap();
        let verdict = Verdict {
            command: CommandId(10),
            at: Timestamp::from_secs(1),
            decision: twinguard_types::Decision::Deny,
            reasons: Vec::new(),
            margin: None,
        };
        playbook.on_verdict(action.id, &verdict).unwrap();
        assert_eq!(playbook.on_verdict(action.id, &verdict), Err(Error::NotPending { action: action.id }));
    }
}
