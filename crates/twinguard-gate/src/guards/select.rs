//! Select before operate: a sender says first what it is about to operate, and with which value.
//!
//! Source: control models "SBO with enhanced security" of IEC 61850-7-2 §20; select and execute of IEC 60870-5-101 §7.2.6.26.

use twinguard_types::{Duration, PrincipalId, SignalId, Timestamp};

use super::{Asked, Guard, Memory, Refusal, concerns};
use crate::policy::GuardSpec;

#[derive(Clone, Copy, Debug, PartialEq)]
struct Selected {
    by: PrincipalId,
    value: f64,
    at: Timestamp,
}

#[derive(Debug)]
struct Select {
    spec: GuardSpec,
    within: Duration,
    /// Per signal of the guard, who holds it.
    selected: Vec<Option<Selected>>,
}

pub(super) fn build(spec: &GuardSpec) -> Box<dyn Guard> {
    let within = spec.within.unwrap_or(Duration::ZERO);
    Box::new(Select { within, selected: vec![None; spec.signals.len()], spec: spec.clone() })
}

impl Select {
    fn held(&self, signal: SignalId, now: Timestamp) -> Option<Selected> {
        let at = self.spec.signals.binary_search(&signal).ok()?;
        let held = self.selected.get(at).copied().flatten()?;
        (now.since(held.at) <= self.within).then_some(held)
    }
}

impl Guard for Select {
    fn check(&self, asked: &Asked<'_>) -> Result<(), Refusal> {
        if !concerns(&self.spec, asked) {
            return Ok(());
        }
        let held = self.held(asked.signal, asked.now);
        let mine = |held: &Selected| held.by == asked.principal_id;
        let granted = match held {
            // What another one has selected is not to be had before that ends.
            Some(held) if asked.select => mine(&held),
            None => asked.select,
            Some(held) => mine(&held) && held.value == asked.value,
        };
        if granted { Ok(()) } else { Err(Refusal::NotSelected) }
    }

    fn passed(&mut self, asked: &Asked<'_>) {
        let Ok(at) = self.spec.signals.binary_search(&asked.signal) else { return };
        if let Some(held) = self.selected.get_mut(at) {
            let selected = Selected { by: asked.principal_id, value: asked.value, at: asked.now };
            *held = asked.select.then_some(selected);
        }
    }

    fn memory(&self) -> Memory {
        let mut memory = Memory::default();
        for (at, held) in self.selected.iter().enumerate() {
            if let Some(held) = held {
                memory.whole.extend([at as i64, i64::from(held.by.0), held.at.as_nanos()]);
                memory.real.push(held.value);
            }
        }
        memory
    }

    fn recall(&mut self, memory: &Memory) -> bool {
        if memory.whole.len() != 3 * memory.real.len() {
            return false;
        }
        let mut selected = vec![None; self.spec.signals.len()];
        for (entry, value) in memory.whole.chunks_exact(3).zip(&memory.real) {
            let &[at, by, since] = entry else { return false };
            let (Ok(at), Ok(by)) = (usize::try_from(at), u32::try_from(by)) else { return false };
            let Some(place) = selected.get_mut(at) else { return false };
            *place = Some(Selected { by: PrincipalId(by), value: *value, at: Timestamp::from_nanos(since) });
        }
        self.selected = selected;
        true
    }
}
