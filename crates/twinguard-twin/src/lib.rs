//! What a plant is and what it does next: plant files, models, estimators, what-if forks, a closed-loop simulator.
//!
//! ```
//! use twinguard_twin::simulator::{Simulator, Table, cooling_loop};
//! use twinguard_twin::{Plant, Twin};
//! use twinguard_types::{Duration, Point, Source, Value};
//!
//! let plant = Plant::parse(cooling_loop::PLANT, "plant.toml")?;
//! let oil = plant.catalogue.id("transformer.oil.temperature").ok_or("no such signal")?;
//! let valve = plant.catalogue.id("cooler.valve.command").ok_or("no such signal")?;
//! let mut site = cooling_loop::Plant::new(1, &cooling_loop::Options::default());
//! let mut twin = Twin::new(&plant)?;
//! for _ in 0..300 {
//!     site.step();
//!     let raw = site.read(1, Table::Input, 0).ok_or("no such register")?;
//!     let celsius = Value::real(f64::from(raw as i16) * 0.01)?;
//!     while twin.advance(site.now()).is_some() {}
//!     twin.observe(&Point::new(oil, celsius, Source::Field, site.now()));
//! }
//! let estimate = twin.estimate(oil).ok_or("not modelled")?;
//! assert!((estimate.mean - site.truth().theta_oil_c).abs() < 1.0);
//! let closed = twin.fork().simulate(Duration::from_secs(3_600), &[(valve, 0.0)])?;
//! assert!(closed.margins[0].least < 60.0, "an hour without water costs margin");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | here | |
//! |---|---|
//! | [`plant`], [`equation`], [`models`] | the plant file, equations compiled with exact Jacobians, built-in models |
//! | [`integrators`], [`filters`] | Runge–Kutta, Dormand–Prince; Kalman and extended Kalman in factored form |
//! | [`Twin`], [`Fork`], [`bank`] | the running estimator, what-if, which single cause explains the innovations |
//! | [`importers`] | history from CSV |
//! | [`simulator`] | a closed loop with plant, controller, operator and the vendor's twin, by seed |
//!
//! Not here yet: identification from history, implicit integrators, unscented filters, grid and water solvers, importers of
//! other twin formats.

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
