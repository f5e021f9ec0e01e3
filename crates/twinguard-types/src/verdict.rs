use crate::{CommandId, Digest, SignalId, Timestamp, Value};

/// What the gate decided.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case", tag = "decision", content = "value")
)]
pub enum Decision {
    /// Send it.
    Allow,
    /// Send this value instead.
    Clamp(Value),
    /// Ask for a stronger or second proof of identity first.
    StepUp,
    /// Wait for a person.
    Hold,
    /// Do not send it.
    Deny,
}

impl Decision {
    /// The word used everywhere for this decision.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Clamp(_) => "clamp",
            Self::StepUp => "step_up",
            Self::Hold => "hold",
            Self::Deny => "deny",
        }
    }

    /// Whether something may be sent.
    #[must_use]
    pub const fn permits(&self) -> bool {
        matches!(self, Self::Allow | Self::Clamp(_))
    }
}

/// The part of the gate that spoke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Stage {
    /// Who asks.
    Identity,
    /// What they may.
    Policy,
    /// How often and in which order.
    Guard,
    /// What would happen.
    WhatIf,
    /// How far the present state can be trusted.
    Trust,
}

/// Why, in one clause.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct VerdictReason {
    /// Which part of the gate.
    pub stage: Stage,
    /// In words.
    pub text: String,
}

/// The gate's answer to one command.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Verdict {
    /// The command.
    pub command: CommandId,
    /// When.
    pub at: Timestamp,
    /// What was decided.
    pub decision: Decision,
    /// Why, the deciding reason first.
    pub reasons: Vec<VerdictReason>,
    /// Least margin to a limit in the what-if run, worst case, with its signal, in the signal's unit; negative when crossed.
    pub margin: Option<(SignalId, f64)>,
}

/// Proof that something was entered in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Receipt {
    /// Leaf index, from 0.
    pub leaf: u64,
    /// RFC 6962 hash of the leaf.
    pub leaf_hash: Digest,
    /// Root over all leaves up to and with this one.
    pub root: Digest,
}
