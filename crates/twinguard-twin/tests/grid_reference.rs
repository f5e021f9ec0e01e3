//! The sparse estimator against a slow, obvious one: textbook formulas, automatic derivatives, dense normal equations, on
//! grids that are drawn: trees, meshes, parallel lines, taps, phase shifters, shunts, every kind of meter.
//!
//! Formulas: A. Abur, A. Gómez Expósito (2004) §2.4, with taps and shifts after MATPOWER's manual.

#![allow(clippy::unwrap_used, missing_docs, reason = "a test")]

use core::ops::{Add, Mul, Neg, Sub};

use nalgebra::{DMatrix, DVector};
use proptest::prelude::*;
use twinguard_twin::Error;
use twinguard_twin::grid::{
    Branch, Bus, BusKind, Estimator, Grid, Injections, Limit, Meter, Options, PowerFlow, Quantity, Side,
    Start, two_sided_quantile,
};
use twinguard_twin::simulator::Noise;

/// A number with a derivative in one direction.
#[derive(Clone, Copy, Debug)]
struct Dual(f64, f64);

impl Add for Dual {
    type Output = Self;
    fn add(self, b: Self) -> Self {
        Self(self.0 + b.0, self.1 + b.1)
    }
}
impl Sub for Dual {
    type Output = Self;
    fn sub(self, b: Self) -> Self {
        Self(self.0 - b.0, self.1 - b.1)
    }
}
impl Mul for Dual {
    type Output = Self;
    fn mul(self, b: Self) -> Self {
        Self(self.0 * b.0, self.0 * b.1 + self.1 * b.0)
    }
}
impl Neg for Dual {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0, -self.1)
    }
}
impl Dual {
    fn cos(self) -> Self {
        Self(self.0.cos(), -self.0.sin() * self.1)
    }
    fn sin(self) -> Self {
        Self(self.0.sin(), self.0.cos() * self.1)
    }
    fn sqrt(self) -> Self {
        let root = self.0.sqrt();
        Self(root, if root > 0.0 { self.1 / (2.0 * root) } else { 0.0 })
    }
}

const fn number(value: f64) -> Dual {
    Dual(value, 0.0)
}

/// Active and reactive power into a branch.
fn flow(branch: &Branch, side: Side, vm: &[Dual], va: &[Dual]) -> [Dual; 2] {
    if !branch.in_service {
        return [number(0.0); 2];
    }
    let square = branch.r_pu * branch.r_pu + branch.x_pu * branch.x_pu;
    let (g, b) = (number(branch.r_pu / square), number(-branch.x_pu / square));
    let (half_g, half_b) = (number(branch.g_pu / 2.0), number(branch.b_pu / 2.0));
    let shift = number(branch.shift_rad);
    let (own, other, angle) = match side {
        Side::From => (
            vm[branch.from] * number(1.0 / branch.tap),
            vm[branch.to],
            va[branch.from] - va[branch.to] - shift,
        ),
        Side::To => (
            vm[branch.to],
            vm[branch.from] * number(1.0 / branch.tap),
            va[branch.to] - va[branch.from] + shift,
        ),
    };
    let p = own * own * (g + half_g) - own * other * (g * angle.cos() + b * angle.sin());
    let q = -(own * own * (b + half_b)) - own * other * (g * angle.sin() - b * angle.cos());
    [p, q]
}

fn injection(grid: &Grid, bus: usize, vm: &[Dual], va: &[Dual]) -> [Dual; 2] {
    let shunt = &grid.buses()[bus];
    let square = vm[bus] * vm[bus];
    let mut sum = [square * number(shunt.shunt_g_pu), -(square * number(shunt.shunt_b_pu))];
    for branch in grid.branches() {
        for (end, side) in [(branch.from, Side::From), (branch.to, Side::To)] {
            if end == bus {
                let [p, q] = flow(branch, side, vm, va);
                sum = [sum[0] + p, sum[1] + q];
            }
        }
    }
    sum
}

