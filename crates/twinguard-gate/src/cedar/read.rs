//! Cedar policies read as rules, where they say what a rule can say.

use std::collections::BTreeMap;

use cedar_policy::pst::{
    ActionConstraint, Clause as Condition, Effect as Does, EntityOrSlot, EntityUID, Policy,
    PrincipalConstraint, ResourceConstraint, Template,
};
use cedar_policy::{PolicyId, PolicySet};
use twinguard_twin::plant::{Effect, Rule, Verb, Window};
use twinguard_types::{Catalogue, Range};

use super::condition::{self, Term, verb, windows};
use super::write::{derived, ordered, printed};
use super::{APPROVERS, ID, PARTY, RATE, ROLE, SIGNAL, TWO_PERSON, is_type, refuse};
use crate::Error;
use crate::policy::{Clause, Source, resolve};

/// Reads Cedar policies as rules of a policy. Zones, conduits, guards and the safe state are not in them: they come with
/// `base`, whose rules they replace. Borders and safe values among the policies have to be those that follow from `base`.
///
/// A rule that cannot say what a policy says is no rule: nothing is left out and nothing guessed.
///
/// # Errors
/// [`Error::Cedar`] with the policy and the construct: a template, a condition that no rule has, two conditions about the
/// same thing, a scope that speaks of other types, a bound with more than three decimals, a pattern that no signal
/// matches, a border that is missing or another one than `base` has.
pub fn read(policies: &PolicySet, base: Source, catalogue: &Catalogue) -> Result<Source, Error> {
    if let Some(template) = policies.templates().next() {
        return Err(refuse(template.id().as_ref(), "is a template"));
    }
    let mut expected: BTreeMap<String, Template> = BTreeMap::new();
    for policy in derived(&base, catalogue)? {
        let id = policy.id.0.to_string();
        let parsed = parse(&id, &printed(policy)?)?;
        expected.insert(id, parsed);
    }
    let mut clauses: Vec<Clause> = Vec::new();
    for policy in ordered(policies) {
        let name = policy.annotation(ID).map_or_else(|| policy.id().to_string(), str::to_owned);
        let text = policy.to_cedar().ok_or_else(|| refuse(&name, "is linked from a template"))?;
        let policy = parse(&name, &text)?;
        match expected.remove(&name) {
            Some(same) if says_the_same(&same, &policy) => {}
            Some(_) => {
                return Err(refuse(
                    &name,
                    "says something else than the zones, conduits and safe state given",
                ));
            }
            None => clauses.push(Reader { name: &name, catalogue, base: &base }.clause(&policy)?),
        }
    }
    match expected.keys().next() {
        Some(missing) => {
            Err(refuse(missing, "is missing, but follows from the zones, conduits and safe state given"))
        }
        None => Ok(Source { clauses, ..base }),
    }
}

/// One policy, whatever built it, in the form that Cedar's parser gives.
fn parse(name: &str, text: &str) -> Result<Template, Error> {
    let policy =
        cedar_policy::Policy::parse(Some(PolicyId::new(name)), text).map_err(|it| refuse(name, it))?;
    match policy.try_into_pst().map_err(|it| refuse(name, it))? {
        Policy::Static(policy) => Ok(policy.body().clone()),
        Policy::Linked(_) => Err(refuse(name, "is linked from a template")),
    }
}

fn says_the_same(one: &Template, other: &Template) -> bool {
    one.effect == other.effect
        && one.principal == other.principal
        && one.action == other.action
        && one.resource == other.resource
        && one.clauses() == other.clauses()
}

struct Reader<'a> {
    name: &'a str,
    catalogue: &'a Catalogue,
    base: &'a Source,
}

/// What conditions a rule already has: each kind may be there once.
#[derive(Default)]
struct Found {
    roles: Vec<String>,
    zones: Vec<String>,
    senders: Vec<Term>,
    patterns: Vec<String>,
    range: Option<Range>,
    windows: Vec<Window>,
    modes: Vec<String>,
}

