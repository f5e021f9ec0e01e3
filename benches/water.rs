//! Hydraulic steps of water networks: whole runs over the extended period, an element a step.
//!
//! `cargo bench -p benches --bench water`. Networks are every one in `data/twin/hydraulics/inp` and `data/twin/models`, and a grid of
//! our own. The peer is EPANET's toolkit, in C: `benches/peers/epanet.py time FILE…` prints its microseconds a step.

#![allow(clippy::disallowed_methods, missing_docs, reason = "a bench reads its data")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use twinguard::twin::importers::epanet;
use twinguard::twin::water::{Accuracy, Hydraulics, Network};

/// A grid of streets with a reservoir and a tank, over a day.
fn grid(side: usize) -> String {
    let mut text = "[RESERVOIRS]\n r 80\n[TANKS]\n t 60 5 1 9 30\n[JUNCTIONS]\n".to_owned();
    for at in 0..side * side {
        let _ = writeln!(text, " j{at} {} 1 d", at % 7);
    }
    text += "[PIPES]\n a r j0 100 600 120\n";
    let _ = writeln!(text, " b j{} t 100 600 120", side * side - 1);
    for at in 0..side * side {
        if at % side + 1 < side {
            let _ = writeln!(text, " h{at} j{at} j{} 100 300 120", at + 1);
        }
        if at + side < side * side {
            let _ = writeln!(text, " v{at} j{at} j{} 100 300 120", at + side);
        }
    }
    text + "[PATTERNS]\n d 0.5 0.8 1.2 1.5 1.0 0.6\n[OPTIONS]\n UNITS LPS\n[TIMES]\n DURATION 24\n[END]\n"
}

fn networks() -> Vec<(String, Network)> {
    let root = std::env::var_os("TWINGUARD_DATA").map(PathBuf::from);
    let root =
        root.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data")).join("twin");
    let mut found = vec![("grid_30".to_owned(), grid(30))];
    let mut waiting = vec![root.join("hydraulics/inp"), root.join("models")];
    while let Some(folder) = waiting.pop() {
        for path in std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|end| end.eq_ignore_ascii_case("inp")) {
                let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                found.extend(std::fs::read_to_string(&path).ok().map(|text| (name, text)));
            }
        }
    }
    found.sort();
    found.dedup_by(|a, b| a.0 == b.0);
    found.into_iter().filter_map(|(name, text)| Some((name, epanet(text.as_bytes()).ok()?))).collect()
}

fn run(mut water: Hydraulics) -> u64 {
    let mut steps = 0;
    while water.solve().is_ok() {
        steps += 1;
        if water.advance().is_none() {
            break;
        }
    }
    steps
}

fn hydraulics(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hydraulic_step");
    for (name, network) in networks() {
        for (accuracy, how) in [(Accuracy::AsWritten, "as_written"), (Accuracy::Tight, "tight")] {
            let Ok(water) = Hydraulics::new(network.clone(), accuracy) else { continue };
            group.throughput(Throughput::Elements(run(water.clone())));
            group.bench_function(format!("{name}/{how}"), |bencher| {
                bencher.iter_batched(|| water.clone(), run, criterion::BatchSize::LargeInput);
            });
        }
    }
    group.finish();
}

criterion_group!(benches, hydraulics);
criterion_main!(benches);
