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
//! Not here yet: two-phase model revert, staged return to normal, worst-case reach, learned planners.

mod error;
mod registry;
mod responder;
mod responders;

pub use error::Error;
pub use registry::RESPONDERS;
pub use responder::{Autonomy, Responder, Situation};
pub use responders::playbook::{Playbook, PlaybookState};
