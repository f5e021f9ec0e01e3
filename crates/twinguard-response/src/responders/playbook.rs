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
//! | the model accused by its own seal | load it again from its seal: beside what runs first |
//! | anything else | tell a person, name the next check |
//!
//! Two independent kinds of evidence are needed before anything that affects the process is done by itself; with
//! one kind, or where as much is done already as may be, the same action is recommended only. A model that is not the sealed one is a fact
//! and not a sign, and going back to the seal gives nobody anything: one kind is enough for it. While the evidence still allows that nothing is wrong at all, nobody
//! is told to touch the process.

use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};

use twinguard_types::{
    Action, ActionId, ActionKind, Command, CommandId, CommandOrigin, Duration, Evidence, Finding, FindingId,
    Outcome, OutcomeResult, Severity, SignalId, Suspect, Symptom, Timestamp, Value, Verdict,
};

use crate::{Autonomy, Error, Measure, Play, Responder, Situation};

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
    plays: Vec<Play>,
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
    Model,
}

impl Taken {
    /// What an action of this kind takes hold of, where it is something that can be given back.
    fn by(kind: &ActionKind) -> Option<Self> {
        Some(match kind {
            ActionKind::IsolatePeer { peer } => Self::Peer(*peer),
            ActionKind::Substitute { signal, .. } => Self::Signal(*signal),
            ActionKind::Command(command) => Self::Actuator(command.signal),
            ActionKind::Revert { .. } => Self::Model,
            _ => return None,
        })
    }
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
            plays: Play::usual(),
            next: 0,
            pending: BTreeMap::new(),
            in_force: BTreeMap::new(),
            asked: BTreeMap::new(),
            notified: BTreeSet::new(),
        })
    }

    /// Goes by this table instead of the usual one.
    #[must_use]
    pub fn with_plays(self, plays: Vec<Play>) -> Self {
        Self { plays, ..self }
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
        if granted && Taken::by(&action.kind).is_some() {
            self.pending.insert(id, action.clone());
        }
        actions.push(action);
    }

    /// Adds the actions of one measure.
    fn take(
        &mut self,
        measure: Measure,
        now: Timestamp,
        finding: &Finding,
        situation: &Situation<'_>,
        actions: &mut Vec<Action>,
    ) {
        let enough = kinds_of_evidence(finding) >= 2;
        let doubt = |room: bool| match (enough, room) {
            (false, _) => "; only one kind of evidence, so this is a recommendation",
            (_, false) => "; as much is done already as may be, so this is a recommendation",
            _ => "",
        };
        let shares = finding.attribution.iter().filter(|share| share.share >= LEAST_SHARE);
        match measure {
            Measure::Isolate => {
                let peers = situation.offenders.iter().filter(|peer| !self.is_cut_off(**peer));
                for peer in peers.copied().collect::<Vec<_>>() {
                    let room = self.taken(|taken| matches!(taken, Taken::Peer(_))) < ISOLATION_BUDGET;
                    let needed = situation.needed.contains(&peer);
                    let doubt = if needed {
                        "; the plant needs this address, and an address can be forged: a person decides"
                    } else {
                        doubt(room)
                    };
                    self.act(
                        now,
                        finding.id,
                        Some(Taken::Peer(peer)),
                        ActionKind::IsolatePeer { peer },
                        self.autonomy.isolate && enough && room && !needed,
                        format!("{peer} sent commands that no controller or operator says it sent{doubt}"),
                        "released by an operator when the peer is trusted again",
                        actions,
                    );
                }
            }
            Measure::Substitute => {
                for signal in shares.map(|share| share.signal) {
                    let Some(estimate) = situation.twin.and_then(|twin| twin.estimate(signal)) else {
                        continue;
                    };
                    let Ok(value) = Value::real(estimate.mean) else { continue };
                    let room = self.taken(|taken| matches!(taken, Taken::Signal(_))) < SUBSTITUTION_BUDGET;
                    self.act(
                        now,
                        finding.id,
                        Some(Taken::Signal(signal)),
                        ActionKind::Substitute { signal, value, sigma: estimate.sigma },
                        self.autonomy.substitute && enough && room,
                        format!(
                            "the measured value is not to be trusted; uncertainty grows while the model runs alone{}",
                            doubt(room)
                        ),
                        "returned when field and model agree again",
                        actions,
                    );
                }
            }
            Measure::Verify => {
                for signal in shares.map(|share| share.signal) {
                    self.act(
                        now,
                        finding.id,
                        Some(Taken::Check(signal)),
                        ActionKind::Verify { signal },
                        true,
                        "a second reading over an independent path separates a fault from an attack"
                            .to_owned(),
                        "nothing to undo",
                        actions,
                    );
                }
            }
            Measure::SafeState => {
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
                            "safe state while commands cannot be trusted; production or energy may suffer{}",
                            doubt(true)
                        ),
                        "the controller takes over again after release",
                        actions,
                    );
                }
            }
            Measure::Revert => {
                let unsealed = |evidence: &Evidence| {
                    evidence.symptom == Symptom::Seal && evidence.surprise >= evidence.threshold
                };
                if finding.evidence.iter().any(unsealed) {
                    self.act(
                        now,
                        finding.id,
                        Some(Taken::Model),
                        ActionKind::Revert { sealed: situation.sealed, commit: false },
                        self.autonomy.revert,
                        "what runs is not what was sealed; nothing takes over before it is verified"
                            .to_owned(),
                        "forget what was loaded",
                        actions,
                    );
                }
            }
            Measure::Notify => {
                if self.notified.insert(finding.id) {
                    let step = &finding.next_step;
                    let text = if step.is_empty() { &finding.title } else { step }.clone();
                    self.order(now, finding.id, ActionKind::Notify { text }, finding.title.clone(), actions);
                }
            }
        }
    }

    /// Whether this peer is cut off, or about to be, for whatever finding.
    fn is_cut_off(&self, peer: IpAddr) -> bool {
        self.in_force.values().any(|(_, taken)| *taken == Taken::Peer(peer))
            || self.pending.values().any(|action| action.kind == ActionKind::IsolatePeer { peer })
    }

    /// How much is in force or under way, whatever finding it is for; what was only recommended uses nothing up.
    fn taken(&self, matches: impl Fn(&Taken) -> bool) -> usize {
        let pending = self.pending.values().filter_map(|action| Taken::by(&action.kind));
        self.in_force.values().map(|(_, taken)| *taken).chain(pending).filter(|taken| matches(taken)).count()
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
        let harm_is_near = settled && finding.severity == Severity::Critical;
        for play in self.plays.clone() {
            let accused = finding.suspect_set.iter().any(|suspect| play.accused.contains(suspect));
            for measure in &play.measures {
                let harmless = matches!(measure, Measure::Verify | Measure::Notify);
                let due = accused && (settled || harmless) || harm_is_near && play.limit_within_reach;
                if due || play.always() {
                    self.take(*measure, now, finding, situation, actions);
                }
            }
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
        let Some(taken) = Taken::by(&action.kind) else { return Ok(()) };
        match outcome.result {
            // A model from its seal is nothing that has to be given back.
            OutcomeResult::Done if taken == Taken::Model => {}
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

    fn holding(&self, finding: FindingId) -> Vec<ActionId> {
        // What was asked for may be under way already.
        let asked = self.pending.values().filter(|action| {
            action.finding == finding
                && !matches!(action.kind, ActionKind::IsolatePeer { .. } | ActionKind::Revert { .. })
        });
        let held = self
            .in_force
            .iter()
            .filter(|(_, (of, taken))| *of == finding && !matches!(taken, Taken::Peer(_)))
            .map(|(action, _)| *action);
        held.chain(asked.map(|action| action.id)).collect::<BTreeSet<_>>().into_iter().collect()
    }

    fn release(&mut self, now: Timestamp, action: ActionId, why: &str, actions: &mut Vec<Action>) {
        let pending = self.pending.remove(&action).map(|action| action.finding);
        let in_force = self.in_force.remove(&action);
        if let Some((finding, taken)) = in_force
            && !self.notified.contains(&finding)
        {
            // Its finding is over: nothing keeps it from being asked for again.
            self.asked.remove(&(finding, taken));
        }
        let Some(finding) = pending.or(in_force.map(|(finding, _)| finding)) else { return };
        self.order(now, finding, ActionKind::Release { action }, why.to_owned(), actions);
    }

    fn order(
        &mut self,
        now: Timestamp,
        finding: FindingId,
        kind: ActionKind,
        reason: String,
        actions: &mut Vec<Action>,
    ) {
        if let Some(taken) = Taken::by(&kind) {
            self.asked.insert((finding, taken), true);
        }
        let undo = match kind {
            ActionKind::Release { .. } => "the action can be asked for again",
            ActionKind::Revert { .. } => "load what was sealed before",
            _ if Taken::by(&kind).is_some() => "given back when the finding is over",
            _ => "nothing to undo",
        };
        self.act(now, finding, None, kind, true, reason, undo, actions);
    }

    fn forget(&mut self, finding: FindingId) {
        // A peer stays out until a person lets it in.
        let mut kept: BTreeSet<(FindingId, Taken)> = self.in_force.values().copied().collect();
        kept.extend(self.pending.values().filter_map(|action| match action.kind {
            ActionKind::IsolatePeer { peer } => Some((action.finding, Taken::Peer(peer))),
            _ => None,
        }));
        self.asked.retain(|asked, _| asked.0 != finding || kept.contains(asked));
        self.notified.remove(&finding);
    }

    fn take_over(&mut self, earlier: FindingId, later: FindingId) {
        for (of, taken) in self.in_force.values_mut().filter(|(of, _)| *of == earlier) {
            *of = later;
            self.asked.insert((later, *taken), true);
        }
        for action in self.pending.values_mut().filter(|action| action.finding == earlier) {
            action.finding = later;
            self.asked.extend(Taken::by(&action.kind).map(|taken| ((later, taken), true)));
        }
        self.forget(earlier);
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
        Situation {
            twin: None,
            offenders,
            needed: &[],
            principal: PrincipalId(0),
            next_command: CommandId(10),
            sealed: Digest([5; 32]),
        }
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
        let held = playbook.holding(finding.id);
        assert_eq!(held.len(), 1, "the actuator is given back, the peer stays isolated");
        let mut released = Vec::new();
        held.iter().for_each(|action| {
            playbook.release(Timestamp::from_secs(9), *action, "it is over", &mut released);
        });
        playbook.forget(finding.id);
        assert_eq!(
            released.iter().map(|it| &it.kind).collect::<Vec<_>>(),
            [&ActionKind::Release { action: held[0] }]
        );
        assert_eq!((playbook.holding(finding.id).len(), playbook.in_force().count()), (0, 1));
    }

    #[test]
    fn what_is_held_goes_over_to_a_later_finding() {
        let mut playbook = playbook(Autonomy::FULL);
        let earlier = finding(&[Suspect::CommandPath], &[Symptom::Provenance, Symptom::Residual]);
        for action in respond(&mut playbook, &earlier) {
            let outcome = Outcome { action: action.id, result: OutcomeResult::Done, at: Timestamp::ZERO };
            let _ = playbook.on_outcome(&outcome);
        }
        let held = playbook.holding(earlier.id);
        let later = Finding { id: FindingId(2), ..earlier.clone() };
        playbook.take_over(earlier.id, later.id);
        assert_eq!((playbook.holding(earlier.id).len(), playbook.holding(later.id)), (0, held));
        let again = respond(&mut playbook, &later);
        assert!(again.iter().all(|it| matches!(it.kind, ActionKind::Notify { .. })), "nothing is done twice");
    }

    #[test]
    fn budgets_count_what_is_done_and_beyond_them_it_is_recommended() {
        let mut playbook = playbook(Autonomy::FULL);
        let peer = |last: u8| core::net::IpAddr::from([10, 0, 1, last]);
        let all: Vec<_> = (0..40).map(peer).collect();
        let mut isolated = |symptoms: &[Symptom], id: u64| {
            let finding = Finding { id: FindingId(id), ..finding(&[Suspect::CommandPath], symptoms) };
            let mut actions = Vec::new();
            playbook.respond(Timestamp::from_secs(1), &finding, &situation(&all), &mut actions);
            let isolations = actions.iter().filter(|it| matches!(it.kind, ActionKind::IsolatePeer { .. }));
            let (recommended, done): (Vec<_>, Vec<_>) = isolations.partition(|it| it.recommended_only);
            (recommended.len(), done.len())
        };
        // Forty recommendations use nothing up: the first that is sure is still acted on.
        assert_eq!(isolated(&[Symptom::Provenance], 1), (40, 0));
        assert_eq!(isolated(&[Symptom::Provenance, Symptom::Residual], 1), (0, ISOLATION_BUDGET));
        assert_eq!(isolated(&[Symptom::Provenance, Symptom::Residual], 2), (40 - ISOLATION_BUDGET, 0));
    }

    #[test]
    fn an_address_that_the_plant_needs_is_not_cut_off_without_a_person() {
        let offenders = [core::net::IpAddr::from([10, 0, 0, 10]), core::net::IpAddr::from([10, 0, 0, 66])];
        let situation = Situation { needed: &offenders[..1], ..situation(&offenders) };
        let finding = finding(&[Suspect::CommandPath], &[Symptom::Provenance, Symptom::Residual]);
        let mut actions = Vec::new();
        playbook(Autonomy::FULL).respond(Timestamp::from_secs(1), &finding, &situation, &mut actions);
        let recommended = |peer| {
            actions.iter().find(|it| it.kind == ActionKind::IsolatePeer { peer }).unwrap().recommended_only
        };
        assert_eq!(offenders.map(recommended), [true, false]);
    }

    #[test]
    fn a_model_that_is_not_the_sealed_one_is_loaded_again_beside_it_first() {
        let mut playbook = playbook(Autonomy::FULL);
        let finding = finding(&[Suspect::Model], &[Symptom::Seal]);
        let revert = |actions: &[Action]| {
            actions.iter().find(|it| matches!(it.kind, ActionKind::Revert { .. })).cloned()
        };
        let first = revert(&respond(&mut playbook, &finding)).unwrap();
        assert_eq!(first.kind, ActionKind::Revert { sealed: Digest([5; 32]), commit: false });
        assert!(!first.recommended_only && playbook.next_deadline() == Some(first.deadline));
        let done = Outcome { action: first.id, result: OutcomeResult::Done, at: Timestamp::from_secs(2) };
        playbook.on_outcome(&done).unwrap();
        assert_eq!((playbook.in_force().count(), playbook.holding(finding.id).len()), (0, 0));
        assert!(revert(&respond(&mut playbook, &finding)).is_none(), "not twice for one finding");
        let unsure =
            Finding { id: FindingId(2), ..super::tests::finding(&[Suspect::Model], &[Symptom::Residual]) };
        assert!(revert(&respond(&mut playbook, &unsure)).is_none(), "a residual is no proof");
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
