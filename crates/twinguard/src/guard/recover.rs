//! The way back: second readings, the staged return to normal, and going back to the sealed model.
//!
//! What a finding took is given back one by one, the last taken first, each after a quiet time; new evidence breaks it off, and what was
//! given back is taken again. Where a person asks for it while the finding is open, the accused sensors have to agree with a reading over
//! an independent path first. A model that is not the sealed one is loaded beside what runs, verified by our own twin, which runs what was
//! sealed, and takes over then; it is over when a measurement has found the sealed one.

use serde::{Deserialize, Serialize};
use twinguard_response::Responder as _;
use twinguard_response::recovery::{Plan, Reading, Recovery, Stage, Verify};
use twinguard_types::{
    Action, ActionId, ActionKind, AttestationOutcome, Digest, Duration, Finding, FindingId, FindingState,
    Outcome, OutcomeResult, SignalId, Suspect, Symptom, Timestamp, Value,
};

use super::Guard;
use crate::{Check, Error, Input};

/// How long a verification may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long after a model took over a measurement of it may take.
const CONFIRM: Duration = Duration::from_secs(600);
/// How long traffic that we held back may take to be as usual again.
const OUTLAST: Duration = Duration::from_secs(600);
/// Standard deviations between what is to be believed again and an independent reading.
const SIGMAS: f64 = 5.0;
/// A twin that heard of the plant this long ago says nothing of it, in sampling periods.
const STALE_PERIODS: i64 = 10;

/// A recovery under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Return {
    recovery: Recovery,
    begun: Timestamp,
    /// The action whose outcome a revert waits for.
    action: Option<ActionId>,
}

/// What the journal says of a step.
#[derive(Serialize)]
struct Step<'a> {
    finding: FindingId,
    stage: &'a Stage,
    /// What is gone back to.
    sealed: Option<Digest>,
    /// What this step gave back.
    released: Option<ActionId>,
}

impl Guard {
    /// Signals of which a reading over an independent path is wanted now.
    pub fn wanted(&self) -> impl Iterator<Item = SignalId> {
        let now = self.now.unwrap_or(Timestamp::MIN);
        self.wanted.iter().filter(move |(_, until)| now <= **until).map(|(signal, _)| *signal)
    }

    /// Reads again what is [wanted](Guard::wanted), over the path that the platform has; the same as telling each reading as
    /// [`Input::Check`]. What cannot be read is left out.
    ///
    /// ```
    /// use twinguard::response::recovery::{Reading, Verify};
    /// use twinguard::{Guard, twin::Plant, types::{SignalId, Timestamp}};
    ///
    /// /// A person with a hand-held meter.
    /// struct Meter(f64, Timestamp);
    ///
    /// impl Verify for Meter {
    ///     fn verify(&mut self, _signal: SignalId) -> Option<Reading> {
    ///         Some(Reading { value: self.0, sigma: 0.1, at: self.1 })
    ///     }
    /// }
    ///
    /// let plant = Plant::parse("format = 1\nname = \"tank\"\n[[signal]]\npath = \"level\"\n", "plant.toml")?;
    /// let mut guard = Guard::builder_unsealed(plant).build()?;
    /// let now = Timestamp::from_secs(1);
    /// assert_eq!(guard.read_again(now, &mut Meter(1.2, now))?, 0, "nothing is in doubt");
    /// # Ok::<(), twinguard::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Guard::handle`].
    pub fn read_again(&mut self, now: Timestamp, path: &mut dyn Verify) -> Result<usize, Error> {
        let wanted: Vec<SignalId> = self.wanted().collect();
        let mut read = 0;
        for signal in wanted {
            let Some(Reading { value, sigma, at }) = path.verify(signal) else { continue };
            self.handle(now, Input::Check(Check { signal, value, sigma, at }))?;
            read += 1;
        }
        Ok(read)
    }

    /// How far the way back of a finding is; `None` where none is under way.
    #[must_use]
    pub fn recovery(&self, finding: FindingId) -> Option<&Stage> {
        self.returns.get(&finding).map(|it| it.recovery.stage())
    }

    pub(super) fn next_step(&self) -> Option<Timestamp> {
        self.returns.values().filter_map(|it| it.recovery.next_deadline()).min()
    }

    /// A reading is asked for: until when it is waited for.
    pub(super) fn want(&mut self, now: Timestamp, signal: SignalId, until: Timestamp) {
        self.wanted.retain(|_, until| now <= *until);
        self.wanted.insert(signal, until);
    }

