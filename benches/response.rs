//! Response: steps of the simulated modules, rulings of the shield.
//!
//! `cargo bench -p benches --bench response`. Steps are counted with everything a step does (noise, attacker, alarms, belief);
//! a ruling is asked at states of a running episode, its proposal drawn at random.
#![allow(missing_docs, clippy::expect_used, clippy::unwrap_used, unreachable_pub)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use twinguard::response::attacker::SEEN;
use twinguard::response::planner::Planner;
use twinguard::response::planners::Random;
use twinguard::response::screen::Screen;
use twinguard::response::task::{Isolation, Task};

fn tasks() -> [(&'static str, Task); 2] {
    [("single", Task::single()), ("multi", Task::multi().expect("it is a task"))]
}

fn steps(c: &mut Criterion) {
    let mut group = c.benchmark_group("response/step");
    for (name, task) in tasks() {
        group.throughput(Throughput::Elements(u64::from(task.setting().steps)));
        let mut number = 0;
        group.bench_function(name, |b| {
            b.iter(|| {
                number += 1;
                let mut episode = task.episode(1, number, SEEN);
                let mut cost = 0.0;
                while !episode.is_over() {
                    cost += episode.advance(black_box(Isolation::NONE)).cost;
                }
                cost
            });
        });
    }
}

fn rulings(c: &mut Criterion) {
    let mut group = c.benchmark_group("response/shielded_step");
    for (name, task) in tasks() {
        group.throughput(Throughput::Elements(u64::from(task.setting().steps)));
        let mut screen = Screen::new(&task).expect("it has a shield");
        let mut number = 0;
        group.bench_function(name, |b| {
            b.iter(|| {
                number += 1;
                screen.reset();
                let mut episode = task.episode(1, number, SEEN);
                while !episode.is_over() {
                    let view = episode.view();
                    let proposal = Random { seed: number }.plan(&view);
                    let (choice, _) = screen.rule(&view, proposal);
                    black_box(episode.advance(choice));
                }
            });
        });
    }
}

criterion_group!(benches, steps, rulings);
criterion_main!(benches);