fn measured(grid: &Grid, quantity: Quantity, vm: &[Dual], va: &[Dual]) -> Dual {
    match quantity {
        Quantity::Voltage(bus) => vm[bus],
        Quantity::Angle(bus) => va[bus],
        Quantity::ActiveInjection(bus) => injection(grid, bus, vm, va)[0],
        Quantity::ReactiveInjection(bus) => injection(grid, bus, vm, va)[1],
        Quantity::ActiveFlow(branch, side) => flow(&grid.branches()[branch], side, vm, va)[0],
        Quantity::ReactiveFlow(branch, side) => flow(&grid.branches()[branch], side, vm, va)[1],
        Quantity::Current(branch, side) => {
            let line = &grid.branches()[branch];
            let [p, q] = flow(line, side, vm, va);
            let v = vm[if side == Side::From { line.from } else { line.to }];
            let apparent = (p * p + q * q).sqrt();
            Dual(apparent.0 / v.0, (apparent.1 * v.0 - apparent.0 * v.1) / (v.0 * v.0))
        }
    }
}

/// State, objective, and normalised residuals.
struct Reference {
    vm: Vec<f64>,
    va: Vec<f64>,
    objective: f64,
    normal: Vec<f64>,
}

/// Gauss–Newton from the truth on, with the reference bus 0; `exact` quantities are zero, by Lagrange multipliers.
fn reference(
    grid: &Grid,
    meters: &[Meter],
    used: &[bool],
    values: &[f64],
    truth: &Truth,
    exact: &[Quantity],
) -> Reference {
    let n = grid.buses().len();
    let (mut vm, mut va) = (truth.vm.clone(), truth.va.clone());
    let states = 2 * n - 1;
    let rows: Vec<usize> = (0..meters.len()).filter(|meter| used[*meter]).collect();
    let evaluate = |vm: &[f64], va: &[f64], list: &[Quantity]| {
        let (mut h, mut jacobian) = (DVector::zeros(list.len()), DMatrix::zeros(list.len(), states));
        for state in 0..states {
            let seed = |list: &[f64], own: Option<usize>| -> Vec<Dual> {
                list.iter()
                    .enumerate()
                    .map(|(at, v)| Dual(*v, f64::from(u8::from(own == Some(at)))))
                    .collect()
            };
            let va = seed(va, (state < n - 1).then_some(state + 1));
            let vm = seed(vm, state.checked_sub(n - 1));
            for (row, quantity) in list.iter().enumerate() {
                let Dual(value, slope) = measured(grid, *quantity, &vm, &va);
                (h[row], jacobian[(row, state)]) = (value, slope);
            }
        }
        (h, jacobian)
    };
    let quantities: Vec<Quantity> = rows.iter().map(|row| meters[*row].quantity).collect();
    let z = DVector::from_iterator(rows.len(), rows.iter().map(|row| values[*row]));
    let weight = DVector::from_iterator(rows.len(), rows.iter().map(|row| meters[*row].sigma.powi(-2)));
    for _ in 0..60 {
        let (h, jacobian) = evaluate(&vm, &va, &quantities);
        let (c, c_jacobian) = evaluate(&vm, &va, exact);
        let weighted =
            DMatrix::from_fn(rows.len(), states, |row, state| weight[row] * jacobian[(row, state)]);
        let size = states + exact.len();
        let mut system = DMatrix::zeros(size, size);
        system.view_mut((0, 0), (states, states)).copy_from(&(jacobian.transpose() * &weighted));
        system.view_mut((states, 0), (exact.len(), states)).copy_from(&c_jacobian);
        system.view_mut((0, states), (states, exact.len())).copy_from(&c_jacobian.transpose());
        let mut right = DVector::zeros(size);
        right.rows_mut(0, states).copy_from(&(weighted.transpose() * (&z - &h)));
        right.rows_mut(states, exact.len()).copy_from(&-c);
        let step = system.full_piv_lu().solve(&right).unwrap();
        (1..n).for_each(|bus| va[bus] += step[bus - 1]);
        (0..n).for_each(|bus| vm[bus] += step[n - 1 + bus]);
        if step.rows(0, states).amax() < 1e-12 {
            break;
        }
    }
    let (h, jacobian) = evaluate(&vm, &va, &quantities);
    let residual = &z - &h;
    let objective = residual.iter().zip(weight.iter()).map(|(r, w)| w * r * r).sum();
    let weighted = DMatrix::from_fn(rows.len(), states, |row, state| weight[row] * jacobian[(row, state)]);
    let mut normal = vec![0.0; meters.len()];
    if let Some(inverse) = (jacobian.transpose() * weighted).try_inverse() {
        for (at, row) in rows.iter().enumerate() {
            let own = jacobian.row(at);
            let variance = 1.0 / weight[at] - (own * &inverse * own.transpose())[0];
            if variance * weight[at] > 1e-6 {
                normal[*row] = residual[at] / variance.sqrt();
            }
        }
    }
    Reference { vm, va, objective, normal }
}

