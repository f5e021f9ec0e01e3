//! Covariances stay positive definite under what a wire can bring: gaps, absurd values, sensors of absurd accuracy.

#![allow(clippy::expect_used, reason = "a test")]

use twinguard_twin::filters::{LinearKalman, Spread, UnscentedKalman, Variant};
use twinguard_twin::simulator::Noise;

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
        if step % 97 == 0 {
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
#[ignore = "half a minute"]
fn an_unscented_filter_stays_positive_for_a_million_hostile_steps() {
    unscented(1_000_000, Variant::Redrawn);
    unscented(1_000_000, Variant::Augmented);
}
