//! Closed-loop reference plants: a plant with sensors and actuators, its controller, its operator, the vendor's twin.
//!
//! The parts do not call each other: whoever drives the loop carries what the wire says from one to the next, so that a
//! network, an attacker and a guard can stand between them. The plant keeps its own state and its own equations; a guard
//! sees registers only. Everything is a pure function of seed and options.
//!
//! One second of a loop without anybody in between:
//! ```
//! use twinguard_twin::simulator::{Simulator, cooling_loop};
//!
//! let mut site = cooling_loop::Site::new(7, &cooling_loop::Options::default());
//! for _ in 0..3_600 {
//!     site.plant.step();
//!     if site.plant.answers() {
//!         for register in site.plant.registers() {
//!             site.controller.observe(*register);
//!             site.vendor.observe(*register);
//!         }
//!     }
//!     let now = site.plant.now();
//!     for write in site.operator.decide(now).into_iter().chain(site.controller.decide(now)) {
//!         site.vendor.observe(write);
//!         site.plant.write(write);
//!     }
//!     site.vendor.step();
//! }
//! let oil = site.plant.truth().theta_oil_c;
//! assert!((60.0..70.0).contains(&oil), "{oil}");
//! let shown = site.vendor.values().theta_oil_c;
//! assert!((oil - shown).abs() < 1.0, "{oil} {shown}");
//! ```

use twinguard_types::{Duration, Timestamp};

mod closed_loop;
mod control;
pub mod cooling_loop;
mod plant;
pub mod plants;
mod reference;
mod site;
mod vendor;
mod wire;

pub use crate::noise::{Noise, SensorNoise, Wander};
pub use closed_loop::{ClosedLoop, Spot};
pub use control::{Controller, Operator};
pub use plant::{Event, Options, SimulatedPlant};
pub use plants::{reference, references};
pub use reference::{
    Constant, Control, Effect, Incident, Lean, Physics, Reference, Scan, SetPoint, Surrounding,
};
pub use site::Site;
pub use vendor::VendorTwin;

/// A register table of a Modbus device; the wire image of other protocols maps onto it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Single bits that may be written, `co`.
    Coil,
    /// Single bits that are measured, `di`.
    DiscreteInput,
    /// 16-bit words that are measured, `ir`.
    Input,
    /// 16-bit words that may be written, `hr`.
    Holding,
}

/// One register and what it holds; addresses count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Register {
    /// The unit (slave) that holds it.
    pub unit: u8,
    /// Its table.
    pub table: Table,
    /// Its address.
    pub address: u16,
    /// Its 16 bits; 0 or 1 for single bits.
    pub raw: u16,
}

impl Register {
    /// Its tag in plant files, for example `u1/ir/0`.
    #[must_use]
    pub fn tag(&self) -> String {
        let table = match self.table {
            Table::Coil => "co",
            Table::DiscreteInput => "di",
            Table::Input => "ir",
            Table::Holding => "hr",
        };
        format!("u{}/{table}/{}", self.unit, self.address)
    }
}

/// The field device and the plant behind it.
pub trait Simulator {
    /// Time since the start of the run.
    fn now(&self) -> Timestamp;
    /// Time between two samples.
    fn period(&self) -> Duration;
    /// One period of physics and one new sample of every sensor.
    fn step(&mut self);
    /// Whether the device answers a poll in this period; one in 10,000 it does not.
    fn answers(&self) -> bool;
    /// All registers as a poll in this period reads them, sorted by unit, table and address.
    fn registers(&self) -> &[Register];
    /// A write that arrives at the device; false when there is no such register to write.
    fn write(&mut self, register: Register) -> bool;
    /// One register of [`registers`](Self::registers).
    fn read(&self, unit: u8, table: Table, address: u16) -> Option<u16> {
        let found = |register: &&Register| {
            (register.unit, register.table, register.address) == (unit, table, address)
        };
        self.registers().iter().find(found).map(|register| register.raw)
    }
}

/// A stream of random numbers of one stretch of the plant's life.
fn stream(base: u64, stretch: u64) -> u64 {
    base.wrapping_add(stretch.wrapping_mul(1_000))
}
