//! The vendor's twin stops: its screens show the last normal values for ever.
//!
//! Source: MITRE ATT&CK for ICS T0832 (Manipulation of View), T0829 (Loss of View).

use std::collections::BTreeMap;

use twinguard_types::{Point, SignalId, Timestamp, Value};

use crate::profile::FALSE_TWIN;
use crate::{Attack, Entry, Window};

struct Freeze {
    window: Window,
    last: BTreeMap<SignalId, Value>,
}

impl Attack for Freeze {
    fn on_show(&mut self, at: Timestamp, points: &mut Vec<Point>) {
        let on = self.window.contains(at);
        for point in points {
            match self.last.get(&point.signal) {
                Some(last) if on => point.value = *last,
                _ => drop(self.last.insert(point.signal, point.value)),
            }
        }
    }
}

pub(crate) const ENTRY: Entry = Entry {
    name: "twin_freeze",
    story: "the vendor's twin shows its last values for ever",
    techniques: &["T0832", "T0829"],
    build: |target| vec![Box::new(Freeze { window: target.window, last: BTreeMap::new() })],
    ..FALSE_TWIN
};

#[cfg(test)]
mod tests {
    use crate::trial;

    #[test]
    fn the_last_values_stay() {
        let played = trial::play(&super::ENTRY);
        assert_eq!(played.vendor[35][0].value, played.vendor[19][0].value);
        assert_ne!(played.vendor[45][0].value, played.vendor[19][0].value);
    }
}