    /// A person wants a finding's actions given back while it is open: the sensors that it accuses are read again first.
    pub(super) fn recover(&mut self, now: Timestamp, id: FindingId) -> Result<(), Error> {
        if self.returns.contains_key(&id) {
            return Ok(());
        }
        let accused = self.distrusted.iter().filter(|(_, finding)| **finding == id);
        let verify: Vec<SignalId> = accused.map(|(signal, _)| *signal).collect();
        let recovery = Recovery::begin(now, self.plan(id, verify.clone(), self.config.settle))?;
        self.tell_step(now, id, &recovery, None);
        self.returns.insert(id, Return { recovery, begun: now, action: None });
        if verify.is_empty() {
            return self.verified(now, id);
        }
        let mut actions = Vec::new();
        for signal in verify {
            let reason = "what a sensor says is believed again once an independent reading agrees".to_owned();
            self.responder.order(now, id, ActionKind::Verify { signal }, reason, &mut actions);
        }
        self.act(now, actions);
        Ok(())
    }

    fn plan(&self, id: FindingId, verify: Vec<SignalId>, settle: Duration) -> Plan {
        Plan { taken: self.responder.holding(id), verify, sigmas: SIGMAS, settle, patience: PATIENCE }
    }

    /// An independent reading came in: whoever wanted it goes on.
    pub(super) fn take_reading(&mut self, now: Timestamp, check: &Check) -> Result<(), Error> {
        let Check { signal, value, sigma, at } = *check;
        self.wanted.remove(&signal);
        let noise = self.plant.catalogue.signal(signal).and_then(|known| known.sigma).unwrap_or(0.0);
        let believed = self.field(signal).map(|value| (value, noise));
        let waiting = self.returns.iter().filter(|(_, it)| it.recovery.wanted().any(|it| it == signal));
        let waiting: Vec<FindingId> = waiting.map(|(id, _)| *id).collect();
        for id in waiting {
            let Some(it) = self.returns.get_mut(&id) else { continue };
            match it.recovery.reading(now, signal, &Reading { value, sigma, at }, believed) {
                Stage::Verified => self.verified(now, id)?,
                Stage::Aborted { .. } => self.give_up(now, id),
                _ => {}
            }
        }
        Ok(())
    }

    /// What the accused sensors say is true again: the finding is over, and what was taken for it is given back.
    fn verified(&mut self, now: Timestamp, id: FindingId) -> Result<(), Error> {
        let Some(mut it) = self.returns.remove(&id) else { return Ok(()) };
        if *it.recovery.stage() == Stage::Prepared {
            it.recovery.verified(now)?;
        }
        self.tell_step(now, id, &it.recovery, None);
        self.aside.remove(&id);
        self.set_state(now, id, FindingState::Closed);
        self.senses.close(id);
        self.stand_down(now, id);
        Ok(())
    }

    /// A finding is over: its sensors are believed again, and what was taken for it is given back step by step.
    pub(super) fn stand_down(&mut self, now: Timestamp, id: FindingId) {
        self.heard.remove(&id);
        let accused = self.distrusted.iter().filter(|(_, finding)| **finding == id);
        let signals: Vec<SignalId> = accused.map(|(signal, _)| *signal).collect();
        signals.into_iter().for_each(|signal| self.trust_again(signal));
        let goes_on = |it: &Finding| it.id != id && it.state != FindingState::Closed;
        if !self.findings.values().any(goes_on) {
            self.read.clear();
        }
        if let Some(mut it) = self.returns.remove(&id) {
            it.recovery.abort(now, "the finding is over");
            self.tell_step(now, id, &it.recovery, None);
        }
        let plan = self.plan(id, Vec::new(), self.config.settle);
        if plan.taken.is_empty() {
            self.responder.forget(id);
            return;
        }
        let begun = Recovery::begin(now, plan).and_then(|mut recovery| {
            recovery.verified(now)?;
            recovery.committed(now)?;
            Ok(recovery)
        });
        match begun {
            Ok(recovery) => {
                self.tell_step(now, id, &recovery, None);
                self.returns.insert(id, Return { recovery, begun: now, action: None });
            }
            Err(error) => self.fail(error.into()),
        }
    }

