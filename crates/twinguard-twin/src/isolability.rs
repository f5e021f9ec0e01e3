//! What the meters of a plant cannot tell apart, known before it runs, and with it which meter to buy.
//!
//! Each cause (a sensor biased, an actuator off, a measured input off, an uncertain parameter changed) leaves a signature in the
//! whitened innovations of the filter; two causes with parallel signatures are one cause for any algorithm. The share of one
//! signature that the other does not explain is 1 − (gᵢ·gⱼ)² / (|gᵢ|² |gⱼ|²): 0 for causes that cannot be told apart.
//!
//! Sources: Willsky, Jones, *IEEE TAC* 21 (1976) 108 (signatures of the innovations); Basseville, Nikiforov, *Detection of Abrupt
//! Changes* (1993), §7.2.4 (angles between signatures as diagnosability). Two profiles, because only transients tell a
//! drifting sensor from a leaking vessel: a step, and a ramp over the whole window.
//!
//! When it lies: it is linear, at the operating point of the plant file, with the steady gain; a declared σ that is wrong bends the
//! whitening. A sign that is known (a leak only leaks) is not used. Cost: some thousand filter steps and one signature a cause.

use twinguard_types::{Cause, SignalId};

use crate::filters::Kalman;
use crate::setup::{Room, Setup};
use crate::{Error, Plant, TimeBase};

/// Below this unexplained share two causes count as one.
pub const AMBIGUOUS: f64 = 0.10;
/// Most slots of a signature.
const MOST_SLOTS: usize = 10_000;
/// Steps in which the filter's gain settles.
const SETTLE: usize = 5_000;

/// How a cause begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// At once, and stays.
    Step,
    /// Evenly over the whole window.
    Ramp,
}

/// Unexplained shares of all pairs of causes.
#[derive(Clone, Debug, PartialEq)]
pub struct Isolability {
    causes: Vec<Cause>,
    /// Per profile: shares, k × k.
    shares: [Vec<f64>; 2],
    /// Per profile: size of each cause that 10 nats need; `None` when it leaves no trace.
    sizes: [Vec<Option<f64>>; 2],
}

impl Isolability {
    /// Of a plant whose signals are measured where `meters` says so, over `slots` samples (at least 2, at most 10,000).
    ///
    /// ```
    /// use twinguard_twin::Plant;
    /// use twinguard_twin::isolability::{Isolability, Profile};
    ///
    /// let plant = Plant::parse(include_str!("../plants/cooling_loop.toml"), "cooling_loop.toml")?;
    /// let all = Isolability::of(&plant, |_| true, 100)?;
    /// for set in all.sets(Profile::Ramp) {
    ///     println!("one cause for any algorithm: {set:?}");
    /// }
    /// assert!(all.causes().len() > 10);
    /// # Ok::<(), twinguard_twin::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NoDynamics`]; [`Error::Dimension`] for other numbers of slots; [`Error::NotFinite`] when the model leaves the finite
    /// numbers at its operating point; [`Error::Unobservable`] when nothing is measured.
    pub fn of(plant: &Plant, meters: impl Fn(SignalId) -> bool, slots: usize) -> Result<Self, Error> {
        if !(2..=MOST_SLOTS).contains(&slots) {
            return Err(Error::Dimension { what: "slots", expected: MOST_SLOTS, found: slots });
        }
        let setup = Setup::new(plant)?;
        let signatures = Signatures::new(&setup, &meters)?;
        let mut found =
            Self { causes: Vec::new(), shares: [Vec::new(), Vec::new()], sizes: [Vec::new(), Vec::new()] };
        let pushes = signatures.causes(&setup, &meters);
        found.causes.extend(pushes.iter().map(|(cause, _, _)| *cause));
        for (at, profile) in [Profile::Step, Profile::Ramp].into_iter().enumerate() {
            let lists: Vec<Vec<f64>> = pushes
                .iter()
                .map(|(_, state, direct)| signatures.of(state, direct, profile, slots))
                .collect();
            let energy: Vec<f64> = lists.iter().map(|list| dot(list, list)).collect();
            found.sizes[at] =
                energy.iter().map(|energy| (*energy > 1e-18).then(|| (20.0 / energy).sqrt())).collect();
            for (i, one) in lists.iter().enumerate() {
                for (j, other) in lists.iter().enumerate() {
                    let both = energy[i] * energy[j];
                    let mixed = dot(one, other);
                    let share = if both > 0.0 { (1.0 - mixed * mixed / both).clamp(0.0, 1.0) } else { 1.0 };
                    found.shares[at].push(if i == j { 0.0 } else { share });
                }
            }
        }
        Ok(found)
    }

