//! Values beyond an alarm limit shown just within it, so that nobody is called.
//!
//! Source: MITRE ATT&CK for ICS T0878 (Alarm Suppression), T0838 (Modify Alarm Settings); Maroochy 2000: alarms of four
//! stations disabled. The command path is used at the same time, so that there is something to hide.

use crate::profile::{Channel, FALSE_COMMAND, Family, Knowledge, Requirement, Resources, Trace};
use crate::{Attack, Entry, Place, Reading, Window};
use twinguard_types::Suspect;

struct Suppression {
    window: Window,
    places: Vec<Place>,
}

impl Attack for Suppression {
    fn on_reading(&mut self, reading: &mut Reading<'_>) {
        if !self.window.contains(reading.at) {
            return;
        }
        for place in &self.places {
            let (low, high) = place.band;
            // A tenth of a per cent within the limit.
            let inset = |limit: f64| if limit.is_finite() { 1e-3 * limit.abs() } else { 0.0 };
            place.change(reading, |number| number.min(high - inset(high)).max(low + inset(low)));
        }
    }
}

pub(crate) const ENTRY: Entry = Entry {
    name: "alarm_suppression",
    story: "the actuator is moved, and values beyond their alarm limits are shown within them",
    family: Family::Combined,
    techniques: &["T0878", "T0838", "T0855"],
    parties: &[Suspect::CommandPath, Suspect::Sensor, Suspect::Network, Suspect::Identity],
    requires: Requirement::Limit,
    needs: Resources {
        knowledge: Knowledge::Points,
        disclosure: &[Channel::Readings],
        disruption: &[Channel::Readings, Channel::Network],
    },
    traces: &[Trace::Identity, Trace::Provenance],
    build: |target| {
        let limited = |place: &&Place| place.band.0.is_finite() || place.band.1.is_finite();
        let places: Vec<Place> = target.sensors.iter().filter(limited).cloned().collect();
        if places.is_empty() {
            return Vec::new();
        }
        let mut attacks = target.inject_held();
        attacks.push(Box::new(Suppression { window: target.window, places }));
        attacks
    },
    ..FALSE_COMMAND
};

#[cfg(test)]
mod tests {
    use crate::trial;

    #[test]
    fn nothing_passes_the_limit() {
        // 40.0 °C is 400 raw steps.
        let played = trial::play_over(&super::ENTRY, &trial::target(), |t| [390 + t as i16, 0, 0]);
        assert_eq!((played.shown[15][0], played.shown[25][0], played.shown[50][0]), (405, 400, 440));
    }
}
