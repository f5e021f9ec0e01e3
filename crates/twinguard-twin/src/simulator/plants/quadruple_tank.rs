//! The reference plants `quadruple_tank` and `quadruple_tank_nonminimum`: two pumps, four tanks, two level loops.
//!
//! Source: Johansson, *The quadruple-tank process*, IEEE Trans. Control Systems Technology 8(3) 456–465, 2000: equations,
//! both settings of the valves and the decentralised PI controllers. In the second setting γ1 + γ2 < 1: the plant has a
//! zero at +0.0128 1/s, along which an attack stays hidden from both lower levels.
//!
//! Tanks are 20 cm high: what is more runs over. With a pump at 10 V the first tank is full after 15 s (28 s in the
//! second setting).

use super::super::reference::{
    Constant, Control, Effect, Incident, Lean, Loop, Physics, Reference, Scan, SetPoint, benign, constant,
    fault,
};
use std::borrow::Cow::Borrowed as named;

/// Height of the tanks, cm.
pub const HEIGHT_CM: f64 = 20.0;

const G: f64 = 981.0;
const AREAS: [f64; 4] = [28.0, 32.0, 28.0, 32.0];
const VOLTS_PER_CM: f64 = 0.5;

#[derive(Debug)]
struct Tanks;

impl Physics for Tanks {
    fn rate(&self, parameters: &[f64], state: &[f64], input: &[f64], out: &mut [f64]) {
        let (&[a1, a2, a3, a4, gamma1, gamma2, k1, k2, leak], &[v1, v2], &[h1, h2, h3, h4]) =
            (parameters, input, state)
        else {
            return;
        };
        let outflow = |area: f64, level: f64| area * (2.0 * G * level.max(0.0)).sqrt();
        let [q1, q2, q3, q4] = [outflow(a1, h1), outflow(a2, h2), outflow(a3, h3), outflow(a4, h4)];
        // The leak is the part of the outlet's constant that a fault adds, at the mean level of tank 2.
        let lost = (leak - 1.0) * if h2 > 0.0 { 1.0 } else { 0.0 };
        let rates = [
            (q3 - q1 + gamma1 * k1 * v1) / AREAS[0],
            (q4 - q2 + gamma2 * k2 * v2 - lost) / AREAS[1],
            ((1.0 - gamma2) * k2 * v2 - q3) / AREAS[2],
            ((1.0 - gamma1) * k1 * v1 - q4) / AREAS[3],
        ];
        out.iter_mut().zip(rates).for_each(|(out, rate)| *out = rate);
    }

    fn output(&self, parameters: &[f64], state: &[f64], input: &[f64], out: &mut [f64]) {
        let (&[.., k1, k2, _], &[v1, v2], &[h1, h2, h3, h4]) = (parameters, input, state) else { return };
        let outputs = [VOLTS_PER_CM * h1, VOLTS_PER_CM * h2, h3, h4, k1 * v1, k2 * v2];
        out.iter_mut().zip(outputs).for_each(|(out, value)| *out = value);
    }

    fn settle(&self, _: &[f64], state: &mut [f64], _: &[f64], _: f64) {
        state.iter_mut().for_each(|level| *level = level.clamp(0.0, HEIGHT_CM));
    }
}

const fn constants(gamma: [f64; 2], k: [f64; 2]) -> [Constant; 9] {
    [
        constant("a1", 0.071, 0.02),
        constant("a2", 0.057, 0.02),
        constant("a3", 0.071, 0.02),
        constant("a4", 0.057, 0.02),
        constant("gamma1", gamma[0], 0.0),
        constant("gamma2", gamma[1], 0.0),
        constant("k1", k[0], 0.02),
        constant("k2", k[1], 0.02),
        // 1: no leak; each 0.5 more lets 0.5 cm³/s out of tank 2.
        constant("leak", 1.0, 0.0),
    ]
}

static MINIMUM_CONSTANTS: [Constant; 9] = constants([0.7, 0.6], [3.33, 3.35]);
#[allow(clippy::approx_constant, reason = "a pump's constant, not half a circle")]
static NONMINIMUM_CONSTANTS: [Constant; 9] = constants([0.43, 0.34], [3.14, 3.29]);

const OUTPUTS: [&str; 6] = ["y1_V", "y2_V", "h3_cm", "h4_cm", "q1_in_cm3_s", "q2_in_cm3_s"];
const READS: [&str; 4] = ["tank1.level", "tank2.level", "tank1.setpoint", "tank2.setpoint"];
const WRITES: [&str; 2] = ["pump1.voltage", "pump2.voltage"];

fn pair(loops: &[Loop; 2], scan: &mut Scan<'_>) {
    let &[y1, y2, r1, r2] = scan.seen else { return };
    loops[0].decide(scan, 0, r1 - y1);
    loops[1].decide(scan, 1, r2 - y2);
}

fn minimum(scan: &mut Scan<'_>) {
    pair(&[Loop::new(3.0, 30.0, 0.0, 10.0), Loop::new(2.7, 40.0, 0.0, 10.0)], scan);
}

fn nonminimum(scan: &mut Scan<'_>) {
    pair(&[Loop::new(1.5, 110.0, 0.0, 10.0), Loop::new(-0.12, 220.0, 0.0, 10.0)], scan);
}

const LEANS: [Lean; 4] = [
    Lean { output: "y1_V", state: 0, gain: 0.2 },
    Lean { output: "y2_V", state: 1, gain: 0.2 },
    Lean { output: "h3_cm", state: 2, gain: 0.1 },
    Lean { output: "h4_cm", state: 3, gain: 0.1 },
];

