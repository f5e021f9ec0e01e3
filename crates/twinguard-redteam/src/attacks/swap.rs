//! Two measured values exchanged.
//!
//! Source: MITRE ATT&CK for ICS T0856; exchange of channels as in the quadruple-tank attacks of the plant card: each value
//! is plausible, the pair is not.

use crate::profile::{FALSE_VALUE, Requirement};
use crate::{Attack, Entry, Place, Reading, Target, Window};

struct Swap {
    window: Window,
    pair: (Place, Place),
}

impl Attack for Swap {
    fn on_reading(&mut self, reading: &mut Reading<'_>) {
        if !self.window.contains(reading.at) {
            return;
        }
        let (one, other) = &self.pair;
        let values = (one.read(reading), other.read(reading));
        if let (Some(first), Some(second)) = values {
            one.change(reading, |_| second * other.scale / one.scale);
            other.change(reading, |_| first * one.scale / other.scale);
        }
    }
}

/// Another measurement with the same unit as the aimed one.
pub(crate) fn partner(target: &Target) -> Option<Place> {
    let unit =
        |place: &Place| target.plant.catalogue.signal(place.signal).map(|signal| signal.unit.to_string());
    let own = unit(&target.sensor);
    let others = target.sensors.iter().filter(|place| place.signal != target.sensor.signal);
    others.into_iter().find(|place| unit(place) == own).cloned()
}

pub(crate) const ENTRY: Entry = Entry {
    name: "swap",
    story: "two measurements of the same unit change places",
    requires: Requirement::Pair,
    build: |target| match partner(target) {
        Some(other) => {
            vec![Box::new(Swap { window: target.window, pair: (target.sensor.clone(), other) })]
        }
        None => Vec::new(),
    },
    ..FALSE_VALUE
};

#[cfg(test)]
mod tests {
    use crate::trial;

    #[test]
    fn both_are_still_there() {
        let played = trial::play(&super::ENTRY);
        let [a, b, c] = played.clean[30];
        assert_eq!(played.shown[30], [b, a, c]);
    }
}
