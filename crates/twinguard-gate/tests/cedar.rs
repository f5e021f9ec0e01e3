//! The compiled policy, a plain reading of the rules and Cedar's authorizer over random policies and requests; and Cedar
//! policies read back.
//!
//! `cargo test -p twinguard-gate --features cedar --test cedar` compares 10⁴ pairs; `TWINGUARD_PAIRS` sets another number.

#![cfg(feature = "cedar")]
#![allow(clippy::unwrap_used)]

mod support;

use cedar_policy::{Decision, PolicySet, ValidationMode, Validator};
use support::{Dice, asked, catalogue, pairs, plainly, policy, word};
use twinguard_gate::cedar::{Asked, Translation, read};
use twinguard_gate::policy::{Policy, Source};
use twinguard_types::SignalId;

#[test]
fn cedar_decides_what_the_compiled_policy_decides() {
    let (pairs, catalogue) = (pairs(), catalogue());
    let mut dice = Dice::new(11);
    let mut counts = std::collections::BTreeMap::new();
    let (mut done, mut policies) = (0, 0);
    while done < pairs {
        let source = policy(&mut dice);
        let compiled = Policy::compile(source.clone(), &catalogue).unwrap();
        let cedar = Translation::new(&source, &catalogue).unwrap();
        policies += 1;
        let validated =
            Validator::new(cedar.schema().clone()).validate(cedar.policies(), ValidationMode::Strict);
        assert!(validated.validation_passed(), "{validated}\n{}", cedar.text());
        let back =
            read(cedar.policies(), Source { clauses: Vec::new(), ..source.clone() }, &catalogue).unwrap();
        assert_eq!(back, source, "{}", cedar.text());

        let rated = source.clauses.iter().filter(|clause| clause.rule.commands_per_minute.is_some());
        let rated: Vec<&str> = rated.map(|clause| clause.rule.name.as_str()).collect();
        for _ in 0..50.min(pairs - done) {
            done += 1;
            let (asked, used_up) = (asked(&mut dice), dice.often(50));
            let subject = compiled.subject(&asked.principal, asked.from);
            let ruling = compiled.decide(&subject, &asked.request(&compiled), |_| !used_up);
            let response = cedar
                .response(&Asked {
                    principal: &asked.principal,
                    from: asked.from,
                    at: asked.at,
                    signal: SignalId(asked.signal as u32),
                    verb: asked.verb,
                    value: asked.value,
                    mode: asked.mode,
                    channel: asked.channel,
                    exhausted: if used_up { &rated } else { &[] },
                })
                .unwrap();
            assert_eq!(response.diagnostics().errors().count(), 0);
            let why: Vec<String> = response.diagnostics().reason().map(ToString::to_string).collect();
            let plain = plainly(&source, &asked, used_up);
            let says = match response.decision() {
                Decision::Allow if why.iter().any(|id| id.starts_with("safe state: ")) => "own",
                Decision::Allow => "allowed",
                Decision::Deny if why.iter().any(|id| id.starts_with("border: ")) => "no conduit",
                Decision::Deny if !why.is_empty() => "forbidden",
                Decision::Deny if plain == "not own" => "not own",
                Decision::Deny => "refused",
            };
            assert_eq!((says, plain), (word(ruling), word(ruling)), "pair {done}, {why:?}\n{}", cedar.text());
            *counts.entry(says).or_insert(0) += 1;
        }
    }
    let share = |says: &str| counts.get(says).copied().unwrap_or(0) * 100 / done;
    assert!(
        ["allowed", "forbidden", "refused", "no conduit"].iter().all(|says| share(says) >= 2),
        "{counts:?}"
    );
    println!("{done} pairs over {policies} policies agree with Cedar: {counts:?}");
}

fn reads(text: &str) -> Result<Source, String> {
    let policies: PolicySet = text.parse().map_err(|error| format!("{error}"))?;
    read(&policies, Source::default(), &catalogue()).map_err(|error| error.to_string())
}

