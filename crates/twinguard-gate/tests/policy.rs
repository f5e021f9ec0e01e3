//! The compiled policy against a plain reading of the rules, over random policies and requests.
//!
//! `cargo test -p twinguard-gate --test policy` compares 10⁴ pairs; `TWINGUARD_PAIRS` sets another number
//! (`.ci/long/gate` asks for 10⁶).

#![allow(clippy::unwrap_used)]

mod support;

use support::{Dice, asked, catalogue, pairs, plainly, policy, word};
use twinguard_gate::policy::{Policy, Ruling};

#[test]
fn the_index_says_what_the_rules_say() {
    let pairs = pairs();
    let catalogue = catalogue();
    let mut dice = Dice::new(7);
    let mut counts = std::collections::BTreeMap::new();
    let mut done = 0;
    while done < pairs {
        let source = policy(&mut dice);
        let compiled = Policy::compile(source.clone(), &catalogue).unwrap();
        for _ in 0..50.min(pairs - done) {
            done += 1;
            let (asked, used_up) = (asked(&mut dice), dice.often(50));
            let subject = compiled.subject(&asked.principal, asked.from);
            let request = asked.request(&compiled);
            let why = compiled.explain(&subject, &request, |_| !used_up);
            let says = word(why.ruling);
            assert_eq!(says, plainly(&source, &asked, used_up), "pair {done}");
            *counts.entry(says).or_insert(0) += 1;
            // The explanation names a rule that holds, of the right effect.
            if let Ruling::Allowed(at) | Ruling::Forbidden(at) = why.ruling {
                let name = &compiled.clauses()[at as usize].rule.name;
                let step = why.steps.iter().find(|step| step.rule == *name).unwrap();
                assert_eq!(step.miss, None);
                assert!(why.text.contains(name));
            } else if why.ruling == Ruling::Refused {
                let holds = why.steps.iter().any(|step| step.miss.is_none());
                assert!(!holds, "nothing holds, yet {why:?}");
            }
        }
    }
    let share = |says: &str| counts.get(says).copied().unwrap_or(0) * 100 / done;
    assert!(
        ["allowed", "forbidden", "refused", "no conduit"].iter().all(|says| share(says) >= 2)
            && counts.contains_key("own")
            && counts.contains_key("not own"),
        "{counts:?}"
    );
    println!("{done} pairs agree: {counts:?}");
}
