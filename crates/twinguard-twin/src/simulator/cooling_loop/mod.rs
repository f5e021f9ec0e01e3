//! The reference plant `cooling_loop`: an oil-forced, water-forced power transformer of the 600 MVA class.
//!
//! Source: IEC 60076-7 row OF for the transformer, own oil/water heat balance calibrated to it (see
//! [`models::cooling_loop`](crate::models::cooling_loop), which a guard runs; the equations here are written again on
//! purpose, so that an error in one shows against the other). Limits of IEC 60076-7 table 2: hot spot 120 °C in normal
//! cyclic use, 140 °C never; top oil 105 and 115 °C.
//!
//! Wire image, unit 1 (physical = raw × scale):
//!
//! | address | what | type | scale | σ of the noise |
//! |---|---|---|---|---|
//! | hr 0, 1 | pump and valve command, pu | u16 | 0.0001 | |
//! | hr 2 | set-point of the top oil, °C | i16 | 0.1 | |
//! | hr 9 | mode (1 automatic) | u16 | 1 | |
//! | ir 0 … 3 | top oil, hot spot, cooler outlet, cooler water, °C | i16 | 0.01 | 0.2, 0.5, 0.2, 0.2 |
//! | ir 4, 5 | oil and water flow, pu | i16 | 0.0001 | 0.005 |
//! | ir 6, 7 | pump speed and valve position, pu | i16 | 0.0001 | 0.002, 0.003 |
//! | ir 8 | load current, pu | i16 | 0.0001 | 0.003 |
//! | ir 9, 10 | air and supply water, °C | i16 | 0.01 | 0.2 |
//!
//! What is left out of the card: coils and discrete inputs (pump run, trips), and staged pumps.

mod control;
mod physics;
mod plant;
mod reference;
mod vendor;

pub use control::{Controller, Operator};
pub use physics::{Ambient, Output, Parameters, Physics, State};
pub use plant::{Options, Plant};
pub use reference::REFERENCE;
pub use vendor::VendorTwin;

use super::{Register, Table};

/// The plant file that describes this site to a guard: what the vendor would seal.
pub const PLANT: &str = include_str!("../../../plants/cooling_loop.toml");

/// Everything of one run: the parts, started in equilibrium.
#[derive(Clone, Debug)]
pub struct Site {
    /// The transformer with its field device.
    pub plant: Plant,
    /// The controller of pump and valve.
    pub controller: Controller,
    /// Who moves the set-point now and then.
    pub operator: Operator,
    /// What the platform shows.
    pub vendor: VendorTwin,
}

impl Site {
    /// A site by seed: same seed and options, same bits.
    #[must_use]
    pub fn new(seed: u64, options: &Options) -> Self {
        let plant = Plant::new(seed, options);
        Self {
            controller: Controller::new(plant.commands()),
            operator: Operator::new(seed, options.stretch, options.set_point_changes),
            vendor: VendorTwin::new(seed, plant.truth_state(), plant.commands()),
            plant,
        }
    }
}

/// The input registers in order of their addresses: scale, standard deviation of the noise.
const SENSORS: [(f64, f64); 11] = [
    (0.01, 0.2),
    (0.01, 0.5),
    (0.01, 0.2),
    (0.01, 0.2),
    (0.0001, 0.005),
    (0.0001, 0.005),
    (0.0001, 0.002),
    (0.0001, 0.003),
    (0.0001, 0.003),
    (0.01, 0.2),
    (0.01, 0.2),
];

/// Address of the pump command.
pub const PUMP_COMMAND: u16 = 0;
/// Address of the valve command.
pub const VALVE_COMMAND: u16 = 1;
/// Address of the set-point.
pub const SET_POINT: u16 = 2;
/// Address of the mode.
pub const MODE: u16 = 9;

const COMMAND_SCALE: f64 = 0.0001;
const SET_POINT_SCALE: f64 = 0.1;

fn holding(address: u16, raw: u16) -> Register {
    Register { unit: 1, table: Table::Holding, address, raw }
}

/// As a device stores it: rounded, kept within 16 bits, two's complement.
fn to_raw(value: f64, scale: f64) -> u16 {
    (value / scale).round().clamp(f64::from(i16::MIN), f64::from(i16::MAX)) as i16 as u16
}

/// As a reader sees it.
fn from_raw(raw: u16, scale: f64) -> f64 {
    f64::from(raw as i16) * scale
}