    /// The causes, in the order of all indices: sensors, inputs, then uncertain parameters as [`Cause::FaultMode`] with the
    /// parameter's number.
    #[must_use]
    pub fn causes(&self) -> &[Cause] {
        &self.causes
    }

    /// What share of one cause's signature the other does not explain; `None` for an index that is not there.
    #[must_use]
    pub fn share(&self, profile: Profile, one: usize, other: usize) -> Option<f64> {
        let count = self.causes.len();
        if other >= count { None } else { self.shares[profile as usize].get(one * count + other).copied() }
    }

    /// The size of a cause, in its own unit, that the window tells with 10 nats; `None` when it leaves no trace.
    #[must_use]
    pub fn size(&self, profile: Profile, cause: usize) -> Option<f64> {
        self.sizes[profile as usize].get(cause).copied().flatten()
    }

    /// Pairs of causes whose share is below [`AMBIGUOUS`], worst first.
    #[must_use]
    pub fn pairs(&self, profile: Profile) -> Vec<(usize, usize, f64)> {
        let count = self.causes.len();
        let mut pairs: Vec<_> = (0..count)
            .flat_map(|i| (i + 1..count).map(move |j| (i, j)))
            .map(|(i, j)| (i, j, self.shares[profile as usize][i * count + j]))
            .filter(|(_, _, share)| *share < AMBIGUOUS)
            .collect();
        pairs.sort_by(|a, b| a.2.total_cmp(&b.2));
        pairs
    }

    /// Causes that hang together by such pairs, two or more each: a verdict names the set, not one of it.
    #[must_use]
    pub fn sets(&self, profile: Profile) -> Vec<Vec<usize>> {
        let mut label: Vec<usize> = (0..self.causes.len()).collect();
        for (i, j, _) in self.pairs(profile) {
            let (keep, drop) = (label[i].min(label[j]), label[i].max(label[j]));
            label.iter_mut().filter(|label| **label == drop).for_each(|label| *label = keep);
        }
        let members = |first: usize| (0..label.len()).filter(|at| label[*at] == first).collect::<Vec<_>>();
        (0..label.len()).map(members).filter(|set| set.len() > 1).collect()
    }
}

/// The linearised filter with its steady gain.
struct Signatures {
    n: usize,
    used: Vec<usize>,
    transition: Vec<f64>,
    rows: Vec<f64>,
    by_input: Vec<f64>,
    direct: Vec<f64>,
    gain: Vec<f64>,
    factor: Vec<f64>,
    state: Vec<f64>,
    scale: f64,
}

