//! The least and the greatest value ever seen, in turns.
//!
//! Source: M. Krotofil, A. A. Cárdenas, "Resilience of process control systems to cyber-physical attacks", `NordSec` 2013,
//! §4: minimum and maximum attacks; Y.-L. Huang et al., IJCIP 2(3), 2009, §3: min and max attack. Each for a twentieth
//! of the window: within the range that was always allowed.

use crate::Entry;
use crate::profile::{FALSE_VALUE, Visibility};

pub(crate) const ENTRY: Entry = Entry {
    name: "min_max",
    story: "the controlled measurement shows its least and greatest value in turns",
    visibility: Visibility::Noise,
    build: |target| {
        let turn_s = (target.window.length_s() / 20.0).max(target.period().as_secs_f64());
        let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
        target.falsify(move |since, number| {
            let Some(since) = since else {
                (least, most) = (least.min(number), most.max(number));
                return number;
            };
            if least > most {
                return number;
            }
            if ((since / turn_s) as u64).is_multiple_of(2) { least } else { most }
        })
    },
    ..FALSE_VALUE
};

#[cfg(test)]
mod tests {
    use crate::trial::{self, START};

    #[test]
    fn only_values_that_were_seen() {
        let played = trial::play(&super::ENTRY);
        let before: Vec<i16> = played.clean[..START as usize].iter().map(|row| row[0]).collect();
        let (least, most) = (*before.iter().min().unwrap(), *before.iter().max().unwrap());
        let shown: Vec<i16> =
            played.shown[START as usize..START as usize + 4].iter().map(|row| row[0]).collect();
        assert_eq!(shown, [least, most, least, most]);
    }
}
