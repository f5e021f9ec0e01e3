//! Who may do what to which signal: default deny, forbid outweighs allow, every decision names its rule.
//!
//! Source: NIST SP 800-207 §2.1 (tenets 4 and 6: access by policy, per request), IEC 62443-3-3 SR 2.1 (authorisation
//! enforcement) and SR 5.2 (zone boundaries); the order "forbid overrides allow, nothing is allowed by default" as in Cedar.
//!
//! ```
//! use twinguard_gate::policy::{Channel, Policy, Request, Ruling, Source};
//! use twinguard_twin::{Plant, plant::Verb};
//! use twinguard_types::{Principal, Timestamp};
//!
//! let plant = Plant::parse("format = 1\nname = \"p\"\n[[signal]]\npath = \"valve\"\nrole = \"actuator\"\n", "plant.toml")?;
//! let text = r#"
//!     format = 1
//!     [[rule]]
//!     name = "operators open it by day"
//!     effect = "allow"
//!     roles = ["operator"]
//!     signals = ["valve"]
//!     range = [0.2, 1.0]
//!     windows = [{ from = "06:00", to = "22:00" }]
//! "#;
//! let policy = Policy::compile(Source::parse(text, "policy.toml", &plant)?, &plant.catalogue)?;
//! let anna = policy.subject(&Principal::new("anna").role("operator"), None);
//! let ask = |hour: i64, value| Request {
//!     at: Timestamp::from_secs(hour * 3_600),
//!     signal: plant.catalogue.id("valve").unwrap(),
//!     verb: Verb::Write,
//!     value,
//!     mode: policy.mode(""),
//!     channel: Channel::default(),
//! };
//! assert_eq!(policy.decide(&anna, &ask(12, 0.5), |_| true), Ruling::Allowed(0));
//! let why = policy.explain(&anna, &ask(12, 0.1), |_| true);
//! assert_eq!(why.text, "0.1 is outside 0.2 to 1, which rule `operators open it by day` allows");
//! assert_eq!(policy.explain(&anna, &ask(23, 0.5), |_| true).ruling, Ruling::Refused);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod compile;
mod shared;
mod source;
mod words;

pub(crate) use compile::ZONES;
pub use compile::{Channel, Miss, Mode, Policy, Request, Ruling, Subject};
pub use shared::SharedPolicy;
pub(crate) use source::resolve;
pub use source::{Clause, Condition, Conduit, GuardSpec, Pipeline, SecurityLevels, Source, Zone, matches};
pub use words::{Explanation, Step};
