//! What theory says cannot be seen, to the last digits that arithmetic leaves.
#![allow(missing_docs, clippy::unwrap_used)]

use twinguard_redteam::theory::{Covert, Shadow, hidden_motion, slow_motion};
use twinguard_redteam::{ATTACKS, Ground, Judgement, Resources, Views, Visibility};
use twinguard_twin::grid::{Branch, Bus, BusKind, DcModel, Grid};
use twinguard_twin::simulator::Noise;
use twinguard_types::Role;

/// The plant is the attacker's model: outputs less what is taken out of them are those of the untouched plant, so that
/// every residual of every detector is what it would have been.
#[test]
fn covert_attacks_leave_every_output_as_it_was() {
    for name in Ground::names() {
        let ground = Ground::named(name).unwrap();
        let dynamics = ground.plant().dynamics.clone().unwrap();
        let period = ground.span(1).as_secs_f64();
        let actuator = |input: &Option<_>| {
            input.is_some_and(|signal| {
                ground.plant().catalogue.signal(signal).is_some_and(|known| known.role == Role::Actuator)
            })
        };
        let aim = dynamics.inputs.iter().position(actuator).unwrap();
        let (mut plant, mut untouched) = (Shadow::new(&dynamics), Shadow::new(&dynamics));
        let mut attacker = Covert::new(&dynamics);
        let mut noise = Noise::new(7, 1);
        let mut believed = dynamics.input_defaults.clone();
        let mut moved = 0.0_f64;
        for step in 0..200 {
            // What everybody believes to be commanded wanders a little; the actuator does half of it.
            believed[aim] = dynamics.input_defaults[aim] * (1.0 + 0.02 * noise.gaussian());
            let mut actual = believed.clone();
            if step >= 50 {
                actual[aim] *= 0.5;
            }
            plant.advance(&actual, period);
            untouched.advance(&believed, period);
            let taken = if step < 50 {
                attacker.listen(&believed, period);
                vec![0.0; dynamics.outputs.len()]
            } else {
                attacker.strike(&believed, &actual, period)
            };
            let shown: Vec<f64> = plant
                .output(&actual)
                .iter()
                .zip(&taken)
                .map(|(true_value, taken)| true_value - taken)
                .collect();
            for (shown, expected) in shown.iter().zip(untouched.output(&believed)) {
                assert!((shown - expected).abs() <= 1e-9 * expected.abs().max(1.0), "{name} at {step}");
            }
            moved = taken.iter().fold(moved, |most, taken| most.max(taken.abs()));
        }
        assert!(moved > 1e-6 || dynamics.input_defaults[aim] == 0.0, "{name}: and the plant did move");
    }
}

/// u = ε g e^(λt) from x₀ = ε x: on the linear plant the controlled outputs stay at rest while the state grows, and on the
/// tanks themselves they move in the second order only.
#[test]
fn zero_dynamics_hide_while_the_state_runs_away() {
    let ground = Ground::named("quadruple_tank_nonminimum").unwrap();
    let target = ground.target(ground.window(10, 10), 0).unwrap();
    let motion = hidden_motion(&target).unwrap();
    let dynamics = target.plant.dynamics.clone().unwrap();
    let at = |signal| dynamics.inputs.iter().position(|known| *known == Some(signal)).unwrap();
    let row = |signal| dynamics.outputs.iter().position(|known| *known == Some(signal)).unwrap();
    let deviation = |size: f64, seconds: u32| {
        let (mut shadow, mut calm) = (Shadow::new(&dynamics), Shadow::new(&dynamics));
        let start: Vec<f64> = motion.state.iter().map(|value| size * value).collect();
        shadow.nudge(&start);
        let (mut hidden, mut state) = (0.0_f64, 0.0_f64);
        let fine = 0.05;
        for step in 0..(f64::from(seconds) / fine) as u32 {
            let mut input = dynamics.input_defaults.clone();
            // Held over a step: the middle of it.
            let grown = size * (motion.rate * fine * (f64::from(step) + 0.5)).exp();
            for (signal, share) in &motion.commands {
                input[at(*signal)] += share * grown;
            }
            shadow.advance(&input, fine);
            calm.advance(&dynamics.input_defaults, fine);
            let (output, rest) = (shadow.output(&input), calm.output(&dynamics.input_defaults));
            for signal in &motion.hidden {
                hidden = hidden.max((output[row(*signal)] - rest[row(*signal)]).abs());
            }
            let off = shadow.state().iter().zip(calm.state()).map(|(x, x0)| (x - x0).abs());
            state = off.fold(state, f64::max);
        }
        (hidden, state)
    };
    let (small_hidden, small_state) = deviation(1e-4, 300);
    let (hidden, state) = deviation(1e-2, 300);
    assert!(state > 20.0 * 1.8e-2, "the state leaves by e^(λ·300 s) = 46: {state}");
    assert!(hidden < 0.1 * state, "{hidden} of {state}");
    // A hundred times the size: a hundred times the state, ten thousand times what shows.
    assert!((state / small_state - 100.0).abs() < 5.0, "{state} {small_state}");
    assert!(hidden / small_hidden > 2_000.0, "second order: {hidden} {small_hidden}");
}

