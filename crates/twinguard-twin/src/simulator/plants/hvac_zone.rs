//! The reference plant `hvac_zone`: a heated zone of a building, sampled once a minute, with day, season and people.
//!
//! Source: Bacher, Madsen, *Identifying suitable models for the heat dynamics of buildings*, Energy and Buildings 43
//! (2011) 1511–1522, model `TiTeThTs`; controller of the plant card: PI 1.5 kW/K, 2 h, every 5 min, 21 °C by day and 17 at
//! night. Weather: daily wave of 4 K, yearly wave of 9 K about 8 °C.

use super::super::reference::{
    Control, Effect, Incident, Lean, Loop, Physics, Reference, Scan, SetPoint, Surrounding, benign, constant,
    fault,
};
use std::borrow::Cow::Borrowed as named;

#[derive(Debug)]
struct Zone;

impl Physics for Zone {
    fn rate(&self, parameters: &[f64], state: &[f64], input: &[f64], out: &mut [f64]) {
        let (
            &[ci, ce, ch, cs, rie, rea, rih, ris, aw, element],
            &[ts, ti, th, te],
            &[heat, ambient, sun, gains],
        ) = (parameters, state, input)
        else {
            return;
        };
        let (to_sensor, to_heater, to_envelope) = ((ti - ts) / ris, (ti - th) / rih, (ti - te) / rie);
        let rates = [
            to_sensor / cs,
            (aw * sun + gains - to_sensor - to_heater - to_envelope) / ci,
            (to_heater + element * heat) / ch,
            (to_envelope + (ambient - te) / rea) / ce,
        ];
        out.iter_mut().zip(rates).for_each(|(out, rate)| *out = rate / 3600.0);
    }

    fn output(&self, parameters: &[f64], state: &[f64], input: &[f64], out: &mut [f64]) {
        let (&[.., element], &[ts, _, th, _], &[heat, ..]) = (parameters, state, input) else { return };
        out.iter_mut().zip([ts, th, element * heat]).for_each(|(out, value)| *out = value);
    }
}

fn law(scan: &mut Scan<'_>) {
    let &[zone, set_point] = scan.seen else { return };
    let hour = (scan.date_s / 3600.0).rem_euclid(24.0);
    let set_back = if (6.0..22.0).contains(&hour) { 0.0 } else { 4.0 };
    Loop::new(1.5, 7200.0, 0.0, 8.0).decide(scan, 0, set_point - set_back - zone);
}

static INCIDENTS: [Incident; 8] = [
    fault(
        "element_broken",
        "half of the heating element is broken",
        0.0,
        &[Effect::Constant(named("element"), 0.5)],
    ),
    fault("valve_stuck", "the heater does not follow its command", 0.0, &[Effect::Stuck(named("heat_kW"))]),
    fault(
        "sensor_in_the_sun",
        "sun falls on the room's sensor: +4 K",
        1800.0,
        &[Effect::Bias(named("zone.temperature"), 4.0)],
    ),
    fault(
        "sensor_drift",
        "the room's sensor drifts by 1 K over a week",
        604_800.0,
        &[Effect::Bias(named("zone.temperature"), 1.0)],
    ),
    fault(
        "filter_clogged",
        "the heater gives its heat off badly",
        86_400.0,
        &[Effect::Constant(named("Rih"), 2.0)],
    ),
    benign(
        "window_open",
        "a window is open for 20 minutes",
        0.0,
        1200.0,
        &[Effect::Constant(named("Rea"), 0.4)],
    ),
    benign("meeting", "twenty people for two hours", 300.0, 7200.0, &[Effect::Input(named("gains_kW"), 2.0)]),
    benign("restart", "the field device restarts: no answer for 5 minutes", 0.0, 300.0, &[Effect::Silence]),
];

/// The plant.
pub static REFERENCE: Reference = Reference {
    name: "hvac_zone",
    title: "Heated zone of a building",
    plant: include_str!("../../../plants/hvac_zone.toml"),
    constants: &[
        constant("Ci", 0.143, 0.03),
        constant("Ce", 3.24, 0.03),
        constant("Ch", 0.321, 0.03),
        constant("Cs", 0.619, 0.03),
        constant("Rie", 0.909, 0.03),
        constant("Rea", 4.47, 0.03),
        constant("Rih", 0.383, 0.03),
        constant("Ris", 0.115, 0.03),
        constant("Aw", 6.03, 0.03),
        // 1: all of it heats.
        constant("element", 1.0, 0.0),
    ],
    states: &[("T_sensor_C", 21.0), ("T_interior_C", 21.0), ("T_heater_C", 22.5), ("T_envelope_C", 17.0)],
    inputs: &[("heat_kW", 3.5), ("T_ambient_C", 8.0), ("solar_kW_m2", 0.02), ("gains_kW", 0.3)],
    outputs: &["T_sensor_C", "T_heater_C", "heat_kW"],
    physics: &Zone,
    step_s: 20.0,
    run_in_s: 4.0 * 86_400.0,
    surroundings: &[
        Surrounding::still("T_ambient_C").waves(4.0, 15.0, 9.0).wander(2.0, 43_200.0).within(-25.0, 40.0),
        // Nights are dark: the wave is cut at zero. Clouds come and go.
        Surrounding::still("solar_kW_m2").waves(0.15, 12.5, 0.05).wander(0.03, 1800.0).within(0.0, 1.0),
        Surrounding::still("gains_kW")
            .waves(0.2, 14.0, 0.0)
            .weekend(-0.2)
            .wander(0.1, 3600.0)
            .within(0.0, 3.0),
    ],
    set_points: &[SetPoint {
        signal: "zone.setpoint",
        value: 21.0,
        spread: 1.0,
        every_s: (7200.0, 43_200.0),
    }],
    control: Control {
        period_s: 300.0,
        reads: &["zone.temperature", "zone.setpoint"],
        writes: &["heater.command"],
        memory: &[0.0],
        law,
    },
    leans: &[
        Lean { output: "T_sensor_C", state: 0, gain: 0.001 },
        Lean { output: "T_sensor_C", state: 1, gain: 0.001 },
        Lean { output: "T_heater_C", state: 2, gain: 0.001 },
        Lean { output: "T_sensor_C", state: 3, gain: 0.0001 },
    ],
    hazard: "zone.temperature",
    incidents: &INCIDENTS,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_at_the_cards_equilibrium() {
        let constants: Vec<f64> = REFERENCE.constants.iter().map(|constant| constant.value).collect();
        let mut rate = [1.0; 4];
        Zone.rate(&constants, &[23.1297, 23.1297, 24.6617, 19.221], &[4.0, 0.0, 0.0, 0.3], &mut rate);
        assert!(rate.iter().all(|rate| rate.abs() < 1e-12), "{rate:?}");
    }
}
