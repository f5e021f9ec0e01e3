//! An actuator moved behind the tap, and everything that the model says it does taken out of every measurement.
//!
//! Source: R. S. Smith, "Covert misappropriation of networked control systems", IEEE Control Systems 35(1), 2015: with the true
//! model the residual is exactly zero; what remains here is what plant and model differ by, and rounding.

use twinguard_types::{SignalId, Suspect};

use crate::attack::Writing;
use crate::profile::{Channel, Family, Knowledge, Requirement, Resources, Visibility};
use crate::theory;
use crate::{Attack, Entry, Place, Reading, Target, Window};

struct Covert {
    window: Window,
    pair: theory::Covert,
    /// What everybody believes the inputs to be, and what they are.
    believed: Vec<f64>,
    actual: Vec<f64>,
    /// The signals of inputs and outputs.
    inputs: Vec<Option<SignalId>>,
    outputs: Vec<Option<SignalId>>,
    sensors: Vec<Place>,
    actuators: Vec<Place>,
    aim: (u16, u16),
    period_s: f64,
}

impl Covert {
    fn set(&mut self, signal: SignalId, believed: f64, actual: f64) {
        for (at, _) in self.inputs.iter().enumerate().filter(|(_, input)| **input == Some(signal)) {
            self.believed.get_mut(at).into_iter().for_each(|slot| *slot = believed);
            self.actual.get_mut(at).into_iter().for_each(|slot| *slot = actual);
        }
    }
}

impl Attack for Covert {
    fn on_reading(&mut self, reading: &mut Reading<'_>) {
        let sensors = core::mem::take(&mut self.sensors);
        for place in &sensors {
            if let Some(number) = place.read(reading) {
                let value = number * place.scale + place.offset;
                self.set(place.signal, value, value);
            }
        }
        if self.window.contains(reading.at) {
            let shown = self.pair.strike(&self.believed, &self.actual, self.period_s);
            for (signal, moved) in self.outputs.iter().zip(&shown) {
                let place = sensors.iter().find(|place| Some(place.signal) == *signal);
                if let Some(place) = place.filter(|_| moved.is_finite()) {
                    place.change(reading, |number| number - moved / place.scale);
                }
            }
        } else {
            self.pair.listen(&self.believed, self.period_s);
        }
        self.sensors = sensors;
    }

    fn on_write(&mut self, writing: &mut Writing) {
        let (address, value) = self.aim;
        if self.window.contains(writing.at) && writing.address == address {
            writing.done = writing.done.map(|_| value);
        }
        let place = self.actuators.iter().find(|place| place.address == writing.address);
        if let (Some(place), Some(seen), Some(done)) = (place, writing.seen, writing.done) {
            let (signal, seen, done) = (place.signal, place.decode(seen), place.decode(done));
            self.set(signal, seen, done);
        }
    }
}

fn build(target: &Target) -> Vec<Box<dyn Attack>> {
    let Some(dynamics) = &target.plant.dynamics else { return Vec::new() };
    vec![Box::new(Covert {
        window: target.window,
        pair: theory::Covert::new(dynamics),
        believed: dynamics.input_defaults.clone(),
        actual: dynamics.input_defaults.clone(),
        inputs: dynamics.inputs.clone(),
        outputs: dynamics.outputs.clone(),
        sensors: target.sensors.clone(),
        actuators: target.actuators.clone(),
        aim: (target.actuator.address, target.injected),
        period_s: target.period().as_secs_f64(),
    })]
}

pub(crate) const ENTRY: Entry = Entry {
    name: "covert",
    story: "the actuator is moved behind the tap, and the model's response is taken out of all measurements",
    family: Family::Theory,
    techniques: &["T0835", "T0856", "T0831"],
    parties: &[Suspect::CommandPath, Suspect::Actuator, Suspect::Sensor, Suspect::Network],
    needs: Resources {
        knowledge: Knowledge::Model,
        disclosure: &[Channel::Readings, Channel::Commands],
        disruption: &[Channel::Readings, Channel::Actuators],
    },
    requires: Requirement::Model,
    traces: &[],
    visibility: Visibility::Never,
    build,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Ground, ground::ORIGIN};

    /// The plant is the attacker's model itself: whoever measures sees it as if it had not been touched, to half a raw
    /// step.
    #[test]
    fn with_the_true_model_nothing_shows() {
        let ground = Ground::named("quadruple_tank").unwrap();
        let target = ground.target(ground.window(5, 100), 0).unwrap();
        let dynamics = target.plant.dynamics.clone().unwrap();
        let mut attack = build(&target).remove(0);
        let (mut touched, mut calm) = (theory::Shadow::new(&dynamics), theory::Shadow::new(&dynamics));
        let rest = dynamics.input_defaults.clone();
        let mut input = rest.clone();
        for step in 0..60 {
            let at = ORIGIN + ground.span(step);
            touched.advance(&input, 1.0);
            calm.advance(&rest, 1.0);
            let word = |values: Vec<f64>| -> Vec<u16> {
                let place = |signal: &Option<SignalId>| {
                    target.sensors.iter().find(|place| Some(place.signal) == *signal).unwrap()
                };
                let outputs = dynamics.outputs.iter().zip(values);
                let mut words: Vec<(u16, u16)> = outputs
                    .map(|(signal, value)| (place(signal).address, place(signal).encode(value)))
                    .collect();
                words.sort_unstable();
                words.into_iter().map(|(_, word)| word).collect()
            };
            let mut registers = word(touched.output(&input));
            attack.on_reading(&mut Reading { at, function: 4, address: 0, registers: &mut registers });
            let expected = word(calm.output(&rest));
            for (shown, expected) in registers.iter().zip(&expected) {
                assert!(shown.abs_diff(*expected) <= 1, "step {step}: {registers:?} {expected:?}");
            }
            let seen = target.actuator.encode(rest[0]);
            let address = target.actuator.address;
            let by = crate::attack::Writer::Controller;
            let mut writing = Writing { at, by, address, seen: Some(seen), done: Some(seen) };
            attack.on_write(&mut writing);
            input[0] = target.actuator.decode(writing.done.unwrap());
        }
        assert!(touched.state()[0] > calm.state()[0] + 1.0, "and the tank fills all the same");
    }
}
