//! The main scenario: old values come again while the actuator that protects the plant is moved.
//!
//! Source: Stuxnet (MITRE S0603: record normal input, drive the plant elsewhere, play the record to the operator); plant card of
//! the cooling loop, attack 1. MITRE ATT&CK for ICS T0856, T0855, T0831.

use twinguard_types::Suspect;

use super::replay::{Replay, SAMPLES};
use crate::Entry;
use crate::profile::{Channel, FALSE_COMMAND, Family, Knowledge, Resources, Trace};

pub(crate) const ENTRY: Entry = Entry {
    name: "overheat",
    story: "old sensor values are replayed while the cooling is cut",
    family: Family::Combined,
    techniques: &["T0856", "T0855", "T0831", "T0832"],
    parties: &[Suspect::CommandPath, Suspect::Sensor, Suspect::Network, Suspect::Identity],
    needs: Resources {
        knowledge: Knowledge::Points,
        disclosure: &[Channel::Readings],
        disruption: &[Channel::Readings, Channel::Network],
    },
    traces: &[Trace::Repeat, Trace::Identity, Trace::Provenance],
    build: |target| {
        let mut attacks = target.inject_held();
        attacks.insert(0, Box::new(Replay::new(target.window, target.samples(SAMPLES))));
        attacks
    },
    ..FALSE_COMMAND
};

#[cfg(test)]
mod tests {
    use crate::trial;

    #[test]
    fn both_at_once() {
        let played = trial::play(&super::ENTRY);
        assert_eq!(played.shown[20], played.clean[0]);
        assert_eq!(played.injections.len(), 20);
    }
}
