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
//! | [`integrators`], [`filters`] | explicit and stiff integrators; filters whose covariances stay positive, smoother, banks |
//! | [`Twin`], [`Fork`], [`bank`] | the running estimator, what-if, which single cause explains the innovations |
//! | [`ensemble`], [`reach`], [`safe`] | many futures, bounds on all of them, states to go back to |
//! | [`isolability`] | which causes the meters cannot tell apart |
//! | [`grid`] | power grids: state estimation, bad data, observability |
//! | [`identify`], [`prognosis`] | models learnt from history, remaining life as a distribution |
//! | [`importers`] | history from CSV; models from AAS, DTDL, EPANET, FMI, OPC UA, Ditto, the Web of Things |
//! | [`water`] | water networks: hydraulics over extended periods, and an estimator of their state |
//! | [`simulator`] | closed loops with plant, controller, operator and the vendor's twin, by name and seed |
//! | [`assets`], [`compose`] | what moves what, which sensors are redundant; several models as one |
//! | [`experiment`], [`modes`] | a model on given inputs; its poles and zeros |

mod error;
mod model;
mod noise;
mod setup;

pub mod assets;
pub mod bank;
pub mod compose;
pub mod dual;
pub mod ensemble;
pub mod equation;
pub mod experiment;
pub mod filters;
pub mod grid;
pub mod identify;
pub mod importers;
pub mod integrators;
pub mod isolability;
pub mod models;
pub mod modes;
#[cfg(feature = "optimise")]
pub mod optimise;
pub mod plant;
pub mod problem;
pub mod prognosis;
pub mod reach;
pub mod registry;
pub mod safe;
pub mod simulator;
mod sparse;
pub mod twin;
pub mod water;
pub mod whatif;

pub use error::Error;
pub use model::{Model, TimeBase};
pub use plant::Plant;
pub use safe::{SafeStates, Snapshot};
pub use twin::{Estimate, LeftOut, ModelError, Twin};
pub use whatif::{Fork, WhatIf};
