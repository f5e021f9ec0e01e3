//! The same attacks for every planner, with and without a shield: costs with confidence intervals, paired by seed.
//!
//! Sources: Henderson et al., "Deep reinforcement learning that matters", *AAAI* (2018), §5 (seeds and intervals); Student,
//! "The probable error of a mean" (1908), with the quantile by Abramowitz, Stegun, *Handbook* 26.7.5.

use crate::Error;
use crate::attacker::Attacker;
use crate::planner::Planner;
use crate::screen::Screen;
use crate::shield::Ground;
use crate::task::Task;

/// What to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// Seeds; training, tuning and test have none in common.
    pub seeds: Vec<u64>,
    /// Episodes of each seed.
    pub episodes: u32,
    /// Who attacks; each episode draws one.
    pub attackers: Vec<Attacker>,
}

/// First seeds of the three sets; each has room for 2³² of them.
pub const TRAINING: u64 = 1 << 32;
/// See [`TRAINING`].
pub const TUNING: u64 = 2 << 32;
/// See [`TRAINING`].
pub const TEST: u64 = 3 << 32;

impl Trial {
    /// So many seeds from a first one on.
    #[must_use]
    pub fn new(first: u64, seeds: u64, episodes: u32, attackers: &[Attacker]) -> Self {
        Self { seeds: (first..first + seeds).collect(), episodes, attackers: attackers.to_vec() }
    }
}

/// What a planner did in a trial.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Score {
    /// Mean cost of an episode, by seed.
    pub costs: Vec<f64>,
    /// Steps run.
    pub steps: u64,
    /// Steps after which a module was over its limit, those counted below not among them.
    pub unsafe_steps: u64,
    /// The same before the plant was first in the shield's viable set: nobody could have avoided them for certain.
    pub unavoidable_steps: u64,
    /// Module-steps of isolation with nobody on the module.
    pub needless: u64,
    /// Steps without an attack in which something was isolated, and all steps without one.
    pub benign: (u64, u64),
    /// Steps from the begin of each attack until it was isolated or over, summed; and attacks.
    pub contain: (u64, u64),
    /// Choices that the shield changed.
    pub corrected: u64,
}

impl Score {
    /// Mean cost of an episode, and half the width of its 95 % confidence interval over seeds.
    #[must_use]
    pub fn cost(&self) -> (f64, f64) {
        interval(&self.costs)
    }

    /// How much dearer it is than `other` on the same seeds, as a share of the other's cost, with half the width of the 95 %
    /// confidence interval of the paired differences.
    #[must_use]
    pub fn dearer_than(&self, other: &Self) -> (f64, f64) {
        let pairs = self.costs.iter().zip(&other.costs);
        let (mean, half) = interval(&pairs.map(|(a, b)| a - b).collect::<Vec<_>>());
        let base = other.cost().0;
        if base > 0.0 { (mean / base, half / base) } else { (0.0, 0.0) }
    }

    /// Mean steps from the begin of an attack until it is isolated or over.
    #[must_use]
    pub fn time_to_contain(&self) -> Option<f64> {
        (self.contain.1 > 0).then(|| self.contain.0 as f64 / self.contain.1 as f64)
    }

    /// Share of the steps without an attack in which something was isolated.
    #[must_use]
    pub fn needless_isolation(&self) -> f64 {
        if self.benign.1 == 0 { 0.0 } else { self.benign.0 as f64 / self.benign.1 as f64 }
    }

    fn add(&mut self, other: Self) {
        self.costs.extend(other.costs);
        self.steps += other.steps;
        self.unsafe_steps += other.unsafe_steps;
        self.unavoidable_steps += other.unavoidable_steps;
        self.needless += other.needless;
        self.benign = (self.benign.0 + other.benign.0, self.benign.1 + other.benign.1);
        self.contain = (self.contain.0 + other.contain.0, self.contain.1 + other.contain.1);
        self.corrected += other.corrected;
    }
}

/// Mean, and half the width of the 95 % confidence interval of the mean.
fn interval(samples: &[f64]) -> (f64, f64) {
    let n = samples.len() as f64;
    if samples.is_empty() {
        return (0.0, 0.0);
    }
    let mean = samples.iter().sum::<f64>() / n;
    if samples.len() == 1 {
        return (mean, f64::INFINITY);
    }
    let square: f64 = samples.iter().map(|x| (x - mean) * (x - mean)).sum();
    (mean, student(n - 1.0) * (square / (n - 1.0) / n).sqrt())
}

/// The 97.5 % quantile of Student's t.
fn student(freedom: f64) -> f64 {
    const Z: f64 = 1.959_963_984_540_054;
    // The series is good from three degrees on; below, the exact values.
    if freedom < 1.5 {
        return 12.706_2;
    }
    if freedom < 2.5 {
        return 4.302_7;
    }
    let (z2, v) = (Z * Z, freedom);
    let terms = [
        (z2 + 1.0) / 4.0,
        ((5.0 * z2 + 16.0) * z2 + 3.0) / 96.0,
        (((3.0 * z2 + 19.0) * z2 + 17.0) * z2 - 15.0) / 384.0,
        ((((79.0 * z2 + 776.0) * z2 + 1482.0) * z2 - 1920.0) * z2 - 945.0) / 92_160.0,
    ];
    let (series, _) = terms.iter().fold((1.0, v), |(sum, power), term| (sum + term / power, power * v));
    Z * series
}

