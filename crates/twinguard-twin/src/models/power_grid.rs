//! A small transmission grid: AC power flow of the nine-bus system, frequency, governor, temperatures of lines.
//!
//! Sources: Anderson, Fouad, *Power System Control and Stability*, 2nd ed. 2003, ex. 2.6 (WSCC nine-bus system, data and
//! solution); Tinney, Hart, *Power flow solution by Newton's method*, IEEE Trans. PAS-86 (1967); Kundur, *Power System
//! Stability and Control*, 1994, §11.1 (swing equation of the area, droop); IEEE 738 reduced to first order for the lines.
//!
//! Discrete, 2 s: power flow once a step, frequency and governor in 20 partial steps. The slack generator 1 carries what
//! the others do not; generators 2 and 3 follow their commands within 20 s. The shipped case holds no line ratings:
//! they are our own, about 1.3 times the base flow.
//!
//! Exact derivatives: the power flow's by the implicit function theorem at the solution, the rest by dual numbers.
//! A grid without a solution (voltage collapse) gives NaN.

use std::sync::Arc;

use super::{BuiltIn, Parameter, parameter, state};
use crate::dual::{Dual, Scalar};
use crate::problem::Problem;
use crate::{Model, TimeBase};

/// Unknowns of the power flow: angles of buses 2 to 9, voltages of buses 4 to 9.
const UNKNOWNS: usize = 14;
/// States and inputs.
const STATES: usize = 7;
const INPUTS: usize = 10;
const OUTPUTS: usize = 19;
const DIRECTIONS: usize = STATES + INPUTS;

/// Seconds of one step.
pub const STEP_S: f64 = 2.0;
const BASE_MVA: f64 = 100.0;
const NOMINAL_HZ: f64 = 50.0;
/// Rated power of the whole area, and of generator 1, MVA.
const AREA_MVA: f64 = 350.0;
const FIRST_MVA: f64 = 250.0;

/// From, to, R, X, total B in per unit; from 0.
const BRANCHES: [(usize, usize, f64, f64, f64); 9] = [
    (0, 3, 0.0, 0.0576, 0.0),
    (1, 6, 0.0, 0.0625, 0.0),
    (2, 8, 0.0, 0.0586, 0.0),
    (3, 4, 0.010, 0.085, 0.176),
    (3, 5, 0.017, 0.092, 0.158),
    (4, 6, 0.032, 0.161, 0.306),
    (5, 8, 0.039, 0.170, 0.358),
    (6, 7, 0.0085, 0.072, 0.149),
    (7, 8, 0.0119, 0.1008, 0.209),
];
/// The branches whose flows are shown: 4–5, 4–6, 5–7, 6–9, 7–8, 8–9.
const SHOWN: [usize; 6] = [3, 4, 5, 6, 7, 8];
/// The branches whose temperatures are states, with their ratings in per unit.
const WARM: [(usize, f64); 3] = [(3, 0.6), (5, 1.12), (7, 1.0)];
/// Where Newton's method starts: the published solution.
const START: [f64; UNKNOWNS] = [
    0.161_97, 0.081_42, -0.038_69, -0.069_62, -0.064_36, 0.064_92, 0.012_70, 0.034_33, 1.0258, 0.9956,
    1.0127, 1.0258, 1.0159, 1.0324,
];

/// The constants, in the order of the parameters.
pub type Constants = [f64; 13];

/// The published values.
pub static PARAMETERS: [Parameter; 13] = [
    parameter("inertia_s", 10.0, "twice the area's inertia constant"),
    parameter("droop", 0.05, "droop of generator 1"),
    parameter("damping", 1.0, "load damping, per unit of power per unit of frequency"),
    parameter("tau_governor_s", 0.7, "governor and turbine of generator 1"),
    parameter("tau_generator_s", 20.0, "generators 2 and 3 after their commands"),
    parameter("tau_line_s", 720.0, "thermal time constant of a line"),
    parameter("rise_K", 55.0, "rise of a line's temperature at its rating"),
    parameter("tan5", 0.4, "reactive over active power of load 5"),
    parameter("tan6", 0.333_333_333_333, "reactive over active power of load 6"),
    parameter("tan8", 0.35, "reactive over active power of load 8"),
    parameter("line45", 1.0, "line 4–5: admittance over the published one"),
    parameter("line57", 1.0, "line 5–7: admittance over the published one"),
    parameter("line78", 1.0, "line 7–8: admittance over the published one"),
];

