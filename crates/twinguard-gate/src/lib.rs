//! The zero-trust gate: every command is decided by identity, policy, rate and simulated consequence.
//!
//! ```
//! use twinguard_gate::{Gate, GateConfig};
//! use twinguard_twin::Plant;
//! use twinguard_types::{Command, CommandId, CommandOrigin, Decision, Principal, PrincipalId, Timestamp, Value};
//!
//! let plant = Plant::parse("format = 1\nname = \"p\"\n[[signal]]\npath = \"valve\"\nrole = \"actuator\"\n", "plant.toml")?;
//! let mut gate = Gate::new(&plant, GateConfig::default())?;
//! let command = Command {
//!     id: CommandId(0),
//!     principal: PrincipalId(0),
//!     signal: plant.catalogue.id("valve").ok_or("no valve")?,
//!     value: Value::real(0.5)?,
//!     at: Timestamp::ZERO,
//!     origin: CommandOrigin::Platform,
//!     from: None,
//! };
//! let verdict = gate.admit(Timestamp::ZERO, &command, &Principal::new("somebody"), None);
//! assert_eq!(verdict.decision, Decision::Deny, "nothing is allowed that no rule allows");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | here | |
//! |---|---|
//! | [`identity`] | who speaks: addresses, what a channel proves, trust that decays, capability tokens, revocation |
//! | [`policy`] | rules, zones and conduits, compiled to an index; replaced while others read; every decision explained |
//! | [`guards`] | rate, sequence, interlock, select before operate, maintenance, budgets, small steps, replay |
//! | [`Gate`] | all of it in one call, with the [consequence](Certificate) on a fork of the twin |
//! | [`lint`] | what is wrong with a policy, as SARIF |
//! | `identity::biscuit` (feature) | capability tokens that others can verify |
//! | `cedar` (feature) | a policy as Cedar policies, for the tools of others, and back |
//! | [`Record`], [`BreakGlass`] | a verdict in 256 bytes; setting the rules aside, by two people and for a while |
//!
//! Not here: power-flow screens of grid commands, and people's tokens of an identity provider, which the gateway takes.

mod error;
mod gate;
mod policy_file;
mod what_if;

#[cfg(feature = "cedar")]
pub mod cedar;
pub mod guards;
pub mod identity;
pub mod lint;
pub mod policy;

pub use error::Error;
pub use gate::{Asking, BreakGlass, Code, Gate, GateConfig, GateState, Judgement, Notice, Record};
pub use identity::Identities;
pub use policy::Policy;
pub use what_if::{Certificate, Confidence, Flaw, Start, Tube};
