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
//! Not here yet: certificates and tokens (identity is an address or what the platform says), a policy linter,
//! sequence and interlock guards, Cedar.

mod error;
mod gate;
mod identity;
mod policy;
mod what_if;

pub use error::Error;
pub use gate::{Gate, GateConfig, GateState};
pub use identity::Identities;
pub use policy::Policy;
