use core::net::IpAddr;

use crate::{Digest, Label, PrincipalId, Timestamp};

/// How an attempt at access ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum AccessOutcome {
    /// Let in.
    Granted,
    /// Refused: wrong credentials or no right.
    Refused,
    /// Neither: the attempt broke off.
    Failed,
}

/// A user, service or device did or tried something that is not a command: a login, a session, a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Access {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub principal: PrincipalId,
    /// What, for example `login`, `connect`, `read`.
    pub action: Label,
    /// How it ended.
    pub outcome: AccessOutcome,
    /// From where, where known.
    pub from: Option<IpAddr>,
}

/// Whether what runs is what was sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum AttestationOutcome {
    /// The measured digest is the sealed one.
    Matches,
    /// It is not.
    Differs,
}

/// A comparison of a running model, its parameters or a file with its seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Attestation {
    /// When.
    pub at: Timestamp,
    /// The sealed digest.
    pub expected: Digest,
    /// The measured digest.
    pub measured: Digest,
    /// Whether they agree.
    pub outcome: AttestationOutcome,
}
