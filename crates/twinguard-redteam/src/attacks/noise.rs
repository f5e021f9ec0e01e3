//! Noise on one measured value.
//!
//! Source: MITRE ATT&CK for ICS T0856; Gaussian noise as in Y. Mo, B. Sinopoli, "Secure control against replay attacks",
//! Allerton 2009, §II, of eight times the sensor's own standard deviation (a tenth of the aim where none is known).

use crate::Entry;
use crate::profile::{FALSE_VALUE, Visibility};

const TIMES: f64 = 8.0;

pub(crate) const ENTRY: Entry = Entry {
    name: "noise",
    story: "the controlled measurement becomes noisy",
    visibility: Visibility::Noise,
    build: |target| {
        let own =
            if target.sensor.sigma > 0.0 { TIMES * target.sensor.sigma } else { target.bias.abs() / 10.0 };
        let sigma = own.max(2.0);
        let mut chance = target.chance(1);
        target.falsify(move |since, number| number + since.map_or(0.0, |_| sigma * chance.gaussian()))
    },
    ..FALSE_VALUE
};

#[cfg(test)]
mod tests {
    use crate::trial;

    #[test]
    fn spreads_around_the_truth() {
        let errors = trial::play(&super::ENTRY).errors();
        let mean_square = errors.iter().map(|error| f64::from(error * error)).sum::<f64>() / 20.0;
        assert!((8.0..24.0).contains(&mean_square.sqrt()), "σ is 16 raw steps: {errors:?}");
    }
}
