//! The lists of what this crate ships by name, alphabetical.

use crate::models::{self, BuiltIn};

static MODELS: [&BuiltIn; 7] = [
    &models::battery::MODEL,
    &models::boiler::MODEL,
    &models::cooling_loop::MODEL,
    &models::dc_motor::MODEL,
    &models::hvac_zone::MODEL,
    // models::linear is matrices, not a plant: `kind = "linear"` builds it.
    &models::quadruple_tank::MODEL,
    &models::robot_arm_2::MODEL,
];

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
