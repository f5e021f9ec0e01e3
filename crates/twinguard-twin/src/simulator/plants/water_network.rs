//! The reference plant `water_network`: two pumps, two tanks, a town and a village, sampled once a minute.
//!
//! Source: Walski et al., *Advanced Water Distribution Modeling and Management*, 2003, ch. 2 (pumps, head losses, tanks),
//! ch. 7 (demand patterns: peaks in the morning and in the evening); level switches as in the plant card. The equations
//! are those of the reduced model; tanks that are full run over, empty ones stay empty.
//!
//! With both pumps on and nobody to stop them tank 1 runs over after some hours.

use super::super::reference::{
    Control, Effect, Incident, Lean, Physics, Reference, Scan, SetPoint, Surrounding, benign, constant, fault,
};
use std::borrow::Cow::Borrowed as named;

/// Height at which the tanks run over, m.
const RIM_M: f64 = 6.5;

#[derive(Debug)]
struct Network;

/// Flow of the station and of the transfer pipe, L/s.
fn flows(parameters: &[f64], state: &[f64]) -> (f64, f64) {
    let (&[head, main, transfer, ..], &[h1, h2, one, two, valve]) = (parameters, state) else {
        return (0.0, 0.0);
    };
    let pumps = one + two;
    let lift = (head - 30.0 - h1).max(0.01);
    let station = pumps * (lift / (0.009 + main * pumps * pumps)).sqrt();
    (station, valve * ((5.0 + h1 - h2).max(0.01) / transfer).sqrt())
}

impl Physics for Network {
    fn rate(&self, parameters: &[f64], state: &[f64], input: &[f64], out: &mut [f64]) {
        let (&[.., area1, area2], &[_, _, one, two, valve], &[to_one, to_two, to_valve, town, village, leak]) =
            (parameters, state, input)
        else {
            return;
        };
        let (station, transfer) = flows(parameters, state);
        let rates = [
            (station - transfer - town - leak) / (1000.0 * area1),
            (transfer - village) / (1000.0 * area2),
            (to_one - one) / 20.0,
            (to_two - two) / 20.0,
            (to_valve - valve) / 30.0,
        ];
        out.iter_mut().zip(rates).for_each(|(out, rate)| *out = rate);
    }

    fn output(&self, parameters: &[f64], state: &[f64], input: &[f64], out: &mut [f64]) {
        let (&[_, main, ..], &[h1, h2, one, two, valve], &[_, _, _, town, village, _]) =
            (parameters, state, input)
        else {
            return;
        };
        let (station, transfer) = flows(parameters, state);
        let outputs = [
            h1,
            h2,
            station,
            transfer,
            30.0 + h1 + main * station * station,
            40.0 + h1 - 0.003 * town * town,
            30.0 + h2 - 0.02 * village * village,
            one,
            two,
            valve,
        ];
        out.iter_mut().zip(outputs).for_each(|(out, value)| *out = value);
    }

    fn settle(&self, _: &[f64], state: &mut [f64], _: &[f64], _: f64) {
        state.iter_mut().take(2).for_each(|level| *level = level.clamp(0.0, RIM_M));
    }
}

fn law(scan: &mut Scan<'_>) {
    let &[h1, h2, wanted] = scan.seen else { return };
    let [one, two, valve] = &mut *scan.commands else { return };
    let switch = |on: &mut f64, below: f64, above: f64| {
        if h1 < below {
            *on = 1.0;
        } else if h1 > above {
            *on = 0.0;
        }
    };
    switch(one, wanted - 0.2, wanted + 0.8);
    switch(two, wanted - 0.8, wanted + 0.2);
    *valve = (0.4 + 0.4 * (3.0 - h2)).clamp(0.0, 1.0);
}

