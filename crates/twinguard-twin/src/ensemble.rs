//! Many futures at once: several what-ifs of one state, and one what-if over what is not known of state and parameters.
//!
//! Source: plain Monte Carlo; quantiles are those of Hyndman, Fan, *American Statistician* 50 (1996) 361, definition 7. Each member
//! draws its own state from N(x̂, P) and its own parameters from their declared deviations, from a random stream of its own
//! number: the result depends on the seed, not on the order of work or the number of threads. Process noise is not drawn:
//! what members differ in is what is unsure now, kept for the whole horizon.
//!
//! Cost: one [`Fork::simulate`] a member, and compiling the equations again where parameters are unsure.

use std::sync::Arc;

use twinguard_types::{Duration, SignalId, Timestamp};

use crate::noise::Noise;
use crate::whatif::{Fork, WhatIf};
use crate::{Error, TimeBase};

/// Most members.
const MOST: usize = 100_000;
/// Times at which members are compared.
const TIMES: usize = 65;

/// How members stand to one limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outlook {
    /// Index into the plant's limits.
    pub limit: usize,
    /// The limit's signal.
    pub signal: SignalId,
    /// Least margin over the horizon: 5 %, 50 % and 95 % quantile over the members, in the signal's unit.
    pub least: [f64; 3],
    /// Share of members that cross the limit.
    pub violated: f64,
    /// When the first member crosses it.
    pub crossed: Option<Timestamp>,
}

/// What the members say together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ensemble {
    /// Members that reached the horizon; the others left the finite numbers or ran out of steps, and count as violations.
    pub members: usize,
    /// Members that did not.
    pub lost: usize,
    /// One per limit whose signal the model knows.
    pub outlooks: Vec<Outlook>,
    /// The signals of the bands: every mapped output.
    pub signals: Vec<SignalId>,
    /// Times of the bands.
    pub times: Vec<Timestamp>,
    /// 5 %, 50 % and 95 % quantile, one triple per signal, time after time.
    pub bands: Vec<[f64; 3]>,
}

impl Fork {
    /// One [`simulate`](Fork::simulate) for each list of holds, in their order.
    #[must_use]
    pub fn compare(&self, horizon: Duration, cases: &[Vec<(SignalId, f64)>]) -> Vec<Result<WhatIf, Error>> {
        cases.iter().map(|holds| self.clone().simulate(horizon, holds)).collect()
    }

    /// [`compare`](Fork::compare) on all threads: the same answers to the bit.
    #[cfg(feature = "rayon")]
    #[must_use]
    pub fn compare_parallel(
        &self,
        horizon: Duration,
        cases: &[Vec<(SignalId, f64)>],
    ) -> Vec<Result<WhatIf, Error>> {
        use rayon::prelude::*;
        cases.par_iter().map(|holds| self.clone().simulate(horizon, holds)).collect()
    }

    /// `members` futures that differ in what is not known of state and parameters.
    ///
    /// ```
    /// # use twinguard_twin::{Plant, Twin};
    /// use twinguard_types::Duration;
    /// # let plant = Plant::parse(include_str!("../plants/cooling_loop.toml"), "cooling_loop.toml")?;
    /// # let twin = Twin::new(&plant)?;
    /// let [pump, valve] = ["cooler.pump.command", "cooler.valve.command"].map(|path| plant.catalogue.id(path).unwrap());
    /// let found = twin.fork().ensemble(Duration::from_secs(4 * 3600), &[(pump, 0.0), (valve, 0.0)], 50, 1)?;
    /// assert!(found.outlooks.iter().any(|outlook| outlook.violated > 0.9), "without cooling nearly all overheat");
    /// # Ok::<(), twinguard_twin::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`simulate`](Fork::simulate); [`Error::Dimension`] for no members, or more than 100,000.
    pub fn ensemble(
        &self,
        horizon: Duration,
        holds: &[(SignalId, f64)],
        members: usize,
        seed: u64,
    ) -> Result<Ensemble, Error> {
        self.check_members(members)?;
        let runs = (0..members).map(|member| self.member(horizon, holds, seed, member));
        self.gather(horizon, runs.collect())
    }

