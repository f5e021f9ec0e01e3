//! What is written of a policy: one Cedar policy a rule, a border, a safe value.

use std::collections::BTreeMap;
use std::sync::Arc;

use cedar_policy::pst::{
    ActionConstraint, Clause as Condition, Effect as Does, EntityOrSlot, PolicyID, PrincipalConstraint,
    ResourceConstraint, SmolStr, Template,
};
use cedar_policy::{Entities, PolicySet, Schema};
use twinguard_twin::plant::{Effect, Rule, Verb};
use twinguard_types::{Catalogue, SignalId};

use super::condition::{Term, all, any, window};
use super::request;
use super::{
    ACTION, APPROVERS, BORDER, GUARD, ID, PARTY, RATE, SAFE_STATE, SCHEMA, SIGNAL, TWO_PERSON, ZONE, entity,
    entity_type, refuse,
};
use crate::Error;
use crate::policy::{Clause, Source, Zone, matches};

/// A policy in Cedar's terms: the policies, their schema, and what is needed to ask.
#[derive(Clone, Debug)]
pub struct Translation {
    text: String,
    policies: PolicySet,
    pub(super) schema: Schema,
    /// Every signal with its path and zone.
    pub(super) entities: Entities,
    pub(super) zones: Vec<Zone>,
    paths: Vec<String>,
}

impl Translation {
    /// Writes a policy.
    ///
    /// # Errors
    /// [`Error::Cedar`] with the policy and what cannot be said: a bound with more than three decimals or beyond ±10¹²,
    /// two policies of one name, a name that Cedar does not take. What [`crate::Policy::compile`] refuses is not looked
    /// for here.
    pub fn new(source: &Source, catalogue: &Catalogue) -> Result<Self, Error> {
        let mut written: Vec<Template> = Vec::new();
        for clause in &source.clauses {
            written.push(rule(clause)?);
        }
        written.extend(derived(source, catalogue)?);
        let text = written.into_iter().map(printed).collect::<Result<Vec<_>, _>>()?.join("\n");
        let policies = named(&text)?;
        let schema: Schema =
            SCHEMA.parse().map_err(|error: cedar_policy::CedarSchemaError| refuse("schema", error))?;
        let zone_of = |path: &str| zone_of(source, path).map(|zone| zone.name.as_str());
        let signals: Result<Vec<_>, Error> = catalogue
            .iter()
            .map(|(_, signal)| request::signal(&signal.path, zone_of(&signal.path)))
            .collect();
        let entities =
            Entities::from_entities(signals?, Some(&schema)).map_err(|it| refuse("entities", it))?;
        Ok(Self {
            text,
            policies,
            schema,
            entities,
            zones: source.zones.clone(),
            paths: catalogue.iter().map(|(_, signal)| signal.path.to_string()).collect(),
        })
    }

    /// The policies as text, each with its name in `@id`.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The same, parsed; ids are the rules' names.
    #[must_use]
    pub const fn policies(&self) -> &PolicySet {
        &self.policies
    }

    /// The schema ([`SCHEMA`]), parsed.
    #[must_use]
    pub const fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Every signal as an entity; who asks is added by [`Translation::request`].
    #[must_use]
    pub const fn entities(&self) -> &Entities {
        &self.entities
    }

    pub(super) fn path(&self, signal: SignalId) -> Option<&str> {
        self.paths.get(signal.index()).map(String::as_str)
    }
}

/// A policy as text, one condition a line.
pub(super) fn printed(policy: Template) -> Result<String, Error> {
    let name = policy.id.0.clone();
    let conditions: String = policy.clauses().iter().map(|condition| format!("\n{condition}")).collect();
    let head = policy.try_with_clauses([]).map_err(|error| refuse(&name, error))?.to_string();
    Ok(format!("{}{conditions};\n", head.trim_end().trim_end_matches(';')))
}

