//! Four tanks, two pumps: each pump feeds one lower tank and the other's upper tank.
//!
//! Source: Johansson, *The quadruple-tank process: a multivariable laboratory process with an adjustable zero*, IEEE
//! Trans. Control Systems Technology 8(3) 456–465, 2000, minimum-phase setting. The non-minimum-phase setting is
//! `gamma1 = 0.43, gamma2 = 0.34, k1 = 3.14, k2 = 3.29`: its zero at +0.0128 hides a slow attack from both outputs.
//! Below zero a level has no outflow. The paper measures the lower levels; the upper ones and what the pumps deliver are
//! outputs as well, for plants that measure them.

use super::{BuiltIn, parameter, state};
use crate::TimeBase;

/// The model; starts at its equilibrium for 3 V on both pumps.
pub static MODEL: BuiltIn = BuiltIn {
    name: "quadruple_tank",
    title: "Quadruple-tank process",
    base: TimeBase::Continuous,
    states: &[
        state("h1_cm", 12.262_967_519_6, 0.5, 0.01),
        state("h2_cm", 12.783_158_403, 0.5, 0.01),
        state("h3_cm", 1.633_941_132_26, 0.5, 0.01),
        state("h4_cm", 1.409_044_702_53, 0.5, 0.01),
    ],
    inputs: &[("v1_V", 3.0), ("v2_V", 3.0)],
    outputs: &["y1_V", "y2_V", "h3_cm", "h4_cm", "q1_in_cm3_s", "q2_in_cm3_s"],
    parameters: &[
        parameter("A1", 28.0, "cross-section of tank 1, cm²"),
        parameter("A2", 32.0, "cross-section of tank 2, cm²"),
        parameter("A3", 28.0, "cross-section of tank 3, cm²"),
        parameter("A4", 32.0, "cross-section of tank 4, cm²"),
        parameter("a1", 0.071, "outlet of tank 1, cm²"),
        parameter("a2", 0.057, "outlet of tank 2, cm²"),
        parameter("a3", 0.071, "outlet of tank 3, cm²"),
        parameter("a4", 0.057, "outlet of tank 4, cm²"),
        parameter("kc", 0.5, "level transmitters, V/cm"),
        parameter("g", 981.0, "gravity, cm/s²"),
        parameter("k1", 3.33, "pump 1, cm³/(V s)"),
        parameter("k2", 3.35, "pump 2, cm³/(V s)"),
        parameter("gamma1", 0.7, "share of pump 1 that goes to tank 1"),
        parameter("gamma2", 0.6, "share of pump 2 that goes to tank 2"),
    ],
    equations: "
        q1 = a1 * sqrt(2 * g * max(h1_cm, 0))
        q2 = a2 * sqrt(2 * g * max(h2_cm, 0))
        q3 = a3 * sqrt(2 * g * max(h3_cm, 0))
        q4 = a4 * sqrt(2 * g * max(h4_cm, 0))
        d(h1_cm)/dt = (q3 - q1 + gamma1 * k1 * v1_V) / A1
        d(h2_cm)/dt = (q4 - q2 + gamma2 * k2 * v2_V) / A2
        d(h3_cm)/dt = ((1 - gamma2) * k2 * v2_V - q3) / A3
        d(h4_cm)/dt = ((1 - gamma1) * k1 * v1_V - q4) / A4
        q1_in_cm3_s = k1 * v1_V
        q2_in_cm3_s = k2 * v2_V
        y1_V = kc * h1_cm
        y2_V = kc * h2_cm
    ",
    native: None,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::start;

    #[test]
    fn quadruple_tank_rests_and_its_empty_tanks_have_finite_jacobians() {
        let (rate, _) = start(&MODEL);
        assert!(rate.iter().all(|rate| rate.abs() < 1e-10), "{rate:?}");
        let model = MODEL.model(&[]).unwrap();
        let (mut by_state, mut by_input) = ([0.0; 16], [0.0; 8]);
        model.dynamics_jacobian(0.0, &[-0.1, 0.0, 0.0, -1.0], &[3.0, 3.0], &mut by_state, &mut by_input);
        assert_eq!(by_state, [0.0; 16]);
        assert!((by_input[0] - 0.08325).abs() < 1e-15);
    }
}
