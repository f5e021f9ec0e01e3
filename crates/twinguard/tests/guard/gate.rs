//! Commands before they are sent: who may, what would happen, who has to agree.

use core::net::Ipv4Addr;

use twinguard::redteam::{Range, RangeOptions, Scenario, address};
use twinguard::twin::Plant;
use twinguard::twin::simulator::cooling_loop::Options;
use twinguard::types::{
    CommandId, CommandOrigin, Decision, Duration, Principal, PrincipalId, PrincipalKind, Stage, Timestamp,
};
use twinguard::{Approval, Config, Error, Guard, Input, Output, Verdicted, gate};

use crate::site::{self, ORIGIN, Tape, command, config, overheat, plant, poll, verdicts};

const VALVE: &str = "cooler.valve.command";

/// A guard that watched five minutes of a summer's overload, in which the cooling is needed, and when they ended.
fn warm(config: Config) -> (Guard, Timestamp) {
    let tape = Tape::new(site::guard(config)).run(&mut summer(1.1, Scenario::none()), 300);
    (tape.guard, tape.told.last().unwrap().0)
}

fn summer(load: f64, scenario: Scenario) -> Range {
    let site =
        Options { load: vec![(Timestamp::ZERO, load)], air_c: 35.0, supply_c: 28.0, ..Options::default() };
    Range::new(&plant(), &RangeOptions { seed: 7, origin: ORIGIN, site }, scenario)
}

fn vet(guard: &mut Guard, now: Timestamp, id: u64, from: Ipv4Addr, path: &str, value: f64) -> Verdicted {
    guard.handle(now, Input::Command(command(id, from, path, value, now))).unwrap();
    let said = poll(guard);
    let verdict = verdicts(&said).find(|it| it.command.id == CommandId(id)).unwrap().clone();
    let place = said.iter().position(|output| matches!(output, Output::Verdict(_))).unwrap();
    assert!(matches!(said.get(place + 1), Some(Output::Receipt(_))), "a verdict and its receipt");
    assert!(!verdict.already_sent);
    verdict
}

#[test]
fn harm_is_kept_from_the_plant_and_the_rest_let_through() {
    let (mut guard, now) = warm(config());
    let mut ask = |from, path, value| {
        let answer = vet(&mut guard, now, value as u64 + 100, from, path, value);
        (answer.verdict.decision, answer.verdict.reasons[0].stage, answer.verdict.margin)
    };
    let (decision, _, margin) = ask(address::CONTROLLER, VALVE, 0.95);
    assert_eq!(decision, Decision::Allow);
    assert!(margin.unwrap().1 > 0.0);
    // It is within what the rule allows, and would overheat the plant in an hour.
    let (decision, stage, _) = ask(address::CONTROLLER, VALVE, 0.1);
    assert_eq!(stage, Stage::WhatIf);
    match decision {
        Decision::Clamp(value) => assert!((0.1..=1.0).contains(&value.as_f64()), "{value}"),
        other => assert_eq!(other, Decision::Deny),
    }
    let barred = |(decision, stage, _)| assert_eq!((decision, stage), (Decision::Deny, Stage::Policy));
    barred(ask(address::CONTROLLER, VALVE, 0.0));
    barred(ask(address::ATTACKER, VALVE, 1.0));
    barred(ask(address::PLATFORM, VALVE, 0.5));
    assert_eq!(ask(address::PLATFORM, "cooler.oil.setpoint", 60.0).0, Decision::Allow);
    barred(ask(address::PLATFORM, "cooler.oil.setpoint", 90.0));
}

#[test]
fn without_clamping_and_without_a_model_the_rules_remain() {
    let (mut guard, now) =
        warm(Config { gate: gate::GateConfig { clamp: false, ..Default::default() }, ..config() });
    assert_eq!(vet(&mut guard, now, 1, address::CONTROLLER, VALVE, 0.1).verdict.decision, Decision::Deny);
    let (mut guard, now) =
        warm(Config { gate: gate::GateConfig { what_if: false, ..Default::default() }, ..config() });
    assert_eq!(vet(&mut guard, now, 1, address::CONTROLLER, VALVE, 0.1).verdict.decision, Decision::Allow);
    assert_eq!(vet(&mut guard, now, 2, address::CONTROLLER, VALVE, 0.0).verdict.decision, Decision::Deny);
}

#[test]
fn the_way_to_the_safe_state_is_open_when_the_plant_is_hot_already() {
    // Overload in a hot summer: the limit is within reach whatever the cooling does.
    let tape = Tape::new(site::guard(config())).run(&mut summer(1.6, overheat()), site::ATTACK_S + 240);
    let own: Vec<_> = verdicts(&tape.said).filter(|it| it.command.origin == CommandOrigin::Guard).collect();
    assert!(!own.is_empty(), "nothing was done");
    for it in &own {
        assert_eq!(it.verdict.decision, Decision::Allow, "{:?}", it.verdict);
    }
    assert!(own.iter().any(|it| it.verdict.margin.is_some_and(|(_, margin)| margin < 0.0)), "{own:?}");
}

#[test]
fn nobody_is_this_guard_but_this_guard() {
    let (mut guard, now) = warm(config());
    for principal in 0..8 {
        let spoofed = twinguard::types::Command {
            principal: PrincipalId(principal),
            ..command(u64::from(principal), address::ATTACKER, VALVE, 1.0, now)
        };
        guard.handle(now, Input::Command(spoofed)).unwrap();
        let said = poll(&mut guard);
        let answer = verdicts(&said).next().unwrap();
        assert_eq!(
            answer.verdict.decision,
            Decision::Deny,
            "as principal {principal}, `{}`",
            answer.principal.name
        );
    }
}