/// What the power flow is given, per unit.
#[derive(Clone, Copy)]
struct Given<S> {
    generation: [S; 2],
    voltage: [S; 3],
    load: [S; 3],
}

fn given<S: Scalar>(state: &[S; STATES], input: &[S; INPUTS]) -> Given<S> {
    let unit = S::of(1.0 / BASE_MVA);
    Given {
        generation: [state[2] * unit, state[3] * unit],
        voltage: [input[3], input[4], input[5]],
        load: [input[6] * unit, input[7] * unit, input[8] * unit],
    }
}

fn scale(constants: &Constants, branch: usize) -> f64 {
    match branch {
        3 => constants[10],
        5 => constants[11],
        7 => constants[12],
        _ => 1.0,
    }
}

/// Voltages and angles of all buses.
fn buses<S: Scalar>(unknown: &[S; UNKNOWNS], given: &Given<S>) -> ([S; 9], [S; 9]) {
    let (mut voltage, mut angle) = ([S::of(1.0); 9], [S::of(0.0); 9]);
    voltage[..3].copy_from_slice(&given.voltage);
    voltage[3..].copy_from_slice(&unknown[8..]);
    angle[1..].copy_from_slice(&unknown[..8]);
    (voltage, angle)
}

/// P and Q into a branch at its first and at its second end.
fn flow<S: Scalar>(constants: &Constants, at: usize, voltage: &[S; 9], angle: &[S; 9]) -> [S; 4] {
    let (from, to, r, x, b) = BRANCHES[at];
    let share = scale(constants, at);
    let square = r * r + x * x;
    let (g, s, b) = (S::of(share * r / square), S::of(-share * x / square), S::of(share * b / 2.0));
    let difference = angle[from] - angle[to];
    let (sine, cosine) = (difference.sin(), difference.cos());
    let product = voltage[from] * voltage[to];
    let end = |v: S, sine: S| {
        let p = v * v * g - product * (g * cosine + s * sine);
        let q = -(v * v * (s + b)) - product * (g * sine - s * cosine);
        [p, q]
    };
    let [p, q] = end(voltage[from], sine);
    let [back, back_q] = end(voltage[to], -sine);
    [p, q, back, back_q]
}

/// Injections of all buses.
fn injections<S: Scalar>(constants: &Constants, voltage: &[S; 9], angle: &[S; 9]) -> ([S; 9], [S; 9]) {
    let (mut p, mut q) = ([S::of(0.0); 9], [S::of(0.0); 9]);
    for (at, (from, to, ..)) in BRANCHES.iter().enumerate() {
        let [p1, q1, p2, q2] = flow(constants, at, voltage, angle);
        p[*from] = p[*from] + p1;
        q[*from] = q[*from] + q1;
        p[*to] = p[*to] + p2;
        q[*to] = q[*to] + q2;
    }
    (p, q)
}

fn mismatch<S: Scalar>(constants: &Constants, unknown: &[S; UNKNOWNS], given: &Given<S>) -> [S; UNKNOWNS] {
    let (voltage, angle) = buses(unknown, given);
    let (p, q) = injections(constants, &voltage, &angle);
    let mut wanted = [S::of(0.0); 9];
    wanted[1] = given.generation[0];
    wanted[2] = given.generation[1];
    let mut reactive = [S::of(0.0); 9];
    for ((bus, load), tangent) in [4, 5, 7].into_iter().zip(given.load).zip(&constants[7..10]) {
        wanted[bus] = -load;
        reactive[bus] = -(load * S::of(*tangent));
    }
    let mut out = [S::of(0.0); UNKNOWNS];
    for bus in 1..9 {
        out[bus - 1] = p[bus] - wanted[bus];
    }
    for bus in 3..9 {
        out[bus + 5] = q[bus] - reactive[bus];
    }
    out
}

/// A matrix factored with partial pivoting.
#[derive(Clone, Copy)]
struct Factored {
    lu: [[f64; UNKNOWNS]; UNKNOWNS],
    order: [usize; UNKNOWNS],
}

