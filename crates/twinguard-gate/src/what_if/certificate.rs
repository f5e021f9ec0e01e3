//! The tube that an admission rests on, and a short checker that shares no code with what made it.
//!
//! A certificate says: from this state, with these inputs held, every signal with a never-exceed limit stays within these
//! bounds, and the bounds within the limits. The checker integrates the plant file's model itself, by classical
//! Runge–Kutta at small steps: as declared, and with each uncertain parameter a standard deviation higher and lower. It
//! refuses a certificate whose tube a run leaves, that does not cover a limit over its horizon, or that has expired.
//! What it does not check: that the state is the plant's (the digest says whose state it was).

use twinguard_twin::TimeBase;
use twinguard_twin::Twin;
use twinguard_twin::integrators::Rk4;
use twinguard_twin::plant::{Dynamics, LimitKind, Plant};
use twinguard_types::{CommandId, Digest, Duration, SignalId, Timestamp};

use super::Confidence;

/// Steps of one run at most; one that needs more is not checked, and refused.
const STEPS: f64 = 200_000.0;
/// Part of a bound's width that two integrators may differ by.
const SLACK: f64 = 1e-3;

/// Bounds of one limit's signal over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Tube {
    /// The limit's number in the plant file.
    pub limit: usize,
    /// Its signal.
    pub signal: SignalId,
    /// Times since the start, ascending.
    pub times: Vec<Duration>,
    /// Least and greatest value at each.
    pub bounds: Vec<(f64, f64)>,
}

impl Tube {
    pub(crate) fn new(limit: usize, signal: SignalId) -> Self {
        Self { limit, signal, times: Vec::new(), bounds: Vec::new() }
    }

    /// Takes bounds in at a sample's place: those that stand there already are widened.
    pub(crate) fn cover(&mut self, place: usize, at: Duration, low: f64, high: f64) {
        match self.bounds.get_mut(place) {
            Some(bounds) => *bounds = (bounds.0.min(low), bounds.1.max(high)),
            None => {
                self.times.push(at);
                self.bounds.push((low, high));
            }
        }
    }

    /// The bounds at a time: on the lines between the samples around it.
    fn at(&self, time_s: f64) -> Option<(f64, f64)> {
        let after = self.times.partition_point(|it| it.as_secs_f64() < time_s);
        let (to, &(low, high)) = (self.times.get(after)?, self.bounds.get(after)?);
        let Some(before) = after.checked_sub(1) else { return Some((low, high)) };
        let (from, &(first_low, first_high)) = (self.times.get(before)?, self.bounds.get(before)?);
        let share = (time_s - from.as_secs_f64()) / (to.as_secs_f64() - from.as_secs_f64()).max(1e-12);
        Some((first_low + share * (low - first_low), first_high + share * (high - first_high)))
    }
}

/// Where a run of the model starts, and what pushes it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Start {
    /// The model's states.
    pub state: Vec<f64>,
    /// What pushes each state beside the model, per second; empty: nothing does.
    pub push: Vec<f64>,
}

/// Why a command was let through, as numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Certificate {
    /// The command.
    pub command: CommandId,
    /// Digest of the twin's state that it started from.
    pub state: Digest,
    /// When it was made.
    pub at: Timestamp,
    /// From when on the command must not be sent any more.
    pub expires: Timestamp,
    /// Where the plant may be: where the twin is, pushed by what corrected it lately, and where the model would be by itself,
    /// pushed by what usually corrects the twin.
    pub starts: Vec<Start>,
    /// The model's inputs, all held, the command among them.
    pub inputs: Vec<f64>,
    /// One for each never-exceed limit whose signal is measured or modelled.
    pub tubes: Vec<Tube>,
}

