//! The bank of explanations: which single cause makes the last innovations white again.
//!
//! Each measured sensor may carry a bias, each actuator an offset to its command, each measured disturbance an offset to
//! its value, each uncertain parameter another value (a leak, fouling, a worn pump), by at most ten times what it was; at
//! once, or growing evenly: what grows fits what else moves slowly better than a jump of its own kind does. A cause that
//! begins k slots ago leaves a signature in the innovations of the filter, linear in its size: with estimation error ε,
//! ε⁻ = Φ ε⁺ + Γ b, ν = H ε⁻ + D b, ε⁺ = ε⁻ − K ν. The signature is matched with the whitened innovations of the last
//! [`WINDOW`] slots, over onsets.
//!
//! Source: Willsky, Jones, "A generalized likelihood ratio approach to the detection and estimation of jumps in linear
//! systems", *IEEE TAC* 21 (1976) 108–112. The gain is the one the filter has now, taken as steady.
//!
//! When it lies: two causes with parallel signatures cannot be told apart (a cooler that fouls and a flow meter that
//! drifts, say), a cause older than the window is fitted by its tail, and a wrong model supports thousands of nats for
//! nothing: whoever weighs explanations must temper them. Slots in which an expected channel was missing do not count.
//!
//! Cost: building the signatures and matching them, about 0.6 ms for the cooling loop; only on demand.

use twinguard_types::{Cause, Explanation, SignalId, Timestamp};

use crate::TimeBase;
use crate::filters::{ExtendedKalman, Innovation, Kalman};
use crate::setup::Setup;

/// Slots that explanations look back on.
pub const WINDOW: usize = 128;

/// Onsets tried first, in slots ago; the best is then refined slot by slot.
const AGES: [usize; 12] = [3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, WINDOW];

/// What is assumed to be off.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Hypothesis {
    Output(usize),
    Input(usize),
    /// A parameter, by its number.
    Parameter(usize),
}

/// Times its value that a parameter may change by: any jump within a slot can be had from a plant whose constants are a
/// thousand times what they were, and such plants do not exist.
const LARGEST: f64 = 10.0;

/// How a cause comes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Profile {
    /// All at once.
    Step,
    /// Evenly, a unit within the window.
    Ramp,
}

impl Profile {
    /// Slots that it takes to tell it: what has grown over fewer is told from no jump of whatever answers slowly.
    fn least(self) -> usize {
        match self {
            Self::Step => 1,
            Self::Ramp => 16,
        }
    }

    /// How much of it is there, so many slots after its first.
    fn at(self, slot: usize) -> f64 {
        match self {
            Self::Step => 1.0,
            Self::Ramp => (slot + 1) as f64 / WINDOW as f64,
        }
    }
}

/// The last innovations and what could explain them.
#[derive(Clone, Debug)]
pub(crate) struct Bank {
    channels: usize,
    times: Vec<Timestamp>,
    ring: Vec<Option<f64>>,
    count: usize,
    room: Option<Box<Room>>,
    explanations: Vec<Explanation>,
}

/// Made when explanations are first asked for.
#[derive(Clone, Debug)]
struct Room {
    kalman: Kalman,
    causes: Vec<(Hypothesis, Cause)>,
    /// Outputs that are measured and not excluded; gain and factor go by their order.
    expected: Vec<usize>,
    gain: Vec<f64>,
    factor: Vec<f64>,
    /// Innovations of the window, whitened, oldest first; `usable` says which slots count.
    white: Vec<f64>,
    usable: Vec<bool>,
    signature: Vec<f64>,
    error: Vec<f64>,
    moved: Vec<f64>,
}

impl Bank {
    pub(crate) fn new(setup: &Setup) -> Self {
        let channels = setup.dynamics.outputs.len();
        Self {
            channels,
            times: vec![Timestamp::ZERO; WINDOW],
            ring: vec![None; WINDOW * channels],
            count: 0,
            room: None,
            explanations: Vec::with_capacity(channels + setup.dynamics.inputs.len()),
        }
    }