fn grid() -> Grid {
    let bus = |kind| Bus { kind, ..Bus::default() };
    let mut buses = vec![bus(BusKind::Reference)];
    buses.extend((0..13).map(|_| bus(BusKind::Load)));
    let lines = [
        (0, 1, 0.059),
        (0, 4, 0.223),
        (1, 2, 0.198),
        (1, 3, 0.176),
        (1, 4, 0.174),
        (2, 3, 0.171),
        (3, 4, 0.042),
        (3, 6, 0.209),
        (3, 8, 0.556),
        (4, 5, 0.252),
        (5, 10, 0.199),
        (5, 11, 0.256),
        (5, 12, 0.130),
        (6, 7, 0.176),
        (6, 8, 0.110),
        (8, 9, 0.085),
        (8, 13, 0.270),
        (9, 10, 0.192),
        (11, 12, 0.200),
        (12, 13, 0.348),
    ];
    Grid::new(100.0, buses, lines.map(|(from, to, x)| Branch::line(from, to, 0.0, x)).to_vec()).unwrap()
}

/// z + H c leaves the residual where it was, for any c; and with meters that cannot be touched, for what those do not see.
#[test]
fn false_data_leave_the_residual_as_it_was() {
    let model = DcModel::new(&grid()).unwrap();
    let mut noise = Noise::new(3, 1);
    let mut random =
        |count: usize, size: f64| -> Vec<f64> { (0..count).map(|_| size * noise.gaussian()).collect() };
    let angles = random(model.states().len(), 0.1);
    let errors = random(model.meters(), 0.01);
    let measured: Vec<f64> = model.values(&angles).iter().zip(&errors).map(|(z, e)| z + e).collect();
    let before = model.estimate(&measured).1;
    for turn in 0..20 {
        let change = random(model.states().len(), 0.3);
        // Ten meters are protected in every second turn: the attacker keeps to what they do not notice.
        let trusted: Vec<usize> = if turn % 2 == 0 { Vec::new() } else { (0..10).collect() };
        let change = model.unnoticed(&change, &trusted);
        let attack = model.values(&change);
        assert!(trusted.iter().all(|meter| attack[*meter].abs() < 1e-9), "protected meters are not touched");
        let size = attack.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
        assert!(size > 1e-3, "turn {turn}: there is an attack left");
        let false_data: Vec<f64> = measured.iter().zip(&attack).map(|(z, a)| z + a).collect();
        let after = model.estimate(&false_data).1;
        let off = before.iter().zip(&after).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(off <= 1e-9, "turn {turn}: {off}");
    }
}

/// A lie along the slowest mode: H c, scaled to the aimed measurement.
#[test]
fn slow_motions_move_the_aim_by_one() {
    let mut found = 0;
    for name in Ground::names() {
        let ground = Ground::named(name).unwrap();
        let target = ground.target(ground.window(10, 10), 0).unwrap();
        let Some(shown) = slow_motion(&target) else { continue };
        found += 1;
        let own = shown.iter().find(|(signal, _)| *signal == target.sensor.signal).unwrap();
        assert!((own.1 - 1.0).abs() < 1e-9, "{name}");
    }
    assert!(found >= 3, "{found} plants");
}

/// Nothing that theory hides is ever asked for by the board.
#[test]
fn what_theory_hides_is_not_counted() {
    for name in Ground::names() {
        let ground = Ground::named(name).unwrap();
        for entry in ATTACKS.iter().filter(|entry| entry.visibility == Visibility::Never) {
            let judged = Judgement::of(&ground, entry, &Resources::ALL, &Views::ALL).unwrap();
            assert!(!judged.detectable, "{name}: {}", entry.name);
        }
    }
}
