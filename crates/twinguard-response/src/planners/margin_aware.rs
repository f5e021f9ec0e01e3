//! The playbook with all the features that a learner has, tuned on a grid: belief, margin to the limit, price, how long isolated.
//!
//! Source: the equal-information baseline that honest comparisons with learned policies ask for (Henderson et al., "Deep
//! reinforcement learning that matters", *AAAI* (2018), §5).

use crate::planner::{Planner, held, most_urgent, told};
use crate::task::{Isolation, View};

/// Isolates a module at a belief once it is warm enough, later where it is dear; holds it until the attacker has lost it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MarginAware {
    /// Isolates at this belief.
    pub threshold: f64,
    /// And at this share of the limit, for production worth nothing.
    pub warm: f64,
    /// How much higher that share is for each unit that a step of isolation costs.
    pub per_price: f64,
    /// Isolates at this share of the limit whatever the belief.
    pub hot: f64,
    /// For this many steps.
    pub hold: u32,
}

impl MarginAware {
    /// The grid to tune it on.
    #[must_use]
    pub fn grid(evict: u32) -> Vec<Self> {
        let mut grid = Vec::new();
        for threshold in [0.2, 0.5, 0.8, 0.95] {
            for warm in [-1.0, 0.2, 0.4, 0.55, 0.7] {
                for per_price in [0.0, 0.05, 0.1] {
                    for hot in [0.75, 0.9] {
                        for hold in [2, evict] {
                            grid.push(Self { threshold, warm, per_price, hot, hold });
                        }
                    }
                }
            }
        }
        grid
    }

    fn warm_at(&self, view: &View<'_>, module: usize) -> f64 {
        let setting = view.task.setting();
        setting.limit * (self.warm + self.per_price * setting.value[module] * view.price).min(self.hot)
    }
}

impl Planner for MarginAware {
    fn name(&self) -> &'static str {
        "margin_aware"
    }

    fn plan(&self, view: &View<'_>) -> Isolation {
        let limit = view.task.setting().limit;
        most_urgent(view, |module| {
            let x = view.measured[module];
            let accused = view.belief[module] >= self.threshold && x >= self.warm_at(view, module);
            if x >= self.hot * limit {
                Some(2.0 + x / limit)
            } else if held(view, module, self.hold) {
                Some(2.0)
            } else {
                accused.then(|| x / limit)
            }
        })
    }

    fn explain(&self, view: &View<'_>) -> String {
        let why = format!(
            "belief at or above {} and warm, {} of the limit and {} more for each unit of price, or hot, {} of it; held for {} steps",
            self.threshold, self.warm, self.per_price, self.hot, self.hold
        );
        told(view, self.plan(view), &why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attacker::SEEN;
    use crate::task::Task;

    #[test]
    fn cold_modules_wait_dear_ones_longer_and_hot_ones_not_at_all() {
        let task = Task::multi().unwrap();
        let episode = task.episode(1, 0, SEEN);
        let playbook = MarginAware { threshold: 0.5, warm: 0.4, per_price: 0.1, hot: 0.9, hold: 4 };
        let mut view = episode.view();
        view.belief = &[0.9, 0.9, 0.9, 0.1];
        view.measured = &[19.0, 19.0, 19.0, 37.0];
        // Shares: 0.45, 0.5, 0.55 of 40; module 3 is above 36.
        assert_eq!(playbook.plan(&view), Isolation(0b1001));
        view.price = 3.0;
        assert_eq!(playbook.plan(&view), Isolation(0b1000));
        assert_eq!(MarginAware::grid(8).len(), 240);
    }
}
