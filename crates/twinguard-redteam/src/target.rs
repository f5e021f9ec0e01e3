//! What an attack is aimed at, in raw terms of the wire, as somebody who has the point list knows it.

use core::net::Ipv4Addr;

use twinguard_twin::Plant;
use twinguard_twin::plant::LimitKind;
use twinguard_twin::simulator::Noise;
use twinguard_types::{Binding, Duration, Encoding, Role, SignalId};

use crate::{Reading, Window};

/// A register of one signal.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// The signal.
    pub signal: SignalId,
    /// The register's address.
    pub address: u16,
    /// Whether its 16 bits are signed.
    pub signed: bool,
    /// Physical value of one raw step.
    pub scale: f64,
    /// Physical value of raw zero.
    pub offset: f64,
    /// Standard deviation of the noise in raw steps; 0 where none is stated.
    pub sigma: f64,
    /// Range in which the plant file puts its values, raw.
    pub range: Option<(f64, f64)>,
    /// Operating or never-exceed band, raw: outside it somebody is told.
    pub band: (f64, f64),
}

impl Place {
    fn of(plant: &Plant, binding: &Binding) -> Option<Self> {
        let address = binding.tag.rsplit('/').next()?.parse::<u16>().ok()?;
        let known = plant.catalogue.signal(binding.signal)?;
        let raw = |value: f64| (value - binding.offset) / binding.scale;
        let mut band = (f64::NEG_INFINITY, f64::INFINITY);
        let limits = plant.limits.iter().filter(|limit| limit.signal == binding.signal);
        for limit in limits.filter(|limit| limit.kind != LimitKind::Interlock) {
            band.0 = limit.min.map_or(band.0, |min| band.0.max(raw(min)));
            band.1 = limit.max.map_or(band.1, |max| band.1.min(raw(max)));
        }
        Some(Self {
            signal: binding.signal,
            address,
            signed: binding.encoding == Encoding::I16,
            scale: binding.scale,
            offset: binding.offset,
            sigma: known.sigma.unwrap_or(0.0) / binding.scale.abs(),
            range: known.range.map(|range| (raw(range.min()), raw(range.max()))),
            band,
        })
    }

    /// The number that 16 bits stand for, raw.
    #[must_use]
    pub fn number(&self, word: u16) -> f64 {
        if self.signed { f64::from(word.cast_signed()) } else { f64::from(word) }
    }

    /// The 16 bits of a raw number, rounded and held at the ends of the type.
    #[must_use]
    pub fn word(&self, number: f64) -> u16 {
        let number = number.round();
        if self.signed {
            (number.clamp(f64::from(i16::MIN), f64::from(i16::MAX)) as i16).cast_unsigned()
        } else {
            number.clamp(0.0, f64::from(u16::MAX)) as u16
        }
    }

    /// The 16 bits of a physical value.
    #[must_use]
    pub fn encode(&self, value: f64) -> u16 {
        self.word((value - self.offset) / self.scale)
    }

    /// The physical value of 16 bits.
    #[must_use]
    pub fn decode(&self, word: u16) -> f64 {
        self.number(word) * self.scale + self.offset
    }

    /// Changes the register in a reading, if that carries it.
    pub fn change(&self, reading: &mut Reading<'_>, change: impl FnOnce(f64) -> f64) {
        if let Some(register) = reading.register(self.address) {
            *register = self.word(change(self.number(*register)));
        }
    }

    /// Its number in a reading, if that carries it.
    #[must_use]
    pub fn read(&self, reading: &mut Reading<'_>) -> Option<f64> {
        reading.register(self.address).map(|register| self.number(*register))
    }
}

/// What an attack is aimed at.
#[derive(Clone, Debug)]
pub struct Target {
    /// When.
    pub window: Window,
    /// Where the attacker's own master speaks from.
    pub attacker: Ipv4Addr,
    /// The controlled measurement.
    pub sensor: Place,
    /// Error put on it by a bias, in raw steps, in the direction that does harm.
    pub bias: f64,
    /// The actuator that does most harm.
    pub actuator: Place,
    /// What is written there.
    pub injected: u16,
    /// All measurements that a poll reads.
    pub sensors: Vec<Place>,
    /// All actuators.
    pub actuators: Vec<Place>,
    /// All set-points in the device.
    pub set_points: Vec<Place>,
    /// The register of the mode of operation, if there is one.
    pub mode: Option<u16>,
    /// The plant as its file describes it: what an attacker who stole that knows.
    pub plant: Plant,
    /// Seed of whatever the attacker leaves to chance.
    pub seed: u64,
}

impl Target {
    /// A target in a plant: the bias of a measurement and what is written to an actuator, both in physical units. `None`
    /// when one of the two has no register.
    #[must_use]
    pub fn new(
        plant: &Plant,
        (sensor, bias): (&str, f64),
        (actuator, injected): (&str, f64),
        window: Window,
        attacker: Ipv4Addr,
    ) -> Option<Self> {
        let mut places: [Vec<Place>; 3] = Default::default();
        for binding in &plant.bindings {
            let role = plant.catalogue.signal(binding.signal)?.role;
            let holding = binding.tag.contains("/hr/");
            let list = match role {
                Role::Measurement if binding.tag.contains("/ir/") => 0,
                Role::Actuator if holding => 1,
                Role::Setpoint if holding => 2,
                _ => continue,
            };
            places[list].extend(Place::of(plant, binding));
        }
        let [mut sensors, actuators, set_points] = places;
        sensors.sort_by_key(|place| place.address);
        let find = |places: &[Place], path: &str| {
            let signal = plant.catalogue.id(path)?;
            places.iter().find(|place| place.signal == signal).cloned()
        };
        let sensor = find(&sensors, sensor)?;
        let actuator = find(&actuators, actuator)?;
        Some(Self {
            window,
            attacker,
            bias: bias / sensor.scale,
            injected: actuator.encode(injected),
            sensor,
            actuator,
            sensors,
            actuators,
            set_points,
            mode: None,
            plant: plant.clone(),
            seed: 0,
        })
    }

    /// With another seed.
    #[must_use]
    pub fn seeded(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// A stream of the attacker's chance.
    #[must_use]
    pub fn chance(&self, stream: u64) -> Noise {
        Noise::new(self.seed, stream.wrapping_add(90_000))
    }

    /// The plant's sampling period.
    #[must_use]
    pub fn period(&self) -> Duration {
        self.plant.time.sampling
    }

    /// So many samples.
    #[must_use]
    pub fn samples(&self, count: i64) -> Duration {
        Duration::from_nanos(self.period().as_nanos().saturating_mul(count))
    }
}
