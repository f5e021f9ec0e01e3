//! A twin in another process or language, attested by what it does.
//!
//! Somebody else's twin cannot be swept, but it can be asked. A [`TwinProbe`] holds sealed golden trajectories that nobody but the
//! guard has, asks at times that only a secret tells, and compares each answer with what is sealed. A twin whose model was changed,
//! exchanged or stopped answers otherwise, or late. Probes are spent in a secret order, every one once before any comes again: a
//! twin that remembers answers passes only those it has already been asked.
//!
//! **What this cannot do.** A probe sees what its trajectory excites: a change that no probe exercises stays unseen. A twin that
//! tells probes from work, and keeps the right model for them, passes; so send them on the path that work takes.
//!
//! Sources: FMI 3.0 cross-check rules (reference results with tolerance); RFC 9334 §10 (freshness); S. Floyd, V. Jacobson, "The
//! synchronization of periodic routing messages", 1994 (drawn intervals, half to one and a half times the mean).

use core::fmt;

use twinguard_types::{Duration, Timestamp};
use zeroize::Zeroizing;

use crate::{Error, Golden};

const CONTEXT: &str = "twinguard 2026-11 probe schedule";

/// Asks a twin at secret times, and compares.
///
/// ```
/// use twinguard_integrity::{Golden, TwinProbe};
/// use twinguard_types::{Duration, Timestamp};
///
/// let golden: Golden = "twinguard golden 1\nstep 1\ntolerance 0 1e-9\ninputs u\noutputs y\n1 | 2\n3 | 6\n".parse()?;
/// let mut probe = TwinProbe::new(vec![golden], &[7; 32], Duration::from_secs(600), Duration::from_secs(5), Timestamp::ZERO)?;
/// let now = Timestamp::from_secs(900);
/// let question = probe.ask(now).expect("it is due");
/// let answer: Vec<Vec<f64>> = question.inputs.iter().map(|row| vec![row[0] * 2.0]).collect();
/// probe.answer(question.number, now, &answer)?;
/// # Ok::<(), twinguard_integrity::Error>(())
/// ```
pub struct TwinProbe {
    golden: Vec<Golden>,
    secret: Zeroizing<[u8; 32]>,
    every: Duration,
    within: Duration,
    due: Timestamp,
    asked: u64,
    /// What waits for its answer: its number, the trajectory, and until when.
    open: Option<(u64, usize, Timestamp)>,
    /// Trajectories that were not asked in this round.
    left: Vec<usize>,
}

/// What to ask the twin: to run from its initial state over these inputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// Its number, which the answer names.
    pub number: u64,
    /// Seconds between rows.
    pub step: f64,
    /// Names of the inputs.
    pub input_names: Vec<String>,
    /// Names of the outputs that are asked for.
    pub output_names: Vec<String>,
    /// Inputs, a row for each step.
    pub inputs: Vec<Vec<f64>>,
}

impl TwinProbe {
    /// Asks one of these sealed trajectories every `every` on average, drawn between half and one and a half of it, and wants the
    /// answer `within`. The secret is 32 random bytes that the twin's side does not know.
    ///
    /// # Errors
    /// [`Error::Policy`] without a trajectory, or for times that are not positive.
    pub fn new(
        golden: Vec<Golden>,
        secret: &[u8; 32],
        every: Duration,
        within: Duration,
        now: Timestamp,
    ) -> Result<Self, Error> {
        if golden.is_empty() || every <= Duration::ZERO || within <= Duration::ZERO {
            return Err(Error::Policy {
                reason: "a probe has no trajectory, or a time that is not positive",
            });
        }
        let secret = Zeroizing::new(blake3::derive_key(CONTEXT, secret));
        let mut probe =
            Self { golden, secret, every, within, due: now, asked: 0, open: None, left: Vec::new() };
        probe.due = now + probe.interval();
        Ok(probe)
    }

    /// The question that is due, once; `None` before its time, and while another waits for its answer.
    pub fn ask(&mut self, now: Timestamp) -> Option<Question> {
        if now < self.due || self.open.is_some() {
            return None;
        }
        if self.left.is_empty() {
            self.left = (0..self.golden.len()).collect();
        }
        let picked = (self.draw(b"which") % self.left.len() as u64) as usize;
        let at = self.left.swap_remove(picked);
        self.asked += 1;
        self.due = now + self.interval();
        self.open = Some((self.asked, at, now + self.within));
        let golden = self.golden.get(at)?;
        Some(Question {
            number: self.asked,
            step: golden.step,
            input_names: golden.inputs.clone(),
            output_names: golden.outputs.clone(),
            inputs: golden.rows.iter().map(|(inputs, _)| inputs.clone()).collect(),
        })
    }

