//! Dormand–Prince 5(4) with step size by tolerance.
//!
//! Source: Dormand, Prince, *J. Comp. Appl. Math.* 6 (1980) 19–26; coefficients of Hairer, Nørsett, Wanner,
//! *Solving Ordinary Differential Equations I* (2nd ed. 1993), table II.5.2; starting step of §II.4; PI control of
//! Hairer, Wanner, *II* §IV.2 with the constants of their code DOPRI5 (β 0.04, safety 0.9, change within 0.2…10).
//! Cost: six evaluations a step (the last slope is the next first one). Not for stiff systems: they cost steps.
//!
//! Events are zero crossings of functions of time and state, located on the continuous extension of order 4 (Hairer, Nørsett,
//! Wanner I, §II.6, coefficients of DOPRI5) without a further evaluation of the slope. Each step is looked at in four
//! places: of crossings there and back within a quarter of a step nothing is seen.

use super::check_span;
use crate::Error;

/// How exact [`DormandPrince`] is: local error below `absolute + relative · |state|` in the mean square.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// In the states' units.
    pub absolute: f64,
    /// Dimensionless.
    pub relative: f64,
    /// Most steps that one call takes, rejected ones included.
    pub max_steps: usize,
}

impl Default for Tolerance {
    /// 1e-10 both, 100,000 steps.
    fn default() -> Self {
        Self { absolute: 1e-10, relative: 1e-10, max_steps: 100_000 }
    }
}

/// Workspace for one order of system.
#[derive(Clone, Debug)]
pub struct DormandPrince {
    slopes: [Vec<f64>; 7],
    stage: Vec<f64>,
    between: Vec<f64>,
    /// The last step's continuous extension, five polynomials.
    extension: [Vec<f64>; 5],
    /// Values of the event functions before and after.
    events: Vec<f64>,
    next_events: Vec<f64>,
}

/// Where an event function crossed zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Crossing {
    /// Which of the functions.
    pub event: usize,
    /// When, in the caller's seconds.
    pub time_s: f64,
    /// From negative to positive, in the direction of the integration.
    pub rising: bool,
}

