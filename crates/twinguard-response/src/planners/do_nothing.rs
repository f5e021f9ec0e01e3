//! Does nothing: what an attack costs when nobody answers, and with a shield what the shield does alone.
//!
//! Source: the sleep agent of CAGE Challenge 2, its floor for every comparison.

use crate::planner::{Planner, told};
use crate::task::{Isolation, View};

/// See the module's documentation.
#[derive(Clone, Copy, Debug)]
pub struct DoNothing;

impl Planner for DoNothing {
    fn name(&self) -> &'static str {
        "do_nothing"
    }

    fn plan(&self, _: &View<'_>) -> Isolation {
        Isolation::NONE
    }

    fn explain(&self, view: &View<'_>) -> String {
        told(view, Isolation::NONE, "this planner never acts")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attacker::SEEN;
    use crate::task::Task;

    #[test]
    fn it_never_acts_and_says_so() {
        let task = Task::single();
        let episode = task.episode(1, 0, SEEN);
        assert_eq!(DoNothing.plan(&episode.view()), Isolation::NONE);
        assert_eq!(DoNothing.explain(&episode.view()), "isolate nothing: this planner never acts");
    }
}
