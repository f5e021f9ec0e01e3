//! A sine on one measured value, at a pace that the loop follows.
//!
//! Source: R. Taormina et al., "Battle of the Attack Detection Algorithms", J. Water Resour. Plann. Manage. 144(8), 2018,
//! attack 10 ff.: sinusoidal false level that hides an attack; V. Dey et al. on resonance: the loop is worn by its own
//! controller. Seven periods in the window.

use core::f64::consts::TAU;

use crate::Entry;
use crate::profile::FALSE_VALUE;

pub(crate) const ENTRY: Entry = Entry {
    name: "oscillation",
    story: "a sine is added to the controlled measurement",
    build: |target| {
        let (bias, period_s) = (target.bias, target.window.length_s() / 7.0);
        target.falsify(move |since, number| number + bias * (TAU * since.unwrap_or(0.0) / period_s).sin())
    },
    ..FALSE_VALUE
};

#[cfg(test)]
mod tests {
    use crate::trial;

    #[test]
    fn cancels_out_in_the_mean() {
        let mut target = trial::target();
        target.window.end = trial::at(60);
        let errors = trial::play_over(&super::ENTRY, &target, trial::course).errors();
        assert!(errors.iter().any(|error| *error < -30) && errors.iter().any(|error| *error > 30));
        assert!(errors.iter().sum::<i32>().abs() <= 120, "{errors:?}");
    }
}