#[test]
fn policies_of_another_hand_are_read_too() {
    let source = reads(
        r#"
        @id("by day")
        permit (principal in Role::"operator", action == Action::"write", resource == Signal::"a.valve")
        when { context.minute >= 360 && context.minute < 1320 }
        when { context has value && context.value.greaterThanOrEqual(decimal("0.2")) && context.value.lessThanOrEqual(decimal("1.0"))
               && (context.mode == "run" || context.mode == "start") };

        forbid (principal is Party, action, resource)
        when { principal == Party::"ben" || context has from && context.from.isInRange(ip("10.0.3.0/24")) };
        "#,
    )
    .unwrap();
    let [by_day, ben] = source.clauses.as_slice() else { panic!("{source:?}") };
    let by_day = &by_day.rule;
    assert_eq!(
        (by_day.name.as_str(), by_day.roles.as_slice()),
        ("by day", ["operator".to_owned()].as_slice())
    );
    assert_eq!((by_day.windows[0].days, by_day.windows[0].from, by_day.windows[0].to), (127, 360, 1320));
    assert_eq!((by_day.range.unwrap().min(), by_day.range.unwrap().max()), (0.2, 1.0));
    assert_eq!(by_day.modes, ["run", "start"]);
    assert_eq!(by_day.signals, [SignalId(0)]);
    let ben = &ben.rule;
    assert_eq!((ben.name.as_str(), ben.principals.as_slice()), ("policy1", ["ben".to_owned()].as_slice()));
    assert_eq!((ben.networks.len(), ben.verbs.len(), ben.signals.len()), (1, 3, 6));
}

#[test]
fn what_no_rule_can_say_is_refused_by_name() {
    let permit = |rest: &str| format!("permit (principal is Party, action, resource is Signal) {rest};");
    for (text, expected) in [
        ("permit (principal, action, resource);".to_owned(), "its principal has to be `principal is Party`"),
        ("permit (principal is Guard, action, resource);".to_owned(), "its principal is no `Party`"),
        ("permit (principal == ?principal, action, resource);".to_owned(), "is a template"),
        (
            "permit (principal is Party, action == Action::\"erase\", resource);".to_owned(),
            "`Action::\"erase\"` is no action: `read`, `write` or `configure`",
        ),
        (
            "permit (principal is Party, action, resource in Zone::\"control\");".to_owned(),
            "its resource is no `Signal`; rules name signals, not what they lie in",
        ),
        (permit("when { principal.age > 3 }"), "`when` 1 says what no rule can"),
        (
            permit(
                "when { context.mode == \"run\" } when { !(context.minute < 3 && context.authenticated) }",
            ),
            "`when` 2 says what no rule can",
        ),
        (
            permit("when { principal in Role::\"a\" && principal in Role::\"b\" }"),
            "two conditions about roles",
        ),
        (
            permit("when { principal in Role::\"a\" || context.mode == \"run\" }"),
            "`when` 1 says what no rule can",
        ),
        (
            permit("when { context has value && context.value.lessThanOrEqual(decimal(\"1.0\")) }"),
            "`when` 1 says what no rule can",
        ),
        (
            permit(
                "when { action != Action::\"write\" || context has value && context.value.greaterThanOrEqual(decimal(\"0.0001\")) && context.value.lessThanOrEqual(decimal(\"1.0\")) }",
            ),
            "`when` 1 says what no rule can",
        ),
        (permit("when { resource.path like \"zz*\" }"), "`zz*` matches no signal"),
        (permit("when { context.zones.contains(\"moon\") }"), "`moon` is no zone"),
        (permit("unless { context.mode == \"run\" }"), "`unless` 1 says what no rule can"),
        (
            format!("@commands_per_minute(\"3\") {}", permit("")),
            "`@commands_per_minute` without `unless { context.exhausted.contains(…) }`",
        ),
        (
            format!("@commands_per_minute(\"-3\") {}", permit("")),
            "`@commands_per_minute` is no positive number",
        ),
        (format!("@approvers(\"anna\") {}", permit("")), "`@approvers` is no list of roles in JSON"),
    ] {
        assert_eq!(reads(&text).unwrap_err(), format!("Cedar policy `policy0`: {expected}"), "{text}");
    }
}