    pub(crate) fn clear(&mut self) {
        self.count = 0;
    }

    pub(crate) fn record(&mut self, at: Timestamp, found: &Innovation<'_>) {
        let row = self.next(at);
        for (channel, innovation) in found.used.iter().zip(found.innovation) {
            row[*channel] = Some(*innovation);
        }
    }

    pub(crate) fn push(&mut self, at: Timestamp, innovation: &[Option<f64>]) {
        self.next(at).copy_from_slice(innovation);
    }

    /// The rows that are kept, oldest first.
    pub(crate) fn rows(&self) -> impl ExactSizeIterator<Item = (Timestamp, &[Option<f64>])> {
        (self.count.saturating_sub(WINDOW)..self.count).map(|index| {
            let place = index % WINDOW;
            (self.times[place], &self.ring[place * self.channels..][..self.channels])
        })
    }

    fn next(&mut self, at: Timestamp) -> &mut [Option<f64>] {
        let place = self.count % WINDOW;
        self.count += 1;
        self.times[place] = at;
        let row = &mut self.ring[place * self.channels..][..self.channels];
        row.fill(None);
        row
    }

    /// All causes with what speaks for them, best first.
    pub(crate) fn explain(
        &mut self,
        setup: &Setup,
        now: Timestamp,
        (filter, time_s, held): (&ExtendedKalman, f64, &[f64]),
        process: &[f64],
        excluded: &[bool],
    ) -> &[Explanation] {
        let mut room = self.room.take().or_else(|| Room::new(setup, filter).map(Box::new));
        self.explanations.clear();
        if let Some(room) = room.as_mut().filter(|_| self.count > 0)
            && room.look(setup, filter, process, excluded)
        {
            room.whiten(self.rows().map(|(_, row)| row));
            let effects = setup.effects(time_s, filter.kalman().mean(), held);
            for index in 0..room.causes.len() {
                let (hypothesis, cause) = room.causes[index];
                if matches!(hypothesis, Hypothesis::Output(output) if excluded[output]) {
                    continue;
                }
                let effect = match hypothesis {
                    Hypothesis::Parameter(number) => effects.iter().find(|(at, ..)| *at == number),
                    Hypothesis::Output(_) | Hypothesis::Input(_) => None,
                };
                if effect.is_none() && matches!(hypothesis, Hypothesis::Parameter(_)) {
                    continue;
                }
                let (push, shown) = effect.map_or((&[][..], &[][..]), |(_, push, shown)| (push, shown));
                let most = match hypothesis {
                    Hypothesis::Parameter(number) => {
                        let value = setup.model().parameters().get(number).map_or(0.0, |(_, value)| *value);
                        if value == 0.0 { f64::INFINITY } else { LARGEST * value.abs() }
                    }
                    Hypothesis::Output(_) | Hypothesis::Input(_) => f64::INFINITY,
                };
                let fits = [Profile::Step, Profile::Ramp].map(|profile| {
                    room.sign(setup, filter, hypothesis, (push, shown), profile);
                    room.best(profile, most)
                });
                // Of two that fit alike, the jump.
                let better = |best: Option<(usize, f64, f64)>, fit: (usize, f64, f64)| {
                    if best.is_some_and(|best| best.1 >= fit.1) { best } else { Some(fit) }
                };
                let best = fits.into_iter().flatten().fold(None, better);
                let Some((age, log_likelihood_ratio, magnitude)) = best else { continue };
                let since = self.times[(self.count - age) % WINDOW];
                self.explanations.push(Explanation {
                    at: now,
                    cause,
                    log_likelihood_ratio,
                    magnitude,
                    since,
                });
            }
        }
        self.room = room;
        self.explanations.sort_by(|a, b| b.log_likelihood_ratio.total_cmp(&a.log_likelihood_ratio));
        &self.explanations
    }
}

