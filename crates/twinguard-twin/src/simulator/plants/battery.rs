//! The reference plant `battery`: a storage cell under its management system, charged at night, used in the evening.
//!
//! Source: structure of Chen, Rincón-Mora, IEEE Trans. Energy Conversion 21(2), 2006; values fitted to pulse tests of Oak
//! Ridge National Laboratory (2013 Nissan Leaf); management of the plant card: constant current to 4.15 V, then constant
//! voltage; fan on at 35 °C, off at 32 °C.
//!
//! At 1C a cell at 4.15 V is beyond 4.2 V within minutes when nobody stops the charge.

use super::super::reference::{
    Control, Effect, Incident, Lean, Physics, Reference, Scan, SetPoint, Surrounding, benign, constant, fault,
};
use std::borrow::Cow::Borrowed as named;

const OCV: [f64; 6] = [-0.582584, 29.973, 3.53605, 1.40405, -1.79559, 1.03449];
/// Mass 0.799 kg, surface 0.067569 m².
const MASS_KG: f64 = 0.799;
const SURFACE_M2: f64 = 0.067569;

#[derive(Debug)]
struct Cell;

impl Physics for Cell {
    fn rate(&self, parameters: &[f64], state: &[f64], input: &[f64], out: &mut [f64]) {
        let (&[capacity, r0, r1, r2, heat, ..], &[_, v1, v2, warm], &[command, cooling, ambient, short]) =
            (parameters, state, input)
        else {
            return;
        };
        let current = command + short;
        let efficiency = if current >= 0.0 { 1.0 } else { 0.98 };
        let series = r0 + 0.001132 * libm::exp((10.0 - warm) / 6.16);
        let rates = [
            -efficiency * current / (3600.0 * capacity),
            (r1 * current - v1) / 573.0,
            (r2 * current - v2) / 28.0,
            (series * current * current + v1 * v1 / r1 + v2 * v2 / r2
                - cooling * SURFACE_M2 * (warm - ambient))
                / (MASS_KG * heat),
        ];
        out.iter_mut().zip(rates).for_each(|(out, rate)| *out = rate);
    }

    fn output(&self, parameters: &[f64], state: &[f64], input: &[f64], out: &mut [f64]) {
        let (&[_, r0, ..], &[z, v1, v2, warm], &[command, cooling, _, short]) = (parameters, state, input)
        else {
            return;
        };
        let series = r0 + 0.001132 * libm::exp((10.0 - warm) / 6.16);
        let open = OCV[0] * libm::exp(-OCV[1] * z) + OCV[2] + z * (OCV[3] + z * (OCV[4] + z * OCV[5]));
        let voltage = open - v1 - v2 - series * (command + short);
        out.iter_mut().zip([voltage, warm, command, cooling]).for_each(|(out, value)| *out = value);
    }

    fn settle(&self, _: &[f64], state: &mut [f64], _: &[f64], _: f64) {
        // A full or an empty cell takes or gives no more charge.
        if let [z, ..] = state {
            *z = z.clamp(0.0, 1.1);
        }
    }
}

fn law(scan: &mut Scan<'_>) {
    let &[voltage, temperature, limit] = scan.seen else { return };
    let hour = (scan.date_s / 3600.0).rem_euclid(24.0);
    let wanted = if (17.0..21.0).contains(&hour) {
        if voltage > 3.5 { 12.0 } else { 0.0 }
    } else if hour < 5.0 {
        -16.0
    } else {
        // In between it follows the grid, a little in and a little out.
        8.0 * libm::sin(core::f64::consts::TAU * scan.date_s / 1200.0)
    };
    // Near the limit the charge is what keeps the voltage below it.
    let least = (voltage - limit) * 200.0;
    let (Some(fan), [current, cooling]) = (scan.memory.first_mut(), &mut *scan.commands) else { return };
    *current = wanted.max(least.clamp(-16.0, 8.0));
    if temperature > 35.0 {
        *fan = 1.0;
    } else if temperature < 32.0 {
        *fan = 0.0;
    }
    *cooling = if *fan > 0.5 { 40.0 } else { 9.5 };
}

