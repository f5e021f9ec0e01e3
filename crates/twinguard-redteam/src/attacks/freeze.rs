//! The last value before the attack, for ever.
//!
//! Source: M. Krotofil, A. A. Cárdenas, J. Larsen, D. Gollmann, "Vulnerabilities of cyber-physical systems to stale
//! data: determining the optimal time to launch attacks", IJCIP 7(4), 2014: stale data as an attack (denial of
//! service on one sensor, which holds its last value).

use crate::Entry;
use crate::profile::{FALSE_VALUE, Trace, Visibility};

pub(crate) const ENTRY: Entry = Entry {
    name: "freeze",
    story: "the controlled measurement stands still",
    traces: &[Trace::Repeat],
    visibility: Visibility::Noise,
    build: |target| {
        let mut last = None;
        target.falsify(move |since, number| match last {
            Some(last) if since.is_some() => last,
            _ => {
                last = Some(number);
                number
            }
        })
    },
    ..FALSE_VALUE
};

#[cfg(test)]
mod tests {
    use crate::trial::{self, END, START};

    #[test]
    fn holds_the_last_value_before_the_window() {
        let played = trial::play(&super::ENTRY);
        let held = played.clean[START as usize - 1][0];
        assert!((START..END).all(|second| played.shown[second as usize][0] == held));
    }
}
