//! One filter step (predict and update): ours and the Rust peers, on the same random systems; and the running twin.
//!
//! `cargo bench -p benches --bench kalman`. All filters see the same measurements. What each does: ours keeps factors
//! (positive by construction) and gives innovation, its factor and the NIS; adskalman uses the Joseph form; kfilter
//! (I − K H) P; minikalman P − K (H P). Where n is 64, `twinguard_dense` is the filter by matrix products. filterpy on the same
//! machine: `python3 benches/peers/filterpy_times.py` (`pip install filterpy`).

#![allow(missing_docs, non_snake_case, reason = "a bench; matrices have their usual names")]

use criterion::{Criterion, criterion_group, criterion_main};
use nalgebra::{SMatrix, SVector};
use std::hint::black_box;
use twinguard::twin::filters::{
    DenseKalman, ExtendedKalman, Fleet, LeaveOneOut, LinearKalman, Spread, UnscentedKalman, Variant,
};
use twinguard::twin::isolability::Isolability;
use twinguard::twin::simulator::{Simulator, Table, cooling_loop};
use twinguard::twin::{Plant, Twin};
use twinguard::types::{Duration, Point, SignalId, Source, Value};

/// A small generator of fixed numbers in −1…1.
fn numbers(mut seed: u64) -> impl FnMut() -> f64 {
    move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }
}

struct System<const N: usize, const M: usize> {
    F: SMatrix<f64, N, N>,
    Q: SMatrix<f64, N, N>,
    H: SMatrix<f64, M, N>,
    R: SMatrix<f64, M, M>,
    z: Vec<SVector<f64, M>>,
}

fn system<const N: usize, const M: usize>() -> System<N, M> {
    let mut next = numbers(N as u64);
    let F = SMatrix::from_fn(|_, _| next() * 0.9 / (N as f64).sqrt());
    let H = SMatrix::from_fn(|_, _| next());
    let z = (0..256).map(|_| SVector::from_fn(|_, _| next())).collect();
    System { F, Q: SMatrix::identity() * 0.05, H, R: SMatrix::identity() * 0.2, z }
}

fn rows<const A: usize, const B: usize>(matrix: &SMatrix<f64, A, B>) -> Vec<f64> {
    (0..A).flat_map(|i| (0..B).map(move |j| matrix[(i, j)])).collect()
}

mod ads {
    use super::{SMatrix, System};
    use nalgebra::Const;

    pub struct Model<const N: usize, const M: usize> {
        pub system: System<N, M>,
        pub FT: SMatrix<f64, N, N>,
        pub HT: SMatrix<f64, N, M>,
    }

    impl<const N: usize, const M: usize> adskalman::TransitionModelLinearNoControl<f64, Const<N>>
        for Model<N, M>
    {
        fn F(&self) -> &SMatrix<f64, N, N> {
            &self.system.F
        }
        fn FT(&self) -> &SMatrix<f64, N, N> {
            &self.FT
        }
        fn Q(&self) -> &SMatrix<f64, N, N> {
            &self.system.Q
        }
    }

    macro_rules! observation {
        ($n:literal, $m:literal) => {
            impl adskalman::ObservationModel<f64, Const<$n>, Const<$m>> for Model<$n, $m> {
                fn H(&self) -> &SMatrix<f64, $m, $n> {
                    &self.system.H
                }
                fn HT(&self) -> &SMatrix<f64, $n, $m> {
                    &self.HT
                }
                fn R(&self) -> &SMatrix<f64, $m, $m> {
                    &self.system.R
                }
            }
        };
    }
    observation!(4, 2);
    observation!(16, 8);
    observation!(64, 32);
}

fn ours<const N: usize, const M: usize>(criterion: &mut Criterion) {
    let System { F, Q, H, z, .. } = system::<N, M>();
    let identity = rows(&SMatrix::<f64, N, N>::identity());
    let mut filter =
        LinearKalman::new(&rows(&F), &rows(&Q), &rows(&H), &[0.2; M], &[0.0; N], &identity).expect("sound");
    let z: Vec<[Option<f64>; M]> = z.iter().map(|z| std::array::from_fn(|i| Some(z[i]))).collect();
    let mut turn = 0;
    criterion.bench_function(&format!("kalman/n{N}/twinguard"), |bencher| {
        bencher.iter(|| {
            turn = (turn + 1) % z.len();
            let nis = filter.step(black_box(&z[turn])).expect("fits").nis;
            black_box(nis)
        });
    });
    criterion.bench_function(&format!("kalman/n{N}/twinguard_with_log_likelihood"), |bencher| {
        bencher.iter(|| {
            turn = (turn + 1) % z.len();
            let found = filter.step(black_box(&z[turn])).expect("fits");
            black_box((found.nis, found.log_likelihood()))
        });
    });
}