impl Room {
    fn new(setup: &Setup, filter: &ExtendedKalman) -> Option<Self> {
        let (n, m) = (filter.kalman().order(), setup.dynamics.outputs.len());
        let sensor = |(output, signal): (usize, &Option<SignalId>)| {
            signal.map(|signal| (Hypothesis::Output(output), Cause::SensorBias(signal)))
        };
        let actuator = |(input, signal): (usize, &Option<SignalId>)| {
            let cause = if setup.is_command[input] { Cause::ActuatorOffset } else { Cause::Disturbance };
            signal.map(|signal| (Hypothesis::Input(input), cause(signal)))
        };
        let sensors = setup.dynamics.outputs.iter().enumerate().filter_map(sensor);
        let inputs = setup.dynamics.inputs.iter().enumerate().filter_map(actuator);
        let parameters = setup.perturbed().filter_map(|(number, _)| {
            Some((Hypothesis::Parameter(number), Cause::FaultMode(u32::try_from(number).ok()?)))
        });
        Some(Self {
            kalman: Kalman::new(&vec![0.0; n], &vec![0.0; n * n], m).ok()?,
            causes: sensors.chain(inputs).chain(parameters).collect(),
            expected: Vec::with_capacity(m),
            gain: vec![0.0; n * m],
            factor: vec![0.0; m * (m + 1) / 2],
            white: Vec::with_capacity(WINDOW * m),
            usable: Vec::with_capacity(WINDOW),
            signature: vec![0.0; WINDOW * m],
            error: vec![0.0; n],
            moved: vec![0.0; n],
        })
    }

    /// Gain and innovation covariance of the filter as it stands, for the channels that are expected; false when they
    /// cannot be had.
    fn look(&mut self, setup: &Setup, filter: &ExtendedKalman, process: &[f64], excluded: &[bool]) -> bool {
        let n = filter.kalman().order();
        let outputs = &setup.dynamics.outputs;
        self.expected.clear();
        self.expected
            .extend((0..outputs.len()).filter(|output| outputs[*output].is_some() && !excluded[*output]));
        let (u, d) = filter.kalman().factors();
        let columns: Vec<f64> = (0..n * n).map(|at| filter.transition()[at % n * n + at / n]).collect();
        let process: Vec<f64> = process.iter().map(|rate| rate * step_scale(setup)).collect();
        let zero = vec![0.0; n];
        let mut unit = vec![None; outputs.len()];
        self.expected.iter().for_each(|output| unit[*output] = Some(0.0));
        for (output, gain) in self.expected.iter().zip(self.gain.chunks_exact_mut(n.max(1))) {
            if self.kalman.set_factors(&zero, u, d).is_err() {
                return false;
            }
            self.kalman.predict(&columns, &process);
            unit[*output] = Some(1.0);
            match self.kalman.update(&unit, filter.observation().0, &setup.variance) {
                Ok(found) => self.factor[..found.factor.len()].copy_from_slice(found.factor),
                Err(_) => return false,
            }
            unit[*output] = Some(0.0);
            gain.copy_from_slice(self.kalman.mean());
        }
        !self.expected.is_empty()
    }

