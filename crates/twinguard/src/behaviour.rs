//! What a sealed plant is made of, and what it has to do before it is believed.
//!
//! A seal says who made a plant, not that it is right: somebody who may sign can sign another one. A golden trajectory, recorded
//! on the plant that was reviewed and sealed with it, has to come out again before the plant is used.
//!
//! ```
//! use twinguard::behaviour;
//! use twinguard::integrity::{Component, Draft, Sealed, SigningKey, Trust, Verified, entries_of, seal};
//! use twinguard::twin::Plant;
//! use twinguard::twin::simulator::cooling_loop::PLANT;
//! use twinguard::types::{Bundle, Digest};
//!
//! // The vendor records how the reviewed plant behaves, and seals that with it.
//! let plant = Plant::parse(PLANT, "plant.toml")?;
//! let golden = behaviour::record(&plant, &[], vec![vec![]; 20], 10.0, (1e-9, 1e-12))?;
//! let mut files = Bundle::new(Digest::default());
//! files.insert("plant.toml", PLANT.as_bytes().to_vec());
//! files.insert("golden.txt", golden.to_string().into_bytes());
//! let mut entries = entries_of(&files)?;
//! entries[0].component = Component::Golden;
//! let key = SigningKey::from_seed("vendor.example/cooling", &[7; 32])?;
//! let parameters = behaviour::parameters(&plant, "plant.toml")?;
//! let seal = seal::sign(&Draft::new("cooling", 1, entries).parameters(parameters).finish()?, &[&key])?;
//!
//! // The operator loads it through both.
//! let sealed = Sealed::from_bundle(files, &seal, &Trust::new(key.public().clone()))?;
//! let plant: Verified<Plant> = sealed.load_replayed(behaviour::replay)?;
//! assert!(sealed.load::<Plant>().is_err(), "a golden trajectory cannot be passed over");
//! # let _ = plant;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use twinguard_integrity::{Error, Golden, Parameter, Parameters};
use twinguard_twin::integrators::Rk4;
use twinguard_twin::plant::Dynamics;
use twinguard_twin::{Plant, TimeBase};

/// The parameters of a plant's model, for its seal: of the file at `path`, without units, which models do not state.
///
/// # Errors
/// [`Error::Path`], [`Error::Parameter`] for names that a seal cannot hold. A plant without dynamics has none.
pub fn parameters(plant: &Plant, path: &str) -> Result<Parameters, Error> {
    let all = plant.dynamics.iter().flat_map(|dynamics| dynamics.model.parameters());
    let all: Result<_, Error> =
        all.map(|(name, value)| Parameter::new(path, name, "", (*value).into())).collect();
    Parameters::new(all?)
}

/// Runs a plant from its initial state with these inputs, each held for `step_s` seconds, and notes every output.
///
/// # Errors
/// As [`replay`].
pub fn record(
    plant: &Plant,
    inputs: &[&str],
    rows: Vec<Vec<f64>>,
    step_s: f64,
    tolerance: (f64, f64),
) -> Result<Golden, Error> {
    let outputs = dynamics(plant)?.model.output_names().to_vec();
    let inputs = inputs.iter().map(ToString::to_string).collect();
    let rows = rows.into_iter().map(|row| (row, Vec::new())).collect();
    let mut golden = Golden { step: step_s, tolerance, inputs, outputs, rows };
    let found = replay(plant, &golden)?;
    for (row, outputs) in golden.rows.iter_mut().zip(found) {
        row.1 = outputs;
    }
    Ok(golden)
}

/// The outputs that a plant gives for a golden trajectory, step by step.
///
/// # Errors
/// [`Error::Content`] for a plant without dynamics, or whose state leaves the finite numbers; for names that its model does not
/// know.
pub fn replay(plant: &Plant, golden: &Golden) -> Result<Vec<Vec<f64>>, Error> {
    let dynamics = dynamics(plant)?;
    let model = &*dynamics.model;
    let find = |names: &[String], wanted: &String| {
        let at = names.iter().position(|name| name == wanted);
        at.ok_or_else(|| content(format!("the model has no `{wanted}`")))
    };
    let places: Vec<usize> =
        golden.inputs.iter().map(|name| find(model.input_names(), name)).collect::<Result<_, _>>()?;
    let wanted: Vec<usize> =
        golden.outputs.iter().map(|name| find(model.output_names(), name)).collect::<Result<_, _>>()?;
    let mut state = dynamics.initial_state.clone();
    let mut input = dynamics.input_defaults.clone();
    let mut output = vec![0.0; model.output_names().len()];
    let mut next = state.clone();
    let mut integrator = Rk4::new(state.len());
    let mut found = Vec::with_capacity(golden.rows.len());
    let mut time = 0.0;
    for (inputs, _) in &golden.rows {
        for (at, value) in places.iter().zip(inputs) {
            if let Some(slot) = input.get_mut(*at) {
                *slot = *value;
            }
        }
        let end = time + golden.step;
        match model.time_base() {
            TimeBase::Continuous => {
                let slope =
                    |time: f64, state: &[f64], out: &mut [f64]| model.dynamics(time, state, &input, out);
                let step = dynamics.step.as_secs_f64();
                integrator.integrate(slope, time, end, step, &mut state).map_err(content)?;
            }
            TimeBase::Discrete { step_s } => {
                for _ in 0..(golden.step / step_s).round().clamp(1.0, 1e6) as u32 {
                    model.dynamics(time, &state, &input, &mut next);
                    state.copy_from_slice(&next);
                    time += step_s;
                }
            }
        }
        time = end;
        model.output(time, &state, &input, &mut output);
        found.push(wanted.iter().filter_map(|at| output.get(*at).copied()).collect());
    }
    Ok(found)
}

fn dynamics(plant: &Plant) -> Result<&Dynamics, Error> {
    plant
        .dynamics
        .as_ref()
        .ok_or_else(|| content("the plant has no dynamics that could be replayed".to_owned()))
}

fn content(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Content(error.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use twinguard_twin::simulator::cooling_loop::PLANT;

    #[test]
    fn another_parameter_is_another_behaviour() {
        let plant = Plant::parse(PLANT, "plant.toml").unwrap();
        let golden = record(&plant, &[], vec![vec![]; 30], 20.0, (1e-9, 1e-12)).unwrap();
        golden.compare(&replay(&plant, &golden).unwrap()).unwrap();
        let dynamics = plant.dynamics.as_ref().unwrap();
        let (name, value) = dynamics.model.parameters()[0].clone();
        let mut other = plant.clone();
        other.dynamics = Some(dynamics.with_parameters(&[(&name, value * 1.2)]).unwrap());
        let found = golden.compare(&replay(&other, &golden).unwrap());
        assert!(matches!(found, Err(Error::Behaviour { .. })), "{name}: {found:?}");
        assert!(parameters(&plant, "plant.toml").unwrap().all().len() == dynamics.model.parameters().len());
    }

    #[test]
    fn names_that_the_model_does_not_know_are_refused() {
        let plant = Plant::parse(PLANT, "plant.toml").unwrap();
        let mut golden = record(&plant, &[], vec![vec![]; 2], 20.0, (1e-9, 1e-12)).unwrap();
        golden.outputs[0] = "nothing".into();
        assert!(matches!(replay(&plant, &golden), Err(Error::Content(_))));
    }
}
