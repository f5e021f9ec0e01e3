//! The way back to normal: what is believed again is verified first, then what was taken is given back step by step.
//!
//! Sources: NIST SP 800-61r3 §3.5 and SP 800-82r3 §6.5 (recover to a point before the compromise, verify, then resume);
//! Gray, "Notes on data base operating systems" (1978) (two phases: prepare, then commit).
//!
//! ```text
//! prepare ─► Prepared ─verify─► Verified ─commit─► Returning 0 … n ─► Normal
//!               └───────────────── new evidence, or a check that fails ─────────────► Aborted
//! ```
//!
//! *Prepare* says what is to be believed again: the readings of sensors as they are ([`Recovery::begin`]), a sealed model
//! ([`Recovery::towards`]), or the newest kept state of the twin that no attack can have touched ([`Recovery::prepare`]). *Verify* holds
//! it against readings over an independent path. Only *commit* touches what runs. Then one action after the other is released, the last
//! taken first; each has to stay quiet for a while before the next. New evidence aborts at any stage and names what was released, so that
//! it can be taken again. The whole is plain data: a restart goes on where it was.

use std::collections::BTreeSet;

use twinguard_twin::{SafeStates, Snapshot, Twin};
use twinguard_types::{ActionId, Digest, Duration, SignalId, Timestamp};

use crate::Error;

/// A value read again over an authenticated or independent path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// In the signal's unit.
    pub value: f64,
    /// Standard deviation of the reading.
    pub sigma: f64,
    /// When it was read.
    pub at: Timestamp,
}

/// What a platform implements so that the guard can read a value again over a path that the attacker does not hold: another
/// protocol, another sensor, a person with a hand-held meter.
pub trait Verify {
    /// Reads a signal; `None` when there is no such path to it, or no answer.
    fn verify(&mut self, signal: SignalId) -> Option<Reading>;
}

/// How far a recovery is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Stage {
    /// What is to be believed again is chosen, and not verified yet.
    Prepared,
    /// It agrees with independent readings.
    Verified,
    /// So many actions are released.
    Returning(usize),
    /// All is given back.
    Normal,
    /// It was broken off.
    Aborted {
        /// Why.
        reason: String,
        /// What was released already, to be taken again in this order.
        released: Vec<ActionId>,
    },
}

/// What to give back, and how carefully.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct Plan {
    /// Actions in force, in the order in which they were taken.
    pub taken: Vec<ActionId>,
    /// Signals that have to agree with an independent reading.
    pub verify: Vec<SignalId>,
    /// How many standard deviations (of reading and estimate together) they may lie apart.
    pub sigmas: f64,
    /// How long all has to be quiet after each release.
    pub settle: Duration,
    /// How long the verification may take.
    pub patience: Duration,
}

/// See the module's documentation.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct Recovery {
    plan: Plan,
    stage: Stage,
    since: Timestamp,
    agreed: BTreeSet<SignalId>,
    target: Option<(Timestamp, Digest)>,
}

impl Recovery {
    /// First phase: what the sensors of the plan say is to be believed again; there is no other state to go back to.
    ///
    /// # Errors
    /// [`Error::Recovery`] for a plan whose numbers are not at or above 0.
    pub fn begin(now: Timestamp, plan: Plan) -> Result<Self, Error> {
        let spans = [plan.settle, plan.patience];
        if !(plan.sigmas >= 0.0 && plan.sigmas.is_finite())
            || spans.into_iter().any(|span| span < Duration::ZERO)
        {
            return Err(Error::Recovery { reason: "a plan's numbers are not at or above 0" });
        }
        Ok(Self { plan, stage: Stage::Prepared, since: now, agreed: BTreeSet::new(), target: None })
    }