/// Policies of a text, each under the name of its `@id`.
fn named(text: &str) -> Result<PolicySet, Error> {
    let parsed: PolicySet =
        text.parse().map_err(|error: cedar_policy::ParseErrors| refuse("policies", error))?;
    let mut policies = PolicySet::new();
    for policy in ordered(&parsed) {
        let name = policy.annotation(ID).unwrap_or_default().to_owned();
        let policy = policy.new_id(cedar_policy::PolicyId::new(&name));
        policies.add(policy).map_err(|error| refuse(&name, error))?;
    }
    Ok(policies)
}

/// Policies in the order of their text, also where a set sorts the ids that Cedar's parser gives, `policy10` before `policy2`.
pub(super) fn ordered(policies: &PolicySet) -> Vec<&cedar_policy::Policy> {
    let mut ordered: Vec<_> = policies.policies().collect();
    let number = |policy: &&cedar_policy::Policy| {
        policy.id().to_string().strip_prefix("policy").and_then(|number| number.parse::<usize>().ok())
    };
    if ordered.iter().all(|policy| number(policy).is_some()) {
        ordered.sort_by_key(number);
    }
    ordered
}

/// The zone that a signal lies in: the first that claims it, as the compiled policy has it.
fn zone_of<'a>(source: &'a Source, path: &str) -> Option<&'a Zone> {
    source.zones.iter().find(|zone| zone.assets.iter().any(|pattern| matches(pattern, path)))
}

/// What is not a rule: borders of zones and values that this guard may write. Names that rules do not have begin with a
/// word and a colon.
pub(super) fn derived(source: &Source, catalogue: &Catalogue) -> Result<Vec<Template>, Error> {
    let mut written = Vec::new();
    if !source.conduits.is_empty() {
        let lies =
            |zone: &&Zone| catalogue.iter().any(|(_, signal)| zone_of(source, &signal.path) == Some(zone));
        for zone in source.zones.iter().filter(lies) {
            written.push(border(zone, source)?);
        }
    }
    for (signal, value) in &source.own {
        if let Some(signal) = catalogue.signal(*signal) {
            written.push(safe_state(&signal.path, *value)?);
        }
    }
    Ok(written)
}

/// Whoever is not in the zone comes in through one of its conduits, by a channel that is good enough for both.
fn border(zone: &Zone, source: &Source) -> Result<Template, Error> {
    let way = |from: &str, authenticated: bool, encrypted: bool| -> Result<_, Error> {
        let mut terms = vec![Term::Zones(vec![from.to_owned()])];
        terms.extend(authenticated.then_some(Term::Channel("authenticated")));
        terms.extend(encrypted.then_some(Term::Channel("encrypted")));
        Ok(all(terms.iter().map(Term::expr).collect::<Result<Vec<_>, _>>()?))
    };
    let wants =
        |own: bool, requirement: usize, conduit: u8| own || zone.target.of(requirement).max(conduit) >= 2;
    let mut ways = vec![way(&zone.name, wants(false, 1, 0), wants(!zone.plain_text, 4, 0))?];
    for conduit in source.conduits.iter().filter(|conduit| conduit.to == zone.name) {
        if source.zones.iter().any(|zone| zone.name == conduit.from) {
            let authenticated = wants(conduit.authenticated, 1, conduit.target.of(1));
            let encrypted = wants(conduit.encrypted || !zone.plain_text, 4, conduit.target.of(4));
            ways.push(way(&conduit.from, authenticated, encrypted)?);
        }
    }
    let name = format!("border: {}", zone.name);
    let policy = Template::new(
        name.as_str(),
        Does::Forbid,
        PrincipalConstraint::Is(entity_type(PARTY)?),
        ActionConstraint::Any,
        ResourceConstraint::In(EntityOrSlot::Entity(entity(ZONE, &zone.name)?)),
    )
    .try_with_clauses([Condition::Unless(Arc::new(any(ways)))])
    .map_err(|error| refuse(&name, error))?;
    Ok(policy.with_annotations(annotations([(ID, name), (BORDER, zone.name.clone())])))
}

