//! What an attacker computes who has the plant's model: the same numbers as the guard's, from the same file.
//!
//! Sources: R. S. Smith, "Covert misappropriation of networked control systems", IEEE Control Systems 35(1), 2015 (covert);
//! A. Teixeira et al., "Revealing stealthy attacks in control systems", Allerton 2012, §III (zero dynamics: a = λᵏ g with
//! [λI−A, −B; C, D] [x₀; g] = 0); Y. Liu, P. Ning, M. K. Reiter, "False data injection attacks against state estimation in
//! electric power grids", CCS 2009 (a = H c).

use std::sync::Arc;

use nalgebra::{DMatrix, DVector};
use twinguard_twin::integrators::Rk4;
use twinguard_twin::modes::System;
use twinguard_twin::plant::Dynamics;
use twinguard_twin::{Model, TimeBase};
use twinguard_types::{Role, SignalId};

use crate::Target;

/// A copy of the plant's model that runs along, step by step.
#[derive(Clone)]
pub struct Shadow {
    model: Arc<dyn Model>,
    state: Vec<f64>,
    next: Vec<f64>,
    rk4: Rk4,
    step_s: f64,
}

impl core::fmt::Debug for Shadow {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Shadow").field("state", &self.state).finish_non_exhaustive()
    }
}

impl Shadow {
    /// A shadow in the state from which the plant file starts.
    #[must_use]
    pub fn new(dynamics: &Dynamics) -> Self {
        let state = dynamics.initial_state.clone();
        Self {
            model: dynamics.model.clone(),
            next: state.clone(),
            rk4: Rk4::new(state.len()),
            step_s: dynamics.step.as_secs_f64(),
            state,
        }
    }

    /// Its state.
    #[must_use]
    pub fn state(&self) -> &[f64] {
        &self.state
    }

    /// Takes another one's state.
    pub fn follow(&mut self, other: &Self) {
        self.state.clone_from(&other.state);
    }

    /// Moves its state.
    pub fn nudge(&mut self, by: &[f64]) {
        self.state.iter_mut().zip(by).for_each(|(state, by)| *state += by);
    }

    /// Runs for so many seconds with inputs held; a state that leaves the finite numbers stays where it was.
    pub fn advance(&mut self, input: &[f64], seconds: f64) {
        let before = self.state.clone();
        match self.model.time_base() {
            TimeBase::Continuous => {
                let steps = (seconds / self.step_s - 1e-9).ceil().clamp(1.0, 1e5) as u32;
                let step = seconds / f64::from(steps);
                let Self { model, state, rk4, .. } = self;
                for _ in 0..steps {
                    let slope = |t: f64, x: &[f64], out: &mut [f64]| model.dynamics(t, x, input, out);
                    rk4.step(slope, 0.0, step, state);
                }
            }
            TimeBase::Discrete { step_s } => {
                for _ in 0..(seconds / step_s).round().clamp(1.0, 1e5) as u32 {
                    self.model.dynamics(0.0, &self.state, input, &mut self.next);
                    core::mem::swap(&mut self.state, &mut self.next);
                }
            }
        }
        if self.state.iter().any(|value| !value.is_finite()) {
            self.state = before;
        }
    }

    /// Its outputs.
    #[must_use]
    pub fn output(&self, input: &[f64]) -> Vec<f64> {
        let mut output = vec![0.0; self.model.output_names().len()];
        self.model.output(0.0, &self.state, input, &mut output);
        output
    }
}

/// Two shadows, with and without what the attacker does: their difference is what must be hidden.
#[derive(Clone, Debug)]
pub struct Covert {
    plain: Shadow,
    moved: Shadow,
}

impl Covert {
    /// A pair that knows nothing of an attack yet.
    #[must_use]
    pub fn new(dynamics: &Dynamics) -> Self {
        Self { plain: Shadow::new(dynamics), moved: Shadow::new(dynamics) }
    }

    /// One period without an attack.
    pub fn listen(&mut self, input: &[f64], seconds: f64) {
        self.plain.advance(input, seconds);
        self.moved.follow(&self.plain);
    }

    /// One period with other inputs than everybody believes; what every output shows of it.
    pub fn strike(&mut self, believed: &[f64], actual: &[f64], seconds: f64) -> Vec<f64> {
        self.plain.advance(believed, seconds);
        self.moved.advance(actual, seconds);
        let plain = self.plain.output(believed);
        self.moved.output(actual).iter().zip(plain).map(|(moved, plain)| moved - plain).collect()
    }
}

/// A model linearised where its plant file starts.
#[derive(Clone, Debug)]
struct Linear {
    states: usize,
    inputs: usize,
    a: Vec<f64>,
    b: Vec<f64>,
    c: Vec<f64>,
    d: Vec<f64>,
    discrete: bool,
}

