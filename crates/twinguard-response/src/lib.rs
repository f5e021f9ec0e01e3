//! Responses to findings: typed, reversible, with a deadline each; isolation, virtual sensors, safe state.
//!
//! ```
//! use twinguard_response::{Autonomy, Playbook, Responder};
//!
//! let playbook = Playbook::new(Vec::new(), Autonomy::default())?;
//! assert_eq!(playbook.next_deadline(), None, "nothing is pending");
//! # Ok::<(), twinguard_response::Error>(())
//! ```
//!
//! - A [`Responder`] turns a finding into [`Action`](twinguard_types::Action)s; the facade carries those that command
//!   the plant to the gate and brings the verdict back. Nothing here reaches the plant by itself.
//! - Recommending is the default; [`Autonomy`] grants acting class by class.
//! - Isolation is a weapon in the wrong hands: an action that affects the process needs two independent kinds of
//!   evidence, and each kind of action has a budget.
//!
//! Planning how to contain an attack on a plant of coupled modules:
//!
//! | here | |
//! |---|---|
//! | [`shield`] | lets through only what keeps every limit for ever in the worst case; wraps any planner |
//! | [`task`], [`attacker`] | a fast simulator of modules under attack, explicit seeds |
//! | [`planner`], [`planners`] | one trait, ten planners: playbooks, a forecast, learners, an exact oracle; each explains itself |
//! | [`policy`] | what was learnt, with its training record and digest |
//! | [`screen`], [`trial`] | the shield of a task; the same attacks for every planner, with confidence intervals |
//! | [`registry`] | all of them by name |
//!
//! [`recovery`] is the way back: what is believed again is verified first, what was taken is given back step by step, broken off on new
//! evidence. Playbooks are tables of [`Play`]s; `cacao` (feature `serde`) exchanges them.
//!
//! Not here yet: planners inside the guard.

mod error;
mod play;
mod rehearsal;
mod responder;
mod responders;

pub mod attacker;
#[cfg(feature = "serde")]
pub mod cacao;
pub mod planner;
pub mod planners;
pub mod policy;
pub mod recovery;
pub mod registry;
pub mod screen;
pub mod shield;
pub mod task;
pub mod trial;

pub use error::Error;
pub use play::{Measure, Play};
pub use registry::RESPONDERS;
pub use responder::{Autonomy, Responder, Situation};
pub use responders::playbook::{Playbook, PlaybookState};
