//! The reference plant `power_grid`: the nine-bus system under load-frequency control, sampled every 2 s.
//!
//! Sources: Anderson, Fouad, *Power System Control and Stability*, 2nd ed. 2003, ex. 2.6 (network); Kundur, *Power System
//! Stability and Control*, 1994, §11.1.5 (load-frequency control by integral action on the area control error). The
//! power flow is that of [`models::power_grid`](crate::models::power_grid), which a guard runs as well and which agrees
//! with the book; what differs are inertia, droop, power factors of the loads, and what no meter sees.
//!
//! Raising the voltage of generator 2 to its end overvoltages buses 7 and 8 at once; lines heat within minutes.

use super::super::reference::{
    Control, Effect, Incident, Lean, Physics, Reference, Scan, SetPoint, Surrounding, benign, constant, fault,
};
use crate::models::power_grid::{Constants, advance, measure};
use std::borrow::Cow::Borrowed as named;

#[derive(Debug)]
struct Grid;

fn constants(parameters: &[f64]) -> Constants {
    core::array::from_fn(|at| parameters.get(at).copied().unwrap_or(1.0))
}

/// Keeps what was there where the grid has no solution.
fn put(out: &mut [f64], values: &[f64]) {
    if values.iter().all(|value| value.is_finite()) {
        out.iter_mut().zip(values).for_each(|(out, value)| *out = *value);
    }
}

impl Physics for Grid {
    /// Nothing moves between the steps.
    fn rate(&self, _: &[f64], _: &[f64], _: &[f64], out: &mut [f64]) {
        out.fill(0.0);
    }

    fn output(&self, parameters: &[f64], state: &[f64], input: &[f64], out: &mut [f64]) {
        put(out, &measure(&constants(parameters), state, input));
    }

    fn settle(&self, parameters: &[f64], state: &mut [f64], input: &[f64], _: f64) {
        let next = advance(&constants(parameters), state, input);
        put(state, &next);
    }
}

fn law(scan: &mut Scan<'_>) {
    let &[frequency, wanted] = scan.seen else { return };
    let Some(moved) = scan.memory.first_mut() else { return };
    // Area control error over the bias of 107 MW/Hz; the integral takes about a minute.
    *moved = (*moved + 107.0 * (wanted - frequency) * scan.period_s / 60.0).clamp(-120.0, 120.0);
    let [one, two, three, v1, v2, v3] = &mut *scan.commands else { return };
    *one = 71.6 + 0.4 * *moved;
    *two = 163.0 + 0.35 * *moved;
    *three = 85.0 + 0.25 * *moved;
    (*v1, *v2, *v3) = (1.04, 1.025, 1.025);
}

static INCIDENTS: [Incident; 10] = [
    fault(
        "line_out",
        "line 7–8 has lost a conductor: half its admittance",
        0.0,
        &[Effect::Constant(named("line78"), 0.5)],
    ),
    fault(
        "ct_ratio",
        "a current transformer on line 5–7 has the wrong ratio: +10 %",
        0.0,
        &[Effect::Scale(named("line57.power"), 1.1)],
    ),
    fault(
        "pt_fuse",
        "a fuse of the voltage transformer at bus 5 has blown",
        0.0,
        &[Effect::Scale(named("bus5.voltage"), 0.667)],
    ),
    fault(
        "generator_stuck",
        "generator 3 does not follow its command",
        0.0,
        &[Effect::Stuck(named("p3_cmd_MW"))],
    ),
    fault("compensation_lost", "a capacitor at load 8 is gone", 0.0, &[Effect::Constant(named("tan8"), 1.6)]),
    fault("exciter", "the exciter of generator 2 holds 2 % less", 5.0, &[Effect::Weak(named("v2_pu"), 0.98)]),
    benign(
        "load_ramp",
        "a factory starts: 15 MW more at load 8",
        120.0,
        3600.0,
        &[Effect::Input(named("load8_MW"), 15.0)],
    ),
    benign(
        "cloud_front",
        "clouds over solar roofs: 12 MW more at load 5",
        180.0,
        1200.0,
        &[Effect::Input(named("load5_MW"), 12.0)],
    ),
    benign("heat", "a hot afternoon: +10 K", 3600.0, 14_400.0, &[Effect::Input(named("T_ambient_C"), 10.0)]),
    benign("restart", "the remote terminal restarts: no answer for 20 s", 0.0, 20.0, &[Effect::Silence]),
];