struct Truth {
    vm: Vec<f64>,
    va: Vec<f64>,
}

/// A grid of a random shape and a state of it.
fn draw(noise: &mut Noise, buses: usize, more: usize) -> (Grid, Truth) {
    let mut truth = Truth { vm: vec![], va: vec![0.2] };
    let mut branches: Vec<Branch> = Vec::new();
    let branch = |noise: &mut Noise, from: usize, to: usize| {
        let mut branch = Branch::line(from, to, noise.between(0.002, 0.04), noise.between(0.02, 0.2));
        match (noise.uniform() * 5.0) as u32 {
            0 => branch.tap = noise.between(0.9, 1.1),
            1 => (branch.tap, branch.shift_rad) = (noise.between(0.95, 1.05), noise.between(-0.6, 0.6)),
            2 => branch.g_pu = noise.between(0.0, 0.01),
            _ => branch.b_pu = noise.between(0.0, 0.1),
        }
        branch
    };
    for to in 1..buses {
        let from = (noise.uniform() * to as f64) as usize;
        let line = branch(noise, from, to);
        truth.va.push(truth.va[from] - line.shift_rad + noise.between(-0.08, 0.08));
        branches.push(line);
    }
    for _ in 0..more {
        let line = (noise.uniform() * branches.len() as f64) as usize;
        let [from, to] = if noise.uniform() < 0.3 {
            // A parallel line, the other way round.
            [branches[line].to, branches[line].from]
        } else {
            [0, 1].map(|_| (noise.uniform() * buses as f64) as usize)
        };
        if from != to {
            // What shifts in a mesh has to fit around it.
            let mut line = branch(noise, from, to);
            line.shift_rad = truth.va[from] - truth.va[to] + noise.between(-0.08, 0.08);
            line.in_service = noise.uniform() > 0.1;
            branches.push(line);
        }
    }
    truth.vm = (0..buses).map(|_| noise.between(0.95, 1.06)).collect();
    let mut list = vec![Bus::default(); buses];
    for bus in &mut list {
        if noise.uniform() < 0.3 {
            (bus.shunt_g_pu, bus.shunt_b_pu) = (noise.between(0.0, 0.05), noise.between(-0.2, 0.3));
        }
    }
    (list[0].kind, list[0].angle_rad) = (BusKind::Reference, 0.2);
    (Grid::new(100.0, list, branches).unwrap(), truth)
}

