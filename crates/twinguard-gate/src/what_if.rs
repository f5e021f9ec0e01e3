//! The consequence of a command, from a fork of the twin.
//!
//! Source: IEC 62443-3-3 SR 3.6 (deterministic output under attack); simplex architecture, L. Sha, "Using simplicity to
//! control complexity", IEEE Software 18(4), 2001: admit a command only if the plant can still be brought back.

use twinguard_twin::Twin;
use twinguard_types::{Duration, SignalId};

/// What the simulation says about a command.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Foresight {
    /// No never-exceed limit is reached, worst case; the least margin with its signal.
    Clear { margin: Option<(SignalId, f64)> },
    /// A limit is reached, but no sooner and no deeper than without the command.
    NoWorse { margin: (SignalId, f64) },
    /// A limit is reached because of the command.
    Crosses { margin: (SignalId, f64), after: Duration },
    /// The twin cannot say, and why.
    Unknown(String),
}
