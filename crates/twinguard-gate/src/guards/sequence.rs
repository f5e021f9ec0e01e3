//! In which order: valves before pumps, purge before ignition.
//!
//! Source: sequence permissives of ISA-84 / IEC 61511 practice (burner management, NFPA 85 §6.4 purge before light-off).

use twinguard_types::{Duration, Timestamp};

use super::{Asked, Guard, Memory, Refusal, concerns};
use crate::policy::GuardSpec;

#[derive(Debug)]
struct Sequence {
    spec: GuardSpec,
    within: Duration,
    /// When each condition was commanded in its turn; those from the first `None` on are open.
    done: Vec<Option<Timestamp>>,
}

pub(super) fn build(spec: &GuardSpec) -> Box<dyn Guard> {
    let within = spec.within.unwrap_or(Duration::MAX);
    Box::new(Sequence { within, done: vec![None; spec.when.len()], spec: spec.clone() })
}

impl Sequence {
    /// The first condition that is open at `now`: not given yet, or given too long before what follows it.
    fn open(&self, now: Timestamp) -> Option<usize> {
        for (at, done) in self.done.iter().enumerate() {
            let next = self.done.get(at + 1).copied().flatten().unwrap_or(now);
            if done.is_none_or(|done| next.since(done) > self.within) {
                return Some(at);
            }
        }
        None
    }
}

impl Guard for Sequence {
    fn check(&self, asked: &Asked<'_>) -> Result<(), Refusal> {
        if !concerns(&self.spec, asked) {
            return Ok(());
        }
        match self.open(asked.now).and_then(|at| self.spec.when.get(at)) {
            Some(condition) => Err(Refusal::OutOfOrder { missing: condition.signal }),
            None => Ok(()),
        }
    }

    fn passed(&mut self, asked: &Asked<'_>) {
        let fits = |at: &usize| {
            self.spec.when.get(*at).is_some_and(|condition| {
                condition.signal == asked.signal && condition.range.contains(asked.value)
            })
        };
        let turn = self.open(asked.now).unwrap_or(self.done.len());
        if let Some(at) = (0..self.done.len()).find(|at| *at <= turn && fits(at)) {
            // A step that is given again is given now, and what follows it has to follow again.
            self.done.iter_mut().skip(at).for_each(|done| *done = None);
            if let Some(done) = self.done.get_mut(at) {
                *done = Some(asked.now);
            }
        } else if let Some(at) = self.spec.when.iter().position(|condition| condition.signal == asked.signal)
        {
            // Taken back: the valve is closed again.
            self.done.iter_mut().skip(at).for_each(|done| *done = None);
        }
    }

    fn memory(&self) -> Memory {
        let stamp = |done: &Option<Timestamp>| done.map_or(i64::MIN, Timestamp::as_nanos);
        Memory { whole: self.done.iter().map(stamp).collect(), real: Vec::new() }
    }

    fn recall(&mut self, memory: &Memory) -> bool {
        if memory.whole.len() != self.done.len() || !memory.real.is_empty() {
            return false;
        }
        let stamp = |at: &i64| (*at != i64::MIN).then(|| Timestamp::from_nanos(*at));
        self.done = memory.whole.iter().map(stamp).collect();
        true
    }
}