static INCIDENTS: [Incident; 9] = [
    fault("capacity_fade", "the cell holds a tenth less", 60.0, &[Effect::Constant(named("Q_Ah"), 0.9)]),
    fault(
        "internal_short",
        "the cell discharges itself by 0.2 A",
        60.0,
        &[Effect::Input(named("short_A"), 0.2)],
    ),
    fault(
        "loose_joint",
        "the joint's resistance is three times what it was",
        0.0,
        &[Effect::Constant(named("R0_inf"), 3.0)],
    ),
    fault(
        "fan_filter",
        "the fan's filter is clogged: half the cooling",
        600.0,
        &[Effect::Weak(named("h_W_m2K"), 0.5)],
    ),
    fault(
        "sensor_detached",
        "the temperature sensor hangs loose: −6 K",
        10.0,
        &[Effect::Bias(named("cell.temperature"), -6.0)],
    ),
    fault(
        "current_scale",
        "the current sensor reads a tenth low",
        0.0,
        &[Effect::Scale(named("cell.current"), 0.9)],
    ),
    benign(
        "heat_wave",
        "a hot afternoon: +8 K",
        3600.0,
        14_400.0,
        &[Effect::Input(named("T_ambient_C"), 8.0)],
    ),
    benign(
        "door_open",
        "the container's door is open: −5 K",
        60.0,
        900.0,
        &[Effect::Input(named("T_ambient_C"), -5.0)],
    ),
    benign("restart", "the management system restarts: no answer for 20 s", 0.0, 20.0, &[Effect::Silence]),
];

/// The plant.
pub static REFERENCE: Reference = Reference {
    name: "battery",
    title: "Storage cell with its management system",
    plant: include_str!("../../../plants/battery.toml"),
    constants: &[
        constant("Q_Ah", 32.0, 0.02),
        constant("R0_inf", 0.0015, 0.04),
        constant("R1", 0.0004, 0.04),
        constant("R2", 0.00095, 0.04),
        constant("cp", 1600.0, 0.02),
    ],
    states: &[("soc", 0.6), ("v1_V", 0.0), ("v2_V", 0.0), ("T_cell_C", 25.0)],
    inputs: &[("current_A", 0.0), ("h_W_m2K", 9.5), ("T_ambient_C", 24.0), ("short_A", 0.0)],
    outputs: &["voltage_V", "T_cell_C", "current_A", "h_W_m2K"],
    physics: &Cell,
    step_s: 1.0,
    run_in_s: 1800.0,
    surroundings: &[Surrounding::still("T_ambient_C")
        .waves(4.0, 15.0, 6.0)
        .wander(1.0, 7200.0)
        .within(-10.0, 45.0)],
    set_points: &[SetPoint {
        signal: "cell.voltage.limit",
        value: 4.1,
        spread: 0.03,
        every_s: (7200.0, 43_200.0),
    }],
    control: Control {
        period_s: 1.0,
        reads: &["cell.voltage", "cell.temperature", "cell.voltage.limit"],
        writes: &["cell.current.command", "cooling.command"],
        memory: &[0.0],
        law,
    },
    leans: &[
        // The open-circuit voltage answers to the charge with about 1 V.
        Lean { output: "voltage_V", state: 0, gain: 0.002 },
        Lean { output: "voltage_V", state: 1, gain: -0.002 },
        Lean { output: "T_cell_C", state: 3, gain: 0.01 },
    ],
    hazard: "cell.voltage",
    incidents: &INCIDENTS,
};

#[cfg(test)]
mod tests {
    use super::*;

    /// The card: a full charge at 1C is beyond its limit within minutes.
    #[test]
    fn overcharges_when_nobody_stops() {
        let constants = [32.0, 0.0015, 0.0004, 0.00095, 1600.0];
        let input = [-32.0, 9.5, 25.0, 0.0];
        let mut state = vec![0.9, -0.0128, -0.0304, 30.0];
        let mut rk4 = crate::integrators::Rk4::new(4);
        let mut out = [0.0; 4];
        let over = (1..3600).find(|_| {
            rk4.step(|_, x, rate| Cell.rate(&constants, x, &input, rate), 0.0, 1.0, &mut state);
            Cell.output(&constants, &state, &input, &mut out);
            out[0] > 4.2
        });
        assert!(over.is_some_and(|seconds| seconds < 900), "{over:?} {out:?}");
    }
}