    /// [`ensemble`](Fork::ensemble) on all threads: the same answer to the bit.
    ///
    /// # Errors
    /// As [`ensemble`](Fork::ensemble).
    #[cfg(feature = "rayon")]
    pub fn ensemble_parallel(
        &self,
        horizon: Duration,
        holds: &[(SignalId, f64)],
        members: usize,
        seed: u64,
    ) -> Result<Ensemble, Error> {
        use rayon::prelude::*;
        self.check_members(members)?;
        let runs = (0..members).into_par_iter().map(|member| self.member(horizon, holds, seed, member));
        self.gather(horizon, runs.collect())
    }

    fn check_members(&self, members: usize) -> Result<(), Error> {
        if (1..=MOST).contains(&members) {
            return Ok(());
        }
        Err(Error::Dimension { what: "members", expected: MOST, found: members })
    }

    fn member(
        &self,
        horizon: Duration,
        holds: &[(SignalId, f64)],
        seed: u64,
        member: usize,
    ) -> Result<WhatIf, Error> {
        let mut noise = Noise::new(seed, member as u64);
        let (setup, kalman) = (self.setup(), self.start());
        let n = kalman.order();
        let mut root = vec![0.0; n * n];
        kalman.root(&mut root);
        let mut state = kalman.mean().to_vec();
        for column in root.chunks_exact(n.max(1)) {
            let size = noise.gaussian();
            state.iter_mut().zip(column).for_each(|(state, entry)| *state += size * entry);
        }
        let unsure = setup.model().parameters().iter().zip(&setup.dynamics.parameter_sigma);
        let drawn: Vec<(&str, f64)> = unsure
            .filter(|(_, sigma)| **sigma > 0.0)
            .map(|((name, value), sigma)| (name.as_str(), value + sigma * noise.gaussian()))
            .collect();
        let setup = if drawn.is_empty() { setup.clone() } else { Arc::new(setup.varied(&drawn)?) };
        self.at_state(setup, &state)?.simulate(horizon, holds)
    }

    fn gather(&self, horizon: Duration, runs: Vec<Result<WhatIf, Error>>) -> Result<Ensemble, Error> {
        let runs = runs.into_iter().collect::<Result<Vec<_>, Error>>()?;
        let end = self.at() + horizon.max(Duration::ZERO);
        let reached = |run: &&WhatIf| match self.setup().model().time_base() {
            TimeBase::Continuous => run.reached >= end - Duration::from_nanos(1_000),
            TimeBase::Discrete { .. } => run.reached >= end,
        };
        let (whole, broken): (Vec<&WhatIf>, Vec<&WhatIf>) = runs.iter().partition(reached);
        let Some(first) = runs.first() else { return Ok(Ensemble::default()) };
        let mut found = Ensemble {
            members: whole.len(),
            lost: broken.len(),
            signals: first.signals.clone(),
            ..Ensemble::default()
        };
        for (index, margin) in first.margins.iter().enumerate() {
            let each = || whole.iter().filter_map(|run| run.margins.get(index));
            let crossed = each().filter(|margin| margin.crossed.is_some()).count() + broken.len();
            found.outlooks.push(Outlook {
                limit: margin.limit,
                signal: margin.signal,
                least: quantiles(each().map(|margin| margin.least).collect()),
                violated: crossed as f64 / runs.len() as f64,
                crossed: each().filter_map(|margin| margin.crossed).min(),
            });
        }
        for step in 0..TIMES {
            let passed = horizon.max(Duration::ZERO).as_nanos() / (TIMES as i64 - 1) * step as i64;
            let time = self.at() + Duration::from_nanos(passed);
            found.times.push(time);
            for signal in 0..found.signals.len() {
                found.bands.push(quantiles(whole.iter().map(|run| value_at(run, signal, time)).collect()));
            }
        }
        Ok(found)
    }
}

