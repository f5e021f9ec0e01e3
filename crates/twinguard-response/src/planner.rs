//! What every planner can do: choose which modules to isolate, and say why.
//!
//! Source: NIST SP 800-61r3 §3.5 (containment is chosen by effect, cost and evidence).

use crate::task::{Isolation, MOST_MODULES, View};

/// Chooses which modules to isolate, from what may be known ([`View`]) alone.
pub trait Planner: Send + Sync {
    /// Its name.
    fn name(&self) -> &'static str;

    /// What shall be isolated from the next step on. Within the budget.
    fn plan(&self, view: &View<'_>) -> Isolation;

    /// Why this choice and no other, in one line, for the journal.
    fn explain(&self, view: &View<'_>) -> String;
}

/// Isolates the modules that somebody wants isolated, the most urgent first, as far as the budget goes.
pub(crate) fn most_urgent(view: &View<'_>, urgency: impl Fn(usize) -> Option<f64>) -> Isolation {
    let mut wanted = [(0usize, 0.0f64); MOST_MODULES];
    let mut count = 0;
    for module in 0..view.measured.len().min(MOST_MODULES) {
        let Some(urgency) = urgency(module) else { continue };
        // Insertion keeps equals in order of their number.
        let mut at = count;
        while at > 0 && wanted[at - 1].1 < urgency {
            wanted[at] = wanted[at - 1];
            at -= 1;
        }
        wanted[at] = (module, urgency);
        count += 1;
    }
    let budget = view.task.setting().budget;
    wanted[..count.min(budget)].iter().fold(Isolation::NONE, |set, (module, _)| set.with(*module))
}

/// The choice and what was known of each module, in words.
pub(crate) fn told(view: &View<'_>, choice: Isolation, why: &str) -> String {
    use core::fmt::Write as _;
    let mut text =
        if choice == Isolation::NONE { String::from("isolate nothing") } else { String::from("isolate") };
    for module in (0..view.measured.len()).filter(|module| choice.contains(*module)) {
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            " {module} ({:.1} of {}, attacked with probability {:.2}, isolated for {})",
            view.measured[module],
            view.task.setting().limit,
            view.belief[module],
            view.age[module]
        );
    }
    text.push_str(": ");
    text.push_str(why);
    text
}

/// Whether a module that is isolated still has to stay so until an attacker has lost it.
pub(crate) fn held(view: &View<'_>, module: usize, hold: u32) -> bool {
    view.queued.contains(module) && view.age[module] < hold
}