const TANK: &str = r#"
format = 1
name = "tank"
[[signal]]
path = "valve"
role = "actuator"
[[principal]]
name = "anna"
addresses = ["10.0.0.20"]
roles = ["operator"]
[[principal]]
name = "ben"
roles = ["operator"]
[[principal]]
name = "carl"
roles = ["visitor"]
[[rule]]
name = "two people open it"
effect = "allow"
roles = ["operator"]
signals = ["valve"]
two_person = true
"#;

fn tank() -> (Guard, impl Fn(&mut Guard, Timestamp, u64) -> Decision) {
    let plant = Plant::parse(TANK, "plant.toml").unwrap();
    let valve = plant.catalogue.id("valve").unwrap();
    let ask = move |guard: &mut Guard, now, id| {
        let command =
            twinguard::types::Command { signal: valve, ..command(id, address::PLATFORM, VALVE, 1.0, now) };
        guard.handle(now, Input::Command(command)).unwrap();
        decisions(&poll(guard))[0].1
    };
    (Guard::builder_unsealed(plant).build().unwrap(), ask)
}

fn decisions(said: &[Output]) -> Vec<(CommandId, Decision)> {
    verdicts(said).map(|it| (it.command.id, it.verdict.decision)).collect()
}

#[test]
fn two_people_are_two_people() {
    let (mut guard, ask) = tank();
    let approve = |guard: &mut Guard, secs, id, who: &str, approved| {
        let principal = guard.principal(Principal::new(who))?;
        let approval = Approval { command: CommandId(id), principal, approved };
        guard.handle(Timestamp::from_secs(secs), Input::Approval(approval)).map(|()| decisions(&poll(guard)))
    };
    assert_eq!(ask(&mut guard, Timestamp::from_secs(0), 1), Decision::Hold);
    let refused = |answer| match answer {
        Err(Error::Gate(error)) => error,
        other => panic!("{other:?}"),
    };
    let same = refused(approve(&mut guard, 1, 1, "anna", true));
    assert!(matches!(same, gate::Error::SamePerson { .. }), "she asked from her own address");
    for who in ["carl", "dora"] {
        let other = refused(approve(&mut guard, 1, 1, who, true));
        assert!(matches!(other, gate::Error::NotEntitled { .. }), "{who} is no operator");
    }
    assert!(matches!(refused(approve(&mut guard, 1, 2, "ben", true)), gate::Error::NotHeld { .. }));
    assert_eq!(approve(&mut guard, 2, 1, "ben", true).unwrap(), [(CommandId(1), Decision::Allow)]);
    assert!(matches!(refused(approve(&mut guard, 3, 1, "ben", true)), gate::Error::NotHeld { .. }));

    assert_eq!(ask(&mut guard, Timestamp::from_secs(10), 2), Decision::Hold);
    assert_eq!(approve(&mut guard, 11, 2, "ben", false).unwrap(), [(CommandId(2), Decision::Deny)]);

    for nobody in [0, 1, 999] {
        let approval = Approval { command: CommandId(1), principal: PrincipalId(nobody), approved: true };
        let answer = guard.handle(Timestamp::from_secs(12), Input::Approval(approval));
        assert!(matches!(answer, Err(Error::UnknownPrincipal { .. })), "{nobody}");
    }
}

#[test]
fn a_platform_names_who_commands() {
    let (mut guard, _) = tank();
    let valve = guard.catalogue().id("valve").unwrap();
    let mut vet = |who: Principal, id| {
        let principal = guard.principal(who)?;
        let asked = twinguard::types::Command {
            signal: valve,
            principal,
            from: None,
            ..command(id, address::PLATFORM, VALVE, 1.0, Timestamp::ZERO)
        };
        guard.handle(Timestamp::ZERO, Input::Command(asked))?;
        let answer = verdicts(&poll(&mut guard)).next().unwrap().clone();
        Ok::<_, Error>((answer.principal.name.to_string(), answer.verdict.decision))
    };
    assert_eq!(vet(Principal::new("ben"), 1).unwrap(), ("ben".to_owned(), Decision::Hold));
    let posing = Principal::new("carl").role("operator");
    assert_eq!(vet(posing, 2).unwrap().1, Decision::Deny, "the plant file says who carl is");
    let dora = Principal::new("dora").role("operator");
    assert_eq!(vet(dora, 3).unwrap().1, Decision::Hold, "the platform says who dora is");
    for own in
        [Principal::new("twinguard"), Principal::new("x").kind(PrincipalKind::Guard), Principal::new("*")]
    {
        assert!(matches!(vet(own, 4), Err(Error::Reserved { .. })));
    }
    // A number of the guard's own names nobody, in the record as well.
    let spoofed = twinguard::types::Command {
        signal: valve,
        principal: PrincipalId(0),
        from: None,
        ..command(5, address::PLATFORM, VALVE, 1.0, Timestamp::ZERO)
    };
    guard.handle(Timestamp::ZERO, Input::Command(spoofed)).unwrap();
    let said = poll(&mut guard);
    let answer = verdicts(&said).next().unwrap();
    assert_eq!((&*answer.principal.name, answer.verdict.decision), ("unknown", Decision::Deny));
}

#[test]
fn nobody_waits_for_ever() {
    let (mut guard, ask) = tank();
    assert_eq!(ask(&mut guard, Timestamp::ZERO, 1), Decision::Hold);
    let deadline = guard.next_deadline().unwrap();
    guard.handle(deadline - Duration::from_secs(1), Input::Tick).unwrap();
    assert_eq!(decisions(&poll(&mut guard)), []);
    guard.handle(deadline, Input::Tick).unwrap();
    assert_eq!(decisions(&poll(&mut guard)), [(CommandId(1), Decision::Deny)]);
    assert_eq!(guard.next_deadline(), None);
}
