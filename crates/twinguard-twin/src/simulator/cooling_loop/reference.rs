//! The cooling loop as a reference plant like the others: with day, week and year, faults, and any sampling.
//!
//! Source: plant card 1 and the equations of [`physics`](super::physics); load by day and week as IEC 60076-7 §10.2 has it for cyclic
//! loading, air by the daily and yearly wave of the heated zone, supply water from a river: slower and flatter than the air.

use std::borrow::Cow::Borrowed as named;

use super::super::reference::{
    Control, Effect, Incident, Lean, Loop, Physics, Reference, Scan, SetPoint, Surrounding, benign, constant,
    fault,
};
use super::physics::{self, Ambient, Parameters, State};

#[derive(Debug)]
struct Transformer;

fn parameters(constants: &[f64]) -> Option<Parameters> {
    let &[
        no_load_w,
        load_w,
        oil_j_k,
        water_j_k,
        tank_w_k,
        water_w_k,
        oil_w_k,
        cooler_w_k,
        gradient_k,
        tau_winding_s,
    ] = constants
    else {
        return None;
    };
    let tanks = Parameters { no_load_w, load_w, oil_j_k, water_j_k, tank_w_k, ..Parameters::default() };
    Some(Parameters { water_w_k, oil_w_k, cooler_w_k, gradient_k, tau_winding_s, ..tanks })
}

impl Physics for Transformer {
    fn rate(&self, constants: &[f64], state: &[f64], input: &[f64], out: &mut [f64]) {
        let (Some(parameters), Ok(state), &[pump, valve, load_pu, air_c, supply_c], Ok(out)) =
            (parameters(constants), state.try_into(), input, out.try_into())
        else {
            return;
        };
        let ambient = Ambient { load_pu, air_c, supply_c };
        parameters.slope(&State::from_array(state), [pump, valve], ambient, out);
    }

    fn output(&self, constants: &[f64], state: &[f64], _: &[f64], out: &mut [f64]) {
        let (Some(parameters), Ok(state)) = (parameters(constants), state.try_into()) else { return };
        let shown = physics::Physics::new(parameters).output(&State::from_array(state)).to_array();
        out.iter_mut().zip(shown).for_each(|(out, value)| *out = value);
    }
}

/// Incremental PI on the top oil; pump and valve move together.
fn law(scan: &mut Scan<'_>) {
    let &[oil_c, wanted_c] = scan.seen else { return };
    // Kp 0.04 /K on c, and the commands are 0.2 + 0.8 c.
    Loop::new(0.032, 1500.0, 0.2, 1.0).decide(scan, 0, oil_c - wanted_c);
    if let [pump, valve] = &mut *scan.commands {
        *valve = *pump;
    }
}

static INCIDENTS: [Incident; 6] = [
    fault(
        "cooler_fouled",
        "the cooler's tubes foul: a third less heat passes after a month",
        30.0 * 86_400.0,
        &[Effect::Constant(named("U_r_W_K"), 0.67)],
    ),
    fault("valve_stuck", "the water valve does not move", 0.0, &[Effect::Stuck(named("valve_cmd_pu"))]),
    fault(
        "pump_weak",
        "one of two pumps has lost its coupling",
        0.0,
        &[Effect::Weak(named("pump_cmd_pu"), 0.6)],
    ),
    fault(
        "sensor_drift",
        "the Pt100 of the top oil drifts by 3 K in a week",
        604_800.0,
        &[Effect::Bias(named("transformer.oil.temperature"), 3.0)],
    ),
    benign(
        "load_peak",
        "a neighbouring line is out: a fifth more load for four hours",
        60.0,
        14_400.0,
        &[Effect::Input(named("load_K_pu"), 0.2)],
    ),
    benign("restart", "the field device restarts: no answer for 5 minutes", 0.0, 300.0, &[Effect::Silence]),
];

