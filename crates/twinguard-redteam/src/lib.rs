//! Seeded attacks on the traffic between a twin, its controller and its plant.
//!
//! ```
//! use twinguard_redteam::{ATTACKS, Family};
//!
//! assert!(ATTACKS.iter().any(|entry| entry.name == "overheat"));
//! assert!(ATTACKS.iter().filter(|entry| entry.family == Family::Telemetry).count() > 10);
//! ```
//!
//! - An [`Attack`] sits on the paths between device, controller, vendor's twin and guard: it changes what passes and
//!   says what it likes. One file and one line of [`ATTACKS`] each; its [`Entry`] says what it needs, what it leaves,
//!   and who did it.
//! - A [`Scenario`] is an attack aimed at a [`Target`]; with a [`Trigger`] it waits for a value, a command or the defender's
//!   silence.
//! - A [`Range`] runs a simulated plant, its controller and its vendor's twin over real Modbus TCP bytes, with the
//!   scenario in between, against anything that implements [`Defender`].
//! - A [`Judgement`] says before any run whether an attack is possible at a plant, whether anything of it could be seen,
//!   and what nobody could tell it from.
//! - A [`campaign`] runs plants × attacks × seeds and makes the scoreboard, or searches for the most damaging [`Variant`] of
//!   the attacks that a defender does not see.
//!
//! - A [`Playbook`] performs an incident as a sequence of real messages.
//!
//! Nothing here can write to a network: messages go to the defender, in the same process.

mod aims;
mod attack;
mod attacks;
pub mod campaign;
mod certificate;
mod defender;
mod error;
mod falsify;
mod ground;
mod judgement;
mod playbooks;
mod profile;
mod range;
mod recorded;
mod registry;
mod scenario;
mod speech;
mod stage;
mod target;
pub mod theory;
#[cfg(test)]
mod trial;
mod trigger;
mod variant;

pub use attack::{Attack, Injection, Reading, Transit, Utterance, Window, Writer, Writing};
pub use certificate::{Certificate, Gap};
pub use defender::{Defender, Nobody, Reaction, Stimulus};
pub use error::Error;
pub use ground::{Disturbance, Ground, ORIGIN, Stretch};
pub use judgement::Judgement;
pub use profile::{Channel, Entry, Family, Knowledge, Onset, Requirement, Resources, Trace, Visibility};
pub use range::{Range, RangeError, RangeOptions, Sample, Spoken, Views, address};
pub use recorded::{Recorded, Span};
pub use registry::{ATTACKS, PLAYBOOKS};
pub use scenario::Scenario;
pub use stage::{Playbook, Take};
pub use target::{Place, Target};
pub use trigger::Trigger;
pub use variant::Variant;
