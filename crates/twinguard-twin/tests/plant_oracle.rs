//! The built-in models against every plant in `data/twin/plants`, whatever its name: equilibrium, linearisation,
//! trajectories, inverse dynamics. Names, parameters and inputs are read from the file.
//!
//! The folder is `$TWINGUARD_DATA/twin/plants`, else `../shared/data/twin/plants` beside the workspace; without it the
//! test reports itself as ignored. A plant that no built-in model knows is ignored by name.

#![allow(clippy::disallowed_methods, missing_docs, reason = "a test reads its data")]

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;
use twinguard_twin::{
    Model,
    integrators::{DormandPrince, Tolerance},
    models::linear::Matrices,
    registry,
};

fn data() -> PathBuf {
    let root = std::env::var_os("TWINGUARD_DATA").map(PathBuf::from);
    root.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"))
        .join("twin/plants")
}

fn main() {
    let arguments = Arguments::from_args();
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(data()).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    files.sort();
    let mut trials = Vec::new();
    for path in files.into_iter().filter(|path| path.extension().is_some_and(|end| end == "json")) {
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let Ok(oracle) = serde_json::from_str::<Value>(&text) else { continue };
        let Some(plant) = oracle["plant"].as_str().map(str::to_owned) else { continue };
        let Some(model) = built_in(&oracle) else {
            let name = format!("plant_{plant}_has_no_built_in_model");
            trials.push(Trial::test(name, || Ok(())).with_ignored_flag(true));
            continue;
        };
        let shared = Arc::new((oracle, model));
        let mut add = |name: &str, check: fn(&Value, &dyn Model) -> Result<(), Failed>| {
            let shared = shared.clone();
            trials.push(Trial::test(format!("plant_{plant}_{name}"), move || check(&shared.0, &*shared.1)));
        };
        add("names", names);
        add("rests", rests);
        add("linearisation", linearisation);
        add("inverse_dynamics", inverse_dynamics);
        for number in 0..shared.0["cases"].as_array().map_or(0, Vec::len) {
            let shared = shared.clone();
            let name = format!("plant_{plant}_case_{number}");
            trials.push(Trial::test(name, move || {
                trajectory(&shared.0["cases"][number], &shared.0, &*shared.1)
            }));
        }
    }
    if trials.is_empty() {
        trials.push(Trial::test("plant_oracle_needs_data", || Ok(())).with_ignored_flag(true));
    }
    libtest_mimic::run(&arguments, trials).exit();
}

/// The built-in model whose name starts the plant's name, with the file's parameters; lists are numbered from 0.
fn built_in(oracle: &Value) -> Option<Arc<dyn Model>> {
    let plant = oracle["plant"].as_str()?;
    let found = registry::models().iter().filter(|model| plant.starts_with(model.name));
    let model = found.max_by_key(|model| model.name.len())?;
    let mut given: Vec<(String, f64)> = Vec::new();
    for (name, value) in oracle["parameters"].as_object()? {
        match value {
            Value::Array(list) => {
                for (at, value) in list.iter().enumerate() {
                    given.extend(value.as_f64().map(|value| (format!("{name}{at}"), value)));
                    let inner = value.as_array().into_iter().flatten().enumerate();
                    given.extend(inner.filter_map(|(to, v)| Some((format!("{name}{at}_{to}"), v.as_f64()?))));
                }
            }
            other => given.extend(other.as_f64().map(|value| (name.clone(), value))),
        }
    }
    // The file may hold numbers that its equations do not use.
    let known = model.model(&[]).ok()?;
    given.retain(|(name, _)| known.parameters().iter().any(|(own, _)| own == name));
    let given: Vec<(&str, f64)> = given.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    model.model(&given).ok()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().map(|list| list.iter().filter_map(Value::as_f64).collect()).unwrap_or_default()
}

fn rows(value: &Value) -> Vec<Vec<f64>> {
    value.as_array().map(|list| list.iter().map(numbers).collect()).unwrap_or_default()
}

/// |found − expected| ≤ tolerance · max(scale, |expected|), entry by entry.
fn close(what: &str, found: &[f64], expected: &[f64], tolerance: f64, scale: f64) -> Result<(), Failed> {
    if found.len() != expected.len() {
        return Err(format!("{what}: {} numbers, {} expected", found.len(), expected.len()).into());
    }
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        let error = (found - expected).abs() / expected.abs().max(scale).max(f64::MIN_POSITIVE);
        if error.is_nan() || error > tolerance {
            return Err(format!("{what}[{at}]: {found} for {expected}, off by {error:.2e}").into());
        }
    }
    Ok(())
}

fn outputs(model: &dyn Model, state: &[f64], input: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0; model.output_names().len()];
    model.output(0.0, state, input, &mut out);
    out
}

fn rates(model: &dyn Model, state: &[f64], input: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0; state.len()];
    model.dynamics(0.0, state, input, &mut out);
    out
}

fn names(oracle: &Value, model: &dyn Model) -> Result<(), Failed> {
    let pairs =
        [("states", model.state_names()), ("inputs", model.input_names()), ("outputs", model.output_names())];
    for (key, own) in pairs {
        let theirs: Vec<&str> =
            oracle[key].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        // A model may show more than the file asks for, but that first.
        let enough = if key == "outputs" { own.len() >= theirs.len() } else { own.len() == theirs.len() };
        if !enough || own.iter().zip(&theirs).any(|(own, theirs)| own != theirs) {
            return Err(format!("{key}: {own:?}, not {theirs:?}").into());
        }
    }
    Ok(())
}

