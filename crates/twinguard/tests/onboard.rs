//! Onboarding takes what strangers bring: a history that is a table of any kind ends in a plant file that guards it, or in a reason.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use proptest::prelude::*;
use twinguard::onboard::{Draft, Onboarding, Shape};
use twinguard::protocol::{LinkType, capture, emit, protocols::modbus::Repr};
use twinguard::twin::Plant;
use twinguard::twin::importers::{Telemetry, TelemetryOptions, tag_list};
use twinguard::types::{Role, Timestamp};
use twinguard::{Error, Guard, Input};

fn draft(csv: &[u8]) -> Result<Draft, Error> {
    let mut onboarding = Onboarding::new("stranger");
    onboarding.history("h.csv", csv, &[], |_| {})?;
    onboarding.draft()
}

/// The file of a draft is read, is the draft's plant, and guards the very history that it came from.
fn guards(draft: &Draft, csv: &[u8]) {
    let plant = Plant::parse(&draft.toml, "plant.toml").unwrap();
    assert_eq!(plant, draft.plant);
    let open = || {
        let options = TelemetryOptions {
            catalogue: plant.catalogue.clone(),
            lenient: true,
            ..TelemetryOptions::default()
        };
        Telemetry::open(csv, options).unwrap()
    };
    let mut guard = Guard::builder_unsealed(plant.clone()).learn(open()).unwrap().build().unwrap();
    let mut rows = open();
    while let Some(row) = rows.next_row().unwrap() {
        guard.handle(row.at, Input::Points(row.points)).unwrap();
        while guard.poll().is_some() {}
    }
}

fn noise(t: usize, salt: usize) -> f64 {
    ((t * 7919 + salt * 104_729) % 997) as f64 / 997.0 - 0.5
}