/// The plant.
pub static REFERENCE: Reference = Reference {
    name: "power_grid",
    title: "Nine-bus transmission grid under load-frequency control",
    plant: include_str!("../../../plants/power_grid.toml"),
    constants: &[
        constant("inertia_s", 10.0, 0.05),
        constant("droop", 0.05, 0.03),
        constant("damping", 1.0, 0.05),
        constant("tau_governor_s", 0.7, 0.03),
        constant("tau_generator_s", 20.0, 0.03),
        constant("tau_line_s", 720.0, 0.03),
        constant("rise_K", 55.0, 0.03),
        constant("tan5", 0.4, 0.02),
        constant("tan6", 0.333_333_333_333, 0.02),
        constant("tan8", 0.35, 0.02),
        constant("line45", 1.0, 0.0),
        constant("line57", 1.0, 0.0),
        constant("line78", 1.0, 0.0),
    ],
    states: &[
        ("df_Hz", 0.0),
        ("pm1_MW", 71.6),
        ("p2_MW", 163.0),
        ("p3_MW", 85.0),
        ("T45_C", 50.0),
        ("T57_C", 55.0),
        ("T78_C", 55.0),
    ],
    inputs: &[
        ("p1_cmd_MW", 71.6),
        ("p2_cmd_MW", 163.0),
        ("p3_cmd_MW", 85.0),
        ("v1_pu", 1.04),
        ("v2_pu", 1.025),
        ("v3_pu", 1.025),
        ("load5_MW", 115.0),
        ("load6_MW", 85.0),
        ("load8_MW", 95.0),
        ("T_ambient_C", 15.0),
    ],
    outputs: &[
        "f_Hz",
        "v4_bus_pu",
        "v5_bus_pu",
        "v6_bus_pu",
        "v7_bus_pu",
        "v8_bus_pu",
        "v9_bus_pu",
        "p45_MW",
        "p46_MW",
        "p57_MW",
        "p69_MW",
        "p78_MW",
        "p89_MW",
        "p1_out_MW",
        "p2_out_MW",
        "p3_out_MW",
        "T45_C",
        "T57_C",
        "T78_C",
    ],
    physics: &Grid,
    step_s: 2.0,
    run_in_s: 3600.0,
    surroundings: &[
        Surrounding::still("load5_MW")
            .waves(15.0, 18.0, -6.0)
            .weekend(-10.0)
            .wander(1.2, 900.0)
            .steps(105.0, 125.0, 3600.0)
            .within(40.0, 170.0),
        Surrounding::still("load6_MW")
            .waves(10.0, 12.0, -4.0)
            .weekend(-8.0)
            .wander(0.9, 900.0)
            .within(30.0, 130.0),
        Surrounding::still("load8_MW")
            .waves(12.0, 19.0, -5.0)
            .weekend(-8.0)
            .wander(1.0, 900.0)
            .within(30.0, 140.0),
        Surrounding::still("T_ambient_C").waves(5.0, 15.0, 8.0).wander(1.5, 7200.0).within(-25.0, 40.0),
    ],
    set_points: &[SetPoint {
        signal: "frequency.setpoint",
        value: 50.0,
        spread: 0.02,
        every_s: (7200.0, 43_200.0),
    }],
    control: Control {
        period_s: 4.0,
        reads: &["frequency", "frequency.setpoint"],
        writes: &[
            "gen1.command",
            "gen2.command",
            "gen3.command",
            "gen1.voltage",
            "gen2.voltage",
            "gen3.voltage",
        ],
        memory: &[0.0],
        law,
    },
    leans: &[
        Lean { output: "f_Hz", state: 0, gain: 0.1 },
        Lean { output: "p1_out_MW", state: 1, gain: 0.05 },
        Lean { output: "p2_out_MW", state: 2, gain: 0.05 },
        Lean { output: "p3_out_MW", state: 3, gain: 0.05 },
    ],
    hazard: "bus7.voltage",
    incidents: &INCIDENTS,
};

#[cfg(test)]
mod tests {
    use super::*;

    /// Lost load is taken up by the droop: 20 MW less at load 8 raise the frequency by about 20 / 107 Hz.
    #[test]
    fn droop_takes_up_a_step() {
        let parameters: Vec<f64> = REFERENCE.constants.iter().map(|constant| constant.value).collect();
        let mut state: Vec<f64> = REFERENCE.states.iter().map(|(_, value)| *value).collect();
        let mut input = [71.641, 163.0, 85.0, 1.04, 1.025, 1.025, 125.0, 90.0, 100.0, 15.0];
        for _ in 0..60 {
            Grid.settle(&parameters, &mut state, &input, 2.0);
        }
        let before = state[0];
        assert!(before.abs() < 1e-3, "{before}");
        input[8] -= 20.0;
        for _ in 0..60 {
            Grid.settle(&parameters, &mut state, &input, 2.0);
        }
        // Losses change a little with the load.
        assert!((state[0] - before - 20.0 / 107.0).abs() < 0.03, "{}", state[0] - before);
    }
}