impl Factored {
    fn new(mut lu: [[f64; UNKNOWNS]; UNKNOWNS]) -> Self {
        let mut order = core::array::from_fn(|row| row);
        for column in 0..UNKNOWNS {
            let size = |row: &usize| lu[*row][column].abs();
            let best = (column..UNKNOWNS).max_by(|a, b| size(a).total_cmp(&size(b))).unwrap_or(column);
            lu.swap(column, best);
            order.swap(column, best);
            let pivot = lu[column];
            for row in lu.iter_mut().skip(column + 1) {
                let factor = row[column] / pivot[column];
                row[column] = factor;
                for (entry, pivot) in row.iter_mut().zip(pivot).skip(column + 1) {
                    *entry -= factor * pivot;
                }
            }
        }
        Self { lu, order }
    }

    fn solve(&self, right: &[f64; UNKNOWNS]) -> [f64; UNKNOWNS] {
        let mut x: [f64; UNKNOWNS] = core::array::from_fn(|row| right[self.order[row]]);
        for row in 0..UNKNOWNS {
            for k in 0..row {
                x[row] -= self.lu[row][k] * x[k];
            }
        }
        for row in (0..UNKNOWNS).rev() {
            for k in row + 1..UNKNOWNS {
                x[row] -= self.lu[row][k] * x[k];
            }
            x[row] /= self.lu[row][row];
        }
        x
    }
}

/// Mismatch and its Jacobian.
fn newton(
    constants: &Constants,
    unknown: &[f64; UNKNOWNS],
    given: &Given<f64>,
) -> ([f64; UNKNOWNS], Factored) {
    let (voltage, angle) = buses(unknown, given);
    let mut jacobian = [[0.0; UNKNOWNS]; UNKNOWNS];
    // Rows and columns of a bus: P and angle at bus − 1, Q and voltage at bus + 5.
    let angle_at = |bus: usize| bus.checked_sub(1);
    let voltage_at = |bus: usize| (bus > 2).then_some(bus + 5);
    for (at, (from, to, r, x, b)) in BRANCHES.iter().enumerate() {
        let share = scale(constants, at);
        let square = r * r + x * x;
        let (g, s, b) = (share * r / square, -share * x / square, share * b / 2.0);
        let difference = angle[*from] - angle[*to];
        let (sine, cosine) = (libm::sin(difference), libm::cos(difference));
        for (i, j, sine) in [(*from, *to, sine), (*to, *from, -sine)] {
            let (vi, vj) = (voltage[i], voltage[j]);
            let (active, reactive) = (g * cosine + s * sine, g * sine - s * cosine);
            let mut add = |row: Option<usize>, column: Option<usize>, value: f64| {
                if let (Some(row), Some(column)) = (row, column) {
                    jacobian[row][column] += value;
                }
            };
            add(angle_at(i), angle_at(i), vi * vj * reactive);
            add(angle_at(i), angle_at(j), -vi * vj * reactive);
            add(angle_at(i), voltage_at(i), 2.0 * vi * g - vj * active);
            add(angle_at(i), voltage_at(j), -vi * active);
            add(voltage_at(i), angle_at(i), -vi * vj * active);
            add(voltage_at(i), angle_at(j), vi * vj * active);
            add(voltage_at(i), voltage_at(i), -2.0 * vi * (s + b) - vj * reactive);
            add(voltage_at(i), voltage_at(j), -vi * reactive);
        }
    }
    (mismatch(constants, unknown, given), Factored::new(jacobian))
}

/// The power flow's solution with the factored Jacobian at it; NaN when Newton's method does not get there.
fn solve(constants: &Constants, given: &Given<f64>) -> ([f64; UNKNOWNS], Factored) {
    let mut unknown = START;
    for _ in 0..12 {
        let (residual, factored) = newton(constants, &unknown, given);
        let step = factored.solve(&residual);
        unknown.iter_mut().zip(step).for_each(|(unknown, step)| *unknown -= step);
        if step.iter().all(|step| step.abs() < 1e-10) {
            return (unknown, factored);
        }
    }
    ([f64::NAN; UNKNOWNS], Factored { lu: [[f64::NAN; UNKNOWNS]; UNKNOWNS], order: [0; UNKNOWNS] })
}

