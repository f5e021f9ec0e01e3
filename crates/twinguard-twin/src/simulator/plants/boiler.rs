//! The reference plant `boiler`: drum boiler and turbine of a 160 MW unit under three PI loops.
//!
//! Source: Bell, Åström, *Dynamic models for boiler-turbine-alternator units*, TFRT-3192, 1987 (equations, limits of
//! the valves' rates); loops of the plant card: fuel by pressure, steam valve by power, feedwater by level, 1 s.
//!
//! Level shrinks and swells: it moves the wrong way first. With the feedwater closed at full load the level trips
//! after 70 to 100 s.

use super::super::reference::{
    Control, Effect, Incident, Lean, Loop, Physics, Reference, Scan, SetPoint, benign, constant, fault,
};
use std::borrow::Cow::Borrowed as named;

#[derive(Debug)]
struct Unit;

/// Time constant of a valve's positioner, seconds.
const POSITIONER_S: f64 = 0.5;

impl Physics for Unit {
    fn rate(&self, parameters: &[f64], state: &[f64], input: &[f64], out: &mut [f64]) {
        let (
            &[heat, steam_loss, feed, ..],
            &[p, power, _, fuel, valve, water],
            &[to_fuel, to_valve, to_water, ..],
        ) = (parameters, state, input)
        else {
            return;
        };
        let flow = libm::pow(p.max(0.0), 1.125);
        let fed = feed * water;
        let towards =
            |target: f64, at: f64, down: f64, up: f64| ((target - at) / POSITIONER_S).clamp(down, up);
        let rates = [
            -0.0018 * valve * flow + 0.9 * heat * fuel - 0.15 * fed,
            (0.073 * valve - 0.016) * flow - 0.1 * power,
            (141.0 * fed - (1.1 * valve - 0.19) * p) / 85.0 - (steam_loss - 1.0),
            towards(to_fuel, fuel, -0.007, 0.007),
            towards(to_valve, valve, -2.0, 0.02),
            towards(to_water, water, -0.05, 0.05),
        ];
        out.iter_mut().zip(rates).for_each(|(out, rate)| *out = rate);
    }

    fn output(&self, parameters: &[f64], state: &[f64], _: &[f64], out: &mut [f64]) {
        let (&[heat, _, feed, ..], &[p, power, rho, fuel, valve, water]) = (parameters, state) else {
            return;
        };
        let quality = (1.0 - 0.001538 * rho) * (0.8 * p - 25.6) / (rho * (1.0394 - 0.0012304 * p));
        let evaporation = (0.854 * valve - 0.147) * p + 45.59 * heat * fuel - 2.514 * feed * water - 2.096;
        let level = 0.05 * (0.13073 * rho + 100.0 * quality + evaporation / 9.0 - 67.975);
        out.iter_mut().zip([p, power, level, fuel, valve, water]).for_each(|(out, value)| *out = value);
    }

    fn settle(&self, _: &[f64], state: &mut [f64], _: &[f64], _: f64) {
        // Beyond these the fitted equations mean nothing: an empty or a full drum, a burst one.
        if let [p, _, rho, ..] = state {
            *p = p.clamp(1.0, 400.0);
            *rho = rho.clamp(50.0, 640.0);
        }
    }
}

fn law(scan: &mut Scan<'_>) {
    const LOOPS: [Loop; 3] = [
        Loop::new(0.03, 150.0, 0.0, 1.0).limited(-0.007, 0.007),
        Loop::new(0.004, 20.0, 0.0, 1.0).limited(-2.0, 0.02),
        Loop::new(1.0, 400.0, 0.0, 1.0).limited(-0.05, 0.05),
    ];
    let &[pressure, power, level, to_pressure, to_power, to_level] = scan.seen else { return };
    for (at, error) in [to_pressure - pressure, to_power - power, to_level - level].into_iter().enumerate() {
        LOOPS[at].decide(scan, at, error);
    }
}

static INCIDENTS: [Incident; 9] = [
    fault(
        "tube_leak",
        "a tube leaks: water is lost that nobody measures",
        600.0,
        &[Effect::Constant(named("steam_loss"), 1.05)],
    ),
    fault(
        "feedwater_stuck",
        "the feedwater valve does not move",
        0.0,
        &[Effect::Stuck(named("feedwater_cmd_pu"))],
    ),
    fault(
        "level_leg_flashing",
        "the level transmitter's leg flashes: +0.1 m",
        20.0,
        &[Effect::Bias(named("drum.level"), 0.1)],
    ),
    fault(
        "feed_pump_worn",
        "the feed pump delivers a tenth less",
        600.0,
        &[Effect::Constant(named("feed"), 0.9)],
    ),
    fault(
        "power_meter_scale",
        "the power meter reads a tenth low",
        0.0,
        &[Effect::Scale(named("turbine.power"), 0.9)],
    ),
    benign(
        "fuel_quality",
        "fuel of another heat value: −4 %",
        300.0,
        3600.0,
        &[Effect::Constant(named("heat"), 0.96)],
    ),
    benign(
        "sootblowing",
        "soot is blown: heat dips by 6 % for two minutes",
        10.0,
        120.0,
        &[Effect::Constant(named("heat"), 0.94)],
    ),
    benign(
        "pump_changeover",
        "the feed pumps change over: half the flow for 10 s",
        0.0,
        10.0,
        &[Effect::Constant(named("feed"), 0.5)],
    ),
    benign("restart", "the field device restarts: no answer for 20 s", 0.0, 20.0, &[Effect::Silence]),
];

