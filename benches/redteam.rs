//! The red team's own speed: how many attacked samples and well-formed frames a second a range gives on one core, without a
//! guard behind it.
//!
//! `cargo bench -p benches --bench redteam`. Elements of the range are frames; of a record, samples.
#![allow(missing_docs, clippy::expect_used, unreachable_pub)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use twinguard::redteam::{Disturbance, Entry, Ground, Nobody, Scenario, Stretch};
use twinguard::redteam::{Recorded, Span, Window};
use twinguard::types::{Point, SignalId, Source, Timestamp, Value};

const STEPS: u64 = 2_000;
const ROWS: i64 = 1_000;
const SIGNALS: u32 = 50;

/// A site under attack over real bytes.
fn range(c: &mut Criterion) {
    let mut group = c.benchmark_group("redteam/range");
    for (plant, attack) in [("cooling_loop", "overheat"), ("quadruple_tank", "bias")] {
        let ground = Ground::named(plant).expect("a reference plant");
        let entry = Entry::named(attack).expect("an attack");
        let make = || {
            let target = ground.target(ground.window(0, STEPS), 1).expect("an aim");
            let stretch = Stretch { life: 1, seed: 1, disturbance: Disturbance::Calm, samples: STEPS };
            ground.range(&stretch, None, Scenario::of(entry, &target)).expect("a range")
        };
        let mut one = make();
        for _ in 0..STEPS {
            one.step(&mut Nobody).expect("a step");
        }
        group.throughput(Throughput::Elements(one.frames()));
        group.bench_function(format!("{plant}/{attack}/frames"), |bencher| {
            bencher.iter_batched(
                make,
                |mut range| (0..STEPS).for_each(|_| drop(black_box(range.step(&mut Nobody)))),
                criterion::BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

/// An attack put into recorded rows.
fn recorded(c: &mut Criterion) {
    let names: String = (0..SIGNALS).map(|at| format!("[[signal]]\npath = \"s{at}\"\n")).collect();
    let text = format!("format = 1\nname = \"own\"\n{names}");
    let plant = twinguard::twin::Plant::parse(&text, "own.toml").expect("a plant");
    let span = |signal| Span { signal: SignalId(signal), least: 0.0, most: 10.0, noise: 0.1 };
    let spans: Vec<Span> = (0..SIGNALS).map(span).collect();
    let window = Window { start: Timestamp::ZERO, end: Timestamp::from_secs(ROWS) };
    let row = |second| {
        let at = Timestamp::from_secs(second);
        let point =
            |signal| Point::new(SignalId(signal), Value::real(5.0).expect("finite"), Source::Field, at);
        (0..SIGNALS).map(point).collect::<Vec<Point>>()
    };
    let rows: Vec<Vec<Point>> = (0..ROWS).map(row).collect();
    let mut group = c.benchmark_group("redteam/recorded");
    group.throughput(Throughput::Elements(ROWS as u64 * u64::from(SIGNALS)));
    for attack in ["bias", "replay"] {
        let entry = Entry::named(attack).expect("an attack");
        group.bench_function(format!("{attack}/{SIGNALS}-signals/samples"), |bencher| {
            bencher.iter_batched(
                || {
                    (
                        rows.clone(),
                        Recorded::new(entry, &plant, &spans, SignalId(0), window, 1).expect("possible"),
                    )
                },
                |(mut rows, mut attack)| {
                    rows.iter_mut().for_each(|row| attack.change(row));
                    rows
                },
                criterion::BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, range, recorded);
criterion_main!(benches);