impl Signatures {
    fn new(setup: &Setup, meters: &impl Fn(SignalId) -> bool) -> Result<Self, Error> {
        let outputs = &setup.dynamics.outputs;
        let used: Vec<usize> = outputs
            .iter()
            .enumerate()
            .filter(|(_, signal)| signal.is_some_and(meters))
            .map(|(output, _)| output)
            .collect();
        if used.is_empty() {
            return Err(Error::Unobservable { what: "state", index: 0 });
        }
        let (model, input) = (setup.model(), &setup.dynamics.input_defaults);
        let mut filter = setup.filter()?;
        let (n, m) = (filter.kalman().order(), outputs.len());
        let scale = match model.time_base() {
            TimeBase::Continuous => setup.step.as_secs_f64(),
            TimeBase::Discrete { .. } => 1.0,
        };
        let mut process = vec![0.0; n * n];
        for (at, sigma) in setup.dynamics.process_sigma.iter().enumerate() {
            process[at * n + at] = sigma * sigma;
        }
        let unsure = vec![0.0; input.len()];
        let mut room = Room::new(n, input.len());
        setup.add_push(0.0, filter.kalman().mean(), input, &unsure, &mut process, &mut room);
        filter.set_process(&process)?;
        let start = filter.kalman().mean().to_vec();
        let step_s = setup.step.as_secs_f64();
        for _ in 0..SETTLE {
            // The operating point stays; only the covariance moves.
            filter.kalman_mut().mean_mut().copy_from_slice(&start);
            let before = filter.kalman().factors().1.to_vec();
            filter.predict(model, 0.0, step_s, setup.dynamics.step.as_secs_f64(), input)?;
            filter.kalman_mut().mean_mut().copy_from_slice(&start);
            let predicted = filter.predict_output(model, 0.0, input).to_vec();
            let measured: Vec<Option<f64>> =
                (0..m).map(|output| used.contains(&output).then_some(predicted[output])).collect();
            filter.update(model, 0.0, input, &measured, &setup.variance)?;
            let after = filter.kalman().factors().1;
            if before.iter().zip(after).all(|(before, after)| (before - after).abs() <= 1e-10 * after.abs()) {
                break;
            }
        }
        let (u, d) = filter.kalman().factors();
        let transition = filter.transition().to_vec();
        let columns: Vec<f64> = (0..n * n).map(|at| transition[at % n * n + at / n]).collect();
        let added = filter.process().to_vec();
        let (rows, direct) = filter.observation();
        let (mut gain, mut factor) = (Vec::new(), Vec::new());
        let mut kalman = Kalman::new(&vec![0.0; n], &vec![0.0; n * n], m)?;
        for output in &used {
            kalman.set_factors(&vec![0.0; n], u, d)?;
            kalman.predict(&columns, &added);
            let unit: Vec<Option<f64>> =
                (0..m).map(|at| used.contains(&at).then_some(f64::from(u8::from(at == *output)))).collect();
            factor = kalman.update(&unit, rows, &setup.variance)?.factor.to_vec();
            gain.extend_from_slice(kalman.mean());
        }
        if used.len() * (used.len() + 1) / 2 != factor.len() {
            return Err(Error::NotFinite { what: "output of the model", time_s: 0.0 });
        }
        let (rows, direct, by_input) = (rows.to_vec(), direct.to_vec(), filter.by_input().to_vec());
        Ok(Self { n, used, transition, rows, by_input, direct, gain, factor, state: start, scale })
    }

    /// Every cause with what it adds to the state in a step and to the outputs, per unit of it.
    fn causes(&self, setup: &Setup, meters: &impl Fn(SignalId) -> bool) -> Vec<(Cause, Vec<f64>, Vec<f64>)> {
        let (n, m, inputs) = (self.n, setup.dynamics.outputs.len(), setup.dynamics.inputs.len());
        let mut causes = Vec::new();
        for output in &self.used {
            let Some(signal) = setup.dynamics.outputs[*output] else { continue };
            let mut direct = vec![0.0; m];
            direct[*output] = 1.0;
            causes.push((Cause::SensorBias(signal), vec![0.0; n], direct));
        }
        for (input, signal) in setup.dynamics.inputs.iter().enumerate() {
            let Some(signal) = *signal else { continue };
            let cause = if setup.is_command[input] {
                Cause::ActuatorOffset(signal)
            } else if meters(signal) {
                Cause::Disturbance(signal)
            } else {
                continue;
            };
            let state = (0..n).map(|i| self.scale * self.by_input[i * inputs + input]).collect();
            causes.push((cause, state, (0..m).map(|i| self.direct[i * inputs + input]).collect()));
        }
        for (number, push, shown) in setup.effects(0.0, &self.state, &setup.dynamics.input_defaults) {
            let state = push.iter().map(|entry| self.scale * entry).collect();
            causes.push((Cause::FaultMode(u32::try_from(number).unwrap_or(u32::MAX)), state, shown));
        }
        causes
    }

