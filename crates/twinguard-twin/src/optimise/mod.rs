//! Set-points: the cheapest ones that keep the plant within its limits, by the twin's own what-if.
//!
//! ```
//! use twinguard_twin::optimise::{Lever, Request, set_points};
//! use twinguard_twin::{Plant, Twin};
//! use twinguard_types::Duration;
//!
//! let plant = Plant::parse(include_str!("../../plants/cooling_loop.toml"), "cooling_loop.toml")?;
//! let pump = plant.catalogue.id("cooler.pump.command").ok_or("no pump")?;
//! // How little pumping is enough for four hours? By the mean alone: this twin has seen nothing yet.
//! let mut fork = Twin::new(&plant)?.fork().worst_case(0.0);
//! let lever = Lever { signal: pump, min: 0.0, max: 1.0, now: 1.0, price: 1.0 };
//! let request = Request::new(vec![lever], Duration::from_secs(4 * 3600));
//! let advice = set_points(&mut fork, &request)?;
//! assert!(advice.values[0].1 <= 1.0);
//! assert!(advice.outlook.margins.iter().all(|margin| margin.least >= 0.0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Program`] is the linear or quadratic program below it, [`Receding`] the receding horizon of linear models. Solver:
//! [clarabel](https://docs.rs/clarabel), an interior-point method (P. J. Goulart, Y. Chen, arXiv:2405.12762).
//!
//! An advice is a wish: it reaches the plant as a command through the gate, like any other.

mod program;
mod receding;
mod set_points;

pub use program::{Optimum, Program, Row};
pub use receding::{Plan, Receding};
pub use set_points::{Advice, Lever, Request, Track, set_points};
