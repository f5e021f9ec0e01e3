//! Planar vertical arm with two links: the Pelican prototype. Angle 1 is from the downward vertical, angle 2 from link 1.
//!
//! Source: Kelly, Santibáñez, Loría, *Control of Robot Manipulators in Joint Space*, Springer 2005, ch. 5 (values);
//! equations of motion as in Spong, Vidyasagar, *Robot Dynamics and Control*, §6.4, the mass matrix inverted in closed
//! form. No friction.

use super::{BuiltIn, parameter, state};
use crate::TimeBase;

/// The model; starts held against gravity at 0.6 and 0.8 rad.
pub static MODEL: BuiltIn = BuiltIn {
    name: "robot_arm_2",
    title: "Planar vertical two-link arm",
    base: TimeBase::Continuous,
    states: &[
        state("q1_rad", 0.6, 1e-3, 1e-5),
        state("q2_rad", 0.8, 1e-3, 1e-5),
        state("qd1_rad_s", 0.0, 0.01, 0.01),
        state("qd2_rad_s", 0.0, 0.01, 0.01),
    ],
    inputs: &[("tau1_Nm", 6.950_700_510_44), ("tau2_Nm", 0.452_899_810_359)],
    outputs: &["q1_rad", "q2_rad"],
    parameters: &[
        parameter("l1", 0.26, "length of link 1, m"),
        parameter("l2", 0.26, "length of link 2, m"),
        parameter("lc1", 0.0983, "centre of mass of link 1, m"),
        parameter("lc2", 0.0229, "centre of mass of link 2, m"),
        parameter("m1", 6.5225, "mass of link 1, kg"),
        parameter("m2", 2.0458, "mass of link 2, kg"),
        parameter("I1", 0.1213, "inertia of link 1, kg m²"),
        parameter("I2", 0.0116, "inertia of link 2, kg m²"),
        parameter("g", 9.81, "gravity, m/s²"),
    ],
    equations: "
        M11 = m1 * lc1^2 + m2 * (l1^2 + lc2^2 + 2 * l1 * lc2 * cos(q2_rad)) + I1 + I2
        M12 = m2 * (lc2^2 + l1 * lc2 * cos(q2_rad)) + I2
        M22 = m2 * lc2^2 + I2
        h   = m2 * l1 * lc2 * sin(q2_rad)
        g2  = m2 * lc2 * g * sin(q1_rad + q2_rad)
        g1  = (m1 * lc1 + m2 * l1) * g * sin(q1_rad) + g2
        r1  = tau1_Nm + h * (2 * qd1_rad_s * qd2_rad_s + qd2_rad_s^2) - g1
        r2  = tau2_Nm - h * qd1_rad_s^2 - g2
        det = M11 * M22 - M12^2
        d(q1_rad)/dt = qd1_rad_s
        d(q2_rad)/dt = qd2_rad_s
        d(qd1_rad_s)/dt = (M22 * r1 - M12 * r2) / det
        d(qd2_rad_s)/dt = (M11 * r2 - M12 * r1) / det
    ",
    native: None,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::start;

    #[test]
    fn robot_arm_2_is_held_by_its_torques() {
        let (rate, output) = start(&MODEL);
        assert!(rate.iter().all(|rate| rate.abs() < 1e-10), "{rate:?}");
        assert_eq!(output, [0.6, 0.8]);
    }
}
