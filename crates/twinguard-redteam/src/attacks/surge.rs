//! The largest error at once, then one that can be held without being noticed.
//!
//! Source: A. A. Cárdenas et al., ASIACCS 2011, §4.2, surge attack: damage as fast as possible, then staying at the
//! threshold. Four times the aim for a tenth of the window, the aim after that.

use crate::Entry;
use crate::profile::FALSE_VALUE;

pub(crate) const ENTRY: Entry = Entry {
    name: "surge",
    story: "the controlled measurement jumps far off, then less",
    build: |target| {
        let (bias, first_s) = (target.bias, target.window.length_s() / 10.0);
        target.falsify(move |since, number| {
            number + if since.is_some_and(|since| since < first_s) { 4.0 * bias } else { bias }
        })
    },
    ..FALSE_VALUE
};

#[cfg(test)]
mod tests {
    use crate::trial;

    #[test]
    fn most_comes_first() {
        assert_eq!(trial::play(&super::ENTRY).errors()[..4], [-200, -200, -50, -50]);
    }
}