#[test]
fn hostile_tables_end_in_a_plant_file_or_a_reason() {
    let many = |header: &str, row: &dyn Fn(usize) -> String| {
        let mut text = format!("{header}\n");
        (0..400).for_each(|t| text += &format!("{}\n", row(t)));
        text.into_bytes()
    };
    let wide: String = (0..3_000).map(|at| format!(",s{at}")).collect();
    let good: Vec<(&str, Vec<u8>)> = vec![
        ("one value", many("time,a", &|t| format!("{t},5"))),
        ("text and labels", many("time,a,state", &|t| format!("{t},{:.3},running", noise(t, 1)))),
        (
            "bad words",
            many("time,a,b", &|t| {
                format!("{t},{},{}", noise(t, 1), if t % 9 == 0 { "Bad Input" } else { "7" })
            }),
        ),
        (
            "decimal commas",
            many("Zeit;a", &|t| {
                format!("{:02}.03.2020 10:{:02}:00;{}", 1 + t / 60, t % 60, noise(t, 1)).replace("0.", "0,")
            }),
        ),
        ("doubled and empty heads", many(",a,a,,b", &|t| format!("{t},{},1,2,{}", noise(t, 1), noise(t, 2)))),
        (
            "ragged rows",
            many("time,a,b", &|t| {
                if t % 3 == 0 { format!("{t}") } else { format!("{t},{},1,2,3,4", noise(t, 1)) }
            }),
        ),
        ("times that repeat", many("time,a", &|t| format!("{},{}", t / 5, noise(t, 1)))),
        ("times that go back", many("time,a", &|t| format!("{},{}", 400 - t, noise(t, 1)))),
        ("holes", many("time,a", &|t| format!("{},{}", t + 100_000 * (t / 50), noise(t, 1)))),
        (
            "unreadable times",
            many("time,a", &|t| {
                if t % 7 == 0 { format!("Total,{t}") } else { format!("{t},{}", noise(t, 1)) }
            }),
        ),
        ("huge and tiny", many("time,a,b", &|t| format!("{t},{}e300,{}e-300", noise(t, 1), noise(t, 2)))),
        ("infinities", many("time,a,b", &|t| format!("{t},inf,{}", if t % 2 == 0 { "nan" } else { "-inf" }))),
        (
            "names with marks",
            many("time,\"a \"\"x\"\", [°C]\",b\\c,#d", &|t| format!("{t},{},2,3", noise(t, 1))),
        ),
        (
            "latin-1",
            [
                b"time;\xd6l\n".to_vec(),
                (0..400).flat_map(|t| format!("{t};{}\n", noise(t, 1)).into_bytes()).collect(),
            ]
            .concat(),
        ),
        ("wide", many(&format!("time{wide}"), &|t| format!("{t}{}", format!(",{}", t % 17).repeat(3_000)))),
        ("no line feed at the end", b"time,a\n1,2\n2,3".to_vec()),
        ("carriage returns", many("time,a\r", &|t| format!("{t},{}\r", noise(t, 1)))),
        ("counters", many("time,a,b", &|t| format!("{t},{t},{}", t % 100))),
        (
            "all missing at first",
            many("time,a", &|t| if t < 350 { format!("{t},") } else { format!("{t},{}", noise(t, 1)) }),
        ),
    ];
    for (what, csv) in good {
        match draft(&csv) {
            Ok(draft) => guards(&draft, &csv),
            Err(error) => assert!(what == "infinities", "{what}: {error}"),
        }
    }
    for (what, csv, reason) in [
        ("nothing", b"".as_slice(), "line 1: no signal column in the header"),
        ("a header", b"time,a\n", "h.csv: no row of values"),
        ("only times", b"time\n1\n2\n", "line 1: no signal column in the header"),
        ("only text", b"a,b\nx,y\nz,w\n", "no source names a signal that has a value"),
    ] {
        assert_eq!(draft(csv).unwrap_err().to_string(), reason, "{what}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_drafted_or_refused(text in "[ -~\n,;\t\u{e4}]{0,400}") {
        if let Ok(draft) = draft(text.as_bytes()) {
            prop_assert!(Plant::parse(&draft.toml, "plant.toml").is_ok());
        }
    }

    #[test]
    fn any_numbers_are_drafted_and_guarded(
        values in prop::collection::vec(prop::collection::vec(prop::num::f64::ANY, 3), 1..80),
        repeat in 1_usize..8,
    ) {
        let mut csv = String::from("time,a,b,c\n");
        for (t, row) in values.iter().cycle().take(values.len() * repeat).enumerate() {
            csv += &format!("{t},{},{},{}\n", row[0], row[1], row[2]);
        }
        match draft(csv.as_bytes()) {
            Ok(draft) => guards(&draft, csv.as_bytes()),
            Err(error) => prop_assert_eq!(error.to_string(), "no source names a signal that has a value"),
        }
    }
}

/// Three signals that hang together and one pump, a week at ten minutes.
fn week() -> String {
    let mut csv = String::from("timestamp,oil_temperature,water_temperature,pump_status,note\n");
    for t in 0..1_008_usize {
        let day = (core::f64::consts::TAU * t as f64 / 144.0).sin();
        let on = u8::from(t % 144 > 70);
        let oil = 60.0 + 8.0 * day + 0.1 * noise(t, 1);
        let water = 30.0 + 4.0 * day + 0.1 * noise(t, 2);
        csv += &format!("{},{oil:.3},{water:.3},{on},ok\n", 1_600_000_000 + 600 * t);
    }
    csv
}

#[test]
fn a_tag_list_and_a_history_become_a_plant_file_with_evidence() {
    let mut onboarding = Onboarding::new("site 4");
    let tags =
        b"Tag,Description,Unit,Role\nOIL_TEMPERATURE,Top oil,degC,\nvalve.position,Cooling valve,%,AO\n";
    onboarding.tags("tags.csv", tag_list(tags).unwrap());
    onboarding.history("week.csv", week().as_bytes(), &[], |_| {}).unwrap();
    let draft = onboarding.draft().unwrap();
    let signal = |path: &str| draft.signals.iter().find(|signal| signal.path == path).expect(path);
    let oil = signal("oil_temperature");
    assert_eq!(oil.unit.as_ref().unwrap().evidence, "given by the tag list");
    assert_eq!(oil.description, "Top oil");
    assert!(oil.daily.unwrap() > 0.9, "{:?}", oil.daily);
    let explained = oil.explained.unwrap();
    assert!(explained.share > 0.95 && explained.covered > 0.95, "{explained:?}");
    assert!(explained.shows_from < 2.0, "{explained:?}");
    let water = signal("water_temperature");
    assert!(water.unit.as_ref().unwrap().evidence.contains("`temperature` in its name"));
    assert_eq!(signal("pump_status").profile.as_ref().unwrap().shape, Shape::Binary);
    let valve = signal("valve.position");
    assert_eq!((valve.role.value, valve.profile.is_none()), (Role::Actuator, true));
    assert_eq!(draft.groups.len(), 1);
    assert_eq!(draft.groups[0].signals, ["oil_temperature", "water_temperature"]);
    assert_eq!(draft.modes.len(), 2);
    assert_eq!(draft.left_out, ["note"]);
    assert_eq!(draft.sampling_s, Some(600.0));
    assert!(draft.gaps.iter().any(|gap| gap.what == "no history: valve.position"));
    assert!(draft.toml.contains("# the others tell"));
    assert!(draft.toml.contains("kind = \"operating\""));
    let trial = draft.trial(|_| {}).unwrap().unwrap();
    assert!((2.0..2.2).contains(&(trial.watched_s / 86_400.0)), "{trial:?}");
    assert_eq!(trial.findings, 0, "{trial:?}");
}

#[test]
fn guesses_that_the_later_part_contradicts_are_not_written() {
    let mut csv = String::from("time,a,b\n");
    for t in 0..2_000_usize {
        let step = if t > 1_700 { 500.0 } else { 0.0 };
        csv += &format!("{t},{},{}\n", 50.0 + noise(t, 1) + step, 20.0 + noise(t, 2));
    }
    let draft = draft(csv.as_bytes()).unwrap();
    assert!(draft.signals[0].range.is_none() && draft.signals[0].operating.is_none());
    let range = draft.signals[1].range.as_ref().unwrap();
    assert!(range.value.0 < 19.6 && range.value.1 > 20.4 && range.value.1 < 22.0, "{range:?}");
}

#[test]
fn places_of_a_capture_become_points() {
    let mut writer = capture::Writer::new(Vec::new(), LinkType::Ethernet).unwrap();
    for second in 0..20_u16 {
        let mut bytes = Vec::new();
        let write = Repr::write_register(second, 17, 107, 1_000 + second).unwrap();
        let (client, server) = ("10.0.0.1:40000".parse().unwrap(), "10.0.0.2:502".parse().unwrap());
        emit::datagram(client, server, write.emit().as_bytes(), &mut bytes).unwrap();
        writer.write(Timestamp::from_secs(second.into()), &bytes).unwrap();
    }
    let file = writer.finish().unwrap();
    let mut onboarding = Onboarding::new("tap");
    onboarding.capture("tap.pcap", capture::Reader::new(file.as_slice()).unwrap(), |_| {}).unwrap();
    let draft = onboarding.draft().unwrap();
    assert_eq!((draft.plant.catalogue.len(), draft.plant.bindings.len()), (1, 1));
    assert_eq!(draft.signals[0].role.value, Role::Setpoint);
    assert!(draft.signals[0].role.evidence.contains("written 20 times"), "{:?}", draft.signals[0].role);
}
