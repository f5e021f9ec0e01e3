//! A wrong gain on one measured value.
//!
//! Source: Y.-L. Huang et al., IJCIP 2(3), 2009, §3: scaling attack y′ = λ y, counted from the lower end of the
//! sensor's range, as a transmitter's span is. The gain is such that the error at the start is that of a bias, so that
//! the two can be compared; half and one and a half at the extremes.

use crate::Entry;
use crate::profile::FALSE_VALUE;

pub(crate) const ENTRY: Entry = Entry {
    name: "scale",
    story: "the span of the controlled measurement is wrong",
    build: |target| {
        let (bias, zero) = (target.bias, target.sensor.range.map_or(0.0, |(low, _)| low));
        let mut gain = None;
        target.falsify(move |since, number| {
            if since.is_none() {
                return number;
            }
            let value = number - zero;
            let span = if value.abs() > 1.0 { value } else { 1.0_f64.copysign(value) };
            zero + value * *gain.get_or_insert((1.0 + bias / span).clamp(0.5, 1.5))
        })
    },
    ..FALSE_VALUE
};

#[cfg(test)]
mod tests {
    use crate::trial;

    #[test]
    fn the_error_grows_with_the_value() {
        let played =
            trial::play_over(&super::ENTRY, &trial::target(), |t| [if t < 30 { 200 } else { 400 }, 0, 0]);
        assert_eq!((played.error(25), played.error(35)), (-50, -100));
    }
}
