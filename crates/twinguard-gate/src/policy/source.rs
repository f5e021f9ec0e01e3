//! What people write down: zones and conduits, pipelines, rules, guards.
//!
//! Source: zones, conduits and target security levels (one per foundational requirement FR 1 to FR 7) of IEC 62443-3-2
//! and IEC 62443-3-3 §4.

use std::collections::BTreeSet;

use twinguard_twin::plant::{Network, Plant, Rule, Verb, Window};
use twinguard_twin::problem::Place;
use twinguard_types::{Catalogue, Duration, Range, SignalId};

/// Target security levels 0 to 4, one per foundational requirement of IEC 62443-3-3: identification and authentication,
/// use control, system integrity, data confidentiality, restricted data flow, timely response, availability.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecurityLevels(pub [u8; 7]);

impl SecurityLevels {
    /// Level of FR 1 to FR 7, counted from 1; 0 for any other number.
    #[must_use]
    pub fn of(&self, requirement: usize) -> u8 {
        requirement.checked_sub(1).and_then(|at| self.0.get(at)).copied().unwrap_or(0)
    }
}

/// A zone: where it is on the network, what lies in it, how well it must be protected.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone {
    /// Its name.
    pub name: String,
    /// Its addresses.
    pub networks: Vec<Network>,
    /// Patterns over the paths of the signals that lie in it.
    pub assets: Vec<String>,
    /// Target levels.
    pub target: SecurityLevels,
    /// Whether clear text may reach it.
    pub plain_text: bool,
    /// Where it is written.
    pub place: Option<Place>,
}

/// The only way from one zone into another. Where a policy names conduits, nothing else crosses a zone's border.
#[derive(Clone, Debug, PartialEq)]
pub struct Conduit {
    /// Its name.
    pub name: String,
    /// Zone that commands come from.
    pub from: String,
    /// Zone that they reach.
    pub to: String,
    /// Target levels.
    pub target: SecurityLevels,
    /// Whether the sender has to be authenticated by its channel.
    pub authenticated: bool,
    /// Whether the channel has to be encrypted.
    pub encrypted: bool,
    /// Where it is written.
    pub place: Option<Place>,
}

/// A flow of data as it is built: what the linter holds against zones and conduits.
#[derive(Clone, Debug, PartialEq)]
pub struct Pipeline {
    /// Its name.
    pub name: String,
    /// Zone that it starts in.
    pub from: String,
    /// Zone that it ends in.
    pub to: String,
    /// What it speaks, for people.
    pub protocol: String,
    /// Whether the sender is authenticated by the channel.
    pub authenticated: bool,
    /// Whether the channel is encrypted.
    pub encrypted: bool,
    /// What it may do.
    pub verbs: Vec<Verb>,
    /// Where it is written.
    pub place: Option<Place>,
}

/// A rule of the policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Clause {
    /// What a plant file can say.
    pub rule: Rule,
    /// Who may be the second person: holders of one of these roles; empty: whoever the rule itself speaks of.
    pub approvers: Vec<String>,
    /// Where it is written.
    pub place: Option<Place>,
}

/// A value that a signal has, or takes by a command.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Condition {
    /// The signal.
    pub signal: SignalId,
    /// Its value.
    pub range: Range,
}

/// What a stateful guard is told; which parts count depends on its kind ([`crate::guards`]).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GuardSpec {
    /// Its kind, by the registry's name.
    pub kind: String,
    /// Its name, shown in verdicts.
    pub name: String,
    /// The signals whose commands it looks at, sorted.
    pub signals: Vec<SignalId>,
    /// The values of commands that it looks at; absent: all.
    pub range: Option<Range>,
    /// Conditions on other signals.
    pub when: Vec<Condition>,
    /// A span of time that things have to happen within.
    pub within: Option<Duration>,
    /// A span of time that is counted over.
    pub period: Option<Duration>,
    /// At most this much.
    pub most: Option<f64>,
    /// What a unit of value spends per second.
    pub gain: Option<f64>,
    /// Times of the week, UTC.
    pub windows: Vec<Window>,
    /// Roles that are let through all the same.
    pub roles: Vec<String>,
    /// Where it is written.
    pub place: Option<Place>,
}

/// A whole policy as written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Source {
    /// Zones.
    pub zones: Vec<Zone>,
    /// Conduits between them; none: borders of zones do not count.
    pub conduits: Vec<Conduit>,
    /// Flows as they are built.
    pub pipelines: Vec<Pipeline>,
    /// Names of the principals that are known.
    pub principals: Vec<String>,
    /// Rules.
    pub clauses: Vec<Clause>,
    /// Stateful guards.
    pub guards: Vec<GuardSpec>,
    /// Values that this guard itself may write.
    pub own: Vec<(SignalId, f64)>,
}

impl Source {
    /// What the plant file says.
    #[must_use]
    pub fn from_plant(plant: &Plant) -> Self {
        let zone = |zone: &twinguard_twin::plant::Zone| Zone {
            name: zone.name.clone(),
            networks: zone.networks.clone(),
            assets: Vec::new(),
            target: SecurityLevels::default(),
            plain_text: true,
            place: None,
        };
        let clause = |rule: &Rule| Clause { rule: rule.clone(), approvers: Vec::new(), place: None };
        Self {
            zones: plant.zones.iter().map(zone).collect(),
            principals: plant.parties.iter().map(|party| party.principal.name.to_string()).collect(),
            clauses: plant.rules.iter().map(clause).collect(),
            own: plant.safe_state.clone(),
            ..Self::default()
        }
    }

    /// This and another: zones of the same name become the other's, everything else comes after.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.zones.retain(|zone| !other.zones.iter().any(|it| it.name == zone.name));
        self.zones.extend(other.zones);
        self.conduits.extend(other.conduits);
        self.pipelines.extend(other.pipelines);
        self.clauses.extend(other.clauses);
        self.guards.extend(other.guards);
        for name in other.principals {
            if !self.principals.contains(&name) {
                self.principals.push(name);
            }
        }
        self
    }
}

/// The signals that patterns match, sorted.
pub(crate) fn resolve<'a>(
    patterns: impl IntoIterator<Item = &'a str>,
    catalogue: &Catalogue,
) -> Vec<SignalId> {
    let mut found = BTreeSet::new();
    for pattern in patterns {
        found.extend(catalogue.iter().filter(|(_, signal)| matches(pattern, &signal.path)).map(|(id, _)| id));
    }
    found.into_iter().collect()
}

/// Whether text fits a pattern in which `*` stands for any text; linear memory, no recursion.
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    rest.ends_with(last)
}