const NODES: [f64; 7] = [0.0, 1.0 / 5.0, 3.0 / 10.0, 4.0 / 5.0, 8.0 / 9.0, 1.0, 1.0];
const WEIGHTS: [[f64; 6]; 7] = [
    [0.0; 6],
    [1.0 / 5.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    [3.0 / 40.0, 9.0 / 40.0, 0.0, 0.0, 0.0, 0.0],
    [44.0 / 45.0, -56.0 / 15.0, 32.0 / 9.0, 0.0, 0.0, 0.0],
    [19372.0 / 6561.0, -25360.0 / 2187.0, 64448.0 / 6561.0, -212.0 / 729.0, 0.0, 0.0],
    [9017.0 / 3168.0, -355.0 / 33.0, 46732.0 / 5247.0, 49.0 / 176.0, -5103.0 / 18656.0, 0.0],
    [35.0 / 384.0, 0.0, 500.0 / 1113.0, 125.0 / 192.0, -2187.0 / 6784.0, 11.0 / 84.0],
];
/// Fifth-order minus fourth-order weights.
const ERROR: [f64; 7] =
    [71.0 / 57600.0, 0.0, -71.0 / 16695.0, 71.0 / 1920.0, -17253.0 / 339200.0, 22.0 / 525.0, -1.0 / 40.0];
/// Weights of the highest polynomial of the continuous extension.
const EXTENSION: [f64; 7] = [
    -12_715_105_075.0 / 11_282_082_432.0,
    0.0,
    87_487_479_700.0 / 32_700_410_799.0,
    -10_690_763_975.0 / 1_880_347_072.0,
    701_980_252_875.0 / 199_316_789_632.0,
    -1_453_857_185.0 / 822_651_844.0,
    69_997_945.0 / 29_380_423.0,
];
/// Places in a step at which events are looked for.
const LOOKS: i32 = 4;
const BETA: f64 = 0.04;
const SAFETY: f64 = 0.9;

impl DormandPrince {
    /// A workspace for `order` states.
    #[must_use]
    pub fn new(order: usize) -> Self {
        Self {
            slopes: core::array::from_fn(|_| vec![0.0; order]),
            stage: vec![0.0; order],
            between: vec![0.0; order],
            extension: core::array::from_fn(|_| vec![0.0; order]),
            events: Vec::new(),
            next_events: Vec::new(),
        }
    }

    /// From `from_s` to `to_s` (either direction). Each call starts anew, so its result depends on its arguments alone.
    ///
    /// # Errors
    /// [`Error::Dimension`] when `state` has another order, [`Error::NotFinite`] when the state leaves the finite
    /// numbers, [`Error::TooManySteps`] when the tolerance asks for more steps than it allows.
    pub fn integrate(
        &mut self,
        slope: impl FnMut(f64, &[f64], &mut [f64]),
        from_s: f64,
        to_s: f64,
        tolerance: Tolerance,
        state: &mut [f64],
    ) -> Result<(), Error> {
        self.integrate_until(slope, 0, |_, _, _| {}, from_s, to_s, tolerance, state).map(|_| ())
    }

    /// As [`integrate`](Self::integrate), up to the first crossing of one of `count` event functions, whose values `events`
    /// writes for a time and state; `state` is then the one at the crossing, on the side that it crossed to.
    ///
    /// A function that is zero where the integration starts has crossed already: it counts only after it has left zero, so a
    /// run can go on from where it stopped.
    ///
    /// ```
    /// use twinguard_twin::integrators::{DormandPrince, Tolerance};
    ///
    /// // A ball thrown up; it is back on the ground after 2 v / g.
    /// let fall = |_: f64, x: &[f64], out: &mut [f64]| (out[0], out[1]) = (x[1], -10.0);
    /// let ground = |_: f64, x: &[f64], out: &mut [f64]| out[0] = x[0];
    /// let mut state = [0.0, 20.0];
    /// let tolerance = Tolerance::default();
    /// let hit = DormandPrince::new(2).integrate_until(fall, 1, ground, 0.0, 60.0, tolerance, &mut state)?.unwrap();
    /// assert!((hit.time_s - 4.0).abs() < 1e-9 && !hit.rising && (state[1] + 20.0).abs() < 1e-8);
    /// # Ok::<(), twinguard_twin::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`integrate`](Self::integrate).
    #[allow(
        clippy::too_many_arguments,
        reason = "what is integrated, what is watched, from where to where, how exactly"
    )]
    pub fn integrate_until(
        &mut self,
        mut slope: impl FnMut(f64, &[f64], &mut [f64]),
        count: usize,
        mut events: impl FnMut(f64, &[f64], &mut [f64]),
        from_s: f64,
        to_s: f64,
        tolerance: Tolerance,
        state: &mut [f64],
    ) -> Result<Option<Crossing>, Error> {
        check_span(from_s, to_s, state, self.stage.len())?;
        if from_s == to_s || state.is_empty() {
            return Ok(None);
        }
        self.events.resize(count, 0.0);
        self.next_events.resize(count, 0.0);
        if count > 0 {
            events(from_s, state, &mut self.events);
        }
        let direction = (to_s - from_s).signum();
        let mut time = from_s;
        let [first, ..] = &mut self.slopes;
        slope(time, state, first);
        let mut size = self.first_step(&mut slope, time, direction, tolerance, state);
        let mut error_before: f64 = 1e-4;
        let mut grow = 10.0;
        for _ in 0..tolerance.max_steps {
            let left = (to_s - time).abs();
            // The last step ends on the mark; a remainder below a hundredth of a step is taken along.
            let last = size * 1.01 >= left;
            let step = if last { left } else { size } * direction;
            let error = self.attempt(&mut slope, time, step, tolerance, state);
            if !error.is_finite() {
                grow = 1.0;
                size *= 0.2;
                if size < 1e-14 * (1.0 + time.abs()) {
                    return Err(Error::NotFinite { what: "integration", time_s: time });
                }
                continue;
            }
            let power = libm::pow(error, 0.2 - BETA * 0.75);
            if error > 1.0 {
                grow = 1.0;
                size = step.abs() / (power / SAFETY).min(5.0);
                if size < 1e-14 * (1.0 + time.abs()) {
                    return Err(Error::TooManySteps { limit: tolerance.max_steps, time_s: time });
                }
                continue;
            }
            if count > 0
                && let Some(crossing) = self.crossing(&mut events, time, step, state)
            {
                state.copy_from_slice(&self.between);
                return Ok(Some(crossing));
            }
            state.copy_from_slice(&self.stage);
            if last {
                return Ok(None);
            }
            time += step;
            self.slopes.swap(0, 6);
            let shrink = power / libm::pow(error_before, BETA) / SAFETY;
            size = step.abs() / shrink.clamp(1.0 / grow, 5.0);
            grow = 10.0;
            error_before = error.max(1e-4);
        }
        Err(Error::TooManySteps { limit: tolerance.max_steps, time_s: time })
    }

    /// Fills `stage` with the state after the step and gives the scaled error; slope 0 is given, slope 6 made.
    fn attempt(
        &mut self,
        slope: &mut impl FnMut(f64, &[f64], &mut [f64]),
        time_s: f64,
        step: f64,
        tolerance: Tolerance,
        state: &[f64],
    ) -> f64 {
        for ((index, node), weights) in NODES.iter().enumerate().zip(&WEIGHTS).skip(1) {
            let (done, next) = self.slopes.split_at_mut(index);
            for (at, (stage, state)) in self.stage.iter_mut().zip(state).enumerate() {
                let sum: f64 = done.iter().zip(weights).map(|(slope, weight)| weight * slope[at]).sum();
                *stage = state + step * sum;
            }
            slope(time_s + node * step, &self.stage, &mut next[0]);
        }
        let mut square = 0.0;
        for (at, (after, before)) in self.stage.iter().zip(state).enumerate() {
            let error: f64 = self.slopes.iter().zip(&ERROR).map(|(slope, weight)| weight * slope[at]).sum();
            let scale = tolerance.absolute + tolerance.relative * before.abs().max(after.abs());
            let scaled = step * error / scale;
            square += scaled * scaled;
        }
        (square / state.len() as f64).sqrt()
    }

    /// The first crossing within the step from `state` to `stage`; `between` is then the state there.
    fn crossing(
        &mut self,
        events: &mut impl FnMut(f64, &[f64], &mut [f64]),
        time_s: f64,
        step: f64,
        state: &[f64],
    ) -> Option<Crossing> {
        self.extend(step, state);
        let mut before = 0.0;
        for look in 1..=LOOKS {
            let after = f64::from(look) / f64::from(LOOKS);
            self.at(after);
            events(time_s + after * step, &self.between, &mut self.next_events);
            let mut first: Option<(f64, usize)> = None;
            for event in 0..self.events.len() {
                if crosses(self.events[event], self.next_events[event]) {
                    let place = self.locate(events, event, time_s, step, before, after);
                    if first.is_none_or(|(best, _)| place < best) {
                        first = Some((place, event));
                    }
                }
            }
            if let Some((place, event)) = first {
                let rising = self.events[event] < 0.0;
                self.at(place);
                return Some(Crossing { event, time_s: time_s + place * step, rising });
            }
            for (held, next) in self.events.iter_mut().zip(&self.next_events) {
                *held = *next;
            }
            before = after;
        }
        None
    }

    /// Bisection in fractions of the step, to the last bit that time has: the place just behind the crossing.
    fn locate(
        &mut self,
        events: &mut impl FnMut(f64, &[f64], &mut [f64]),
        event: usize,
        time_s: f64,
        step: f64,
        mut before: f64,
        mut after: f64,
    ) -> f64 {
        let sign = self.events[event];
        let ends = self.next_events.clone();
        for _ in 0..60 {
            let middle = 0.5 * (before + after);
            let moves = time_s + middle * step;
            if middle <= before || middle >= after || moves == time_s + after * step {
                break;
            }
            self.at(middle);
            events(moves, &self.between, &mut self.next_events);
            if crosses(sign, self.next_events[event]) {
                after = middle;
            } else {
                before = middle;
            }
        }
        self.next_events.copy_from_slice(&ends);
        after
    }

    /// Makes the continuous extension of the step from `state` to `stage`.
    fn extend(&mut self, step: f64, state: &[f64]) {
        for (at, before) in state.iter().enumerate() {
            let change = self.stage[at] - before;
            let bend = step * self.slopes[0][at] - change;
            let top: f64 = self.slopes.iter().zip(&EXTENSION).map(|(slope, weight)| weight * slope[at]).sum();
            let polynomials = [*before, change, bend, change - step * self.slopes[6][at] - bend, step * top];
            for (extension, value) in self.extension.iter_mut().zip(polynomials) {
                extension[at] = value;
            }
        }
    }

    /// `between` ← the state at this fraction of the step.
    fn at(&mut self, place: f64) {
        let rest = 1.0 - place;
        let [start, change, bend, back, top] = &self.extension;
        for (at, between) in self.between.iter_mut().enumerate() {
            let inner = bend[at] + place * (back[at] + rest * top[at]);
            *between = start[at] + place * (change[at] + rest * inner);
        }
    }

    /// A step so small that an Euler step stays near; slope 0 is given.
    fn first_step(
        &mut self,
        slope: &mut impl FnMut(f64, &[f64], &mut [f64]),
        time_s: f64,
        direction: f64,
        tolerance: Tolerance,
        state: &[f64],
    ) -> f64 {
        let mean = |values: &mut dyn Iterator<Item = f64>| {
            (values.map(|value| value * value).sum::<f64>() / state.len() as f64).sqrt()
        };
        let scale = |state: f64| tolerance.absolute + tolerance.relative * state.abs();
        let [first, second, ..] = &mut self.slopes;
        let value = mean(&mut state.iter().map(|state| state / scale(*state)));
        let change = mean(&mut first.iter().zip(state).map(|(slope, state)| slope / scale(*state)));
        let guess = if value < 1e-5 || change < 1e-5 { 1e-6 } else { 0.01 * value / change };
        for ((stage, state), slope) in self.stage.iter_mut().zip(state).zip(&*first) {
            *stage = state + direction * guess * slope;
        }
        slope(time_s + direction * guess, &self.stage, second);
        let bend = mean(
            &mut second
                .iter()
                .zip(&*first)
                .zip(state)
                .map(|((after, slope), state)| (after - slope) / scale(*state)),
        ) / guess;
        let most = change.max(bend);
        let size = if most <= 1e-15 { (guess * 1e-3).max(1e-6) } else { libm::pow(0.01 / most, 0.2) };
        let size = size.min(100.0 * guess);
        if size.is_finite() && size > 0.0 { size } else { 1e-6 }
    }
}

