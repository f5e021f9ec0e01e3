//! Fitted Q iteration with a value function that is linear in features of a module.
//!
//! Source: Ernst, Geurts, Wehenkel, "Tree-based batch mode reinforcement learning", *JMLR* 6 (2005), §3.2, with the linear
//! regressor of Lagoudakis, Parr, "Least-squares policy iteration", *JMLR* 4 (2003), §3.
//!
//! Transitions are gathered in six rounds by playbooks with random numbers, later also by what was fitted so far, with random
//! choices in between; about 0.15 MB an episode of 240 steps. After each round, 60 times: Q of each module ←
//! least squares of its cost plus 0.98 times Q of the next step, at the choice that the present Q makes for the whole plant under
//! its budget. The policy's numbers are four rows of weights: not isolated and left open, not isolated and isolated, isolated and
//! let go, isolated and kept.

use crate::Error;
use crate::planner::{Planner, held, most_urgent, told};
use crate::policy::{Policy, Training};
use crate::rehearsal::{Local, Moment, Proposal, any, by_advantage, luck, rehearse};
use crate::task::{Isolation, Task, View};

const NAME: &str = "fitted_q";
const FEATURES: usize = 28;
const SWEEPS: usize = 60;
const ROUNDS: u32 = 6;
const DISCOUNT: f64 = 0.98;
/// Keeps the least squares solvable where a feature never moved.
const RIDGE: f64 = 1e-3;

type Features = [f64; FEATURES];

/// See the module's documentation.
#[derive(Clone, Debug, PartialEq)]
pub struct FittedQ {
    policy: Policy,
}

fn features(local: &Local) -> Features {
    let Local { heat: u, belief: b, price: c, next_price, left, others: o, age, .. } = *local;
    let (warm, hot) = ((u - 0.5).max(0.0), (u - 0.75).max(0.0));
    let (soon, sure) = (next_price - c, (b - 0.8).max(0.0));
    let young = (1.0 - age).max(0.0);
    [
        1.0,
        u,
        u * u,
        warm,
        hot,
        b,
        sure,
        b * u,
        b * u * u,
        b * warm,
        b * hot,
        sure * u,
        sure * warm,
        c,
        c * u,
        c * b,
        c * b * u,
        c * b * warm,
        soon * (1.0 - left),
        soon * (1.0 - left) * b,
        o,
        o * b,
        o * b * u,
        young,
        young * b,
        young * c,
        young * u,
        young * b * c,
    ]
}

fn row(local: &Local, isolate: bool) -> usize {
    2 * usize::from(local.isolated) + usize::from(isolate)
}

fn value(weights: &[f64], features: &Features, row: usize) -> f64 {
    weights[row * FEATURES..(row + 1) * FEATURES].iter().zip(features).map(|(w, f)| w * f).sum()
}

/// What isolating saves.
fn advantage(weights: &[f64], local: &Local) -> f64 {
    let features = features(local);
    value(weights, &features, row(local, false)) - value(weights, &features, row(local, true))
}

/// The lower factor of a positive definite matrix by rows, in place (Golub, Van Loan, *Matrix Computations*, alg. 4.2.1).
fn factor(matrix: &mut [f64]) {
    for j in 0..FEATURES {
        for i in j..FEATURES {
            let sum: f64 = (0..j).map(|k| matrix[i * FEATURES + k] * matrix[j * FEATURES + k]).sum();
            let rest = matrix[i * FEATURES + j] - sum;
            matrix[i * FEATURES + j] =
                if i == j { rest.max(1e-12).sqrt() } else { rest / matrix[j * FEATURES + j] };
        }
    }
}

fn solve(factor: &[f64], right: &mut [f64]) {
    for i in 0..FEATURES {
        let sum: f64 = (0..i).map(|k| factor[i * FEATURES + k] * right[k]).sum();
        right[i] = (right[i] - sum) / factor[i * FEATURES + i];
    }
    for i in (0..FEATURES).rev() {
        let sum: f64 = (i + 1..FEATURES).map(|k| factor[k * FEATURES + i] * right[k]).sum();
        right[i] = (right[i] - sum) / factor[i * FEATURES + i];
    }
}

