//! The lists of what this crate ships by name, alphabetical.

use crate::importers::{self, Importer};
use crate::models::{self, BuiltIn};

static MODELS: [&BuiltIn; 12] = [
    &models::battery::MODEL,
    &models::boiler::MODEL,
    &models::conveyor::MODEL,
    &models::cooling_loop::MODEL,
    &models::dc_motor::MODEL,
    &models::hvac_zone::MODEL,
    // models::linear is matrices, not a plant: `kind = "linear"` builds it.
    &models::power_grid::MODEL,
    &models::quadruple_tank::MODEL,
    &models::robot_arm_2::MODEL,
    // The plants robot_arm and robot_arm_6 put drives around their joints.
    &models::serial_arm::TORQUE_MODEL,
    &models::serial_arm::SERVO_MODEL,
    &models::water_network::MODEL,
];

static IMPORTERS: [&Importer; 8] = [
    &importers::AAS,
    &importers::AAS_XML,
    &importers::DITTO,
    &importers::DTDL,
    &importers::EPANET,
    &importers::FMI,
    &importers::NODESET,
    &importers::WOT,
];

/// All importers of models, by name.
#[must_use]
pub fn importers() -> &'static [&'static Importer] {
    &IMPORTERS
}

/// The importer that a file of this name with these bytes is for.
#[must_use]
pub fn importer_for(name: &str, bytes: &[u8]) -> Option<&'static Importer> {
    importers().iter().copied().find(|importer| (importer.recognises)(name, bytes))
}

/// All built-in models, by name.
#[must_use]
pub fn models() -> &'static [&'static BuiltIn] {
    &MODELS
}

/// The built-in model of this name.
#[must_use]
pub fn model(name: &str) -> Option<&'static BuiltIn> {
    models().iter().copied().find(|model| model.name == name)
}
