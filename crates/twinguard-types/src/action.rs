use core::net::IpAddr;

use crate::{ActionId, Command, Digest, FindingId, SignalId, Timestamp, Value};

/// What is done about a finding.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum ActionKind {
    /// Let nothing from this peer through the conduit to the plant.
    IsolatePeer {
        /// The peer's address.
        peer: IpAddr,
    },
    /// Do not use this signal's measured value.
    IsolateSignal {
        /// The signal.
        signal: SignalId,
    },
    /// Use the model's estimate in place of a measured value.
    Substitute {
        /// The signal.
        signal: SignalId,
        /// The estimate now.
        value: Value,
        /// Its standard deviation now, in the signal's unit.
        sigma: f64,
    },
    /// Bring an actuator to its safe value; passes the gate as this command.
    Command(Command),
    /// Read a value again over an authenticated or independent path.
    Verify {
        /// The signal.
        signal: SignalId,
    },
    /// Load the model and its parameters again from what was sealed under this digest: first beside what runs, then, with `commit`, in its
    /// place.
    Revert {
        /// The sealed digest.
        sealed: Digest,
        /// Whether what was loaded takes over.
        commit: bool,
    },
    /// Tell a person.
    Notify {
        /// In words.
        text: String,
    },
    /// End an earlier action.
    Release {
        /// The earlier action.
        action: ActionId,
    },
}

/// One step of a response: typed, reversible, with a deadline.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Action {
    /// Unique within one guard.
    pub id: ActionId,
    /// The finding that asks for it.
    pub finding: FindingId,
    /// When it was decided.
    pub at: Timestamp,
    /// When its outcome must be known; silence escalates.
    pub deadline: Timestamp,
    /// When it ends by itself, if it does.
    pub expires: Option<Timestamp>,
    /// What is done.
    pub kind: ActionKind,
    /// Why, and at what cost, in words.
    pub reason: String,
    /// How it is undone, in words.
    pub undo: String,
    /// Whether it is only recommended: no autonomy was granted for its class.
    pub recommended_only: bool,
}

/// How an action ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum OutcomeResult {
    /// It took effect.
    Done,
    /// It was tried without effect.
    Failed,
    /// It was refused (by the gate, the platform or a person).
    Refused,
}

/// The platform's answer to an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Outcome {
    /// The action.
    pub action: ActionId,
    /// How it ended.
    pub result: OutcomeResult,
    /// When.
    pub at: Timestamp,
}
