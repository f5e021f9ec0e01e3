use core::net::SocketAddr;

use crate::{CommandId, PrincipalId, SignalId, Timestamp, Value};

/// Where a command was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum CommandOrigin {
    /// Seen on the wire: it has already been sent.
    Wire,
    /// Given to us to vet before it is sent.
    Platform,
    /// Our own response.
    Guard,
}

/// Somebody wants a signal to take a value.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Command {
    /// Unique within one guard.
    pub id: CommandId,
    /// Who.
    pub principal: PrincipalId,
    /// What.
    pub signal: SignalId,
    /// To which value, in the signal's unit.
    pub value: Value,
    /// When it was sent or handed over.
    pub at: Timestamp,
    /// Where it was met.
    pub origin: CommandOrigin,
    /// The network endpoint it came from, where one is known.
    pub from: Option<SocketAddr>,
}

/// What the controller or the operator says it sent: the view from the other end of the wire.
///
/// A command on the wire without an intent accuses the command path; an intent without a command, the network.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Intent {
    /// Who says so.
    pub principal: PrincipalId,
    /// Which signal it meant to set.
    pub signal: SignalId,
    /// To which value.
    pub value: Value,
    /// When it sent it, by its own journal.
    pub at: Timestamp,
}
