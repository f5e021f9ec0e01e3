//! Saved states to go back to, and a ring that never gives one that the attack may already have touched.
//!
//! A [`Snapshot`] is the canonical bytes of a twin and their BLAKE3 digest: the same twin gives the same digest on every
//! machine, and bytes that were altered are refused. A [`SafeStates`] keeps the newest of those taken while all was well. After an
//! alarm only states count that are older than the first alarm less the time a detector may need to see an attack
//! (rollback to before the compromise window, as NIST SP 800-82r3 §6.5 asks of recovery points).

use std::collections::VecDeque;

use twinguard_types::{Digest, Duration, Timestamp};

use crate::{Error, Twin};

/// A twin at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    at: Timestamp,
    bytes: Vec<u8>,
    digest: Digest,
}

/// BLAKE3 with this format's own key.
fn digest(at: Timestamp, bytes: &[u8]) -> Digest {
    let mut hash = blake3::Hasher::new_derive_key("twinguard 2026 twin snapshot v1");
    hash.update(&at.as_nanos().to_le_bytes());
    hash.update(bytes);
    Digest(*hash.finalize().as_bytes())
}

impl Snapshot {
    /// Of a twin as it stands at `at`.
    #[must_use]
    pub fn of(twin: &Twin, at: Timestamp) -> Self {
        let bytes = twin.snapshot();
        Self { at, digest: digest(at, &bytes), bytes }
    }

    /// From parts that were stored, checked against the digest.
    ///
    /// # Errors
    /// [`Error::Snapshot`] when the digest is of other bytes or another time.
    pub fn checked(at: Timestamp, bytes: Vec<u8>, expected: Digest) -> Result<Self, Error> {
        if digest(at, &bytes) != expected {
            return Err(Error::Snapshot { reason: "its digest is of other bytes" });
        }
        Ok(Self { at, bytes, digest: expected })
    }

    /// When it was taken.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// The canonical bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Their digest.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }
}

/// The last states that were taken while all was well.
#[derive(Clone, Debug)]
pub struct SafeStates {
    ring: VecDeque<Snapshot>,
    keep: usize,
    every: Duration,
    first_alarm: Option<Timestamp>,
}

impl SafeStates {
    /// Keeps `keep` states (at least one), at least `every` apart.
    #[must_use]
    pub fn new(keep: usize, every: Duration) -> Self {
        Self { ring: VecDeque::new(), keep: keep.max(1), every, first_alarm: None }
    }

    /// Takes a state when one is due and no alarm stands; says whether it did.
    pub fn offer(&mut self, twin: &Twin, at: Timestamp) -> bool {
        let due = self.ring.back().is_none_or(|last| at >= last.at + self.every);
        if self.first_alarm.is_some() || !due {
            return false;
        }
        if self.ring.len() == self.keep {
            self.ring.pop_front();
        }
        self.ring.push_back(Snapshot::of(twin, at));
        true
    }

    /// An alarm: no state is taken from now on. The earliest of several counts.
    pub fn alarm(&mut self, at: Timestamp) {
        self.first_alarm = Some(self.first_alarm.map_or(at, |first| first.min(at)));
    }

    /// All is well again: whoever says so has restored or cleared the plant. States that may have been touched, those within
    /// `detection_delay` of the first alarm, are forgotten.
    pub fn clear(&mut self, detection_delay: Duration) {
        if let Some(first) = self.first_alarm.take() {
            self.ring.retain(|state| state.at <= first - detection_delay);
        }
    }

    /// The newest state that no attack seen by the first alarm can have touched, when detection takes at most
    /// `detection_delay`; without an alarm the newest of all.
    ///
    /// # Errors
    /// [`Error::Snapshot`] when every state that is kept is newer: there is none to go back to.
    pub fn revert(&self, detection_delay: Duration) -> Result<&Snapshot, Error> {
        let safe =
            |state: &&Snapshot| self.first_alarm.is_none_or(|first| state.at <= first - detection_delay);
        let newest = self.ring.iter().rev().find(safe);
        newest.ok_or(Error::Snapshot { reason: "none that is kept is old enough to be safe" })
    }

    /// Puts the twin back to the state that [`revert`](Self::revert) gives, bit for bit; gives its time.
    ///
    /// # Errors
    /// As [`revert`](Self::revert) and [`Twin::restore`]; the twin is then as it was.
    pub fn rollback(&self, twin: &mut Twin, detection_delay: Duration) -> Result<Timestamp, Error> {
        let state = self.revert(detection_delay)?;
        twin.restore(&state.bytes)?;
        Ok(state.at)
    }

    /// The states that are kept, oldest first.
    pub fn states(&self) -> impl ExactSizeIterator<Item = &Snapshot> {
        self.ring.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Plant;
    use twinguard_types::{Point, Source, Value};

    fn feed(twin: &mut Twin, plant: &Plant, second: i64) {
        let now = Timestamp::from_secs(second);
        while twin.advance(now).is_some() {}
        let oil = plant.catalogue.id("transformer.oil.temperature").unwrap();
        let value = Value::real(64.0 + 0.5 * f64::sin(second as f64 * 0.1)).unwrap();
        twin.observe(&Point::new(oil, value, Source::Field, now));
    }

    #[test]
    fn only_states_from_before_the_attack_are_given_and_they_come_back_to_the_bit() {
        let plant = Plant::parse(include_str!("../plants/cooling_loop.toml"), "cooling_loop.toml").unwrap();
        let mut twin = Twin::new(&plant).unwrap();
        let mut safe = SafeStates::new(4, Duration::from_secs(30));
        let mut taken = Vec::new();
        for second in 0..300 {
            feed(&mut twin, &plant, second);
            if safe.offer(&twin, Timestamp::from_secs(second)) {
                taken.push(second);
            }
            if second == 250 {
                safe.alarm(Timestamp::from_secs(250));
            }
        }
        assert_eq!(taken, (0..9).map(|step| 30 * step).collect::<Vec<_>>(), "none after the alarm");
        assert_eq!(safe.states().len(), 4);
        safe.alarm(Timestamp::from_secs(245));
        safe.alarm(Timestamp::from_secs(290));
        let delay = Duration::from_secs(40);
        assert_eq!(safe.revert(Duration::ZERO).unwrap().at(), Timestamp::from_secs(240));
        assert_eq!(safe.revert(delay).unwrap().at(), Timestamp::from_secs(180), "245 − 40 is before 210");
        assert!(matches!(safe.revert(Duration::from_secs(200)), Err(Error::Snapshot { .. })));

        assert_eq!(safe.rollback(&mut twin, delay), Ok(Timestamp::from_secs(180)));
        let kept = safe.revert(delay).unwrap();
        assert_eq!(twin.snapshot(), kept.bytes(), "bit for bit");
        let again = Snapshot::of(&twin, kept.at());
        assert_eq!(again.digest(), kept.digest());
        let mut bytes = kept.bytes().to_vec();
        assert!(Snapshot::checked(kept.at(), bytes.clone(), kept.digest()).is_ok());
        let at = bytes.len() / 2;
        bytes[at] ^= 1;
        assert!(Snapshot::checked(kept.at(), bytes, kept.digest()).is_err());

        safe.clear(delay);
        assert_eq!(safe.states().map(Snapshot::at).max(), Some(Timestamp::from_secs(180)));
        assert!(safe.offer(&twin, Timestamp::from_secs(400)));
    }
}
