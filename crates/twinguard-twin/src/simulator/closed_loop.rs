//! What whoever drives a simulated site needs of it, whatever plant it is: a red team's range, a comparison of responders.
//!
//! Source: IEC 62264-1 levels 0 to 2 and the platform beside them; one method per arrow between them, so that a network,
//! an attacker and a guard can stand on every one.

use core::fmt::Debug;

use twinguard_types::{Duration, Timestamp};

use super::{Options, Reference, Register, Simulator, Site, Table, cooling_loop};
use crate::Error;

/// A quantity as it really is and as the vendor's twin shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Spot<'a> {
    /// The register that holds it, if any does.
    pub register: Option<Register>,
    /// Its signal's path in the site's plant file.
    pub path: &'a str,
    /// The truth, which no guard sees.
    pub truth: Option<f64>,
    /// What the vendor's twin shows; `None` for what it only passes on.
    pub shown: Option<f64>,
}

/// A plant with its controller, its operator and its vendor's twin.
pub trait ClosedLoop: Debug + Send {
    /// The plant with its field device.
    fn device(&self) -> &dyn Simulator;
    /// The same, to move and to write to.
    fn device_mut(&mut self) -> &mut dyn Simulator;
    /// The controller reads a register, as a poll or an operator's write tells it.
    fn tell_controller(&mut self, register: Register);
    /// The vendor's twin reads a register, or sees a write pass.
    fn tell_vendor(&mut self, register: Register);
    /// What the controller writes now.
    fn control(&mut self, now: Timestamp) -> Vec<Register>;
    /// The set-point that the operator writes now, if any; ask until there is none.
    fn operate(&mut self, now: Timestamp) -> Option<Register>;
    /// The vendor's twin moves on by one period.
    fn advance_vendor(&mut self);
    /// Everything that can be measured, commanded or modelled; measured and modelled quantities first.
    fn spots(&self) -> Vec<Spot<'_>>;
    /// Whether the register holds a set-point.
    fn is_set_point(&self, register: &Register) -> bool;
    /// Path of the signal that a run is judged by.
    fn hazard(&self) -> &str;
    /// The same site at the same instant: what happens to one of the two from here on leaves the other alone.
    fn fork(&self) -> Box<dyn ClosedLoop>;

    /// Time between two samples.
    fn period(&self) -> Duration {
        self.device().period()
    }
}

impl ClosedLoop for Site {
    fn device(&self) -> &dyn Simulator {
        &self.plant
    }

    fn device_mut(&mut self) -> &mut dyn Simulator {
        &mut self.plant
    }

    fn tell_controller(&mut self, register: Register) {
        self.controller.observe(register);
    }

    fn tell_vendor(&mut self, register: Register) {
        self.vendor.observe(register);
    }

    fn control(&mut self, now: Timestamp) -> Vec<Register> {
        let writes = self.controller.decide(now);
        // Its journal is what it returns; whoever drives the loop keeps that.
        self.controller.take_journal();
        writes
    }

    fn operate(&mut self, now: Timestamp) -> Option<Register> {
        self.operator.decide(now)
    }

    fn advance_vendor(&mut self) {
        self.vendor.step();
    }

    fn spots(&self) -> Vec<Spot<'_>> {
        let catalogue = &self.file().catalogue;
        let shown: Vec<_> = self.vendor.values().collect();
        let spot = |(signal, _): (twinguard_types::SignalId, &twinguard_types::Signal)| Spot {
            register: self.encode(signal, 0.0),
            path: catalogue.path(signal),
            truth: self.plant.truth(signal),
            shown: shown.iter().find(|(known, _)| *known == signal).map(|(_, value)| *value),
        };
        catalogue.iter().map(spot).collect()
    }

    fn is_set_point(&self, register: &Register) -> bool {
        self.holds_set_point(register)
    }

    fn hazard(&self) -> &str {
        self.reference().hazard
    }

    fn fork(&self) -> Box<dyn ClosedLoop> {
        Box::new(self.clone())
    }
}

/// Paths of the cooling loop's plant file by input register, then of its commands.
const COOLING_SENSORS: [&str; 11] = [
    "transformer.oil.temperature",
    "transformer.hotspot.temperature",
    "cooler.oil.outlet.temperature",
    "cooler.water.temperature",
    "cooler.oil.flow",
    "cooler.water.flow",
    "cooler.pump.speed",
    "cooler.valve.position",
    "transformer.load",
    "ambient.air.temperature",
    "cooler.water.supply.temperature",
];
const COOLING_COMMANDS: [&str; 2] = ["cooler.pump.command", "cooler.valve.command"];

impl ClosedLoop for cooling_loop::Site {
    fn device(&self) -> &dyn Simulator {
        &self.plant
    }

    fn device_mut(&mut self) -> &mut dyn Simulator {
        &mut self.plant
    }

    fn tell_controller(&mut self, register: Register) {
        self.controller.observe(register);
    }

    fn tell_vendor(&mut self, register: Register) {
        self.vendor.observe(register);
    }

    fn control(&mut self, now: Timestamp) -> Vec<Register> {
        let writes = self.controller.decide(now);
        self.controller.take_journal();
        writes
    }

    fn operate(&mut self, now: Timestamp) -> Option<Register> {
        self.operator.decide(now)
    }

    fn advance_vendor(&mut self) {
        self.vendor.step();
    }

    fn spots(&self) -> Vec<Spot<'_>> {
        let at = |table, address: usize| {
            Some(Register { unit: 1, table, address: u16::try_from(address).ok()?, raw: 0 })
        };
        let around = self.plant.ambient();
        let truth = self.plant.truth().to_array();
        let shown = self.vendor.values().to_array();
        let truths = truth.into_iter().chain([around.load_pu, around.air_c, around.supply_c]);
        let sensors =
            COOLING_SENSORS.into_iter().zip(truths).enumerate().map(|(address, (path, truth))| Spot {
                register: at(Table::Input, address),
                path,
                truth: Some(truth),
                shown: shown.get(address).copied(),
            });
        let commands = COOLING_COMMANDS.into_iter().zip(self.plant.commands()).enumerate();
        let commands = commands.map(|(address, (path, truth))| Spot {
            register: at(Table::Holding, address),
            path,
            truth: Some(truth),
            shown: None,
        });
        sensors.chain(commands).collect()
    }

    fn is_set_point(&self, register: &Register) -> bool {
        register.table == Table::Holding && register.address == cooling_loop::SET_POINT
    }

    fn hazard(&self) -> &str {
        "transformer.hotspot.temperature"
    }

    fn fork(&self) -> Box<dyn ClosedLoop> {
        Box::new(self.clone())
    }
}

impl Reference {
    /// A site of this plant, for whoever drives plants without knowing which.
    ///
    /// # Errors
    /// As [`Site::new`].
    pub fn site(&'static self, seed: u64, options: &Options) -> Result<Box<dyn ClosedLoop>, Error> {
        Ok(Box::new(Site::new(self, seed, options)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Plant;

    #[test]
    fn the_cooling_loops_spots_are_its_plant_files() {
        let plant = Plant::parse(cooling_loop::PLANT, "plant.toml").unwrap();
        let site = cooling_loop::Site::new(1, &cooling_loop::Options::default());
        for spot in site.spots() {
            let signal = plant.catalogue.id(spot.path).unwrap();
            let tag = spot.register.unwrap().tag();
            let bound = plant.bindings.iter().find(|binding| *binding.tag == *tag).unwrap();
            assert_eq!(bound.signal, signal, "{}", spot.path);
        }
        assert!(plant.catalogue.id(site.hazard()).is_some());
    }
}
