//! A slowly growing error on one measured value.
//!
//! Source: A. A. Cárdenas et al., "Attacks against process control systems: risk assessment, detection, and response",
//! ASIACCS 2011, §4.2: surge, bias and geometric attacks; a ramp is the slow form that stays below a step detector. It
//! is full after a quarter of the window.

use crate::Entry;
use crate::profile::{FALSE_VALUE, Onset, Visibility};

pub(crate) const ENTRY: Entry = Entry {
    name: "ramp",
    story: "an error grows evenly on the controlled measurement",
    visibility: Visibility::Sensor(1.0, Onset::Ramp),
    build: |target| {
        let (bias, full_s) = (target.bias, target.window.length_s() / 4.0);
        target.falsify(move |since, number| number + bias * (since.unwrap_or(0.0) / full_s).min(1.0))
    },
    ..FALSE_VALUE
};

#[cfg(test)]
mod tests {
    use crate::trial;

    #[test]
    fn grows_and_stays() {
        assert_eq!(trial::play(&super::ENTRY).errors()[..8], [0, -10, -20, -30, -40, -50, -50, -50]);
    }
}
