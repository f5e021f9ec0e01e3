//! Detectors and judge per second of a plant with six signals (one poll, eleven points, one row, one residual, one tick).

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use twinguard_anomaly::{Asked, Bank, Judge, JudgeConfig, registry};
use twinguard_types::Event;

#[path = "../crates/twinguard-anomaly/tests/plant/mod.rs"]
mod plant;

fn bank(c: &mut Criterion) {
    let mut plant = plant::Plant::new(1);
    let history = plant.run(6_000);
    let normal = plant.run(600);
    let events: Vec<Event<'_>> = normal.history().events().collect();
    let catalogue = plant::catalogue();
    let fit = |names: Option<&str>| {
        let detectors = match names {
            Some(name) => registry::named(&[name]).unwrap(),
            None => registry::all(),
        };
        Bank::fit(detectors, &history.history(), &catalogue, &Asked::default()).unwrap()
    };
    let mut group = c.benchmark_group("anomaly");
    group.throughput(Throughput::Elements(600));
    let mut all = fit(None);
    let mut judge = Judge::new(JudgeConfig::default(), &all, &catalogue);
    group.bench_function("bank_and_judge/6_signals/per_second", |b| {
        b.iter(|| {
            for event in &events {
                judge.note(event);
                all.observe(event, |seen| judge.weigh(seen));
                judge.poll(event.at());
            }
        });
    });
    for name in ["cusum", "nis", "noise", "redundancy", "replay"] {
        let mut one = fit(Some(name));
        group.bench_function(format!("{name}/6_signals/per_second"), |b| {
            b.iter(|| events.iter().for_each(|event| one.observe(event, |_| {})));
        });
    }
    group.finish();
    let mut group = c.benchmark_group("anomaly_fit");
    group.sample_size(10);
    group.bench_function("all/6000_seconds", |b| b.iter(|| fit(None)));
    group.finish();
}

criterion_group!(benches, bank);
criterion_main!(benches);