/// Squared current of a branch at its first end, per unit.
fn current<S: Scalar>(constants: &Constants, at: usize, voltage: &[S; 9], angle: &[S; 9]) -> S {
    let [p, q, ..] = flow(constants, at, voltage, angle);
    let v = voltage[BRANCHES[at].0];
    (p * p + q * q) / (v * v)
}

fn next<S: Scalar>(
    constants: &Constants,
    unknown: &[S; UNKNOWNS],
    state: &[S; STATES],
    input: &[S; INPUTS],
) -> [S; STATES] {
    let [inertia, droop, damping, tau_governor, tau_generator, tau_line, rise, ..] = *constants;
    let (voltage, angle) = buses(unknown, &given(state, input));
    let (p, _) = injections(constants, &voltage, &angle);
    let carried = p[0] * S::of(BASE_MVA);
    const PARTS: u32 = 20;
    let part = STEP_S / f64::from(PARTS);
    let (mut off, mut mechanical) = (state[0], state[1]);
    let swing = S::of(part * NOMINAL_HZ / (inertia * AREA_MVA));
    let damped = S::of(damping * AREA_MVA / NOMINAL_HZ);
    let regulated = S::of(FIRST_MVA / (droop * NOMINAL_HZ));
    let governed = S::of(part / tau_governor);
    for _ in 0..PARTS {
        mechanical = mechanical + governed * (input[0] - regulated * off - mechanical);
        off = off + swing * (mechanical - carried - damped * off);
    }
    let followed = S::of(1.0 - libm::exp(-STEP_S / tau_generator));
    let warmed = S::of(1.0 - libm::exp(-STEP_S / tau_line));
    let temperature = |index: usize| {
        let (at, rating) = WARM[index];
        let heat = current(constants, at, &voltage, &angle) * S::of(rise / (rating * rating));
        let now = state[4 + index];
        now + warmed * (input[9] + heat - now)
    };
    [
        off,
        mechanical,
        state[2] + followed * (input[1] - state[2]),
        state[3] + followed * (input[2] - state[3]),
        temperature(0),
        temperature(1),
        temperature(2),
    ]
}

fn shown<S: Scalar>(
    constants: &Constants,
    unknown: &[S; UNKNOWNS],
    state: &[S; STATES],
    input: &[S; INPUTS],
) -> [S; OUTPUTS] {
    let (voltage, angle) = buses(unknown, &given(state, input));
    let (p, _) = injections(constants, &voltage, &angle);
    let mut out = [S::of(0.0); OUTPUTS];
    out[0] = state[0] + S::of(NOMINAL_HZ);
    out[1..7].copy_from_slice(&voltage[3..]);
    for (out, at) in out[7..13].iter_mut().zip(SHOWN) {
        *out = flow(constants, at, &voltage, &angle)[0] * S::of(BASE_MVA);
    }
    for (out, p) in out[13..16].iter_mut().zip(&p[..3]) {
        *out = *p * S::of(BASE_MVA);
    }
    out[16..].copy_from_slice(&state[4..]);
    out
}

fn fixed<const N: usize>(values: &[f64]) -> [f64; N] {
    core::array::from_fn(|at| values.get(at).copied().unwrap_or(f64::NAN))
}

/// The next state, 2 s on.
pub(crate) fn advance(constants: &Constants, state: &[f64], input: &[f64]) -> [f64; STATES] {
    let (state, input) = (fixed(state), fixed(input));
    let (unknown, _) = solve(constants, &given(&state, &input));
    next(constants, &unknown, &state, &input)
}

/// What is measured.
pub(crate) fn measure(constants: &Constants, state: &[f64], input: &[f64]) -> [f64; OUTPUTS] {
    let (state, input) = (fixed(state), fixed(input));
    let (unknown, _) = solve(constants, &given(&state, &input));
    shown(constants, &unknown, &state, &input)
}

/// The model of the grid.
#[derive(Clone, Debug, PartialEq)]
struct Grid {
    constants: Constants,
    states: Vec<String>,
    inputs: Vec<String>,
    outputs: Vec<String>,
    parameters: Vec<(String, f64)>,
}

