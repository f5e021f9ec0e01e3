use super::*;

const PLANT: &str = r#"
    format = 1
    name = "p"
    [[signal]]
    path = "cell.valve"
    role = "actuator"
    range = [0.0, 1.0]
    [[signal]]
    path = "cell.pump"
    role = "actuator"
    [[signal]]
    path = "cell.flow"
    [[limit]]
    signal = "cell.flow"
    max = 10.0
    kind = "never_exceed"
    horizon_s = 60.0
    [[principal]]
    name = "anna"
    roles = ["operator"]
    [[principal]]
    name = "ben"
    roles = ["operator", "engineer"]
    [[principal]]
    name = "plc"
    roles = ["controller"]
"#;

const CLEAN: &str = r#"
format = 1
[[zone]]
name = "control"
networks = ["10.0.0.0/24"]
assets = ["cell.*"]
security_level = [2, 2, 2, 2, 1, 1, 2]
[[zone]]
name = "supervision"
networks = ["10.0.1.0/24"]
security_level = [1, 1, 1, 1, 1, 1, 1]
plain_text = true
[[conduit]]
name = "down"
from = "supervision"
to = "control"
security_level = [2, 2, 2, 2, 1, 1, 2]
authenticated = true
encrypted = true
[[pipeline]]
name = "scada"
from = "supervision"
to = "control"
protocol = "modbus security"
verbs = ["read", "write"]
authenticated = true
encrypted = true
[[rule]]
name = "the controller drives"
effect = "allow"
roles = ["controller"]
signals = ["cell.valve", "cell.pump"]
range = [0.0, 1.0]
commands_per_minute = 60
[[rule]]
name = "operators by day"
effect = "allow"
zones = ["supervision"]
roles = ["operator"]
signals = ["cell.valve"]
range = [0.2, 0.8]
windows = [{ days = ["mon", "tue", "wed", "thu", "fri"], from = "06:00", to = "22:00" }]
two_person = true
[[rule]]
name = "never shut while it runs"
effect = "forbid"
roles = ["controller"]
signals = ["cell.valve"]
range = [0.0, 0.1]
modes = ["run"]
[[rule]]
name = "everybody there reads"
effect = "allow"
zones = ["control"]
verbs = ["read"]
signals = ["*"]
"#;

fn found(text: &str) -> Vec<(&'static str, String)> {
    let plant = Plant::parse(PLANT, "plant.toml").unwrap();
    let source = Source::parse(text, "policy.toml", &plant).unwrap();
    lint(&source, &plant).into_iter().map(|defect| (defect.id, defect.text)).collect()
}

#[test]
fn a_clean_policy_has_no_defects() {
    assert_eq!(found(CLEAN), []);
}

#[test]
fn the_reference_plants_policies_are_clean() {
    for reference in twinguard_twin::simulator::references() {
        let plant = Plant::parse(reference.plant, "plant.toml").unwrap();
        let found = lint(&Source::from_plant(&plant), &plant);
        let told: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(told, Vec::<String>::new(), "{}", reference.name);
    }
}