    /// The twin's answer: the outputs of each step.
    ///
    /// # Errors
    /// [`Error::Behaviour`] with the first output that is not the sealed one; [`Error::Attestation`] for an answer that was not
    /// asked for, comes too late, or has another number of steps.
    pub fn answer(&mut self, number: u64, now: Timestamp, outputs: &[Vec<f64>]) -> Result<(), Error> {
        let refuse = |reason| Err(Error::Attestation { reason });
        let open = self.open.filter(|(open, ..)| *open == number);
        let Some((golden, until)) = open.and_then(|(_, at, until)| Some((self.golden.get(at)?, until)))
        else {
            return refuse("the twin answers what it was not asked");
        };
        self.open = None;
        if now > until {
            return refuse("the twin answered too late");
        }
        if outputs.len() != golden.rows.len() {
            return refuse("the twin answered another number of steps");
        }
        golden.compare(outputs)
    }

    /// Whether the open question was answered in time; call it as time passes.
    ///
    /// # Errors
    /// [`Error::Attestation`], once, when it was not.
    pub fn check(&mut self, now: Timestamp) -> Result<(), Error> {
        if self.open.is_some_and(|(.., until)| now > until) {
            self.open = None;
            return Err(Error::Attestation { reason: "the twin did not answer in time" });
        }
        Ok(())
    }

    /// Questions asked so far.
    #[must_use]
    pub fn asked(&self) -> u64 {
        self.asked
    }

    fn interval(&self) -> Duration {
        let mean = self.every.as_nanos();
        let drawn = (u128::from(self.draw(b"when ")) * mean.unsigned_abs() as u128) >> 64;
        Duration::from_nanos(mean / 2 + i64::try_from(drawn).unwrap_or(mean))
    }

    fn draw(&self, what: &[u8; 5]) -> u64 {
        let hash =
            blake3::Hasher::new_keyed(&self.secret).update(what).update(&self.asked.to_be_bytes()).finalize();
        u64::from_le_bytes(hash.as_bytes().first_chunk().copied().unwrap_or_default())
    }
}

impl fmt::Debug for TwinProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // When it asks next is the secret.
        f.debug_struct("TwinProbe")
            .field("golden", &self.golden.len())
            .field("asked", &self.asked)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn golden(factor: f64) -> Golden {
        let text = format!(
            "twinguard golden 1\nstep 1\ntolerance 1e-9 0\ninputs u\noutputs y\n{factor} | {}\n",
            factor * 2.0
        );
        text.parse().unwrap()
    }

    fn probe(secret: u8) -> TwinProbe {
        let all = (1..=5).map(|n| golden(f64::from(n))).collect();
        TwinProbe::new(all, &[secret; 32], Duration::from_secs(100), Duration::from_secs(3), Timestamp::ZERO)
            .unwrap()
    }

    fn times(secret: u8) -> (Vec<i64>, Vec<f64>) {
        let mut probe = probe(secret);
        let (mut times, mut asked) = (Vec::new(), Vec::new());
        for second in 0..2000 {
            let now = Timestamp::from_secs(second);
            if let Some(question) = probe.ask(now) {
                times.push(second);
                asked.push(question.inputs[0][0]);
                probe.answer(question.number, now, &[vec![question.inputs[0][0] * 2.0]]).unwrap();
            }
        }
        (times, asked)
    }

    #[test]
    fn questions_come_at_secret_times_in_a_secret_order_each_once_a_round() {
        let (times, asked) = times(1);
        assert_eq!((times.clone(), asked.clone()), super::tests::times(1));
        assert_ne!(times, super::tests::times(2).0);
        assert!((14..=28).contains(&times.len()), "{times:?}");
        assert!(times.windows(2).all(|pair| (50..=151).contains(&(pair[1] - pair[0]))));
        for round in asked.chunks_exact(5) {
            let mut round = round.to_vec();
            round.sort_by(f64::total_cmp);
            assert_eq!(round, [1.0, 2.0, 3.0, 4.0, 5.0]);
        }
    }

    #[test]
    fn a_changed_a_late_a_silent_and_a_talkative_twin_are_all_found() {
        let due = Timestamp::from_secs(151);
        let asked = || {
            let mut probe = probe(1);
            let question = probe.ask(due).unwrap();
            assert!(probe.ask(due).is_none());
            let right = question.inputs[0][0] * 2.0;
            (probe, question.number, right)
        };
        let (mut probe, number, right) = asked();
        assert!(matches!(probe.answer(number, due, &[vec![right * 1.01]]), Err(Error::Behaviour { .. })));
        let (mut probe, number, right) = asked();
        assert!(matches!(
            probe.answer(number, due + Duration::from_secs(4), &[vec![right]]),
            Err(Error::Attestation { .. })
        ));
        let (mut probe, number, right) = asked();
        assert!(probe.answer(number + 1, due, &[vec![right]]).is_err());
        assert!(probe.answer(number, due, &[vec![right], vec![right]]).is_err());
        let (mut probe, _, _) = asked();
        probe.check(due + Duration::from_secs(3)).unwrap();
        assert!(probe.check(due + Duration::from_secs(4)).is_err());
        probe.check(due + Duration::from_secs(4)).unwrap();
        assert!(
            TwinProbe::new(vec![], &[1; 32], Duration::from_secs(1), Duration::from_secs(1), due).is_err()
        );
    }
}
