//! Subspace identification of a linear plant of order four from 2 000 rows with two inputs and two outputs.
//!
//! `cargo bench -p benches --bench identify`. The record is `twin/kalman/sysid_n4.json` of the data folder (`TWINGUARD_DATA`, else
//! `../shared/data`); without it a record of our own, and the id says which. The peer nfoursid runs beside it by
//! `benches/peers/nfoursid_times.py`, on the same record with the same order.

#![allow(clippy::disallowed_methods, missing_docs, reason = "a bench reads its data")]

use std::hint::black_box;
use std::path::{Path, PathBuf};

use criterion::{Criterion, criterion_group, criterion_main};
use twinguard::twin::identify::{Record, Subspace, Weighting, subspace};
use twinguard::twin::simulator::Noise;

/// Inputs and outputs, row by row.
type Rows = Vec<(Vec<f64>, Vec<f64>)>;

fn recorded() -> Option<Rows> {
    let root = std::env::var_os("TWINGUARD_DATA").map(PathBuf::from);
    let root = root.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"));
    let text = std::fs::read(root.join("twin/kalman/sysid_n4.json")).ok()?;
    let file: serde_json::Value = serde_json::from_slice(&text).ok()?;
    let rows = |key: &str| serde_json::from_value::<Vec<Vec<f64>>>(file[key].clone()).ok();
    Some(rows("u")?.into_iter().zip(rows("y")?).collect())
}

/// A plant of two states per channel, shaken by fixed numbers.
fn own() -> Rows {
    let mut noise = Noise::new(1, 0);
    let mut x = [0.0; 4];
    let row = |_| {
        let u = [noise.gaussian(), noise.gaussian()];
        let y = vec![x[0] + 0.01 * noise.gaussian(), x[2] + 0.01 * noise.gaussian()];
        x = [
            0.8 * x[0] + 0.3 * x[1],
            0.5 * x[1] + u[0],
            0.7 * x[2] + 0.4 * x[3],
            0.6 * x[3] - 0.2 * x[0] + u[1],
        ];
        (u.to_vec(), y)
    };
    (0..2_000).map(row).collect()
}

fn identification(criterion: &mut Criterion) {
    let (source, rows) = recorded().map_or_else(|| ("own", own()), |rows| ("sysid_n4", rows));
    let record = Record::new(1.0, &rows).expect("a record");
    for weighting in [Weighting::N4sid, Weighting::Moesp, Weighting::Cva] {
        for refinements in [0, 3] {
            let options = Subspace { order: Some(4), weighting, refinements, ..Subspace::default() };
            let name = format!("identify/{source}/{weighting:?}/{refinements}_refinements");
            criterion.bench_function(&name, |bencher| {
                bencher.iter(|| subspace(black_box(&record), &options).expect("it moves"));
            });
        }
    }
    let options = Subspace::default();
    criterion.bench_function(&format!("identify/{source}/Cva/order_by_record"), |bencher| {
        bencher.iter(|| subspace(black_box(&record), &options).expect("it moves"));
    });
}

criterion_group!(benches, identification);
criterion_main!(benches);