/// Each fault is planted alone in the clean policy: it is found, at its place, and nothing else is.
#[test]
fn every_planted_fault_is_found() {
    let rule = |name: &str, rest: &str| format!("[[rule]]\nname = \"{name}\"\n{rest}\n");
    let allow = |rest: &str| rule("planted", &format!("effect = \"allow\"\n{rest}"));
    let forbid = |rest: &str| rule("planted", &format!("effect = \"forbid\"\n{rest}"));
    let planted: Vec<(&str, String, &str)> = vec![
        (
            "TG001",
            allow("roles = [\"controller\"]\nsignals = [\"cell.valve\", \"cell.pump\"]\nrange = [0.2, 0.5]\ncommands_per_minute = 5"),
            "`planted` does nothing that `the controller drives` does not",
        ),
        (
            "TG001",
            forbid("roles = [\"controller\"]\nsignals = [\"cell.valve\"]\nrange = [0.0, 0.05]\nmodes = [\"run\"]"),
            "`never shut while it runs`",
        ),
        (
            "TG001",
            allow("zones = [\"supervision\"]\nroles = [\"operator\"]\nsignals = [\"cell.valve\"]\nrange = [0.3, 0.4]\ntwo_person = true\nwindows = [{ days = [\"tue\"], from = \"08:00\", to = \"09:00\" }]"),
            "`operators by day`",
        ),
        (
            "TG002",
            forbid("roles = [\"controller\"]\nsignals = [\"cell.pump\"]\nrange = [0.5, 2.0]"),
            "`the controller drives` allows part of what `planted` forbids",
        ),
        (
            "TG003",
            allow("roles = [\"controller\"]\nsignals = [\"cell.valve\"]\nrange = [0.0, 0.05]\nmodes = [\"run\"]\ntwo_person = true\nprincipals = [\"plc\"]\napprovers = [\"operator\"]"),
            "forbidden by `never shut while it runs`",
        ),
        (
            "TG003",
            allow("roles = [\"janitor\"]\nsignals = [\"cell.valve\"]\nrange = [0.0, 1.0]"),
            "holds the role `janitor`",
        ),
        (
            "TG003",
            allow("roles = [\"engineer\"]\nprincipals = [\"anna\"]\nsignals = [\"cell.valve\"]\nrange = [0.0, 1.0]"),
            "none of its principals",
        ),
        (
            "TG003",
            allow("roles = [\"engineer\"]\nsignals = [\"cell.valve\"]\nrange = [5.0, 6.0]"),
            "outside what its signals can be",
        ),
        ("TG004", allow("signals = [\"cell.pump\"]\nrange = [2.0, 3.0]"), "lets anybody write"),
        (
            "TG004",
            allow("principals = [\"0.0.0.0/0\"]\nsignals = [\"cell.pump\"]\nrange = [2.0, 3.0]"),
            "half the world",
        ),
        (
            "TG004",
            allow("roles = [\"engineer\"]\nsignals = [\"*\"]\nrange = [2.0, 3.0]"),
            "every signal",
        ),
        ("TG004", allow("roles = [\"engineer\"]\nsignals = [\"cell.pump\"]"), "any value"),
        (
            "TG005",
            "[[zone]]\nname = \"office\"\nnetworks = [\"10.9.0.0/16\"]\n".to_owned()
                + &allow("zones = [\"office\"]\nroles = [\"engineer\"]\nsignals = [\"cell.valve\"]\nrange = [0.0, 1.0]"),
            "from zone `office` into `control`",
        ),
        (
            "TG005",
            "[[pipeline]]\nname = \"planted\"\nfrom = \"control\"\nto = \"supervision\"\nencrypted = true\nverbs = [\"read\"]\n".to_owned(),
            "from zone `control` into `supervision`",
        ),
        (
            "TG006",
            "[[pipeline]]\nname = \"planted\"\nfrom = \"supervision\"\nto = \"control\"\nprotocol = \"mqtt\"\nencrypted = true\n".to_owned(),
            "`planted` (mqtt) lets anybody write",
        ),
        (
            "TG007",
            "[[pipeline]]\nname = \"planted\"\nfrom = \"supervision\"\nto = \"control\"\nprotocol = \"modbus\"\nauthenticated = true\n".to_owned(),
            "conduit `down` forbids",
        ),
        (
            "TG007",
            "[[pipeline]]\nname = \"planted\"\nfrom = \"control\"\nto = \"control\"\nprotocol = \"modbus\"\nauthenticated = true\n".to_owned(),
            "zone `control` forbids",
        ),
        (
            "TG008",
            "[[conduit]]\nname = \"planted\"\nfrom = \"control\"\nto = \"supervision\"\n".to_owned(),
            "FR 1, FR 3, FR 4, FR 5",
        ),
        (
            "TG009",
            allow("principals = [\"plc\"]\nsignals = [\"cell.pump\"]\nrange = [2.0, 3.0]\ntwo_person = true"),
            "no two people",
        ),
    ];
    let mut kinds: Vec<&str> = planted.iter().map(|(id, ..)| *id).collect();
    kinds.dedup();
    assert_eq!(kinds, CHECKS.iter().map(|check| check.id).collect::<Vec<_>>(), "every check has its fault");
    for (id, text, says) in planted {
        let found = found(&format!("{CLEAN}{text}"));
        let [(known, words)] = &found[..] else { panic!("{id} {text}: {found:?}") };
        assert_eq!(*known, id, "{words}");
        assert!(words.contains(says), "{words}");
    }
}

#[test]
fn defects_are_sarif() {
    let plant = Plant::parse(PLANT, "plant.toml").unwrap();
    let text = format!(
        "{CLEAN}[[rule]]\nname = \"all \\\"of\\\" it\"\neffect = \"allow\"\nsignals = [\"cell.pump\"]\nrange = [2.0, 3.0]\n"
    );
    let source = Source::parse(&text, "my policies/p.toml", &plant).unwrap();
    let log: serde_json::Value = serde_json::from_str(&sarif(&lint(&source, &plant))).unwrap();
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    assert_eq!(rules.len(), CHECKS.len());
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), 1);
    let result = &results[0];
    assert_eq!(rules[result["ruleIndex"].as_u64().unwrap() as usize]["id"], result["ruleId"]);
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "my%20policies/p.toml");
    let line = place["region"]["startLine"].as_u64().unwrap() as usize;
    assert!(text.lines().nth(line - 1).unwrap().contains("all"));
}
