//! The reference plant `robot_arm`: two joints in a vertical plane move parts; a person stands behind a line.
//!
//! Source: Kelly, Santibáñez, Loría, *Control of Robot Manipulators in Joint Space*, Springer 2005, ch. 5 (Pelican
//! prototype: values, PD control with gravity compensation, torque limits); equations as Spong, Vidyasagar 1989, §6.4.
//! Viscous friction of the same prototype (0.2741, 0.1713 N m s/rad there, taken as 0.29 and 0.18).
//!
//! Sampled at 100 Hz; the drives' loops are inside. A target 0.2 rad off brings the tool over the line within 0.3 s.

use super::super::reference::{
    Control, Effect, Incident, Lean, Physics, Reference, Scan, SetPoint, benign, constant, fault,
};
use std::borrow::Cow::Borrowed as named;

const LENGTH: f64 = 0.26;
const CENTRE: [f64; 2] = [0.0983, 0.0229];
const INERTIA: [f64; 2] = [0.1213, 0.0116];
const G: f64 = 9.81;
/// Masses as the drives believe them.
const MASS: [f64; 2] = [6.5225, 2.0458];

#[derive(Debug)]
struct Pelican;

fn weight(mass: [f64; 2], q1: f64, q2: f64) -> [f64; 2] {
    let second = mass[1] * CENTRE[1] * G * libm::sin(q1 + q2);
    [(mass[0] * CENTRE[0] + mass[1] * LENGTH) * G * libm::sin(q1) + second, second]
}

/// What the drives do.
fn torque(state: &[f64], input: &[f64], limit: f64) -> [f64; 2] {
    let (&[q1, q2, w1, w2], &[to1, to2, ..]) = (state, input) else { return [0.0; 2] };
    let held = weight(MASS, q1, q2);
    [
        (30.0 * (to1 - q1) - 7.0 * w1 + held[0]).clamp(-15.0 * limit, 15.0 * limit),
        (30.0 * (to2 - q2) - 3.0 * w2 + held[1]).clamp(-4.0 * limit, 4.0 * limit),
    ]
}

impl Physics for Pelican {
    fn rate(&self, parameters: &[f64], state: &[f64], input: &[f64], out: &mut [f64]) {
        let (&[m1, m2, viscous1, viscous2, limit], &[q1, q2, w1, w2], &[_, _, push]) =
            (parameters, state, input)
        else {
            return;
        };
        let cosine = LENGTH * CENTRE[1] * libm::cos(q2);
        let m22 = m2 * CENTRE[1] * CENTRE[1] + INERTIA[1];
        let m12 = m22 + m2 * cosine;
        let m11 = m1 * CENTRE[0] * CENTRE[0] + m2 * LENGTH * LENGTH + INERTIA[0] + m22 + 2.0 * m2 * cosine;
        let coriolis = m2 * LENGTH * CENTRE[1] * libm::sin(q2);
        let [drive1, drive2] = torque(state, input, limit);
        let [g1, g2] = weight([m1, m2], q1, q2);
        let r1 = drive1 + coriolis * w2 * (2.0 * w1 + w2) - g1 - viscous1 * w1 + push;
        let r2 = drive2 - coriolis * w1 * w1 - g2 - viscous2 * w2;
        let determinant = m11 * m22 - m12 * m12;
        let rates = [w1, w2, (m22 * r1 - m12 * r2) / determinant, (m11 * r2 - m12 * r1) / determinant];
        out.iter_mut().zip(rates).for_each(|(out, rate)| *out = rate);
    }

    fn output(&self, parameters: &[f64], state: &[f64], input: &[f64], out: &mut [f64]) {
        let (&[.., limit], &[q1, q2, ..]) = (parameters, state) else { return };
        let [drive1, drive2] = torque(state, input, limit);
        let x = LENGTH * (libm::sin(q1) + libm::sin(q1 + q2));
        let y = -LENGTH * (libm::cos(q1) + libm::cos(q1 + q2));
        out.iter_mut().zip([q1, q2, drive1, drive2, x, y]).for_each(|(out, value)| *out = value);
    }
}

/// From one place to the other and back in four seconds, smoothly.
pub(super) fn between(scan: &mut Scan<'_>, from: &[f64], to: &[f64]) {
    let &[speed] = scan.seen else { return };
    let Some(phase) = scan.memory.first_mut() else { return };
    *phase = (*phase + speed * scan.period_s / 4.0).rem_euclid(1.0);
    let way = 0.5 - 0.5 * libm::cos(core::f64::consts::TAU * *phase);
    for ((command, from), to) in scan.commands.iter_mut().zip(from).zip(to) {
        *command = from + way * (to - from);
    }
}

