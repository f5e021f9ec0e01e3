//! Federation: rows counted, parts merged, models fitted, rules over a hundred sites, and Prio3 at the sizes of SWaT and WADI.
//!
//! `cargo bench -p benches --bench federated`. A second-moment statistic has 1,377 cells at 51 columns and 7,749 at 123.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use twinguard::anomaly::statistic::{Covariance, Gram, Grid, Merge, Quantise, Statistic, Subspace, Tally};
use twinguard::federated::secure::{Aggregator, Sharing, Side};
use twinguard::federated::{contribution, message::Body, message::Message, rules};
use twinguard::integrity::SigningKey;
use twinguard::types::Digest;

fn row(k: u64, columns: usize) -> Vec<f64> {
    (0..columns as u64).map(|c| ((k * 7919 + c * 104_729) % 1009) as f64 / 504.5 - 1.0).collect()
}

fn tally(columns: usize, rows: u64) -> Tally<Gram> {
    let grid = Grid::around(vec![(0.0, 1.0); columns]).unwrap();
    let mut tally = Tally::new(Gram::new(grid, 0).unwrap());
    (0..rows).for_each(|k| assert!(tally.observe(&row(k, columns)).is_ok()));
    tally
}

fn statistics(c: &mut Criterion) {
    for columns in [51, 123] {
        let mut group = c.benchmark_group(format!("statistics/{columns} columns"));
        group.sample_size(20);
        let rows: Vec<Vec<f64>> = (0..1000).map(|k| row(k, columns)).collect();
        let mut counted = tally(columns, 10);
        group.throughput(Throughput::Elements(1000));
        group.bench_function("count 1000 rows", |b| {
            b.iter(|| rows.iter().for_each(|row| assert!(counted.observe(black_box(row)).is_ok())))
        });
        group.throughput(Throughput::Elements(1));
        let part = tally(columns, 500);
        let mut sum = part.clone();
        group.bench_function("merge", |b| b.iter(|| sum.merge(black_box(&part)).unwrap()));
        group.bench_function("digest", |b| b.iter(|| black_box(&part).digest()));
        group.bench_function("covariance and subspace", |b| {
            b.iter(|| Subspace::fit(&Covariance::of(black_box(&part)).unwrap(), 0.9).unwrap())
        });
        let key = SigningKey::from_seed("bench.example", &[7; 32]).unwrap();
        group.bench_function("signed message, made and opened", |b| {
            b.iter(|| {
                let body = Body::Contribute(contribution(&part));
                let message = Message { federation: Digest([1; 32]), round: 1, sequence: 1, body };
                let bytes = message.seal(&key).unwrap();
                Message::open(&bytes, &[key.public().clone()]).unwrap()
            })
        });
        group.finish();
    }
}

fn robust(c: &mut Criterion) {
    let mut group = c.benchmark_group("rules/100 sites x 10000 values");
    group.sample_size(10);
    let points: Vec<Vec<f64>> = (0..100).map(|k| row(k, 10_000)).collect();
    for rule in rules::all(0.2) {
        group.bench_function(rule.name(), |b| {
            b.iter(|| {
                let weights = rule.weights(black_box(&points)).unwrap();
                rule.combine(&points, &weights).unwrap()
            })
        });
    }
    group.finish();
}

fn secure(c: &mut Criterion) {
    for (cells, bits) in [(1378, 32), (1378, 64), (7750, 32)] {
        let mut group = c.benchmark_group(format!("prio3/{cells} cells x {bits} bits"));
        group.sample_size(10);
        let sharing = Sharing::new(Digest([1; 32]), 1, cells, bits).unwrap();
        let values: Vec<i128> = (0..cells as i128).map(|k| k * 999_983 % (1 << (bits - 1))).collect();
        group.bench_function("shard", |b| b.iter(|| sharing.shard(black_box(&values), [1; 16]).unwrap()));
        let shares = sharing.shard(&values, [1; 16]).unwrap();
        group.bench_function("verify and count, both aggregators", |b| {
            b.iter(|| {
                let mut leader = Aggregator::new(sharing.clone(), Side::Leader, [5; 32]);
                let mut helper = Aggregator::new(sharing.clone(), Side::Helper, [5; 32]);
                leader.begin(shares.nonce, &shares.public, &shares.leader).unwrap();
                let part = helper.begin(shares.nonce, &shares.public, &shares.helper).unwrap();
                let message = leader.combine(shares.nonce, &part).unwrap();
                helper.finish(shares.nonce, &message).unwrap();
            })
        });
        group.bench_function("a round of 10 sites, all sides", |b| {
            b.iter(|| {
                let mut leader = Aggregator::new(sharing.clone(), Side::Leader, [5; 32]);
                let mut helper = Aggregator::new(sharing.clone(), Side::Helper, [5; 32]);
                for site in 0..10 {
                    let shares = sharing.shard(&values, [site; 16]).unwrap();
                    leader.begin(shares.nonce, &shares.public, &shares.leader).unwrap();
                    let part = helper.begin(shares.nonce, &shares.public, &shares.helper).unwrap();
                    let message = leader.combine(shares.nonce, &part).unwrap();
                    helper.finish(shares.nonce, &message).unwrap();
                }
                sharing.unshard(&leader.share(3).unwrap(), &helper.share(3).unwrap(), 10).unwrap()
            })
        });
        group.finish();
    }
}

criterion_group!(benches, statistics, robust, secure);
criterion_main!(benches);