fn rests(oracle: &Value, model: &dyn Model) -> Result<(), Failed> {
    let a = rows(&oracle["linear"]["A"]);
    let b = rows(&oracle["linear"]["B"]);
    for point in
        [&oracle["operating_point"], &oracle["rated_check"]].into_iter().filter(|point| point.is_object())
    {
        let (state, input) = (numbers(&point["x"]), numbers(&point["u"]));
        for (row, rate) in rates(model, &state, &input).into_iter().enumerate() {
            // A state that nothing depends on (an angle) may run on; the numbers are printed to 12 digits.
            let depended_on = a.iter().any(|line| line[row] != 0.0);
            let terms = a[row].iter().zip(&state).chain(b[row].iter().zip(&input));
            let scale: f64 = terms.map(|(factor, value)| (factor * value).abs()).sum();
            if depended_on && rate.abs() > 1e-11 * scale.max(1e-3) {
                return Err(format!("rate {row} is {rate:e} (scale {scale:e})").into());
            }
        }
        let shown = numbers(&point["y"]);
        let found = outputs(model, &state, &input);
        close("y", found.get(..shown.len()).unwrap_or(&found), &shown, 1e-11, 1.0)?;
    }
    Ok(())
}

fn linearisation(oracle: &Value, model: &dyn Model) -> Result<(), Failed> {
    let linear = &oracle["linear"];
    if linear.is_null() {
        return Ok(());
    }
    let at = if linear["at"].is_object() { &linear["at"] } else { &oracle["operating_point"] };
    let (state, input) = (numbers(&at["x"]), numbers(&at["u"]));
    let (n, m, p) = (state.len(), input.len(), model.output_names().len());
    let [mut a, mut b, mut c, mut d] = [n * n, n * m, p * n, p * m].map(|size| vec![0.0; size]);
    model.dynamics_jacobian(0.0, &state, &input, &mut a, &mut b);
    model.output_jacobian(0.0, &state, &input, &mut c, &mut d);
    for (key, found) in [("A", &a), ("B", &b), ("C", &c), ("D", &d)] {
        let expected: Vec<f64> = rows(&linear[key]).into_iter().flatten().collect();
        // Entries that are zero may come out as rounding of the largest ones.
        let largest = expected.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
        let found = found.get(..expected.len()).unwrap_or(found);
        close(key, found, &expected, 1e-10, largest * 1e-6)?;
    }

    // The same matrices as a linear model rest where the plant rests.
    let matrices = Matrices {
        base: model.time_base(),
        states: model.state_names().to_vec(),
        inputs: model.input_names().to_vec(),
        outputs: oracle["outputs"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|o| Some(o.as_str()?.to_owned()))
            .collect(),
        a: rows(&linear["A"]),
        b: rows(&linear["B"]),
        c: rows(&linear["C"]),
        d: rows(&linear["D"]),
        x0: state.clone(),
        u0: input.clone(),
        y0: Vec::new(),
    };
    let twin = matrices.model().map_err(|problem| Failed::from(problem.to_string()))?;
    let mut still = vec![1.0; n];
    twin.dynamics(0.0, &state, &input, &mut still);
    close("linear", &still, &vec![0.0; n], 0.0, 1.0)
}

fn inverse_dynamics(oracle: &Value, model: &dyn Model) -> Result<(), Failed> {
    for case in oracle["forward_dynamics"].as_array().into_iter().flatten() {
        let state = [numbers(&case["q"]), numbers(&case["qd"])].concat();
        let found = rates(model, &state, &numbers(&case["tau"]));
        close("acceleration", &found, &[numbers(&case["qd"]), numbers(&case["qdd"])].concat(), 1e-9, 1.0)?;
    }
    for case in oracle["inverse_dynamics"].as_array().into_iter().flatten() {
        let (speed, acceleration) = (numbers(&case["qd"]), numbers(&case["qdd"]));
        let state = [numbers(&case["q"]), speed.clone()].concat();
        let found = rates(model, &state, &numbers(&case["tau"]));
        close("acceleration", &found, &[speed, acceleration].concat(), 1e-9, 1.0)?;
    }
    Ok(())
}

fn trajectory(case: &Value, oracle: &Value, model: &dyn Model) -> Result<(), Failed> {
    let hold = case["hold_s"].as_f64().unwrap_or(1.0);
    let (inputs, states, shown) = (rows(&case["u"]), rows(&case["x"]), rows(&case["y"]));
    let mut state = numbers(&case["x0"]);
    let mut integrator = DormandPrince::new(state.len());
    let tolerance = Tolerance { absolute: 1e-11, relative: 1e-11, max_steps: 1_000_000 };
    // A stiff plant costs an explicit integrator many steps: its first minutes are enough.
    let fastest = rows(&oracle["linear"]["eigenvalues"]).iter().map(|e| e[0].abs()).fold(0.0, f64::max);
    let most = if fastest * hold > 1e4 { 10 } else { usize::MAX };
    let ends = states.len().saturating_sub(1);
    for (number, expected) in states.iter().enumerate().take(most) {
        let Some(input) = inputs.get(number).or(inputs.last()) else { break };
        close(&format!("x at {number}"), &state, expected, 1e-7, 1.0)?;
        if let Some(expected) = shown.get(number) {
            let found = outputs(model, &state, input);
            close(
                &format!("y at {number}"),
                found.get(..expected.len()).unwrap_or(&found),
                expected,
                1e-7,
                1.0,
            )?;
        }
        if number < ends {
            let slope = |time: f64, state: &[f64], out: &mut [f64]| model.dynamics(time, state, input, out);
            integrator
                .integrate(slope, 0.0, hold, tolerance, &mut state)
                .map_err(|error| Failed::from(error.to_string()))?;
        }
    }
    Ok(())
}
