//! The filters against every oracle file in `data/twin/kalman` that they can run, whatever its name and size.
//!
//! The folder is `$TWINGUARD_DATA/twin/kalman`, else `../shared/data/twin/kalman` beside the workspace; without it the
//! test reports itself as ignored.

#![allow(clippy::disallowed_methods, missing_docs, reason = "a test reads its data")]

use std::path::{Path, PathBuf};

use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;
use twinguard_twin::filters::{ExtendedKalman, LinearKalman, Smoother, Spread, UnscentedKalman, Variant};
use twinguard_twin::{Model, TimeBase};

fn data() -> PathBuf {
    let root = std::env::var_os("TWINGUARD_DATA").map(PathBuf::from);
    root.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"))
        .join("twin/kalman")
}

fn main() {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(data()).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    files.sort();
    for path in files.into_iter().filter(|path| path.extension().is_some_and(|end| end == "json")) {
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let Ok(oracle) = serde_json::from_str::<Value>(&text) else { continue };
        let name = format!("kalman_{}", path.file_stem().unwrap_or_default().to_string_lossy());
        match oracle["kind"].as_str() {
            Some("linear_kf") => trials.push(Trial::test(name, move || linear(&oracle))),
            Some("radar_ekf_ukf") => {
                let again = oracle.clone();
                trials.push(Trial::test(format!("{name}_extended"), move || radar(&oracle)));
                trials.push(Trial::test(format!("{name}_unscented"), move || radar_unscented(&again)));
            }
            Some("tank_cascade_ukf") => trials.push(Trial::test(name, move || tanks(&oracle))),
            _ => {}
        }
    }
    if trials.is_empty() {
        trials.push(Trial::test("kalman_oracle_needs_data", || Ok(())).with_ignored_flag(true));
    }
    libtest_mimic::run(&arguments, trials).exit();
}

/// A list of numbers, or a list of lists one after the other.
fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(list) => list.iter().flat_map(numbers).collect(),
        other => other.as_f64().into_iter().collect(),
    }
}

fn rows(value: &Value) -> Vec<Vec<f64>> {
    value.as_array().map(|list| list.iter().map(numbers).collect()).unwrap_or_default()
}

fn square(oracle: &Value, name: &str) -> Vec<f64> {
    let full = numbers(&oracle[name]);
    let diagonal = numbers(&oracle[format!("{name}_diag").as_str()]);
    if diagonal.is_empty() {
        return full;
    }
    let mut out = vec![0.0; diagonal.len() * diagonal.len()];
    for (at, value) in diagonal.iter().enumerate() {
        out[at * diagonal.len() + at] = *value;
    }
    out
}

fn diagonal(matrix: &[f64]) -> Vec<f64> {
    let n = (matrix.len() as f64).sqrt() as usize;
    (0..n).map(|at| matrix[at * n + at]).collect()
}

fn close(what: &str, step: usize, found: &[f64], expected: &[f64]) -> Result<(), Failed> {
    if found.len() != expected.len() {
        return Err(format!("{what}: {} numbers, not {}", found.len(), expected.len()).into());
    }
    let worst = found.iter().zip(expected).map(|(left, right)| (left - right).abs()).fold(0.0, f64::max);
    if worst <= 1e-9 { Ok(()) } else { Err(format!("{what} at step {step} is off by {worst:e}").into()) }
}

fn linear(oracle: &Value) -> Result<(), Failed> {
    let [f, q, h, p0] =
        [square(oracle, "F"), square(oracle, "Q"), numbers(&oracle["H"]), square(oracle, "P0")];
    let noise = diagonal(&square(oracle, "R"));
    let mut filter = LinearKalman::new(&f, &q, &h, &noise, &numbers(&oracle["x0"]), &p0)?;
    let n = filter.kalman().order();
    let mut covariance = vec![0.0; n * n];
    let [states, variances, innovations] =
        ["x_post", "P_post_diag", "innovation"].map(|name| rows(&oracle[name]));
    let [nis, density] = ["nis", "log_likelihood"].map(|name| numbers(&oracle[name]));
    let mut smoother = Smoother::default();
    for (step, measured) in rows(&oracle["z"]).iter().enumerate() {
        let measured: Vec<Option<f64>> = measured.iter().copied().map(Some).collect();
        filter.predict();
        smoother.predicted(&filter);
        let found = filter.update(&measured)?;
        close("innovation", step, found.innovation, &innovations[step])?;
        close("nis", step, &[found.nis], &nis[step..=step])?;
        close("log-likelihood", step, &[found.log_likelihood()], &density[step..=step])?;
        filter.kalman().covariance(&mut covariance);
        close("x", step, filter.kalman().mean(), &states[step])?;
        close("P", step, &diagonal(&covariance), &variances[step])?;
        smoother.updated(&filter)?;
    }
    close("P at the end", 0, &covariance, &numbers(&oracle["P_final"]))?;
    smoothed(&smoother, &rows(&oracle["rts_x"]), &rows(&oracle["rts_P_diag"]))
}

