use proptest::prelude::*;
use twinguard_types::{Encoding, Point, Role, Signal, Source, Timestamp, Value};

use super::*;

const SAMPLE: &str = include_str!("../../plants/cooling_loop.toml");

/// A small plant with one of everything that a reader can get wrong.
const SMALL: &str = r#"format = 1
name = "tank"

[[signal]]
path = "level"
unit = "m"
range = [0.0, 5.0]
sigma = 0.01

[[signal]]
path = "pump"
role = "actuator"
range = [0.0, 1.0]

[[point]]
signal = "level"
protocol = "modbus"
tag = "u1/ir/0"
type = "u16"

[dynamics]
kind = "differential"
equations = """
d(h)/dt = (q * u - out) / area
out = c * sqrt(max(h, 0))
"""
states = { h = { initial = 2.0, sigma = 0.1 } }
inputs = { u = "pump" }
outputs = { h = "level" }
parameters = { q = 0.02, c = 0.01, area = 2.0 }

[[limit]]
signal = "level"
max = 4.5
horizon_s = 60

[safe_state]
pump = 0

[[principal]]
name = "plc"

[[rule]]
name = "plc drives"
effect = "allow"
principals = ["plc", "10.0.0.0/24"]
signals = ["pu*"]
"#;

/// Replaces a piece of the small plant and compares the message.
fn check(from: &str, to: &str, message: &str) {
    assert!(SMALL.contains(from), "{from}");
    let error = Plant::parse(&SMALL.replacen(from, to, 1), "p.toml").unwrap_err();
    assert_eq!(error.to_string(), format!("p.toml:{message}"));
}

#[test]
fn plant_sample_says_what_it_means() {
    let plant = Plant::parse(SAMPLE, "cooling_loop.toml").unwrap();
    assert_eq!((plant.catalogue.len(), plant.bindings.len(), plant.limits.len()), (14, 14, 4));
    let id = |path: &str| plant.catalogue.id(path).unwrap();
    let pump = plant.bindings.iter().find(|b| b.signal == id("cooler.pump.command")).unwrap();
    assert_eq!((&*pump.tag, pump.encoding, pump.scale), ("u1/hr/0", Encoding::U16, 1e-4));
    let dynamics = plant.dynamics.as_ref().unwrap();
    assert!(dynamics.inputs.iter().chain(&dynamics.outputs).all(Option::is_some));
    assert_eq!(dynamics.output_sigma, [0.2, 0.5, 0.2, 0.2, 0.005, 0.005, 0.002, 0.003]);
    assert_eq!(dynamics.parameter_sigma[..3], [1.8e3, 11e3, 0.0]);
    assert_eq!(plant.safe_state, [(id("cooler.pump.command"), 1.0), (id("cooler.valve.command"), 1.0)]);
    assert!(plant.parties[0].networks[0].contains("10.0.0.10".parse().unwrap()));
    let reads = plant.rules.iter().find(|rule| rule.verbs == [Verb::Read]).unwrap();
    assert_eq!(reads.signals.len(), 14);
    assert_eq!(plant.catalogue.signal(id("cooler.oil.setpoint")).unwrap().role, Role::Setpoint);
    assert_eq!(plant.digest.0, *blake3::hash(SAMPLE.as_bytes()).as_bytes());
}

#[test]
fn plant_starts_at_rest() {
    let plant = Plant::parse(SAMPLE, "cooling_loop.toml").unwrap();
    let dynamics = plant.dynamics.unwrap();
    let mut rate = [0.0; 6];
    dynamics.model.dynamics(0.0, &dynamics.initial_state, &dynamics.input_defaults, &mut rate);
    assert!(rate.iter().all(|rate| rate.abs() < 1e-11), "{rate:?}");
}

#[test]
fn plant_written_and_read_again_is_the_same() {
    for text in [SAMPLE, SMALL] {
        let plant = Plant::parse(text, "a").unwrap();
        let written = plant.to_toml();
        let again = Plant::parse(&written, "b").unwrap_or_else(|error| panic!("{error}\n{written}"));
        assert_eq!(again.to_toml(), written);
        assert_eq!(again.catalogue, plant.catalogue);
        assert_eq!(again.bindings, plant.bindings);
        assert_eq!((again.limits, again.rules), (plant.limits, plant.rules));
        let (a, b) = (again.dynamics.unwrap(), plant.dynamics.unwrap());
        assert_eq!((a.form, a.inputs, a.outputs), (b.form, b.inputs, b.outputs));
        assert_eq!((a.input_defaults, a.input_sigma), (b.input_defaults, b.input_sigma));
        assert_eq!((a.output_sigma, a.parameter_sigma, a.step), (b.output_sigma, b.parameter_sigma, b.step));
        assert_eq!(
            (a.initial_state, a.initial_sigma, a.process_sigma),
            (b.initial_state, b.initial_sigma, b.process_sigma)
        );
    }
}

