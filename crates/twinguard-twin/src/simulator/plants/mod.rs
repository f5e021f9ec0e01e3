//! The reference plants, one file each: equations in plain Rust, surroundings, control law, faults, benign events.
//!
//! Sources: `research` plant cards; each file cites its own.

pub mod battery;
pub mod boiler;
pub mod conveyor;
pub mod dc_motor;
pub mod hvac_zone;
pub mod power_grid;
pub mod quadruple_tank;
pub mod robot_arm;
pub mod robot_arm_6;
pub mod water_network;

use super::Reference;

static REFERENCES: [&Reference; 11] = [
    &battery::REFERENCE,
    &boiler::REFERENCE,
    &conveyor::REFERENCE,
    &dc_motor::REFERENCE,
    &hvac_zone::REFERENCE,
    &power_grid::REFERENCE,
    &quadruple_tank::MINIMUM,
    &quadruple_tank::NONMINIMUM,
    &robot_arm::REFERENCE,
    &robot_arm_6::REFERENCE,
    &water_network::REFERENCE,
];

/// All reference plants with a closed-loop simulator, by name.
#[must_use]
pub fn references() -> &'static [&'static Reference] {
    &REFERENCES
}

/// The reference plant of this name.
///
/// ```
/// use twinguard_twin::simulator::{self, Options, Simulator, Site};
///
/// let boiler = simulator::reference("boiler").ok_or("no such plant")?;
/// let mut site = Site::new(boiler, 7, &Options::default())?;
/// for _ in 0..600 {
///     site.step();
/// }
/// let level = site.file().catalogue.id("drum.level").ok_or("no such signal")?;
/// assert!(site.plant.truth(level).is_some_and(|level| level.abs() < 0.1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn reference(name: &str) -> Option<&'static Reference> {
    references().iter().copied().find(|reference| reference.name == name)
}