macro_rules! peers {
    ($name:ident, $n:literal, $m:literal) => {
        fn $name(criterion: &mut Criterion) {
            let System { F, Q, H, R, z } = system::<$n, $m>();
            let mut turn = 0;

            use kfilter::KalmanPredict;
            use nalgebra_0_34 as old;
            let mut filter = kfilter::Kalman1M::new(
                old::SMatrix::<f64, $n, $n>::from_row_slice(&rows(&F)),
                old::SMatrix::<f64, $n, $n>::from_row_slice(&rows(&Q)),
                old::SMatrix::<f64, $m, $n>::from_row_slice(&rows(&H)),
                old::SMatrix::<f64, $m, $m>::from_row_slice(&rows(&R)),
                old::SVector::<f64, $n>::zeros(),
            );
            let old_z: Vec<old::SVector<f64, $m>> =
                z.iter().map(|z| old::SVector::from_column_slice(z.as_slice())).collect();
            criterion.bench_function(concat!("kalman/n", $n, "/kfilter"), |bencher| {
                bencher.iter(|| {
                    turn = (turn + 1) % old_z.len();
                    filter.predict().expect("sound");
                    black_box(filter.update(*black_box(&old_z[turn])).expect("sound")[0])
                });
            });

            use minikalman::prelude::*;
            let builder = minikalman::regular::builder::KalmanFilterBuilder::<$n, f64>::default();
            let mut filter = builder.build();
            let mut measurement = builder.observations().build::<$m>();
            let fill = |set: &mut dyn FnMut(usize, usize, f64),
                        a: usize,
                        b: usize,
                        get: &dyn Fn(usize, usize) -> f64| {
                (0..a).for_each(|i| (0..b).for_each(|j| set(i, j, get(i, j))));
            };
            filter
                .state_transition_mut()
                .apply(|mat| fill(&mut |i, j, v| mat.set_at(i, j, v), $n, $n, &|i, j| F[(i, j)]));
            filter
                .direct_process_noise_mut()
                .apply(|mat| fill(&mut |i, j, v| mat.set_at(i, j, v), $n, $n, &|i, j| Q[(i, j)]));
            filter.estimate_covariance_mut().apply(|mat| mat.make_identity());
            measurement
                .observation_matrix_mut()
                .apply(|mat| fill(&mut |i, j, v| mat.set_at(i, j, v), $m, $n, &|i, j| H[(i, j)]));
            measurement
                .measurement_noise_covariance_mut()
                .apply(|mat| fill(&mut |i, j, v| mat.set_at(i, j, v), $m, $m, &|i, j| R[(i, j)]));
            criterion.bench_function(concat!("kalman/n", $n, "/minikalman"), |bencher| {
                bencher.iter(|| {
                    turn = (turn + 1) % z.len();
                    filter.predict();
                    measurement.measurement_vector_mut().apply(|vec| {
                        z[turn].iter().enumerate().for_each(|(i, z)| vec.set_row(i, *z));
                    });
                    filter.correct(&mut measurement);
                    black_box(filter.state_vector().get_row(0))
                });
            });

            let model = ads::Model { FT: F.transpose(), HT: H.transpose(), system: System { F, Q, H, R, z } };
            let filter = adskalman::KalmanFilterNoControl::new(&model, &model);
            let mut estimate = adskalman::StateAndCovariance::new(SVector::zeros(), SMatrix::identity());
            criterion.bench_function(concat!("kalman/n", $n, "/adskalman"), |bencher| {
                bencher.iter(|| {
                    turn = (turn + 1) % model.system.z.len();
                    estimate = filter.step(&estimate, black_box(&model.system.z[turn])).expect("sound");
                    black_box(estimate.state()[0])
                });
            });
        }
    };
}

peers!(peers_4, 4, 2);
peers!(peers_16, 16, 8);
peers!(peers_64, 64, 32);

fn linear(criterion: &mut Criterion) {
    ours::<4, 2>(criterion);
    peers_4(criterion);
    ours::<16, 8>(criterion);
    peers_16(criterion);
    ours::<64, 32>(criterion);
    dense(criterion);
    peers_64(criterion);
    unscented(criterion, 4, 2);
    unscented(criterion, 16, 8);
    fleet::<4, 2>(criterion);
    fleet::<16, 8>(criterion);
}

