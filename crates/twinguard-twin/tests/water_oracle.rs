//! Hydraulics against every solution in `data/twin/hydraulics`: heads, levels and flows of each record within 1e-3 in the
//! file's own units of EPANET 2.2's tight solution, records matched by order; and every network file of `data/twin/models`:
//! it is read and starts, or, if its name begins with `bad_`, is refused with its line.
//!
//! The folder is `$TWINGUARD_DATA/twin`, else `../shared/data/twin` beside the workspace; without it the test reports
//! itself as ignored.

#![allow(clippy::disallowed_methods, clippy::print_stdout, missing_docs, reason = "a test reads its data")]

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use libtest_mimic::{Arguments, Failed, Trial};
use serde::Deserialize;
use twinguard_twin::{
    importers::epanet,
    water::{Accuracy, Hydraulics},
};

/// Largest difference, in the file's own units.
const TOLERANCE: f64 = 1e-3;

#[derive(Deserialize)]
struct Oracle {
    source: String,
    node_ids: Vec<String>,
    link_ids: Vec<String>,
    tank_ids: Vec<String>,
    tight: Tight,
}

#[derive(Deserialize)]
struct Tight {
    time_s: Vec<i64>,
    head: Vec<Vec<f64>>,
    demand: Vec<Vec<f64>>,
    flow: Vec<Vec<f64>>,
    status: Vec<Vec<u8>>,
}

fn data() -> PathBuf {
    let root = std::env::var_os("TWINGUARD_DATA").map(PathBuf::from);
    root.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"))
}

fn main() {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    for path in files(&data().join("twin/hydraulics")) {
        if path.extension().is_some_and(|end| end == "gz") {
            let name = path.file_name().unwrap_or_default().to_string_lossy().replace(".json.gz", "");
            trials.push(Trial::test(format!("hydraulics_{name}"), move || compare(&path)));
        }
    }
    for path in files(&data().join("twin/models")) {
        if path.extension().is_some_and(|end| end.eq_ignore_ascii_case("inp")) {
            let shown = path.strip_prefix(data()).unwrap_or(&path).display().to_string();
            trials.push(Trial::test(format!("reads_{shown}"), move || read(&path)));
        }
    }
    if trials.is_empty() {
        trials.push(Trial::test("water_oracle_needs_data", || Ok(())).with_ignored_flag(true));
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

fn read(path: &Path) -> Result<(), Failed> {
    let network = epanet(&std::fs::read(path)?);
    let bad = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("bad_"));
    match (network, bad) {
        (Err(error), true) if error.line > 0 => Ok(()),
        (Err(error), _) => Err(error.to_string().into()),
        (Ok(_), true) => Err("read without complaint".into()),
        (Ok(network), false) => {
            Hydraulics::new(network, Accuracy::AsWritten)?;
            Ok(())
        }
    }
}

fn compare(path: &Path) -> Result<(), Failed> {
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path)?).read_to_string(&mut text)?;
    let oracle: Oracle = serde_json::from_str(&text)?;
    let source = oracle.source.split(" (").next().unwrap_or_default();
    let source = data().join(source.strip_prefix("data/").unwrap_or(source));
    let network = epanet(&std::fs::read(source)?)?;
    let nodes: Vec<_> = (0..network.node_count()).filter_map(|node| network.node_name(node)).collect();
    let links: Vec<_> = network.links.iter().map(|link| link.name.as_str()).collect();
    if nodes != oracle.node_ids || links != oracle.link_ids {
        return Err("nodes or links stand in another order".into());
    }
    let tanks: Vec<_> = oracle.tank_ids.iter().filter_map(|name| network.node(name)).collect();
    let mut water = Hydraulics::new(network, Accuracy::Tight)?;
    let tight = &oracle.tight;
    let (mut worst_head, mut worst_flow) = (0.0_f64, 0.0_f64);
    for record in 0..tight.time_s.len() {
        let balance = water.solve()?;
        let place = format!("record {record} at {} s ({} s)", water.time_s(), tight.time_s[record]);
        if !balance.balanced {
            return Err(format!("{place}: not balanced, {balance:?}").into());
        }
        if (water.time_s() - tight.time_s[record]).abs() > 1 {
            return Err(format!("{place}: another time").into());
        }
        worst_head = worst_head.max(difference(
            &place,
            "head",
            &oracle.node_ids,
            &water.heads(),
            &tight.head[record],
        )?);
        worst_flow = worst_flow.max(difference(
            &place,
            "flow",
            &oracle.link_ids,
            &water.flows(),
            &tight.flow[record],
        )?);
        difference(&place, "demand", &oracle.node_ids, &water.demands(), &tight.demand[record])?;
        for (at, (found, expected)) in water.statuses().iter().zip(&tight.status[record]).enumerate() {
            if found.is_closed() != (*expected == 0) {
                return Err(format!("{place}: link {} is {}", oracle.link_ids[at], found.name()).into());
            }
        }
        for tank in &tanks {
            let head = water.heads()[*tank];
            let elevation =
                water.network().elevation_ft(*tank).unwrap_or_default() * water.network().units.length;
            if (water.level(*tank).unwrap_or_default() - (head - elevation)).abs() > 1e-9 {
                return Err(format!("{place}: a level is not head less elevation").into());
            }
        }
        if record + 1 < tight.time_s.len() && water.advance().is_none() {
            return Err(format!("{place}: the run ends too early").into());
        }
    }
    println!("worst head {worst_head:.1e}, worst flow {worst_flow:.1e}");
    Ok(())
}

/// The worst difference beyond the oracle's own rounding to seven digits.
fn difference(
    place: &str,
    what: &str,
    names: &[String],
    found: &[f64],
    expected: &[f64],
) -> Result<f64, Failed> {
    if found.len() != expected.len() {
        return Err(format!("{place}: {} {what}s for {}", found.len(), expected.len()).into());
    }
    let mut worst = 0.0_f64;
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        let rounding = 0.5 * 10_f64.powf(expected.abs().max(1e-9).log10().floor() - 6.0);
        let error = ((found - expected).abs() - rounding).max(0.0);
        if error.is_nan() || error > TOLERANCE {
            return Err(format!("{place}: {what} of {} is {found} for {expected}", names[at]).into());
        }
        worst = worst.max(error);
    }
    Ok(worst)
}
