//! Episodes to learn from: what each module was like, what was chosen for it, what that cost it.
//!
//! Source: one value function shared by all modules, each with its own cost, as in Tan, "Multi-agent reinforcement learning:
//! independent vs. cooperative agents", *ICML* (1993), §3; the budget decides among them by advantage.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use crate::Error;
use crate::policy::Training;
use crate::screen::Screen;
use crate::task::{Isolation, MOST_MODULES, Task, View};

/// What a value function may know of one module.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Local {
    /// Temperature as a share of the limit.
    pub(crate) heat: f64,
    pub(crate) belief: f64,
    /// What a step of isolation costs now.
    pub(crate) price: f64,
    /// And after the next change of price.
    pub(crate) next_price: f64,
    /// Share of the price's duration that is left.
    pub(crate) left: f64,
    /// Share of the budget that others use.
    pub(crate) others: f64,
    pub(crate) isolated: bool,
    /// How long, as a share of what an attacker needs to be gone.
    pub(crate) age: f64,
}

impl Local {
    pub(crate) fn of(view: &View<'_>, module: usize) -> Self {
        let setting = view.task.setting();
        let (peak, lasts) = setting.peak;
        let isolated = view.queued.contains(module);
        let others = view.queued.count() - usize::from(isolated);
        Self {
            heat: view.measured[module] / setting.limit,
            belief: view.belief[module],
            price: setting.value[module] * view.price,
            next_price: setting.value[module] * (1.0 + peak - view.price),
            left: 1.0 - f64::from(view.step % lasts) / f64::from(lasts),
            others: others as f64 / setting.budget as f64,
            isolated,
            age: f64::from(view.age[module]) / f64::from(setting.evict),
        }
    }
}

/// All modules at one moment, and what was chosen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) locals: [Local; MOST_MODULES],
    pub(crate) modules: usize,
    pub(crate) budget: usize,
    pub(crate) chosen: Isolation,
    /// What the step after it cost each module.
    pub(crate) cost: [f64; MOST_MODULES],
}

/// Random numbers for exploration.
pub(crate) fn luck(rng: &mut ChaCha8Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// Runs the episodes of a training. `choose` proposes, given the share of the training that is over; `learn` gets each moment
/// as it was carried out. Gives each episode's cost.
pub(crate) fn rehearse(
    task: &Task,
    training: &Training,
    mut state: impl FnMut(&mut Proposal<'_>) -> Isolation,
    mut learn: impl FnMut(&Moment, bool),
) -> Result<Vec<f64>, Error> {
    let mut screen = if training.shielded { Some(Screen::new(task)?) } else { None };
    let mut rng = ChaCha8Rng::seed_from_u64(training.seed);
    rng.set_stream(u64::MAX);
    let setting = task.setting();
    let mut costs = Vec::new();
    for number in 0..training.episodes {
        let mut episode = task.episode(training.seed, u64::from(number), &training.attackers);
        if let Some(screen) = &mut screen {
            screen.reset();
        }
        let over = f64::from(number) / f64::from(training.episodes);
        let mut total = 0.0;
        while !episode.is_over() {
            let view = episode.view();
            let mut chosen = state(&mut Proposal { view, number, over, rng: &mut rng });
            if let Some(screen) = &mut screen {
                chosen = screen.rule(&view, chosen).0;
            }
            let mut moment = Moment {
                locals: [Local::default(); MOST_MODULES],
                modules: setting.modules,
                budget: setting.budget,
                chosen,
                cost: [0.0; MOST_MODULES],
            };
            for module in 0..setting.modules {
                let local = Local::of(&view, module);
                moment.locals[module] = local;
                let starts = chosen.contains(module) && !local.isolated;
                moment.cost[module] = if local.isolated { local.price } else { 0.0 }
                    + if starts { setting.start_cost } else { 0.0 };
            }
            total += episode.advance(chosen).cost;
            for (cost, x) in moment.cost.iter_mut().zip(episode.truth()) {
                *cost += setting.wear_at(*x) + if *x > setting.limit { setting.unsafe_cost } else { 0.0 };
            }
            learn(&moment, episode.is_over());
        }
        costs.push(total);
    }
    Ok(costs)
}

/// What a learner proposes from.
pub(crate) struct Proposal<'a> {
    pub(crate) view: View<'a>,
    pub(crate) number: u32,
    pub(crate) over: f64,
    pub(crate) rng: &'a mut ChaCha8Rng,
}

/// The modules whose isolation is worth most, as far as the budget goes; only those for which it is worth anything.
pub(crate) fn by_advantage(modules: usize, budget: usize, advantage: impl Fn(usize) -> f64) -> Isolation {
    let mut gains = [0.0; MOST_MODULES];
    gains.iter_mut().take(modules).enumerate().for_each(|(module, gain)| *gain = advantage(module));
    let mut chosen = Isolation::NONE;
    for _ in 0..budget {
        let mut best = (MOST_MODULES, 0.0);
        for (module, gain) in gains.iter().enumerate().take(modules) {
            if *gain > best.1 && !chosen.contains(module) {
                best = (module, *gain);
            }
        }
        if best.0 == MOST_MODULES {
            break;
        }
        chosen = chosen.with(best.0);
    }
    chosen
}

/// Any choice within the budget.
pub(crate) fn any(task: &Task, rng: &mut ChaCha8Rng) -> Isolation {
    let budget = task.setting().budget;
    let mut chosen = Isolation::NONE;
    for module in 0..task.setting().modules {
        if chosen.count() < budget && luck(rng) < 0.3 {
            chosen = chosen.with(module);
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attacker::SEEN;

    #[test]
    fn the_costs_of_the_modules_add_up_to_that_of_the_plant() {
        let task = Task::multi().unwrap();
        let training = Training { seed: 2, episodes: 5, attackers: SEEN.to_vec(), shielded: false };
        let mut sum = 0.0;
        let costs = rehearse(
            &task,
            &training,
            |proposal| any(&task, proposal.rng),
            |moment, _| sum += moment.cost.iter().sum::<f64>(),
        )
        .unwrap();
        assert!(costs.len() == 5 && (costs.iter().sum::<f64>() - sum).abs() < 1e-6, "{costs:?} {sum}");
    }

    #[test]
    fn the_budget_goes_to_the_greatest_advantages() {
        let gains = [0.5, -1.0, 2.0, 1.0];
        assert_eq!(by_advantage(4, 2, |module| gains[module]), Isolation(0b1100));
        assert_eq!(by_advantage(4, 4, |module| gains[module]), Isolation(0b1101));
        assert_eq!(by_advantage(2, 0, |_| 1.0), Isolation::NONE);
    }
}