/// Runs a planner, behind a shield or not.
///
/// # Errors
/// [`Error::Shield`] when the task has none: unavoidable steps could not be told from others.
pub fn run(task: &Task, planner: &dyn Planner, shielded: bool, trial: &Trial) -> Result<Score, Error> {
    let screen = Screen::new(task)?;
    let mut score = Score::default();
    for seed in &trial.seeds {
        score.add(run_seed(task, planner, shielded.then(|| screen.clone()), &screen, trial, *seed));
    }
    Ok(score)
}

/// One seed of a trial; seeds may run anywhere in any order and be added up.
fn run_seed(
    task: &Task,
    planner: &dyn Planner,
    mut screen: Option<Screen>,
    judge: &Screen,
    trial: &Trial,
    seed: u64,
) -> Score {
    let mut score = Score::default();
    let mut total = 0.0;
    for number in 0..trial.episodes {
        let mut episode = task.episode(seed, u64::from(number), &trial.attackers);
        if let Some(screen) = &mut screen {
            screen.reset();
        }
        // Whether anything was provable yet, for the planner's own run.
        let mut provable = false;
        let mut waiting = false;
        while !episode.is_over() {
            let view = episode.view();
            let mut choice = planner.plan(&view);
            if let Some(screen) = &mut screen {
                let (ruled, ground) = screen.rule(&view, choice);
                score.corrected += u64::from(ruled != choice);
                choice = ruled;
                provable |= ground != Ground::Unproved;
            } else if !provable {
                provable = judge.viable(&view);
            }
            let isolated = view.queued;
            let step = episode.advance(choice);
            total += step.cost;
            score.steps += 1;
            if step.hot > 0 {
                if provable {
                    score.unsafe_steps += 1;
                } else {
                    score.unavoidable_steps += 1;
                }
            }
            score.needless += step.needless as u64;
            if step.began {
                score.contain.1 += 1;
                waiting = true;
            }
            waiting &= step.loose;
            score.contain.0 += u64::from(waiting);
            if step.needless == isolated.count() && !step.loose {
                score.benign.1 += 1;
                score.benign.0 += u64::from(step.needless > 0);
            }
        }
    }
    score.costs.push(total / f64::from(trial.episodes.max(1)));
    score
}

/// The candidate that costs least in a trial; the first of equals.
///
/// # Errors
/// As [`run`]; [`Error::Task`] when there is no candidate.
pub fn tune<P: Planner + Clone>(
    task: &Task,
    candidates: &[P],
    shielded: bool,
    trial: &Trial,
) -> Result<P, Error> {
    let mut best: Option<(f64, &P)> = None;
    for candidate in candidates {
        let cost = run(task, candidate, shielded, trial)?.cost().0;
        if best.is_none_or(|(least, _)| cost < least) {
            best = Some((cost, candidate));
        }
    }
    best.map(|(_, candidate)| candidate.clone()).ok_or(Error::Task { reason: "a candidate to tune" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attacker::SEEN;
    use crate::planners::{AlwaysIsolate, DoNothing, ThresholdPlaybook};

    #[test]
    fn student_is_what_the_tables_say() {
        for (freedom, want) in
            [(1.0, 12.706), (2.0, 4.303), (4.0, 2.776), (9.0, 2.262), (29.0, 2.045), (1e6, 1.960)]
        {
            assert!((student(freedom) - want).abs() < 2e-3, "{freedom}: {}", student(freedom));
        }
        let (mean, half) = interval(&[1.0, 2.0, 3.0, 4.0, 5.0]);
        assert!(mean == 3.0 && (half - 2.776 * (0.5f64).sqrt()).abs() < 1e-2);
    }

    #[test]
    fn the_shield_alone_keeps_the_limit_and_is_credited_apart() {
        let task = Task::multi().unwrap();
        let trial = Trial::new(TEST, 3, 20, SEEN);
        let open = run(&task, &DoNothing, false, &trial).unwrap();
        let shielded = run(&task, &DoNothing, true, &trial).unwrap();
        assert_eq!(open.steps, shielded.steps);
        assert!(open.unsafe_steps > 100 && shielded.unsafe_steps == 0, "{open:?} {shielded:?}");
        assert!(shielded.corrected > 0 && open.corrected == 0);
        assert!(shielded.cost().0 < open.cost().0 && shielded.dearer_than(&open).0 < 0.0);
        assert_eq!(open.contain.1, shielded.contain.1, "the same attacks begin");
        assert_eq!(run(&task, &DoNothing, true, &trial).unwrap(), shielded);
    }

    #[test]
    fn tuning_finds_the_cheapest_and_an_isolated_plant_stays_cool() {
        let task = Task::single();
        let trial = Trial::new(TUNING, 2, 20, SEEN);
        let silly = ThresholdPlaybook { threshold: 0.0, hold: 240 };
        let better = ThresholdPlaybook { threshold: 0.95, hold: 8 };
        assert_eq!(tune(&task, &[silly, better], false, &trial).unwrap(), better);
        let always = run(&task, &AlwaysIsolate, false, &trial).unwrap();
        assert!(always.unsafe_steps == 0 && always.needless_isolation() > 0.9);
    }
}
