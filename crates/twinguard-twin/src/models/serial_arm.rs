//! Serial arms of two to six revolute joints, rigid links, geared motors; shipped with the numbers of the PUMA 560.
//!
//! Sources: Luh, Walker, Paul, *On-line computational scheme for mechanical manipulators*, ASME J. Dyn. Sys. Meas.
//! Control 102 (1980) 69–76 (recursive Newton–Euler, standard Denavit–Hartenberg frames); Walker, Orin, *Efficient
//! dynamic computer simulation of robotic mechanisms*, same journal 104 (1982) 205–211, method 1 (forward dynamics);
//! numbers: Corke, Armstrong-Hélouvry, ICRA 1994.
//!
//! `serial_arm` is driven by joint torques. `serial_arm_servo` by joint targets: each drive is a PD controller with
//! gravity compensation and a torque limit. Friction is viscous plus Coulomb, smoothed as tanh(q̇ / 0.05).
//!
//! Exact Jacobians: ∂q̈/∂x = M⁻¹ (∂τ/∂x − ∂ID(q, q̇, q̈)/∂x) with the accelerations held, one pass over dual numbers.
//! Cost for six joints: about 7 passes of Newton–Euler per evaluation.

use std::sync::Arc;

use super::{BuiltIn, Parameter, State, parameter, state};
use crate::dual::{Dual, Scalar};
use crate::problem::Problem;
use crate::{Model, TimeBase};

/// Most joints.
pub const JOINTS: usize = 6;

type Vector<S> = [S; 3];

/// A link with its joint and its motor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Link {
    /// Offset along the joint's axis, m.
    pub d: f64,
    /// Length, m.
    pub a: f64,
    /// Sine and cosine of its twist.
    pub twist: (f64, f64),
    /// Mass, kg.
    pub mass: f64,
    /// Centre of mass in the link's frame, m.
    pub centre: [f64; 3],
    /// Moments of inertia about the centre of mass (xx, yy, zz), kg m².
    pub inertia: [f64; 3],
    /// Inertia of the motor as the joint feels it, G² Jm, kg m².
    pub motor: f64,
    /// Viscous friction at the joint, N m s.
    pub viscous: f64,
    /// Coulomb friction at the joint, N m.
    pub coulomb: f64,
}

impl Default for Link {
    /// Without extent, mass or friction.
    fn default() -> Self {
        Self {
            d: 0.0,
            a: 0.0,
            twist: (0.0, 1.0),
            mass: 0.0,
            centre: [0.0; 3],
            inertia: [0.0; 3],
            motor: 0.0,
            viscous: 0.0,
            coulomb: 0.0,
        }
    }
}

/// A chain of links.
#[derive(Clone, Debug, PartialEq)]
pub struct Arm {
    /// From the base outwards, at most [`JOINTS`].
    pub links: Vec<Link>,
    /// Upward acceleration of the base in its own frame, m/s².
    pub gravity: [f64; 3],
}

/// A drive: τ = clip(kp (target − q) − kv q̇ + gravity, ± limit).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Drive {
    /// N m/rad.
    pub kp: f64,
    /// N m s/rad.
    pub kv: f64,
    /// N m.
    pub limit: f64,
}

