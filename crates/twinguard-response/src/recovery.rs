//! The way back to normal: a state from before the attack in two phases, then what was taken is given back step by step.
//!
//! Sources: NIST SP 800-61r3 §3.5 and SP 800-82r3 §6.5 (recover to a point before the compromise, verify, then resume);
//! Gray, "Notes on data base operating systems" (1978) (two phases: prepare, then commit).
//!
//! ```text
//! prepare ─► Prepared ─verify─► Verified ─commit─► Returning 0 … n ─► Normal
//!               └───────────────── new evidence, or a check that fails ─────────────► Aborted
//! ```
//!
//! *Prepare* chooses the newest kept state that no attack can have touched. *Verify* brings a copy of the twin to it, lets the copy
//! catch up, and holds it against readings over an independent path. Only *commit* touches the running twin. Then one action
//! after the other is released, the last taken first; each has to stay quiet for a while before the next. New evidence aborts at any
//! stage and names what was released, so that it can be taken again. The whole is plain data: a restart goes on where it was.

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
    /// A state to go back to is chosen.
    Prepared,
    /// The twin at that state agrees with independent readings.
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
}

/// See the module's documentation.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct Recovery {
    plan: Plan,
    stage: Stage,
    since: Timestamp,
    target_at: Timestamp,
    target: Digest,
}

impl Recovery {
    /// First phase: chooses the newest state that no attack can have touched when detection takes at most `detection_delay`.
    ///
    /// # Errors
    /// [`Error::Reach`] when no kept state is old enough; [`Error::Recovery`] for a plan whose numbers are not at or above 0.
    pub fn prepare(
        now: Timestamp,
        plan: Plan,
        safe: &SafeStates,
        detection_delay: Duration,
    ) -> Result<Self, Error> {
        if !(plan.sigmas >= 0.0 && plan.sigmas.is_finite()) || plan.settle < Duration::ZERO {
            return Err(Error::Recovery { reason: "a plan's numbers are not at or above 0" });
        }
        let target = safe.revert(detection_delay)?;
        Ok(Self { plan, stage: Stage::Prepared, since: now, target_at: target.at(), target: target.digest() })
    }

    /// How far it is.
    #[must_use]
    pub fn stage(&self) -> &Stage {
        &self.stage
    }

    /// Time and digest of the state that it goes back to.
    #[must_use]
    pub fn target(&self) -> (Timestamp, Digest) {
        (self.target_at, self.target)
    }

    /// Still the first phase: brings a copy of the twin to the chosen state and up to `now`, and holds it against independent
    /// readings. One that is missing, from before the recovery began, or too far off aborts.
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
        let apart = self.plan.verify.iter().find_map(|signal| {
            let Some(reading) = path.verify(*signal) else {
                return Some(format!("signal {signal} cannot be read over an independent path"));
            };
            if reading.at < self.since {
                return Some(format!("signal {signal} was read before the recovery began"));
            }
            let Some(estimate) = copy.estimate(*signal) else {
                return Some(format!("the model does not know signal {signal}"));
            };
            let allowed = self.plan.sigmas * reading.sigma.hypot(estimate.sigma);
            // Not "farther than allowed": a reading that is not a number does not agree.
            let agrees = (reading.value - estimate.mean).abs() <= allowed;
            (!agrees)
                .then(|| format!("signal {signal} reads {}, the model says {}", reading.value, estimate.mean))
        });
        match apart {
            Some(reason) => self.abort(now, reason),
            None => self.enter(now, Stage::Verified),
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
        self.enter(now, Stage::Returning(0));
        Ok(())
    }

    /// Time passed without new evidence: gives the next action to release, when one is due.
    pub fn tick(&mut self, now: Timestamp) -> Option<ActionId> {
        let Stage::Returning(released) = self.stage else { return None };
        if now < self.next_deadline()? {
            return None;
        }
        let next = self.plan.taken.iter().rev().nth(released).copied();
        self.enter(now, if next.is_some() { Stage::Returning(released + 1) } else { Stage::Normal });
        next
    }

    /// When [`tick`](Self::tick) has something to do, if ever.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        matches!(self.stage, Stage::Returning(_)).then_some(self.since + self.plan.settle)
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
        safe.states()
            .find(|state| state.digest() == self.target)
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
        assert!(recovery.target().0 <= Timestamp::from_secs(600));
        let (now, before) = (Timestamp::from_secs(720), twin.snapshot());
        assert!(matches!(recovery.commit(now, &mut twin, &safe), Err(Error::Recovery { .. })));
        assert_eq!(recovery.verify(now, &twin, &safe, &mut Meter(Some(64.0))).unwrap(), &Stage::Verified);
        assert_eq!(twin.snapshot(), before, "nothing is touched before the commit");
        recovery.commit(now, &mut twin, &safe).unwrap();
        assert_eq!(Snapshot::of(&twin, recovery.target().0).digest(), recovery.target().1);
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
}