/// A run's mean of a signal at a time, on the line between the samples around it.
fn value_at(run: &WhatIf, signal: usize, time: Timestamp) -> f64 {
    let width = run.signals.len();
    let value = |at: usize| run.trajectory.get(at * width + signal).map_or(f64::NAN, |(mean, _)| *mean);
    let after = run.times.partition_point(|sample| *sample < time);
    if after == 0 {
        return value(0);
    }
    if after >= run.times.len() {
        return value(run.times.len().saturating_sub(1));
    }
    let (from, to) = (run.times[after - 1], run.times[after]);
    let share = (time - from).as_secs_f64() / (to - from).as_secs_f64();
    value(after - 1) + share * (value(after) - value(after - 1))
}

/// 5 %, 50 % and 95 %; not a number when there is nothing.
fn quantiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [0.05, 0.5, 0.95].map(|share| {
        let place = share * (values.len().max(1) - 1) as f64;
        let below = place.floor() as usize;
        let Some(low) = values.get(below) else { return f64::NAN };
        let high = values.get(below + 1).unwrap_or(low);
        low + (place - below as f64) * (high - low)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Plant, Twin};

    fn fork() -> (Plant, Fork) {
        let plant = Plant::parse(include_str!("../plants/cooling_loop.toml"), "cooling_loop.toml").unwrap();
        let fork = Twin::new(&plant).unwrap().fork();
        (plant, fork)
    }

    #[test]
    fn a_seed_is_a_result_and_members_spread_as_the_state_is_unsure() {
        let (plant, fork) = fork();
        let horizon = Duration::from_secs(1800);
        let found = fork.ensemble(horizon, &[], 400, 3).unwrap();
        assert_eq!(found, fork.ensemble(horizon, &[], 400, 3).unwrap());
        assert_ne!(found, fork.ensemble(horizon, &[], 400, 4).unwrap());
        assert_eq!((found.members, found.lost, found.times.len()), (400, 0, TIMES));
        let signals = found.signals.len();
        let oil = plant.catalogue.id("transformer.oil.temperature").unwrap();
        let at = found.signals.iter().position(|signal| *signal == oil).unwrap();
        let expected = fork.clone().simulate(horizon, &[]).unwrap();
        let (mean, sigma) = expected.trajectory[at];
        let [low, middle, high] = found.bands[at];
        assert!((middle - mean).abs() < 0.2 * sigma, "{middle} {mean} {sigma}");
        assert!(((high - low) / (2.0 * 1.645 * sigma) - 1.0).abs() < 0.15, "{low} {high} {sigma}");
        assert_eq!(found.bands.len(), TIMES * signals);
        assert!(
            fork.ensemble(horizon, &[], 0, 1).is_err() && fork.ensemble(horizon, &[], MOST + 1, 1).is_err()
        );
    }

    #[test]
    fn comparing_is_simulating_one_after_the_other() {
        let (plant, fork) = fork();
        let valve = plant.catalogue.id("cooler.valve.command").unwrap();
        let oil = plant.catalogue.id("transformer.oil.temperature").unwrap();
        let cases = [vec![(valve, 0.0)], vec![], vec![(oil, 1.0)], vec![(valve, 1.0)]];
        let horizon = Duration::from_secs(3600);
        let found = fork.compare(horizon, &cases);
        for (case, found) in cases.iter().zip(&found) {
            assert_eq!(*found, fork.clone().simulate(horizon, case));
        }
        assert!(found[2].is_err(), "an output cannot be held");
        #[cfg(feature = "rayon")]
        {
            assert_eq!(found, fork.compare_parallel(horizon, &cases));
            let serial = fork.ensemble(horizon, &cases[0], 64, 9).unwrap();
            assert_eq!(serial, fork.ensemble_parallel(horizon, &cases[0], 64, 9).unwrap());
        }
    }

    #[test]
    fn quantiles_lie_between_the_values() {
        assert_eq!(quantiles(vec![3.0, 1.0, 2.0]), [1.1, 2.0, 2.9]);
        assert_eq!(quantiles(vec![7.0]), [7.0; 3]);
        assert!(quantiles(Vec::new())[0].is_nan());
    }
}
