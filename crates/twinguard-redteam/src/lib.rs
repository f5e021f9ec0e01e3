//! Seeded attacks on the traffic between a twin, its controller and its plant.
//!
//! ```
//! use twinguard_redteam::SCENARIOS;
//!
//! assert!(SCENARIOS.iter().any(|entry| entry.name == "overheat"));
//! ```
//!
//! - An [`Attack`] sits on the path: it changes what passes and sends what it likes. One file each.
//! - A [`Scenario`] puts attacks together for a [`Target`].
//! - A [`Range`] runs a simulated plant, its controller and its vendor's twin over real Modbus TCP bytes, with the
//!   scenario in between, against anything that implements [`Defender`].
//!
//! Not here yet: attacks on time, identity, models and learning; attacker models with feasibility; scoreboards.

mod aims;
mod attack;
mod attacks;
mod defender;
mod range;
mod registry;
mod scenario;

pub use attack::{Attack, Injection, Reading, Window};
pub use attacks::{
    bias::Bias, command_injection::CommandInjection, freeze::Freeze, ramp::Ramp, replay::Replay,
};
pub use defender::{Defender, Reaction, Stimulus};
pub use range::{Range, RangeError, RangeOptions, Sample, Spoken, address};
pub use registry::SCENARIOS;
pub use scenario::{Entry, Scenario, Target};
