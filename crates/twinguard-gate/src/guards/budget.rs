//! How much in a period: movement that wears a valve out, energy that a heater puts in.
//!
//! Source: valve travel as a measure of wear, ISA-TR75.25.02-2000 (control valve response) practice; the form is ours.
//! Periods are counted from 1970 on: a day is a UTC day. A budget that is used up lets pass what spends nothing more: for
//! energy a value that is not above the present one, so that the way down stays open.

use twinguard_types::{Duration, SignalId, Timestamp};

use super::{Asked, Guard, Memory, Refusal, concerns};
use crate::policy::GuardSpec;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Travel,
    Energy { gain: f64 },
}

#[derive(Debug)]
struct Budget {
    spec: GuardSpec,
    kind: Kind,
    most: f64,
    period: Duration,
    spent: f64,
    /// Up to when `spent` counts.
    at: Option<Timestamp>,
    /// Per signal of the guard, the value that passed last.
    last: Vec<Option<f64>>,
}

fn build(spec: &GuardSpec, kind: Kind) -> Box<dyn Guard> {
    Box::new(Budget {
        kind,
        most: spec.most.unwrap_or(0.0),
        period: spec.period.unwrap_or(Duration::from_secs(86_400)).max(Duration::from_nanos(1)),
        spent: 0.0,
        at: None,
        last: vec![None; spec.signals.len()],
        spec: spec.clone(),
    })
}

pub(super) fn travel(spec: &GuardSpec) -> Box<dyn Guard> {
    build(spec, Kind::Travel)
}

pub(super) fn energy(spec: &GuardSpec) -> Box<dyn Guard> {
    build(spec, Kind::Energy { gain: spec.gain.unwrap_or(1.0) })
}

impl Budget {
    fn place(&self, signal: SignalId) -> Option<usize> {
        self.spec.signals.binary_search(&signal).ok()
    }

    /// What is spent in `now`'s period, up to `now`.
    fn spent(&self, now: Timestamp) -> f64 {
        let Some(at) = self.at else { return 0.0 };
        let period = self.period.as_nanos();
        let begin = now.as_nanos().div_euclid(period) * period;
        let same = at.as_nanos() >= begin;
        let before = if same { self.spent } else { 0.0 };
        match self.kind {
            Kind::Travel => before,
            Kind::Energy { gain } => {
                let from = at.as_nanos().max(begin);
                let passed_s = (now.as_nanos() - from).max(0) as f64 * 1e-9;
                before + gain * passed_s * self.last.iter().flatten().map(|value| value.max(0.0)).sum::<f64>()
            }
        }
    }
}

impl Guard for Budget {
    fn check(&self, asked: &Asked<'_>) -> Result<(), Refusal> {
        let Some(place) = self.place(asked.signal).filter(|_| concerns(&self.spec, asked)) else {
            return Ok(());
        };
        let last = self.last.get(place).copied().flatten();
        let spent = self.spent(asked.now);
        let most = self.most;
        match self.kind {
            Kind::Travel => {
                let would = spent + last.map_or(0.0, |last| (asked.value - last).abs());
                if would > most && last != Some(asked.value) {
                    Err(Refusal::Spent { would, most })
                } else {
                    Ok(())
                }
            }
            Kind::Energy { .. } => {
                let more = asked.value > last.unwrap_or(0.0);
                if spent >= most && more { Err(Refusal::Spent { would: spent, most }) } else { Ok(()) }
            }
        }
    }

    fn passed(&mut self, asked: &Asked<'_>) {
        let Some(place) = self.place(asked.signal) else { return };
        let mut spent = self.spent(asked.now);
        let Some(last) = self.last.get_mut(place) else { return };
        if self.kind == Kind::Travel {
            spent += last.map_or(0.0, |last| (asked.value - last).abs());
        }
        *last = Some(asked.value);
        self.spent = spent;
        self.at = Some(asked.now);
    }

    fn memory(&self) -> Memory {
        let mut memory =
            Memory { whole: vec![self.at.map_or(i64::MIN, Timestamp::as_nanos)], real: vec![self.spent] };
        memory.whole.extend(self.last.iter().map(|last| i64::from(last.is_some())));
        memory.real.extend(self.last.iter().map(|last| last.unwrap_or(0.0)));
        memory
    }

    fn recall(&mut self, memory: &Memory) -> bool {
        let (Some((spent, last)), Some((at, known))) =
            (memory.real.split_first(), memory.whole.split_first())
        else {
            return false;
        };
        let sizes = last.len() == self.last.len() && known.len() == self.last.len();
        let sound = spent.is_finite() && *spent >= 0.0 && last.iter().all(|last| last.is_finite());
        if !(sizes && sound) {
            return false;
        }
        self.spent = *spent;
        self.at = (*at != i64::MIN).then(|| Timestamp::from_nanos(*at));
        self.last = last.iter().zip(known).map(|(last, known)| (*known != 0).then_some(*last)).collect();
        true
    }
}