/// What the guide shows is what is written; Cedar's own printing decides about line breaks.
#[test]
fn the_guide_shows_what_is_written() {
    let plant = twinguard_twin::Plant::parse(
        "format = 1\nname = \"p\"\n[[signal]]\npath = \"cooler.valve.main\"\nrole = \"actuator\"\n",
        "plant.toml",
    )
    .unwrap();
    let rule = "format = 1\n[[rule]]\nname = \"operators by day\"\neffect = \"allow\"\nroles = [\"operator\"]\n\
                signals = [\"cooler.valve.*\"]\nrange = [0.2, 1.0]\ncommands_per_minute = 4\nmodes = [\"run\"]\n\
                windows = [{ days = [\"mon\", \"tue\"], from = \"06:00\", to = \"22:00\" }]\n";
    let source = Source::parse(rule, "policy.toml", &plant).unwrap();
    let cedar = Translation::new(&source, &plant.catalogue).unwrap();
    let words = |text: &str| text.split_whitespace().collect::<String>();
    assert!(
        words(include_str!("../../../docs/src/gate.md")).contains(&words(cedar.text())),
        "{}",
        cedar.text()
    );
}

#[test]
fn borders_have_to_be_those_of_the_zones() {
    let catalogue = catalogue();
    let mut dice = Dice::new(3);
    let source = std::iter::repeat_with(|| policy(&mut dice))
        .find(|source| Translation::new(source, &catalogue).unwrap().text().contains("@border"))
        .unwrap();
    let cedar = Translation::new(&source, &catalogue).unwrap();
    let told = |base: Source| read(cedar.policies(), base, &catalogue).map_err(|error| error.to_string());
    assert!(told(source.clone()).is_ok());
    let mut open = source.clone();
    open.conduits.clear();
    assert!(told(open).unwrap_err().contains("border: "), "a border that nothing asks for");
    let mut other = source.clone();
    for zone in &mut other.zones {
        zone.target.0[0] = if zone.target.of(1) >= 2 { 0 } else { 3 };
    }
    assert!(
        told(other)
            .unwrap_err()
            .ends_with("says something else than the zones, conduits and safe state given")
    );
    let none = read(&PolicySet::new(), source, &catalogue).unwrap_err().to_string();
    assert!(
        none.ends_with("is missing, but follows from the zones, conduits and safe state given"),
        "{none}"
    );
}

/// Names are data: whatever stands in them, they come back, and nothing of them is read as policy.
#[test]
fn names_of_any_letters_come_back() {
    let catalogue = catalogue();
    let mut dice = Dice::new(9);
    let strange = [
        "\") permit (principal, action, resource); //",
        "a\nb\tc\\",
        "Größe «5» 🛠",
        "*",
        "",
        "\u{0}\u{202e}",
    ];
    let mut source = policy(&mut dice);
    source.clauses.truncate(3);
    for (at, name) in strange.into_iter().enumerate() {
        let clause = source.clauses.first_mut().unwrap();
        clause.rule.name = format!("{at}{name}");
        clause.rule.roles = vec![name.to_owned()];
        clause.rule.principals = vec![name.to_owned()];
        clause.rule.modes = vec![name.to_owned()];
        clause.rule.two_person = true;
        clause.approvers = vec![name.to_owned()];
        let cedar = Translation::new(&source, &catalogue).unwrap();
        let back = read(cedar.policies(), Source { clauses: Vec::new(), ..source.clone() }, &catalogue);
        assert_eq!(back.as_ref(), Ok(&source), "{name:?}\n{}", cedar.text());
    }
}

#[test]
fn bounds_that_cedar_cannot_hold_are_refused() {
    let catalogue = catalogue();
    let mut dice = Dice::new(5);
    let mut source = policy(&mut dice);
    source.clauses[0].rule.range = Some(twinguard_types::Range::new(0.0001, 1.0).unwrap());
    let error = Translation::new(&source, &catalogue).unwrap_err().to_string();
    assert_eq!(error, "Cedar policy `r0`: `0.0001` has more than three decimals or is beyond ±1000000000000");
}