fn dense(criterion: &mut Criterion) {
    let System { F, Q, H, z, .. } = system::<64, 32>();
    let identity = rows(&SMatrix::<f64, 64, 64>::identity());
    let mut filter =
        DenseKalman::new(&rows(&F), &rows(&Q), &rows(&H), &[0.2; 32], &[0.0; 64], &identity).expect("sound");
    let z: Vec<[Option<f64>; 32]> = z.iter().map(|z| std::array::from_fn(|i| Some(z[i]))).collect();
    let mut turn = 0;
    criterion.bench_function("kalman/n64/twinguard_dense", |bencher| {
        bencher.iter(|| {
            turn = (turn + 1) % z.len();
            black_box(filter.step(black_box(&z[turn])).expect("fits").nis)
        });
    });
}

/// The cascade of tanks that `peers/filterpy_times.py` runs as well, with its parameters.
fn unscented(criterion: &mut Criterion, n: usize, m: usize) {
    let outlets: Vec<f64> = (0..n).map(|at| 0.03 + 0.02 * (at as f64 * 0.7).sin().abs()).collect();
    let cascade = |x: &[f64], out: &mut [f64]| {
        let mut from = 0.08;
        for ((out, x), outlet) in out.iter_mut().zip(x).zip(&outlets) {
            let flow = outlet * x.max(1e-9).sqrt();
            *out = (x + from - flow).max(1e-6);
            from = flow;
        }
    };
    let look = |x: &[f64], out: &mut [f64]| {
        out.iter_mut().zip(x.iter().step_by(2)).for_each(|(out, x)| *out = *x);
    };
    let diagonal = |value: f64| -> Vec<f64> {
        (0..n * n).map(|at| if at / n == at % n { value } else { 0.0 }).collect()
    };
    let spread = Spread { alpha: 0.5, beta: 2.0, kappa: 3.0 - n as f64 };
    let mut filter =
        UnscentedKalman::new(&vec![2.0; n], &diagonal(0.25), m, spread, Variant::Redrawn).expect("sound");
    let (process, noise) = (diagonal(2.5e-5), vec![4e-4; m]);
    let mut next = numbers(n as u64);
    let z: Vec<Vec<Option<f64>>> =
        (0..256).map(|_| (0..m).map(|_| Some(2.0 + 0.02 * next())).collect()).collect();
    let mut turn = 0;
    criterion.bench_function(&format!("unscented/tanks_n{n}/twinguard"), |bencher| {
        bencher.iter(|| {
            turn = (turn + 1) % z.len();
            filter.predict_with(cascade, &process).expect("finite");
            let plain = |measured: f64, predicted: f64, _: usize| measured - predicted;
            black_box(filter.update_with(look, black_box(&z[turn]), &noise, plain).expect("fits").nis)
        });
    });
}

/// Many twins in turns: a step of one, and a fork with its way back.
fn fleet<const N: usize, const M: usize>(criterion: &mut Criterion) {
    let System { F, Q, H, z, .. } = system::<N, M>();
    let identity = rows(&SMatrix::<f64, N, N>::identity());
    let filter =
        LinearKalman::new(&rows(&F), &rows(&Q), &rows(&H), &[0.2; M], &[0.0; N], &identity).expect("sound");
    let mut fleet = Fleet::new(filter, 10_000).expect("fits");
    let z: Vec<[Option<f64>; M]> = z.iter().map(|z| std::array::from_fn(|i| Some(z[i]))).collect();
    let mut turn = 0;
    criterion.bench_function(&format!("fleet/n{N}/step_of_one_of_10000"), |bencher| {
        bencher.iter(|| {
            turn += 1;
            black_box(fleet.step(turn % 10_000, black_box(&z[turn % z.len()])).expect("fits").nis)
        });
    });
    criterion.bench_function(&format!("fleet/n{N}/snapshot_and_restore"), |bencher| {
        let mut kept = vec![0.0; fleet.state(0).len()];
        bencher.iter(|| {
            turn += 1;
            kept.copy_from_slice(fleet.state(turn % 10_000));
            fleet.restore((turn + 1) % 10_000, black_box(&kept)).expect("its own");
        });
    });
}

