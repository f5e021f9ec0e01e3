//! The consequence of a command, from a fork of the twin.
//!
//! Source: IEC 62443-3-3 SR 3.6 (deterministic output under attack); simplex architecture, L. Sha, "Using simplicity to
//! control complexity", IEEE Software 18(4), 2001: admit a command only if the plant can still be brought back.

use twinguard_twin::Twin;
use twinguard_twin::whatif::{Margin, WhatIf};
use twinguard_types::{Duration, SignalId};

/// What the simulation says about a command.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Foresight {
    /// No never-exceed limit is reached, worst case; the least margin with its signal.
    Clear { margin: Option<(SignalId, f64)> },
    /// A limit is reached, but no deeper than without the command.
    NoWorse { margin: (SignalId, f64) },
    /// A limit is reached because of the command.
    Crosses { margin: (SignalId, f64), after: Duration },
    /// The twin cannot say, and why.
    Unknown(String),
}

/// Looks ahead with a signal held at a value, and without.
///
/// `binding` tells by a limit's index whether it is one that must not be crossed.
pub(crate) fn foresee(
    twin: &Twin,
    horizon: Duration,
    hold: (SignalId, f64),
    sigmas: f64,
    binding: &[bool],
) -> Foresight {
    if twin.clock().is_none() {
        return Foresight::Unknown("the twin has not seen the plant yet".to_owned());
    }
    let mut fork = twin.fork().worst_case(sigmas);
    let start = fork.at();
    let with = match fork.simulate(horizon, &[hold]) {
        Ok(with) => with,
        // A set-point or a mode acts through a controller that the model does not hold.
        Err(twinguard_twin::Error::NotModelled { .. }) => return Foresight::Clear { margin: None },
        Err(error) => return Foresight::Unknown(format!("the model cannot follow the command: {error}")),
    };
    let Some(worst) = worst(&with, binding) else { return Foresight::Clear { margin: None } };
    let margin = (worst.signal, worst.least);
    if worst.least >= 0.0 {
        return Foresight::Clear { margin: Some(margin) };
    }
    // The way to a safer state is never barred: what counts is whether the command makes it worse.
    match fork.simulate(horizon, &[]) {
        Ok(without) => {
            let least =
                without.margins.iter().find(|margin| margin.limit == worst.limit).map(|margin| margin.least);
            match least {
                Some(least) if worst.least >= least => Foresight::NoWorse { margin },
                _ => Foresight::Crosses { margin, after: worst.crossed.unwrap_or(worst.at).since(start) },
            }
        }
        Err(error) => Foresight::Unknown(format!("the model cannot follow the plant: {error}")),
    }
}

/// The binding limit that is reached deepest, or comes nearest.
fn worst<'a>(what_if: &'a WhatIf, binding: &[bool]) -> Option<&'a Margin> {
    let counts = |margin: &&Margin| binding.get(margin.limit).copied().unwrap_or(false);
    what_if.margins.iter().filter(counts).min_by(|a, b| a.least.total_cmp(&b.least))
}
