//! The whole guard: a frame of the cooling loop, a row of a historian, a command with its what-if, a word for the journal.
//!
//! `cargo bench -p benches --bench guard`. Everything is learnt and recorded before the clock runs. A frame is a Modbus TCP
//! poll, answer, write or echo with all that comes beside it (controller's journal, vendor's values, ticks), handled and
//! polled; time runs on at one second of the plant per poll.
#![allow(
    missing_docs,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    unreachable_pub
)]

use std::hint::black_box;
use std::time::{Duration as Wall, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::{Distribution, StandardNormal};
use twinguard::redteam::{Scenario, address};
use twinguard::twin::Plant;
use twinguard::types::{Catalogue, Duration, Point, Role, Signal, SignalId, Source, Timestamp, Value};
use twinguard::{Guard, Input, Operator};

#[path = "../crates/twinguard/tests/guard/site.rs"]
mod site;

use site::{Tape, Told, calm, command, config, guard, range};

fn finish(guard: &mut Guard) {
    while let Some(output) = guard.poll() {
        black_box(output);
    }
}

/// A calm hour of the cooling loop, from a guard's first minute on.
fn frames(c: &mut Criterion) {
    let told = Tape::new(guard(config())).run(&mut range(2, Scenario::none()), 3_600).told;
    let frames = |told: &(Timestamp, Told)| matches!(told.1, Told::Frame(..));
    let mut group = c.benchmark_group("guard");
    group.throughput(Throughput::Elements(1));
    group.bench_function("frame/cooling_loop", |b| {
        b.iter_custom(|iterations| {
            let (mut left, mut wall) = (iterations, Wall::ZERO);
            while left > 0 {
                let mut guard = guard(config());
                let begin = Instant::now();
                for it in &told {
                    it.1.tell(&mut guard, it.0).unwrap();
                    finish(&mut guard);
                    left -= u64::from(frames(it));
                    if left == 0 {
                        break;
                    }
                }
                wall += begin.elapsed();
            }
            wall
        })
    });
    group.finish();
}

const SIGNALS: u32 = 20;

/// One slow movement that all signals share, and noise.
fn rows(seed: u64, origin: Timestamp, count: i64) -> Vec<(Timestamp, Vec<Point>)> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut drift = 0.0;
    let row = |second: i64| {
        let at = origin + Duration::from_secs(second);
        let mut gauss = || -> f64 { StandardNormal.sample(&mut rng) };
        drift = 0.995 * drift + 0.1 * gauss();
        let point = |signal: u32| {
            let value = 50.0 + f64::from(signal) + (1.0 + 0.05 * f64::from(signal)) * drift + 0.1 * gauss();
            Point::new(SignalId(signal), Value::real(value).unwrap(), Source::Field, at)
        };
        (at, (0..SIGNALS).map(point).collect())
    };
    (0..count).map(row).collect()
}

fn history(c: &mut Criterion) {
    let mut catalogue = Catalogue::new();
    for signal in 0..SIGNALS {
        catalogue.intern(Signal::new(format!("t{signal}"), Role::Measurement)).unwrap();
    }
    let plant = Plant::from_signals("tags", catalogue);
    let normal = rows(1, Timestamp::from_secs(0), 20_000);
    let learn = |guard: &mut Guard| {
        normal.iter().try_for_each(|(at, points)| guard.handle(*at, Input::Points(points)))
    };
    let learnt =
        Guard::builder_unsealed(plant.clone()).config(config()).learn(learn).unwrap().build().unwrap();
    let state = learnt.snapshot().unwrap();
    let later = rows(2, Timestamp::from_secs(100_000), 5_000);
    let mut group = c.benchmark_group("guard");
    group.throughput(Throughput::Elements(1));
    group.bench_function("row/20_signals", |b| {
        b.iter_custom(|iterations| {
            let (mut left, mut wall) = (iterations as usize, Wall::ZERO);
            while left > 0 {
                let mut guard =
                    Guard::builder_unsealed(plant.clone()).config(config()).restore(&state).unwrap();
                let batch = later.iter().take(left);
                left -= batch.len();
                let begin = Instant::now();
                for (at, points) in batch {
                    guard.handle(*at, Input::Points(points)).unwrap();
                    finish(&mut guard);
                }
                wall += begin.elapsed();
            }
            wall
        })
    });
    group.finish();
}

fn words(c: &mut Criterion) {
    let mut group = c.benchmark_group("guard");
    group.throughput(Throughput::Elements(1));
    // The rule of the plant file that this goes by has no rate; another value each time, so that it is looked at afresh.
    let (mut warm, now) = calm(config());
    let ask = command(0, address::PLATFORM, "cooler.valve.command", 1.0, now);
    let mut turn = 0;
    group.bench_function("command/what-if of an hour", |b| {
        b.iter(|| {
            turn += 1;
            let value = Value::real(0.9 + 1e-4 * f64::from(turn % 1_000)).unwrap();
            let id = twinguard::types::CommandId(1 << 40 | u64::try_from(turn).unwrap());
            warm.handle(now, Input::Command(twinguard::types::Command { id, value, ..ask })).unwrap();
            finish(&mut warm);
        })
    });
    let (mut warm, now) = calm(config());
    group.bench_function("journal/a word and its receipt", |b| {
        b.iter(|| {
            warm.handle(now, Input::Operator(Operator::Mode { mode: black_box("service") })).unwrap();
            finish(&mut warm);
        })
    });
    group.finish();
}

criterion_group!(benches, frames, history, words);
criterion_main!(benches);