fn cross<S: Scalar>(a: Vector<S>, b: Vector<S>) -> Vector<S> {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

fn add<S: Scalar>(a: Vector<S>, b: Vector<S>) -> Vector<S> {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}

/// The rotation of a link against the one before it.
#[derive(Clone, Copy)]
struct Turn<S> {
    sine: S,
    cosine: S,
    twist: (f64, f64),
}

impl<S: Scalar> Turn<S> {
    /// From this link's frame to the one before.
    fn back(&self, v: Vector<S>) -> Vector<S> {
        let (sa, ca) = (S::of(self.twist.0), S::of(self.twist.1));
        [
            self.cosine * v[0] - self.sine * ca * v[1] + self.sine * sa * v[2],
            self.sine * v[0] + self.cosine * ca * v[1] - self.cosine * sa * v[2],
            sa * v[1] + ca * v[2],
        ]
    }

    /// Into this link's frame.
    fn forth(&self, v: Vector<S>) -> Vector<S> {
        let (sa, ca) = (S::of(self.twist.0), S::of(self.twist.1));
        [
            self.cosine * v[0] + self.sine * v[1],
            -(self.sine * ca * v[0]) + self.cosine * ca * v[1] + sa * v[2],
            self.sine * sa * v[0] - self.cosine * sa * v[1] + ca * v[2],
        ]
    }
}

impl Arm {
    fn joints(&self) -> usize {
        self.links.len().min(JOINTS)
    }

    /// The torques that make the arm move so, friction apart (recursive Newton–Euler); entries beyond its joints are 0.
    #[must_use]
    pub fn inverse<S: Scalar>(&self, q: &[S], speed: &[S], acceleration: &[S], gravity: f64) -> [S; JOINTS] {
        let zero = S::of(0.0);
        let (mut spin, mut turn_up) = ([zero; 3], [zero; 3]);
        let mut lift = self.gravity.map(|g| S::of(g * gravity));
        let still = Turn { sine: zero, cosine: S::of(1.0), twist: (0.0, 1.0) };
        let mut turns = [still; JOINTS];
        let (mut forces, mut moments) = ([[zero; 3]; JOINTS], [[zero; 3]; JOINTS]);
        let n = self.joints();
        let arms = |link: &Link| {
            let (sine, cosine) = link.twist;
            [link.a, link.d * sine, link.d * cosine].map(S::of)
        };
        for (at, link) in self.links.iter().take(n).enumerate() {
            let (qd, qdd) = (speed[at], acceleration[at]);
            let turn = Turn { sine: q[at].sin(), cosine: q[at].cos(), twist: link.twist };
            turns[at] = turn;
            let along = [zero, zero, qd];
            turn_up = turn.forth(add(add(turn_up, [zero, zero, qdd]), cross(spin, along)));
            spin = turn.forth(add(spin, along));
            let arm = arms(link);
            lift = add(add(cross(turn_up, arm), cross(spin, cross(spin, arm))), turn.forth(lift));
            let centre = link.centre.map(S::of);
            let moved = add(lift, add(cross(turn_up, centre), cross(spin, cross(spin, centre))));
            forces[at] = moved.map(|component| component * S::of(link.mass));
            let inertia = |v: Vector<S>| -> Vector<S> {
                [0, 1, 2].map(|axis: usize| v[axis] * S::of(link.inertia[axis]))
            };
            moments[at] = add(inertia(turn_up), cross(spin, inertia(spin)));
        }
        let mut torque = [zero; JOINTS];
        let (mut force, mut moment) = ([zero; 3], [zero; 3]);
        for at in (0..n).rev() {
            let link = &self.links[at];
            let arm = arms(link);
            let reach = add(arm, link.centre.map(S::of));
            if at + 1 < n {
                let next = turns[at + 1];
                moment = next.back(add(moment, cross(next.forth(arm), force)));
                force = next.back(force);
            }
            moment = add(add(moment, cross(reach, forces[at])), moments[at]);
            force = add(force, forces[at]);
            let axis = turns[at].forth([zero, zero, S::of(1.0)]);
            torque[at] = moment[0] * axis[0]
                + moment[1] * axis[1]
                + moment[2] * axis[2]
                + S::of(link.motor) * acceleration[at];
        }
        torque
    }

    /// The torques that hold the arm against gravity.
    #[must_use]
    pub fn holding<S: Scalar>(&self, q: &[S]) -> [S; JOINTS] {
        let still = [S::of(0.0); JOINTS];
        self.inverse(q, &still, &still, 1.0)
    }

    /// The mass matrix at `q`, factored as L Lᵀ in place (lower triangle).
    fn factor(&self, q: &[f64]) -> [[f64; JOINTS]; JOINTS] {
        let still = [0.0; JOINTS];
        let mut mass = [[0.0; JOINTS]; JOINTS];
        let n = self.joints();
        for column in 0..n {
            let mut unit = [0.0; JOINTS];
            unit[column] = 1.0;
            let torque = self.inverse(q, &still, &unit, 0.0);
            for (row, torque) in mass.iter_mut().zip(torque) {
                row[column] = torque;
            }
        }
        for column in 0..n {
            let before: f64 = mass[column].iter().take(column).map(|l| l * l).sum();
            let pivot = libm::sqrt(mass[column][column] - before);
            mass[column][column] = pivot;
            for row in column + 1..n {
                let dot: f64 = (0..column).map(|k| mass[row][k] * mass[column][k]).sum();
                mass[row][column] = (mass[row][column] - dot) / pivot;
            }
        }
        mass
    }

    fn solve(&self, factor: &[[f64; JOINTS]; JOINTS], right: &mut [f64; JOINTS]) {
        let n = self.joints();
        for row in 0..n {
            let dot: f64 = (0..row).map(|k| factor[row][k] * right[k]).sum();
            right[row] = (right[row] - dot) / factor[row][row];
        }
        for row in (0..n).rev() {
            let dot: f64 = (row + 1..n).map(|k| factor[k][row] * right[k]).sum();
            right[row] = (right[row] - dot) / factor[row][row];
        }
    }

    /// What friction takes from the torque.
    fn friction<S: Scalar>(&self, speed: &[S]) -> [S; JOINTS] {
        let mut lost = [S::of(0.0); JOINTS];
        for ((lost, link), speed) in lost.iter_mut().zip(&self.links).zip(speed) {
            *lost = S::of(link.viscous) * *speed + S::of(link.coulomb) * (*speed / S::of(0.05)).tanh();
        }
        lost
    }

    /// The accelerations under these torques.
    #[must_use]
    pub fn forward(&self, q: &[f64], speed: &[f64], torque: &[f64]) -> [f64; JOINTS] {
        let bias = self.inverse(q, speed, &[0.0; JOINTS], 1.0);
        let friction = self.friction(speed);
        let mut right = [0.0; JOINTS];
        for (at, right) in right.iter_mut().enumerate().take(self.joints()) {
            *right = torque[at] - bias[at] - friction[at];
        }
        self.solve(&self.factor(q), &mut right);
        right
    }

    /// Where the last link's frame is, in the base's frame, m.
    #[must_use]
    pub fn tool<S: Scalar>(&self, q: &[S]) -> [S; 3] {
        let mut place = [S::of(0.0); 3];
        for (link, q) in self.links.iter().zip(q).rev() {
            let twist = link.twist;
            let turn = Turn { sine: q.sin(), cosine: q.cos(), twist };
            let arm = [S::of(link.a), S::of(link.d * twist.0), S::of(link.d * twist.1)];
            place = turn.back(add(place, arm));
        }
        place
    }

    /// What the drives do.
    #[must_use]
    pub fn drive<S: Scalar>(&self, drives: &[Drive], q: &[S], speed: &[S], target: &[S]) -> [S; JOINTS] {
        let mut torque = self.holding(q);
        for (at, (torque, drive)) in torque.iter_mut().zip(drives).enumerate() {
            let pd = S::of(drive.kp) * (target[at] - q[at]) - S::of(drive.kv) * speed[at];
            *torque = (*torque + pd).clamp(-drive.limit, drive.limit);
        }
        torque
    }
}

/// The model of an arm, with or without its drives.
#[derive(Clone, Debug, PartialEq)]
pub struct ArmModel {
    arm: Arm,
    drives: Vec<Drive>,
    states: Vec<String>,
    inputs: Vec<String>,
    outputs: Vec<String>,
    parameters: Vec<(String, f64)>,
}

impl ArmModel {
    /// An arm of one to six joints; with drives its inputs are targets, without them torques. Outputs: the angles, the
    /// torques, the place of the tool.
    ///
    /// # Errors
    /// [`Problem::Value`] for no joint or more than six, or another number of drives than of joints or none.
    pub fn new(arm: Arm, drives: Vec<Drive>, parameters: Vec<(String, f64)>) -> Result<Self, Problem> {
        let n = arm.links.len();
        if !(1..=JOINTS).contains(&n) || !(drives.is_empty() || drives.len() == n) {
            let reason = format!("has {n} joints and {} drives; one to six joints can be", drives.len());
            return Err(Problem::Value { key: "arm".to_owned(), reason });
        }
        let numbered = |prefix: &str, suffix: &str| -> Vec<String> {
            (1..=n).map(|joint| format!("{prefix}{joint}{suffix}")).collect()
        };
        let (angles, torques) = (numbered("q", "_rad"), numbered("tau", "_Nm"));
        let tool = ["tool_x_m", "tool_y_m", "tool_z_m"].map(str::to_owned);
        Ok(Self {
            states: [angles.clone(), numbered("qd", "_rad_s")].concat(),
            inputs: if drives.is_empty() { torques.clone() } else { numbered("target", "_rad") },
            outputs: [angles, torques, tool.to_vec()].concat(),
            arm,
            drives,
            parameters,
        })
    }

    fn torque<S: Scalar>(&self, q: &[S], speed: &[S], input: &[S]) -> [S; JOINTS] {
        if self.drives.is_empty() {
            let mut torque = [S::of(0.0); JOINTS];
            torque.iter_mut().zip(input).for_each(|(torque, input)| *torque = *input);
            return torque;
        }
        self.arm.drive(&self.drives, q, speed, input)
    }

    /// State and input as variables of dual numbers: direction k is state k, then the inputs.
    fn variables(&self, state: &[f64], input: &[f64]) -> [[Dual<18>; JOINTS]; 3] {
        let n = self.arm.joints();
        let mut all = [[Dual::of(0.0); JOINTS]; 3];
        for at in 0..n {
            all[0][at] = Dual::variable(state[at], at);
            all[1][at] = Dual::variable(state[n + at], n + at);
            all[2][at] = Dual::variable(input[at], 2 * n + at);
        }
        all
    }
}

impl Model for ArmModel {
    fn state_names(&self) -> &[String] {
        &self.states
    }

    fn input_names(&self) -> &[String] {
        &self.inputs
    }

    fn output_names(&self) -> &[String] {
        &self.outputs
    }

    fn time_base(&self) -> TimeBase {
        TimeBase::Continuous
    }

    fn dynamics(&self, _: f64, state: &[f64], input: &[f64], out: &mut [f64]) {
        let (q, speed) = state.split_at(self.arm.joints());
        let torque = self.torque(q, speed, input);
        let acceleration = self.arm.forward(q, speed, &torque);
        out.iter_mut().zip(speed.iter().chain(&acceleration)).for_each(|(out, rate)| *out = *rate);
    }

    fn output(&self, _: f64, state: &[f64], input: &[f64], out: &mut [f64]) {
        let n = self.arm.joints();
        let (q, speed) = state.split_at(n);
        let torque = self.torque(q, speed, input);
        let shown = q.iter().chain(torque.iter().take(n)).copied().chain(self.arm.tool(q));
        out.iter_mut().zip(shown).for_each(|(out, value)| *out = value);
    }

    fn dynamics_jacobian(
        &self,
        _: f64,
        state: &[f64],
        input: &[f64],
        by_state: &mut [f64],
        by_input: &mut [f64],
    ) {
        let n = self.arm.joints();
        let (q, speed) = state.split_at(n);
        let torque = self.torque(q, speed, input);
        let acceleration = self.arm.forward(q, speed, &torque);
        let [dual_q, dual_speed, dual_input] = self.variables(state, input);
        let held = acceleration.map(Dual::of);
        let pushed = self.torque(&dual_q, &dual_speed, &dual_input);
        let needed = self.arm.inverse(&dual_q, &dual_speed, &held, 1.0);
        let lost = self.arm.friction(&dual_speed);
        let factor = self.arm.factor(q);
        by_state.fill(0.0);
        by_input.fill(0.0);
        for at in 0..n {
            by_state[at * 2 * n + n + at] = 1.0;
        }
        for direction in 0..3 * n {
            let mut right = [0.0; JOINTS];
            for (at, right) in right.iter_mut().enumerate().take(n) {
                *right =
                    pushed[at].slope[direction] - needed[at].slope[direction] - lost[at].slope[direction];
            }
            self.arm.solve(&factor, &mut right);
            for (at, change) in right.iter().enumerate().take(n) {
                match direction.checked_sub(2 * n) {
                    None => by_state[(n + at) * 2 * n + direction] = *change,
                    Some(input) => by_input[(n + at) * n + input] = *change,
                }
            }
        }
    }

    fn output_jacobian(
        &self,
        _: f64,
        state: &[f64],
        input: &[f64],
        by_state: &mut [f64],
        by_input: &mut [f64],
    ) {
        let n = self.arm.joints();
        let [q, speed, input] = self.variables(state, input);
        let torque = self.torque(&q, &speed, &input);
        let shown = q.iter().take(n).chain(torque.iter().take(n)).copied().chain(self.arm.tool(&q[..n]));
        for (row, value) in shown.enumerate() {
            for (direction, slope) in value.slope.iter().enumerate().take(3 * n) {
                match direction.checked_sub(2 * n) {
                    None => by_state[row * 2 * n + direction] = *slope,
                    Some(input) => by_input[row * n + input] = *slope,
                }
            }
        }
    }

    fn parameters(&self) -> &[(String, f64)] {
        &self.parameters
    }
}

const fn joined<const N: usize>(parts: &[&[Parameter]]) -> [Parameter; N] {
    let mut all = [parameter("", 0.0, ""); N];
    let (mut part, mut at) = (0, 0);
    while part < parts.len() {
        let mut index = 0;
        while index < parts[part].len() {
            all[at] = parts[part][index];
            at += 1;
            index += 1;
        }
        part += 1;
    }
    all
}

const BODY: [Parameter; 75] = [
    parameter("d0", 0.672, "joint 1: offset, m"),
    parameter("d1", 0.0, "joint 2: offset, m"),
    parameter("d2", 0.15005, "joint 3: offset, m"),
    parameter("d3", 0.4318, "joint 4: offset, m"),
    parameter("d4", 0.0, "joint 5: offset, m"),
    parameter("d5", 0.0, "joint 6: offset, m"),
    parameter("a0", 0.0, "joint 1: length, m"),
    parameter("a1", 0.4318, "joint 2: length, m"),
    parameter("a2", 0.0203, "joint 3: length, m"),
    parameter("a3", 0.0, "joint 4: length, m"),
    parameter("a4", 0.0, "joint 5: length, m"),
    parameter("a5", 0.0, "joint 6: length, m"),
    parameter("alpha0", core::f64::consts::FRAC_PI_2, "joint 1: twist, rad"),
    parameter("alpha1", 0.0, "joint 2: twist, rad"),
    parameter("alpha2", -core::f64::consts::FRAC_PI_2, "joint 3: twist, rad"),
    parameter("alpha3", core::f64::consts::FRAC_PI_2, "joint 4: twist, rad"),
    parameter("alpha4", -core::f64::consts::FRAC_PI_2, "joint 5: twist, rad"),
    parameter("alpha5", 0.0, "joint 6: twist, rad"),
    parameter("m0", 0.0, "joint 1: mass, kg"),
    parameter("m1", 17.4, "joint 2: mass, kg"),
    parameter("m2", 4.8, "joint 3: mass, kg"),
    parameter("m3", 0.82, "joint 4: mass, kg"),
    parameter("m4", 0.34, "joint 5: mass, kg"),
    parameter("m5", 0.09, "joint 6: mass, kg"),
    parameter("r0_0", 0.0, "joint 1: centre of mass, x, m"),
    parameter("r0_1", 0.0, "joint 1: centre of mass, y, m"),
    parameter("r0_2", 0.0, "joint 1: centre of mass, z, m"),
    parameter("r1_0", -0.3638, "joint 2: centre of mass, x, m"),
    parameter("r1_1", 0.006, "joint 2: centre of mass, y, m"),
    parameter("r1_2", 0.2275, "joint 2: centre of mass, z, m"),
    parameter("r2_0", -0.0203, "joint 3: centre of mass, x, m"),
    parameter("r2_1", -0.0141, "joint 3: centre of mass, y, m"),
    parameter("r2_2", 0.07, "joint 3: centre of mass, z, m"),
    parameter("r3_0", 0.0, "joint 4: centre of mass, x, m"),
    parameter("r3_1", 0.019, "joint 4: centre of mass, y, m"),
    parameter("r3_2", 0.0, "joint 4: centre of mass, z, m"),
    parameter("r4_0", 0.0, "joint 5: centre of mass, x, m"),
    parameter("r4_1", 0.0, "joint 5: centre of mass, y, m"),
    parameter("r4_2", 0.0, "joint 5: centre of mass, z, m"),
    parameter("r5_0", 0.0, "joint 6: centre of mass, x, m"),
    parameter("r5_1", 0.0, "joint 6: centre of mass, y, m"),
    parameter("r5_2", 0.032, "joint 6: centre of mass, z, m"),
    parameter("I0_0", 0.0, "joint 1: moment of inertia, xx, kg m²"),
    parameter("I0_1", 0.35, "joint 1: moment of inertia, yy, kg m²"),
    parameter("I0_2", 0.0, "joint 1: moment of inertia, zz, kg m²"),
    parameter("I1_0", 0.13, "joint 2: moment of inertia, xx, kg m²"),
    parameter("I1_1", 0.524, "joint 2: moment of inertia, yy, kg m²"),
    parameter("I1_2", 0.539, "joint 2: moment of inertia, zz, kg m²"),
    parameter("I2_0", 0.066, "joint 3: moment of inertia, xx, kg m²"),
    parameter("I2_1", 0.086, "joint 3: moment of inertia, yy, kg m²"),
    parameter("I2_2", 0.0125, "joint 3: moment of inertia, zz, kg m²"),
    parameter("I3_0", 0.0018, "joint 4: moment of inertia, xx, kg m²"),
    parameter("I3_1", 0.0013, "joint 4: moment of inertia, yy, kg m²"),
    parameter("I3_2", 0.0018, "joint 4: moment of inertia, zz, kg m²"),
    parameter("I4_0", 0.0003, "joint 5: moment of inertia, xx, kg m²"),
    parameter("I4_1", 0.0004, "joint 5: moment of inertia, yy, kg m²"),
    parameter("I4_2", 0.0003, "joint 5: moment of inertia, zz, kg m²"),
    parameter("I5_0", 0.00015, "joint 6: moment of inertia, xx, kg m²"),
    parameter("I5_1", 0.00015, "joint 6: moment of inertia, yy, kg m²"),
    parameter("I5_2", 4e-05, "joint 6: moment of inertia, zz, kg m²"),
    parameter("Jm0", 0.0002, "joint 1: inertia of the motor, kg m²"),
    parameter("Jm1", 0.0002, "joint 2: inertia of the motor, kg m²"),
    parameter("Jm2", 0.0002, "joint 3: inertia of the motor, kg m²"),
    parameter("Jm3", 3.3e-05, "joint 4: inertia of the motor, kg m²"),
    parameter("Jm4", 3.3e-05, "joint 5: inertia of the motor, kg m²"),
    parameter("Jm5", 3.3e-05, "joint 6: inertia of the motor, kg m²"),
    parameter("G0", -62.6111, "joint 1: gear ratio"),
    parameter("G1", 107.815, "joint 2: gear ratio"),
    parameter("G2", -53.7063, "joint 3: gear ratio"),
    parameter("G3", 76.0364, "joint 4: gear ratio"),
    parameter("G4", 71.923, "joint 5: gear ratio"),
    parameter("G5", 76.686, "joint 6: gear ratio"),
    parameter("gravity0", 0.0, "upward acceleration of the base, m/s²"),
    parameter("gravity1", 0.0, "upward acceleration of the base, m/s²"),
    parameter("gravity2", 9.81, "upward acceleration of the base, m/s²"),
];

const FREE: [Parameter; 12] = [
    parameter("viscous0", 0.0, "joint 1: viscous friction, N m s"),
    parameter("viscous1", 0.0, "joint 2: viscous friction, N m s"),
    parameter("viscous2", 0.0, "joint 3: viscous friction, N m s"),
    parameter("viscous3", 0.0, "joint 4: viscous friction, N m s"),
    parameter("viscous4", 0.0, "joint 5: viscous friction, N m s"),
    parameter("viscous5", 0.0, "joint 6: viscous friction, N m s"),
    parameter("coulomb0", 0.0, "joint 1: Coulomb friction, N m"),
    parameter("coulomb1", 0.0, "joint 2: Coulomb friction, N m"),
    parameter("coulomb2", 0.0, "joint 3: Coulomb friction, N m"),
    parameter("coulomb3", 0.0, "joint 4: Coulomb friction, N m"),
    parameter("coulomb4", 0.0, "joint 5: Coulomb friction, N m"),
    parameter("coulomb5", 0.0, "joint 6: Coulomb friction, N m"),
];

const FRICTION: [Parameter; 12] = [
    parameter("viscous0", 5.802, "joint 1: viscous friction, N m s"),
    parameter("viscous1", 9.497, "joint 2: viscous friction, N m s"),
    parameter("viscous2", 3.98, "joint 3: viscous friction, N m s"),
    parameter("viscous3", 0.412, "joint 4: viscous friction, N m s"),
    parameter("viscous4", 0.427, "joint 5: viscous friction, N m s"),
    parameter("viscous5", 0.216, "joint 6: viscous friction, N m s"),
    parameter("coulomb0", 25.984, "joint 1: Coulomb friction, N m"),
    parameter("coulomb1", 10.62, "joint 2: Coulomb friction, N m"),
    parameter("coulomb2", 6.364, "joint 3: Coulomb friction, N m"),
    parameter("coulomb3", 1.068, "joint 4: Coulomb friction, N m"),
    parameter("coulomb4", 0.854, "joint 5: Coulomb friction, N m"),
    parameter("coulomb5", 0.554, "joint 6: Coulomb friction, N m"),
];

// Natural frequency 15 rad/s at full damping about qn; limits after Armstrong, Khatib, Burdick, ICRA 1986.
const DRIVES: [Parameter; 18] = [
    parameter("kp0", 823.5, "joint 1: drive, N m/rad"),
    parameter("kp1", 992.3, "joint 2: drive, N m/rad"),
    parameter("kp2", 211.5, "joint 3: drive, N m/rad"),
    parameter("kp3", 43.3, "joint 4: drive, N m/rad"),
    parameter("kp4", 38.5, "joint 5: drive, N m/rad"),
    parameter("kp5", 43.7, "joint 6: drive, N m/rad"),
    parameter("kv0", 109.8, "joint 1: drive, N m s/rad"),
    parameter("kv1", 132.3, "joint 2: drive, N m s/rad"),
    parameter("kv2", 28.2, "joint 3: drive, N m s/rad"),
    parameter("kv3", 5.78, "joint 4: drive, N m s/rad"),
    parameter("kv4", 5.14, "joint 5: drive, N m s/rad"),
    parameter("kv5", 5.82, "joint 6: drive, N m s/rad"),
    parameter("limit0", 97.6, "joint 1: torque limit of the drive, N m"),
    parameter("limit1", 186.4, "joint 2: torque limit of the drive, N m"),
    parameter("limit2", 89.4, "joint 3: torque limit of the drive, N m"),
    parameter("limit3", 24.2, "joint 4: torque limit of the drive, N m"),
    parameter("limit4", 20.1, "joint 5: torque limit of the drive, N m"),
    parameter("limit5", 21.3, "joint 6: torque limit of the drive, N m"),
];

static TORQUE: [Parameter; 87] = joined(&[&BODY, &FREE]);
static SERVO: [Parameter; 105] = joined(&[&BODY, &FRICTION, &DRIVES]);

/// The arm and its drives from parameters by name; what has no value is 0.
fn assemble(value: impl Fn(&str) -> f64) -> (Arm, Vec<Drive>) {
    let of = |name: &str, joint: usize| value(&format!("{name}{joint}"));
    let three = |name: &str, joint: usize| [0, 1, 2].map(|axis| value(&format!("{name}{joint}_{axis}")));
    let link = |joint: usize| Link {
        d: of("d", joint),
        a: of("a", joint),
        twist: (libm::sin(of("alpha", joint)), libm::cos(of("alpha", joint))),
        mass: of("m", joint),
        centre: three("r", joint),
        inertia: three("I", joint),
        motor: of("G", joint) * of("G", joint) * of("Jm", joint),
        viscous: of("viscous", joint),
        coulomb: of("coulomb", joint),
    };
    let drive = |joint: usize| Drive { kp: of("kp", joint), kv: of("kv", joint), limit: of("limit", joint) };
    let gravity = [0, 1, 2].map(|axis| of("gravity", axis));
    (Arm { links: (0..JOINTS).map(link).collect(), gravity }, (0..JOINTS).map(drive).collect())
}

fn torque(parameters: Vec<(String, f64)>) -> Result<Arc<dyn Model>, Problem> {
    let value = |name: &str| parameters.iter().find(|(own, _)| own == name).map_or(0.0, |(_, value)| *value);
    let (arm, _) = assemble(value);
    Ok(Arc::new(ArmModel::new(arm, Vec::new(), parameters)?))
}

fn servo(parameters: Vec<(String, f64)>) -> Result<Arc<dyn Model>, Problem> {
    let value = |name: &str| parameters.iter().find(|(own, _)| own == name).map_or(0.0, |(_, value)| *value);
    let (arm, drives) = assemble(value);
    Ok(Arc::new(ArmModel::new(arm, drives, parameters)?))
}

const STATES: [State; 12] = [
    state("q1_rad", 0.0, 1e-3, 1e-5),
    state("q2_rad", core::f64::consts::FRAC_PI_4, 1e-3, 1e-5),
    state("q3_rad", core::f64::consts::PI, 1e-3, 1e-5),
    state("q4_rad", 0.0, 1e-3, 1e-5),
    state("q5_rad", core::f64::consts::FRAC_PI_4, 1e-3, 1e-5),
    state("q6_rad", 0.0, 1e-3, 1e-5),
    state("qd1_rad_s", 0.0, 0.01, 0.05),
    state("qd2_rad_s", 0.0, 0.01, 0.05),
    state("qd3_rad_s", 0.0, 0.01, 0.05),
    state("qd4_rad_s", 0.0, 0.01, 0.05),
    state("qd5_rad_s", 0.0, 0.01, 0.05),
    state("qd6_rad_s", 0.0, 0.01, 0.05),
];

const OUTPUTS: [&str; 15] = [
    "q1_rad", "q2_rad", "q3_rad", "q4_rad", "q5_rad", "q6_rad", "tau1_Nm", "tau2_Nm", "tau3_Nm", "tau4_Nm",
    "tau5_Nm", "tau6_Nm", "tool_x_m", "tool_y_m", "tool_z_m",
];

/// Driven by torques; starts at the pose qn, held against gravity. No friction unless it is given.
pub static TORQUE_MODEL: BuiltIn = BuiltIn {
    name: "robot_arm_6",
    title: "PUMA 560, six joints, driven by torques",
    base: TimeBase::Continuous,
    states: &STATES,
    inputs: &[
        ("tau1_Nm", 0.0),
        ("tau2_Nm", 31.639_910_5),
        ("tau3_Nm", 6.035_138_15),
        ("tau4_Nm", 0.0),
        ("tau5_Nm", 0.028_252_8),
        ("tau6_Nm", 0.0),
    ],
    outputs: &OUTPUTS,
    parameters: &TORQUE,
    equations: "",
    native: Some(torque),
};

/// Driven by targets: each joint's drive is a PD controller with gravity compensation; friction as measured.
pub static SERVO_MODEL: BuiltIn = BuiltIn {
    name: "robot_arm_6_servo",
    title: "PUMA 560, six joints with their drives",
    base: TimeBase::Continuous,
    states: &STATES,
    inputs: &[
        ("target1_rad", 0.0),
        ("target2_rad", core::f64::consts::FRAC_PI_4),
        ("target3_rad", core::f64::consts::PI),
        ("target4_rad", 0.0),
        ("target5_rad", core::f64::consts::FRAC_PI_4),
        ("target6_rad", 0.0),
    ],
    outputs: &OUTPUTS,
    parameters: &SERVO,
    equations: "",
    native: Some(servo),
};

/// The PUMA 560 of the registry, as an arm with its drives.
#[must_use]
pub fn puma_560() -> (Arm, Vec<Drive>) {
    assemble(|name| SERVO.iter().find(|own| own.name == name).map_or(0.0, |own| own.value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const QN: [f64; 6] =
        [0.0, core::f64::consts::FRAC_PI_4, core::f64::consts::PI, 0.0, core::f64::consts::FRAC_PI_4, 0.0];

    /// Gravity torque and the mass matrix's diagonal at qn as the literature has them.
    #[test]
    fn the_puma_weighs_what_it_should() {
        let (arm, _) = puma_560();
        for (found, expected) in arm.holding(&QN).iter().zip([0.0, 31.6399, 6.0351, 0.0, 0.0283, 0.0]) {
            assert!((found - expected).abs() < 1e-4, "{found} {expected}");
        }
        let factor = arm.factor(&QN);
        for (row, expected) in [3.6594, 4.4137, 0.9378, 0.1925, 0.1713, 0.1941].into_iter().enumerate() {
            let found: f64 = factor[row].iter().take(row + 1).map(|l| l * l).sum();
            assert!((found - expected).abs() < 1e-4, "{found} {expected}");
        }
    }

    /// The Pelican as a chain of two links moves as its closed form does; angles of the closed form count from below.
    #[test]
    fn two_links_move_as_the_closed_form_says() {
        let link = |a: f64, centre: f64, mass: f64, inertia: f64| Link {
            a,
            mass,
            centre: [centre - a, 0.0, 0.0],
            inertia: [0.0, 0.0, inertia],
            ..Link::default()
        };
        let links = vec![link(0.26, 0.0983, 6.5225, 0.1213), link(0.26, 0.0229, 2.0458, 0.0116)];
        // Angle 0 hangs down: gravity points along +x of the base.
        let arm = Arm { links, gravity: [-9.81, 0.0, 0.0] };
        let chain = ArmModel::new(arm, vec![], vec![]).unwrap();
        let closed = super::super::robot_arm_2::MODEL.model(&[]).unwrap();
        for (state, input) in [([0.6, 0.8, 0.3, -0.5], [1.0, 0.2]), ([-1.0, 2.5, -2.0, 1.0], [-3.0, 0.7])] {
            let (mut ours, mut theirs) = ([0.0; 4], [0.0; 4]);
            chain.dynamics(0.0, &state, &input, &mut ours);
            closed.dynamics(0.0, &state, &input, &mut theirs);
            let jacobian = |model: &dyn Model| {
                let (mut by_state, mut by_input) = ([0.0; 16], [0.0; 8]);
                model.dynamics_jacobian(0.0, &state, &input, &mut by_state, &mut by_input);
                [by_state.to_vec(), by_input.to_vec()].concat()
            };
            let pairs = ours.iter().zip(theirs).map(|(a, b)| (*a, b));
            for (ours, theirs) in pairs.chain(jacobian(&chain).into_iter().zip(jacobian(&*closed))) {
                assert!((ours - theirs).abs() < 1e-9 * theirs.abs().max(1.0), "{ours} {theirs}");
            }
        }
    }

    #[test]
    fn jacobians_are_those_of_differences() {
        for model in [&TORQUE_MODEL, &SERVO_MODEL] {
            let built = model.model(&[]).unwrap();
            let state: Vec<f64> =
                QN.iter().map(|q| q + 0.1).chain([0.2, -0.3, 0.1, 0.4, -0.2, 0.3]).collect();
            let input: Vec<f64> = model.inputs.iter().map(|(_, value)| value + 0.05).collect();
            let [mut a, mut b] = [144, 72].map(|length| vec![0.0; length]);
            let [mut c, mut d] = [180, 90].map(|length| vec![0.0; length]);
            built.dynamics_jacobian(0.0, &state, &input, &mut a, &mut b);
            built.output_jacobian(0.0, &state, &input, &mut c, &mut d);
            let h = 1e-6;
            for column in 0..18 {
                let at = |step: f64| {
                    let mut all = [state.clone(), input.clone()].concat();
                    all[column] += step;
                    let (x, u) = all.split_at(12);
                    let (mut rate, mut output) = (vec![0.0; 12], vec![0.0; 15]);
                    built.dynamics(0.0, x, u, &mut rate);
                    built.output(0.0, x, u, &mut output);
                    [rate, output].concat()
                };
                let (up, down) = (at(h), at(-h));
                for row in 0..27 {
                    let difference = (up[row] - down[row]) / (2.0 * h);
                    let exact = match (row < 12, column < 12) {
                        (true, true) => a[row * 12 + column],
                        (true, false) => b[row * 6 + column - 12],
                        (false, true) => c[(row - 12) * 12 + column],
                        (false, false) => d[(row - 12) * 6 + column - 12],
                    };
                    let tolerance = 1e-6 * exact.abs().max(100.0);
                    assert!((exact - difference).abs() < tolerance, "{row} {column}: {exact} {difference}");
                }
            }
        }
    }

    #[test]
    fn an_arm_has_one_to_six_joints() {
        let arm = |joints| Arm { links: vec![Link::default(); joints], gravity: [0.0; 3] };
        assert!(ArmModel::new(arm(0), vec![], vec![]).is_err());
        assert!(ArmModel::new(arm(7), vec![], vec![]).is_err());
        assert!(ArmModel::new(arm(3), vec![Drive::default(); 2], vec![]).is_err());
    }
}
