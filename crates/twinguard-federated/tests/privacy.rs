//! Privacy from outside: what an attacker can measure stays below what is claimed, and what is released is still of use.
#![allow(clippy::unwrap_used)]

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::{Distribution, StandardNormal};
use twinguard_anomaly::statistic::{Column, Covariance, Gram, Grid, Quantise, Statistic, Subspace, Tally};
use twinguard_federated::Error;
use twinguard_federated::privacy::{
    DiscreteGaussian, Ledger, Release, Rho, Stream, epsilon, noise_for, release,
};
use twinguard_types::Digest;

const DELTA: f64 = 1e-6;
const TRIALS: u32 = 100_000;

/// Ends of the 99.9 % interval of a share, by Wilson's score.
fn interval(hits: u32, trials: u32) -> (f64, f64) {
    let (n, z) = (f64::from(trials), 3.29);
    let p = f64::from(hits) / n;
    let centre = (p + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let half = z / (1.0 + z * z / n) * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    ((centre - half).max(0.0), (centre + half).min(1.0))
}

/// The largest ε that so many observations prove, at the best of several thresholds.
fn proven(with: &[f64], without: &[f64], delta: f64) -> f64 {
    let trials = with.len() as u32;
    let above = |values: &[f64], limit: f64| values.iter().filter(|value| **value > limit).count() as u32;
    let (low, high) =
        with.iter().chain(without).fold((f64::MAX, f64::MIN), |(a, b), x| (a.min(*x), b.max(*x)));
    (0..60)
        .map(|k| low + (high - low) * f64::from(k) / 60.0)
        .map(|limit| {
            let (hit, _) = interval(above(with, limit), trials);
            let (_, miss) = interval(above(without, limit), trials);
            if hit > delta { ((hit - delta) / miss).ln() } else { 0.0 }
        })
        .fold(0.0, f64::max)
}

#[test]
fn an_audit_does_not_prove_more_than_is_claimed() {
    // one column, clipped to one unit of 16 steps; the row that differs is at the end or in the middle, and the attacker looks along the
    // difference of the cells, which no other statistic tells apart better (Neyman and Pearson)
    let column = Column { centre: 0.0, unit: 1.0 };
    let plan = Gram::new(Grid::new(vec![column], 4, 1, None).unwrap(), 0).unwrap();
    let tally = |last: f64| {
        let mut tally = Tally::new(plan.clone());
        for value in [0.25, -0.5, 0.75, last] {
            tally.observe(&[value]).unwrap();
        }
        tally
    };
    let (one, other) = (tally(1.0), tally(0.0));
    let difference: Vec<f64> = one.cells().iter().zip(other.cells()).map(|(a, b)| (a - b) as f64).collect();
    for claimed in [0.5, 1.0, 3.0] {
        let rho = Rho::for_epsilon(claimed, DELTA).unwrap();
        let mut rng = Stream::new(&[1; 32], b"audit");
        let noise = noise_for(&one, rho).unwrap();
        // the cells in the open: clamping afterwards can only help
        let mut seen = |tally: &Tally<Gram>| -> Vec<f64> {
            let mut once = || -> f64 {
                let parts = tally.cells().iter().zip(&difference).zip(&noise);
                parts
                    .map(|((cell, d), noise)| {
                        let drawn = *cell as f64 + noise.sample(&mut rng) as f64;
                        d / (noise.sigma() as f64).powi(2) * drawn
                    })
                    .sum()
            };
            (0..TRIALS).map(|_| once()).collect()
        };
        let proved = proven(&seen(&one), &seen(&other), DELTA);
        assert!(proved <= claimed, "claimed {claimed}, proved {proved}");
        assert!(proved > 0.02 * claimed, "the audit has teeth: {proved}");
    }
}

#[test]
fn an_audit_finds_noise_that_is_too_small() {
    let rho = Rho::for_epsilon(1.0, DELTA).unwrap();
    const APART: f64 = 12.0;
    let sigma = (APART * APART / (2.0 * rho.value())).sqrt().ceil();
    let mut rng = Stream::new(&[2; 32], b"audit");
    let honest = DiscreteGaussian::new(sigma).unwrap();
    let cheat = DiscreteGaussian::new((sigma / 6.0).floor()).unwrap();
    let mut run = |noise: &DiscreteGaussian| {
        let with: Vec<f64> = (0..TRIALS).map(|_| APART + noise.sample(&mut rng) as f64).collect();
        let without: Vec<f64> = (0..TRIALS).map(|_| noise.sample(&mut rng) as f64).collect();
        proven(&with, &without, DELTA)
    };
    assert!(run(&honest) <= 1.0);
    assert!(run(&cheat) > 1.0, "a sixth of the noise is found out");
}

#[test]
fn at_epsilon_one_the_directions_are_kept() {
    // 200,000 rows of 51 columns, ten drives
    const COLUMNS: usize = 51;
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
    let loadings: Vec<[f64; 10]> = (0..COLUMNS).map(|_| core::array::from_fn(|_| normal() / 3.0)).collect();
    let grid = Grid::around([(0.0, 1.0); COLUMNS]).unwrap().with_bits(6).unwrap().with_norm(10.0).unwrap();
    let mut tally = Tally::new(Gram::new(grid, 0).unwrap());
    let mut row = [0.0; COLUMNS];
    for _ in 0..200_000 {
        let drives: [f64; 10] = core::array::from_fn(|_| normal());
        for (value, weights) in row.iter_mut().zip(&loadings) {
            *value = weights.iter().zip(drives).map(|(w, d)| w * d).sum::<f64>() + 0.3 * normal();
        }
        tally.observe(&row).unwrap();
    }
    let exact = Covariance::of(&tally).unwrap();
    let best = Subspace::with_directions(&exact, 10).unwrap().captured(&exact);
    let mut kept = Vec::new();
    for claimed in [0.1, 0.5, 1.0] {
        let rho = Rho::for_epsilon(claimed, DELTA).unwrap();
        assert!(epsilon(rho, DELTA).unwrap() <= claimed);
        let noisy = release(tally.clone(), rho, &mut Stream::new(&[3; 32], b"utility")).unwrap();
        let model = Subspace::with_directions(&Covariance::of(&noisy).unwrap(), 10).unwrap();
        kept.push(model.captured(&exact) / best);
        println!("ε = {claimed}: {:.5} of the captured variance", kept[kept.len() - 1]);
    }
    assert!(kept[2] >= 0.999 && kept[0] <= kept[2], "{kept:?}");
}

#[test]
fn a_ledger_stands_between_a_site_and_its_second_release() {
    let rho = Rho::for_epsilon(1.0, DELTA).unwrap();
    let mut ledger = Ledger::new(rho);
    let round = |round| Release { federation: Digest([4; 32]), round, rho };
    ledger.spend(round(1)).unwrap();
    // written down, lost, read again
    let mut ledger = Ledger::decode(&ledger.encode()).unwrap();
    assert!(matches!(ledger.spend(round(2)), Err(Error::Overspent { .. })));
    ledger.spend(round(1)).unwrap();
    // the noise of a round is drawn once
    let plan =
        Gram::new(Grid::around([(0.0, 1.0)]).unwrap().with_bits(4).unwrap().with_norm(1.0).unwrap(), 0)
            .unwrap();
    let mut tally = Tally::new(plan);
    (0..1000).for_each(|k| assert!(tally.observe(&[f64::from(k % 10) / 10.0]).is_ok()));
    let draw =
        |round: u64| release(tally.clone(), rho, &mut Stream::new(&[5; 32], &round.to_be_bytes())).unwrap();
    assert_eq!(draw(1).digest(), draw(1).digest());
    assert_ne!(draw(1).digest(), draw(2).digest());
    assert_ne!(draw(1).digest(), tally.digest());
}
