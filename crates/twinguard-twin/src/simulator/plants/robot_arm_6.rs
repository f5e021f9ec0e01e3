//! The reference plant `robot_arm_6`: the PUMA 560 with the drives of its six joints moves parts.
//!
//! Source: Corke, Armstrong-Hélouvry, *A search for consensus among model parameters reported for the PUMA 560 robot*, ICRA
//! 1994 (values); recursive Newton–Euler as in [`serial_arm`](crate::models::serial_arm), which this plant shares with the model
//! that a guard runs: twelve coupled states are not written twice. What differs are masses and friction.

use super::super::reference::{
    Control, Effect, Incident, Lean, Physics, Reference, Scan, SetPoint, benign, constant, fault,
};
use super::robot_arm::between;
use crate::models::serial_arm::{Arm, Drive, JOINTS, puma_560};
use std::borrow::Cow::Borrowed as named;
use std::sync::LazyLock;

static PUMA: LazyLock<(Arm, Vec<Drive>)> = LazyLock::new(puma_560);

#[derive(Debug)]
struct Puma;

/// The arm as it really is.
fn arm(parameters: &[f64]) -> Arm {
    let mut arm = PUMA.0.clone();
    let &[upper, fore, wrist, viscous, coulomb] = parameters else { return arm };
    for (at, mass) in [(1, upper), (2, fore), (5, wrist)] {
        if let Some(link) = arm.links.get_mut(at) {
            link.mass = mass;
        }
    }
    for link in &mut arm.links {
        link.viscous *= viscous;
        link.coulomb *= coulomb;
    }
    arm
}

impl Physics for Puma {
    fn rate(&self, parameters: &[f64], state: &[f64], input: &[f64], out: &mut [f64]) {
        let Some((q, speed)) = state.split_at_checked(JOINTS) else { return };
        let Some(targets) = input.get(..JOINTS) else { return };
        let (believed, drives) = &*PUMA;
        let torque = believed.drive(drives, q, speed, targets);
        let acceleration = arm(parameters).forward(q, speed, &torque);
        out.iter_mut().zip(speed.iter().chain(&acceleration)).for_each(|(out, rate)| *out = *rate);
    }

    fn output(&self, _: &[f64], state: &[f64], input: &[f64], out: &mut [f64]) {
        let Some((q, speed)) = state.split_at_checked(JOINTS) else { return };
        let Some(targets) = input.get(..JOINTS) else { return };
        let (believed, drives) = &*PUMA;
        let torque = believed.drive(drives, q, speed, targets);
        let shown = q.iter().copied().chain(torque).chain(believed.tool(q));
        out.iter_mut().zip(shown).for_each(|(out, value)| *out = value);
    }
}

const HOME: [f64; 6] =
    [0.0, core::f64::consts::FRAC_PI_4, core::f64::consts::PI, 0.0, core::f64::consts::FRAC_PI_4, 0.0];
const AWAY: [f64; 6] = [0.5, 0.9, 3.0, 0.3, 0.6, 0.5];

fn law(scan: &mut Scan<'_>) {
    between(scan, &HOME, &AWAY);
}

static INCIDENTS: [Incident; 6] = [
    fault(
        "bearing_wear",
        "bearings rub: Coulomb friction +50 %",
        10.0,
        &[Effect::Constant(named("coulomb"), 1.5)],
    ),
    fault(
        "encoder_offset",
        "the encoder of joint 3 is off by 0.02 rad",
        0.0,
        &[Effect::Bias(named("joint3.angle"), 0.02)],
    ),
    fault(
        "encoder_dropout",
        "the encoder of joint 1 shows its last value",
        0.0,
        &[Effect::Frozen(named("joint1.angle"))],
    ),
    benign("payload", "a part of 1 kg", 0.1, 3.0, &[Effect::Constant(named("m5"), 12.0)]),
    benign(
        "warm",
        "warm grease: viscous friction −30 %",
        60.0,
        3600.0,
        &[Effect::Constant(named("viscous"), 0.7)],
    ),
    benign("restart", "the bus restarts: no answer for 0.2 s", 0.0, 0.2, &[Effect::Silence]),
];