/// The one thing that this guard may write without a rule.
fn safe_state(path: &str, value: f64) -> Result<Template, Error> {
    let name = format!("safe state: {path}");
    let is = Term::Is(value).expr().map_err(|error| named_error(&name, error))?;
    let policy = Template::new(
        name.as_str(),
        Does::Permit,
        PrincipalConstraint::Is(entity_type(GUARD)?),
        ActionConstraint::Eq(entity(ACTION, Verb::Write.word())?),
        ResourceConstraint::Eq(EntityOrSlot::Entity(entity(SIGNAL, path)?)),
    )
    .try_with_clauses([Condition::When(Arc::new(is))])
    .map_err(|error| refuse(&name, error))?;
    Ok(policy.with_annotations(annotations([(ID, name), (SAFE_STATE, path.to_owned())])))
}

/// One rule, one condition a line.
fn rule(clause: &Clause) -> Result<Template, Error> {
    let rule = &clause.rule;
    let named = |error| named_error(&rule.name, error);
    let verbs: Result<Vec<_>, Error> = rule.verbs.iter().map(|verb| entity(ACTION, verb.word())).collect();
    let mut conditions = Vec::new();
    for terms in lists(rule) {
        let terms: Result<Vec<_>, Error> = terms.iter().map(Term::expr).collect();
        conditions.push(Condition::When(Arc::new(any(terms.map_err(named)?))));
    }
    if rule.commands_per_minute.is_some() && rule.effect == Effect::Allow {
        let used_up = Term::Exhausted(rule.name.clone()).expr()?;
        conditions.push(Condition::Unless(Arc::new(used_up)));
    }
    let mut noted = vec![(ID, rule.name.clone())];
    noted.extend(rule.commands_per_minute.map(|rate| (RATE, rate.to_string())));
    noted.extend(rule.two_person.then(|| (TWO_PERSON, String::new())));
    if !clause.approvers.is_empty() {
        noted.push((APPROVERS, serde_json::json!(clause.approvers).to_string()));
    }
    let does = if rule.effect == Effect::Forbid { Does::Forbid } else { Does::Permit };
    let policy = Template::new(
        PolicyID(rule.name.as_str().into()),
        does,
        PrincipalConstraint::Is(entity_type(PARTY)?),
        match <[_; 1]>::try_from(verbs?) {
            Ok([only]) => ActionConstraint::Eq(only),
            Err(several) => ActionConstraint::In(several),
        },
        ResourceConstraint::Is(entity_type(SIGNAL)?),
    )
    .try_with_clauses(conditions)
    .map_err(|error| refuse(&rule.name, error))?;
    Ok(policy.with_annotations(annotations(noted)))
}

/// The conditions of a rule, each a list of which one has to hold.
fn lists(rule: &Rule) -> Vec<Vec<Term>> {
    let mut lists = Vec::new();
    if !rule.roles.is_empty() {
        lists.push(vec![Term::Roles(rule.roles.clone())]);
    }
    if !rule.zones.is_empty() {
        lists.push(vec![Term::Zones(rule.zones.clone())]);
    }
    let parties = rule.principals.iter().cloned().map(Term::Party);
    let senders: Vec<Term> = parties.chain(rule.networks.iter().copied().map(Term::From)).collect();
    if !senders.is_empty() {
        lists.push(senders);
    }
    lists.push(rule.patterns.iter().cloned().map(Term::Path).collect());
    if let Some(range) = rule.range {
        lists.push(vec![Term::NotWrite, Term::Value(range)]);
    }
    if !rule.windows.is_empty() {
        lists.push(rule.windows.iter().flat_map(window).collect());
    }
    if !rule.modes.is_empty() {
        lists.push(vec![Term::Modes(rule.modes.clone())]);
    }
    lists
}

fn annotations<'a>(pairs: impl IntoIterator<Item = (&'a str, String)>) -> BTreeMap<String, SmolStr> {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect()
}

/// An error of a part, in the name of the whole.
fn named_error(policy: &str, error: Error) -> Error {
    match error {
        Error::Cedar { reason, .. } => Error::Cedar { policy: policy.to_owned(), reason },
        other => other,
    }
}
