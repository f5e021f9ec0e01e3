//! An actuator driven to and fro until it wears out.
//!
//! Source: MITRE ATT&CK for ICS T0879 (Damage to Property); M. Krotofil on wear by cycling; the plant cards: a pump on
//! and off every 20 s leaves no sign in temperatures. Aurora (2007) was a breaker cycled out of phase.

use crate::Entry;
use crate::profile::FALSE_COMMAND;

pub(crate) const ENTRY: Entry = Entry {
    name: "actuator_cycling",
    story: "a second master drives the actuator to and fro",
    techniques: &["T0879", "T0855", "T0806"],
    build: |target| {
        let place = target.actuator.clone();
        let aim = place.number(target.injected);
        let other =
            place.range.map_or(aim * 0.5, |(low, high)| if aim - low > high - aim { low } else { high });
        let pair = [target.injected, place.word(other)];
        let mut turn = 0;
        target.inject_by(move |_| {
            turn += 1;
            pair.get((turn - 1) % 2).copied()
        })
    },
    ..FALSE_COMMAND
};

#[cfg(test)]
mod tests {
    use crate::trial;

    #[test]
    fn to_and_fro() {
        let played = trial::play(&super::ENTRY);
        let values: Vec<u16> = played.injections.iter().take(4).map(|(_, it)| it.value).collect();
        assert_eq!(values, [50, 1000, 50, 1000]);
    }
}
