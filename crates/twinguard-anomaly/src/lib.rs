//! Detectors on one scale (−log₁₀ p), calibrated thresholds, and the judge that names the suspect.
#![allow(clippy::needless_range_loop, reason = "parallel lists are walked by channel")]

mod align;
pub mod archive;
mod bank;
mod detector;
pub mod detectors;
mod error;
mod history;
mod judge;
mod linalg;
pub mod registry;
mod special;
mod table;
mod tail;
mod whiten;

#[cfg(test)]
extern crate self as twinguard_anomaly;
#[cfg(test)]
#[path = "../tests/plant/mod.rs"]
mod testing;

pub use align::Aligner;
pub use archive::{Archive, Reader, Writer};
pub use bank::{Asked, Bank, BankEntry, Calibration};
pub use detector::{Context, Coverage, Detail, Detector, Fitted, Observation};
pub use error::Error;
pub use history::{History, Recording};
pub use judge::{Judge, JudgeConfig, techniques};
pub use special::{chi_squared_surprise, poisson_interval};
pub use tail::{Rare, Tail};
