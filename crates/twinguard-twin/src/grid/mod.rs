//! Power grids: state estimation with bad data, observability, false data that no residual shows, power flow.
//!
//! ```
//! use twinguard_twin::grid::{Case, Estimator, Limit, Options, Start};
//!
//! let text = r#"{"baseMVA": 100, "bus": {"type": [3, 1]},
//!     "branch": {"f": [0], "t": [1], "r": [0.01], "x": [0.1]},
//!     "measurement_order": [["v_bus", [0, 1]], ["p_from", [0]], ["q_from", [0]], ["p_bus", [1]], ["q_bus", [1]]],
//!     "z_pu": [1.0, 0.99, 0.50, 0.10, -0.4975, -0.075], "sigma_pu": [0.004, 0.004, 0.01, 0.01, 0.01, 0.01]}"#;
//! let case = Case::parse(text)?;
//! let mut estimator = case.estimator()?;
//! let found = estimator.clean(&case.values, Start::Flat, &Options::default(), Limit::default())?;
//! assert_eq!((found.first.dof, found.removed.len()), (3, 0));
//! # Ok::<(), twinguard_twin::Error>(())
//! ```
//!
//! | here | |
//! |---|---|
//! | [`Grid`], [`Meter`], [`Case`] | buses and branches per unit, what is measured, both from a file |
//! | [`Estimator`] | sparse weighted least squares, observability, normalised residuals, removal of bad data |
//! | [`DcModel`], [`Forecast`] | stealthy false data; trusted meters, moving targets, each bus's own innovation |
//! | [`Monitor`] | scan by scan, residuals of meters and innovations of buses for detectors |
//! | [`PowerFlow`] | AC power flow, and the loss of each branch |
//!
//! Source of the conventions: the MATPOWER manual §3 (π model, per unit, shunts as power at 1 pu).

mod bad_data;
mod case;
mod dense;
mod estimator;
mod false_data;
mod forecast;
mod meter;
mod monitor;
mod network;
mod observability;
mod plant;
mod power_flow;
pub(crate) mod sparse;

pub use bad_data::{Cleaned, Largest, Limit, chi_squared_quantile, chi_squared_tail, two_sided_quantile};
pub use case::Case;
pub use estimator::{Estimator, Fit, Options, Start};
pub use false_data::{DcModel, MAX_DENSE, MovingTarget};
pub use forecast::{Forecast, Smoothing};
pub use meter::{Meter, Quantity, Side};
pub use monitor::Monitor;
pub use network::{Branch, Bus, BusKind, Grid, MAX_ELEMENTS};
pub use observability::Observability;
pub use power_flow::{Bounds, Contingency, Injections, Outcome, PowerFlow};