static INCIDENTS: [Incident; 9] = [
    fault("leak", "a main leaks: 8 L/s that no meter sees", 600.0, &[Effect::Input(named("leak_L_s"), 8.0)]),
    fault(
        "pump_worn",
        "the pumps have lost a tenth of their head",
        3600.0,
        &[Effect::Constant(named("pump_a_m"), 0.9)],
    ),
    fault("pump_dead", "pump 1 does not start", 0.0, &[Effect::Weak(named("pump1_cmd"), 0.0)]),
    fault("valve_stuck", "the transfer valve does not move", 0.0, &[Effect::Stuck(named("valve_cmd_pu"))]),
    fault(
        "level_drift",
        "the level of tank 1 drifts by 0.3 m in a day",
        86_400.0,
        &[Effect::Bias(named("tank1.level"), 0.3)],
    ),
    fault(
        "pipe_rough",
        "the transfer pipe is half closed by a forgotten valve",
        0.0,
        &[Effect::Constant(named("r_transfer"), 3.0)],
    ),
    benign(
        "fire",
        "fire flow: 40 L/s more in the town for two hours",
        60.0,
        7200.0,
        &[Effect::Input(named("town_L_s"), 40.0)],
    ),
    benign(
        "flushing",
        "the village's mains are flushed: 4 L/s more for an hour",
        60.0,
        3600.0,
        &[Effect::Input(named("village_L_s"), 4.0)],
    ),
    benign("restart", "the remote terminal is silent for half an hour", 0.0, 1800.0, &[Effect::Silence]),
];

/// The plant.
pub static REFERENCE: Reference = Reference {
    name: "water_network",
    title: "Small water network: two pumps, two tanks, two districts",
    plant: include_str!("../../../plants/water_network.toml"),
    constants: &[
        constant("pump_a_m", 70.0, 0.01),
        constant("r_main", 0.0015, 0.03),
        constant("r_transfer", 0.0045, 0.03),
        constant("area1_m2", 300.0, 0.015),
        constant("area2_m2", 150.0, 0.015),
    ],
    states: &[("h1_m", 3.5), ("h2_m", 3.0), ("pump1", 1.0), ("pump2", 0.0), ("valve_pu", 0.5)],
    inputs: &[
        ("pump1_cmd", 1.0),
        ("pump2_cmd", 0.0),
        ("valve_cmd_pu", 0.5),
        ("town_L_s", 45.0),
        ("village_L_s", 12.0),
        ("leak_L_s", 0.0),
    ],
    outputs: &[
        "h1_m",
        "h2_m",
        "station_L_s",
        "transfer_L_s",
        "station_pressure_m",
        "town_pressure_m",
        "village_pressure_m",
        "pump1",
        "pump2",
        "valve_pu",
    ],
    physics: &Network,
    step_s: 20.0,
    run_in_s: 2.0 * 86_400.0,
    surroundings: &[
        Surrounding::still("town_L_s")
            .waves(12.0, 10.0, 6.0)
            .weekend(-5.0)
            .wander(2.5, 3600.0)
            .steps(38.0, 52.0, 14_400.0)
            .within(5.0, 120.0),
        Surrounding::still("village_L_s")
            .waves(3.0, 9.0, 2.0)
            .weekend(1.0)
            .wander(0.7, 3600.0)
            .within(1.0, 40.0),
    ],
    set_points: &[SetPoint {
        signal: "tank1.setpoint",
        value: 3.5,
        spread: 0.4,
        every_s: (21_600.0, 86_400.0),
    }],
    control: Control {
        period_s: 300.0,
        reads: &["tank1.level", "tank2.level", "tank1.setpoint"],
        writes: &["pump1.command", "pump2.command", "valve.command"],
        memory: &[],
        law,
    },
    leans: &[
        Lean { output: "h1_m", state: 0, gain: 0.002 },
        Lean { output: "h2_m", state: 1, gain: 0.002 },
        Lean { output: "pump1", state: 2, gain: 0.01 },
        Lean { output: "pump2", state: 3, gain: 0.01 },
        Lean { output: "valve_pu", state: 4, gain: 0.01 },
    ],
    hazard: "tank1.level",
    incidents: &INCIDENTS,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_over_when_nobody_stops_the_pumps() {
        let constants: Vec<f64> = REFERENCE.constants.iter().map(|constant| constant.value).collect();
        let mut state = vec![3.5, 3.0, 1.0, 1.0, 0.4];
        let mut rk4 = crate::integrators::Rk4::new(5);
        let input = [1.0, 1.0, 0.4, 45.0, 12.0, 0.0];
        let over = (1..4000).find(|_| {
            rk4.step(|_, x, rate| Network.rate(&constants, x, &input, rate), 0.0, 20.0, &mut state);
            state[0] > 6.0
        });
        let hours = over.map(|steps| f64::from(steps) * 20.0 / 3600.0);
        assert!(hours.is_some_and(|hours| (1.0..12.0).contains(&hours)), "{hours:?}");
    }
}
