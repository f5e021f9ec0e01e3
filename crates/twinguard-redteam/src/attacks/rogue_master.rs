//! A stranger who does the controller's work in its place: writes every actuator, with plausible values.
//!
//! Source: MITRE ATT&CK for ICS T0848 (Rogue Master), Maroochy 2000 (MITRE C0020). Each actuator gets the middle of its
//! range, so that no value is out of the ordinary.

use twinguard_types::Timestamp;

use crate::profile::FALSE_COMMAND;
use crate::{Attack, Entry, Injection, Window};

struct Master {
    window: Window,
    from: core::net::Ipv4Addr,
    writes: Vec<(u16, u16)>,
}

impl Attack for Master {
    fn inject(&mut self, at: Timestamp, injections: &mut Vec<Injection>) {
        if self.window.contains(at) {
            let write = |(address, value): &(u16, u16)| Injection {
                from: self.from,
                address: *address,
                value: *value,
            };
            injections.extend(self.writes.iter().map(write));
        }
    }
}

pub(crate) const ENTRY: Entry = Entry {
    name: "rogue_master",
    story: "a stranger writes all actuators in the controller's place",
    techniques: &["T0848", "T0855", "T0831"],
    build: |target| {
        let write = |place: &crate::Place| {
            let middle = place.range.map(|(low, high)| 0.5 * (low + high))?;
            Some((place.address, place.word(middle)))
        };
        let mut writes: Vec<(u16, u16)> = target.actuators.iter().filter_map(write).collect();
        if writes.is_empty() {
            writes.push((target.actuator.address, target.injected));
        }
        vec![Box::new(Master { window: target.window, from: target.attacker, writes })]
    },
    ..FALSE_COMMAND
};

#[cfg(test)]
mod tests {
    use crate::trial;

    #[test]
    fn the_middle_of_the_range() {
        let played = trial::play(&super::ENTRY);
        assert_eq!((played.injections[0].1.address, played.injections[0].1.value), (0, 500));
    }
}