fn law(scan: &mut Scan<'_>) {
    between(scan, &[0.3, 0.9], &[0.65, 0.8]);
}

static INCIDENTS: [Incident; 9] = [
    fault(
        "belt_slip",
        "the belt of joint 2 slips: the encoder shows 0.02 rad more",
        0.0,
        &[Effect::Bias(named("joint2.angle"), 0.02)],
    ),
    fault(
        "bearing_wear",
        "the bearing of joint 1 rubs: friction doubled",
        60.0,
        &[Effect::Constant(named("viscous1"), 2.0)],
    ),
    fault(
        "encoder_dropout",
        "the encoder of joint 1 shows its last value",
        0.0,
        &[Effect::Frozen(named("joint1.angle"))],
    ),
    fault(
        "demagnetised",
        "the motors give a third of their torque limit",
        0.0,
        &[Effect::Constant(named("limit"), 0.33)],
    ),
    fault(
        "collision",
        "the arm presses against something: 3 N m",
        0.02,
        &[Effect::Input(named("push_Nm"), -3.0)],
    ),
    fault("camera_moved", "somebody bumps the camera: 1 cm", 0.0, &[Effect::Bias(named("tool.x"), 0.01)]),
    benign("payload", "a heavier part: 0.4 kg more", 0.1, 3.0, &[Effect::Constant(named("m2"), 1.2)]),
    benign("warm", "warm grease: friction −30 %", 60.0, 3600.0, &[Effect::Constant(named("viscous1"), 0.7)]),
    benign("restart", "the bus restarts: no answer for 0.2 s", 0.0, 0.2, &[Effect::Silence]),
];

/// The plant.
pub static REFERENCE: Reference = Reference {
    name: "robot_arm",
    title: "Two-joint robot arm with its drives",
    plant: include_str!("../../../plants/robot_arm.toml"),
    constants: &[
        constant("m1", 6.5225, 0.015),
        constant("m2", 2.0458, 0.015),
        constant("viscous1", 0.29, 0.05),
        constant("viscous2", 0.18, 0.05),
        // 1: the drives' full torque.
        constant("limit", 1.0, 0.0),
    ],
    states: &[("q1_rad", 0.3), ("q2_rad", 0.9), ("qd1_rad_s", 0.0), ("qd2_rad_s", 0.0)],
    inputs: &[("target1_rad", 0.3), ("target2_rad", 0.9), ("push_Nm", 0.0)],
    outputs: &["q1_rad", "q2_rad", "tau1_Nm", "tau2_Nm", "tool_x_m", "tool_y_m"],
    physics: &Pelican,
    step_s: 0.002,
    run_in_s: 8.0,
    surroundings: &[],
    set_points: &[SetPoint { signal: "arm.speed", value: 1.0, spread: 0.1, every_s: (20.0, 60.0) }],
    control: Control {
        period_s: 0.01,
        reads: &["arm.speed"],
        writes: &["joint1.target", "joint2.target"],
        memory: &[0.0],
        law,
    },
    leans: &[
        Lean { output: "q1_rad", state: 0, gain: 20.0 },
        Lean { output: "q2_rad", state: 1, gain: 20.0 },
        Lean { output: "q1_rad", state: 2, gain: 100.0 },
        Lean { output: "q2_rad", state: 3, gain: 100.0 },
    ],
    hazard: "tool.x",
    incidents: &INCIDENTS,
};

#[cfg(test)]
mod tests {
    use super::*;

    /// A target that is off by 0.2 rad at joint 1 brings the tool over the person's line in a fraction of a second.
    #[test]
    fn crosses_the_line_at_once() {
        let constants: Vec<f64> = REFERENCE.constants.iter().map(|constant| constant.value).collect();
        let mut state = vec![0.65, 0.8, 0.0, 0.0];
        let mut rk4 = crate::integrators::Rk4::new(4);
        let mut out = [0.0; 6];
        let input = [1.1, 0.8, 0.0];
        let over = (1..1000).find(|_| {
            rk4.step(|_, x, rate| Pelican.rate(&constants, x, &input, rate), 0.0, 0.002, &mut state);
            Pelican.output(&constants, &state, &input, &mut out);
            out[4] > 0.47
        });
        assert!(over.is_some_and(|steps| (25..500).contains(&steps)), "{over:?} {out:?}");
    }
}
