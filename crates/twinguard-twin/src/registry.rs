//! The lists of what this crate ships by name, alphabetical.

use crate::models::{self, BuiltIn};

static MODELS: [&BuiltIn; 1] = [&models::cooling_loop::MODEL];

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
