//! Grants that are too wide.

use twinguard_twin::Plant;
use twinguard_twin::plant::{Effect, LimitKind, Verb};
use twinguard_types::Role;

use super::Found;
use crate::policy::Source;

/// Networks of less than this many leading bits are the world, not a plant.
const NARROWEST_WORLD: u8 = 8;

pub(super) fn broad(source: &Source, plant: &Plant, found: &mut Found) {
    for clause in source.clauses.iter().filter(|clause| clause.rule.effect == Effect::Allow) {
        let rule = &clause.rule;
        let mut say = |text: &str| found.push((clause.place.clone(), format!("rule `{}` {text}", rule.name)));
        let does = |verb: Verb| rule.verbs.contains(&verb);
        if !(does(Verb::Write) || does(Verb::Configure)) {
            continue;
        }
        let anybody = rule.roles.is_empty()
            && rule.zones.is_empty()
            && rule.principals.is_empty()
            && rule.networks.is_empty();
        if anybody {
            say("lets anybody write");
        }
        if rule.roles.is_empty()
            && rule.principals.is_empty()
            && rule.networks.iter().any(|network| network.prefix() < NARROWEST_WORLD)
        {
            say("names a network that is half the world");
        }
        if plant.catalogue.len() > 1 && rule.signals.len() == plant.catalogue.len() {
            say("lets write every signal of the plant, measurements too");
        }
        let endangers = does(Verb::Write)
            && rule.range.is_none()
            && !rule.two_person
            && plant.limits.iter().any(|limit| limit.kind == LimitKind::NeverExceed)
            && rule.signals.iter().any(|signal| {
                plant
                    .catalogue
                    .signal(*signal)
                    .is_some_and(|signal| signal.role == Role::Actuator && signal.range.is_none())
            });
        if endangers {
            say("lets write an actuator any value, and neither the rule nor the signal has a range");
        }
    }
}
