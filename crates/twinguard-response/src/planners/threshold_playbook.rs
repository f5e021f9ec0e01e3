//! A playbook with two numbers, tuned on a grid: isolate above a belief, for a number of steps.
//!
//! Source: the tuned heuristic that every learned defender has to be compared with (Wolk et al., arXiv 2211.15557, §5).

use crate::planner::{Planner, held, most_urgent, told};
use crate::task::{Isolation, View};

/// See the module's documentation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ThresholdPlaybook {
    /// Isolates at this belief.
    pub threshold: f64,
    /// For this many steps.
    pub hold: u32,
}

impl ThresholdPlaybook {
    /// The grid to tune it on.
    #[must_use]
    pub fn grid(evict: u32) -> Vec<Self> {
        let thresholds = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99];
        let holds = [1, evict.saturating_sub(2), evict, evict + 2, evict * 2];
        thresholds
            .iter()
            .flat_map(|threshold| holds.map(|hold| Self { threshold: *threshold, hold }))
            .collect()
    }
}

impl Planner for ThresholdPlaybook {
    fn name(&self) -> &'static str {
        "threshold_playbook"
    }

    fn plan(&self, view: &View<'_>) -> Isolation {
        most_urgent(view, |module| {
            if held(view, module, self.hold) {
                return Some(2.0);
            }
            (view.belief[module] >= self.threshold).then(|| view.belief[module])
        })
    }

    fn explain(&self, view: &View<'_>) -> String {
        let why = format!("belief at or above {}, held for {} steps", self.threshold, self.hold);
        told(view, self.plan(view), &why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attacker::SEEN;
    use crate::task::Task;

    #[test]
    fn it_isolates_at_its_threshold_for_its_time() {
        let task = Task::multi().unwrap();
        let episode = task.episode(1, 0, SEEN);
        let playbook = ThresholdPlaybook { threshold: 0.8, hold: 4 };
        let mut view = episode.view();
        view.belief = &[0.79, 0.8, 0.1, 0.1];
        assert_eq!(playbook.plan(&view), Isolation(0b0010));
        view.queued = Isolation(0b1100);
        view.age = &[0, 0, 3, 4];
        assert_eq!(playbook.plan(&view), Isolation(0b0110), "three steps are not over, four are");
        assert_eq!(ThresholdPlaybook::grid(8).len(), 55);
    }
}