#[test]
fn plant_reads_json_as_toml() {
    let table: toml::Table = SAMPLE.parse().unwrap();
    let json = serde_json::to_string_pretty(&table).unwrap();
    let (from_json, from_toml) = (Plant::parse(&json, "a").unwrap(), Plant::parse(SAMPLE, "b").unwrap());
    assert!(from_json == from_toml);
    let wrong = json.replacen("\"sigma\"", "\"sgima\"", 1);
    let line = 1 + wrong.lines().position(|line| line.contains("sgima")).unwrap();
    let error = Plant::parse(&wrong, "plant.json").unwrap_err().to_string();
    assert!(error.starts_with(&format!("plant.json:{line}:")), "{error}");
    assert!(error.ends_with("unknown key `sgima`, did you mean `sigma`?"), "{error}");
}

#[test]
fn plant_errors_name_place_and_nearest_word() {
    check("sigma = 0.01", "sgima = 0.01", "8:1: unknown key `sgima`, did you mean `sigma`?");
    check("[safe_state]", "[safe_sate]", "37:2: unknown key `safe_sate`, did you mean `safe_state`?");
    check("format = 1", "format = 2", "1:10: `format` must be 1: no other version is known");
    check("name = \"tank\"\n", "", "1:1: key `name` is missing in the plant file");
    check("path = \"pump\"", "path = \"level\"", "11:8: signal `level` is given twice");
    check(
        "role = \"actuator\"",
        "role = \"actuater\"",
        "12:8: unknown word `actuater`, did you mean `actuator`?",
    );
    check("range = [0.0, 5.0]", "range = [5.0, 0.0]", "7:9: `range` is empty: `5` is not below `0`");
    check("range = [0.0, 5.0]", "range = [0.0, nan]", "7:15: `range` is not a finite number");
    check("sigma = 0.01", "sigma = \"0.01\"", "8:9: `sigma` must be a number, not negative, not text");
    check("tag = \"u1/ir/0\"\n", "", "15:1: key `tag` is missing in [[point]]");
    check("type = \"u16\"", "type = \"u61\"", "19:8: unknown type `u61`, did you mean `u16`?");
    check(
        "signal = \"level\"\nprotocol",
        "signal = \"levle\"\nprotocol",
        "16:10: unknown signal `levle`, did you mean `level`?",
    );
    check(
        "signal = \"level\"\nmax",
        "signal = \"leve\"\nmax",
        "33:10: unknown signal `leve`, did you mean `level`?",
    );
    check("max = 4.5", "max = 4.5\nmin = 4.5", "34:7: `min … max` is empty: `4.5` is not below `4.5`");
    check("pump = 0", "pump = 2", "38:8: `pump` is outside its range of 0 to 1");
    check("pump = 0", "level = 0", "38:1: `level` is neither an actuator nor a set-point");
    check("\"pu*\"", "\"pimp\"", "47:12: unknown signal `pimp`, did you mean `pump`?");
    check("[\"plc\", ", "[\"plx\", ", "46:15: unknown principal `plx`, did you mean `plc`?");
    check("max(h, 0)", "max(h, O)", "25:23: unknown symbol `O`");
    check("sqrt(", "sqr(", "25:11: unknown function `sqr`, did you mean `sqrt`?");
    check("d(h)/dt", "h'", "24:1: `h` is of a differential equation: write `d(…)/dt = …`");
    check(
        "u = \"pump\"",
        "u = \"pump\", w = 1.0, u2 = \"punp\"",
        "28:38: unknown signal `punp`, did you mean `pump`?",
    );
    check("{ h = \"level\"", "{ g = \"level\"", "29:13: equation of output `g` is missing");
    check("sigma = 0.01\n", "", "28:17: a positive `sigma` of signal `level` is missing");
    check(
        "kind = \"differential\"",
        "model = \"cooling_lop\"",
        "23:1: `equations` means nothing for dynamics of the kind `built-in model`",
    );
    check("horizon_s = 60", "horizon_s = 1e9", "35:13: `horizon_s` is longer than 9000000 s (104 days)");
    check("area = 2.0", "area = inf", "30:43: `area` is not a finite number");
}