    /// First phase: goes back to what was sealed under this digest.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    pub fn towards(now: Timestamp, plan: Plan, sealed: Digest) -> Result<Self, Error> {
        Ok(Self { target: Some((now, sealed)), ..Self::begin(now, plan)? })
    }

    /// First phase: chooses the newest state that no attack can have touched when detection takes at most `detection_delay`.
    ///
    /// # Errors
    /// [`Error::Reach`] when no kept state is old enough; else as [`begin`](Self::begin).
    pub fn prepare(
        now: Timestamp,
        plan: Plan,
        safe: &SafeStates,
        detection_delay: Duration,
    ) -> Result<Self, Error> {
        let target = safe.revert(detection_delay)?;
        Ok(Self { target: Some((target.at(), target.digest())), ..Self::begin(now, plan)? })
    }

    /// How far it is.
    #[must_use]
    pub fn stage(&self) -> &Stage {
        &self.stage
    }

    /// Time and digest of the state that it goes back to, if it goes back to one.
    #[must_use]
    pub fn target(&self) -> Option<(Timestamp, Digest)> {
        self.target
    }

    /// What it gives back.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Signals of which an independent reading is still wanted.
    pub fn wanted(&self) -> impl Iterator<Item = SignalId> {
        let open = self.stage == Stage::Prepared;
        let missing = move |signal: &SignalId| open && !self.agreed.contains(signal);
        self.plan.verify.iter().copied().filter(missing)
    }

    /// An independent reading of a signal, and what is about to be believed of it: value and standard deviation, `None` where nothing is.
    /// One that disagrees, or is from before the recovery began, aborts; when the last one agrees it is verified. A reading that is not
    /// wanted changes nothing.
    pub fn reading(
        &mut self,
        now: Timestamp,
        signal: SignalId,
        reading: &Reading,
        believed: Option<(f64, f64)>,
    ) -> &Stage {
        if !self.wanted().any(|wanted| wanted == signal) {
            return &self.stage;
        }
        let apart = match believed {
            _ if reading.at < self.since => Some("was read before the recovery began".to_owned()),
            None => Some("has no value that could be believed".to_owned()),
            Some((value, sigma)) => {
                let allowed = self.plan.sigmas * reading.sigma.hypot(sigma);
                // Not "farther than allowed": a reading that is not a number does not agree.
                let agrees = (reading.value - value).abs() <= allowed;
                (!agrees).then(|| format!("reads {}, to be believed was {value}", reading.value))
            }
        };
        match apart {
            Some(apart) => self.abort(now, format!("signal {signal} {apart}")),
            None => {
                self.agreed.insert(signal);
                if self.wanted().next().is_none() {
                    self.enter(now, Stage::Verified);
                }
            }
        }
        &self.stage
    }

    /// Ends the first phase where nothing has to be read: something else speaks for what is to be believed.
    ///
    /// # Errors
    /// [`Error::Recovery`] out of turn, or while readings are wanted.
    pub fn verified(&mut self, now: Timestamp) -> Result<(), Error> {
        if self.stage != Stage::Prepared || self.wanted().next().is_some() {
            return Err(Error::Recovery { reason: "it is not at the stage to be verified" });
        }
        self.enter(now, Stage::Verified);
        Ok(())
    }

    /// Still the first phase of one that goes back to a kept state: brings a copy of the twin to it and up to `now`, and holds it against
    /// independent readings. One that is missing aborts, as does one that [`reading`](Self::reading) refuses.
    ///
    /// # Errors
    /// [`Error::Recovery`] out of turn or when the chosen state is not kept any more; [`Error::Reach`] when it does not fit the twin.
    pub fn verify(
        &mut self,
        now: Timestamp,
        twin: &Twin,
        safe: &SafeStates,
        path: &mut dyn Verify,
    ) -> Result<&Stage, Error> {
        if self.stage != Stage::Prepared {
            return Err(Error::Recovery { reason: "it is not at the stage to be verified" });
        }
        let mut copy = twin.clone();
        copy.restore(self.chosen(safe)?.bytes())?;
        while copy.advance(now).is_some() {}
        if self.plan.verify.is_empty() {
            self.verified(now)?;
        }
        for signal in self.plan.verify.clone() {
            match path.verify(signal) {
                Some(reading) => {
                    let believed = copy.estimate(signal).map(|it| (it.mean, it.sigma));
                    self.reading(now, signal, &reading, believed);
                }
                None => self.abort(now, format!("signal {signal} cannot be read over an independent path")),
            }
        }
        Ok(&self.stage)
    }

    /// Second phase: brings the running twin to the verified state. It catches up as data come.
    ///
    /// # Errors
    /// As [`verify`](Self::verify); the twin is then as it was.
    pub fn commit(&mut self, now: Timestamp, twin: &mut Twin, safe: &SafeStates) -> Result<(), Error> {
        if self.stage != Stage::Verified {
            return Err(Error::Recovery { reason: "it is not verified" });
        }
        twin.restore(self.chosen(safe)?.bytes())?;
        self.committed(now)
    }

    /// Second phase, carried out elsewhere: what was verified is believed from now on.
    ///
    /// # Errors
    /// [`Error::Recovery`] when it is not verified.
    pub fn committed(&mut self, now: Timestamp) -> Result<(), Error> {
        if self.stage != Stage::Verified {
            return Err(Error::Recovery { reason: "it is not verified" });
        }
        self.enter(now, Stage::Returning(0));
        Ok(())
    }

    /// Time passed without new evidence: gives the next action to release, when one is due. A verification that takes too long aborts.
    pub fn tick(&mut self, now: Timestamp) -> Option<ActionId> {
        if now < self.next_deadline()? {
            return None;
        }
        let Stage::Returning(released) = self.stage else {
            self.abort(now, "it was not verified in time");
            return None;
        };
        let next = self.plan.taken.iter().rev().nth(released).copied();
        self.enter(now, if next.is_some() { Stage::Returning(released + 1) } else { Stage::Normal });
        next
    }

    /// Something else says that all is well: where nothing is left to be given back it is over before its quiet time is.
    pub fn settled(&mut self, now: Timestamp) {
        if self.stage == Stage::Returning(self.plan.taken.len()) {
            self.enter(now, Stage::Normal);
        }
    }

    /// When [`tick`](Self::tick) has something to do, if ever.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        match self.stage {
            Stage::Prepared | Stage::Verified => Some(self.since + self.plan.patience),
            Stage::Returning(_) => Some(self.since + self.plan.settle),
            Stage::Normal | Stage::Aborted { .. } => None,
        }
    }

    /// New evidence: breaks off; the stage then names what was released already, to be taken again. A recovery that is over stays so.
    pub fn abort(&mut self, now: Timestamp, reason: impl Into<String>) {
        let released = match &self.stage {
            Stage::Returning(count) => *count,
            Stage::Prepared | Stage::Verified => 0,
            Stage::Normal | Stage::Aborted { .. } => return,
        };
        let released: Vec<ActionId> = self.plan.taken.iter().rev().take(released).rev().copied().collect();
        self.enter(now, Stage::Aborted { reason: reason.into(), released });
    }

    fn enter(&mut self, now: Timestamp, stage: Stage) {
        // Time never goes back.
        self.since = self.since.max(now);
        self.stage = stage;
    }

    fn chosen<'a>(&self, safe: &'a SafeStates) -> Result<&'a Snapshot, Error> {
        let target = self.target.map(|(_, digest)| digest);
        safe.states()
            .find(|state| Some(state.digest()) == target)
            .ok_or(Error::Recovery { reason: "the chosen state is not kept any more" })
    }
}

