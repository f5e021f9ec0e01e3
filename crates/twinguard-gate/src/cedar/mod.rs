//! Policies of this crate as [Cedar] policies and back, so that Cedar's own tools can analyse what the gate enforces.
//!
//! Source: the Cedar policy language 4.x, reference guide (policy syntax, schema, `decimal` and `ipaddr` extensions);
//! Cutler et al., "Cedar: A New Language for Expressive, Fast, Safe, and Analyzable Authorization", OOPSLA 2024.
//!
//! | here | in Cedar |
//! |---|---|
//! | sender | principal `Party::"anna"`, child of its `Role`s; this guard itself is a `Guard` |
//! | verb | action `Action::"read"`, `"write"`, `"configure"` |
//! | signal | resource `Signal::"cooler.valve"` with its `path`, child of the `Zone` that it lies in |
//! | address, zones of the sender, value, hour, mode, channel | `context` (see [`SCHEMA`]) |
//! | rule | one policy, its name in `@id`; a second person in `@two_person`, their roles in `@approvers` |
//! | rate of a rule | `@commands_per_minute`; that it is used up is told by the request (`context.exhausted`) |
//! | border of a zone, where conduits are named | one `forbid` a zone, its name in `@border` |
//! | safe state that this guard may write | one `permit` a signal, in `@safe_state` |
//!
//! What has no counterpart stays with the gate: identity and trust, stateful guards, what-if, the second person's consent
//! itself. A value has at most four decimals in Cedar: bounds may have three, and what lies between two of those is shown
//! halfway, so that every comparison comes out as it does here.
//!
//! ```
//! use twinguard_gate::{cedar, policy::{Channel, Source}};
//! use twinguard_twin::{Plant, plant::Verb};
//! use twinguard_types::{Principal, Timestamp};
//!
//! let plant = Plant::parse("format = 1\nname = \"p\"\n[[signal]]\npath = \"valve\"\nrole = \"actuator\"\n", "plant.toml")?;
//! let text = r#"
//!     format = 1
//!     [[rule]]
//!     name = "operators"
//!     effect = "allow"
//!     roles = ["operator"]
//!     signals = ["valve"]
//!     range = [0.2, 1.0]
//! "#;
//! let source = Source::parse(text, "policy.toml", &plant)?;
//! let cedar = cedar::Translation::new(&source, &plant.catalogue)?;
//! assert!(cedar.text().contains(r#"principal in [Role::"operator"]"#));
//!
//! let anna = Principal::new("anna").role("operator");
//! let mut asked = cedar::Asked {
//!     principal: &anna, from: None, at: Timestamp::ZERO, signal: plant.catalogue.id("valve").unwrap(), verb: Verb::Write,
//!     value: 0.5, mode: "", channel: Channel::default(), exhausted: &[],
//! };
//! assert_eq!(cedar.decide(&asked)?, cedar_policy::Decision::Allow);
//! asked.value = 0.1;
//! assert_eq!(cedar.decide(&asked)?, cedar_policy::Decision::Deny);
//!
//! let back = cedar::read(cedar.policies(), Source::default(), &plant.catalogue)?;
//! assert_eq!(back.clauses[0].rule, source.clauses[0].rule);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [Cedar]: https://www.cedarpolicy.com

mod condition;
mod read;
mod request;
mod write;

/// The crate whose policies these are.
pub use cedar_policy;
pub use read::read;
pub use request::Asked;
pub use write::Translation;

use cedar_policy::pst::{EntityType, EntityUID, Name};

use crate::Error;

/// The schema that all written policies are valid under.
pub const SCHEMA: &str = r#"entity Role, Zone;
entity Party in [Role];
entity Guard;
entity Signal in [Zone] = { "path": String };

type Facts = {
  // Monday is 0; minutes of the day; UTC.
  "weekday": Long,
  "minute": Long,
  "mode": String,
  // Zones that the sender's address lies in.
  "zones": Set<String>,
  // What the channel gives.
  "authenticated": Bool,
  "encrypted": Bool,
  // Rules whose commands of this minute are used up.
  "exhausted": Set<String>,
  "from"?: ipaddr,
  // Of a write.
  "value"?: decimal,
};

action "read", "write", "configure" appliesTo {
  principal: [Party, Guard],
  resource: [Signal],
  context: Facts,
};
"#;

/// Types of entities.
const PARTY: &str = "Party";
const GUARD: &str = "Guard";
const ROLE: &str = "Role";
const ZONE: &str = "Zone";
const SIGNAL: &str = "Signal";
const ACTION: &str = "Action";

/// Annotations.
const ID: &str = "id";
const RATE: &str = "commands_per_minute";
const TWO_PERSON: &str = "two_person";
const APPROVERS: &str = "approvers";
const BORDER: &str = "border";
const SAFE_STATE: &str = "safe_state";

fn refuse(policy: &str, reason: impl ToString) -> Error {
    Error::Cedar { policy: policy.to_owned(), reason: reason.to_string() }
}

fn entity_type(name: &str) -> Result<EntityType, Error> {
    Ok(EntityType::from_name(Name::unqualified(name).map_err(|error| refuse(name, error))?))
}

fn entity(kind: &str, id: &str) -> Result<EntityUID, Error> {
    Ok(EntityUID { ty: entity_type(kind)?, eid: id.into() })
}

/// Whether a type of entity is this one, without a namespace.
fn is_type(ty: &EntityType, kind: &str) -> bool {
    ty.0.namespace.is_empty() && ty.0.id.as_str() == kind
}
