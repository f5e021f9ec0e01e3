//! What was learnt, as an artefact that can be read, compared and sealed.
//!
//! Source: the record of how a policy came to be follows Mitchell et al., "Model cards for model reporting", *FAT\** (2019), §4:
//! on what, with what, how well, all that is needed to train it again bit by bit.

use twinguard_types::Digest;

use crate::Error;
use crate::attacker::Attacker;
use crate::task::Task;

/// How a policy is to be learnt; only ever in simulation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Training {
    /// Seed of noise, attackers and exploration.
    pub seed: u64,
    /// Episodes.
    pub episodes: u32,
    /// Who attacks.
    pub attackers: Vec<Attacker>,
    /// Whether a shield stands in front of the learner.
    pub shielded: bool,
}

/// How a policy was learnt.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct TrainingRecord {
    /// What learnt it.
    pub algorithm: String,
    /// The task and the training, written out.
    pub task: String,
    /// See `task`.
    pub training: String,
    /// Mean cost of an episode while learning, over each tenth of it.
    pub curve: Vec<f64>,
}

/// A learnt policy: numbers in the order that the algorithm documents, and how they came to be.
///
/// ```
/// use twinguard_response::attacker::SEEN;
/// use twinguard_response::policy::Training;
/// use twinguard_response::planners::TabularQ;
/// use twinguard_response::task::Task;
///
/// let training = Training { seed: 1, episodes: 20, attackers: SEEN.to_vec(), shielded: true };
/// let policy = TabularQ::learn(&Task::single(), &training)?.policy().clone();
/// assert_eq!(policy.digest(), TabularQ::learn(&Task::single(), &training)?.policy().digest(), "bit by bit");
/// assert!(TabularQ::new(policy).is_ok());
/// # Ok::<(), twinguard_response::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct Policy {
    /// The numbers.
    pub numbers: Vec<f64>,
    /// How they came to be.
    pub record: TrainingRecord,
}

impl Policy {
    pub(crate) fn learnt(
        numbers: Vec<f64>,
        algorithm: &str,
        task: &Task,
        training: &Training,
        costs: &[f64],
    ) -> Self {
        let tenth = costs.len().div_ceil(10).max(1);
        let mean = |costs: &[f64]| costs.iter().sum::<f64>() / costs.len() as f64;
        Self {
            numbers,
            record: TrainingRecord {
                algorithm: algorithm.to_owned(),
                task: format!("{:?}", task.setting()),
                training: format!("{training:?}"),
                curve: costs.chunks(tenth).map(mean).collect(),
            },
        }
    }

    /// Checks that this algorithm can have written it: so many numbers, all finite.
    pub(crate) fn check(&self, algorithm: &str, numbers: usize) -> Result<(), Error> {
        let reason = if self.record.algorithm != algorithm {
            "another algorithm learnt it"
        } else if self.numbers.len() != numbers {
            "it has not the numbers of this algorithm"
        } else if self.numbers.iter().any(|number| !number.is_finite()) {
            "a number is not finite"
        } else {
            return Ok(());
        };
        Err(Error::Policy { reason })
    }

    /// BLAKE3 over numbers and record, bit by bit.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut hash = blake3::Hasher::new_derive_key("twinguard 2026 learnt policy v1");
        for text in [&self.record.algorithm, &self.record.task, &self.record.training] {
            hash.update(&(text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        }
        for numbers in [&self.record.curve, &self.numbers] {
            hash.update(&(numbers.len() as u64).to_le_bytes());
            numbers.iter().for_each(|number| {
                hash.update(&number.to_bits().to_le_bytes());
            });
        }
        Digest(*hash.finalize().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_counts_and_what_does_not_fit_is_refused() {
        let training = Training { seed: 1, episodes: 2, attackers: Vec::new(), shielded: false };
        let policy = Policy::learnt(vec![1.0, 2.0], "x", &Task::single(), &training, &[3.0; 25]);
        assert_eq!(policy.record.curve, [3.0; 9]);
        let other = Policy { numbers: vec![1.0, f64::from_bits(2f64.to_bits() + 1)], ..policy.clone() };
        assert_ne!(policy.digest(), other.digest());
        let mut later = policy.clone();
        later.record.training.push(' ');
        assert_ne!(policy.digest(), later.digest());
        assert!(policy.check("x", 2).is_ok());
        assert!(policy.check("y", 2).is_err() && policy.check("x", 3).is_err());
        let nan = Policy { numbers: vec![1.0, f64::NAN], ..policy };
        assert!(matches!(nan.check("x", 2), Err(Error::Policy { .. })));
    }
}
