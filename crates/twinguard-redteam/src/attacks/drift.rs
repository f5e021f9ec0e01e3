//! An error that grows so slowly that it looks like wear: full at the end of the window only.
//!
//! Source: E. Mousavinejad et al. and the fault literature agree on the form y′ = y + k t; R. Isermann,
//! *Fault-Diagnosis Systems*, 2006, §2.3: drift of sensors as an incipient fault, which an attacker may imitate.

use crate::Entry;
use crate::profile::{FALSE_VALUE, Onset, Visibility};

pub(crate) const ENTRY: Entry = Entry {
    name: "drift",
    story: "the controlled measurement drifts, as a worn sensor would",
    visibility: Visibility::Sensor(1.0, Onset::Ramp),
    build: |target| {
        let (bias, full_s) = (target.bias, target.window.length_s());
        target.falsify(move |since, number| number + bias * since.unwrap_or(0.0) / full_s)
    },
    ..FALSE_VALUE
};

#[cfg(test)]
mod tests {
    use crate::trial;

    #[test]
    fn takes_the_whole_window() {
        let errors = trial::play(&super::ENTRY).errors();
        assert!(errors.is_sorted_by(|a, b| a >= b), "{errors:?}");
        assert_eq!((errors[0], errors[10], errors[19]), (0, -25, -47));
    }
}
