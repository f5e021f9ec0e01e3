//! The guard under a campaign: what it learnt once serves every cell, and the main scenario is seen, named and held.
#![cfg(feature = "redteam")]
#![allow(missing_docs, clippy::unwrap_used)]

use twinguard::Drill;
use twinguard::redteam::campaign::{Board, Campaign, Cell, Plan};
use twinguard::types::{FindingKind, Suspect};

fn run(attacks: &str) -> Board {
    let text = format!(
        "format = 1\nplants = [\"cooling_loop\"]\nattacks = [{attacks}]\nseeds = 1\nlearn = 3600\nbefore = 1300\nattack = 600\n"
    );
    let campaign = Campaign::new(Plan::parse(&text, "plan.toml").unwrap()).unwrap();
    campaign.run(&Drill::default(), Vec::new(), Vec::new(), &|_| {}).unwrap()
}

#[test]
fn the_main_scenario_is_seen_in_time_and_named() {
    let board = run("\"overheat\", \"feed_poison\", \"model_tamper\", \"covert\"");
    let cell = |name: &str| -> &Cell { board.cells.iter().find(|cell| cell.key.attack == name).unwrap() };
    let overheat = cell("overheat");
    assert!(overheat.detected && overheat.in_time(), "{overheat:?}");
    assert!(
        overheat.naming().is_some_and(|naming| naming.is_right(&overheat.suspect_true, &[])),
        "{overheat:?}"
    );
    assert_eq!(overheat.kind, Some(FindingKind::Attack), "{overheat:?}");
    assert!(overheat.max_deviation < overheat.max_deviation_unguarded, "the guard helps: {overheat:?}");
    for (name, party) in
        [("feed_poison", [Suspect::Twin, Suspect::Feed]), ("model_tamper", [Suspect::Model; 2])]
    {
        let cell = cell(name);
        assert!(cell.detected && cell.suspect.is_some_and(|suspect| party.contains(&suspect)), "{cell:?}");
    }
    assert!(!cell("covert").detectable);
    // The same plan, the same board: nothing of one cell reaches the next.
    let again = run("\"model_tamper\", \"overheat\"");
    assert_eq!(again.cells[1], *overheat);
}
