//! Detectors on one scale (−log₁₀ p), calibrated thresholds, and the judge that names the suspect.
//!
//! ```
//! use twinguard_anomaly::{Asked, Bank, Judge, JudgeConfig, Recording, registry};
//! use twinguard_types::{Catalogue, Event, Point, Role, Signal, Source, Timestamp, Value};
//!
//! let mut catalogue = Catalogue::new();
//! let oil = catalogue.intern(Signal::new("oil", Role::Measurement).unit("degC").range(-40.0, 160.0)?)?;
//! let point = |second, value| Point::new(oil, value, Source::Field, Timestamp::from_secs(second));
//! let mut normal = Recording::new();
//! for second in 0..2000 {
//!     normal.push(&Event::Point(point(second, Value::real(60.0 + (second * 7919 % 97) as f64 / 97.0)?)));
//! }
//! let mut bank = Bank::fit(registry::all(), &normal.history(), &catalogue, &Asked::default())?;
//! let mut judge = Judge::new(JudgeConfig::default(), &bank, &catalogue);
//! let event = Event::Point(point(2000, Value::real(190.0)?));
//! judge.note(&event);
//! bank.observe(&event, |seen| judge.weigh(seen));
//! let finding = judge.poll(event.at()).ok_or("a value that cannot be is a finding")?;
//! assert!(finding.summary.starts_with("oil read 190"), "{}", finding.summary);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What is there: [`Recording`] (normal operation, replayable), [`Aligner`] (points to rows), sixteen [`detectors`] (and seventeen by name) behind one
//! trait ([`Detector`], [`Fitted`]), [`Tail`] (from a statistic to its surprise, honest about few samples), [`Bank`] (all
//! detectors with thresholds for asked false alarms per day, checked on held-out history), [`Judge`] (one incident, one
//! finding; suspect, kind, reasons in nats), [`suite`] (one call from rows of history to one calibrated surprise per row), [`calibration`] (limits for scores of one's own),
//! [`watermark`] (do measurements answer a secret excitation?),
//! [`metrics`] and [`evaluation`] (rates, and the open benchmarks' scores), and [`archive`] (snapshots that continue bit by bit).
//!
//! What is not: physics (explanations come from the twin as events), adaptation after learning beyond a slow bounded mean,
//! merging of states. Results are deterministic; nothing is allocated after fitting.

#![allow(clippy::needless_range_loop, reason = "parallel lists are walked by channel")]

mod align;
pub mod archive;
mod bank;
mod bernoulli;
pub mod calibration;
mod detector;
pub mod detectors;
mod error;
pub mod evaluation;
mod expectation;
mod history;
mod judge;
mod linalg;
pub mod metrics;
#[cfg(feature = "ocsf")]
pub mod ocsf;
mod regime;
pub mod registry;
mod rows;
pub mod simulation;
mod special;
pub mod statistic;
pub mod suite;
mod table;
mod tail;
pub mod watermark;
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
