//! Covariances stay positive definite under what a wire can bring: gaps, absurd values, sensors of absurd accuracy.

#![allow(clippy::expect_used, reason = "a test")]

use twinguard_twin::equation::{Compiled, Source};
use twinguard_twin::filters::{
    ExtendedKalman, Interacting, Kalman, LinearKalman, Spread, UnknownInput, UnscentedKalman, Variant,
};
use twinguard_twin::simulator::Noise;
use twinguard_twin::{Error, Model, TimeBase};

/// Tiny and large noise side by side, a mode that grows, one that hardly decays, hardly any process noise.
const F: [f64; 9] = [1.0, 1.0, 0.0, 0.0, 0.999_999, 0.1, 0.0, 0.0, 0.5];
const H: [f64; 9] = [1.0, 0.0, 0.0, 1.0, 1e-6, 0.0, 0.0, 1.0, 1.0];
const R: [f64; 3] = [1e-14, 1e-12, 1e4];

fn hostile(noise: &mut Noise) -> [Option<f64>; 3] {
    core::array::from_fn(|_| match (noise.uniform() * 8.0) as u32 {
        0 | 1 => None,
        2 => Some(f64::NAN),
        3 => Some(1e12 * noise.gaussian()),
        4 => Some(f64::INFINITY),
        _ => Some(noise.gaussian()),
    })
}

/// Symmetric to rounding, and every leading minor of its correlation matrix positive.
fn assert_positive(covariance: &[f64], step: usize) {
    let n = 3;
    assert!(covariance.iter().all(|entry| entry.is_finite()), "step {step}: {covariance:?}");
    for i in 0..n {
        assert!(covariance[i * n + i] > 0.0, "step {step}: {covariance:?}");
        for j in 0..n {
            let scale = covariance[i * n + i].sqrt() * covariance[j * n + j].sqrt();
            assert!((covariance[i * n + j] - covariance[j * n + i]).abs() <= 1e-12 * scale, "step {step}");
            assert!(covariance[i * n + j].abs() <= scale * (1.0 + 1e-9), "step {step}: {covariance:?}");
        }
    }
}

fn linear(steps: usize, process: &[f64]) {
    let p = [1e12, 0.0, 0.0, 0.0, 1e-6, 0.0, 0.0, 0.0, 1.0];
    let mut filter = LinearKalman::new(&F, process, &H, &R, &[0.0; 3], &p).expect("sound");
    let mut noise = Noise::new(17, 0);
    let mut covariance = [0.0; 9];
    for step in 0..steps {
        let found = filter.step(&hostile(&mut noise)).expect("fits");
        assert!(found.nis >= 0.0 && found.log_likelihood().is_finite());
        let (_, d) = filter.kalman().factors();
        assert!(d.iter().all(|d| *d > 0.0 && d.is_finite()), "step {step}: {d:?}");
        if step.is_multiple_of(97) {
            filter.kalman().covariance(&mut covariance);
            assert_positive(&covariance, step);
        }
    }
}

fn unscented(steps: usize, variant: Variant) {
    let p = [1e6, 0.0, 0.0, 0.0, 1e-6, 0.0, 0.0, 0.0, 1.0];
    let q = [1e-12, 0.0, 0.0, 0.0, 1e-12, 0.0, 0.0, 0.0, 1e-6];
    let spread = Spread { alpha: 0.1, beta: 2.0, kappa: 0.0 };
    let mut filter = UnscentedKalman::new(&[0.0; 3], &p, 3, spread, variant).expect("sound");
    let mut noise = Noise::new(23, 0);
    let mut covariance = [0.0; 9];
    let bend = |x: &[f64], out: &mut [f64]| {
        (out[0], out[1], out[2]) =
            (0.9 * x[0] + x[1].sin(), 0.99 * x[1] + 0.1 * x[2].tanh(), 0.5 * x[2] + (0.01 * x[0]).cos());
    };
    let look = |x: &[f64], out: &mut [f64]| {
        (out[0], out[1], out[2]) = (x[0], x[0] + 1e-6 * x[1], x[1] + x[2].atan());
    };
    for step in 0..steps {
        filter.predict_with(bend, &q).expect("finite");
        let found = filter.update_with(look, &hostile(&mut noise), &R, |z, y, _| z - y).expect("positive");
        assert!(found.nis >= 0.0 && found.log_likelihood().is_finite(), "step {step}");
        filter.covariance(&mut covariance);
        assert_positive(&covariance, step);
        // So far from zero the points fall together in the last bits: start again.
        if filter.mean().iter().any(|mean| mean.abs() > 1e9) {
            filter = UnscentedKalman::new(&[0.0; 3], &p, 3, spread, variant).expect("sound");
        }
    }
}

/// The bent plant of [`unscented`] as a model with exact Jacobians; `decay` tells modes apart.
fn bent(decay: f64) -> Compiled {
    let names = |names: [&str; 3]| names.map(str::to_owned).to_vec();
    let text = format!(
        "a' = {decay} * a + sin(b)\nb' = 0.99 * b + 0.1 * tanh(c)\nc' = 0.5 * c + cos(0.01 * a)\n\
         x = a\ny = a + 1e-6 * b\nz = b + atan(c)\n"
    );
    let base = TimeBase::Discrete { step_s: 1.0 };
    let (states, outputs) = (names(["a", "b", "c"]), names(["x", "y", "z"]));
    Source { text, base, states, inputs: vec![], outputs, parameters: vec![] }.compile(&[]).expect("sound")
}