type Variable = Dual<DIRECTIONS>;

impl Grid {
    /// State, input and solution with their derivatives along all states and inputs.
    fn variables(
        &self,
        state: &[f64],
        input: &[f64],
    ) -> ([Variable; UNKNOWNS], [Variable; STATES], [Variable; INPUTS]) {
        let (x, u): ([f64; STATES], [f64; INPUTS]) = (fixed(state), fixed(input));
        let (unknown, factored) = solve(&self.constants, &given(&x, &u));
        let dual_x: [Variable; STATES] = core::array::from_fn(|at| Dual::variable(x[at], at));
        let dual_u: [Variable; INPUTS] = core::array::from_fn(|at| Dual::variable(u[at], STATES + at));
        let still = unknown.map(Variable::of);
        let moved = mismatch(&self.constants, &still, &given(&dual_x, &dual_u));
        let mut solution = still;
        for direction in 0..DIRECTIONS {
            let change = factored.solve(&moved.map(|row| row.slope[direction]));
            for (solution, change) in solution.iter_mut().zip(change) {
                solution.slope[direction] = -change;
            }
        }
        (solution, dual_x, dual_u)
    }
}

fn spread(rows: &[Variable], by_state: &mut [f64], by_input: &mut [f64]) {
    for (row, value) in rows.iter().enumerate() {
        let (first, second) = value.slope.split_at(STATES);
        by_state[row * STATES..(row + 1) * STATES].copy_from_slice(first);
        by_input[row * INPUTS..(row + 1) * INPUTS].copy_from_slice(second);
    }
}

impl Model for Grid {
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
        TimeBase::Discrete { step_s: STEP_S }
    }

    fn dynamics(&self, _: f64, state: &[f64], input: &[f64], out: &mut [f64]) {
        out.copy_from_slice(&advance(&self.constants, state, input));
    }

    fn output(&self, _: f64, state: &[f64], input: &[f64], out: &mut [f64]) {
        out.copy_from_slice(&measure(&self.constants, state, input));
    }

    fn dynamics_jacobian(
        &self,
        _: f64,
        state: &[f64],
        input: &[f64],
        by_state: &mut [f64],
        by_input: &mut [f64],
    ) {
        let (unknown, x, u) = self.variables(state, input);
        spread(&next(&self.constants, &unknown, &x, &u), by_state, by_input);
    }

    fn output_jacobian(
        &self,
        _: f64,
        state: &[f64],
        input: &[f64],
        by_state: &mut [f64],
        by_input: &mut [f64],
    ) {
        let (unknown, x, u) = self.variables(state, input);
        spread(&shown(&self.constants, &unknown, &x, &u), by_state, by_input);
    }

    fn parameters(&self) -> &[(String, f64)] {
        &self.parameters
    }
}

fn build(parameters: Vec<(String, f64)>) -> Result<Arc<dyn Model>, Problem> {
    let values: Vec<f64> = parameters.iter().map(|(_, value)| *value).collect();
    Ok(Arc::new(Grid {
        constants: fixed(&values),
        states: MODEL.states.iter().map(|state| state.name.to_owned()).collect(),
        inputs: MODEL.inputs.iter().map(|(name, _)| (*name).to_owned()).collect(),
        outputs: MODEL.outputs.iter().map(|name| (*name).to_owned()).collect(),
        parameters,
    }))
}

