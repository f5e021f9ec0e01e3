//! A [`Shield`] in front of a planner of a [`Task`].

use crate::Error;
use crate::shield::{Ground, Shield};
use crate::task::{Isolation, Task, View};

/// Turns choices of modules into modes of the shield and back; corrects as little as possible.
#[derive(Clone, Debug)]
pub struct Screen {
    shield: Shield,
    choices: Vec<Isolation>,
    /// By bits of a choice.
    index: Vec<usize>,
    /// For each proposal, all choices: those that differ least first, then those that cost least.
    order: Vec<Vec<usize>>,
}

impl Screen {
    /// The shield of this task.
    ///
    /// # Errors
    /// [`Error::Shield`] when the task cannot be kept within its limit by any backup.
    pub fn new(task: &Task) -> Result<Self, Error> {
        let choices = task.choices();
        let cost = |choice: Isolation| -> f64 {
            let values = task.setting().value.iter().enumerate();
            values.filter(|(module, _)| choice.contains(*module)).map(|(_, value)| value).sum()
        };
        let order = |proposal: &Isolation| {
            let mut order: Vec<usize> = (0..choices.len()).collect();
            let differ = |other: &usize| (choices[*other].0 ^ proposal.0).count_ones();
            order.sort_by(|a, b| {
                differ(a).cmp(&differ(b)).then(cost(choices[*a]).total_cmp(&cost(choices[*b])))
            });
            order
        };
        let mut index = vec![0; 256];
        for (at, choice) in choices.iter().enumerate() {
            index[usize::from(choice.0)] = at;
        }
        Ok(Self {
            shield: Shield::new(task.guarded())?,
            order: choices.iter().map(order).collect(),
            choices,
            index,
        })
    }

    /// Another run begins.
    pub fn reset(&mut self) {
        self.shield.reset();
    }

    /// What is let through in place of a proposal, and on what ground.
    pub fn rule(&mut self, view: &View<'_>, proposal: Isolation) -> (Isolation, Ground) {
        let queued = [self.index[usize::from(view.queued.0)]];
        let order = &self.order[self.index[usize::from(proposal.0)]];
        let ruling = self.shield.rule(view.measured, &queued, order);
        (self.choices[ruling.mode], ruling.ground)
    }

    /// Whether anything is proved safe from here.
    #[must_use]
    pub fn viable(&self, view: &View<'_>) -> bool {
        self.shield.viable(view.measured, &[self.index[usize::from(view.queued.0)]])
    }

    /// Steps that a choice can be kept, whatever happens; none when not even once. At most 64.
    #[must_use]
    pub fn horizon(&self, view: &View<'_>, choice: Isolation) -> Option<usize> {
        let index = |choice: Isolation| self.index[usize::from(choice.0)];
        self.shield.horizon(view.measured, &[index(view.queued)], index(choice), 64)
    }

    /// The shield inside.
    #[must_use]
    pub fn shield(&self) -> &Shield {
        &self.shield
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attacker::{SEEN, UNSEEN};
    use crate::planner::Planner as _;
    use crate::planners::random::Random;

    #[test]
    fn a_random_planner_inside_breaks_nothing() {
        for (task, needs) in [(Task::single(), 1), (Task::multi().unwrap(), 2), (Task::unseen().unwrap(), 1)]
        {
            let mut screen = Screen::new(&task).unwrap();
            assert!(screen.shield().backups().len() >= needs);
            let attackers = [SEEN, UNSEEN].concat();
            let (mut proved_steps, mut corrected) = (0, 0);
            for number in 0..40 {
                let mut episode = task.episode(5, number, &attackers);
                screen.reset();
                let mut proved = false;
                while !episode.is_over() {
                    let view = episode.view();
                    let proposal = Random { seed: number }.plan(&view);
                    let (choice, ground) = screen.rule(&view, proposal);
                    assert!(choice.count() <= task.setting().budget);
                    proved |= ground != Ground::Unproved;
                    corrected += usize::from(choice != proposal);
                    let step = episode.advance(choice);
                    proved_steps += usize::from(proved);
                    // What was in the queue at the first proof is part of it.
                    assert!(!proved || step.hot == 0, "{:?} at {}", episode.truth(), number);
                }
            }
            assert!(proved_steps > 9_000 && (corrected > 0 || needs == 1), "{proved_steps} {corrected}");
        }
    }

    #[test]
    fn what_is_safe_is_left_alone_and_the_horizon_shrinks_with_heat() {
        let task = Task::multi().unwrap();
        let screen = Screen::new(&task).unwrap();
        let episode = task.episode(1, 0, SEEN);
        let view = episode.view();
        let mut last = usize::MAX;
        for x in [-5.0, 10.0, 20.0, 30.0] {
            let measured = [x, 5.0, 5.0, 5.0];
            let view = View { measured: &measured, ..view };
            let horizon = screen.horizon(&view, Isolation::NONE).unwrap();
            assert!(horizon <= last);
            assert_eq!(screen.clone().rule(&view, Isolation::NONE), (Isolation::NONE, Ground::Proposal));
            last = horizon;
        }
        assert!((1..8).contains(&last), "{last}");
        let view = View { measured: &[39.9; 4], ..view };
        assert!(!screen.viable(&view) && screen.horizon(&view, Isolation::NONE).is_none());
        assert_eq!(screen.clone().rule(&view, Isolation::NONE).1, Ground::Unproved);
    }
}