/// From moments, each with whether its episode ends with it, and the weights so far.
fn fit(moments: &[(Moment, bool)], mut weights: Vec<f64>) -> Vec<f64> {
    // An episode is cut, not ended: its last moment has no successor to learn from.
    let steps = || moments.windows(2).filter(|pair| !pair[0].1).map(|pair| (&pair[0].0, &pair[1].0));
    let mut gram = vec![vec![0.0; FEATURES * FEATURES]; 4];
    for (before, _) in steps() {
        for (module, local) in before.locals[..before.modules].iter().enumerate() {
            let features = features(local);
            let gram = &mut gram[row(local, before.chosen.contains(module))];
            for (i, a) in features.iter().enumerate() {
                gram[i * FEATURES..=i * FEATURES + i]
                    .iter_mut()
                    .zip(&features)
                    .for_each(|(g, b)| *g += a * b);
            }
        }
    }
    for gram in &mut gram {
        (0..FEATURES).for_each(|i| gram[i * FEATURES + i] += RIDGE);
        factor(gram);
    }
    weights.resize(4 * FEATURES, 0.0);
    // Near a fixed point the weights go round it: their mean over the later half is nearer.
    let mut mean = vec![0.0; 4 * FEATURES];
    for sweep in 0..SWEEPS {
        let mut right = vec![0.0; 4 * FEATURES];
        for (before, after) in steps() {
            let mut next = [(0.0, 0.0); crate::task::MOST_MODULES];
            for (next, local) in next.iter_mut().zip(&after.locals[..after.modules]) {
                let features = features(local);
                *next = (
                    value(&weights, &features, row(local, false)),
                    value(&weights, &features, row(local, true)),
                );
            }
            let then = by_advantage(after.modules, after.budget, |module| next[module].0 - next[module].1);
            for (module, local) in before.locals[..before.modules].iter().enumerate() {
                let follows = if then.contains(module) { next[module].1 } else { next[module].0 };
                // A cost is never negative, and neither is what is expected of it.
                let target = before.cost[module] + DISCOUNT * follows.max(0.0);
                let at = row(local, before.chosen.contains(module)) * FEATURES;
                right[at..at + FEATURES].iter_mut().zip(features(local)).for_each(|(r, f)| *r += f * target);
            }
        }
        for (gram, right) in gram.iter().zip(right.chunks_exact_mut(FEATURES)) {
            solve(gram, right);
        }
        weights = right;
        if 2 * sweep >= SWEEPS {
            let share = 2.0 / SWEEPS as f64;
            mean.iter_mut().zip(&weights).for_each(|(mean, weight)| *mean += share * weight);
        }
    }
    mean
}

impl FittedQ {
    /// A planner that acts by this policy.
    ///
    /// # Errors
    /// [`Error::Policy`] when this algorithm cannot have learnt it.
    pub fn new(policy: Policy) -> Result<Self, Error> {
        policy.check(NAME, 4 * FEATURES)?;
        Ok(Self { policy })
    }

