//! The attacks, and what is known of them at each plant before any run.

use std::io::Write;

use anyhow::Result;
use serde_json::json;
use twinguard::redteam::campaign::Plan;
use twinguard::redteam::{Entry, Ground, Judgement, PLAYBOOKS, Resources, Views};

use crate::args::Args;

pub fn show(args: &Args, plan: &Plan) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let entries: Vec<&Entry> = plan.attacks.iter().filter_map(|name| Entry::named(name)).collect();
    let grounds: Vec<Ground> =
        plan.plants.iter().map(|name| Ground::named(name)).collect::<Result<_, _>>()?;
    if args.json {
        for ground in &grounds {
            for entry in &entries {
                let judged = Judgement::of(ground, entry, &Resources::ALL, &Views::ALL)?;
                let line = json!({
                    "plant": ground.name(), "attack": entry.name, "family": entry.family,
                    "techniques": entry.techniques, "feasible": judged.feasible,
                    "detectable": judged.detectable, "ambiguity": judged.ambiguity,
                    "suspect_true": entry.parties, "traces": entry.traces, "needs": entry.needs,
                });
                serde_json::to_writer(&mut out, &line)?;
                writeln!(out)?;
            }
        }
        return Ok(());
    }
    writeln!(
        out,
        "{:<20} {:<10} {:<6} {:<17} what happens",
        "attack", "family", "ATT&CK", "visible at plants"
    )?;
    for entry in &entries {
        let judged: Vec<Judgement> = grounds
            .iter()
            .map(|ground| Judgement::of(ground, entry, &Resources::ALL, &Views::ALL))
            .collect::<Result<_, _>>()?;
        let feasible = judged.iter().filter(|it| it.feasible).count();
        let visible = judged.iter().filter(|it| it.detectable).count();
        let family = serde_json::to_value(entry.family)?;
        writeln!(
            out,
            "{:<20} {:<10} {:<6} {:<17} {}",
            entry.name,
            family.as_str().unwrap_or_default(),
            entry.techniques.first().unwrap_or(&""),
            format!("{visible} of {feasible}"),
            entry.story
        )?;
    }
    let techniques: std::collections::BTreeSet<&str> =
        entries.iter().flat_map(|entry| entry.techniques.iter().copied()).collect();
    writeln!(
        out,
        "\n{} attacks, {} techniques of ATT&CK for ICS, {} plants. Visible at plants: at how many of those where it is \
         feasible anything of it could be seen.",
        entries.len(),
        techniques.len(),
        grounds.len()
    )?;
    writeln!(out, "\nIncidents, for --playbook NAME --pcap FILE:")?;
    for playbook in PLAYBOOKS {
        writeln!(out, "{:<20} {:<36} {}", playbook.name, playbook.incident, playbook.story)?;
    }
    writeln!(out, "\nFaults and everyday events of the plants:")?;
    for ground in &grounds {
        let names: Vec<String> = ground
            .incidents()
            .iter()
            .map(|it| format!("{}{}", if it.fault { "" } else { "benign " }, it.name))
            .collect();
        writeln!(
            out,
            "{:<26} {}",
            ground.name(),
            if names.is_empty() { "–".to_owned() } else { names.join(", ") }
        )?;
    }
    Ok(())
}