#[cfg(test)]
mod tests {
    use twinguard_twin::Plant;
    use twinguard_types::{Point, Source, Value};

    use super::*;

    const PLANT: &str = twinguard_twin::simulator::cooling_loop::PLANT;

    /// A twin after ten quiet minutes and two under attack, and what was kept.
    fn attacked() -> (Twin, SafeStates, SignalId) {
        let plant = Plant::parse(PLANT, "plant.toml").unwrap();
        let oil = plant.catalogue.id("transformer.oil.temperature").unwrap();
        let mut twin = Twin::new(&plant).unwrap();
        let mut safe = SafeStates::new(8, Duration::from_secs(60));
        for second in 0..720 {
            let now = Timestamp::from_secs(second);
            while twin.advance(now).is_some() {}
            let lie = if second < 600 { 0.0 } else { 20.0 };
            let value = Value::real(64.0 + lie).unwrap();
            twin.observe(&Point::new(oil, value, Source::Field, now));
            safe.offer(&twin, now);
            if second == 660 {
                safe.alarm(now);
            }
        }
        (twin, safe, oil)
    }

    struct Meter(Option<f64>);

    impl Verify for Meter {
        fn verify(&mut self, _: SignalId) -> Option<Reading> {
            let at = Timestamp::from_secs(if self.0 == Some(64.5) { 719 } else { 720 });
            self.0.map(|value| Reading { value, sigma: 1.0, at })
        }
    }

    fn plan(oil: SignalId) -> Plan {
        Plan {
            taken: vec![ActionId(4), ActionId(7)],
            verify: vec![oil],
            sigmas: 4.0,
            settle: Duration::from_secs(30),
            patience: Duration::from_secs(60),
        }
    }

    fn begun() -> (Recovery, Twin, SafeStates) {
        let (twin, safe, oil) = attacked();
        let delay = Duration::from_secs(60);
        let recovery = Recovery::prepare(Timestamp::from_secs(720), plan(oil), &safe, delay).unwrap();
        (recovery, twin, safe)
    }