/// From one side of zero to the other, or onto it; what is not a number crosses nothing.
fn crosses(before: f64, after: f64) -> bool {
    (before < 0.0 && after >= 0.0) || (before > 0.0 && after <= 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_consistent() {
        for (node, weights) in NODES.iter().zip(&WEIGHTS) {
            assert!((weights.iter().sum::<f64>() - node).abs() < 1e-14);
        }
        assert!(ERROR.iter().sum::<f64>().abs() < 1e-16);
    }

    /// Arenstorf's closed orbit of three bodies (Hairer, Nørsett, Wanner I, §II.0): after one period back at the start.
    #[test]
    fn arenstorf_orbit_closes() {
        let mass = 0.012_277_471;
        let orbit = |_: f64, x: &[f64], out: &mut [f64]| {
            let far = 1.0 - mass;
            let earth = ((x[0] + mass).powi(2) + x[1] * x[1]).powf(1.5);
            let moon = ((x[0] - far).powi(2) + x[1] * x[1]).powf(1.5);
            out[0] = x[2];
            out[1] = x[3];
            out[2] = x[0] + 2.0 * x[3] - far * (x[0] + mass) / earth - mass * (x[0] - far) / moon;
            out[3] = x[1] - 2.0 * x[2] - far * x[1] / earth - mass * x[1] / moon;
        };
        let start = [0.994, 0.0, 0.0, -2.001_585_106_379_082_5];
        let mut state = start;
        let tolerance = Tolerance { absolute: 1e-13, relative: 1e-13, ..Tolerance::default() };
        let mut integrator = DormandPrince::new(4);
        integrator.integrate(orbit, 0.0, 17.065_216_560_157_964, tolerance, &mut state).unwrap();
        assert!(state.iter().zip(start).all(|(end, start)| (end - start).abs() < 1e-5), "{state:?}");
        let few = Tolerance { max_steps: 20, ..tolerance };
        let error = integrator.integrate(orbit, 0.0, 17.0, few, &mut start.clone()).unwrap_err();
        assert!(matches!(error, Error::TooManySteps { limit: 20, .. }));
    }

    #[test]
    fn backwards_and_blow_up() {
        let mut state = [2.0];
        let growth = |_: f64, x: &[f64], out: &mut [f64]| out[0] = x[0];
        DormandPrince::new(1).integrate(growth, 1.0, 0.0, Tolerance::default(), &mut state).unwrap();
        assert!((state[0] - 2.0 * (-1f64).exp()).abs() < 1e-9);
        let square = |_: f64, x: &[f64], out: &mut [f64]| out[0] = x[0] * x[0];
        let result = DormandPrince::new(1).integrate(square, 0.0, 2.0, Tolerance::default(), &mut [1.0]);
        assert!(result.is_err(), "{result:?}");
        let nothing = |_: f64, _: &[f64], out: &mut [f64]| out[0] = f64::NAN;
        let result = DormandPrince::new(1).integrate(nothing, 0.0, 2.0, Tolerance::default(), &mut [1.0]);
        assert!(matches!(result, Err(Error::NotFinite { .. })), "{result:?}");
    }

    /// Between its ends a step is known to order 4: halving it divides the error there by about 2⁵.
    #[test]
    fn the_extension_is_of_order_four() {
        let rotate = |_: f64, x: &[f64], out: &mut [f64]| (out[0], out[1]) = (-x[1], x[0]);
        let error = |step: f64| {
            let mut method = DormandPrince::new(2);
            let start = [1.0, 0.0];
            rotate(0.0, &start, &mut method.slopes[0]);
            method.attempt(&mut { rotate }, 0.0, step, Tolerance::default(), &start);
            method.extend(step, &start);
            let off = |place: f64| {
                let mut method = method.clone();
                method.at(place);
                (method.between[0] - (place * step).cos()).hypot(method.between[1] - (place * step).sin())
            };
            assert!(off(0.0) < 1e-15);
            off(0.3).max(off(0.6))
        };
        let ratio = error(0.4) / error(0.2);
        assert!((25.0..40.0).contains(&ratio), "{ratio}");
    }

    /// A ball that loses a fifth of its speed at each bounce: the times of the bounces are a geometric series.
    #[test]
    fn a_bouncing_ball_bounces_when_it_should() {
        let fall = |_: f64, x: &[f64], out: &mut [f64]| (out[0], out[1]) = (x[1], -9.81);
        let watch = |_: f64, x: &[f64], out: &mut [f64]| (out[0], out[1]) = (x[0], x[1]);
        let mut method = DormandPrince::new(2);
        let (mut state, mut time, mut bounces) = ([0.0, 5.0], 0.0, Vec::new());
        while bounces.len() < 6 {
            let tolerance = Tolerance::default();
            let found =
                method.integrate_until(fall, 2, watch, time, 100.0, tolerance, &mut state).unwrap().unwrap();
            time = found.time_s;
            if found.event == 0 {
                assert!(!found.rising);
                bounces.push(time);
                state = [0.0, -0.8 * state[1]];
            } else {
                assert!(state[1].abs() < 1e-9, "at the top it stands");
            }
        }
        let mut exact = 0.0;
        for (count, bounce) in bounces.iter().enumerate() {
            exact += 2.0 * 5.0 * 0.8f64.powi(count as i32) / 9.81;
            assert!((bounce - exact).abs() < 1e-9, "{bounce} {exact}");
        }
    }

    #[test]
    fn the_earliest_of_several_events_is_told_and_none_when_there_is_none() {
        let clock = |_: f64, _: &[f64], out: &mut [f64]| out[0] = 1.0;
        let marks = |t: f64, x: &[f64], out: &mut [f64]| {
            (out[0], out[1], out[2]) = (x[0] - 2.5, 2.0 - x[0], if t < 0.0 { 1.0 } else { f64::NAN });
        };
        let mut method = DormandPrince::new(1);
        let mut state = [0.0];
        let tolerance = Tolerance::default();
        let first =
            method.integrate_until(clock, 3, marks, 0.0, 9.0, tolerance, &mut state).unwrap().unwrap();
        assert_eq!((first.event, first.rising), (1, false));
        assert!((first.time_s - 2.0).abs() < 1e-12 && (state[0] - 2.0).abs() < 1e-12);
        let mut state = [0.0];
        let none = method.integrate_until(clock, 3, marks, 0.0, 1.0, tolerance, &mut state).unwrap();
        assert!(none.is_none() && (state[0] - 1.0).abs() < 1e-14);
    }
}
