//! A constant error on one measured value.
//!
//! Source: Y.-L. Huang et al., "Understanding the physical and economic consequences of attacks on control systems",
//! IJCIP 2(3), 2009, §3: bias attack y′ = y + c.

use crate::Entry;
use crate::profile::FALSE_VALUE;

pub(crate) const ENTRY: Entry = Entry {
    name: "bias",
    story: "a constant error is added to the controlled measurement",
    build: |target| {
        let bias = target.bias;
        target.falsify(move |_, number| number + bias)
    },
    ..FALSE_VALUE
};

#[cfg(test)]
mod tests {
    use crate::trial;

    #[test]
    fn the_error_is_constant() {
        assert_eq!(trial::play(&super::ENTRY).errors(), [-50; 20]);
    }
}