fn meters(noise: &mut Noise, grid: &Grid, rich: bool) -> Vec<Meter> {
    let mut list = vec![];
    let mut add = |quantity, sigma| list.push(Meter { quantity, sigma });
    for bus in 0..grid.buses().len() {
        if bus == 0 || noise.uniform() < 0.6 {
            add(Quantity::Voltage(bus), 0.004);
        }
        if noise.uniform() < 0.9 {
            add(Quantity::ActiveInjection(bus), 0.01);
            add(Quantity::ReactiveInjection(bus), 0.01);
        }
        if rich && noise.uniform() < 0.3 {
            add(Quantity::Angle(bus), 0.002);
        }
    }
    for branch in 0..grid.branches().len() {
        for side in [Side::From, Side::To] {
            if side == Side::From || noise.uniform() < 0.5 {
                add(Quantity::ActiveFlow(branch, side), 0.008);
                add(Quantity::ReactiveFlow(branch, side), 0.008);
            }
            if rich && noise.uniform() < 0.3 {
                add(Quantity::Current(branch, side), 0.01);
            }
        }
    }
    // The same thing measured twice.
    add(Quantity::Voltage(0), 0.003);
    list
}

fn values(noise: &mut Noise, grid: &Grid, meters: &[Meter], truth: &Truth) -> Vec<f64> {
    let duals = |list: &[f64]| -> Vec<Dual> { list.iter().copied().map(number).collect() };
    let (vm, va) = (duals(&truth.vm), duals(&truth.va));
    let value = |meter: &Meter| measured(grid, meter.quantity, &vm, &va).0 + meter.sigma * noise.gaussian();
    meters.iter().map(value).collect()
}

