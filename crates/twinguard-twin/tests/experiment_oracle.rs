//! Experiments on every file in `data/twin/plants`: trajectories, linearisations, poles, zeros and torques as stored.
//!
//! The folder is `$TWINGUARD_DATA/twin/plants`, else `../shared/data/twin/plants` beside the workspace; without it the
//! test reports itself as ignored.

#![allow(clippy::disallowed_methods, missing_docs, reason = "a test reads its data")]

use std::path::{Path, PathBuf};

use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;
use twinguard_twin::experiment::Experiment;

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
    let files = files.into_iter().filter(|path| path.extension().is_some_and(|end| end == "json"));
    let mut trials: Vec<Trial> = files
        .map(|path| {
            let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
            Trial::test(format!("experiment_{name}"), move || check(&path))
        })
        .collect();
    if trials.is_empty() {
        trials.push(Trial::test("experiment_oracle_needs_data", || Ok(())).with_ignored_flag(true));
    }
    libtest_mimic::run(&arguments, trials).exit();
}

fn rows(value: &Value) -> Vec<Vec<f64>> {
    let numbers = |row: &Value| -> Vec<f64> {
        row.as_array().into_iter().flatten().filter_map(Value::as_f64).collect()
    };
    value.as_array().into_iter().flatten().map(numbers).collect()
}

fn close(
    what: &str,
    found: &[Vec<f64>],
    expected: &[Vec<f64>],
    tolerance: f64,
    floor: f64,
) -> Result<(), Failed> {
    if found.len() != expected.len() {
        return Err(format!("{what}: {} rows, {} expected", found.len(), expected.len()).into());
    }
    for (row, (found, expected)) in found.iter().zip(expected).enumerate() {
        if found.len() != expected.len() {
            return Err(format!("{what}[{row}]: {} numbers, {} expected", found.len(), expected.len()).into());
        }
        for (column, (found, expected)) in found.iter().zip(expected).enumerate() {
            let error = (found - expected).abs() / expected.abs().max(floor);
            if error.is_nan() || error > tolerance {
                let place = format!("{what}[{row}][{column}]");
                return Err(format!("{place}: {found} for {expected}, off by {error:.2e}").into());
            }
        }
    }
    Ok(())
}

fn pairs(list: &[(f64, f64)]) -> Vec<Vec<f64>> {
    list.iter().map(|(re, im)| vec![*re, *im]).collect()
}

fn check(path: &Path) -> Result<(), Failed> {
    let text = std::fs::read_to_string(path)?;
    let oracle: Value = serde_json::from_str(&text)?;
    let experiment = Experiment::parse(&text, "oracle.json")?;
    for (index, case) in oracle["cases"].as_array().into_iter().flatten().enumerate() {
        let run = experiment.run(index)?;
        let name = &run.case;
        close(&format!("{name}: x"), &run.x, &rows(&case["x"]), 1e-6, 1.0)?;
        if case["y"].is_array() {
            close(&format!("{name}: y"), &run.y, &rows(&case["y"]), 1e-6, 1.0)?;
        }
    }
    let linear = &oracle["linear"];
    if let Some(found) = experiment.linearised()?.filter(|_| linear["A"].is_array()) {
        for (key, found) in [("A", &found.a), ("B", &found.b), ("C", &found.c), ("D", &found.d)] {
            let expected = rows(&linear[key]);
            let largest = expected.iter().flatten().fold(0.0_f64, |largest, value| largest.max(value.abs()));
            close(key, found, &expected, 1e-6, (largest * 1e-6).max(f64::MIN_POSITIVE))?;
        }
        let poles = rows(&linear["eigenvalues"]);
        let fastest = poles.iter().flatten().fold(0.0_f64, |largest, value| largest.max(value.abs()));
        // Conjugate pairs with a real part of rounding may stand either way round.
        let sorted = |mut list: Vec<Vec<f64>>| {
            list.sort_by(|a, b| {
                (a[0].round(), a[1]).partial_cmp(&(b[0].round(), b[1])).unwrap_or(core::cmp::Ordering::Equal)
            });
            list
        };
        let found_poles = pairs(&found.eigenvalues);
        let (ours, theirs) = match poles.iter().any(|pole| pole[1] != 0.0) {
            true => (sorted(found_poles), sorted(poles)),
            false => (found_poles, poles),
        };
        close("eigenvalues", &ours, &theirs, 1e-6, fastest * 1e-6)?;
        if linear["transmission_zeros"].is_array() {
            let found = found.transmission_zeros.ok_or("no zeros")?;
            close("zeros", &pairs(&found), &rows(&linear["transmission_zeros"]), 1e-6, fastest * 1e-6)?;
        }
    }
    let column = |key: &str, name: &str| -> Vec<Vec<f64>> {
        let cases = oracle[key].as_array().into_iter().flatten();
        cases.map(|case| rows(&Value::Array(vec![case[name].clone()])).concat()).collect()
    };
    close("tau", &experiment.torques()?, &column("inverse_dynamics", "tau"), 1e-9, 1.0)?;
    close("qdd", &experiment.accelerations(), &column("forward_dynamics", "qdd"), 1e-9, 1.0)
}
