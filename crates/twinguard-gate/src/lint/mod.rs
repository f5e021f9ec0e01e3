//! What is wrong with a policy that reads well: rules that do nothing, rules that contradict each other, grants that are
//! too wide, borders without a conduit, pipelines that should not be built like that.
//!
//! Source: the taxonomy of rule anomalies of Al-Shaer, Hamed, "Modeling and management of firewall policies", IEEE TNSM
//! 1(1) 2004, §3 (shadowing, correlation, redundancy); zones and conduits of IEC 62443-3-2 ZCR 3 and 3-3 SR 5.
//!
//! Each check is exact for what it compares: it may miss a rule that several others cover together, it does not report
//! one that still does something. A new check is one function and one line of [`CHECKS`].
//!
//! ```
//! use twinguard_gate::{lint, policy::Source};
//! use twinguard_twin::Plant;
//!
//! let plant = Plant::parse("format = 1\nname = \"p\"\n[[signal]]\npath = \"valve\"\nrole = \"actuator\"\n", "plant.toml")?;
//! let text = "format = 1\n[[rule]]\nname = \"anybody\"\neffect = \"allow\"\nsignals = [\"valve\"]\n";
//! let found = lint::lint(&Source::parse(text, "policy.toml", &plant)?, &plant);
//! assert_eq!(found[0].to_string(), "policy.toml:3:8: TG004 over-broad: rule `anybody` lets anybody write");
//! assert!(lint::sarif(&found).contains("\"2.1.0\""));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod broad;
mod overlap;
mod reach;
mod sarif;
mod zones;

use twinguard_twin::Plant;
use twinguard_twin::problem::Place;

use crate::policy::Source;

pub use sarif::sarif;

/// Places and words.
type Found = Vec<(Option<Place>, String)>;

/// How grave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Worth a look.
    Note,
    /// Probably not what was meant.
    Warning,
    /// A hole, or a rule that cannot work.
    Error,
}

/// One kind of defect.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// Its number, never used for anything else.
    pub id: &'static str,
    /// Its name.
    pub name: &'static str,
    /// How grave.
    pub level: Level,
    /// What it is, for people.
    pub about: &'static str,
    run: fn(&Source, &Plant, &mut Found),
}

/// All checks.
pub const CHECKS: &[Check] = &[
    Check {
        id: "TG001",
        name: "shadowed",
        level: Level::Warning,
        about: "another rule of the same effect does all that this one does",
        run: overlap::shadowed,
    },
    Check {
        id: "TG002",
        name: "conflicting",
        level: Level::Warning,
        about: "an allow and a forbid overlap, and neither is the other's exception",
        run: overlap::conflicting,
    },
    Check {
        id: "TG003",
        name: "unreachable",
        level: Level::Error,
        about: "the rule can never take effect",
        run: reach::unreachable,
    },
    Check {
        id: "TG004",
        name: "over-broad",
        level: Level::Error,
        about: "the grant is wider than any job needs",
        run: broad::broad,
    },
    Check {
        id: "TG005",
        name: "missing conduit",
        level: Level::Error,
        about: "a rule or pipeline crosses the border of a zone where no conduit leads",
        run: zones::missing_conduit,
    },
    Check {
        id: "TG006",
        name: "unauthenticated write",
        level: Level::Error,
        about: "a pipeline may write and does not authenticate its sender",
        run: zones::unauthenticated,
    },
    Check {
        id: "TG007",
        name: "plain text",
        level: Level::Error,
        about: "a pipeline is readable by anybody where zone or conduit forbids that",
        run: zones::plain_text,
    },
    Check {
        id: "TG008",
        name: "weak conduit",
        level: Level::Warning,
        about: "a conduit promises less than the zone that it leads to needs",
        run: zones::weak_conduit,
    },
    Check {
        id: "TG009",
        name: "no second person",
        level: Level::Error,
        about: "a rule asks for two people, and fewer than two can be them",
        run: reach::no_second,
    },
];

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Defect {
    /// The check's number.
    pub id: &'static str,
    /// The check's name.
    pub name: &'static str,
    /// How grave.
    pub level: Level,
    /// Where, for what comes from a policy file.
    pub place: Option<Place>,
    /// What, in words.
    pub text: String,
}

impl core::fmt::Display for Defect {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        write!(f, "{} {}: {}", self.id, self.name, self.text)
    }
}

/// All that is wrong with a policy of a plant, check by check. Cost: quadratic in rules that share a target.
#[must_use]
pub fn lint(source: &Source, plant: &Plant) -> Vec<Defect> {
    let mut found = Vec::new();
    for check in CHECKS {
        let mut places = Vec::new();
        (check.run)(source, plant, &mut places);
        found.extend(places.into_iter().map(|(place, text)| Defect {
            id: check.id,
            name: check.name,
            level: check.level,
            place,
            text,
        }));
    }
    found
}

#[cfg(test)]
mod tests;