/// What is wrong with a certificate.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Flaw {
    /// It is not of this plant, or not whole.
    #[error("the certificate does not fit the plant: {0}")]
    Shape(&'static str),
    /// It is too old.
    #[error("the certificate expired at {0}")]
    Expired(Timestamp),
    /// The twin has moved on beyond the tube.
    #[error("the twin is not within the tube any more")]
    Moved,
    /// Its tube does not keep a limit.
    #[error("the tube of limit {limit} passes the limit after {after_s:.1} s")]
    Limit {
        /// The limit's number.
        limit: usize,
        /// When.
        after_s: f64,
    },
    /// A run leaves the tube.
    #[error(
        "a run leaves the tube of limit {limit} after {after_s:.1} s: {value} is outside {low} to {high}"
    )]
    Left {
        /// The limit's number.
        limit: usize,
        /// When.
        after_s: f64,
        /// Where the run is.
        value: f64,
        /// Least value of the tube.
        low: f64,
        /// Greatest value of the tube.
        high: f64,
    },
}

/// Where the plant may be.
pub(crate) fn starts_of(twin: &Twin, confidence: &Confidence) -> Vec<Start> {
    let state = twin.state().1;
    let estimate = Start { state: state.to_vec(), push: confidence.push().to_vec() };
    let reckoned = confidence.reckoned().filter(|start| start.state.len() == state.len());
    core::iter::once(estimate).chain(reckoned).collect()
}

/// Digest of what the twin believes: clock, states, inputs.
pub(crate) fn state_digest(twin: &Twin, dynamics: &Dynamics) -> Digest {
    let mut hash = blake3::Hasher::new_derive_key("twinguard 2026 gate state v1");
    hash.update(&twin.clock().map_or(i64::MIN, Timestamp::as_nanos).to_le_bytes());
    for state in twin.state().1.iter().chain(&inputs_of(twin, dynamics)) {
        hash.update(&state.to_bits().to_le_bytes());
    }
    Digest(*hash.finalize().as_bytes())
}

/// The model's inputs as the twin holds them.
pub(crate) fn inputs_of(twin: &Twin, dynamics: &Dynamics) -> Vec<f64> {
    let mut inputs = Vec::new();
    inputs_into(twin, dynamics, &mut inputs);
    inputs
}

/// The same, in place of what stands there.
pub(super) fn inputs_into(twin: &Twin, dynamics: &Dynamics, inputs: &mut Vec<f64>) {
    let held = |(signal, rest): (&Option<SignalId>, &f64)| {
        signal.and_then(|signal| twin.estimate(signal)).map_or(*rest, |estimate| estimate.mean)
    };
    inputs.clear();
    inputs.extend(dynamics.inputs.iter().zip(&dynamics.input_defaults).map(held));
}

impl Certificate {
    /// Whether the command may still be sent: in time, and with the twin where the tube says it would be.
    ///
    /// # Errors
    /// [`Flaw::Expired`], [`Flaw::Moved`].
    pub fn still_holds(&self, now: Timestamp, twin: &Twin) -> Result<(), Flaw> {
        if now >= self.expires {
            return Err(Flaw::Expired(self.expires));
        }
        let passed_s = now.since(self.at).as_secs_f64().max(0.0);
        let within = |tube: &Tube| match (twin.estimate(tube.signal), tube.at(passed_s)) {
            (Some(estimate), Some((low, high))) => (low..=high).contains(&estimate.mean),
            _ => false,
        };
        if self.tubes.iter().all(within) { Ok(()) } else { Err(Flaw::Moved) }
    }

    /// Checks it against a plant's file: independently, and slowly (some thousand evaluations of the model a run).
    ///
    /// # Errors
    /// The first [`Flaw`].
    pub fn check(&self, plant: &Plant) -> Result<(), Flaw> {
        let dynamics = plant.dynamics.as_ref().ok_or(Flaw::Shape("the plant has no dynamics"))?;
        let states = dynamics.initial_state.len();
        let fits = |start: &Start| {
            start.state.len() == states && (start.push.is_empty() || start.push.len() == states)
        };
        if self.starts.is_empty()
            || !self.starts.iter().all(fits)
            || self.inputs.len() != dynamics.inputs.len()
        {
            return Err(Flaw::Shape("it has another number of states or inputs"));
        }
        self.covers(plant, dynamics)?;
        self.follow(dynamics)?;
        for ((name, value), sigma) in dynamics.model.parameters().iter().zip(&dynamics.parameter_sigma) {
            if *sigma > 0.0 {
                for moved in [value - sigma, value + sigma] {
                    let varied = dynamics
                        .with_parameters(&[(name.as_str(), moved)])
                        .map_err(|_| Flaw::Shape("a parameter cannot be varied"))?;
                    self.follow(&varied)?;
                }
            }
        }
        Ok(())
    }

