//! A guard that was away for a while, one whose line was dead, and one whose plant has a new instrument.

use twinguard::redteam::{Nobody, Range, Reaction, Scenario};
use twinguard::types::{Duration, Finding, Suspect, Timestamp};
use twinguard::{Guard, Input, Operator};

use crate::site::{ORIGIN, config, guard, plant, range, signal};

/// Findings of so many seconds of the site.
fn live(range: &mut Range, guard: &mut Guard, seconds: i64) -> Vec<Finding> {
    let mut found = Vec::new();
    for _ in 0..seconds {
        for reaction in range.step(guard).unwrap().reactions {
            if let Reaction::Finding(finding) = reaction {
                found.push(finding);
            }
        }
    }
    found
}

#[test]
fn silence_while_nobody_listened_is_no_news() {
    for away_s in [5, 20, 900] {
        let (mut range, mut before) = (range(2, Scenario::none()), guard(config()));
        assert!(live(&mut range, &mut before, 400).is_empty());
        let kept = before.snapshot().unwrap();
        (0..away_s).for_each(|_| drop(range.step(&mut Nobody).unwrap()));
        let mut after = Guard::builder_unsealed(plant()).config(config()).restore(&kept).unwrap();
        assert_eq!(live(&mut range, &mut after, 600), [], "{away_s} s");
    }
}

#[test]
fn a_line_that_was_dead_accuses_the_network_alone() {
    let (mut range, mut guard) = (range(2, Scenario::none()), guard(config()));
    assert!(live(&mut range, &mut guard, 400).is_empty());
    let mut found = Vec::new();
    for second in 400..1_300 {
        range.step(&mut Nobody).unwrap();
        guard.handle(ORIGIN + Duration::from_secs(second + 1), Input::Tick).unwrap();
        found.extend(crate::site::findings(&crate::site::poll(&mut guard)).cloned());
    }
    assert!(!found.is_empty(), "the guard listened, and heard nothing");
    found.extend(live(&mut range, &mut guard, 600));
    let others: Vec<&Finding> = found.iter().filter(|finding| finding.suspect != Suspect::Network).collect();
    assert!(others.is_empty(), "{others:?}");
}

#[test]
fn a_new_instrument_is_compared_before_it_is_believed() {
    let (mut range, mut guard) = (range(2, Scenario::none()), guard(config()));
    assert!(live(&mut range, &mut guard, 400).is_empty());
    let signal = signal("transformer.oil.temperature");
    let at: Timestamp = ORIGIN + Duration::from_secs(401);
    let trusted = guard.estimate(signal).unwrap().1;
    guard.handle(at, Input::Operator(Operator::SensorReplaced { signal })).unwrap();
    live(&mut range, &mut guard, 20);
    assert!(guard.estimate(signal).unwrap().1 > trusted, "the model does without it");
    assert_eq!(live(&mut range, &mut guard, 300), []);
    assert!(guard.estimate(signal).unwrap().1 < 1.2 * trusted, "and takes it in again");
}
