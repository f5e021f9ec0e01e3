//! How often: token buckets.
//!
//! Source: the generic cell rate algorithm, ITU-T I.371 (2004) annex A.1, in its bucket form: a burst of `most`, refilled
//! at `most` per period. In the first period after a rest up to 2 · `most` pass, later `most`.

use twinguard_types::{Duration, Timestamp};

use super::{Asked, Guard, Memory, Refusal, concerns};
use crate::Error;
use crate::policy::{GuardSpec, Policy};

/// A bucket of tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Bucket {
    size: f64,
    per_second: f64,
    level: f64,
    at: Option<Timestamp>,
}

impl Bucket {
    /// Full, of `most` tokens (at least one) that come back within `period`.
    #[must_use]
    pub fn new(most: f64, period: Duration) -> Self {
        let size = most.max(1.0);
        Self { size, per_second: most / period.as_secs_f64().max(1e-9), level: size, at: None }
    }

    fn level(&self, now: Timestamp) -> f64 {
        let passed = self.at.map_or(0.0, |at| now.since(at).as_secs_f64().max(0.0));
        (self.level + passed * self.per_second).min(self.size)
    }

    /// Whether a token is there.
    #[must_use]
    pub fn has(&self, now: Timestamp) -> bool {
        // A hair below one is one: refilling adds rounded numbers.
        self.level(now) >= 1.0 - 1e-9
    }

    /// Seconds until one is there.
    #[must_use]
    pub fn wait_s(&self, now: Timestamp) -> f64 {
        (1.0 - self.level(now)).max(0.0) / self.per_second
    }

    /// Takes one.
    pub fn take(&mut self, now: Timestamp) {
        self.level = (self.level(now) - 1.0).max(0.0);
        self.at = Some(self.at.map_or(now, |at| at.max(now)));
    }
}

/// The rates of a policy's rules.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Rates(Vec<Option<Bucket>>);

const MINUTE: Duration = Duration::from_secs(60);

impl Rates {
    /// Full buckets for all rules that have a rate.
    #[must_use]
    pub fn new(policy: &Policy) -> Self {
        let bucket = |most: f64| Bucket::new(most, MINUTE);
        Self(policy.clauses().iter().map(|clause| clause.rule.commands_per_minute.map(bucket)).collect())
    }

    /// Whether a rule's rate is not used up.
    #[must_use]
    pub fn has(&self, now: Timestamp, rule: u32) -> bool {
        self.0.get(rule as usize).copied().flatten().is_none_or(|bucket| bucket.has(now))
    }

    /// A command passes by a rule.
    pub fn take(&mut self, now: Timestamp, rule: u32) {
        if let Some(Some(bucket)) = self.0.get_mut(rule as usize) {
            bucket.take(now);
        }
    }

    /// Goes on from the rates of the same rules.
    ///
    /// # Errors
    /// [`Error::State`] when they are of other rules.
    pub fn recall(&mut self, other: Self) -> Result<(), Error> {
        let same = |(own, other): (&Option<Bucket>, &Option<Bucket>)| match (own, other) {
            (Some(own), Some(other)) => {
                own.size == other.size
                    && own.per_second == other.per_second
                    && (0.0..=own.size).contains(&other.level)
            }
            (None, None) => true,
            _ => false,
        };
        if self.0.len() != other.0.len() || !self.0.iter().zip(&other.0).all(same) {
            return Err(Error::State { reason: "it is of a plant with other rules" });
        }
        *self = other;
        Ok(())
    }

    /// These under another policy: rules of the same name and rate keep what they have used.
    #[must_use]
    pub fn under(&self, before: &Policy, policy: &Policy) -> Self {
        let mut rates = Self::new(policy);
        let old: std::collections::BTreeMap<&str, Bucket> = before
            .clauses()
            .iter()
            .zip(&self.0)
            .filter_map(|(clause, bucket)| Some((clause.rule.name.as_str(), (*bucket)?)))
            .collect();
        for (clause, bucket) in policy.clauses().iter().zip(&mut rates.0) {
            if let (Some(bucket), Some(old)) = (bucket, old.get(clause.rule.name.as_str()))
                && bucket.size == old.size
            {
                *bucket = *old;
            }
        }
        rates
    }
}

#[derive(Debug)]
struct Rate {
    spec: GuardSpec,
    bucket: Bucket,
}

pub(super) fn build(spec: &GuardSpec) -> Box<dyn Guard> {
    let bucket = Bucket::new(spec.most.unwrap_or(1.0), spec.period.unwrap_or(MINUTE));
    Box::new(Rate { spec: spec.clone(), bucket })
}

impl Guard for Rate {
    fn check(&self, asked: &Asked<'_>) -> Result<(), Refusal> {
        if !concerns(&self.spec, asked) || self.bucket.has(asked.now) {
            return Ok(());
        }
        Err(Refusal::TooOften { wait_s: self.bucket.wait_s(asked.now) })
    }

    fn passed(&mut self, asked: &Asked<'_>) {
        if concerns(&self.spec, asked) {
            self.bucket.take(asked.now);
        }
    }

    fn memory(&self) -> Memory {
        Memory {
            whole: self.bucket.at.map(Timestamp::as_nanos).into_iter().collect(),
            real: vec![self.bucket.level],
        }
    }

    fn recall(&mut self, memory: &Memory) -> bool {
        let (&[level], true) = (memory.real.as_slice(), memory.whole.len() <= 1) else { return false };
        if !(0.0..=self.bucket.size).contains(&level) {
            return false;
        }
        self.bucket.level = level;
        self.bucket.at = memory.whole.first().copied().map(Timestamp::from_nanos);
        true
    }
}
