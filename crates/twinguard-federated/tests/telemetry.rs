//! Open telemetry split over sites: the model, the limits and the area under the curve are those of the pooled rows, bit for bit.
//!
//! Enumerates `telemetry/` below `TWINGUARD_DATA` or `../shared/data`: files with a column `anomaly` or `ATT_FLAG`, collected by the first
//! folder below and by header. Where a file of a collection has no labelled row, it is the training and is cut into seven sites; otherwise each file is a site,
//! learnt on its first 400 rows.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::print_stdout)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use libtest_mimic::{Arguments, Failed, Trial};
use twinguard_anomaly::metrics;
use twinguard_anomaly::statistic::{
    Covariance, Gram, Grid, Merge, Model, Quantise, Regression, Scorer, Statistic, Subspace, Tally, Threshold,
};
use twinguard_federated::privacy::{Rho, release};
use twinguard_federated::{combine, rules};

type Rows = Vec<Vec<f64>>;

struct Collection {
    name: String,
    sites: Vec<Rows>,
    tests: Vec<(Rows, Vec<bool>)>,
}

const LEARN: usize = 400;
const PARTS: usize = 7;

fn main() {
    let arguments = Arguments::from_args();
    let root = std::env::var_os("TWINGUARD_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    let mut files = Vec::new();
    let root = root.join("telemetry");
    collect(&root, &mut files);
    files.sort();
    let collections = collections(&root, &files);
    let present = !collections.is_empty();
    let trial =
        Trial::test("split_telemetry_is_pooled_telemetry", move || collections.iter().try_for_each(check));
    libtest_mimic::run(&arguments, vec![trial.with_ignored_flag(!present)]).exit();
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "csv") {
            files.push(path);
        }
    }
}

type Labelled = (Rows, Vec<bool>);

fn collections(root: &Path, files: &[PathBuf]) -> Vec<Collection> {
    let mut found: BTreeMap<(String, Vec<String>), Vec<Labelled>> = BTreeMap::new();
    for path in files {
        if let Some((names, labelled)) = read(path) {
            let inner = path.strip_prefix(root).ok().and_then(|path| path.iter().next()).unwrap_or_default();
            found.entry((inner.to_string_lossy().into_owned(), names)).or_default().push(labelled);
        }
    }
    let of = |((name, _), files): ((String, Vec<String>), Vec<Labelled>)| {
        let (normal, attacked): (Vec<_>, Vec<_>) =
            files.into_iter().partition(|(_, labels)| !labels.contains(&true));
        let (sites, tests) = if normal.is_empty() {
            let cut = attacked.into_iter().filter(|(rows, _)| rows.len() > LEARN + 100);
            cut.map(|(rows, labels)| {
                (rows[..LEARN].to_vec(), (rows[LEARN..].to_vec(), labels[LEARN..].to_vec()))
            })
            .unzip()
        } else {
            let rows: Rows = normal.into_iter().flat_map(|(rows, _)| rows).collect();
            let part = rows.len().div_ceil(PARTS);
            (rows.chunks(part).map(<[_]>::to_vec).collect::<Vec<_>>(), attacked)
        };
        (sites.len() > 1 && !tests.is_empty()).then_some(Collection { name, sites, tests })
    };
    found.into_iter().filter_map(of).collect()
}

fn read(path: &Path) -> Option<(Vec<String>, Labelled)> {
    let bytes = std::fs::read(path).ok()?;
    let head = bytes.split(|byte| *byte == b'\n').next()?;
    let delimiter = if head.contains(&b';') { b';' } else { b',' };
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter).trim(csv::Trim::All).from_reader(&bytes[..]);
    let names: Vec<String> = reader.headers().ok()?.iter().map(str::to_owned).collect();
    let label = names.iter().position(|name| name == "anomaly" || name == "ATT_FLAG")?;
    let kept: Vec<usize> =
        (1..names.len()).filter(|place| *place != label && names[*place] != "changepoint").collect();
    let (mut rows, mut labels) = (Vec::new(), Vec::new());
    for record in reader.records() {
        let record = record.ok()?;
        let number = |place: usize| record.get(place)?.parse::<f64>().ok();
        rows.push(kept.iter().map(|place| number(*place)).collect::<Option<Vec<f64>>>()?);
        labels.push(number(label)? > 0.5);
    }
    Some((kept.iter().map(|place| names[*place].clone()).collect(), (rows, labels)))
}

/// Ranges of the columns, in the place of the plant file's.
fn grid(sites: &[Rows]) -> Grid {
    let width = sites[0][0].len();
    let columns = (0..width).map(|column| {
        let values = || sites.iter().flatten().map(|row| row[column]);
        let (low, high) = (values().fold(f64::MAX, f64::min), values().fold(f64::MIN, f64::max));
        (low.midpoint(high), if high > low { (high - low) / 6.0 } else { 1.0 })
    });
    Grid::around(columns).unwrap()
}

