//! Somebody between controller and device who changes both directions, with checksums and sequence numbers kept right.
//!
//! Source: MITRE ATT&CK for ICS T0830 (Adversary-in-the-Middle); Stuxnet: recorded inputs to the operator, other outputs to
//! the drives (MITRE S0603, T0835). Frames are written anew by the simulated relay, so every checksum is right; what
//! remains is the time that it takes.

use twinguard_types::{Duration, Suspect};

use crate::attack::{Transit, Writer, Writing};
use crate::profile::{Channel, FALSE_VALUE, Family, Knowledge, Resources, Trace, Visibility};
use crate::{Attack, Entry, Place, Reading, Window};

struct Relay {
    window: Window,
    sensor: Place,
    bias: f64,
    actuator: u16,
    value: u16,
}

impl Attack for Relay {
    fn on_transit(&mut self, transit: &mut Transit) {
        if self.window.contains(transit.at) {
            transit.latency = Duration::from_nanos(transit.latency.as_nanos().saturating_mul(2));
        }
    }

    fn on_reading(&mut self, reading: &mut Reading<'_>) {
        if self.window.contains(reading.at) {
            self.sensor.change(reading, |number| number + self.bias);
        }
    }

    fn on_write(&mut self, writing: &mut Writing) {
        if self.window.contains(writing.at)
            && writing.by == Writer::Controller
            && writing.address == self.actuator
        {
            writing.set(self.value);
        }
    }
}

pub(crate) const ENTRY: Entry = Entry {
    name: "man_in_the_middle",
    story: "a relay changes a measurement on its way up and a command on its way down",
    family: Family::Combined,
    techniques: &["T0830", "T0831", "T0856"],
    parties: &[Suspect::CommandPath, Suspect::Network, Suspect::Sensor],
    needs: Resources {
        knowledge: Knowledge::Points,
        disclosure: &[Channel::Readings, Channel::Commands],
        disruption: &[Channel::Readings, Channel::Commands],
    },
    traces: &[Trace::Timing, Trace::Provenance],
    visibility: Visibility::Facts,
    build: |target| {
        vec![Box::new(Relay {
            window: target.window,
            sensor: target.sensor.clone(),
            bias: target.bias,
            actuator: target.actuator.address,
            value: target.injected,
        })]
    },
    ..FALSE_VALUE
};

#[cfg(test)]
mod tests {
    use crate::trial;

    #[test]
    fn both_directions_are_changed() {
        let played = trial::play(&super::ENTRY);
        assert_eq!(
            (played.error(30), played.writes[30].done, played.writes[30].seen),
            (-50, Some(50), Some(50))
        );
        assert_eq!(played.transits[30].latency.as_nanos(), 8_000_000);
    }
}
