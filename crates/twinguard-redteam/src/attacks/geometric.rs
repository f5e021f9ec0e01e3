//! An error that is hardly there at first and doubles again and again.
//!
//! Source: A. A. Cárdenas et al., ASIACCS 2011, §4.2, geometric attack: d β^(n−k), most damage at the end. It begins with
//! a hundredth of the aim and reaches the aim at half of the window.

use crate::Entry;
use crate::profile::{FALSE_VALUE, Onset, Visibility};

pub(crate) const ENTRY: Entry = Entry {
    name: "geometric",
    story: "an error on the controlled measurement doubles again and again",
    visibility: Visibility::Sensor(1.0, Onset::Ramp),
    build: |target| {
        let (bias, full_s) = (target.bias, target.window.length_s() / 2.0);
        target.falsify(move |since, number| {
            let grown = 100.0_f64.powf((since.unwrap_or(0.0) / full_s).min(1.0) - 1.0);
            number + bias * grown
        })
    },
    ..FALSE_VALUE
};

#[cfg(test)]
mod tests {
    use crate::trial;

    #[test]
    fn doubles_and_is_held() {
        let errors = trial::play(&super::ENTRY).errors();
        assert_eq!((errors[0], errors[5], errors[10], errors[19]), (0, -5, -50, -50));
    }
}
