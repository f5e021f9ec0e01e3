//! Plant descriptions, models, integrators, filters: what a plant is and what it does next.
//!
//! Work in progress; see [`plant::Plant`] (the plant file), [`equation`] (equations to models) and [`models`].

mod error;
mod model;

pub mod equation;
pub mod filters;
pub mod importers;
pub mod integrators;
pub mod models;
pub mod plant;
pub mod problem;
pub mod registry;
pub mod simulator;

pub use error::Error;
pub use model::{Model, TimeBase};
pub use plant::Plant;