fn smoothed(smoother: &Smoother, states: &[Vec<f64>], variances: &[Vec<f64>]) -> Result<(), Failed> {
    for (step, found) in smoother.smooth().iter().enumerate() {
        close("smoothed x", step, &found.mean, &states[step])?;
        close("smoothed P", step, &diagonal(&found.covariance), &variances[step])?;
    }
    Ok(())
}

/// Linear motion, seen as range and bearing from the origin: the model that the file states in words.
struct Radar {
    names: [Vec<String>; 3],
    transition: Vec<f64>,
    step_s: f64,
}

impl Model for Radar {
    fn state_names(&self) -> &[String] {
        &self.names[0]
    }
    fn input_names(&self) -> &[String] {
        &self.names[1]
    }
    fn output_names(&self) -> &[String] {
        &self.names[2]
    }
    fn time_base(&self) -> TimeBase {
        TimeBase::Discrete { step_s: self.step_s }
    }
    fn dynamics(&self, _: f64, state: &[f64], _: &[f64], out: &mut [f64]) {
        for (out, row) in out.iter_mut().zip(self.transition.chunks_exact(4)) {
            *out = row.iter().zip(state).map(|(row, state)| row * state).sum();
        }
    }
    fn output(&self, _: f64, state: &[f64], _: &[f64], out: &mut [f64]) {
        out[0] = state[0].hypot(state[2]);
        out[1] = state[2].atan2(state[0]);
    }
    fn dynamics_jacobian(&self, _: f64, _: &[f64], _: &[f64], by_state: &mut [f64], _: &mut [f64]) {
        by_state.copy_from_slice(&self.transition);
    }
    fn output_jacobian(&self, _: f64, state: &[f64], _: &[f64], by_state: &mut [f64], _: &mut [f64]) {
        let range = state[0].hypot(state[2]);
        by_state.copy_from_slice(&[
            state[0] / range,
            0.0,
            state[2] / range,
            0.0,
            -state[2] / (range * range),
            0.0,
            state[0] / (range * range),
            0.0,
        ]);
    }
    fn parameters(&self) -> &[(String, f64)] {
        &[]
    }
}

fn radar(oracle: &Value) -> Result<(), Failed> {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let model = Radar {
        names: [names(&["px", "vx", "py", "vy"]), vec![], names(&["range", "bearing"])],
        transition: numbers(&oracle["F"]),
        step_s: oracle["dt"].as_f64().ok_or("no dt")?,
    };
    let (q, noise) = (square(oracle, "Q"), diagonal(&square(oracle, "R")));
    let zero = [0.0; 4];
    let mut filter = ExtendedKalman::new(&model, &numbers(&oracle["x0"]), &zero, &zero)?;
    filter.kalman_mut().set_covariance(&square(oracle, "P0"))?;
    filter.set_process(&q)?;
    let [states, variances] = ["ekf_x", "ekf_P_diag"].map(|name| rows(&oracle[name]));
    let density = numbers(&oracle["ekf_loglik"]);
    let mut covariance = [0.0; 16];
    for (step, measured) in rows(&oracle["z"]).iter().enumerate() {
        filter.predict(&model, 0.0, model.step_s, model.step_s, &[])?;
        let measured: Vec<Option<f64>> = measured.iter().copied().map(Some).collect();
        let found = filter.update_with(&model, 0.0, &[], &measured, &noise, wrap)?;
        close("log-likelihood", step, &[found.log_likelihood()], &density[step..=step])?;
        filter.kalman().covariance(&mut covariance);
        close("x", step, filter.kalman().mean(), &states[step])?;
        close("P", step, &diagonal(&covariance), &variances[step])?;
    }
    Ok(())
}

