//! One input of the model: a value that holds until the next one, averaged over the slots it holds in.
//!
//! Source: zero-order hold; a change within a slot enters by the time it held (exact to second order in the step).

use twinguard_types::{Duration, Timestamp};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Input {
    /// What holds now.
    pub(super) value: f64,
    /// Keeps its value whatever is measured.
    pub(super) excluded: bool,
    pub(super) known: bool,
    pub(super) commanded: bool,
    /// Since when it holds within the slot; value × seconds before that; whether there was anything before.
    pub(super) since: Timestamp,
    pub(super) sum: f64,
    pub(super) changed: bool,
}

impl Input {
    pub(super) fn new(value: f64) -> Self {
        let since = Timestamp::ZERO;
        Self { value, excluded: false, known: false, commanded: false, since, sum: 0.0, changed: false }
    }

    /// The first slot begins.
    pub(super) fn open(&mut self, since: Timestamp) {
        (self.since, self.sum, self.changed) = (since, 0.0, false);
    }

    /// A value that holds from `at`; an echo is what the actuator's own register says.
    pub(super) fn set(&mut self, at: Timestamp, value: f64, command: bool, echo: bool) {
        if self.excluded || (echo && self.commanded) {
            return;
        }
        self.commanded |= command;
        // The first value known has held before as far as anybody knows.
        if core::mem::replace(&mut self.known, true) && value != self.value {
            let at = at.max(self.since);
            self.sum += self.value * (at - self.since).as_secs_f64();
            self.since = at;
            self.changed = true;
        }
        self.value = value;
    }

    /// Ends the slot at `at`: the mean over it.
    pub(super) fn close(&mut self, at: Timestamp, step: Duration) -> f64 {
        let mean = if self.changed {
            (self.sum + self.value * (at - self.since).as_secs_f64()) / step.as_secs_f64()
        } else {
            self.value
        };
        self.open(at);
        mean
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_counts_by_the_time_it_held() {
        let at = Timestamp::from_millis;
        let mut input = Input::new(0.5);
        input.open(at(0));
        input.set(at(300), 1.0, true, false);
        assert_eq!(input.close(at(1000), Duration::from_secs(1)), 1.0, "the first value has always held");
        input.set(at(1250), 3.0, true, false);
        input.set(at(1500), 5.0, false, true);
        assert_eq!(input.close(at(2000), Duration::from_secs(1)), 2.5, "and an echo does not count");
        input.set(at(1900), 7.0, true, false);
        assert_eq!(input.close(at(3000), Duration::from_secs(1)), 7.0, "late: from the slot's start");
    }
}
