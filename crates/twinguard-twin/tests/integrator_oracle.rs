//! Both integrators along every trajectory in `data/twin/plants` for which a built-in model exists: Runge–Kutta within
//! 1e-6, Dormand–Prince within 2e-8 of the reference (scaled by max(1, |x|)).
//!
//! The folder is `$TWINGUARD_DATA/twin/plants`, else `../shared/data/twin/plants` beside the workspace; without it the
//! test reports itself as ignored.

#![allow(clippy::disallowed_methods, missing_docs, reason = "a test reads its data")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;
use twinguard_twin::integrators::{DormandPrince, Rk4, Tolerance};
use twinguard_twin::{Error, Model, registry};

/// Evaluations that one case may cost; a stiff plant's trajectory is followed as far as that.
const BUDGET: f64 = 2e6;
/// Fixed steps in units of the fastest time constant.
const STEP: f64 = 0.05;

fn main() {
    let arguments = Arguments::from_args();
    let root = std::env::var_os("TWINGUARD_DATA").map(PathBuf::from);
    let root = root.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"));
    let entries = std::fs::read_dir(root.join("twin/plants")).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    files.sort();
    let mut trials = Vec::new();
    for path in files.into_iter().filter(|path| path.extension().is_some_and(|end| end == "json")) {
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let Ok(oracle) = serde_json::from_str::<Value>(&text) else { continue };
        let Some(model) = built_in(&oracle) else { continue };
        let plant = oracle["plant"].as_str().unwrap_or_default().to_owned();
        let shared = Arc::new((oracle, model));
        for case in 0..shared.0["cases"].as_array().map_or(0, Vec::len) {
            for (name, check) in [("runge_kutta", runge_kutta as Check), ("dormand_prince", dormand_prince)] {
                let shared = shared.clone();
                // One hold of a stiff plant alone can be too much for fixed steps.
                let hold = shared.0["cases"][case]["hold_s"].as_f64().unwrap_or(1.0);
                let stiff = name == "runge_kutta" && hold * fastest(&shared.0) / STEP > BUDGET / 4.0;
                let name =
                    format!("integrator_{name}_{plant}_case_{case}{}", if stiff { "_is_stiff" } else { "" });
                let trial = Trial::test(name, move || follow(&shared.0, case, &*shared.1, check));
                trials.push(trial.with_ignored_flag(stiff));
            }
        }
    }
    if trials.is_empty() {
        trials.push(Trial::test("integrator_oracle_needs_data", || Ok(())).with_ignored_flag(true));
    }
    libtest_mimic::run(&arguments, trials).exit();
}

/// The built-in model whose name starts the plant's, with those of the file's parameters that it knows.
fn built_in(oracle: &Value) -> Option<Arc<dyn Model>> {
    let plant = oracle["plant"].as_str()?;
    let found = registry::models().iter().filter(|model| plant.starts_with(model.name));
    let model = found.max_by_key(|model| model.name.len())?;
    let known = model.model(&[]).ok()?;
    let numbers = oracle["parameters"].as_object()?.iter().flat_map(|(name, value)| match value {
        Value::Array(list) => list
            .iter()
            .enumerate()
            .filter_map(|(at, value)| Some((format!("{name}{at}"), value.as_f64()?)))
            .collect(),
        other => other.as_f64().map(|value| (name.clone(), value)).into_iter().collect::<Vec<_>>(),
    });
    let given: Vec<(String, f64)> =
        numbers.filter(|(name, _)| known.parameters().iter().any(|(own, _)| own == name)).collect();
    model.model(&given.iter().map(|(name, value)| (name.as_str(), *value)).collect::<Vec<_>>()).ok()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().map(|list| list.iter().filter_map(Value::as_f64).collect()).unwrap_or_default()
}

fn rows(value: &Value) -> Vec<Vec<f64>> {
    value.as_array().map(|list| list.iter().map(numbers).collect()).unwrap_or_default()
}

/// Moves the state over one hold; gives the allowed error. The last argument is the fastest rate of the plant, 1/s.
type Check = fn(&dyn Model, &[f64], f64, &mut [f64], f64) -> Result<f64, Error>;

fn runge_kutta(
    model: &dyn Model,
    input: &[f64],
    hold: f64,
    state: &mut [f64],
    fastest: f64,
) -> Result<f64, Error> {
    let slope = |time: f64, state: &[f64], out: &mut [f64]| model.dynamics(time, state, input, out);
    Rk4::new(state.len()).integrate(slope, 0.0, hold, STEP / fastest, state)?;
    Ok(1e-6)
}

fn dormand_prince(
    model: &dyn Model,
    input: &[f64],
    hold: f64,
    state: &mut [f64],
    _: f64,
) -> Result<f64, Error> {
    let slope = |time: f64, state: &[f64], out: &mut [f64]| model.dynamics(time, state, input, out);
    let tolerance = Tolerance { absolute: 1e-12, relative: 1e-12, max_steps: 1_000_000 };
    DormandPrince::new(state.len()).integrate(slope, 0.0, hold, tolerance, state)?;
    // 1e-8, and the reference's own error: its closing valve is 1.2e-8 off the exponential that it is.
    Ok(2e-8)
}

/// The fastest rate at the operating point, 1/s; 100 for a plant without one, which an arm is.
fn fastest(oracle: &Value) -> f64 {
    let eigenvalues = rows(&oracle["linear"]["eigenvalues"]);
    if eigenvalues.is_empty() {
        return 100.0;
    }
    eigenvalues.iter().map(|each| each[0].hypot(each[1])).fold(1e-3, f64::max)
}

fn follow(oracle: &Value, case: usize, model: &dyn Model, check: Check) -> Result<(), Failed> {
    let case = &oracle["cases"][case];
    let hold = case["hold_s"].as_f64().ok_or("no hold_s")?;
    let (inputs, states) = (rows(&case["u"]), rows(&case["x"]));
    let mut state = numbers(&case["x0"]);
    let fastest = fastest(oracle);
    let most = (BUDGET / (hold * fastest / STEP * 4.0)).max(2.0) as usize;
    for (number, expected) in states.iter().enumerate().skip(1).take(most) {
        let input = inputs.get(number - 1).or(inputs.last()).ok_or("no u")?;
        let allowed = check(model, input, hold, &mut state, fastest)?;
        for (at, (found, expected)) in state.iter().zip(expected).enumerate() {
            let error = (found - expected).abs() / expected.abs().max(1.0);
            if error.is_nan() || error > allowed {
                return Err(format!("x[{at}] at sample {number} is off by {error:e}").into());
            }
        }
    }
    Ok(())
}
