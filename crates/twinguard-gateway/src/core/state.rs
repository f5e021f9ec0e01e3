//! What a successor takes over: the guard's snapshot, and what the gateway itself remembers of commands that wait.

use serde::{Deserialize, Serialize};
use twinguard::Verdicted;
use twinguard::types::Finding;

use super::proxy::{Asked, Waiting};
use super::{Core, Held};

/// With the version of the form.
const MAGIC: &[u8] = b"twinguard gateway state 1\n";

/// What the gateway remembers beside the guard.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Memory {
    next_command: u64,
    held: Vec<Verdicted>,
    findings: Vec<Finding>,
    waiting: Vec<(Asked, Waiting)>,
}

/// A gateway's state: [`Core::state`] makes it, [`Core::with_state`] goes on from it.
#[derive(Debug)]
pub struct State {
    memory: Memory,
    guard: Vec<u8>,
}

impl State {
    /// Reads what [`Core::state`] wrote; `None` for anything else.
    ///
    /// ```
    /// use twinguard_gateway::core::State;
    ///
    /// assert!(State::parse(b"something else").is_none());
    /// ```
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (length, rest) = bytes.strip_prefix(MAGIC)?.split_first_chunk::<8>()?;
        let length = usize::try_from(u64::from_be_bytes(*length)).ok()?;
        let (memory, guard) = rest.split_at_checked(length)?;
        Some(Self { memory: serde_json::from_slice(memory).ok()?, guard: guard.to_vec() })
    }

    /// The guard's part: for [`twinguard::Builder::restore`].
    #[must_use]
    pub fn guard(&self) -> &[u8] {
        &self.guard
    }
}

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
        let (memory, guard) = (serde_json::to_vec(&memory)?, self.guard.snapshot()?);
        Ok([MAGIC, &(memory.len() as u64).to_be_bytes(), &memory, &guard].concat())
    }

    /// Goes on from the state of another gateway, around the guard that was restored from it. Call it after [`Core::with_servers`].
    #[must_use]
    pub fn with_state(mut self, state: State) -> Self {
        let Memory { next_command, held, findings, waiting } = state.memory;
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
