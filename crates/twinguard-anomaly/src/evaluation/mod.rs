//! The scores of the open benchmarks, as they define them; beside them always the rates of [`crate::metrics`].

mod batadal;
mod nab;
mod vus;

pub use batadal::{Battle, battle};
pub use nab::{LOW_FALSE_NEGATIVES, LOW_FALSE_POSITIVES, Numenta, Profile, STANDARD, Series, numenta};
pub use vus::{Volumes, period, volumes};