/// The model; starts at the published operating point.
pub static MODEL: BuiltIn = BuiltIn {
    name: "power_grid",
    title: "Nine-bus transmission grid with frequency and line temperatures",
    base: TimeBase::Discrete { step_s: STEP_S },
    states: &[
        state("df_Hz", 0.0, 0.1, 0.002),
        state("pm1_MW", 71.641, 20.0, 0.3),
        state("p2_MW", 163.0, 20.0, 0.2),
        state("p3_MW", 85.0, 20.0, 0.2),
        state("T45_C", 50.0, 15.0, 0.01),
        state("T57_C", 55.0, 15.0, 0.01),
        state("T78_C", 55.0, 15.0, 0.01),
    ],
    inputs: &[
        ("p1_cmd_MW", 71.641),
        ("p2_cmd_MW", 163.0),
        ("p3_cmd_MW", 85.0),
        ("v1_pu", 1.04),
        ("v2_pu", 1.025),
        ("v3_pu", 1.025),
        ("load5_MW", 125.0),
        ("load6_MW", 90.0),
        ("load8_MW", 100.0),
        ("T_ambient_C", 20.0),
    ],
    outputs: &[
        "f_Hz",
        "v4_bus_pu",
        "v5_bus_pu",
        "v6_bus_pu",
        "v7_bus_pu",
        "v8_bus_pu",
        "v9_bus_pu",
        "p45_MW",
        "p46_MW",
        "p57_MW",
        "p69_MW",
        "p78_MW",
        "p89_MW",
        "p1_out_MW",
        "p2_out_MW",
        "p3_out_MW",
        "T45_C",
        "T57_C",
        "T78_C",
    ],
    parameters: &PARAMETERS,
    equations: "",
    native: Some(build),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::start;

    /// Anderson and Fouad, fig. 2.19: voltages of buses 4 to 9, generation 71.6 MW at the slack.
    #[test]
    fn power_flow_is_the_books() {
        let (_, output) = start(&MODEL);
        let book = [1.026, 0.996, 1.013, 1.026, 1.016, 1.032];
        for (found, expected) in output[1..7].iter().zip(book) {
            assert!((found - expected).abs() < 6e-4, "{found} {expected}");
        }
        for (found, expected) in output[13..16].iter().zip([71.6, 163.0, 85.0]) {
            assert!((found - expected).abs() < 0.06, "{found} {expected}");
        }
        // Flows of the figure: 4–5 40.9, 4–6 30.7, 5–7 −84.3, 6–9 −59.5, 7–8 76.4, 8–9 −24.1 MW.
        for (found, expected) in output[7..13].iter().zip([40.9, 30.7, -84.3, -59.5, 76.4, -24.1]) {
            assert!((found - expected).abs() < 0.1, "{found} {expected}");
        }
    }

    #[test]
    fn jacobians_are_those_of_differences() {
        let model = MODEL.model(&[]).unwrap();
        let state: Vec<f64> = MODEL.states.iter().map(|state| state.initial + 1.0).collect();
        let input: Vec<f64> = MODEL.inputs.iter().map(|(_, value)| value * 1.01).collect();
        let [mut a, mut b] = [49, 70].map(|length| vec![0.0; length]);
        let [mut c, mut d] = [133, 190].map(|length| vec![0.0; length]);
        model.dynamics_jacobian(0.0, &state, &input, &mut a, &mut b);
        model.output_jacobian(0.0, &state, &input, &mut c, &mut d);
        for column in 0..17 {
            let h = 1e-5;
            let at = |step: f64| {
                let mut all = [state.clone(), input.clone()].concat();
                all[column] += step;
                let (x, u) = all.split_at(7);
                let (mut rate, mut output) = (vec![0.0; 7], vec![0.0; 19]);
                model.dynamics(0.0, x, u, &mut rate);
                model.output(0.0, x, u, &mut output);
                [rate, output].concat()
            };
            let (up, down) = (at(h), at(-h));
            for row in 0..26 {
                let difference = (up[row] - down[row]) / (2.0 * h);
                let exact = match (row < 7, column < 7) {
                    (true, true) => a[row * 7 + column],
                    (true, false) => b[row * 10 + column - 7],
                    (false, true) => c[(row - 7) * 7 + column],
                    (false, false) => d[(row - 7) * 10 + column - 7],
                };
                assert!(
                    (exact - difference).abs() < 1e-5 * exact.abs().max(1.0),
                    "{row} {column}: {exact} {difference}"
                );
            }
        }
    }

    #[test]
    fn a_collapsed_grid_is_no_number() {
        let model = MODEL.model(&[]).unwrap();
        let mut input: Vec<f64> = MODEL.inputs.iter().map(|(_, value)| *value).collect();
        input[6] = 2_000.0;
        let mut output = [0.0; 19];
        model.output(0.0, &[0.0, 71.6, 163.0, 85.0, 50.0, 50.0, 50.0], &input, &mut output);
        assert!(output[1].is_nan());
    }
}
