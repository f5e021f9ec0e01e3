//! Linear plants: what a command adds to the future is the input's step response times the change, whatever the state.
//!
//! So one run without the command per slot of the twin is enough, and a decision is one multiplication per sample. The
//! covariance does not depend on inputs. Source: superposition; Kailath, *Linear Systems*, 1980, §1.1.

use std::collections::{BTreeMap, btree_map::Entry};

use twinguard_twin::plant::Dynamics;
use twinguard_types::{Duration, SignalId};

use super::{Run, path};

/// Per input signal and horizon, the change of every mean for a change of one.
#[derive(Debug, Default)]
pub(super) struct Responses(BTreeMap<SignalId, Vec<Vec<f64>>>);

impl Responses {
    /// Adds a change of one input to runs. `None`: it has to be simulated, and what was added so far is worth nothing.
    pub(super) fn add(
        &mut self,
        dynamics: &Dynamics,
        horizons: &[Duration],
        runs: &mut [Run],
        signal: SignalId,
        change: f64,
    ) -> Option<()> {
        let responses = match self.0.entry(signal) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(measure(dynamics, horizons, signal)?),
        };
        for (run, response) in runs.iter_mut().zip(responses.iter()) {
            for means in &mut run.means {
                if means.len() != response.len() {
                    return None;
                }
                means.iter_mut().zip(response).for_each(|(mean, response)| *mean += change * response);
            }
        }
        Some(())
    }
}

/// By one run with the input at 1 and one with it at 0, from rest.
fn measure(dynamics: &Dynamics, horizons: &[Duration], signal: SignalId) -> Option<Vec<Vec<f64>>> {
    let place = dynamics.inputs.iter().position(|input| *input == Some(signal))?;
    let one = |horizon: &Duration| {
        let mut inputs = dynamics.input_defaults.clone();
        let mut at = |value: f64| {
            *inputs.get_mut(place)? = value;
            path::run(dynamics, &dynamics.initial_state, &inputs, &[], *horizon)
        };
        let (zero, one) = (at(0.0)?, at(1.0)?);
        Some(one.outputs.iter().zip(&zero.outputs).map(|(one, zero)| one - zero).collect())
    };
    horizons.iter().map(one).collect()
}