static INCIDENTS: [Incident; 8] = [
    fault(
        "outlet_blocked",
        "the outlet of tank 1 is half blocked",
        30.0,
        &[Effect::Constant(named("a1"), 0.7)],
    ),
    fault("leak", "0.5 cm³/s leak out of tank 2", 0.0, &[Effect::Constant(named("leak"), 1.5)]),
    fault("pump_worn", "pump 1 delivers a tenth less", 60.0, &[Effect::Constant(named("k1"), 0.9)]),
    fault("pump_stuck", "pump 2 does not follow its voltage", 0.0, &[Effect::Stuck(named("v2_V"))]),
    fault(
        "level_offset",
        "the transmitter of tank 1 is off by 0.5 cm",
        0.0,
        &[Effect::Bias(named("tank1.level"), 0.25)],
    ),
    benign(
        "pump_warm",
        "pump 1 delivers 3 % less until it is warm",
        60.0,
        900.0,
        &[Effect::Constant(named("k1"), 0.97)],
    ),
    benign(
        "hose_moved",
        "a hose is moved: 2 % less through the outlet of tank 3",
        5.0,
        600.0,
        &[Effect::Constant(named("a3"), 0.98)],
    ),
    benign("restart", "the field device restarts: no answer for 20 s", 0.0, 20.0, &[Effect::Silence]),
];

/// Minimum-phase setting.
pub static MINIMUM: Reference = Reference {
    name: "quadruple_tank",
    title: "Quadruple-tank process, minimum-phase",
    plant: include_str!("../../../plants/quadruple_tank.toml"),
    constants: &MINIMUM_CONSTANTS,
    states: &[("h1_cm", 12.263), ("h2_cm", 12.783), ("h3_cm", 1.634), ("h4_cm", 1.409)],
    inputs: &[("v1_V", 3.0), ("v2_V", 3.0)],
    outputs: &OUTPUTS,
    physics: &Tanks,
    step_s: 1.0,
    run_in_s: 1200.0,
    surroundings: &[],
    set_points: &[
        SetPoint { signal: "tank1.setpoint", value: 6.2, spread: 0.5, every_s: (600.0, 1800.0) },
        SetPoint { signal: "tank2.setpoint", value: 6.3, spread: 0.5, every_s: (600.0, 1800.0) },
    ],
    control: Control { period_s: 1.0, reads: &READS, writes: &WRITES, memory: &[0.0; 2], law: minimum },
    leans: &LEANS,
    hazard: "tank1.level",
    incidents: &INCIDENTS,
};

/// Non-minimum-phase setting.
pub static NONMINIMUM: Reference = Reference {
    name: "quadruple_tank_nonminimum",
    title: "Quadruple-tank process, non-minimum-phase",
    plant: include_str!("../../../plants/quadruple_tank_nonminimum.toml"),
    constants: &NONMINIMUM_CONSTANTS,
    states: &[("h1_cm", 12.442), ("h2_cm", 13.167), ("h3_cm", 4.730), ("h4_cm", 4.986)],
    inputs: &[("v1_V", 3.15), ("v2_V", 3.15)],
    run_in_s: 3600.0,
    control: Control { period_s: 1.0, reads: &READS, writes: &WRITES, memory: &[0.0; 2], law: nonminimum },
    // Levels of the upper tanks leave through the zero: they are what an attack along it harms.
    hazard: "tank4.level",
    outputs: &OUTPUTS,
    physics: &Tanks,
    step_s: 1.0,
    surroundings: &[],
    set_points: &[
        SetPoint { signal: "tank1.setpoint", value: 6.2, spread: 0.3, every_s: (1800.0, 3600.0) },
        SetPoint { signal: "tank2.setpoint", value: 6.5, spread: 0.3, every_s: (1800.0, 3600.0) },
    ],
    leans: &LEANS,
    incidents: &INCIDENTS,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_at_the_exact_equilibria() {
        for reference in [&MINIMUM, &NONMINIMUM] {
            let constants: Vec<f64> = reference.constants.iter().map(|constant| constant.value).collect();
            let state: Vec<f64> = reference.states.iter().map(|(_, value)| *value).collect();
            let input: Vec<f64> = reference.inputs.iter().map(|(_, value)| *value).collect();
            let mut rate = [1.0; 4];
            Tanks.rate(&constants, &state, &input, &mut rate);
            assert!(rate.iter().all(|rate| rate.abs() < 1e-4), "{rate:?}");
        }
    }

    /// The card: first tank over 20 cm after 15 s with pump 1 at 10 V, 18 s with pump 2, 13 s with both; 28, 34, 20 s.
    #[test]
    fn overflows_as_the_card_says() {
        for (reference, [one, two, both]) in [(&MINIMUM, [15, 18, 13]), (&NONMINIMUM, [28, 34, 20])] {
            let constants: Vec<f64> = reference.constants.iter().map(|constant| constant.value).collect();
            let rest = reference.inputs[0].1;
            for (input, expected) in [([10.0, rest], one), ([rest, 10.0], two), ([10.0, 10.0], both)] {
                let mut state: Vec<f64> = reference.states.iter().map(|(_, value)| *value).collect();
                let mut rk4 = crate::integrators::Rk4::new(4);
                let over = (1..100).find(|_| {
                    rk4.step(|_, x, out| Tanks.rate(&constants, x, &input, out), 0.0, 1.0, &mut state);
                    state.iter().any(|level| *level > HEIGHT_CM)
                });
                assert!(over.is_some_and(|at| i32::abs(at - expected) <= 1), "{input:?} {over:?}");
            }
        }
    }
}
