//! Acts before damage: isolates a module when its forecast reaches the limit within the mitigation horizon.
//!
//! Sources: the mitigation horizon, how late a fail-safe can still be engaged, after the hybrid twins of `HyTwin` (*NASA Formal
//! Methods* 2025); the upper end of a forecast's interval as trigger, after Saxena et al., "Metrics for evaluating performance of
//! prognostic techniques" (2008), §4.

use crate::planner::{Planner, held, most_urgent, told};
use crate::task::{Isolation, View};

/// Forecasts each module with the attack that is believed, and 95 % of what the disturbance does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Predictive {
    /// Isolates when the limit is this many steps away or less.
    pub horizon: u32,
    /// Takes an attack into account from this belief on.
    pub threshold: f64,
    /// For this many steps.
    pub hold: u32,
}

/// Steps looked ahead at most.
const MOST: u32 = 64;

impl Predictive {
    /// The grid to tune it on.
    #[must_use]
    pub fn grid(evict: u32) -> Vec<Self> {
        let mut grid = Vec::new();
        for horizon in [2, 3, 4, 6, 8, 12, 16, 24, 32] {
            for threshold in [0.2, 0.5, 0.8, 0.95] {
                for hold in [2, evict] {
                    grid.push(Self { horizon, threshold, hold });
                }
            }
        }
        grid
    }

    /// Steps until the upper end of the forecast reaches the limit, 64 for later or never.
    #[must_use]
    pub fn time_to_limit(&self, view: &View<'_>, module: usize) -> u32 {
        let setting = view.task.setting();
        let heat = if view.belief[module] >= self.threshold { setting.attack.1 } else { 0.0 };
        // A uniform disturbance has the variance W²/3.
        let variance = setting.disturbance * setting.disturbance / 3.0;
        let (mut x, mut spread) = (view.measured[module] + setting.error, 0.0);
        for step in 1..=MOST {
            x = setting.keep * x + heat;
            spread = setting.keep * setting.keep * spread + variance;
            if x + 1.96 * f64::sqrt(spread) > setting.limit {
                return step;
            }
        }
        MOST
    }
}

impl Planner for Predictive {
    fn name(&self) -> &'static str {
        "predictive"
    }

    fn plan(&self, view: &View<'_>) -> Isolation {
        most_urgent(view, |module| {
            let left = self.time_to_limit(view, module);
            let near = left <= self.horizon;
            (near || held(view, module, self.hold)).then(|| -f64::from(left))
        })
    }

    fn explain(&self, view: &View<'_>) -> String {
        let left: Vec<u32> =
            (0..view.measured.len()).map(|module| self.time_to_limit(view, module)).collect();
        let why =
            format!("the limit may be reached in {left:?} steps, and {} or fewer is too near", self.horizon);
        told(view, self.plan(view), &why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attacker::SEEN;
    use crate::task::Task;

    #[test]
    fn the_nearer_the_limit_the_earlier_it_acts() {
        let task = Task::single();
        let episode = task.episode(1, 0, SEEN);
        let planner = Predictive { horizon: 8, threshold: 0.5, hold: 2 };
        let mut view = episode.view();
        view.belief = &[0.9];
        let mut last = 0;
        for x in [39.0, 30.0, 20.0, 5.0] {
            let measured = [x];
            let view = View { measured: &measured, ..view };
            let left = planner.time_to_limit(&view, 0);
            assert!(left > last || left == MOST);
            assert_eq!(planner.plan(&view), Isolation(u8::from(left <= 8)));
            last = left;
        }
        view.belief = &[0.0];
        assert_eq!(planner.time_to_limit(&view, 0), MOST);
        assert!(planner.explain(&view).contains("[64] steps"));
    }
}
