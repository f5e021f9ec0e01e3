//! Attacks put into what was recorded at a plant of the user's own: no simulator, no wire, only values.
//!
//! Source: the form of the attacks on recorded series in R. Taormina et al., J. Water Resour. Plann. Manage. 144(8), 2018, and of
//! HAI (H.-K. Shin et al., CSET 2020): a recorded stretch is changed between two instants. Every signal gets a virtual
//! register fine enough not to round what a sensor tells; what actuators would have done cannot be known, so that only
//! attacks on values are possible.

use core::net::Ipv4Addr;

use twinguard_twin::Plant;
use twinguard_types::{Point, SignalId, Value};

use crate::{Entry, Family, Place, Reading, Requirement, Scenario, Target, Window};

/// A signal as its record shows it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// The signal.
    pub signal: SignalId,
    /// Its least value.
    pub least: f64,
    /// Its greatest value.
    pub most: f64,
    /// Standard deviation of the changes from sample to sample, over √2: the noise, where the signal is slow.
    pub noise: f64,
}

/// An attack on recorded values.
#[derive(Debug)]
pub struct Recorded {
    scenario: Scenario,
    places: Vec<Place>,
    registers: Vec<u16>,
}

/// Error put on a signal, as a share of its recorded range.
const SHARE: f64 = 0.1;
/// Raw steps over three times the recorded range: room for what is put on it.
const STEPS: f64 = 60_000.0;

impl Recorded {
    /// Names of the attacks that are possible on values alone.
    #[must_use]
    pub fn attacks() -> Vec<&'static str> {
        crate::ATTACKS.iter().filter(|entry| Self::takes(entry)).map(|entry| entry.name).collect()
    }

    fn takes(entry: &Entry) -> bool {
        let of_values = matches!(entry.family, Family::Telemetry)
            || ["delay", "reorder", "stealthy"].contains(&entry.name);
        of_values && matches!(entry.requires, Requirement::Nothing | Requirement::Pair)
    }

    /// An attack on one signal of a record; `None` when it is not possible on values alone, the signal is not in the
    /// record, never moved, or there is nothing like it to be exchanged with.
    #[must_use]
    pub fn new(
        entry: &Entry,
        plant: &Plant,
        spans: &[Span],
        aim: SignalId,
        window: Window,
        seed: u64,
    ) -> Option<Self> {
        if !Self::takes(entry) {
            return None;
        }
        let places: Vec<Place> = spans.iter().zip(0..).map(|(span, address)| place(span, address)).collect();
        let at = spans.iter().position(|span| span.signal == aim && span.most > span.least)?;
        let (sensor, span) = (places.get(at)?.clone(), spans.get(at)?);
        let bias = -SHARE * (span.most - span.least) / sensor.scale;
        let target = Target {
            window,
            attacker: Ipv4Addr::UNSPECIFIED,
            bias,
            injected: 0,
            actuator: sensor.clone(),
            sensor,
            sensors: places.clone(),
            actuators: Vec::new(),
            set_points: Vec::new(),
            mode: None,
            plant: plant.clone(),
            seed,
        };
        let scenario = Scenario::of(entry, &target);
        (!scenario.is_empty()).then(|| Self { scenario, registers: vec![0; places.len()], places })
    }

    /// Changes the values of one instant; signals that are missing keep their last one.
    pub fn change(&mut self, points: &mut [Point]) {
        let Some(at) = points.first().map(|point| point.event_at) else { return };
        let place = |places: &[Place], signal| places.iter().position(|place: &Place| place.signal == signal);
        for point in points.iter() {
            if let Some(index) = place(&self.places, point.signal) {
                self.registers[index] = self.places[index].encode(point.value.as_f64());
            }
        }
        let before = self.registers.clone();
        let mut shown = self.registers.clone();
        let mut reading = Reading { at, function: 4, address: 0, registers: &mut shown };
        self.scenario.on_reading(&mut reading);
        for point in points {
            let Some(index) = place(&self.places, point.signal) else { continue };
            // What was not touched stays as it was recorded, to the last digit.
            if shown[index] != before[index]
                && let Ok(value) = Value::real(self.places[index].decode(shown[index]))
            {
                point.value = value;
            }
        }
    }
}

fn place(span: &Span, address: u16) -> Place {
    let range = (span.most - span.least).max(f64::MIN_POSITIVE);
    let scale = 3.0 * range / STEPS;
    let number = |value: f64| (value - 0.5 * (span.least + span.most)) / scale;
    Place {
        signal: span.signal,
        address,
        signed: true,
        scale,
        offset: 0.5 * (span.least + span.most),
        sigma: span.noise / scale,
        range: Some((number(span.least), number(span.most))),
        band: (f64::NEG_INFINITY, f64::INFINITY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use twinguard_types::{Source, Timestamp};

    #[test]
    fn one_signal_is_off_in_the_window_and_all_else_is_as_recorded() {
        let text = "format = 1\nname = \"own\"\n[[signal]]\npath = \"a\"\n[[signal]]\npath = \"b\"\n";
        let plant = Plant::parse(text, "own.toml").unwrap();
        let span = |signal| Span { signal: SignalId(signal), least: 0.0, most: 10.0, noise: 0.1 };
        let window = Window { start: Timestamp::from_secs(10), end: Timestamp::from_secs(20) };
        let spans = [span(0), span(1)];
        let bias = Entry::named("bias").unwrap();
        let mut attack = Recorded::new(bias, &plant, &spans, SignalId(0), window, 1).unwrap();
        for second in 0..30 {
            let at = Timestamp::from_secs(second);
            let point =
                |signal, value| Point::new(SignalId(signal), Value::real(value).unwrap(), Source::Field, at);
            let clean = [point(0, 5.123_456), point(1, 3.0)];
            let mut points = clean;
            attack.change(&mut points);
            assert_eq!(points[1], clean[1]);
            let error = points[0].value.as_f64() - 5.123_456;
            let expected = if window.contains(at) { -1.0 } else { 0.0 };
            assert!((error - expected).abs() < 1e-3, "{second}: {error}");
        }
        let injection = Entry::named("command_injection").unwrap();
        assert!(Recorded::new(injection, &plant, &spans, SignalId(0), window, 1).is_none());
        assert!(Recorded::attacks().len() >= 12, "{:?}", Recorded::attacks());
    }
}
