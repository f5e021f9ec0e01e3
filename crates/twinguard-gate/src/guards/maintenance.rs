//! While people work there: nobody moves it but they.
//!
//! Source: lockout/tagout, OSHA 29 CFR 1910.147(c); here it is one more barrier, never the lock itself.

use super::{Asked, Guard, Memory, Refusal, concerns};
use crate::policy::GuardSpec;

#[derive(Debug)]
struct Maintenance(GuardSpec);

pub(super) fn build(spec: &GuardSpec) -> Box<dyn Guard> {
    Box::new(Maintenance(spec.clone()))
}

impl Guard for Maintenance {
    fn check(&self, asked: &Asked<'_>) -> Result<(), Refusal> {
        let working = self.0.windows.iter().any(|window| window.contains(asked.now));
        let theirs = self.0.roles.iter().any(|role| asked.principal.has_role(role));
        if concerns(&self.0, asked) && working && !theirs { Err(Refusal::Maintenance) } else { Ok(()) }
    }

    fn passed(&mut self, _: &Asked<'_>) {}

    fn memory(&self) -> Memory {
        Memory::default()
    }

    fn recall(&mut self, memory: &Memory) -> bool {
        *memory == Memory::default()
    }
}
