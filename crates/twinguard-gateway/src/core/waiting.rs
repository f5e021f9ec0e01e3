//! Requests with commands that wait for a person: who asked which device for what, and what was decided so far.

use core::net::{IpAddr, SocketAddr};
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use twinguard::types::{CommandId, Decision, Digest, SignalId, Timestamp};

use super::noise::PublicKey;

/// By what a client is told from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Asker {
    Address(IpAddr),
    Certificate(Digest),
    Key(PublicKey),
    /// Its certificate names nobody who is known, or somebody else has proved to be at its endpoint: it reads.
    Stranger,
}

impl Asker {
    /// Whether they have proved who they are.
    pub(super) const fn is_proved(&self) -> bool {
        matches!(self, Self::Certificate(_) | Self::Key(_))
    }
}

/// Who asked which device for which values, in whatever message.
pub(super) type Asked = (Asker, SocketAddr, Vec<(SignalId, u64)>);

/// The commands of one message, and what was decided about each.
pub(super) type Decided = BTreeMap<CommandId, (SignalId, Decision)>;

/// A request of which at least one command is held.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Waiting {
    /// Commands and what was decided so far.
    pub(super) commands: Decided,
    /// When the last of them was decided.
    pub(super) decided: Option<Timestamp>,
}

impl Waiting {
    pub(super) fn is_held(&self) -> bool {
        self.commands.values().any(|(_, decision)| *decision == Decision::Hold)
    }
}