fn apart(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_finds_what_the_dense_one_finds(seed in any::<u64>(), buses in 2_usize..18, more in 0_usize..14, rich in any::<bool>()) {
        let mut noise = Noise::new(seed, 0);
        let (grid, truth) = draw(&mut noise, buses, more);
        let meters = meters(&mut noise, &grid, rich);
        let values = values(&mut noise, &grid, &meters, &truth);
        let mut estimator = Estimator::new(&grid, &meters, &[]).unwrap();
        let fit = estimator.estimate(&values, Start::Flat, &Options::default()).unwrap();
        let all = vec![true; meters.len()];
        let expected = reference(&grid, &meters, &all, &values, &truth, &[]);
        prop_assert!(apart(estimator.magnitudes_pu(), &expected.vm) < 1e-9);
        prop_assert!(apart(estimator.angles_rad(), &expected.va) < 1e-9);
        prop_assert!((fit.objective / expected.objective - 1.0).abs() < 1e-7);
        prop_assert_eq!(fit.dof, meters.len() + 1 - 2 * buses);
        let mut normal = Vec::new();
        estimator.normalised_residuals(&mut normal);
        let normal: Vec<f64> = normal.into_iter().map(|entry| entry.unwrap_or(0.0)).collect();
        prop_assert!(apart(&normal, &expected.normal) < 1e-5);
    }

    #[test]
    fn it_takes_out_what_the_dense_one_takes_out(seed in any::<u64>(), buses in 6_usize..18, errors in 1_usize..4) {
        let mut noise = Noise::new(seed, 0);
        let (grid, truth) = draw(&mut noise, buses, buses);
        let meters = meters(&mut noise, &grid, false);
        let mut values = values(&mut noise, &grid, &meters, &truth);
        for _ in 0..errors {
            let bad = (noise.uniform() * meters.len() as f64) as usize;
            values[bad] += 30.0 * meters[bad].sigma;
        }
        let mut used = vec![true; meters.len()];
        let mut removed = Vec::new();
        loop {
            let found = reference(&grid, &meters, &used, &values, &truth, &[]);
            let sizes = found.normal.iter().map(|entry| entry.abs()).enumerate();
            let (worst, size) = sizes.fold((0, 0.0), |best, entry| if entry.1 > best.1 * (1.0 + 1e-9) { entry } else { best });
            if size <= two_sided_quantile(0.05 / used.iter().filter(|used| **used).count() as f64) {
                break;
            }
            used[worst] = false;
            removed.push(worst);
        }
        let mut estimator = Estimator::new(&grid, &meters, &[]).unwrap();
        let found = estimator.clean(&values, Start::Flat, &Options::default(), Limit::default()).unwrap();
        prop_assert_eq!(found.removed, removed);
    }

    #[test]
    fn zero_injections_hold_exactly(seed in any::<u64>(), buses in 3_usize..14) {
        let mut noise = Noise::new(seed, 0);
        let (grid, truth) = draw(&mut noise, buses, buses / 2);
        // The state with nothing injected at two buses.
        let mut injections = Injections::at(&grid, &truth.vm, &truth.va);
        let zero = [1, buses - 1];
        for bus in zero {
            (injections.active_pu[bus], injections.reactive_pu[bus]) = (0.0, 0.0);
        }
        let mut flow = PowerFlow::new(&grid).unwrap();
        prop_assume!(flow.solve(&injections, Start::Flat).is_ok());
        prop_assume!(flow.magnitudes_pu().iter().all(|v| (0.7..1.3).contains(v)));
        let truth = Truth { vm: flow.magnitudes_pu().to_vec(), va: flow.angles_rad().to_vec() };
        let mut meters = meters(&mut noise, &grid, false);
        let at_zero = |bus: usize| zero.contains(&bus);
        meters.retain(|meter| !matches!(meter.quantity, Quantity::ActiveInjection(b) | Quantity::ReactiveInjection(b) if at_zero(b)));
        let values = values(&mut noise, &grid, &meters, &truth);
        let mut estimator = Estimator::new(&grid, &meters, &zero).unwrap();
        let fit = estimator.estimate(&values, Start::Flat, &Options::default()).unwrap();
        let exact = zero.map(|bus| [Quantity::ActiveInjection(bus), Quantity::ReactiveInjection(bus)]).concat();
        let expected = reference(&grid, &meters, &vec![true; meters.len()], &values, &truth, &exact);
        prop_assert!(apart(estimator.magnitudes_pu(), &expected.vm) < 1e-8);
        prop_assert!(apart(estimator.angles_rad(), &expected.va) < 1e-8);
        prop_assert!((fit.objective - expected.objective).abs() < 1e-6 * expected.objective.max(1.0));
        let found = grid.injections(estimator.magnitudes_pu(), estimator.angles_rad());
        for bus in zero {
            prop_assert!(found[bus].0.abs() < 1e-9 && found[bus].1.abs() < 1e-9);
        }
    }

    #[test]
    fn what_no_meter_sees_is_named(seed in any::<u64>(), buses in 3_usize..20, more in 0_usize..8) {
        let mut noise = Noise::new(seed, 0);
        let (grid, truth) = draw(&mut noise, buses, more);
        // Few meters: the dense rank says whether that is enough.
        let mut meters = meters(&mut noise, &grid, false);
        meters.retain(|_| noise.uniform() < 0.35);
        let values = values(&mut noise, &grid, &meters, &truth);
        let flat: Vec<Dual> = vec![number(1.0); buses];
        let angles: Vec<f64> = {
            let mut estimator = Estimator::new(&grid, &[], &[]).unwrap();
            prop_assert!(!estimator.observability().is_complete());
            estimator.angles_rad().to_vec()
        };
        let mut jacobian = DMatrix::zeros(meters.len(), 2 * buses - 1);
        for state in 0..2 * buses - 1 {
            let va: Vec<Dual> = angles.iter().enumerate()
                .map(|(bus, a)| Dual(*a, f64::from(u8::from(bus == state + 1 && state < buses - 1)))).collect();
            let vm: Vec<Dual> = flat.iter().enumerate()
                .map(|(bus, v)| Dual(v.0, f64::from(u8::from(Some(bus) == state.checked_sub(buses - 1))))).collect();
            for (row, meter) in meters.iter().enumerate() {
                jacobian[(row, state)] = measured(&grid, meter.quantity, &vm, &va).1;
            }
        }
        let least = if meters.len() < 2 * buses - 1 {
            0.0
        } else {
            let singular = jacobian.singular_values();
            singular.min() / singular.max()
        };
        // In between nobody can say whether it is seen.
        prop_assume!(!(1e-11..1e-5).contains(&least));
        let complete = least >= 1e-5;
        let mut estimator = Estimator::new(&grid, &meters, &[]).unwrap();
        let found = estimator.observability();
        prop_assert_eq!(found.is_complete(), complete);
        prop_assert_eq!(found.islands.iter().map(Vec::len).sum::<usize>(), buses);
        match estimator.estimate(&values, Start::Flat, &Options::default()) {
            Err(Error::NotObservable { island }) => {
                prop_assert!(!complete);
                prop_assert!(!island.is_empty() && !island.contains(&buses));
            }
            Err(Error::NotConverged { .. }) => {}
            other => prop_assert!(complete, "{:?}", other),
        }
        // With what is missing measured, everything is seen.
        let mut rounds = 0;
        let mut left = found;
        while !left.is_complete() && rounds < 4 {
            rounds += 1;
            let candidates = estimator.candidates();
            meters.extend(candidates.into_iter().map(|quantity| Meter { quantity, sigma: 0.01 }));
            for branch in left.unseen_branches {
                meters.push(Meter { quantity: Quantity::ReactiveFlow(branch, Side::From), sigma: 0.01 });
            }
            estimator = Estimator::new(&grid, &meters, &[]).unwrap();
            left = estimator.observability();
        }
        prop_assert!(left.is_complete(), "after {} rounds: {:?}", rounds, left);
    }
}