/// The plant.
pub static REFERENCE: Reference = Reference {
    name: "robot_arm_6",
    title: "Six-joint robot arm (PUMA 560) with its drives",
    plant: include_str!("../../../plants/robot_arm_6.toml"),
    constants: &[
        constant("m1", 17.4, 0.015),
        constant("m2", 4.8, 0.015),
        constant("m5", 0.09, 0.0),
        // Factors on the published friction.
        constant("viscous", 1.0, 0.04),
        constant("coulomb", 1.0, 0.04),
    ],
    states: &[
        ("q1_rad", HOME[0]),
        ("q2_rad", HOME[1]),
        ("q3_rad", HOME[2]),
        ("q4_rad", HOME[3]),
        ("q5_rad", HOME[4]),
        ("q6_rad", HOME[5]),
        ("qd1_rad_s", 0.0),
        ("qd2_rad_s", 0.0),
        ("qd3_rad_s", 0.0),
        ("qd4_rad_s", 0.0),
        ("qd5_rad_s", 0.0),
        ("qd6_rad_s", 0.0),
    ],
    inputs: &[
        ("target1_rad", HOME[0]),
        ("target2_rad", HOME[1]),
        ("target3_rad", HOME[2]),
        ("target4_rad", HOME[3]),
        ("target5_rad", HOME[4]),
        ("target6_rad", HOME[5]),
    ],
    outputs: &[
        "q1_rad", "q2_rad", "q3_rad", "q4_rad", "q5_rad", "q6_rad", "tau1_Nm", "tau2_Nm", "tau3_Nm",
        "tau4_Nm", "tau5_Nm", "tau6_Nm", "tool_x_m", "tool_y_m", "tool_z_m",
    ],
    physics: &Puma,
    step_s: 0.005,
    run_in_s: 4.0,
    surroundings: &[],
    set_points: &[SetPoint { signal: "arm.speed", value: 1.0, spread: 0.1, every_s: (20.0, 60.0) }],
    control: Control {
        period_s: 0.01,
        reads: &["arm.speed"],
        writes: &[
            "joint1.target",
            "joint2.target",
            "joint3.target",
            "joint4.target",
            "joint5.target",
            "joint6.target",
        ],
        memory: &[0.0],
        law,
    },
    leans: &[
        Lean { output: "q1_rad", state: 0, gain: 20.0 },
        Lean { output: "q2_rad", state: 1, gain: 20.0 },
        Lean { output: "q3_rad", state: 2, gain: 20.0 },
        Lean { output: "q4_rad", state: 3, gain: 20.0 },
        Lean { output: "q5_rad", state: 4, gain: 20.0 },
        Lean { output: "q6_rad", state: 5, gain: 20.0 },
        Lean { output: "q1_rad", state: 6, gain: 100.0 },
        Lean { output: "q2_rad", state: 7, gain: 100.0 },
        Lean { output: "q3_rad", state: 8, gain: 100.0 },
        Lean { output: "q4_rad", state: 9, gain: 100.0 },
        Lean { output: "q5_rad", state: 10, gain: 100.0 },
        Lean { output: "q6_rad", state: 11, gain: 100.0 },
    ],
    hazard: "tool.x",
    incidents: &INCIDENTS,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_its_pose() {
        let constants: Vec<f64> = REFERENCE.constants.iter().map(|constant| constant.value).collect();
        let state: Vec<f64> = REFERENCE.states.iter().map(|(_, value)| *value).collect();
        let mut rate = [1.0; 12];
        Puma.rate(&constants, &state, &HOME, &mut rate);
        assert!(rate.iter().all(|rate| rate.abs() < 1e-9), "{rate:?}");
    }
}
