//! A decision without a what-if allocates nothing once sender and policy are known.

use std::fmt::Write as _;

use twinguard_gate::policy::Source;
use twinguard_gate::{Asking, Gate, GateConfig};
use twinguard_twin::Plant;
use twinguard_types::{
    Command, CommandId, CommandOrigin, Decision, Principal, PrincipalId, SignalId, Timestamp, Value,
};

#[test]
fn a_decision_allocates_nothing() {
    let mut plant = "format = 1\nname = \"p\"\n".to_owned();
    for signal in 0..1_000 {
        write!(plant, "[[signal]]\npath = \"cell{}.valve{signal}\"\nrole = \"actuator\"\n", signal / 10)
            .unwrap();
    }
    let plant = Plant::parse(&plant, "plant.toml").unwrap();
    let mut policy = "format = 1\n".to_owned();
    for rule in 0..100 {
        let effect = if rule % 10 == 9 { "forbid" } else { "allow" };
        writeln!(
            policy,
            "[[rule]]\nname = \"rule {rule}\"\neffect = \"{effect}\"\nroles = [\"role{}\"]\nsignals = [\"cell{rule}.*\"]\n\
             range = [0.0, 1.0]\ncommands_per_minute = 6000000\nwindows = [{{ from = \"00:00\", to = \"24:00\" }}]",
            rule % 7
        )
        .unwrap();
    }
    policy.push_str(
        "[[guard]]\nkind = \"cumulative\"\nname = \"c\"\nsignals = [\"*\"]\nmost = 5\nwithin_s = 60\n\
         [[guard]]\nkind = \"freshness\"\nname = \"f\"\nsignals = [\"*\"]\nwithin_s = 5\n\
         [[guard]]\nkind = \"travel\"\nname = \"t\"\nsignals = [\"*\"]\nmost = 1e9\nperiod_s = 60\n",
    );
    let source = Source::parse(&policy, "policy.toml", &plant).unwrap();
    let mut gate = Gate::with_policy(&plant, GateConfig::default(), source).unwrap();
    let who = Principal::new("anna").role("role1");
    let mut sequence = 0;
    let mut ask = |signal: u32, value: f64| {
        sequence += 1;
        let now = Timestamp::from_secs(1) + twinguard_types::Duration::from_micros(sequence);
        let command = Command {
            id: CommandId(sequence as u64),
            principal: PrincipalId(3),
            signal: SignalId(signal),
            value: Value::real(value).unwrap(),
            at: now,
            origin: CommandOrigin::Platform,
            from: None,
        };
        let asking = Asking { sequence: Some(sequence as u64), ..Asking::of(&who) };
        gate.judge(now, &command, &asking, None).decision
    };
    assert_eq!(ask(10, 0.5), Decision::Allow);
    let counted = allocation_counter::measure(|| {
        for turn in 0..1_000u32 {
            assert_eq!(ask(10 + turn % 10, f64::from(turn % 3) * 0.1), Decision::Allow);
            assert_eq!(ask(600 + turn % 10, 0.5), Decision::Deny);
            assert_eq!(ask(10, 2.0), Decision::Deny);
        }
    });
    assert_eq!(counted.count_total, 0, "{counted:?}");
}
