//! Identification against every `sysid_*.json` in `data/twin/kalman`: the plant behind the data is known, and so is what
//! another implementation (nfoursid) made of it.
//!
//! The folder is `$TWINGUARD_DATA/twin/kalman`, else `../shared/data/twin/kalman` beside the workspace; without it the
//! test reports itself as ignored.

#![allow(clippy::disallowed_methods, missing_docs, reason = "a test reads its data")]

use std::path::{Path, PathBuf};

use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;
use twinguard_twin::identify::{Record, Subspace, Weighting, subspace};

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
    for path in files {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if !stem.starts_with("sysid_") {
            continue;
        }
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let Ok(oracle) = serde_json::from_str::<Value>(&text) else { continue };
        trials.push(Trial::test(format!("identify_{stem}"), move || check(&oracle)));
    }
    if trials.is_empty() {
        trials.push(Trial::test("identify_oracle_needs_data", || Ok(())).with_ignored_flag(true));
    }
    libtest_mimic::run(&arguments, trials).exit();
}

fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(list) => list.iter().flat_map(numbers).collect(),
        other => other.as_f64().into_iter().collect(),
    }
}

fn rows(value: &Value) -> Vec<Vec<f64>> {
    value.as_array().map(|list| list.iter().map(numbers).collect()).unwrap_or_default()
}

fn check(oracle: &Value) -> Result<(), Failed> {
    let history: Vec<_> = rows(&oracle["u"]).into_iter().zip(rows(&oracle["y"])).collect();
    let record = Record::new(1.0, &history)?;
    let truth = numbers(&oracle["markov_true"]);
    let peer = oracle["nfoursid"]["markov_max_abs_err"].as_f64().ok_or("no figure of the peer")?;
    let order = rows(&oracle["A"]).len();
    let count = oracle["markov_true"].as_array().map_or(0, Vec::len);
    for weighting in [Weighting::Cva, Weighting::Moesp, Weighting::N4sid] {
        let found = subspace(&record, &Subspace { order: Some(order), weighting, ..Subspace::default() })?;
        // The file's list begins with C B.
        let markov: Vec<f64> = found.markov(count + 1).into_iter().skip(1).flatten().flatten().collect();
        let worst = markov.iter().zip(&truth).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        // One record, one draw of the noise: equal up to a fifth, which is what its statistics allow.
        if worst > 1.2 * peer {
            return Err(format!("{weighting:?}: {worst:e} where nfoursid has {peer:e}").into());
        }
    }
    Ok(())
}
