//! Q learning in a table that all modules share.
//!
//! Source: Watkins, Dayan, "Q-learning", *Machine Learning* 8 (1992), eq. 1; Sutton, Barto, *Reinforcement Learning* (2018), §6.5.
//!
//! A module is in one of 4,320 cells: temperature (10), belief (6), isolated or not and for how long (4), what its isolation costs
//! (3), whether the price changes soon, whether others use the budget (3). The policy's numbers are Q of staying open and of
//! isolating, cell by cell in that order, the first varying slowest. The plant's choice is the modules with the greatest advantage.
//! The learning rate of a cell is 1/(1 + n/20) after n visits, at least 0.005; costs are discounted by 0.98 a step.

use crate::Error;
use crate::planner::{Planner, told};
use crate::policy::{Policy, Training};
use crate::rehearsal::{Local, Moment, any, by_advantage, luck, rehearse};
use crate::task::{Isolation, Task, View};

const NAME: &str = "tabular_q";
const SIZES: [usize; 6] = [10, 6, 4, 3, 2, 3];
const CELLS: usize = 10 * 6 * 4 * 3 * 2 * 3;
const DISCOUNT: f64 = 0.98;

/// See the module's documentation.
#[derive(Clone, Debug, PartialEq)]
pub struct TabularQ {
    policy: Policy,
}

fn place(value: f64, edges: &[f64]) -> usize {
    edges.iter().take_while(|edge| value >= **edge).count()
}

fn cell(local: &Local) -> usize {
    let parts = [
        place(local.heat, &[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]),
        place(local.belief, &[0.1, 0.4, 0.8, 0.95, 0.99]),
        if local.isolated { 1 + place(local.age, &[0.5, 1.0]) } else { 0 },
        place(local.price, &[0.9, 2.0]),
        usize::from(local.left < 0.25),
        place(local.others, &[0.01, 0.99]),
    ];
    parts.iter().zip(SIZES).fold(0, |cell, (part, size)| cell * size + part)
}

fn greedy(table: &[f64], cells: &[usize], budget: usize) -> Isolation {
    by_advantage(cells.len(), budget, |module| {
        let at = 2 * cells[module];
        table[at] - table[at + 1]
    })
}

impl TabularQ {
    /// A planner that acts by this policy.
    ///
    /// # Errors
    /// [`Error::Policy`] when this algorithm cannot have learnt it.
    pub fn new(policy: Policy) -> Result<Self, Error> {
        policy.check(NAME, 2 * CELLS)?;
        Ok(Self { policy })
    }

    /// Learns in simulation.
    ///
    /// # Errors
    /// [`Error::Shield`] when the training is shielded and the task has no shield.
    pub fn learn(task: &Task, training: &Training) -> Result<Self, Error> {
        let table = std::cell::RefCell::new((vec![0.0; 2 * CELLS], vec![0u32; 2 * CELLS]));
        let mut last: Option<(Moment, Vec<usize>)> = None;
        let costs = rehearse(
            task,
            training,
            |proposal| {
                if luck(proposal.rng) < 0.2 * (1.0 - proposal.over) + 0.01 {
                    return any(task, proposal.rng);
                }
                let cells: Vec<usize> = (0..proposal.view.measured.len())
                    .map(|module| cell(&Local::of(&proposal.view, module)))
                    .collect();
                greedy(&table.borrow().0, &cells, task.setting().budget)
            },
            |moment, over| {
                let (table, visits) = &mut *table.borrow_mut();
                let cells: Vec<usize> = moment.locals[..moment.modules].iter().map(cell).collect();
                if let Some((before, from)) = last.take() {
                    let next = greedy(table, &cells, moment.budget);
                    for module in 0..moment.modules {
                        let at = 2 * from[module] + usize::from(before.chosen.contains(module));
                        let then = table[2 * cells[module] + usize::from(next.contains(module))];
                        let rate = (1.0 / (1.0 + f64::from(visits[at]) / 20.0)).max(0.005);
                        visits[at] = visits[at].saturating_add(1);
                        table[at] += rate * (before.cost[module] + DISCOUNT * then - table[at]);
                    }
                }
                // An episode is cut, not ended: its last step has no successor to learn from.
                last = (!over).then_some((*moment, cells));
            },
        )?;
        let (numbers, _) = table.into_inner();
        Ok(Self { policy: Policy::learnt(numbers, NAME, task, training, &costs) })
    }

    /// What it acts by.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    fn advantage(&self, view: &View<'_>, module: usize) -> f64 {
        let at = 2 * cell(&Local::of(view, module));
        self.policy.numbers[at] - self.policy.numbers[at + 1]
    }
}

impl Planner for TabularQ {
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
            &format!("learnt cost that isolating saves, by module: {}", gains.join(", ")),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attacker::SEEN;

    #[test]
    fn cells_fill_the_table_and_no_more() {
        let far = Local {
            heat: 9.0,
            belief: 1.0,
            price: 9.0,
            others: 1.0,
            isolated: true,
            age: 9.0,
            ..Local::default()
        };
        assert_eq!((cell(&Local { left: 1.0, ..Local::default() }), cell(&far)), (0, CELLS - 1));
        assert_eq!(SIZES.iter().product::<usize>(), CELLS);
    }

    #[test]
    fn it_learns_and_does_the_same_again() {
        let task = Task::single();
        let training = Training { seed: 3, episodes: 600, attackers: SEEN.to_vec(), shielded: false };
        let planner = TabularQ::learn(&task, &training).unwrap();
        let curve = &planner.policy().record.curve;
        assert!(curve[9] < 0.7 * curve[0], "{curve:?}");
        assert_eq!(planner, TabularQ::learn(&task, &training).unwrap());
        assert_eq!(planner, TabularQ::new(planner.policy().clone()).unwrap());
        let episode = task.episode(1, 0, SEEN);
        assert!(planner.explain(&episode.view()).contains("learnt cost"));
    }
}
