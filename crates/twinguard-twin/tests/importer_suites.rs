//! Verdicts of importers against the conformance suites in `data/twin/models`: every `dtdl_spec_v*.jsonl`, `aas_v3_json.jsonl`
//! and `wot_td_assertions.jsonl`, at least 99 % of the cases alike; and files that have to be read or refused without a panic.
//!
//! The folder is `$TWINGUARD_DATA/twin/models`, else `../shared/data/twin/models` beside the workspace; without it the test
//! reports itself as ignored.

#![allow(clippy::disallowed_methods, clippy::print_stdout, missing_docs, reason = "a test reads its data")]

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;
use twinguard_twin::{
    importers::{Undefined, aas_verdict, dtdl_models, package, wot_verdict},
    registry,
};
use twinguard_types::{Bundle, Digest};

/// Least share of cases alike.
const LEAST: f64 = 0.99;
/// The same for Thing Descriptions, some of whose cases turn on files elsewhere.
const LEAST_WOT: f64 = 0.95;

/// What is said of a case: valid or not.
type Verdict = fn(&Value) -> Option<bool>;

fn data() -> PathBuf {
    let root = std::env::var_os("TWINGUARD_DATA").map(PathBuf::from);
    root.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"))
        .join("twin/models")
}

fn main() {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    let mut sets: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for path in files(&data()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let shown = path.strip_prefix(data()).unwrap_or(&path).display().to_string();
        let suite: Option<(Verdict, f64)> = match name.as_str() {
            name if name.starts_with("dtdl_spec_") => Some((dtdl, LEAST)),
            "aas_v3_json.jsonl" => Some((aas, LEAST)),
            "wot_td_assertions.jsonl" => Some((wot, LEAST_WOT)),
            _ => None,
        };
        if shown.starts_with("dtdl-") {
            // Models of one folder refer to each other.
            let set = shown.split('/').next().unwrap_or_default().to_owned();
            sets.entry(set).or_default().push(path);
        } else if let Some((verdict, least)) = suite {
            trials.push(Trial::test(format!("suite_{name}"), move || compare(&path, verdict, least)));
        } else {
            trials.push(Trial::test(format!("file_{shown}"), move || read(&path)));
        }
    }
    for (set, paths) in sets {
        trials.push(Trial::test(format!("set_{set}"), move || read_set(&paths)));
    }
    if trials.is_empty() {
        trials.push(Trial::test("importer_suites_need_data", || Ok(())).with_ignored_flag(true));
    }
    libtest_mimic::run(&arguments, trials).exit();
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![folder.to_path_buf()];
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.path().is_dir() { waiting.push(entry.path()) } else { found.push(entry.path()) }
        }
    }
    found.sort();
    found
}

/// What is said of a case of the DTDL suites.
fn dtdl(case: &Value) -> Option<bool> {
    let allowed = case["options"].as_array()?.iter().any(|option| option == "AllowUndefinedExtensions");
    let undefined = if allowed { Undefined::Allowed } else { Undefined::Refused };
    Some(dtdl_models(case["input"].as_array()?, undefined).is_ok())
}

/// What is said of a case of the AAS suite; objects outside of an environment name their class in the path.
fn aas(case: &Value) -> Option<bool> {
    let inside = case["file"].as_str()?.starts_with("ContainedInEnvironment");
    let class = if inside { "Environment" } else { "EventPayload" };
    Some(aas_verdict(&case["json"], class).is_ok())
}

/// What is said of a case of the suite of Thing Descriptions.
fn wot(case: &Value) -> Option<bool> {
    let text = case["raw"].as_str().map_or_else(|| case["json"].to_string(), str::to_owned);
    Some(wot_verdict(text.as_bytes()).is_ok())
}

fn compare(path: &Path, verdict: Verdict, least: f64) -> Result<(), Failed> {
    let text = std::fs::read_to_string(path)?;
    let (mut cases, mut other) = (0_u32, Vec::new());
    for line in text.lines() {
        let case: Value = serde_json::from_str(line)?;
        let Some(valid) = case["valid"].as_bool() else { continue };
        cases += 1;
        if verdict(&case) != Some(valid) {
            other.push(format!("{} {} (valid: {valid})", case["file"], case["i"]));
        }
    }
    let share = 1.0 - other.len() as f64 / f64::from(cases.max(1));
    println!("{}: {cases} cases, {:.2} % alike", path.display(), 100.0 * share);
    if share < least || cases == 0 {
        let first: Vec<_> = other.iter().take(20).map(String::as_str).collect();
        return Err(format!("{:.2} % alike\n{}", 100.0 * share, first.join("\n")).into());
    }
    Ok(())
}

/// Models that refer to each other.
fn read_set(paths: &[PathBuf]) -> Result<(), Failed> {
    let mut models = Vec::new();
    for path in paths {
        models.push(serde_json::from_slice(&std::fs::read(path)?)?);
    }
    let imported = dtdl_models(&models, Undefined::Refused)?;
    println!("{} models: {} signals", models.len(), imported.catalogue.len());
    if imported.catalogue.is_empty() { Err("no signal".into()) } else { Ok(()) }
}

/// Whatever recognises a file reads it; `bad_` files are refused with a place.
fn read(path: &Path) -> Result<(), Failed> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let bytes = std::fs::read(path)?;
    if bytes.starts_with(b"PK\x03\x04") {
        return read_package(&name, bytes);
    }
    let Some(importer) = registry::importer_for(&name, &bytes) else { return Ok(()) };
    match (importer.import)(&bytes) {
        Ok(_) if name.starts_with("bad_") => Err(format!("{} took it", importer.name).into()),
        Err(refused) if name.starts_with("bad_") && !refused.place.is_empty() => Ok(()),
        Err(refused) => Err(format!("{}: {refused}", importer.name).into()),
        Ok(imported) => {
            println!("{name}: {} signals by {}", imported.catalogue.len(), imported.format);
            Ok(())
        }
    }
}

/// A package, inflated as `integrity::archive` does it under a budget.
fn read_package(name: &str, bytes: Vec<u8>) -> Result<(), Failed> {
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes))?;
    let mut parts = Bundle::new(Digest::default());
    for at in 0..archive.len() {
        let mut part = archive.by_index(at)?;
        let name = part.name()?.into_owned();
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut part, &mut bytes)?;
        parts.insert(name, bytes);
    }
    let imported = package(&parts)?;
    let (signals, edges) = (imported.catalogue.len(), imported.catalogue.edges().len());
    println!("{name}: {signals} signals, {edges} edges by {}", imported.format);
    if imported.catalogue.assets() == 0 { Err("no asset".into()) } else { Ok(()) }
}
