//! An attack of the registry with an aim, a size and a time of its own.
//!
//! Source: the start and end conditions and per-link targets of attacks in R. Taormina et al., J. Water Resour. Plann. Manage.
//! 143(5), 2017, put as multiples of a plant's standard aim, so that one scale serves every plant.

use serde::{Deserialize, Serialize};

use crate::profile::Entry;
use crate::{Error, Ground, Place, Target, Window};

/// What may be put on a measurement that is not the plant's standard aim, as a share of its range.
const SHARE: f64 = 0.1;
/// The same in standard deviations of its noise, where the plant file states no range.
const SIGMAS: f64 = 20.0;

/// One attack, aimed otherwise than by default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// Its name on the board.
    pub name: String,
    /// The plant.
    pub plant: String,
    /// The attack, by name.
    pub attack: String,
    /// The measurement that it is aimed at, by path.
    pub sensor: String,
    /// The actuator that it is aimed at, by path.
    pub actuator: String,
    /// Error and command in multiples of the standard aim: 1 is what the attack does by default; negative ones go the other
    /// way.
    pub size: f64,
    /// Samples from the start of the plan's attack window to its own.
    pub start: u64,
    /// Samples that it lasts.
    pub length: u64,
}

impl Variant {
    /// The entry of its attack.
    ///
    /// # Errors
    /// [`Error::UnknownAttack`].
    pub fn entry(&self) -> Result<&'static Entry, Error> {
        Entry::known(&self.attack)
    }

    /// Its target at a ground, where the plan's attacks are on in `window`; under a seed.
    ///
    /// # Errors
    /// [`Error::Ground`] when the plant lacks a register of its signals.
    pub fn target(&self, ground: &Ground, window: Window, seed: u64) -> Result<Target, Error> {
        let mut target = ground.target(window, seed)?;
        let lacks = || Error::Ground {
            plant: ground.name().to_owned(),
            what: "register of a signal that a variant is aimed at",
        };
        let find = |places: &[Place], path: &str| {
            let signal = ground.plant().catalogue.id(path)?;
            places.iter().find(|place| place.signal == signal).cloned()
        };
        let sensor = find(&target.sensors, &self.sensor).ok_or_else(lacks)?;
        let actuator = find(&target.actuators, &self.actuator).ok_or_else(lacks)?;
        let unit = if sensor == target.sensor { target.bias } else { standard_error(&sensor) };
        let rest = rest(&target, &actuator);
        let end = match actuator.range {
            _ if actuator == target.actuator => actuator.number(target.injected),
            Some((low, _)) if self.size < 0.0 => 2.0 * rest - low,
            Some((_, high)) => high,
            None => 2.0 * rest,
        };
        target.bias = self.size * unit;
        target.injected = actuator.word(rest + self.size * (end - rest));
        (target.sensor, target.actuator) = (sensor, actuator);
        let start = target.window.start + ground.span(self.start);
        let end = start + ground.span(self.length);
        target.window = Window { start, end: end.min(window.end) };
        Ok(target)
    }
}

/// What is put on a measurement at size 1, raw.
fn standard_error(place: &Place) -> f64 {
    place.range.map_or(SIGMAS * place.sigma.max(1.0), |(low, high)| SHARE * (high - low))
}

/// Where an actuator rests, raw: by the plant file, else the middle of its range.
fn rest(target: &Target, actuator: &Place) -> f64 {
    let commanded = target.plant.dynamics.as_ref().and_then(|dynamics| {
        let input = dynamics.inputs.iter().position(|signal| *signal == Some(actuator.signal))?;
        dynamics.input_defaults.get(input).map(|value| (value - actuator.offset) / actuator.scale)
    });
    commanded.or(actuator.range.map(|(low, high)| 0.5 * (low + high))).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variant(sensor: &str, size: f64) -> Variant {
        Variant {
            name: "one".to_owned(),
            plant: "quadruple_tank".to_owned(),
            attack: "bias".to_owned(),
            sensor: sensor.to_owned(),
            actuator: "pump1.voltage".to_owned(),
            size,
            start: 10,
            length: 1_000,
        }
    }

    #[test]
    fn size_one_is_the_standard_aim_and_the_window_is_cut() {
        let ground = Ground::named("quadruple_tank").unwrap();
        let window = ground.window(0, 100);
        let standard = ground.target(window, 1).unwrap();
        let target = variant("tank1.level", 1.0).target(&ground, window, 1).unwrap();
        assert_eq!((target.bias, target.injected), (standard.bias, standard.injected));
        assert_eq!((target.window.start, target.window.end), (window.start + ground.span(10), window.end));
        let half = variant("tank1.level", -0.5).target(&ground, window, 1).unwrap();
        assert_eq!(half.bias, -0.5 * standard.bias);
        // Pump 1 rests at 3 V in the plant file and is driven to 9 V: half of that the other way is 0 V.
        let rest = rest(&standard, &standard.actuator);
        let moved = f64::from(standard.injected) - rest;
        assert_eq!(f64::from(half.injected), (rest - 0.5 * moved).round().max(0.0));
    }

    #[test]
    fn another_aim_has_a_size_of_its_own() {
        let ground = Ground::named("quadruple_tank").unwrap();
        let window = ground.window(0, 100);
        let target = variant("tank2.level", 1.0).target(&ground, window, 1).unwrap();
        assert_eq!(ground.plant().catalogue.path(target.sensor.signal), "tank2.level");
        assert!(target.bias.abs() > target.sensor.sigma, "{}", target.bias);
        let missing = variant("tank9.level", 1.0).target(&ground, window, 1).unwrap_err();
        let told = "plant `quadruple_tank` has no register of a signal that a variant is aimed at";
        assert_eq!(missing.to_string(), told);
    }
}