impl Reader<'_> {
    fn refuse(&self, reason: impl ToString) -> Error {
        refuse(self.name, reason)
    }

    fn clause(&self, policy: &Template) -> Result<Clause, Error> {
        let mut found = Found::default();
        self.principal(&policy.principal, &mut found)?;
        let verbs = self.verbs(&policy.action)?;
        self.resource(&policy.resource, &mut found)?;
        let effect = match policy.effect {
            Does::Forbid => Effect::Forbid,
            Does::Permit => Effect::Allow,
        };
        let (rate, mut rated) = (self.rate(policy)?, false);
        // A rate limits what is allowed; what is forbidden stays so.
        let limits = rate.is_some() && effect == Effect::Allow;
        for (at, condition) in policy.clauses().iter().enumerate() {
            let what = |word: &str| format!("`{word}` {} says what no rule can", at + 1);
            match condition {
                Condition::When(expr) => {
                    let lists = condition::read(expr).ok_or_else(|| self.refuse(what("when")))?;
                    for list in lists {
                        self.list(list, &verbs, &mut found).map_err(|error| match error {
                            Some(error) => error,
                            None => self.refuse(what("when")),
                        })?;
                    }
                }
                Condition::Unless(expr) => {
                    let own = vec![vec![Term::Exhausted(self.name.to_owned())]];
                    if condition::read(expr) != Some(own) || !limits || rated {
                        return Err(self.refuse(what("unless")));
                    }
                    rated = true;
                }
            }
        }
        if limits && !rated {
            let says = format!("`@{RATE}` without `unless {{ context.exhausted.contains(…) }}`");
            return Err(self.refuse(says));
        }
        if found.patterns.is_empty() {
            found.patterns.push("*".to_owned());
        }
        for pattern in &found.patterns {
            if resolve([pattern.as_str()], self.catalogue).is_empty() {
                return Err(self.refuse(format!("`{pattern}` matches no signal")));
            }
        }
        for zone in &found.zones {
            if !self.base.zones.iter().any(|known| known.name == *zone) {
                return Err(self.refuse(format!("`{zone}` is no zone")));
            }
        }
        let (mut principals, mut networks) = (Vec::new(), Vec::new());
        for sender in found.senders {
            match sender {
                Term::Party(name) => principals.push(name),
                Term::From(network) => networks.push(network),
                _ => {}
            }
        }
        let approvers = self.approvers(policy)?;
        let rule = Rule {
            name: self.name.to_owned(),
            effect,
            zones: found.zones,
            roles: found.roles,
            principals,
            networks,
            verbs,
            signals: resolve(found.patterns.iter().map(String::as_str), self.catalogue),
            patterns: found.patterns,
            range: found.range,
            commands_per_minute: rate,
            windows: found.windows,
            modes: found.modes,
            two_person: policy.annotations.contains_key(TWO_PERSON) || !approvers.is_empty(),
        };
        Ok(Clause { rule, approvers, place: None })
    }

    /// One list of terms into its place; the error is `None` where no rule has such a list.
    fn list(&self, list: Vec<Term>, verbs: &[Verb], found: &mut Found) -> Result<(), Option<Error>> {
        let twice = |what: &str| Some(self.refuse(format!("two conditions about {what}")));
        let once = |empty: bool, what: &str| if empty { Ok(()) } else { Err(twice(what)) };
        match list.as_slice() {
            [Term::Roles(_), ..] => {
                once(found.roles.is_empty(), "roles")?;
                found.roles = named(list, |term| if let Term::Roles(it) = term { Some(it) } else { None })?;
            }
            [Term::Zones(_), ..] => {
                once(found.zones.is_empty(), "zones")?;
                found.zones = named(list, |term| if let Term::Zones(it) = term { Some(it) } else { None })?;
            }
            [Term::Modes(_), ..] => {
                once(found.modes.is_empty(), "modes")?;
                found.modes = named(list, |term| if let Term::Modes(it) = term { Some(it) } else { None })?;
            }
            [Term::Path(_), ..] => {
                once(found.patterns.is_empty(), "signals")?;
                let path = |term| if let Term::Path(it) = term { Some(vec![it]) } else { None };
                found.patterns = named(list, path)?;
            }
            [Term::Party(_) | Term::From(_), ..] => {
                once(found.senders.is_empty(), "senders")?;
                if !list.iter().all(|term| matches!(term, Term::Party(_) | Term::From(_))) {
                    return Err(None);
                }
                found.senders = list;
            }
            [Term::NotWrite, Term::Value(range)] => {
                once(found.range.is_none(), "values")?;
                found.range = Some(*range);
            }
            // Without a word about the action where nothing else than a write is spoken of.
            [Term::Value(range)] if *verbs == [Verb::Write] => {
                once(found.range.is_none(), "values")?;
                found.range = Some(*range);
            }
            [Term::Starts(..) | Term::Ends(..) | Term::Within(..), ..] => {
                once(found.windows.is_empty(), "hours")?;
                found.windows = windows(&list).ok_or(None)?;
            }
            _ => return Err(None),
        }
        Ok(())
    }

    fn principal(&self, constraint: &PrincipalConstraint, found: &mut Found) -> Result<(), Error> {
        let of = |uid: &EntityOrSlot, found: &mut Found, equal: bool| match uid {
            EntityOrSlot::Entity(uid) if !equal && is_type(&uid.ty, ROLE) => {
                found.roles.push(uid.eid.to_string());
                Ok(())
            }
            EntityOrSlot::Entity(uid) if equal && is_type(&uid.ty, PARTY) => {
                found.senders.push(Term::Party(uid.eid.to_string()));
                Ok(())
            }
            _ => Err(self.refuse("its principal is no `Party` and in no `Role`")),
        };
        match constraint {
            // Whoever it is would be this guard as well, whose rights are not in the rules.
            PrincipalConstraint::Any => Err(self.refuse("its principal has to be `principal is Party`")),
            PrincipalConstraint::Is(ty) if is_type(ty, PARTY) => Ok(()),
            PrincipalConstraint::IsIn(ty, uid) if is_type(ty, PARTY) => of(uid, found, false),
            PrincipalConstraint::In(uid) => of(uid, found, false),
            PrincipalConstraint::Eq(uid) => of(uid, found, true),
            _ => Err(self.refuse("its principal is no `Party`")),
        }
    }

    fn verbs(&self, constraint: &ActionConstraint) -> Result<Vec<Verb>, Error> {
        let one = |uid: &EntityUID| {
            verb(uid)
                .ok_or_else(|| self.refuse(format!("`{uid}` is no action: `read`, `write` or `configure`")))
        };
        match constraint {
            ActionConstraint::Any => Ok(Verb::ALL.to_vec()),
            ActionConstraint::Eq(uid) => Ok(vec![one(uid)?]),
            ActionConstraint::In(list) => list.iter().map(one).collect(),
        }
    }

    fn resource(&self, constraint: &ResourceConstraint, found: &mut Found) -> Result<(), Error> {
        match constraint {
            ResourceConstraint::Any => Ok(()),
            ResourceConstraint::Is(ty) if is_type(ty, SIGNAL) => Ok(()),
            ResourceConstraint::Eq(EntityOrSlot::Entity(uid))
                if is_type(&uid.ty, SIGNAL) && !uid.eid.contains('*') =>
            {
                found.patterns.push(uid.eid.to_string());
                Ok(())
            }
            _ => Err(self.refuse("its resource is no `Signal`; rules name signals, not what they lie in")),
        }
    }

    fn rate(&self, policy: &Template) -> Result<Option<f64>, Error> {
        let Some(text) = policy.annotations.get(RATE) else { return Ok(None) };
        match text.parse::<f64>() {
            Ok(rate) if rate.is_finite() && rate > 0.0 => Ok(Some(rate)),
            _ => Err(self.refuse(format!("`@{RATE}` is no positive number"))),
        }
    }

    fn approvers(&self, policy: &Template) -> Result<Vec<String>, Error> {
        let Some(text) = policy.annotations.get(APPROVERS) else { return Ok(Vec::new()) };
        serde_json::from_str(text)
            .map_err(|_| self.refuse(format!("`@{APPROVERS}` is no list of roles in JSON")))
    }
}

/// The names in terms that all are of one kind.
fn named(list: Vec<Term>, of: impl Fn(Term) -> Option<Vec<String>>) -> Result<Vec<String>, Option<Error>> {
    let lists: Option<Vec<Vec<String>>> = list.into_iter().map(of).collect();
    lists.map(|lists| lists.concat()).ok_or(None)
}
