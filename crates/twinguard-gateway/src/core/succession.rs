//! From one gateway to the next: what the core gives to its successor, and takes from its predecessor.

use super::state::{Memory, State};
use super::{Core, Held};

impl Core {
    /// Everything that another gateway of the same configuration needs to go on from here, when this one is gone: held commands,
    /// what was used up of rates and budgets, isolations, findings, the twin. Connections are not in it, and what goes on in the
    /// journal after it is not either.
    ///
    /// # Errors
    /// As [`twinguard::Guard::snapshot`]: while the guard still learns.
    pub fn state(&self) -> Result<Vec<u8>, twinguard::Error> {
        let memory = Memory {
            next_command: self.next_command,
            held: self.held.values().map(|held| held.verdicted.clone()).collect(),
            findings: self.findings.values().cloned().collect(),
            waiting: self.proxy.waiting().map(|(asked, waiting)| (asked.clone(), waiting.clone())).collect(),
        };
        Ok(State::new(memory, self.guard.snapshot()?).to_bytes()?)
    }

    /// Goes on from the state of another gateway, around the guard that was restored from it. Call it after [`Core::with_servers`].
    #[must_use]
    pub fn with_state(mut self, state: State) -> Self {
        let Memory { next_command, held, findings, waiting } = state.into_memory();
        self.next_command = next_command.max(self.next_command);
        let held = held.into_iter().map(|verdicted| (verdicted.command.id, Held { verdicted }));
        self.held = held.collect();
        self.findings = findings.into_iter().map(|finding| (finding.id, finding)).collect();
        self.proxy.wait_on(waiting);
        self
    }

    /// Whether commands began to wait, or waited no longer, since this was asked: then [`Core::state`] has to be kept before
    /// anybody hears of it, so that an agreement is not used twice.
    pub fn take_changed(&mut self) -> bool {
        core::mem::take(&mut self.changed)
    }
}