/// What others say of every sensor of the cooling loop: the main filter's step with its bank, and without.
fn attribution(criterion: &mut Criterion) {
    let text = include_str!("../crates/twinguard-twin/plants/cooling_loop.toml");
    let plant = Plant::parse(text, "cooling_loop.toml").expect("the sample is sound");
    let dynamics = plant.dynamics.clone().expect("the sample has dynamics");
    let (model, input) = (&*dynamics.model, &dynamics.input_defaults);
    let variance = vec![0.01; model.output_names().len()];
    let mut main =
        ExtendedKalman::new(model, &dynamics.initial_state, &dynamics.initial_sigma, &dynamics.process_sigma)
            .expect("sound");
    let mut bank = LeaveOneOut::new(&main).expect("sound");
    let measured: Vec<Option<f64>> =
        main.predict_output(model, 0.0, input).iter().map(|predicted| Some(*predicted)).collect();
    let mut alone = main.clone();
    criterion.bench_function("leave_one_out/cooling_loop/main_filter_alone", |bencher| {
        bencher.iter(|| {
            alone.predict(model, 0.0, 1.0, 1.0, input).expect("finite");
            black_box(alone.update(model, 0.0, input, black_box(&measured), &variance).expect("fits").nis)
        });
    });
    criterion.bench_function("leave_one_out/cooling_loop/with_a_filter_per_sensor", |bencher| {
        bencher.iter(|| {
            main.predict(model, 0.0, 1.0, 1.0, input).expect("finite");
            bank.predicted(&main);
            main.update(model, 0.0, input, black_box(&measured), &variance).expect("fits");
            black_box(bank.updated(&main, &variance).expect("fits")[0].nis)
        });
    });
    criterion.bench_function("isolability/cooling_loop/200_slots", |bencher| {
        bencher.iter(|| black_box(Isolability::of(&plant, |_| true, 200).expect("sound")).causes().len());
    });
}

fn cooling_loop(criterion: &mut Criterion) {
    let text = include_str!("../crates/twinguard-twin/plants/cooling_loop.toml");
    let plant = Plant::parse(text, "cooling_loop.toml").expect("the sample is sound");
    let signals: Vec<(u16, SignalId, f64)> = plant
        .bindings
        .iter()
        .filter_map(|b| Some((b.tag.strip_prefix("u1/ir/")?.parse().ok()?, b.signal, b.scale)))
        .collect();
    let mut site = cooling_loop::Site::new(1, &cooling_loop::Options::default());
    let mut twin = Twin::new(&plant).expect("the sample has dynamics");
    let poll = |site: &mut cooling_loop::Site| -> Vec<Point> {
        site.plant.step();
        let now = site.plant.now();
        let read = |address| site.plant.read(1, Table::Input, address).expect("it is there");
        signals
            .iter()
            .map(|(address, signal, scale)| {
                let value = Value::real(f64::from(read(*address) as i16) * scale).expect("finite");
                Point::new(*signal, value, Source::Field, now)
            })
            .collect()
    };
    for _ in 0..300 {
        for point in poll(&mut site) {
            twin.observe(&point);
        }
        while twin.advance(site.plant.now()).is_some() {}
    }
    let points = poll(&mut site);
    let mut now = points[0].arrived_at;
    criterion.bench_function("twin/cooling_loop/slot_of_11_points", |bencher| {
        bencher.iter(|| {
            for point in &points {
                twin.observe(&Point { event_at: now, arrived_at: now, ..*point });
            }
            now = now + Duration::from_secs(1);
            black_box(twin.advance(now).map(|residual| residual.nis))
        });
    });
    criterion.bench_function("twin/cooling_loop/explain_128_slots", |bencher| {
        bencher.iter(|| black_box(twin.explain(now)).len());
    });
    let valve = plant.catalogue.id("cooler.valve.command").expect("the sample has it");
    let mut fork = twin.fork();
    criterion.bench_function("whatif/cooling_loop/60_min", |bencher| {
        bencher.iter(|| {
            fork.simulate(Duration::from_secs(3600), &[(valve, black_box(0.2))]).expect("an input").steps
        });
    });
    criterion.bench_function("twin/cooling_loop/rollback_1000_slots", |bencher| {
        let before = twin.clock().expect("it runs") - Duration::from_secs(1000);
        bencher.iter_batched(
            || twin.clone(),
            |mut twin| twin.rollback_to(before),
            criterion::BatchSize::LargeInput,
        );
    });
    criterion.bench_function("simulator/cooling_loop/60_s", |bencher| {
        bencher.iter(|| (0..60).for_each(|_| site.plant.step()));
    });
}

criterion_group!(benches, linear, attribution, cooling_loop);
criterion_main!(benches);
