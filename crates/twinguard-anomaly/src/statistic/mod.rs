//! Statistics that merge exactly, and detectors fitted from them: one model for a site, a fleet or a federation, bit for bit.
//!
//! ```
//! use twinguard_anomaly::statistic::{Covariance, Gram, Grid, Merge, Model, Quantise, Statistic, Subspace, Tally};
//!
//! let grid = Grid::around([(60.0, 5.0), (3.0, 0.5)])?; // public: centre and unit of each column
//! let (mut north, mut south, mut pooled) =
//!     (Tally::new(Gram::new(grid.clone(), 0)?), Tally::new(Gram::new(grid.clone(), 0)?), Tally::new(Gram::new(grid, 0)?));
//! for t in 0..1000_u32 {
//!     let load = f64::from(t * 7919 % 101) / 101.0 - 0.5;
//!     let row = [60.0 + 5.0 * load, 3.0 + 0.5 * load + f64::from(t % 7) / 100.0];
//!     if t % 3 == 0 { north.observe(&row)? } else { south.observe(&row)? };
//!     pooled.observe(&row)?;
//! }
//! south.merge(&north)?;
//! assert_eq!(south.digest(), pooled.digest());
//! let model = Subspace::fit(&Covariance::of(&south)?, 0.9)?;
//! assert_eq!(model.digest(), Subspace::fit(&Covariance::of(&pooled)?, 0.9)?.digest());
//! # Ok::<(), twinguard_anomaly::Error>(())
//! ```
//!
//! ```text
//! rows ─► Grid (clip, round to integers) ─► Plan (what is counted) ─► Tally (rows, cells) ─► merge ─► model ─► score
//! ```
//!
//! A [`Tally`] is a number of rows and a list of integers. Integers add up to the same in any order, so a model that is a function of the
//! tally is the same however the rows were spread and in whatever order they came; sums of floating-point numbers are not. What is counted
//! is a [`Plan`]: a new statistic is one file with one. Everything that a plan says is public and agreed on before any row is seen.
//!
//! | statistic | counts | what is fitted |
//! |---|---|---|
//! | [`Moments`] | Σx, Σx² by column | levels and spreads |
//! | [`Gram`] | Σx, Σxxᵀ over a row and the rows before it | [`Subspace`] (PCA, DPCA, PASAD), [`Regression`] (VAR, redundancy), [`Canonical`] (CVA) |
//! | [`Histogram`] | equal bins by column | [`Marginal`] |
//! | [`Sketch`] | bins of equal relative width | [`Threshold`] |
//! | [`Markov`] | pairs of symbols | [`Command`] |
//! | [`Trees`] | leaves of completely random trees | [`Forest`] |
//! | [`Clusters`] | one round of k-means | the next round's centres |
//!
//! A series that is cut between two sites loses the pairs of rows across the cut: statistics with memory equal those over the same pieces,
//! told apart by [`Tally::begin`]. A row with a value that is not finite is left out, and cuts as well.

mod algebra;
mod clusters;
mod gram;
mod grid;
mod histogram;
mod markov;
mod model;
mod moments;
mod random;
mod sketch;
mod tally;
mod trees;

pub use clusters::Clusters;
pub use gram::{Covariance, Gram};
pub use grid::{Column, Grid};
pub use histogram::Histogram;
pub use markov::Markov;
pub use model::{Canonical, Command, Forest, Marginal, Model, Regression, Scorer, Subspace, Threshold};
pub use moments::Moments;
pub use sketch::Sketch;
pub use tally::{Clip, Merge, Plan, Quantise, Reach, Statistic, Tally};
pub use trees::Trees;

use crate::Error;

/// A setting that is refused.
fn refused(name: &'static str, value: f64, must: &'static str) -> Error {
    Error::Setting { name, value, must }
}
