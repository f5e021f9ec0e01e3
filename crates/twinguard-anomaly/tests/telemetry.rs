//! Redundancy on open telemetry, where it lies beside the repository: a sanity check of ranking, no benchmark claim.
//!
//! Enumerates `telemetry/` below `TWINGUARD_DATA` or `../shared/data`: every comma- or semicolon-separated file with a
//! column `anomaly` is learnt on its first 400 rows and ranked on the rest.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::print_stdout)]

use std::path::{Path, PathBuf};

use libtest_mimic::{Arguments, Failed, Trial};
use twinguard_anomaly::{Context, Recording, metrics, registry};
use twinguard_types::{Catalogue, DetectorId, Event, Quality, Role, Row, Signal, SignalId, Timestamp};

const LEARN: usize = 400;

fn main() {
    let arguments = Arguments::from_args();
    let root = std::env::var_os("TWINGUARD_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    let mut files = Vec::new();
    collect(&root.join("telemetry"), &mut files);
    files.sort();
    let labelled: Vec<(PathBuf, Vec<Vec<f64>>, Vec<bool>)> = files
        .into_iter()
        .filter_map(|path| read(&path).map(|(values, labels)| (path, values, labels)))
        .collect();
    let present = !labelled.is_empty();
    let trial = Trial::test("redundancy_ranks_labelled_rows_above_normal_ones", move || {
        let mut areas = Vec::new();
        for (path, values, labels) in &labelled {
            if let Some(area) = area(values, labels) {
                println!("{} {area:.3}", path.file_name().unwrap_or_default().display());
                areas.push(area);
            }
        }
        let mean = areas.iter().sum::<f64>() / areas.len().max(1) as f64;
        println!("mean area under ROC over {} files: {mean:.3}", areas.len());
        if mean > 0.7 { Ok(()) } else { Err(Failed::from(format!("mean area is only {mean}"))) }
    });
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

fn read(path: &Path) -> Option<(Vec<Vec<f64>>, Vec<bool>)> {
    let bytes = std::fs::read(path).ok()?;
    let head = bytes.split(|byte| *byte == b'\n').next()?;
    let delimiter = if head.contains(&b';') { b';' } else { b',' };
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(&bytes[..]);
    let names = reader.headers().ok()?.clone();
    let label = names.iter().position(|name| name.trim() == "anomaly")?;
    let kept: Vec<usize> = (1..names.len())
        .filter(|place| *place != label && names.get(*place).is_some_and(|name| name.trim() != "changepoint"))
        .collect();
    let (mut values, mut labels) = (Vec::new(), Vec::new());
    for record in reader.records() {
        let record = record.ok()?;
        let number = |place: usize| record.get(place)?.trim().parse::<f64>().ok();
        values.push(kept.iter().map(|place| number(*place)).collect::<Option<Vec<f64>>>()?);
        labels.push(number(label)? > 0.5);
    }
    (values.len() > LEARN + 100).then_some((values, labels))
}

fn area(values: &[Vec<f64>], labels: &[bool]) -> Option<f64> {
    let mut catalogue = Catalogue::new();
    let signals: Vec<SignalId> = (0..values[0].len())
        .map(|k| catalogue.intern(Signal::new(format!("s{k}"), Role::Measurement)).unwrap())
        .collect();
    let qualities = vec![Quality::Good; signals.len()];
    let row = |k: usize| Row {
        at: Timestamp::from_secs(k as i64),
        signals: &signals,
        values: &values[k],
        qualities: &qualities,
    };
    let mut recording = Recording::new();
    (0..LEARN).for_each(|k| recording.push(&Event::Row(row(k))));
    let context = Context { id: DetectorId(0), catalogue: &catalogue, seed: 1 };
    let detector = registry::named(&["redundancy"]).unwrap();
    let mut fitted = detector[0].fit(&recording.history(), &context).unwrap();
    let scores: Vec<f64> = (LEARN..values.len())
        .map(|k| fitted.observe(&Event::Row(row(k))).map_or(0.0, |seen| seen.score.surprise))
        .collect();
    metrics::roc_auc(&labels[LEARN..], &scores).unwrap()
}
