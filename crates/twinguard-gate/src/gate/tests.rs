use super::*;
use twinguard_types::{CommandOrigin, Decision, Stage, Value, Verdict};

use crate::identity::{Caveat, Credential};

const PLANT: &str = r#"
    format = 1
    name = "p"
    [[signal]]
    path = "valve"
    role = "actuator"
    [[signal]]
    path = "pump"
    role = "actuator"
    [[principal]]
    name = "anna"
    roles = ["operator"]
    [[principal]]
    name = "ben"
    roles = ["operator"]
    [[principal]]
    name = "carla"
    roles = ["supervisor"]
    [[principal]]
    name = "gateway"
"#;

const POLICY: &str = r#"
    format = 1
    [[rule]]
    name = "operators move the valve"
    effect = "allow"
    roles = ["operator"]
    signals = ["valve"]
    range = [0.0, 1.0]
    commands_per_minute = 3
    [[rule]]
    name = "the pump needs a supervisor"
    effect = "allow"
    roles = ["operator"]
    signals = ["pump"]
    approvers = ["supervisor"]
    [[guard]]
    kind = "cumulative"
    name = "no creeping"
    signals = ["valve"]
    most = 0.5
    within_s = 3600
"#;

struct Bench {
    gate: Gate,
    plant: Plant,
    now: Timestamp,
    next: u64,
}

impl Bench {
    fn new(config: GateConfig) -> Self {
        let plant = Plant::parse(PLANT, "plant.toml").unwrap();
        let source = Source::parse(POLICY, "policy.toml", &plant).unwrap();
        Self {
            gate: Gate::with_policy(&plant, config, source).unwrap(),
            plant,
            now: Timestamp::ZERO,
            next: 0,
        }
    }

    fn who(&self, name: &str) -> Principal {
        self.gate.identities().named(name).cloned().unwrap_or_else(|| Principal::new(name))
    }

    fn command(&mut self, path: &str, value: f64) -> Command {
        self.next += 1;
        self.now = self.now + Duration::from_secs(1);
        Command {
            id: CommandId(self.next),
            principal: PrincipalId(0),
            signal: self.plant.catalogue.id(path).unwrap(),
            value: Value::real(value).unwrap(),
            at: self.now,
            origin: CommandOrigin::Platform,
            from: None,
        }
    }

    fn ask(&mut self, name: &str, path: &str, value: f64) -> Verdict {
        let (who, command) = (self.who(name), self.command(path, value));
        self.gate.admit(self.now, &command, &who, None)
    }

    fn ask_with(&mut self, name: &str, proof: Option<&Proof>, token: Option<&Token>, value: f64) -> Verdict {
        let (who, command) = (self.who(name), self.command("valve", value));
        let asking = Asking { proof, token, ..Asking::of(&who) };
        self.gate.admit_as(self.now, &command, &asking, None)
    }
}

fn first(verdict: &Verdict) -> (Decision, Stage, &str) {
    let reason = &verdict.reasons[0];
    (verdict.decision, reason.stage, reason.text.as_str())
}

#[test]
fn guards_bar_what_rules_allow_and_leave_no_trace_of_it() {
    let mut bench = Bench::new(GateConfig::default());
    assert_eq!(bench.ask("anna", "valve", 0.5).decision, Decision::Allow);
    let crept = bench.ask("anna", "valve", 0.0);
    assert_eq!(crept.decision, Decision::Allow);
    let crept = bench.ask("anna", "valve", 0.7);
    let (decision, stage, text) = first(&crept);
    assert_eq!((decision, stage), (Decision::Deny, Stage::Guard));
    assert!(text.starts_with("guard `no creeping`: "), "{text}");
    // Asking used the rule's rate up, whatever came of it.
    assert!(first(&bench.ask("anna", "valve", 0.1)).2.contains("used up"));
}

