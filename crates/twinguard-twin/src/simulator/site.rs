//! A reference plant with its controller, its operator and its vendor's twin: everything of one run.
//!
//! Source: plant cards of the reference plants. The parts do not call each other; [`Site::step`] carries what the wire
//! says from one to the next when nobody stands in between.

use twinguard_types::SignalId;

use super::control::{Controller, Operator};
use super::plant::{Options, SimulatedPlant};
use super::reference::Reference;
use super::vendor::VendorTwin;
use super::wire::Wire;
use super::{Register, Simulator};
use crate::{Error, Plant};

/// Everything of one run: the parts, run in.
#[derive(Clone, Debug)]
pub struct Site {
    /// The plant with its field device.
    pub plant: SimulatedPlant,
    /// The controller.
    pub controller: Controller,
    /// Who moves set-points now and then.
    pub operator: Operator,
    /// What the platform shows.
    pub vendor: VendorTwin,
    wire: std::sync::Arc<Wire>,
}

impl Site {
    /// A site by seed: same seed and options, same bits.
    ///
    /// # Errors
    /// [`Error::Plant`] when the reference and its plant file do not fit together; those that ship do.
    pub fn new(reference: &'static Reference, seed: u64, options: &Options) -> Result<Self, Error> {
        let wire = Wire::new(reference, options.sampling)?;
        let plant = SimulatedPlant::new(wire.clone(), seed, options);
        let mut site = Self {
            controller: Controller::new(wire.clone(), plant.registers(), options),
            operator: Operator::new(wire.clone(), seed, options, false),
            vendor: VendorTwin::new(wire.clone(), seed),
            plant,
            wire,
        };
        let periods = (reference.run_in_s / site.wire.period_s).ceil() as u64;
        for _ in 0..periods {
            site.step();
        }
        site.controller.take_journal();
        site.plant.begin();
        site.operator = Operator::new(site.wire.clone(), seed, options, true);
        Ok(site)
    }

    /// What kind of plant this is.
    #[must_use]
    pub fn reference(&self) -> &'static Reference {
        self.wire.reference
    }

    /// Its plant file.
    #[must_use]
    pub fn file(&self) -> &Plant {
        &self.wire.plant
    }

    /// The signal that a run is judged by.
    #[must_use]
    pub fn hazard(&self) -> Option<SignalId> {
        self.wire.plant.catalogue.id(self.wire.reference.hazard)
    }

    /// Signal and physical value of a register, if the plant file knows it.
    #[must_use]
    pub fn decode(&self, register: &Register) -> Option<(SignalId, f64)> {
        let channel = self.wire.channels.get(self.wire.place(register)?)?;
        Some((channel.signal, channel.word.value(register.raw)))
    }

    /// The register that holds a signal, with this value in it.
    #[must_use]
    pub fn encode(&self, signal: SignalId, value: f64) -> Option<Register> {
        let channel = self.wire.channels.iter().find(|channel| channel.signal == signal)?;
        Some(Register { raw: channel.word.raw(value), ..*self.wire.registers.get(channel.register)? })
    }

    /// Whether the register holds a set-point.
    #[must_use]
    pub fn holds_set_point(&self, register: &Register) -> bool {
        let place = self.wire.place(register);
        self.wire.held.iter().any(|held| Some(held.channel.register) == place)
    }

    /// One period without anybody in between: the plant moves, is polled, the operator and the controller write.
    pub fn step(&mut self) {
        self.plant.step();
        if self.plant.answers() {
            for (place, register) in self.plant.registers().iter().enumerate() {
                self.controller.take(place, register.raw);
                self.vendor.take(place, register.raw);
            }
        }
        let now = self.plant.now();
        while let Some(write) = self.operator.decide(now) {
            self.controller.observe(write);
            self.vendor.observe(write);
            self.plant.write(write);
        }
        for write in self.controller.decide(now) {
            self.vendor.observe(write);
            self.plant.write(write);
        }
        self.vendor.step();
    }
}
