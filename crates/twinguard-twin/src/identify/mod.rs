//! Models learnt from history: from rows of inputs and outputs to a plant file that can be read, sealed and compared.
//!
//! | here | what it gives | when |
//! |---|---|---|
//! | [`subspace`] | a linear state-space model with its order, Kalman gain and noise | nothing is known but the signals |
//! | [`Arx`] | an equation of differences between inputs and one output | a quick look, redundancy, forecasts |
//! | [`Recursive`] | the same, sample by sample, with forgetting | slow change |
//! | [`fit_parameters`] | values and confidence intervals of named parameters | the equations are known |
//! | [`noise`] | process and measurement variances of a model that is known | tuning a filter |
//!
//! A model is fitted on the first part of a [`Record`] and judged on the rest ([`Record::split`]): the figures that count
//! come from rows that the fit never saw.
//!
//! ```
//! use twinguard_twin::identify::{Record, Subspace, subspace};
//!
//! // A first-order lag, driven by a square wave.
//! let (mut level, mut rows) = (0.0_f64, Vec::new());
//! for step in 0..600 {
//!     let valve = f64::from(step / 25 % 2) + 0.1 * f64::from(step * 7 % 11);
//!     rows.push((vec![valve], vec![level]));
//!     level = 0.9 * level + 0.2 * valve;
//! }
//! let record = Record::new(1.0, &rows)?;
//! let (learn, judge) = record.split(0.7);
//! let model = subspace(&learn, &Subspace { order: Some(1), ..Subspace::default() })?;
//! assert!((model.matrices.a[0][0] - 0.9).abs() < 1e-3);
//! assert!(model.judge(&judge)?.simulated[0] > 0.9);
//! # Ok::<(), twinguard_twin::Error>(())
//! ```

mod arx;
mod dense;
mod hankel;
mod innovations;
mod noise;
mod parameters;
mod record;
mod recursive;
mod refine;
mod subspace;

pub use arx::{Arx, ArxOrder};
pub use innovations::{Identified, Judgement};
pub use noise::{Noise, noise};
pub use parameters::{Fitted, FittedParameter, Unknown, fit_parameters};
pub use record::Record;
pub use recursive::Recursive;
pub use subspace::{Subspace, Weighting, subspace};