#[test]
fn an_expired_certificate_stops_commands_and_a_stolen_one_names_its_owner() {
    let mut bench = Bench::new(GateConfig::default());
    let certificate = Credential::Certificate(Digest([1; 32]));
    let anna = bench.who("anna");
    bench.gate.credentials_mut().bind(certificate.clone(), anna, Some(Timestamp::from_secs(3)));
    let proof = Proof { credentials: vec![certificate.clone()], ..Proof::default() };
    assert_eq!(bench.ask_with("anna", Some(&proof), None, 0.5).decision, Decision::Allow);
    assert!(first(&bench.ask_with("ben", Some(&proof), None, 0.5)).2.contains("somebody else"));
    let late = bench.ask_with("anna", Some(&proof), None, 0.5);
    assert_eq!(first(&late).1, Stage::Identity);
    assert!(first(&late).2.contains("expired"), "{late:?}");
    let stranger = Proof { credentials: vec![Credential::NoiseKey([0; 32])], ..Proof::default() };
    assert_eq!(bench.ask_with("anna", Some(&stranger), None, 0.5).decision, Decision::Deny);
    bench.gate.credentials_mut().revoke_principal("ben", true);
    assert!(first(&bench.ask("ben", "valve", 0.5)).2.contains("revoked"));
}

#[test]
fn a_token_lends_its_subjects_rights_within_its_caveats() {
    let mut bench = Bench::new(GateConfig::default());
    let key = TokenKey::new(&[1; 32]);
    let holder = [Caveat::Holder("gateway".into()), Caveat::Until(Timestamp::from_secs(10))];
    let token = key.mint(5, "anna", &holder).unwrap().attenuate(Caveat::Range(0.0, 0.5)).unwrap();
    assert!(first(&bench.ask_with("gateway", None, Some(&token), 0.5)).2.contains("no key"));
    bench.gate.set_token_key(key.clone());
    assert_eq!(bench.ask("gateway", "valve", 0.5).decision, Decision::Deny, "it may nothing itself");
    assert_eq!(bench.ask_with("gateway", None, Some(&token), 0.5).decision, Decision::Allow);
    assert!(first(&bench.ask_with("gateway", None, Some(&token), 0.6)).2.contains("not for this value"));
    assert!(first(&bench.ask_with("ben", None, Some(&token), 0.5)).2.contains("somebody else"));
    bench.gate.revoke_token(5);
    assert!(first(&bench.ask_with("gateway", None, Some(&token), 0.5)).2.contains("revoked"));
    let nobody = key.mint(6, "nobody", &[]).unwrap();
    assert_eq!(bench.ask_with("gateway", None, Some(&nobody), 0.5).decision, Decision::Deny);
}

#[test]
fn trust_runs_out_and_a_proof_brings_it_back() {
    let mut bench = Bench::new(GateConfig { trust: Some(TrustConfig::default()), ..GateConfig::default() });
    assert_eq!(bench.ask("anna", "valve", 0.1).decision, Decision::StepUp);
    let now = bench.now;
    bench.gate.proved(now, "anna");
    assert_eq!(bench.ask("anna", "valve", 0.1).decision, Decision::Allow);
    bench.gate.suspected("anna", Severity::Critical);
    assert_eq!(first(&bench.ask("anna", "valve", 0.1)).1, Stage::Trust);
    bench.gate.cleared("anna");
    assert_eq!(bench.ask("anna", "valve", 0.1).decision, Decision::Allow);
    bench.now = bench.now + Duration::from_secs(9 * 3_600);
    assert_eq!(bench.ask("anna", "valve", 0.1).decision, Decision::StepUp);
}

#[test]
fn the_second_person_holds_the_role_that_the_rule_asks_for() {
    let mut bench = Bench::new(GateConfig::default());
    let held = bench.ask("anna", "pump", 1.0);
    assert_eq!(first(&held), (Decision::Hold, Stage::Policy, "a second person has to agree"));
    let approve = |bench: &mut Bench, name: &str| {
        let (who, now) = (bench.who(name), bench.now);
        bench.gate.approve(now, held.command, &who, true, None)
    };
    assert!(matches!(approve(&mut bench, "anna"), Err(Error::SamePerson { .. })));
    assert!(
        matches!(approve(&mut bench, "ben"), Err(Error::NotEntitled { .. })),
        "an operator is not enough"
    );
    assert_eq!(approve(&mut bench, "carla").unwrap().2.decision, Decision::Allow);
    // What was forbidden meanwhile is not let through by an old approval.
    let held = bench.ask("anna", "pump", 1.0);
    let text = format!("{POLICY}\n[[rule]]\nname = \"halt\"\neffect = \"forbid\"\nsignals = [\"*\"]\n");
    bench.gate.set_policy(Source::parse(&text, "policy.toml", &bench.plant).unwrap()).unwrap();
    let (carla, now) = (bench.who("carla"), bench.now);
    let late = bench.gate.approve(now, held.command, &carla, true, None).unwrap().2;
    assert_eq!(first(&late), (Decision::Deny, Stage::Policy, "rule `halt` forbids it"));
}

