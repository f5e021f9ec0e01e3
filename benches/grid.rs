//! State estimation of power grids: a repeat on fixed topology from the flat start, one from the last state, and a full pass
//! of normalised residuals.
//!
//! `cargo bench -p benches --bench grid`. Grids: every `case*.json` of `$TWINGUARD_DATA/twin/powergrid`, else
//! `../shared/data/twin/powergrid`; without the data a ladder of 300 buses of our own. The peers power-grid-model and
//! pandapower run beside it by `benches/grid_peers.py`, which starts this program and prints ratios of one run.
//!
//! `cargo bench -p benches --bench grid -- --least N` prints one JSON line a grid with the least time of N repetitions
//! instead: what the script reads.

#![allow(missing_docs, clippy::disallowed_methods, clippy::print_stdout, reason = "a bench")]

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Instant;

use criterion::Criterion;
use twinguard::twin::grid::{
    Branch, Bus, BusKind, Case, Estimator, Grid, Limit, Meter, Options, Quantity, Side, Start,
};

fn cases() -> Vec<(String, Case)> {
    let root = std::env::var_os("TWINGUARD_DATA").map(PathBuf::from);
    let root = root.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"));
    let mut cases = Vec::new();
    for entry in std::fs::read_dir(root.join("twin/powergrid")).into_iter().flatten().flatten() {
        let name = entry.path().file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
        if let (true, Ok(case)) = (name.starts_with("case"), Case::parse(&text)) {
            cases.push((name, case));
        }
    }
    if cases.is_empty() {
        cases.push(("ladder300".to_owned(), ladder(300)));
    }
    cases.sort_by_key(|(_, case)| case.grid.buses().len());
    cases
}

/// Two rows of buses with rungs between them.
fn ladder(buses: usize) -> Case {
    let mut list = vec![Bus::default(); buses];
    list[0].kind = BusKind::Reference;
    let mut branches: Vec<Branch> = (2..buses).map(|bus| Branch::line(bus - 2, bus, 0.01, 0.08)).collect();
    branches.extend((1..buses).step_by(2).map(|bus| Branch::line(bus - 1, bus, 0.01, 0.08)));
    let grid = Grid::new(100.0, list, branches).expect("a ladder");
    let mut meters = Vec::new();
    for branch in 0..grid.branches().len() {
        meters.push(Meter { quantity: Quantity::ActiveFlow(branch, Side::From), sigma: 0.01 });
        meters.push(Meter { quantity: Quantity::ReactiveFlow(branch, Side::From), sigma: 0.01 });
    }
    for bus in 0..buses {
        meters.push(Meter { quantity: Quantity::ActiveInjection(bus), sigma: 0.01 });
        meters.push(Meter { quantity: Quantity::ReactiveInjection(bus), sigma: 0.01 });
        meters.push(Meter { quantity: Quantity::Voltage(bus), sigma: 0.004 });
    }
    let values =
        meters.iter().map(|meter| if let Quantity::Voltage(_) = meter.quantity { 1.0 } else { 0.001 });
    let values = values.collect();
    Case { grid, meters, values, zero_injections: vec![], truth: None }
}

fn estimate(estimator: &mut Estimator, case: &Case, start: Start) -> usize {
    let options = Options { tolerance: 1e-8, ..Options::default() };
    estimator.estimate(black_box(&case.values), start, &options).expect("it is observable").iterations
}

fn least(times: usize, mut run: impl FnMut()) -> f64 {
    let one = |run: &mut dyn FnMut()| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64() * 1e3
    };
    (0..times).map(|_| one(&mut run)).fold(f64::INFINITY, f64::min)
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--least") {
        let times = arguments.get(at + 1).and_then(|times| times.parse().ok()).unwrap_or(20);
        for (name, case) in cases() {
            let mut estimator = case.estimator().expect("a case");
            let iterations = estimate(&mut estimator, &case, Start::Flat);
            let flat = least(times, || {
                estimate(&mut estimator, &case, Start::Flat);
            });
            let again = least(times, || {
                estimate(&mut estimator, &case, Start::Last);
            });
            let mut residuals = Vec::new();
            let pass = least(times, || estimator.normalised_residuals(&mut residuals));
            let first = least(times.min(5), || {
                estimate(&mut case.estimator().expect("a case"), &case, Start::Flat);
            });
            let (buses, blocks) = (case.grid.buses().len(), estimator.factor_blocks());
            println!(
                "{{\"case\":\"{name}\",\"buses\":{buses},\"iterations\":{iterations},\"blocks\":{blocks},\"first_ms\":{first},\"flat_ms\":{flat},\"last_ms\":{again},\"residuals_ms\":{pass}}}"
            );
        }
        return;
    }
    let mut criterion = Criterion::default().configure_from_args();
    for (name, case) in cases() {
        let mut group = criterion.benchmark_group(format!("grid/{name}"));
        let mut estimator = case.estimator().expect("a case");
        group.bench_function("estimate from flat", |bencher| {
            bencher.iter(|| estimate(&mut estimator, &case, Start::Flat));
        });
        group.bench_function("estimate from the last state", |bencher| {
            bencher.iter(|| estimate(&mut estimator, &case, Start::Last));
        });
        let mut residuals = Vec::new();
        group.bench_function("normalised residuals", |bencher| {
            bencher.iter(|| estimator.normalised_residuals(black_box(&mut residuals)));
        });
        group.bench_function("estimate, residuals, removal", |bencher| {
            bencher.iter(|| {
                (0..case.meters.len()).for_each(|meter| estimator.set_in_use(meter, true));
                estimator
                    .clean(&case.values, Start::Flat, &Options::default(), Limit::default())
                    .expect("it is observable")
            });
        });
        group.finish();
    }
    criterion.final_summary();
}