#[test]
fn plant_refuses_another_unit_than_the_model_has() {
    for (unit, reason) in [
        ("degF", "but `transformer.oil.temperature` is in `degF`: give the point a `scale` to `degC`"),
        ("bar", "but `transformer.oil.temperature` is in `bar`, which is another quantity"),
        ("degc", "but of `transformer.oil.temperature` the unit `degc` is not understood: degc"),
    ] {
        let text = SAMPLE.replacen("unit = \"degC\"", &format!("unit = \"{unit}\""), 1);
        let error = Plant::parse(&text, "p").unwrap_err().to_string();
        assert!(error.ends_with(&format!("`theta_oil_C` is in `degC`, {reason}")), "{error}");
        assert!(error.starts_with("p:") && !error.starts_with("p:0"), "{error}");
    }
}

#[test]
fn plant_knows_all_kinds_of_dynamics() {
    let head = &SMALL[..SMALL.find("[dynamics]").unwrap()];
    let parse = |section: &str| Plant::parse(&format!("{head}\n[dynamics]\n{section}"), "p");
    let learnt = parse("kind = \"learnt\"").unwrap();
    assert!(learnt.learn_dynamics && learnt.dynamics.is_none());
    let linear = "kind = \"linear\"\nsampling_s = 2\nstates = [\"x\"]\ninputs = { u = \"pump\" }\n\
        outputs = { y = \"level\" }\nA = [[0.5]]\nB = [[1]]\nC = [[2]]\noperating_point = { x = [3] }";
    let plant = parse(linear).unwrap();
    let dynamics = plant.dynamics.as_ref().unwrap();
    assert_eq!(dynamics.initial_state, [3.0]);
    assert_eq!(dynamics.step, Duration::from_secs(2));
    let mut y = [0.0];
    dynamics.model.output(0.0, &[4.0], &[0.0], &mut y);
    assert_eq!(y, [2.0]);
    assert!(Plant::parse(&plant.to_toml(), "q").unwrap() == plant);
    let wrong = parse(&linear.replace("A = [[0.5]]", "A = [[0.5, 1]]")).unwrap_err().to_string();
    assert_eq!(wrong, "p:28:1: `A` must be 1 × 1, not 1 × 2");
    let difference = "kind = \"difference\"\nsampling_s = 0.5\nequations = [\"x' = a * x + u\", \"y = x\"]\n\
        states = [\"x\"]\ninputs = { u = \"pump\" }\noutputs = { y = \"level\" }\nparameters = { a = 0.9 }";
    let plant = parse(difference).unwrap();
    assert_eq!(plant.dynamics.as_ref().unwrap().step, Duration::from_millis(500));
    assert!(Plant::parse(&plant.to_toml(), "q").unwrap() == plant);
    let wrong = parse(&difference.replace("\"y = x\"", "\"y = z\"")).unwrap_err().to_string();
    assert_eq!(wrong, "p:25:37: unknown symbol `z`");
}

#[test]
fn plant_comes_out_of_a_bundle() {
    let mut bundle = Bundle::default();
    let missing = Plant::try_from(&bundle).unwrap_err().to_string();
    assert_eq!(missing, "bundle: file `plant.toml` or `plant.json` is missing");
    bundle.insert("plant.toml", SMALL.as_bytes().to_vec());
    assert_eq!(Plant::try_from(&bundle).unwrap().name, "tank");
    bundle.insert("plant.toml", vec![b'a', 0xff]);
    let bad = Plant::try_from(&bundle).unwrap_err().to_string();
    assert_eq!(bad, "plant.toml: not UTF-8 from byte 1 on");
}

/// The network of the manual's example.
const WATER: &str = r#"
format = 1
name = "town"
[[signal]]
path = "tank.level"
sigma = 0.05
[[signal]]
path = "pump.speed"
role = "actuator"
range = [0, 1]
[[limit]]
signal = "tank.level"
max = 25
horizon_s = 3600
[time]
sampling_s = 300
[dynamics]
kind = "water"
sampling_s = 300
network = '''
[JUNCTIONS]
 a 10 0
 b 20 200
[RESERVOIRS]
 r 10
[TANKS]
 t 150 10 0 30 40
[PIPES]
 p a b 2000 10 110
 q b t 1500 10 110
[PUMPS]
 u r a HEAD c
[CURVES]
 c 400 180
[OPTIONS]
 UNITS GPM
'''
inputs = { speed_u = "pump.speed" }
outputs = { level_t = "tank.level", pressure_b = {} }
"#;

