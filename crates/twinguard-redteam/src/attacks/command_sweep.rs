//! One value after the other, through the whole range.
//!
//! Source: MITRE ATT&CK for ICS T0806 (Brute Force I/O): Industroyer iterates over addresses and states (MITRE S0604).

use crate::profile::FALSE_COMMAND;
use crate::{Entry, Place};

const STEPS: u32 = 16;

/// The range of an actuator in so many equal steps.
fn steps(place: &Place, injected: u16) -> Vec<u16> {
    let (low, high) = place.range.unwrap_or((0.0, 2.0 * place.number(injected)));
    (0..=STEPS).map(|step| place.word(low + (high - low) * f64::from(step) / f64::from(STEPS))).collect()
}

pub(crate) const ENTRY: Entry = Entry {
    name: "command_sweep",
    story: "a second master sweeps the actuator through its range",
    techniques: &["T0806", "T0855"],
    build: |target| {
        let values = steps(&target.actuator, target.injected);
        let mut next = 0;
        target.inject_by(move |_| {
            next += 1;
            values.get((next - 1) % values.len().max(1)).copied()
        })
    },
    ..FALSE_COMMAND
};

#[cfg(test)]
mod tests {
    use crate::trial;

    #[test]
    fn goes_from_end_to_end() {
        let played = trial::play(&super::ENTRY);
        let values: Vec<u16> = played.injections.iter().map(|(_, it)| it.value).collect();
        assert_eq!((values[0], values[8], values[16], values[17]), (0, 500, 1000, 0));
    }
}