fn count(plan: &Gram, rows: &Rows) -> Tally<Gram> {
    let mut tally = Tally::new(plan.clone());
    rows.iter().for_each(|row| assert!(tally.observe(row).is_ok()));
    tally
}

fn scores<M: Model>(model: &M, rows: &Rows) -> Vec<f64> {
    let mut scorer = Scorer::new(model);
    rows.iter().map(|row| scorer.observe(row).unwrap().unwrap_or_default()).collect()
}

fn limits<M: Model>(model: &M, sites: &[Rows]) -> Tally<twinguard_anomaly::statistic::Sketch> {
    let mut tally = Tally::new(Threshold::plan().unwrap());
    for rows in sites {
        scores(model, rows).iter().for_each(|score| assert!(tally.observe(&[*score]).is_ok()));
    }
    tally
}

fn area<M: Model>(model: &M, tests: &[Labelled]) -> f64 {
    let areas: Vec<f64> = tests
        .iter()
        .filter_map(|(rows, labels)| metrics::roc_auc(labels, &scores(model, rows)).unwrap())
        .collect();
    areas.iter().sum::<f64>() / areas.len() as f64
}

fn check(collection: &Collection) -> Result<(), Failed> {
    let grid = grid(&collection.sites);
    let ensure = |holds: bool, what: &str| {
        if holds { Ok(()) } else { Err(Failed::from(format!("{}: {what}", collection.name))) }
    };
    let mut lines = Vec::new();
    for lags in [0, 1] {
        let plan = Gram::new(grid.clone(), lags).unwrap();
        let sites: Vec<Tally<Gram>> = collection.sites.iter().map(|rows| count(&plan, rows)).collect();
        let mut federated = Tally::new(plan.clone());
        sites.iter().rev().for_each(|site| federated.merge(site).unwrap());
        let mut pooled = Tally::new(plan.clone());
        for rows in &collection.sites {
            pooled.begin();
            rows.iter().for_each(|row| assert!(pooled.observe(row).is_ok()));
        }
        ensure(federated.digest() == pooled.digest(), "the tallies differ")?;
        let (one, other) = (Covariance::of(&federated).unwrap(), Covariance::of(&pooled).unwrap());
        let (model, same) = (Subspace::fit(&one, 0.9).unwrap(), Subspace::fit(&other, 0.9).unwrap());
        ensure(model.digest() == same.digest(), "the models differ")?;
        let mut sum = Tally::new(Threshold::plan().unwrap());
        collection
            .sites
            .iter()
            .rev()
            .for_each(|rows| sum.merge(&limits(&model, std::slice::from_ref(rows))).unwrap());
        ensure(sum.digest() == limits(&same, &collection.sites).digest(), "the limits differ")?;
        let exact = area(&model, &collection.tests);
        ensure(exact.to_bits() == area(&same, &collection.tests).to_bits(), "the areas differ")?;
        ensure(exact > 0.5, "the model ranks attacks no higher than normal rows")?;
        let alone: f64 = sites
            .iter()
            .map(|site| area(&Subspace::fit(&Covariance::of(site).unwrap(), 0.9).unwrap(), &collection.tests))
            .sum::<f64>()
            / sites.len() as f64;
        let own: Vec<Covariance> = sites.iter().map(|site| Covariance::of(site).unwrap()).collect();
        let robust = combine(&*rules::usual()[0], &own).unwrap();
        let robust = area(&Subspace::fit(&robust, 0.9).unwrap(), &collection.tests);
        lines.push(format!(
            "lags {lags}: exact = pooled {exact:.4}, robust {robust:.4}, one site alone {alone:.4}"
        ));
        if lags > 0 {
            let model = Regression::var(&one, 1e-3).unwrap();
            ensure(
                model.digest() == Regression::var(&other, 1e-3).unwrap().digest(),
                "the regressions differ",
            )?;
            lines.push(format!("var: exact = pooled {:.4}", area(&model, &collection.tests)));
        }
    }
    let coarse = grid.with_bits(6).unwrap().with_norm(8.0).unwrap();
    let plan = Gram::new(coarse, 0).unwrap();
    let mut rng = <rand_chacha::ChaCha20Rng as rand_chacha::rand_core::SeedableRng>::seed_from_u64(1);
    let rho = Rho::for_epsilon(1.0, 1e-6).unwrap();
    let mut noisy = Tally::new(plan.clone());
    for rows in &collection.sites {
        noisy.merge(&release(count(&plan, rows), rho, &mut rng).unwrap()).unwrap();
    }
    let model = Subspace::fit(&Covariance::of(&noisy).unwrap(), 0.9).unwrap();
    lines.push(format!("each site at ε = 1, δ = 1e-6: {:.4}", area(&model, &collection.tests)));
    println!(
        "{} ({} sites, {} columns)",
        collection.name,
        collection.sites.len(),
        collection.sites[0][0].len()
    );
    lines.iter().for_each(|line| println!("  {line}"));
    Ok(())
}