#[test]
fn water_network_is_a_plant_like_any_other() {
    let plant = Plant::parse(WATER, "town.toml").unwrap();
    let dynamics = plant.dynamics.as_ref().unwrap();
    assert_eq!((dynamics.initial_state[0], dynamics.input_defaults[0]), (10.0, 1.0));
    assert_eq!(dynamics.model.state_names(), ["level_t", "demand"]);
    let again = Plant::parse(&plant.to_toml(), "again.toml").unwrap();
    assert_eq!(again.to_toml(), plant.to_toml());
    assert_eq!(again.dynamics.unwrap().model.digest(), dynamics.model.digest());
    // The running twin and its what-if take it: with the pump on the tank fills, without it drains.
    let (level, speed) =
        (plant.catalogue.id("tank.level").unwrap(), plant.catalogue.id("pump.speed").unwrap());
    let mut twin = crate::Twin::new(&plant).unwrap();
    for slot in 0..6_i32 {
        let at = Timestamp::from_secs(300 * i64::from(slot));
        for (signal, value) in [(speed, 1.0), (level, 10.0 + 0.2 * f64::from(slot))] {
            twin.observe(&Point::new(signal, Value::real(value).unwrap(), Source::Field, at));
        }
    }
    let mut fork = twin.fork();
    let margin = |fork: &mut crate::Fork, speed_now: f64| {
        let found = fork.simulate(Duration::from_secs(7_200), &[(speed, speed_now)]).unwrap();
        found.margins.iter().map(|margin| margin.least).fold(f64::INFINITY, f64::min)
    };
    let (on, off) = (margin(&mut fork, 1.0), margin(&mut fork, 0.0));
    assert!(on < off && on.is_finite(), "{on} {off}");
    let refuse = |from: &str, to: &str, expected: &str| {
        let error = Plant::parse(&WATER.replacen(from, to, 1), "t").unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    refuse("sampling_s = 300\nnetwork", "network", "key `sampling_s` is missing in [dynamics]");
    refuse("pressure_b", "pressure_x", "unknown output `pressure_x`");
    refuse(" q b t 1500", " q b nobody 1500", "`network` is refused: line 10, [PIPES]");
    refuse("speed_u", "speed_x", "unknown input `speed_x`, did you mean `speed_u`?");
    refuse(
        "kind = \"water\"",
        "kind = \"water\"\nparameters = {}",
        "means nothing for dynamics of the kind `water`",
    );
}

#[test]
fn plant_schema_is_what_the_parser_knows() {
    let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    let shipped = include_str!("../../schema/plant.schema.json");
    assert_eq!(parse(&json_schema()), parse(shipped), "write json_schema() to the file");
}

#[test]
fn plant_manual_holds_the_tables_of_all_keys() {
    let manual = include_str!("../../../../docs/src/plant-file.md");
    assert!(manual.contains(reference().trim()), "write reference() into the manual");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn plant_numbers_and_texts_survive(
        name in "\\PC{0,20}",
        path in "[^\\p{C}]{1,20}",
        unit in "[^\\p{C}]{0,6}",
        low in -1e300..1e300_f64,
        sigma in 0.0..1e300_f64,
    ) {
        let mut catalogue = Catalogue::new();
        let signal = Signal::new(path, Role::Actuator).unit(unit).range(low, f64::MAX).unwrap().sigma(sigma).unwrap();
        catalogue.intern(signal).unwrap();
        let mut plant = Plant::from_signals(&name, catalogue);
        plant.safe_state.push((SignalId(0), low));
        let again = Plant::parse(&plant.to_toml(), "p").unwrap();
        prop_assert_eq!(&again.catalogue, &plant.catalogue);
        prop_assert_eq!(again.safe_state, plant.safe_state);
        prop_assert_eq!(again.name, name);
    }

    #[test]
    fn plant_parser_never_panics(at in 0..SAMPLE.len(), length in 0..40_usize, noise in "\\PC{0,12}") {
        let mut text = SAMPLE.as_bytes().to_vec();
        let end = (at + length).min(text.len());
        text.splice(at..end, noise.bytes());
        if let Ok(plant) = Plant::parse(&String::from_utf8_lossy(&text), "p") {
            let written = plant.to_toml();
            prop_assert_eq!(Plant::parse(&written, "q").unwrap().to_toml(), written);
        }
    }
}