impl Linear {
    fn of(dynamics: &Dynamics) -> Self {
        let model = &*dynamics.model;
        let (n, m, p) = (model.state_names().len(), model.input_names().len(), model.output_names().len());
        let (mut a, mut b) = (vec![0.0; n * n], vec![0.0; n * m]);
        let (mut c, mut d) = (vec![0.0; p * n], vec![0.0; p * m]);
        let (x, u) = (&dynamics.initial_state, &dynamics.input_defaults);
        model.dynamics_jacobian(0.0, x, u, &mut a, &mut b);
        model.output_jacobian(0.0, x, u, &mut c, &mut d);
        let discrete = matches!(model.time_base(), TimeBase::Discrete { .. });
        Self { states: n, inputs: m, a, b, c, d, discrete }
    }

    fn column(matrix: &[f64], width: usize, rows: &[usize], columns: &[usize]) -> Vec<f64> {
        let entry = |row: &usize, column: &usize| matrix.get(row * width + column).copied().unwrap_or(0.0);
        rows.iter().flat_map(|row| columns.iter().map(move |column| entry(row, column))).collect()
    }
}

/// A motion of commands that the controlled measurements do not show while the state runs away.
#[derive(Clone, Debug, PartialEq)]
pub struct HiddenMotion {
    /// Growth, 1/s.
    pub rate: f64,
    /// The actuators and their shares, the largest of size one.
    pub commands: Vec<(SignalId, f64)>,
    /// The direction in which the state leaves.
    pub state: Vec<f64>,
    /// The measurements that see nothing.
    pub hidden: Vec<SignalId>,
}

/// The plant's least stable zero from its actuators to the measurements that have a set-point, if it is unstable and
/// real; `None` for plants where the two are not of equal number.
#[must_use]
pub fn hidden_motion(target: &Target) -> Option<HiddenMotion> {
    let dynamics = target.plant.dynamics.as_ref()?;
    let linear = Linear::of(dynamics);
    if linear.discrete {
        return None;
    }
    let catalogue = &target.plant.catalogue;
    let is_actuator =
        |signal: &SignalId| catalogue.signal(*signal).is_some_and(|known| known.role == Role::Actuator);
    let inputs: Vec<(usize, SignalId)> = (0..linear.inputs)
        .filter_map(|at| Some((at, dynamics.inputs.get(at).copied()??)))
        .filter(|(_, signal)| is_actuator(signal))
        .collect();
    // `x.setpoint` is the set-point of `x`, or of `x.something`.
    let aims: Vec<&str> =
        catalogue.iter().filter_map(|(_, signal)| signal.path.strip_suffix(".setpoint")).collect();
    let controlled = |signal: SignalId| {
        let path = catalogue.path(signal);
        aims.iter().any(|aim| path == *aim || path.rsplit_once('.').is_some_and(|(before, _)| before == *aim))
    };
    let outputs: Vec<(usize, SignalId)> = dynamics
        .outputs
        .iter()
        .enumerate()
        .filter_map(|(at, signal)| Some((at, (*signal)?)))
        .filter(|(_, signal)| controlled(*signal))
        .collect();
    if inputs.len() != outputs.len() || inputs.is_empty() {
        return None;
    }
    let all: Vec<usize> = (0..linear.states).collect();
    let columns: Vec<usize> = inputs.iter().map(|(at, _)| *at).collect();
    let rows: Vec<usize> = outputs.iter().map(|(at, _)| *at).collect();
    let system = System {
        states: linear.states,
        inputs: columns.len(),
        a: linear.a.clone(),
        b: Linear::column(&linear.b, linear.inputs, &all, &columns),
        c: Linear::column(&linear.c, linear.states, &rows, &all),
        d: Linear::column(&linear.d, linear.inputs, &rows, &columns),
    };
    let zeros = system.zeros().ok()?;
    let unstable = zeros.iter().filter(|(re, im)| *re > 1e-6 && im.abs() < 1e-9 * re.abs());
    let rate = unstable.map(|(re, _)| *re).fold(f64::NEG_INFINITY, f64::max);
    if !rate.is_finite() {
        return None;
    }
    let (n, m) = (system.states, system.inputs);
    let mut pencil = vec![0.0; (n + m) * (n + m)];
    for (row, line) in pencil.chunks_exact_mut(n + m).enumerate() {
        for (column, entry) in line.iter_mut().enumerate() {
            *entry = match (row < n, column < n) {
                (true, true) => f64::from(u8::from(row == column)) * rate - system.a[row * n + column],
                (true, false) => -system.b[row * m + column - n],
                (false, true) => system.c[(row - n) * n + column],
                (false, false) => system.d[(row - n) * m + column - n],
            };
        }
    }
    let kernel = null_vector(&pencil, n + m)?;
    let (state, commands) = kernel.split_at_checked(n)?;
    let largest = commands.iter().fold(0.0_f64, |largest, share| largest.max(share.abs()));
    if largest < 1e-12 {
        return None;
    }
    Some(HiddenMotion {
        rate,
        commands: inputs
            .iter()
            .zip(commands)
            .map(|((_, signal), share)| (*signal, share / largest))
            .collect(),
        state: state.iter().map(|value| value / largest).collect(),
        hidden: outputs.iter().map(|(_, signal)| *signal).collect(),
    })
}