    /// ε⁻ = Φ ε⁺ + Γ b, ν = H ε⁻ + D b, ε⁺ = ε⁻ − K ν; whitened.
    fn of(&self, state: &[f64], direct: &[f64], profile: Profile, slots: usize) -> Vec<f64> {
        let n = self.n;
        let mut error = vec![0.0; n];
        let mut all = Vec::with_capacity(slots * self.used.len());
        for slot in 0..slots {
            let size = match profile {
                Profile::Step => 1.0,
                Profile::Ramp => (slot + 1) as f64 / slots as f64,
            };
            let moved: Vec<f64> = self
                .transition
                .chunks_exact(n.max(1))
                .zip(state)
                .map(|(row, push)| dot(row, &error) + push * size)
                .collect();
            error.copy_from_slice(&moved);
            let start = all.len();
            for (output, gain) in self.used.iter().zip(self.gain.chunks_exact(n.max(1))) {
                let shown = dot(&self.rows[output * n..][..n], &moved) + direct[*output] * size;
                error.iter_mut().zip(gain).for_each(|(error, gain)| *error -= gain * shown);
                all.push(shown);
            }
            crate::bank::solve(&self.factor, &mut all[start..]);
        }
        all
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TANK: &str = r#"format = 1
name = "tank"

[[signal]]
path = "level"
sigma = 0.01

[[signal]]
path = "again"
sigma = 0.01

[[signal]]
path = "outflow"
sigma = 0.001

[[signal]]
path = "pump"
role = "actuator"

[dynamics]
kind = "differential"
equations = """
d(h)/dt = u + spring - drain * h
first = h
second = h
out = drain * h
"""
states = { h = { initial = 1.0, sigma = 0.1, process_sigma = 0.001 } }
inputs = { u = { signal = "pump", default = 0.1 } }
outputs = { first = "level", second = "again", out = "outflow" }
parameters = { drain = { value = 0.1, sigma = 0.01 }, spring = { value = 0.0, sigma = 0.01 } }
"#;

    fn plant() -> Plant {
        Plant::parse(TANK, "tank.toml").unwrap()
    }

    /// A pump that gives more than it is told and a spring in the tank enter alike: no meter of this plant splits them. A second
    /// level meter splits a biased first one from everything.
    #[test]
    fn identical_columns_are_one_set_and_the_right_meter_splits() {
        let plant = plant();
        let id = |path: &str| plant.catalogue.id(path).unwrap();
        let all = Isolability::of(&plant, |_| true, 200).unwrap();
        let at = |found: &Isolability, cause: Cause| {
            found.causes().iter().position(|other| *other == cause).unwrap()
        };
        let pump = at(&all, Cause::ActuatorOffset(id("pump")));
        let spring = at(&all, Cause::FaultMode(1));
        for profile in [Profile::Step, Profile::Ramp] {
            assert!(all.share(profile, pump, spring).unwrap() < 1e-9);
            assert!(all.sets(profile).iter().any(|set| set.contains(&pump) && set.contains(&spring)));
        }
        let level = Cause::SensorBias(id("level"));
        let few = Isolability::of(&plant, |signal| signal == id("level"), 200).unwrap();
        let alone = few.share(Profile::Ramp, at(&few, level), at(&few, Cause::FaultMode(1))).unwrap();
        let with = all.share(Profile::Ramp, at(&all, level), spring).unwrap();
        assert!(alone < AMBIGUOUS && with > 0.3, "{alone} {with}");
        // A slow drift looks more like a slow spring than a sudden one like a sudden one.
        let sudden = few.share(Profile::Step, at(&few, level), at(&few, Cause::FaultMode(1))).unwrap();
        assert!(sudden > alone, "{sudden} {alone}");
        assert!(all.size(Profile::Step, pump).unwrap() < all.size(Profile::Ramp, pump).unwrap());
    }

    #[test]
    fn shares_are_symmetric_and_what_is_not_there_is_nothing() {
        let found = Isolability::of(&plant(), |_| true, 50).unwrap();
        let count = found.causes().len();
        assert_eq!(count, 3 + 1 + 2);
        for i in 0..count {
            for j in 0..count {
                let (one, other) =
                    (found.share(Profile::Step, i, j).unwrap(), found.share(Profile::Step, j, i).unwrap());
                assert!((one - other).abs() < 1e-12 && (0.0..=1.0).contains(&one));
            }
        }
        assert_eq!(found.share(Profile::Step, 0, count), None);
        assert_eq!(found.share(Profile::Step, count, 0), None);
        assert_eq!(found.size(Profile::Ramp, count), None);
        assert!(matches!(Isolability::of(&plant(), |_| false, 50), Err(Error::Unobservable { .. })));
        assert!(Isolability::of(&plant(), |_| true, 1).is_err());
    }
}