#[test]
fn what_ran_out_while_a_command_was_held_is_not_let_through_by_an_approval() {
    let certificate = Credential::Certificate(Digest([1; 32]));
    let ends = Timestamp::from_secs(100);
    let proof = Proof { credentials: vec![certificate.clone()], not_after: Some(ends), ..Proof::default() };
    let key = TokenKey::new(&[1; 32]);
    let token = key.mint(5, "anna", &[Caveat::Holder("gateway".into()), Caveat::Until(ends)]).unwrap();
    let peer: core::net::SocketAddr = "10.0.0.9:50000".parse().unwrap();
    // What happens between asking and the approval, by whom and when it comes, and what is said then.
    type Meanwhile<'a> = &'a dyn Fn(&mut Gate);
    let revoke: Meanwhile<'_> = &|gate| gate.credentials_mut().revoke(certificate.clone());
    let unbind: Meanwhile<'_> = &|gate| assert!(gate.credentials_mut().unbind(&certificate));
    let cases: [(&str, i64, Meanwhile<'_>, &str); 9] = [
        ("anna", 50, &|_| {}, ""),
        ("anna", 50, unbind, ""),
        ("anna", 100, &|_| {}, "expired"),
        ("anna", 50, revoke, "revoked"),
        ("anna", 50, &|gate| gate.isolate(peer.ip(), None), "isolated"),
        ("gateway", 50, &|_| {}, ""),
        ("gateway", 101, &|_| {}, "it has expired"),
        ("gateway", 50, &|gate| gate.revoke_token(5), "revoked"),
        ("gateway", 50, &|gate| gate.credentials_mut().revoke_principal("gateway", true), "revoked"),
    ];
    for (number, (name, at, meanwhile, expect)) in cases.into_iter().enumerate() {
        let mut bench = Bench::new(GateConfig::default());
        bench.gate.set_token_key(key.clone());
        let (who, anna, carla) = (bench.who(name), bench.who("anna"), bench.who("carla"));
        bench.gate.credentials_mut().bind(certificate.clone(), anna, None);
        let command = Command { from: Some(peer), ..bench.command("pump", 1.0) };
        let asking = match name {
            "anna" => Asking { proof: Some(&proof), ..Asking::of(&who) },
            _ => Asking { token: Some(&token), ..Asking::of(&who) },
        };
        assert_eq!(
            bench.gate.admit_as(bench.now, &command, &asking, None).decision,
            Decision::Hold,
            "{number}"
        );
        meanwhile(&mut bench.gate);
        let now = Timestamp::from_secs(at);
        let verdict = bench.gate.approve(now, command.id, &carla, true, None).unwrap().2;
        let (decision, stage, text) = first(&verdict);
        if expect.is_empty() {
            assert_eq!(decision, Decision::Allow, "{number} {text}");
        } else {
            assert_eq!((decision, stage), (Decision::Deny, Stage::Identity), "{number} {text}");
            assert!(text.contains(expect), "{number} {text}");
        }
    }
}

#[test]
fn another_policy_counts_at_once_and_rates_stay_used() {
    let mut bench = Bench::new(GateConfig::default());
    for _ in 0..3 {
        assert_eq!(bench.ask("anna", "valve", 0.5).decision, Decision::Allow);
    }
    let handle = bench.gate.policy();
    let wider = POLICY.replace("range = [0.0, 1.0]", "range = [0.0, 2.0]");
    let source = Source::parse(&wider, "policy.toml", &bench.plant).unwrap();
    handle.replace(Policy::compile(source, &bench.plant.catalogue).unwrap());
    assert!(first(&bench.ask("anna", "valve", 0.5)).2.contains("used up"));
    bench.now = bench.now + Duration::from_secs(60);
    assert_eq!(bench.ask("anna", "valve", 1.0).decision, Decision::Allow);
}

#[test]
fn glass_is_broken_by_two_for_a_while_and_loudly() {
    let config =
        GateConfig { break_glass: vec!["operator".into(), "supervisor".into()], ..GateConfig::default() };
    let mut bench = Bench::new(config);
    let [anna, carla, gateway] = ["anna", "carla", "gateway"].map(|name| bench.who(name));
    let pump = bench.plant.catalogue.id("pump").unwrap();
    let lasting = Duration::from_secs(600);
    let now = bench.now;
    let ask = |bench: &mut Bench, who: &Principal, lasting, reason| {
        bench.gate.ask_to_break_glass(now, who, &[pump], lasting, reason)
    };
    assert!(ask(&mut bench, &gateway, lasting, "fire").is_err());
    assert!(ask(&mut bench, &anna, Duration::from_secs(86_400), "fire").is_err());
    assert!(ask(&mut bench, &anna, lasting, " ").is_err());
    let id = ask(&mut bench, &anna, lasting, "fire").unwrap();
    assert_eq!(bench.ask("anna", "pump", 1.0).decision, Decision::Hold, "not yet");
    assert!(bench.gate.agree_to_break_glass(now, id, &anna).is_err(), "alone");
    bench.gate.agree_to_break_glass(now, id, &carla).unwrap();
    let passed = bench.ask("anna", "pump", 1.0);
    assert_eq!(passed.decision, Decision::Allow);
    assert!(first(&passed).2.starts_with("BREAK-GLASS 0 by `anna` and `carla`"), "{passed:?}");
    assert_eq!(bench.ask("ben", "pump", 1.0).decision, Decision::Hold, "it is anna's");
    assert_eq!(bench.ask("anna", "valve", 3.0).decision, Decision::Deny, "it is for the pump");
    assert_eq!(bench.gate.next_deadline(), Some(Timestamp::from_secs(301)), "held commands first");
    bench.gate.tick(now + lasting);
    bench.now = now + lasting;
    assert_eq!(bench.ask("anna", "pump", 1.0).decision, Decision::Hold);
    let told: Vec<&str> = bench
        .gate
        .take_notices()
        .iter()
        .map(|notice| match notice {
            Notice::Asked(_) => "asked",
            Notice::Opened(_) => "opened",
            Notice::Used { .. } => "used",
            Notice::Closed(_) => "closed",
        })
        .collect();
    assert_eq!(told, ["asked", "opened", "used", "closed"]);
}

#[test]
fn what_a_gate_remembers_goes_on_in_another() {
    let mut bench = Bench::new(GateConfig::default());
    bench.ask("anna", "valve", 0.5);
    bench.ask("anna", "pump", 1.0);
    bench.gate.set_mode("run");
    let state = bench.gate.state();
    #[cfg(feature = "serde")]
    let state = serde_json::from_str(&serde_json::to_string(&state).unwrap()).unwrap();
    let mut other = Bench::new(GateConfig::default());
    other.gate = other.gate.with_state(state).unwrap();
    assert_eq!(other.gate.state(), bench.gate.state());
    for gate in [&mut bench, &mut other] {
        gate.now = Timestamp::from_secs(10);
        gate.next = 10;
    }
    for value in [0.6, 1.2, 0.0] {
        assert_eq!(bench.ask("anna", "valve", value), other.ask("anna", "valve", value));
    }
    let plain = Gate::new(&bench.plant, GateConfig::default()).unwrap();
    assert!(matches!(plain.with_state(bench.gate.state()), Err(Error::State { .. })), "other rules");
}

#[test]
fn records_keep_what_decided() {
    let mut bench = Bench::new(GateConfig::default());
    for (name, path, value, rule) in [
        ("anna", "valve", 0.5, "operators move the valve"),
        ("anna", "valve", 1.0, "operators move the valve"),
        ("ben", "valve", 0.0, "no creeping"),
    ] {
        let (who, command) = (bench.who(name), bench.command(path, value));
        let asking = Asking::of(&who);
        let judgement = bench.gate.judge(bench.now, &command, &asking, None);
        let record = bench.gate.record(bench.now, &command, &asking, &judgement);
        assert_eq!((record.principal.as_str(), record.rule.as_str()), (name, rule));
        let bytes = record.to_bytes();
        assert!(bytes.len() <= 256);
        assert_eq!(Record::from_bytes(&bytes), Ok(record));
    }
}
