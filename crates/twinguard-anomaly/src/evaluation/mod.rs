//! The scores of the open benchmarks, as they define them, beside them always the rates of [`crate::metrics`]; the stealth–impact curve; curves as
//! pictures.

mod batadal;
mod nab;
mod plot;
mod stealth;
mod vus;

pub use batadal::{Battle, battle};
pub use nab::{LOW_FALSE_NEGATIVES, LOW_FALSE_POSITIVES, Numenta, Profile, STANDARD, Series, numenta};
pub use plot::{Curve, svg};
pub use stealth::{Impact, Tries, stealth_impact};
pub use vus::{Volumes, period, volumes};
