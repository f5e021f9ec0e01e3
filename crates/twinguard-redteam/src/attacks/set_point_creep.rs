//! The set-point moved a little every time.
//!
//! Source: MITRE ATT&CK for ICS T0836 (Modify Parameter); plant card of the cooling loop, attack 5 (65 → 95 °C in small steps).
//! The attacker writes from its own address, from where the loop rests, a fiftieth of the way each time, three biases in all.

use core::net::Ipv4Addr;

use twinguard_types::Timestamp;

use crate::profile::{FALSE_COMMAND, Requirement};
use crate::{Attack, Entry, Injection, Place, Reading, Target, Window};

const STEPS: f64 = 50.0;

fn unit(target: &Target, place: &Place) -> Option<String> {
    target.plant.catalogue.signal(place.signal).map(|signal| signal.unit.to_string())
}

/// The set-point that belongs to the aimed measurement: the one with the same unit, else the first.
fn set_point(target: &Target) -> Option<Place> {
    let own = unit(target, &target.sensor);
    let same = target.set_points.iter().find(|place| unit(target, place) == own);
    same.or(target.set_points.first()).cloned()
}

struct Creep {
    window: Window,
    from: Ipv4Addr,
    set_point: Place,
    /// The measurement that shows where the loop rests, if it has the set-point's unit.
    sensor: Option<Place>,
    rest: f64,
    /// Total change, raw.
    total: f64,
    last: Option<u16>,
}

impl Attack for Creep {
    fn on_reading(&mut self, reading: &mut Reading<'_>) {
        if reading.at < self.window.start
            && let Some(sensor) = &self.sensor
            && let Some(number) = sensor.read(reading)
        {
            let value = number * sensor.scale + sensor.offset;
            self.rest = (value - self.set_point.offset) / self.set_point.scale;
        }
    }

    fn inject(&mut self, at: Timestamp, injections: &mut Vec<Injection>) {
        let Some(since) = self.window.since(at) else { return };
        let step = (since / self.window.length_s() * STEPS).floor();
        let mut number = self.rest + self.total * step / STEPS;
        if let Some((low, high)) = self.set_point.range {
            number = number.min(high).max(low);
        }
        let value = self.set_point.word(number);
        if self.last.replace(value) != Some(value) {
            injections.push(Injection { from: self.from, address: self.set_point.address, value });
        }
    }
}

fn build(target: &Target) -> Vec<Box<dyn Attack>> {
    let Some(set_point) = set_point(target) else { return Vec::new() };
    let sensor = (unit(target, &set_point) == unit(target, &target.sensor)).then(|| target.sensor.clone());
    let middle = set_point.range.map_or(0.0, |(low, high)| 0.5 * (low + high));
    let span = set_point.range.map_or(0.0, |(low, high)| high - low);
    let total = match &sensor {
        Some(sensor) => -3.0 * target.bias * sensor.scale / set_point.scale,
        None => 0.4 * span,
    };
    let (window, from) = (target.window, target.attacker);
    vec![Box::new(Creep { window, from, set_point, sensor, rest: middle, total, last: None })]
}

pub(crate) const ENTRY: Entry = Entry {
    name: "set_point_creep",
    story: "a stranger moves the set-point little by little",
    techniques: &["T0836", "T0855"],
    requires: Requirement::SetPoint,
    build,
    ..FALSE_COMMAND
};

#[cfg(test)]
mod tests {
    use crate::trial;

    #[test]
    fn little_by_little() {
        let played = trial::play(&super::ENTRY);
        let values: Vec<i16> = played.injections.iter().map(|(_, it)| it.value.cast_signed()).collect();
        assert!(values.len() > 10 && values.is_sorted(), "{values:?}");
        assert!(played.injections.iter().all(|(_, it)| it.address == 2));
    }
}