    fn whiten<'a>(&mut self, rows: impl Iterator<Item = &'a [Option<f64>]>) {
        self.white.clear();
        self.usable.clear();
        for row in rows {
            let start = self.white.len();
            self.usable.push(self.expected.iter().all(|output| row[*output].is_some()));
            self.white.extend(self.expected.iter().map(|output| row[*output].unwrap_or(0.0)));
            solve(&self.factor, &mut self.white[start..]);
        }
    }

    /// The whitened signature of a cause of size 1, from its onset on; of a parameter, by what a unit of it adds to the dynamics
    /// and to the outputs.
    fn sign(
        &mut self,
        setup: &Setup,
        filter: &ExtendedKalman,
        hypothesis: Hypothesis,
        (push, shown): (&[f64], &[f64]),
        profile: Profile,
    ) {
        let (n, inputs, width) = (self.error.len(), setup.dynamics.inputs.len(), self.expected.len());
        let (rows, direct) = filter.observation();
        let (transition, by_input, scale) = (filter.transition(), filter.by_input(), step_scale(setup));
        self.error.fill(0.0);
        for (number, slot) in self.signature.chunks_exact_mut(width).take(self.usable.len()).enumerate() {
            let there = profile.at(number);
            for (i, moved) in self.moved.iter_mut().enumerate() {
                *moved = dot(&transition[i * n..][..n], &self.error);
                *moved += there
                    * match hypothesis {
                        Hypothesis::Output(_) => 0.0,
                        Hypothesis::Input(input) => scale * by_input[i * inputs + input],
                        Hypothesis::Parameter(_) => scale * push[i],
                    };
            }
            self.error.copy_from_slice(&self.moved);
            for ((output, slot), gain) in
                self.expected.iter().zip(&mut *slot).zip(self.gain.chunks_exact(n.max(1)))
            {
                let direct = match hypothesis {
                    Hypothesis::Output(biased) => f64::from(u8::from(biased == *output)),
                    Hypothesis::Input(input) => direct[output * inputs + input],
                    Hypothesis::Parameter(_) => shown[*output],
                };
                *slot = dot(&rows[output * n..][..n], &self.moved) + there * direct;
                for (error, gain) in self.error.iter_mut().zip(gain) {
                    *error -= gain * *slot;
                }
            }
            solve(&self.factor, slot);
        }
    }

    /// The onset (slots ago), likelihood ratio and size (by now, at most so much) that fit best.
    fn best(&self, profile: Profile, most: f64) -> Option<(usize, f64, f64)> {
        let (slots, least) = (self.usable.len(), profile.least());
        let better = |best: Option<(usize, f64, f64)>, age: usize| {
            let found = self.fit(age, profile.at(age.saturating_sub(1)), most);
            if found.map(|found| found.1) > best.map(|best| best.1) { found } else { best }
        };
        let coarse = AGES.into_iter().filter(|age| (least..=slots).contains(age)).fold(None, better);
        let place = AGES.iter().position(|age| coarse.is_some_and(|coarse| coarse.0 == *age))?;
        let from = place.checked_sub(1).map_or(1, |before| AGES[before] + 1).max(least);
        let to = AGES.get(place + 1).map_or(slots, |after| (*after - 1).min(slots));
        (from..=to).fold(coarse, better)
    }

    fn fit(&self, age: usize, there: f64, most: f64) -> Option<(usize, f64, f64)> {
        let (slots, width) = (self.usable.len(), self.expected.len());
        let (mut mixed, mut norm) = (0.0, 0.0);
        let window = self.white.chunks_exact(width).zip(&self.usable).skip(slots - age);
        for ((white, usable), signature) in window.zip(self.signature.chunks_exact(width)) {
            if *usable {
                mixed += dot(white, signature);
                norm += dot(signature, signature);
            }
        }
        let most = most / there;
        let size = (mixed / norm).max(-most).min(most);
        let ratio = size * (mixed - 0.5 * size * norm);
        (norm > 1e-12 && ratio.is_finite()).then_some((age, ratio, size * there))
    }
}

/// What multiplies ∂f/∂u and rates of noise: the step of a continuous model, 1 for a discrete one.
fn step_scale(setup: &Setup) -> f64 {
    match setup.model().time_base() {
        TimeBase::Continuous => setup.step.as_secs_f64(),
        TimeBase::Discrete { .. } => 1.0,
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// x ← L⁻¹ x for a packed lower triangle.
pub(crate) fn solve(factor: &[f64], x: &mut [f64]) {
    let mut row = 0;
    for i in 0..x.len() {
        let known: f64 = factor[row..row + i].iter().zip(&x[..i]).map(|(factor, x)| factor * x).sum();
        x[i] = (x[i] - known) / factor[row + i];
        row += i + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_triangle_is_solved() {
        let mut x = [2.0, 7.0, 1.0];
        solve(&[2.0, 1.0, 3.0, 0.5, -1.0, 4.0], &mut x);
        assert_eq!(x, [1.0, 2.0, 0.625]);
    }
}