/// What all measurements show when the state moves along its slowest mode: a = H c.
///
/// Scaled so that the aimed measurement moves by one unit of its own. `None` when the slowest mode oscillates, or the
/// aimed measurement does not see it.
#[must_use]
pub fn slow_motion(target: &Target) -> Option<Vec<(SignalId, f64)>> {
    let dynamics = target.plant.dynamics.as_ref()?;
    let linear = Linear::of(dynamics);
    let n = linear.states;
    let mut matrix = DMatrix::from_row_slice(n, n, &linear.a);
    if linear.discrete {
        matrix -= DMatrix::identity(n, n);
    }
    let size = linear.a.iter().fold(0.0_f64, |size, entry| size.max(entry.abs()));
    // Inverse iteration beside zero: the mode that is nearest to standing still.
    let shift = 1e-7 * size.max(1e-9);
    let shifted = (&matrix - DMatrix::identity(n, n) * shift).lu();
    let mut mode = DVector::repeat(n, 1.0);
    for _ in 0..200 {
        let next = shifted.solve(&mode)?;
        let norm = next.norm();
        if !(norm.is_finite() && norm > 0.0) {
            return None;
        }
        mode = next / norm;
    }
    let moved = &matrix * &mode;
    let pace = moved.dot(&mode);
    if (moved - &mode * pace).amax() > 1e-3 * size {
        return None;
    }
    let shows = |row: usize| -> f64 {
        let entries = linear.c.get(row * n..(row + 1) * n).unwrap_or_default();
        entries.iter().zip(mode.iter()).map(|(entry, value)| entry * value).sum()
    };
    let own = dynamics.outputs.iter().position(|signal| *signal == Some(target.sensor.signal))?;
    let own = shows(own);
    let most = (0..dynamics.outputs.len()).map(|row| shows(row).abs()).fold(0.0_f64, f64::max);
    if own.abs() <= 1e-6 * most || own == 0.0 {
        return None;
    }
    let entries = dynamics.outputs.iter().enumerate();
    Some(entries.filter_map(|(row, signal)| Some(((*signal)?, shows(row) / own))).collect())
}

/// The vector that a singular square matrix, row by row, takes nearest to zero.
fn null_vector(matrix: &[f64], n: usize) -> Option<Vec<f64>> {
    let right = DMatrix::from_row_slice(n, n, matrix).svd(false, true).v_t?;
    Some(right.row(n.checked_sub(1)?).iter().copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Ground;

    #[test]
    fn a_null_vector_vanishes() {
        let singular = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0];
        let vector = null_vector(&singular, 3).unwrap();
        for row in singular.chunks(3) {
            let product: f64 = row.iter().zip(&vector).map(|(entry, value)| entry * value).sum();
            assert!(product.abs() < 1e-12, "{vector:?}");
        }
    }

    /// The plant card: λ = 0.01276, g ∝ (1, −0.929), state (0, 0, −1.868, 1.838) of the non-minimum-phase tanks, and no
    /// unstable zero in the other setting.
    #[test]
    fn the_tanks_hidden_motion_is_the_cards() {
        let ground = Ground::named("quadruple_tank_nonminimum").unwrap();
        let target = ground.target(ground.window(10, 10), 0).unwrap();
        let motion = hidden_motion(&target).unwrap();
        assert!((motion.rate - 0.01276).abs() < 2e-4, "{motion:?}");
        let ratio = motion.commands[1].1 / motion.commands[0].1;
        assert!((ratio + 0.929).abs() < 0.01, "{motion:?}");
        let scale = motion.commands[0].1;
        let state: Vec<f64> = motion.state.iter().map(|value| value / scale).collect();
        for (found, card) in state.iter().zip([0.0, 0.0, -1.868, 1.838]) {
            assert!((found.abs() - f64::abs(card)).abs() < 0.05, "{state:?}");
        }
        let other = Ground::named("quadruple_tank").unwrap();
        assert_eq!(hidden_motion(&other.target(other.window(10, 10), 0).unwrap()), None);
    }
}
