//! Isolates as much as the budget allows, the hottest modules first: safe where the budget covers all, and dear.
//!
//! Source: fail-safe by default, IEC 62443-3-3 SR 3.6 read to its extreme.

use crate::planner::{Planner, most_urgent, told};
use crate::task::{Isolation, View};

/// See the module's documentation.
#[derive(Clone, Copy, Debug)]
pub struct AlwaysIsolate;

impl Planner for AlwaysIsolate {
    fn name(&self) -> &'static str {
        "always_isolate"
    }

    fn plan(&self, view: &View<'_>) -> Isolation {
        most_urgent(view, |module| Some(view.measured[module]))
    }

    fn explain(&self, view: &View<'_>) -> String {
        told(view, self.plan(view), "the hottest, whatever the evidence")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attacker::SEEN;
    use crate::task::Task;

    #[test]
    fn the_hottest_are_isolated_as_far_as_the_budget_goes() {
        let task = Task::multi().unwrap();
        let episode = task.episode(1, 0, SEEN);
        let mut view = episode.view();
        view.measured = &[1.0, 9.0, 3.0, 5.0];
        assert_eq!(AlwaysIsolate.plan(&view), Isolation(0b1010));
        assert!(AlwaysIsolate.explain(&view).starts_with("isolate 1 (9.0 of 40"));
    }
}
