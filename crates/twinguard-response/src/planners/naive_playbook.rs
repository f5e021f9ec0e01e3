//! The playbook of the first page: isolate what is more likely attacked than not, for twenty steps.
//!
//! Source: the belief-threshold rule with a fixed timer of common runbooks (NIST SP 800-61r3 §3.5), untuned.

use crate::planner::{Planner, held, most_urgent, told};
use crate::task::{Isolation, View};

const THRESHOLD: f64 = 0.5;
const HOLD: u32 = 20;

/// See the module's documentation.
#[derive(Clone, Copy, Debug)]
pub struct NaivePlaybook;

impl Planner for NaivePlaybook {
    fn name(&self) -> &'static str {
        "naive_playbook"
    }

    fn plan(&self, view: &View<'_>) -> Isolation {
        most_urgent(view, |module| {
            if held(view, module, HOLD) {
                return Some(2.0);
            }
            (view.belief[module] >= THRESHOLD).then(|| view.belief[module])
        })
    }

    fn explain(&self, view: &View<'_>) -> String {
        told(view, self.plan(view), "more likely attacked than not, or still within the twenty steps")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attacker::SEEN;
    use crate::task::Task;

    #[test]
    fn it_isolates_above_a_half_and_holds() {
        let task = Task::multi().unwrap();
        let episode = task.episode(1, 0, SEEN);
        let mut view = episode.view();
        view.belief = &[0.4, 0.6, 0.9, 0.7];
        assert_eq!(NaivePlaybook.plan(&view), Isolation(0b1100));
        view.queued = Isolation(0b0001);
        view.age = &[3, 0, 0, 0];
        assert_eq!(NaivePlaybook.plan(&view), Isolation(0b0101), "what is held stays");
    }
}