#[test]
fn an_island_without_meters_is_named() {
    let mut buses = vec![Bus::default(); 5];
    buses[0].kind = BusKind::Reference;
    let lines = [(0, 1), (1, 2), (3, 4)].map(|(from, to)| Branch::line(from, to, 0.01, 0.1));
    let grid = Grid::new(100.0, buses, lines.to_vec()).unwrap();
    let meter = |quantity| Meter { quantity, sigma: 0.01 };
    let mut meters = vec![meter(Quantity::Voltage(0))];
    for branch in 0..2 {
        meters.push(meter(Quantity::ActiveFlow(branch, Side::From)));
        meters.push(meter(Quantity::ReactiveFlow(branch, Side::From)));
    }
    let mut estimator = Estimator::new(&grid, &meters, &[]).unwrap();
    let values = [1.0, 0.1, 0.0, 0.1, 0.0];
    let error = estimator.estimate(&values, Start::Flat, &Options::default()).unwrap_err();
    let Error::NotObservable { island } = error else { panic!("{error}") };
    assert!(island.iter().all(|bus| [3, 4].contains(bus)), "{island:?}");
    meters.push(meter(Quantity::Voltage(3)));
    meters.push(meter(Quantity::ActiveFlow(2, Side::To)));
    meters.push(meter(Quantity::ReactiveFlow(2, Side::To)));
    let mut estimator = Estimator::new(&grid, &meters, &[]).unwrap();
    let fit =
        estimator.estimate(&[1.0, 0.1, 0.0, 0.1, 0.0, 1.02, -0.1, 0.0], Start::Flat, &Options::default());
    assert_eq!(fit.unwrap().dof, 0, "an island of its own angle");
    assert_eq!(estimator.critical_meters(&[1.0, 0.1, 0.0, 0.1, 0.0, 1.02, -0.1, 0.0]).unwrap().len(), 8);
}

#[test]
fn repeats_allocate_nothing() {
    let mut noise = Noise::new(7, 0);
    let (grid, truth) = draw(&mut noise, 40, 30);
    let meters = meters(&mut noise, &grid, true);
    let values = values(&mut noise, &grid, &meters, &truth);
    let mut estimator = Estimator::new(&grid, &meters, &[]).unwrap();
    let mut residuals = Vec::with_capacity(meters.len());
    let counted = allocation_counter::measure(|| {
        for start in [Start::Flat, Start::Last] {
            estimator.estimate(&values, start, &Options::default()).unwrap();
            estimator.normalised_residuals(&mut residuals);
        }
    });
    assert_eq!(counted.count_total, 0);
}
