//! What a successor takes over, as bytes: the guard's snapshot, and what the gateway itself remembers of commands that wait.

use serde::{Deserialize, Serialize};
use twinguard::Verdicted;
use twinguard::types::Finding;

use super::waiting::{Asked, Waiting};

/// With the version of the form.
const MAGIC: &[u8] = b"twinguard gateway state 1\n";

/// What the gateway remembers beside the guard.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Memory {
    pub(super) next_command: u64,
    pub(super) held: Vec<Verdicted>,
    pub(super) findings: Vec<Finding>,
    pub(super) waiting: Vec<(Asked, Waiting)>,
}

/// A gateway's state: [`Core::state`](super::Core::state) makes it, [`Core::with_state`](super::Core::with_state) goes on from it.
#[derive(Debug, PartialEq)]
pub struct State {
    memory: Memory,
    guard: Vec<u8>,
}

impl State {
    pub(super) const fn new(memory: Memory, guard: Vec<u8>) -> Self {
        Self { memory, guard }
    }

    pub(super) fn into_memory(self) -> Memory {
        self.memory
    }

    /// As [`State::parse`] reads it.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        let memory = serde_json::to_vec(&self.memory)?;
        Ok([MAGIC, &(memory.len() as u64).to_be_bytes(), &memory, &self.guard].concat())
    }

    /// Reads what [`Core::state`](super::Core::state) wrote; `None` for anything else.
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
