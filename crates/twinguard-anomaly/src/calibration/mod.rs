//! Limits that keep what was asked: from scores of normal operation to a threshold with a false-alarm rate, one file a method.
//!
//! | method | asks of the data | gives | file |
//! |---|---|---|---|
//! | [`Conformal`] | exchangeable blocks of known length | p-values that no law of the scores can spoil, none below one in the number of blocks | `conformal` |
//! | [`Spot`], [`Dspot`] | excursions above a high level with a Pareto tail | a threshold beyond what was seen, learning as it goes; `Dspot` follows a drifting level | `spot` |
//! | [`EDetector`] | p-values that are valid given the past | alarms with an average run length to a false one, whenever one looks | `evalue` |
//!
//! The [suite](crate::suite) calibrates itself; these are for scores of one's own.
//!
//! ```
//! use twinguard_anomaly::calibration::{Conformal, EDetector};
//!
//! let normal: Vec<f64> = (0..3000).map(|t| (t * 7919 % 3001) as f64).collect();
//! let conformal = Conformal::fit(&normal, 5);
//! assert!(conformal.attainable() < 0.002); // 600 blocks of five rows
//! let mut detector = EDetector::new(10_000.0, 5)?; // one false alarm in ten thousand rows
//! assert!(!(0..200).any(|t| detector.step(conformal.p(normal[t]))));
//! assert!((0..50).any(|_| detector.step(conformal.p(5000.0))), "what was never seen adds up");
//! # Ok::<(), twinguard_anomaly::Error>(())
//! ```

mod conformal;
mod evalue;
mod spot;

pub use conformal::Conformal;
pub use evalue::{EDetector, e_value};
pub use spot::{Dspot, Spot, SpotConfig};