    /// Time passed: the next step of whatever is due.
    pub(super) fn take_steps(&mut self, now: Timestamp) {
        let due = |it: &Return| it.recovery.next_deadline().is_some_and(|at| at <= now);
        let due: Vec<FindingId> = self.returns.iter().filter(|(_, it)| due(it)).map(|(id, _)| *id).collect();
        for id in due {
            let Some(it) = self.returns.get_mut(&id) else { continue };
            if it.recovery.target().is_some() && matches!(it.recovery.stage(), Stage::Returning(_)) {
                it.recovery.abort(now, "nobody has measured that what runs is what was sealed");
            }
            let released = it.recovery.tick(now);
            let recovery = it.recovery.clone();
            match recovery.stage() {
                Stage::Aborted { .. } => {
                    self.give_up(now, id);
                    continue;
                }
                Stage::Normal => drop(self.returns.remove(&id)),
                _ => {}
            }
            self.tell_step(now, id, &recovery, released);
            if let Some(action) = released {
                let mut actions = Vec::new();
                self.responder.release(now, action, "all was quiet since the step before", &mut actions);
                self.act(now, actions);
            }
            if *recovery.stage() == Stage::Normal && recovery.target().is_none() {
                self.responder.forget(id);
            }
        }
    }

    /// A finding came while others' actions were being given back: where it is about the same, they are taken again.
    pub(super) fn break_off(&mut self, now: Timestamp, finding: &Finding) {
        let touched = |(id, it): &(&FindingId, &Return)| {
            **id != finding.id
                && finding.raised_at >= it.begun
                && it.recovery.target().is_none()
                && matches!(it.recovery.stage(), Stage::Returning(_))
                && self.findings.get(id).is_none_or(|earlier| related(earlier, finding))
        };
        let touched: Vec<FindingId> = self.returns.iter().filter(touched).map(|(id, _)| *id).collect();
        for id in touched {
            let Some(mut it) = self.returns.remove(&id) else { continue };
            it.recovery.abort(now, format!("finding {} came: {}", finding.id, finding.title));
            self.tell_step(now, id, &it.recovery, None);
            self.responder.take_over(id, finding.id);
            let Stage::Aborted { released, .. } = it.recovery.stage() else { continue };
            let mut actions = Vec::new();
            for action in released {
                let Some(kind) = self.actions.get(action).and_then(|kind| self.afresh(kind)) else {
                    continue;
                };
                let reason = format!("action {action} was given back too early");
                self.responder.order(now, finding.id, kind, reason, &mut actions);
            }
            self.act(now, actions);
        }
    }

    /// The same action with what is known now.
    fn afresh(&self, kind: &ActionKind) -> Option<ActionKind> {
        match kind {
            ActionKind::Substitute { signal, .. } => {
                let (mean, sigma) = self.estimate(*signal)?;
                Some(ActionKind::Substitute { signal: *signal, value: Value::real(mean).ok()?, sigma })
            }
            kind => Some(kind.clone()),
        }
    }

    /// A way back that failed before it gave anything back: a person has to look.
    fn give_up(&mut self, now: Timestamp, id: FindingId) {
        let Some(it) = self.returns.remove(&id) else { return };
        self.tell_step(now, id, &it.recovery, None);
        let Stage::Aborted { reason, .. } = it.recovery.stage() else { return };
        let what = if it.recovery.target().is_some() { "back to the sealed model" } else { "back to normal" };
        let text = format!("the way {what} was broken off: {reason}");
        let mut actions = Vec::new();
        let why = "nothing more is done by itself".to_owned();
        self.responder.order(now, id, ActionKind::Notify { text }, why, &mut actions);
        self.act(now, actions);
    }

    /// The model is to be loaded again beside what runs.
    pub(super) fn prepare_revert(&mut self, now: Timestamp, action: &Action, sealed: Digest) {
        let plan = Plan { taken: Vec::new(), ..self.plan(action.finding, Vec::new(), CONFIRM) };
        match Recovery::towards(now, plan, sealed) {
            Ok(recovery) => {
                self.tell_step(now, action.finding, &recovery, None);
                let it = Return { recovery, begun: now, action: Some(action.id) };
                self.returns.insert(action.finding, it);
            }
            Err(error) => self.fail(error.into()),
        }
    }