    /// Learns in simulation.
    ///
    /// # Errors
    /// [`Error::Shield`] when the training is shielded and the task has no shield.
    pub fn learn(task: &Task, training: &Training) -> Result<Self, Error> {
        let mut moments: Vec<(Moment, bool)> = Vec::new();
        let (mut weights, mut costs) = (Vec::new(), Vec::new());
        let mut best = (vec![0.0; 4 * FEATURES], f64::INFINITY);
        let setting = task.setting();
        for round in 0..ROUNDS {
            let part = Training {
                seed: training.seed + u64::from(round),
                episodes: (training.episodes / ROUNDS).max(1),
                ..training.clone()
            };
            let (mut playbook, mut of) = ((0.5, 0.0, 8), u32::MAX);
            costs.extend(rehearse(
                task,
                &part,
                |proposal| {
                    if proposal.number != of {
                        of = proposal.number;
                        let hold = 1.0 + (1.5 * f64::from(setting.evict) * luck(proposal.rng)).floor();
                        playbook = (luck(proposal.rng), luck(proposal.rng), hold as u32);
                    }
                    if luck(proposal.rng) < 0.15 {
                        return any(task, proposal.rng);
                    }
                    let view = proposal.view;
                    // Half of the later episodes show what the weights so far lead to.
                    if !weights.is_empty() && proposal.number.is_multiple_of(2) {
                        return by_advantage(setting.modules, setting.budget, |module| {
                            advantage(&weights, &Local::of(&view, module))
                        });
                    }
                    let (belief, warm, hold) = playbook;
                    most_urgent(&view, |module| {
                        let x = view.measured[module] / setting.limit;
                        let accused = view.belief[module] >= belief && x >= 0.8 * warm;
                        (held(&view, module, hold) || accused).then_some(x)
                    })
                },
                |moment, over| moments.push((*moment, over)),
            )?);
            weights = fit(&moments, weights);
            let check = Training {
                seed: training.seed + u64::from(ROUNDS),
                episodes: (training.episodes / 4).max(1),
                ..training.clone()
            };
            let greedy = |proposal: &mut Proposal<'_>| {
                by_advantage(setting.modules, setting.budget, |module| {
                    advantage(&weights, &Local::of(&proposal.view, module))
                })
            };
            let cost: f64 = rehearse(task, &check, greedy, |_, _| ())?.iter().sum();
            if cost < best.1 {
                best = (weights.clone(), cost);
            }
        }
        Ok(Self { policy: Policy::learnt(best.0, NAME, task, training, &costs) })
    }

    /// What it acts by.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    fn advantage(&self, view: &View<'_>, module: usize) -> f64 {
        advantage(&self.policy.numbers, &Local::of(view, module))
    }
}

impl Planner for FittedQ {
    fn name(&self) -> &'static str {
        NAME
    }

    fn plan(&self, view: &View<'_>) -> Isolation {
        by_advantage(view.measured.len(), view.task.setting().budget, |module| self.advantage(view, module))
    }

    fn explain(&self, view: &View<'_>) -> String {
        let gains: Vec<String> =
            (0..view.measured.len()).map(|module| format!("{:.1}", self.advantage(view, module))).collect();
        told(
            view,
            self.plan(view),
            &format!("fitted cost that isolating saves, by module: {}", gains.join(", ")),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attacker::SEEN;

    #[test]
    fn the_factor_solves() {
        let n = FEATURES;
        let full: Vec<f64> = (0..n * n)
            .map(|at| if at / n == at % n { 3.0 } else { 1.0 / (1.0 + (at / n + at % n) as f64) })
            .collect();
        let want: Vec<f64> = (0..n).map(|i| i as f64 - 7.0).collect();
        let mut right: Vec<f64> =
            full.chunks_exact(n).map(|row| row.iter().zip(&want).map(|(a, b)| a * b).sum()).collect();
        let mut lower = full;
        factor(&mut lower);
        solve(&lower, &mut right);
        assert!(right.iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-9), "{right:?}");
    }

    #[test]
    fn it_learns_to_isolate_what_is_attacked_and_warm() {
        let task = Task::single();
        let training = Training { seed: 4, episodes: 150, attackers: SEEN.to_vec(), shielded: false };
        let planner = FittedQ::learn(&task, &training).unwrap();
        assert_eq!(planner, FittedQ::new(planner.policy().clone()).unwrap());
        let episode = task.episode(1, 0, SEEN);
        let mut view = episode.view();
        (view.measured, view.belief) = (&[0.0], &[0.01]);
        assert_eq!(planner.plan(&view), Isolation::NONE, "{}", planner.explain(&view));
        (view.measured, view.belief) = (&[34.0], &[0.99]);
        assert_eq!(planner.plan(&view), Isolation(1), "{}", planner.explain(&view));
    }
}