/// Bearings the short way round.
fn wrap(measured: f64, predicted: f64, channel: usize) -> f64 {
    let pi = core::f64::consts::PI;
    let rest: f64 = measured - predicted;
    if channel == 1 { (rest + pi).rem_euclid(2.0 * pi) - pi } else { rest }
}

fn spread(parameters: &Value) -> Result<Spread, Failed> {
    let get = |name: &str| parameters[name].as_f64().ok_or(format!("no {name}"));
    Ok(Spread { alpha: get("alpha")?, beta: get("beta")?, kappa: get("kappa")? })
}

fn radar_unscented(oracle: &Value) -> Result<(), Failed> {
    let transition = numbers(&oracle["F"]);
    let (q, noise) = (square(oracle, "Q"), diagonal(&square(oracle, "R")));
    let (mean, p) = (numbers(&oracle["x0"]), square(oracle, "P0"));
    let mut filter = UnscentedKalman::new(&mean, &p, 2, spread(&oracle["ukf_params"])?, Variant::Redrawn)?;
    let motion = |x: &[f64], out: &mut [f64]| {
        for (out, row) in out.iter_mut().zip(transition.chunks_exact(4)) {
            *out = row.iter().zip(x).map(|(row, x)| row * x).sum();
        }
    };
    let look = |x: &[f64], out: &mut [f64]| (out[0], out[1]) = (x[0].hypot(x[2]), x[2].atan2(x[0]));
    let [states, variances] = ["ukf_x", "ukf_P_diag"].map(|name| rows(&oracle[name]));
    let density = numbers(&oracle["ukf_loglik"]);
    let mut covariance = [0.0; 16];
    let mut smoother = Smoother::default();
    for (step, measured) in rows(&oracle["z"]).iter().enumerate() {
        filter.predict_with(motion, &q)?;
        smoother.predicted(&filter);
        let measured: Vec<Option<f64>> = measured.iter().copied().map(Some).collect();
        let found = filter.update_with(look, &measured, &noise, wrap)?;
        close("log-likelihood", step, &[found.log_likelihood()], &density[step..=step])?;
        filter.covariance(&mut covariance);
        close("x", step, filter.mean(), &states[step])?;
        close("P", step, &diagonal(&covariance), &variances[step])?;
        smoother.updated(&filter)?;
    }
    smoothed(&smoother, &rows(&oracle["urts_x"]), &rows(&oracle["urts_P_diag"]))
}

/// Tanks that empty into each other: the model that the files state in words.
fn tanks(oracle: &Value) -> Result<(), Failed> {
    let (outlet, noise) = (numbers(&oracle["a"]), diagonal(&square(oracle, "R")));
    let [inflow, step_s] = ["inflow", "dt"].map(|name| oracle[name].as_f64().unwrap_or(f64::NAN));
    let cascade = |x: &[f64], out: &mut [f64]| {
        let mut from = inflow;
        for ((out, x), outlet) in out.iter_mut().zip(x).zip(&outlet) {
            let flow = outlet * x.max(1e-9).sqrt();
            *out = (x + step_s * (from - flow)).max(1e-6);
            from = flow;
        }
    };
    let look = |x: &[f64], out: &mut [f64]| {
        out.iter_mut().zip(x.iter().step_by(2)).for_each(|(out, x)| *out = *x);
    };
    let (mean, p, q) = (numbers(&oracle["x0"]), square(oracle, "P0"), square(oracle, "Q"));
    let mut filter = UnscentedKalman::new(&mean, &p, noise.len(), spread(&oracle["ukf"])?, Variant::Redrawn)?;
    let [states, variances] = ["ukf_x", "ukf_P_diag"].map(|name| rows(&oracle[name]));
    let density = numbers(&oracle["ukf_loglik"]);
    let mut covariance = vec![0.0; p.len()];
    for (step, measured) in rows(&oracle["z"]).iter().enumerate() {
        filter.predict_with(cascade, &q)?;
        let measured: Vec<Option<f64>> = measured.iter().copied().map(Some).collect();
        let found = filter.update_with(look, &measured, &noise, |z, y, _| z - y)?;
        close("log-likelihood", step, &[found.log_likelihood()], &density[step..=step])?;
        filter.covariance(&mut covariance);
        close("x", step, filter.mean(), &states[step])?;
        close("P", step, &diagonal(&covariance), &variances[step])?;
    }
    Ok(())
}