/// The plant.
pub static REFERENCE: Reference = Reference {
    name: "boiler",
    title: "Drum boiler and turbine unit, 160 MW, oil-fired",
    plant: include_str!("../../../plants/boiler.toml"),
    constants: &[
        constant("heat", 1.0, 0.01),
        // 1: none is lost.
        constant("steam_loss", 1.0, 0.0),
        constant("feed", 1.0, 0.003),
    ],
    states: &[
        ("drum_pressure_kgf_cm2", 108.0),
        ("power_MW", 66.65),
        ("density_kg_m3", 428.0),
        ("fuel_pu", 0.34),
        ("steam_valve_pu", 0.69),
        ("feedwater_pu", 0.436),
    ],
    inputs: &[("fuel_cmd_pu", 0.34), ("steam_cmd_pu", 0.69), ("feedwater_cmd_pu", 0.436)],
    outputs: &["drum_pressure_kgf_cm2", "power_MW", "level_m", "fuel_pu", "steam_valve_pu", "feedwater_pu"],
    physics: &Unit,
    step_s: 0.5,
    run_in_s: 3600.0,
    surroundings: &[],
    set_points: &[
        SetPoint { signal: "drum.pressure.setpoint", value: 108.0, spread: 3.0, every_s: (3600.0, 7200.0) },
        SetPoint { signal: "turbine.power.setpoint", value: 66.65, spread: 8.0, every_s: (1200.0, 3600.0) },
        SetPoint { signal: "drum.level.setpoint", value: 0.0, spread: 0.0, every_s: (1e6, 1e6) },
    ],
    control: Control {
        period_s: 1.0,
        reads: &[
            "drum.pressure",
            "turbine.power",
            "drum.level",
            "drum.pressure.setpoint",
            "turbine.power.setpoint",
            "drum.level.setpoint",
        ],
        writes: &["fuel.valve.command", "steam.valve.command", "feedwater.valve.command"],
        memory: &[0.0; 3],
        law,
    },
    leans: &[
        Lean { output: "drum_pressure_kgf_cm2", state: 0, gain: 0.1 },
        Lean { output: "power_MW", state: 1, gain: 0.1 },
        // The level answers to the density with +0.0063 m per kg/m³.
        Lean { output: "level_m", state: 2, gain: 3.0 },
        Lean { output: "fuel_pu", state: 3, gain: 0.3 },
        Lean { output: "steam_valve_pu", state: 4, gain: 0.3 },
        Lean { output: "feedwater_pu", state: 5, gain: 0.3 },
    ],
    hazard: "drum.level",
    incidents: &INCIDENTS,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_at_the_published_point() {
        let (state, input) = ([108.0, 66.65, 428.0, 0.34, 0.69, 0.436], [0.34, 0.69, 0.436]);
        let (mut rate, mut output) = ([0.0; 6], [0.0; 6]);
        Unit.rate(&[1.0; 3], &state, &input, &mut rate);
        Unit.output(&[1.0; 3], &state, &input, &mut output);
        assert!(rate.iter().all(|rate| rate.abs() < 3e-4), "{rate:?}");
        assert!(output[2].abs() < 1e-3, "{output:?}");
    }

    /// Feedwater closed at full load: the level leaves ±0.5 m after 70 to 220 s (shrink and swell first).
    #[test]
    fn runs_dry_without_feedwater() {
        let mut state = vec![108.0, 66.65, 428.0, 0.34, 0.69, 0.436];
        let mut rk4 = crate::integrators::Rk4::new(6);
        let mut output = [0.0; 6];
        let dry = (1..1000).find(|_| {
            rk4.step(|_, x, out| Unit.rate(&[1.0; 3], x, &[0.34, 0.69, 0.0], out), 0.0, 0.5, &mut state);
            Unit.output(&[1.0; 3], &state, &[0.0; 3], &mut output);
            output[2] < -0.25
        });
        assert!(dry.is_some_and(|halves| (100..260).contains(&halves)), "{dry:?}");
    }
}