/// The plant. Campaigns of the red team run the older simulator of [`Site`](super::Site), sampled once a second.
pub static REFERENCE: Reference = Reference {
    name: "cooling_loop",
    title: "Oil-forced, water-forced power transformer",
    plant: super::PLANT,
    constants: &[
        constant("P0_W", 300e3, 0.01),
        constant("Pk_W", 1.8e6, 0.01),
        constant("C_oil_J_K", 202.5e6, 0.01),
        constant("C_water_J_K", 4.18e6, 0.01),
        constant("G_tank_W_K", 1125.0, 0.01),
        constant("W_water_r_W_K", 203_700.0, 0.0),
        constant("W_oil_r_W_K", 169_750.0, 0.0),
        constant("U_r_W_K", 51_312.178_000_4, 0.01),
        constant("dth_hr_K", 22.0, 0.01),
        constant("tau_w_s", 420.0, 0.01),
    ],
    states: &[
        ("theta_oil_C", 65.0),
        ("theta_water_C", 28.0),
        ("dtheta_h1_K", 21.4),
        ("dtheta_h2_K", 4.9),
        ("pump_speed_pu", 0.8),
        ("valve_pu", 0.8),
    ],
    inputs: &[
        ("pump_cmd_pu", 0.8),
        ("valve_cmd_pu", 0.8),
        ("load_K_pu", 0.8),
        ("theta_air_C", 11.0),
        ("theta_supply_C", 13.0),
    ],
    outputs: &[
        "theta_oil_C",
        "theta_hotspot_C",
        "theta_cooler_out_C",
        "theta_water_C",
        "oil_flow_pu",
        "water_flow_pu",
        "pump_speed_pu",
        "valve_pu",
    ],
    physics: &Transformer,
    step_s: 1.0,
    run_in_s: 86_400.0,
    surroundings: &[
        Surrounding::still("load_K_pu")
            .waves(0.08, 13.0, -0.04)
            .weekend(-0.08)
            .wander(0.01, 300.0)
            .steps(0.6, 0.95, 14_400.0)
            .within(0.0, 1.3),
        Surrounding::still("theta_air_C").waves(4.0, 15.0, 9.0).wander(0.5, 3600.0).within(-30.0, 45.0),
        Surrounding::still("theta_supply_C").waves(0.5, 17.0, 6.0).wander(0.3, 3600.0).within(0.5, 30.0),
    ],
    set_points: &[SetPoint {
        signal: "cooler.oil.setpoint",
        value: 65.0,
        spread: 2.0,
        every_s: (21_600.0, 86_400.0),
    }],
    control: Control {
        period_s: 10.0,
        reads: &["transformer.oil.temperature", "cooler.oil.setpoint"],
        writes: &["cooler.pump.command", "cooler.valve.command"],
        memory: &[0.0],
        law,
    },
    leans: &[
        Lean { output: "theta_oil_C", state: 0, gain: 0.005 },
        Lean { output: "theta_water_C", state: 1, gain: 0.005 },
        Lean { output: "theta_hotspot_C", state: 2, gain: 0.002 },
        Lean { output: "pump_speed_pu", state: 4, gain: 0.01 },
        Lean { output: "valve_pu", state: 5, gain: 0.01 },
    ],
    hazard: "transformer.hotspot.temperature",
    incidents: &INCIDENTS,
};

#[cfg(test)]
mod tests {
    use super::super::super::{Options, Simulator, Site};
    use super::*;
    use twinguard_types::Duration;

    #[test]
    fn the_constants_are_the_published_ones() {
        let values: Vec<f64> = REFERENCE.constants.iter().map(|constant| constant.value).collect();
        let (own, published) = (parameters(&values).unwrap(), Parameters::default());
        let off = (own.cooler_w_k - published.cooler_w_k).abs() / published.cooler_w_k;
        assert!(off < 1e-9, "{off}");
        assert_eq!(Parameters { cooler_w_k: published.cooler_w_k, ..own }, published);
    }

    #[test]
    fn holds_its_oil_sampled_once_a_minute() {
        let options = Options { sampling: Some(Duration::from_secs(60)), ..Options::default() };
        let mut site = Site::new(&REFERENCE, 3, &options).unwrap();
        for _ in 0..2_880 {
            site.step();
        }
        assert_eq!(site.plant.now(), twinguard_types::Timestamp::from_secs(172_800));
        assert_eq!(site.file().time.sampling, Duration::from_secs(60));
        let oil = site.plant.state()[0];
        assert!((60.0..70.0).contains(&oil), "{oil}");
    }
}
