//! Chooses anything, or the worst: what a shield has to stand.
//!
//! Source: the adversarial test of a shield, Alshiekh et al., "Safe reinforcement learning via shielding", *AAAI* (2018), §6.

use crate::planner::{Planner, told};
use crate::task::{Isolation, View};

/// A choice from a hash of the view; half of the choices free the hottest and isolate the coldest modules.
#[derive(Clone, Copy, Debug)]
pub struct Random {
    /// Seed of the choices.
    pub seed: u64,
}

/// `SplitMix64` (Steele, Lea, Flood, *OOPSLA* (2014), §4): every bit of the input changes half of the output.
fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Planner for Random {
    fn name(&self) -> &'static str {
        "random"
    }

    fn plan(&self, view: &View<'_>) -> Isolation {
        let bits =
            view.measured.iter().fold(self.seed ^ u64::from(view.step), |bits, x| mix(bits ^ x.to_bits()));
        let budget = view.task.setting().budget;
        let modules = view.measured.len();
        if bits & 1 == 1 {
            return crate::planner::most_urgent(view, |module| Some(-view.measured[module]));
        }
        (0..modules)
            .filter(|module| bits >> (8 + module) & 1 == 1)
            .take(budget)
            .fold(Isolation::NONE, Isolation::with)
    }

    fn explain(&self, view: &View<'_>) -> String {
        told(view, self.plan(view), "drawn at random, to no purpose")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attacker::SEEN;
    use crate::task::Task;

    #[test]
    fn it_chooses_everything_within_the_budget_and_the_same_again() {
        let task = Task::multi().unwrap();
        let mut episode = task.episode(1, 0, SEEN);
        let mut seen = std::collections::BTreeSet::new();
        while !episode.is_over() {
            let choice = Random { seed: 3 }.plan(&episode.view());
            assert_eq!(choice, Random { seed: 3 }.plan(&episode.view()));
            assert!(choice.count() <= 2);
            seen.insert(choice);
            episode.advance(choice);
        }
        assert!(seen.len() >= 8, "{}", seen.len());
    }
}
