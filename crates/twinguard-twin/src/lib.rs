//! Plant descriptions, models, integrators, filters: what a plant is and what it does next.
//!
//! Work in progress; see [`plant::Plant`] (the plant file), [`equation`] (equations to models) and [`models`].

mod error;
mod model;
mod setup;

pub mod bank;
pub mod equation;
pub mod filters;
pub mod importers;
pub mod integrators;
pub mod models;
pub mod plant;
pub mod problem;
pub mod registry;
pub mod simulator;
pub mod twin;
pub mod whatif;

pub use error::Error;
pub use model::{Model, TimeBase};
pub use plant::Plant;
pub use twin::{Estimate, Twin};
pub use whatif::{Fork, WhatIf};