    /// How a half of going back to the sealed model ended.
    pub(super) fn reverted(&mut self, outcome: &Outcome, commit: bool) -> Result<(), Error> {
        let now = outcome.at.max(self.now.unwrap_or(outcome.at));
        let of = self.returns.iter().find(|(_, it)| it.action == Some(outcome.action));
        let Some(id) = of.map(|(id, _)| *id) else { return Ok(()) };
        let vouched = self.vouch_for_the_sealed(now);
        let Some(it) = self.returns.get_mut(&id) else { return Ok(()) };
        let sealed = it.recovery.target().map(|(_, digest)| digest).unwrap_or_default();
        match (outcome.result, vouched) {
            (OutcomeResult::Done, _) if commit => it.recovery.committed(now)?,
            (OutcomeResult::Done, Ok(())) => it.recovery.verified(now)?,
            (OutcomeResult::Done, Err(reason)) => it.recovery.abort(now, reason),
            _ => it.recovery.abort(now, "the platform could not load it"),
        }
        let recovery = it.recovery.clone();
        if let Stage::Aborted { .. } = recovery.stage() {
            self.give_up(now, id);
            return Ok(());
        }
        self.tell_step(now, id, &recovery, None);
        if *recovery.stage() == Stage::Verified {
            let mut actions = Vec::new();
            let reason = "our own twin runs what was sealed, and it follows the plant".to_owned();
            self.responder.order(now, id, ActionKind::Revert { sealed, commit: true }, reason, &mut actions);
            if let Some(it) = self.returns.get_mut(&id) {
                it.action = actions.first().map(|action| action.id);
            }
            self.act(now, actions);
        }
        Ok(())
    }

    /// Whether what was sealed describes the plant: our own twin runs it, and follows what the field says.
    fn vouch_for_the_sealed(&mut self, now: Timestamp) -> Result<(), String> {
        if !self.runs_what_was_sealed() {
            return Err(
                "our own twin does not run what was sealed: load the plant file again first".to_owned()
            );
        }
        let clock = self.senses.twin().and_then(twinguard_twin::Twin::clock);
        let clock = clock.ok_or("no twin of ours says whether what was sealed describes the plant")?;
        let period = self.plant.time.sampling.as_nanos();
        let stale = Duration::from_nanos(period.saturating_mul(STALE_PERIODS));
        self.senses.confidence().widening(now, clock, stale).map(drop)
    }

    /// A measurement of what runs: it ends a revert that waits for it, one way or the other.
    pub(super) fn measured(&mut self, now: Timestamp, outcome: AttestationOutcome) {
        let waits = |it: &Return| {
            it.recovery.target().is_some() && matches!(it.recovery.stage(), Stage::Returning(_))
        };
        let waiting: Vec<FindingId> =
            self.returns.iter().filter(|(_, it)| waits(it)).map(|(id, _)| *id).collect();
        for id in waiting {
            let Some(it) = self.returns.get_mut(&id) else { continue };
            if outcome == AttestationOutcome::Matches {
                it.recovery.settled(now);
                let recovery = it.recovery.clone();
                self.returns.remove(&id);
                self.tell_step(now, id, &recovery, None);
            } else {
                it.recovery.abort(now, "what runs still differs from what was sealed");
                self.give_up(now, id);
            }
        }
    }

    /// Until when a finding is our own doing: while something is held, commands are missing on the wire. Told only if it outlasts that.
    pub(super) fn own_doing(&self, now: Timestamp, finding: &Finding) -> Option<Timestamp> {
        let holds = |it: &Return| {
            it.recovery.target().is_none() && matches!(it.recovery.stage(), Stage::Returning(_))
        };
        let mut found = finding.evidence.iter().filter(|it| it.surprise >= it.threshold);
        let traffic = found.all(|it| matches!(it.symptom, Symptom::Timing | Symptom::Malformed));
        (traffic && self.returns.values().any(holds)).then(|| now + OUTLAST)
    }

    fn tell_step(
        &mut self,
        now: Timestamp,
        finding: FindingId,
        recovery: &Recovery,
        released: Option<ActionId>,
    ) {
        let sealed = recovery.target().map(|(_, digest)| digest);
        self.word(now, "recovery", &Step { finding, stage: recovery.stage(), sealed, released });
    }
}

/// Whether a finding accuses somebody whom an earlier one accused, or is about one of its signals.
fn related(earlier: &Finding, later: &Finding) -> bool {
    let accused = |suspect: &&Suspect| **suspect != Suspect::None && earlier.suspect_set.contains(suspect);
    let about = |signal: SignalId| earlier.attribution.iter().any(|share| share.signal == signal);
    later.suspect_set.iter().any(|suspect| accused(&suspect))
        || later.attribution.iter().any(|share| about(share.signal))
}