fn bent_filter(model: &dyn Model) -> ExtendedKalman {
    ExtendedKalman::new(model, &[0.0; 3], &[1e3, 1e-3, 1.0], &[1e-6, 1e-6, 1e-3]).expect("sound")
}

fn assert_factored(kalman: &Kalman, step: usize, covariance: &mut [f64; 9]) {
    let (_, d) = kalman.factors();
    assert!(d.iter().all(|d| *d > 0.0 && d.is_finite()), "step {step}: {d:?}");
    if step.is_multiple_of(97) {
        kalman.covariance(covariance);
        assert_positive(covariance, step);
    }
}

fn extended(steps: usize) {
    let model = bent(0.9);
    let mut filter = bent_filter(&model);
    let (mut noise, mut covariance) = (Noise::new(29, 0), [0.0; 9]);
    for step in 0..steps {
        filter.predict(&model, 0.0, 1.0, 1.0, &[]).expect("finite");
        let found = filter.update(&model, 0.0, &[], &hostile(&mut noise), &R).expect("fits");
        assert!(found.nis >= 0.0 && found.log_likelihood().is_finite(), "step {step}");
        assert_factored(filter.kalman(), step, &mut covariance);
    }
}

fn interacting(steps: usize) {
    let (sound, worn) = (bent(0.9), bent(0.5));
    let models: [&dyn Model; 2] = [&sound, &worn];
    let filters = vec![bent_filter(&sound), bent_filter(&worn)];
    let mut bank = Interacting::new(filters, &[0.99, 0.01, 0.01, 0.99], &[1.0, 1.0]).expect("sound");
    let (mut noise, mut covariance) = (Noise::new(31, 0), [0.0; 9]);
    for step in 0..steps {
        bank.predict(&models, 0.0, 1.0, 1.0, &[]).expect("finite");
        let found = bank.update(&models, 0.0, &[], &hostile(&mut noise), &R).expect("fits");
        let total: f64 = found.probability.iter().sum();
        assert!((total - 1.0).abs() < 1e-9 && found.log_likelihood.is_finite(), "step {step}");
        for mode in bank.modes() {
            assert_factored(mode.kalman(), step, &mut covariance);
        }
        assert_factored(bank.kalman(), step, &mut covariance);
    }
}

/// Nobody knows what drives the third state; while no sensor shows it that is said, and the prediction stays.
fn unknown_input(steps: usize) {
    let process = [1e-12, 0.0, 0.0, 0.0, 1e-12, 0.0, 0.0, 0.0, 1e-6];
    let p = [1e6, 0.0, 0.0, 0.0, 1e-6, 0.0, 0.0, 0.0, 1.0];
    let mut filter = UnknownInput::new(&F, &[0.0, 0.0, 1.0], &process, &H, &R, &[0.0; 3], &p).expect("sound");
    let (mut noise, mut covariance, mut told) = (Noise::new(37, 0), [0.0; 9], 0);
    for step in 0..steps {
        let found = filter.step(&hostile(&mut noise));
        assert!(matches!(found, Ok(_) | Err(Error::Unobservable { .. })), "step {step}: {found:?}");
        if let Ok(found) = found {
            assert!(found.nis >= 0.0 && found.log_likelihood.is_finite(), "step {step}");
            told += 1;
        }
        assert_factored(filter.kalman(), step, &mut covariance);
    }
    assert!(told > steps / 4, "{told}");
}

#[test]
fn extended_filters_stay_positive_for_many_hostile_steps() {
    extended(100_000);
    interacting(30_000);
}

#[test]
fn an_observer_of_unknown_inputs_stays_positive_for_many_hostile_steps() {
    unknown_input(30_000);
}

/// `.ci/long/hostile` runs it.
#[test]
#[ignore = "half a minute: .ci/long/hostile"]
fn extended_filters_and_observers_stay_positive_for_a_million_hostile_steps() {
    extended(1_000_000);
    interacting(1_000_000);
    unknown_input(1_000_000);
}

#[test]
fn a_linear_filter_stays_positive_for_a_million_hostile_steps() {
    linear(1_000_000, &[1e-12, 0.0, 0.0, 0.0, 1e-12, 0.0, 0.0, 0.0, 1e-6]);
}

#[test]
fn without_process_noise_it_stays_positive_while_numbers_last() {
    linear(300, &[0.0; 9]);
}

#[test]
fn an_unscented_filter_stays_positive_for_many_hostile_steps() {
    unscented(30_000, Variant::Redrawn);
    unscented(10_000, Variant::Augmented);
}

/// `.ci/long/hostile` runs it.
#[test]
#[ignore = "half a minute: .ci/long/hostile"]
fn an_unscented_filter_stays_positive_for_a_million_hostile_steps() {
    unscented(1_000_000, Variant::Redrawn);
    unscented(1_000_000, Variant::Augmented);
}
