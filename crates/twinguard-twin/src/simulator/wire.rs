//! Which register holds which signal of a reference plant, and how: read from its plant file.
//!
//! Source: MODBUS Application Protocol V1.1b3 §4.3 (data model); tags as in `docs/src/plant-file.md`.

use std::sync::Arc;

use twinguard_types::{Binding, Duration, Encoding, Role, SignalId, Word};

use super::reference::Reference;
use super::{Register, Table};
use crate::problem::{Located, Place, Problem};
use crate::{Error, Plant};

/// A signal in a register.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Channel {
    pub(super) signal: SignalId,
    /// Its place in the device's list of registers.
    pub(super) register: usize,
    pub(super) word: Word,
}

/// Where a measured signal comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Output(usize),
    Input(usize),
}

/// A sensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sensor {
    pub(super) channel: Channel,
    pub(super) origin: Origin,
    pub(super) sigma: f64,
}

/// An actuator: the register that tells it what to do, and the input that it drives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Actuator {
    pub(super) channel: Channel,
    pub(super) input: usize,
}

/// A set-point in the device.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Held {
    pub(super) channel: Channel,
    pub(super) index: usize,
}

/// What the parts of a site share and what never changes.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) reference: &'static Reference,
    pub(super) plant: Plant,
    /// Zeros, sorted.
    pub(super) registers: Vec<Register>,
    pub(super) sensors: Vec<Sensor>,
    pub(super) actuators: Vec<Actuator>,
    pub(super) held: Vec<Held>,
    /// By register: what lies in it.
    pub(super) channels: Vec<Channel>,
    /// What the model shows and no register holds: signals that are modelled only.
    pub(super) modelled: Vec<(SignalId, Origin)>,
    pub(super) period_s: f64,
    pub(super) substeps: u32,
}

impl Wire {
    /// # Errors
    /// [`Error::Plant`] when the plant file and the reference do not fit together.
    pub(super) fn new(reference: &'static Reference, sampling: Option<Duration>) -> Result<Arc<Self>, Error> {
        let mut plant = Plant::parse(reference.plant, reference.name)?;
        plant.time.sampling = sampling.unwrap_or(plant.time.sampling);
        let refuse = |what, name: &str| -> Error {
            let place = Place { file: reference.name.into(), line: 0, column: 0 };
            Located { place, problem: Problem::Missing { what, name: name.to_owned() } }.into()
        };
        let dynamics = plant.dynamics.as_ref().ok_or_else(|| refuse("table", "dynamics"))?;
        let mut bound: Vec<(Register, &Binding)> = Vec::new();
        for binding in &plant.bindings {
            let register = Register::of_tag(&binding.tag)
                .filter(|_| matches!(binding.encoding, Encoding::U16 | Encoding::I16))
                .ok_or_else(|| refuse("register", &binding.tag))?;
            bound.push((register, binding));
        }
        bound.sort_by_key(|(register, _)| (register.unit, register.table, register.address));
        let channel = |register: usize, binding: &Binding| Channel {
            signal: binding.signal,
            register,
            word: binding.word(),
        };
        let channels: Vec<Channel> =
            bound.iter().enumerate().map(|(at, (_, binding))| channel(at, binding)).collect();
        let at = |names: &[String], signals: &[Option<SignalId>], signal| {
            let index = signals.iter().position(|found| *found == Some(signal))?;
            names.get(index).cloned()
        };
        let (mut sensors, mut actuators, mut held) = (Vec::new(), Vec::new(), Vec::new());
        for channel in &channels {
            let Some(signal) = plant.catalogue.signal(channel.signal) else { continue };
            let model = &dynamics.model;
            let input = at(model.input_names(), &dynamics.inputs, channel.signal)
                .and_then(|name| reference.inputs.iter().position(|(own, _)| *own == name));
            let output = at(model.output_names(), &dynamics.outputs, channel.signal)
                .and_then(|name| reference.outputs.iter().position(|own| *own == name));
            let set_point = reference.set_points.iter().position(|point| *point.signal == *signal.path);
            match (signal.role, output, input, set_point) {
                (Role::Measurement, Some(output), ..) => {
                    let (origin, sigma) = (Origin::Output(output), signal.sigma.unwrap_or_default());
                    sensors.push(Sensor { channel: *channel, origin, sigma });
                }
                (Role::Measurement, None, Some(input), _) => {
                    let (origin, sigma) = (Origin::Input(input), signal.sigma.unwrap_or_default());
                    sensors.push(Sensor { channel: *channel, origin, sigma });
                }
                (Role::Actuator, _, Some(input), _) => actuators.push(Actuator { channel: *channel, input }),
                (_, _, _, Some(index)) => held.push(Held { channel: *channel, index }),
                _ => return Err(refuse("part of the plant behind signal", &signal.path)),
            }
        }
        let named = dynamics.model.output_names().iter().zip(&dynamics.outputs);
        let modelled = named.filter_map(|(name, signal)| {
            let signal = signal.filter(|signal| channels.iter().all(|channel| channel.signal != *signal))?;
            let output = reference.outputs.iter().position(|own| own == name)?;
            Some((signal, Origin::Output(output)))
        });
        let modelled = modelled.collect();
        let period_s = plant.time.sampling.as_secs_f64();
        let substeps = (period_s / reference.step_s).round().clamp(1.0, 1e6) as u32;
        Ok(Arc::new(Self {
            reference,
            registers: bound.iter().map(|(register, _)| *register).collect(),
            sensors,
            actuators,
            held,
            channels,
            modelled,
            period_s,
            substeps,
            plant,
        }))
    }

    /// The channel of a signal by path.
    pub(super) fn channel(&self, path: &str) -> Option<&Channel> {
        let signal = self.plant.catalogue.id(path)?;
        self.channels.iter().find(|channel| channel.signal == signal)
    }

    /// The place of a register in the device's list.
    pub(super) fn place(&self, register: &Register) -> Option<usize> {
        let key = |register: &Register| (register.unit, register.table, register.address);
        self.registers.binary_search_by_key(&key(register), key).ok()
    }
}

impl Register {
    /// The register of a tag, holding 0: the inverse of [`Register::tag`].
    #[must_use]
    pub fn of_tag(tag: &str) -> Option<Self> {
        let mut parts = tag.split('/');
        let unit = parts.next()?.strip_prefix('u')?.parse().ok()?;
        let table = match parts.next()? {
            "co" => Table::Coil,
            "di" => Table::DiscreteInput,
            "ir" => Table::Input,
            "hr" => Table::Holding,
            _ => return None,
        };
        let address = parts.next()?.parse().ok()?;
        parts.next().is_none().then_some(Self { unit, table, address, raw: 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_name_registers() {
        for tag in ["u1/hr/0", "u7/ir/65535", "u255/co/3", "u0/di/9"] {
            assert_eq!(Register::of_tag(tag).map(|register| register.tag()).as_deref(), Some(tag));
        }
        for tag in ["", "u1", "u1/hr", "u256/hr/0", "u1/xx/0", "u1/hr/65536", "u1/hr/0/0", "1/hr/0"] {
            assert_eq!(Register::of_tag(tag), None, "{tag}");
        }
    }

    #[test]
    fn registers_hold_what_fits() {
        let word = Word { signed: true, scale: 0.01, offset: 0.0 };
        assert_eq!(word.value(word.raw(-12.346)), -12.35);
        assert_eq!(word.value(word.raw(1e9)), 327.67);
        let word = Word { signed: false, scale: 0.5, offset: 10.0 };
        assert_eq!((word.raw(0.0), word.value(word.raw(30.0))), (0, 30.0));
    }
}
