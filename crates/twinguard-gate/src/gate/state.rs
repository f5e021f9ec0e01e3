//! What a gate remembers, to be stored.

use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};

use twinguard_types::{CommandId, SignalId, Timestamp};

use super::hold::{HELD_LIMIT, Held};
use super::{BreakGlass, Gate, PENDING};
use crate::Error;
use crate::guards::{Memory, Rates};
use crate::identity::Trust;
use crate::what_if::Confidence;

/// What a [`Gate`] remembers between commands: isolated peers, held commands, rates, guards, trust, the mode, what is on
/// its way. Credentials and keys are configuration and not part of it.
///
/// With the feature `serde` it can be written down; [`Gate::with_state`] goes on from it.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct GateState {
    isolated: BTreeMap<IpAddr, Option<Timestamp>>,
    held: BTreeMap<CommandId, Held>,
    pending: Vec<(SignalId, f64, Timestamp)>,
    mode: String,
    rates: Rates,
    guards: Vec<Memory>,
    trust: Trust,
    revoked_tokens: BTreeSet<u64>,
    confidence: Confidence,
    glass: Vec<BreakGlass>,
    next_glass: u64,
}

impl Gate {
    /// What the gate remembers.
    #[must_use]
    pub fn state(&self) -> GateState {
        GateState {
            isolated: self.isolated.clone(),
            held: self.held.clone(),
            pending: self.pending.clone(),
            mode: self.mode.clone(),
            rates: self.rates.clone(),
            guards: self.guards.memory(),
            trust: self.trust.clone(),
            revoked_tokens: self.revoked_tokens.clone(),
            confidence: self.confidence.clone(),
            glass: self.glass.clone(),
            next_glass: self.next_glass,
        }
    }

    /// Goes on from what a gate of the same plant remembered.
    ///
    /// # Errors
    /// [`Error::State`] for the state of a gate with other rules or guards, or one that holds more than a gate does.
    pub fn with_state(mut self, state: GateState) -> Result<Self, Error> {
        if state.held.len() > HELD_LIMIT || state.pending.len() > PENDING {
            return Err(Error::State { reason: "more commands are held than a gate holds" });
        }
        self.rates.recall(state.rates)?;
        self.guards.recall(&state.guards)?;
        Ok(Self {
            isolated: state.isolated,
            held: state.held,
            pending: state.pending,
            mode: state.mode,
            trust: state.trust,
            revoked_tokens: state.revoked_tokens,
            confidence: state.confidence,
            glass: state.glass,
            next_glass: state.next_glass,
            ..self
        })
    }
}
