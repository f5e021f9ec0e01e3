//! The automatic suite per row, beside streaming forests on the same rows; thresholds per score; a fleet that shares one model.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use extended_isolation_forest as eif;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::{Distribution, StandardNormal};
use rcf3::{Forest, OnlineIForest};
use twinguard_anomaly::calibration::{Conformal, Dspot, EDetector, Spot, SpotConfig};
use twinguard_anomaly::suite::{State, Suite, Training};

const ROWS: usize = 4000;
const ASSETS: usize = 20_000;

/// Channels that follow themselves and their neighbours.
fn plant(channels: usize, rows: usize, seed: u64) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut x = vec![0.0; channels];
    let mut out = Vec::with_capacity(rows * channels);
    for _ in 0..rows {
        let before = x.clone();
        for j in 0..channels {
            let noise: f64 = StandardNormal.sample(&mut rng);
            x[j] = 0.8 * before[j] + 0.15 * before[(j + 1) % channels] + 0.5 * noise;
        }
        out.extend_from_slice(&x);
    }
    out
}

fn rows(c: &mut Criterion) {
    let mut group = c.benchmark_group("suite");
    group.throughput(Throughput::Elements(ROWS as u64));
    for channels in [1, 8, 52] {
        let suite =
            Suite::fit(&Training { channels, values: &plant(channels, 5000, 1), times: None }).unwrap();
        let test = plant(channels, ROWS, 2);
        let mut state = suite.state();
        group.bench_function(format!("suite/{channels}_channels/{ROWS}_rows"), |b| {
            b.iter(|| {
                test.chunks_exact(channels).map(|row| state.observe(&suite, None, row).surprise).sum::<f64>()
            });
        });
        let single: Vec<f32> = test.iter().map(|x| *x as f32).collect();
        let mut forest = OnlineIForest::builder(channels).seed(1).build().unwrap();
        single.chunks_exact(channels).for_each(|row| forest.update(row).unwrap());
        group.bench_function(format!("rcf3_online_iforest/{channels}_channels/{ROWS}_rows"), |b| {
            b.iter(|| {
                let score = |row: &[f32]| forest.update_and_score(row).unwrap();
                single.chunks_exact(channels).map(score).sum::<f64>()
            });
        });
        let mut forest = Forest::builder(channels).seed(1).build().unwrap();
        single.chunks_exact(channels).for_each(|row| forest.update(row).unwrap());
        group.bench_function(format!("rcf3_random_cut_forest/{channels}_channels/100_rows"), |b| {
            b.iter(|| {
                for row in single.chunks_exact(channels).take(100) {
                    std::hint::black_box(forest.score(row).unwrap());
                    forest.update(row).unwrap();
                }
            });
        });
    }
    group.finish();
}

/// It scores only: nothing is learnt from a row.
fn extended(c: &mut Criterion) {
    let options =
        eif::ForestOptions { n_trees: 100, sample_size: 256, max_tree_depth: None, extension_level: 1 };
    let points: Vec<[f64; 8]> = plant(8, ROWS, 1).as_chunks::<8>().0.to_vec();
    let forest = eif::Forest::from_slice(&points, &options).unwrap();
    c.bench_function("suite/extended_isolation_forest/8_channels/100_rows", |b| {
        b.iter(|| points[..100].iter().map(|row| forest.score(row)).sum::<f64>());
    });
}

fn thresholds(c: &mut Criterion) {
    let scores = plant(1, ROWS, 3);
    let mut group = c.benchmark_group("threshold");
    group.throughput(Throughput::Elements(ROWS as u64));
    let config = SpotConfig::default();
    let mut spot = Spot::fit(&scores, config).unwrap();
    group.bench_function("spot", |b| b.iter(|| scores.iter().filter(|x| spot.step(**x)).count()));
    let mut dspot = Dspot::fit(&scores, 100, config).unwrap();
    group.bench_function("dspot", |b| b.iter(|| scores.iter().filter(|x| dspot.step(**x)).count()));
    let conformal = Conformal::fit(&scores, 10);
    let mut detector = EDetector::new(1e5, 10).unwrap();
    group.bench_function("conformal_and_e_detector", |b| {
        b.iter(|| scores.iter().filter(|x| detector.step(conformal.p(**x))).count());
    });
    group.finish();
}

/// One second of a fleet: every asset a row, more state than any cache holds.
fn fleet(c: &mut Criterion) {
    let channels = 8;
    let suite = Suite::fit(&Training { channels, values: &plant(channels, 5000, 1), times: None }).unwrap();
    let test = plant(channels, 1000, 2);
    let mut states: Vec<State> = (0..ASSETS).map(|_| suite.state()).collect();
    let mut group = c.benchmark_group("fleet");
    group.sample_size(10);
    group.throughput(Throughput::Elements(ASSETS as u64));
    for threads in [1, 2] {
        let mut second = 0;
        group.bench_function(format!("8_channels/{ASSETS}_assets/{threads}_threads"), |b| {
            b.iter_batched(
                || {
                    second += 1;
                    second
                },
                |second| {
                    let (suite, test) = (&suite, &test);
                    std::thread::scope(|scope| {
                        for (part, states) in states.chunks_mut(ASSETS / threads).enumerate() {
                            scope.spawn(move || {
                                for (k, state) in states.iter_mut().enumerate() {
                                    let t = (second + 7 * k + part) % 1000;
                                    std::hint::black_box(state.observe(suite, None, &test[t * 8..t * 8 + 8]));
                                }
                            });
                        }
                    });
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, rows, extended, thresholds, fleet);
criterion_main!(benches);