    #[test]
    fn a_state_from_before_the_attack_is_verified_and_all_is_given_back() {
        let (mut recovery, mut twin, safe) = begun();
        assert!(recovery.target().unwrap().0 <= Timestamp::from_secs(600));
        let (now, before) = (Timestamp::from_secs(720), twin.snapshot());
        assert!(matches!(recovery.commit(now, &mut twin, &safe), Err(Error::Recovery { .. })));
        assert_eq!(recovery.verify(now, &twin, &safe, &mut Meter(Some(64.0))).unwrap(), &Stage::Verified);
        assert_eq!(twin.snapshot(), before, "nothing is touched before the commit");
        recovery.commit(now, &mut twin, &safe).unwrap();
        let (at, digest) = recovery.target().unwrap();
        assert_eq!(Snapshot::of(&twin, at).digest(), digest);
        let mut given = Vec::new();
        for second in 720..900 {
            given.extend(recovery.tick(Timestamp::from_secs(second)).map(|action| (second, action)));
        }
        assert_eq!(given, [(750, ActionId(7)), (780, ActionId(4))], "the last taken first, one at a time");
        assert_eq!((recovery.stage(), recovery.next_deadline()), (&Stage::Normal, None));
        recovery.abort(Timestamp::from_secs(901), "too late");
        assert_eq!(recovery.stage(), &Stage::Normal);
    }

    #[test]
    fn a_reading_that_disagrees_is_old_or_missing_aborts_before_anything_is_touched() {
        for reading in [Some(84.0), Some(f64::NAN), Some(64.5), None] {
            let (mut recovery, mut twin, safe) = begun();
            let now = Timestamp::from_secs(720);
            let stage = recovery.verify(now, &twin, &safe, &mut Meter(reading)).unwrap();
            assert!(matches!(stage, Stage::Aborted { released, .. } if released.is_empty()), "{stage:?}");
            assert!(recovery.commit(now, &mut twin, &safe).is_err());
        }
    }

    #[test]
    fn new_evidence_on_the_way_names_what_has_to_be_taken_again() {
        let (mut recovery, mut twin, safe) = begun();
        let now = Timestamp::from_secs(720);
        recovery.verify(now, &twin, &safe, &mut Meter(Some(64.0))).unwrap();
        recovery.commit(now, &mut twin, &safe).unwrap();
        assert_eq!(recovery.tick(Timestamp::from_secs(750)), Some(ActionId(7)));
        // A restart in between changes nothing: it is plain data.
        let mut again = recovery.clone();
        for recovery in [&mut recovery, &mut again] {
            recovery.abort(Timestamp::from_secs(760), "the peer is back");
            let want = Stage::Aborted { reason: "the peer is back".into(), released: vec![ActionId(7)] };
            assert_eq!(recovery.stage(), &want);
            assert_eq!(recovery.tick(Timestamp::from_secs(999)), None);
        }
    }

    #[test]
    fn without_a_state_that_is_old_enough_there_is_no_recovery() {
        let (_, safe, oil) = attacked();
        let far = Duration::from_secs(3_600);
        assert!(matches!(Recovery::prepare(Timestamp::ZERO, plan(oil), &safe, far), Err(Error::Reach(_))));
        let silly = Plan { sigmas: f64::NAN, ..plan(oil) };
        assert!(matches!(
            Recovery::prepare(Timestamp::ZERO, silly, &safe, Duration::ZERO),
            Err(Error::Recovery { .. })
        ));
    }

    #[test]
    fn readings_may_come_one_by_one_and_too_late_is_never() {
        let (a, b) = (SignalId(0), SignalId(1));
        let plan = || Plan { verify: vec![a, b], ..plan(a) };
        let begun = Timestamp::from_secs(100);
        let read = |value, second| Reading { value, sigma: 0.1, at: Timestamp::from_secs(second) };
        let mut recovery = Recovery::begin(begun, plan()).unwrap();
        let now = Timestamp::from_secs(110);
        assert!(recovery.verified(now).is_err(), "readings are wanted");
        assert_eq!(recovery.reading(now, a, &read(64.2, 105), Some((64.0, 0.1))), &Stage::Prepared);
        // Nobody asked for another reading of the same signal.
        assert_eq!(recovery.reading(now, a, &read(99.0, 105), Some((64.0, 0.1))), &Stage::Prepared);
        assert_eq!(recovery.wanted().collect::<Vec<_>>(), [b]);
        let mut late = recovery.clone();
        assert_eq!(recovery.reading(now, b, &read(1.0, 105), Some((1.0, 0.0))), &Stage::Verified);
        recovery.committed(now).unwrap();
        assert_eq!((recovery.stage(), recovery.target()), (&Stage::Returning(0), None));

        assert_eq!(late.next_deadline(), Some(Timestamp::from_secs(160)));
        assert_eq!(late.tick(Timestamp::from_secs(160)), None);
        assert!(matches!(late.stage(), Stage::Aborted { reason, .. } if reason.contains("in time")));
        let mut blind = Recovery::begin(begun, plan()).unwrap();
        assert!(matches!(blind.reading(now, b, &read(1.0, 105), None), Stage::Aborted { .. }));
    }
}
