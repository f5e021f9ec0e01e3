//! Zones, conduits, pipelines.

use twinguard_twin::Plant;
use twinguard_twin::plant::{Effect, Verb};

use super::Found;
use crate::policy::{Conduit, Pipeline, Source, Zone, matches};

fn conduit<'a>(source: &'a Source, from: &str, to: &str) -> Option<&'a Conduit> {
    source.conduits.iter().find(|conduit| conduit.from == from && conduit.to == to)
}

fn zone<'a>(source: &'a Source, name: &str) -> Option<&'a Zone> {
    source.zones.iter().find(|zone| zone.name == name)
}

pub(super) fn missing_conduit(source: &Source, plant: &Plant, found: &mut Found) {
    // Where nothing lies in a zone there are no borders.
    if source.zones.iter().all(|zone| zone.assets.is_empty()) {
        return;
    }
    for clause in source.clauses.iter().filter(|clause| clause.rule.effect == Effect::Allow) {
        let rule = &clause.rule;
        for to in &source.zones {
            let lies = |signal: &twinguard_types::SignalId| {
                let path = plant.catalogue.path(*signal);
                to.assets.iter().any(|pattern| matches(pattern, path))
            };
            if !rule.signals.iter().any(lies) {
                continue;
            }
            for from in rule.zones.iter().filter(|from| **from != to.name) {
                if conduit(source, from, &to.name).is_none() {
                    let text = format!(
                        "rule `{}` reaches from zone `{from}` into `{}`, and no conduit does",
                        rule.name, to.name
                    );
                    found.push((clause.place.clone(), text));
                }
            }
        }
    }
    for pipeline in source.pipelines.iter().filter(|pipeline| pipeline.from != pipeline.to) {
        if conduit(source, &pipeline.from, &pipeline.to).is_none() {
            let Pipeline { name, from, to, .. } = pipeline;
            let text = format!("pipeline `{name}` runs from zone `{from}` into `{to}`, and no conduit does");
            found.push((pipeline.place.clone(), text));
        }
    }
}

pub(super) fn unauthenticated(source: &Source, _: &Plant, found: &mut Found) {
    for pipeline in &source.pipelines {
        let writes = pipeline.verbs.iter().any(|verb| *verb != Verb::Read);
        if writes && !pipeline.authenticated {
            let text = format!("pipeline `{}` ({}) lets anybody write", pipeline.name, pipeline.protocol);
            found.push((pipeline.place.clone(), text));
        }
    }
}

pub(super) fn plain_text(source: &Source, _: &Plant, found: &mut Found) {
    for pipeline in source.pipelines.iter().filter(|pipeline| !pipeline.encrypted) {
        let by_zone = [&pipeline.from, &pipeline.to]
            .into_iter()
            .filter_map(|name| zone(source, name))
            .find(|zone| !zone.plain_text || zone.target.of(4) >= 2);
        let by_conduit = conduit(source, &pipeline.from, &pipeline.to)
            .filter(|conduit| conduit.encrypted || conduit.target.of(4) >= 2);
        let who = match (by_conduit, by_zone) {
            (Some(conduit), _) => format!("conduit `{}`", conduit.name),
            (None, Some(zone)) => format!("zone `{}`", zone.name),
            (None, None) => continue,
        };
        let text = format!(
            "pipeline `{}` ({}) is plain text, which {who} forbids",
            pipeline.name, pipeline.protocol
        );
        found.push((pipeline.place.clone(), text));
    }
}

pub(super) fn weak_conduit(source: &Source, _: &Plant, found: &mut Found) {
    for conduit in &source.conduits {
        let Some(zone) = zone(source, &conduit.to) else { continue };
        // Those that a conduit can keep or break: who comes in, untampered, unread, only where allowed.
        let weaker: Vec<String> = [1, 3, 4, 5]
            .into_iter()
            .filter(|requirement| conduit.target.of(*requirement) < zone.target.of(*requirement))
            .map(|requirement| format!("FR {requirement}"))
            .collect();
        if !weaker.is_empty() {
            let text = format!(
                "conduit `{}` promises less than zone `{}` needs: {}",
                conduit.name,
                zone.name,
                weaker.join(", ")
            );
            found.push((conduit.place.clone(), text));
        }
    }
}