    /// Every limit that must not be passed has a tube over its horizon, inside it.
    fn covers(&self, plant: &Plant, dynamics: &Dynamics) -> Result<(), Flaw> {
        for (index, limit) in plant.limits.iter().enumerate() {
            let modelled = dynamics.outputs.contains(&Some(limit.signal));
            if limit.kind != LimitKind::NeverExceed || limit.horizon <= Duration::ZERO || !modelled {
                continue;
            }
            let tube = self
                .tubes
                .iter()
                .find(|tube| tube.limit == index && tube.signal == limit.signal)
                .ok_or(Flaw::Shape("a limit has no tube"))?;
            let ascending = tube.times.windows(2).all(|pair| pair[0] < pair[1]);
            let (Some(first), Some(last)) = (tube.times.first(), tube.times.last()) else {
                return Err(Flaw::Shape("a tube is empty"));
            };
            let whole = *first == Duration::ZERO
                && last.as_nanos() + 1_000 >= limit.horizon.as_nanos()
                && tube.times.len() == tube.bounds.len();
            if !(ascending && whole) {
                return Err(Flaw::Shape("a tube does not reach its horizon"));
            }
            for (at, (low, high)) in tube.times.iter().zip(&tube.bounds) {
                let inside = low <= high
                    && limit.min.is_none_or(|min| *low >= min)
                    && limit.max.is_none_or(|max| *high <= max);
                if !inside {
                    return Err(Flaw::Limit { limit: index, after_s: at.as_secs_f64() });
                }
            }
        }
        Ok(())
    }

    /// Runs of a model from all starts, that have to stay in every tube.
    fn follow(&self, dynamics: &Dynamics) -> Result<(), Flaw> {
        self.starts.iter().try_for_each(|start| self.follow_from(start, dynamics))
    }

    fn follow_from(&self, start: &Start, dynamics: &Dynamics) -> Result<(), Flaw> {
        let model = &*dynamics.model;
        let mut state = start.state.clone();
        let mut output = vec![0.0; dynamics.outputs.len()];
        let last = self.tubes.iter().filter_map(|tube| tube.times.last()).max();
        let horizon_s = last.map_or(0.0, |last| last.as_secs_f64());
        let step_s = match model.time_base() {
            TimeBase::Discrete { step_s } => step_s,
            TimeBase::Continuous => dynamics.step.as_secs_f64().max(1e-6),
        };
        if horizon_s / step_s > STEPS {
            return Err(Flaw::Shape("its horizon is too long for the model's step"));
        }
        let mut integrator = Rk4::new(state.len());
        let mut next = state.clone();
        let mut passed_s = 0.0;
        loop {
            model.output(passed_s, &state, &self.inputs, &mut output);
            for tube in &self.tubes {
                let Some(place) = dynamics.outputs.iter().position(|it| *it == Some(tube.signal)) else {
                    continue;
                };
                let (Some((low, high)), Some(&value)) = (tube.at(passed_s), output.get(place)) else {
                    continue;
                };
                let slack = SLACK * ((high - low) + value.abs());
                if !(low - slack..=high + slack).contains(&value) {
                    let (limit, after_s) = (tube.limit, passed_s);
                    return Err(Flaw::Left { limit, after_s, value, low, high });
                }
            }
            if passed_s >= horizon_s {
                return Ok(());
            }
            match model.time_base() {
                TimeBase::Discrete { .. } => {
                    model.dynamics(passed_s, &state, &self.inputs, &mut next);
                    state.copy_from_slice(&next);
                    state.iter_mut().zip(&start.push).for_each(|(state, push)| *state += push * step_s);
                }
                TimeBase::Continuous => {
                    let rate = |at: f64, x: &[f64], out: &mut [f64]| {
                        model.dynamics(at, x, &self.inputs, out);
                        out.iter_mut().zip(&start.push).for_each(|(out, push)| *out += push);
                    };
                    integrator.step(rate, passed_s, step_s, &mut state);
                }
            }
            passed_s += step_s;
        }
    }
}
