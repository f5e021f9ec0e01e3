//! Not while: a heater does not start without flow, a breaker does not close out of phase.
//!
//! Source: process interlocks of IEC 61511-1 §11.2 as far as commands go; the safety system keeps its own, in hardware.

use super::{Asked, Guard, Memory, Refusal, concerns};
use crate::policy::GuardSpec;

#[derive(Debug)]
struct Interlock(GuardSpec);

pub(super) fn build(spec: &GuardSpec) -> Box<dyn Guard> {
    Box::new(Interlock(spec.clone()))
}

impl Guard for Interlock {
    fn check(&self, asked: &Asked<'_>) -> Result<(), Refusal> {
        if !concerns(&self.0, asked) {
            return Ok(());
        }
        let mut barred = None;
        for condition in &self.0.when {
            match (asked.known)(condition.signal) {
                // Nobody knows: as good as true.
                None => barred = Some(Refusal::Interlocked { by: condition.signal, value: None }),
                Some(value) if condition.range.contains(value) || value.is_nan() => {
                    barred =
                        barred.or(Some(Refusal::Interlocked { by: condition.signal, value: Some(value) }));
                }
                Some(_) => return Ok(()),
            }
        }
        barred.map_or(Ok(()), Err)
    }

    fn passed(&mut self, _: &Asked<'_>) {}

    fn memory(&self) -> Memory {
        Memory::default()
    }

    fn recall(&mut self, memory: &Memory) -> bool {
        *memory == Memory::default()
    }
}
