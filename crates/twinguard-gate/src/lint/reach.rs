//! Rules that can never take effect.

use twinguard_twin::Plant;
use twinguard_twin::plant::{Effect, Verb};
use twinguard_types::Principal;

use super::Found;
use super::overlap::covers;
use crate::policy::{Clause, Source};

pub(super) fn unreachable(source: &Source, plant: &Plant, found: &mut Found) {
    for clause in &source.clauses {
        if let Some(why) = why_unreachable(clause, source, plant) {
            found.push((clause.place.clone(), format!("rule `{}`: {why}", clause.rule.name)));
        }
    }
}

fn why_unreachable(clause: &Clause, source: &Source, plant: &Plant) -> Option<String> {
    let rule = &clause.rule;
    let parties = || plant.parties.iter().map(|party| &party.principal);
    if rule.effect == Effect::Allow {
        let over = source
            .clauses
            .iter()
            .find(|other| other.rule.effect == Effect::Forbid && covers(&other.rule, rule));
        if let Some(over) = over {
            return Some(format!("all of it is forbidden by `{}`", over.rule.name));
        }
    }
    let nobody = rule.roles.iter().find(|role| !parties().any(|party| party.has_role(role)));
    if let (Some(role), true) = (nobody, parties().len() > 0 && rule.roles.len() == 1) {
        return Some(format!("nobody whom the plant file names holds the role `{role}`"));
    }
    if !rule.roles.is_empty() && !rule.principals.is_empty() && rule.networks.is_empty() {
        let holds = |party: &Principal| rule.roles.iter().any(|role| party.has_role(role));
        let named = |party: &&Principal| rule.principals.iter().any(|name| **name == *party.name);
        if !parties().filter(named).any(holds) {
            return Some("none of its principals holds one of its roles".to_owned());
        }
    }
    if !rule.zones.is_empty() {
        let placed = |name: &String| {
            source.zones.iter().any(|zone| zone.name == *name && !zone.networks.is_empty())
                || plant.zones.iter().any(|zone| zone.name == *name && !zone.networks.is_empty())
        };
        if !rule.zones.iter().any(placed) {
            return Some("its zones have no addresses: nobody is in them".to_owned());
        }
    }
    let writes = rule.verbs == [Verb::Write];
    if let (Some(range), true) = (rule.range, writes && rule.effect == Effect::Allow) {
        let apart = |signal: &twinguard_types::SignalId| {
            plant
                .catalogue
                .signal(*signal)
                .and_then(|signal| signal.range)
                .is_some_and(|it| range.max() < it.min() || range.min() > it.max())
        };
        if !rule.signals.is_empty() && rule.signals.iter().all(apart) {
            return Some("its range lies outside what its signals can be".to_owned());
        }
    }
    None
}

pub(super) fn no_second(source: &Source, plant: &Plant, found: &mut Found) {
    if plant.parties.is_empty() {
        return;
    }
    for clause in source.clauses.iter().filter(|clause| clause.rule.two_person) {
        let rule = &clause.rule;
        let asks = |party: &&Principal| {
            (rule.roles.is_empty() || rule.roles.iter().any(|role| party.has_role(role)))
                && (rule.principals.is_empty() || rule.principals.iter().any(|name| **name == *party.name))
        };
        let agrees = |party: &&Principal| {
            if clause.approvers.is_empty() {
                asks(party)
            } else {
                clause.approvers.iter().any(|role| party.has_role(role))
            }
        };
        let parties = || plant.parties.iter().map(|party| &party.principal);
        let pair = parties()
            .filter(asks)
            .any(|first| parties().filter(agrees).any(|second| second.name != first.name));
        if !pair {
            let text = format!("rule `{}`: there are no two people who could do it together", rule.name);
            found.push((clause.place.clone(), text));
        }
    }
}
