//! What every page must hold to, whatever it is given.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod demo;

use scraper::{Html, Selector};
use twinguard_report::{
    ActionRow, CommandRow, Evidence, Headline, KeyFigure, Limit, Plot, Quantity, RunReport, Sample,
    SourceRow, Speaker, TimeAxis, Trace, Verification, Window, render,
};
use twinguard_types::{
    Action, ActionId, ActionKind, Catalogue, Command, CommandId, CommandOrigin, Decision, FindingId,
    Principal, Principals, Role, Severity, Signal, Stage, Timestamp, Value, Verdict, VerdictReason,
};

/// Parses, refers to nothing outside, is small, and is the same twice. Gives the page.
fn check(name: &str, report: &RunReport, limit: usize) -> String {
    let page = render(report);
    assert!(page.len() <= limit, "{name}: {} bytes", page.len());
    assert!(!page.contains("http:") && !page.contains("https:"), "{name} holds an address");
    for odd in ["NaN", "inf%", "inf\"", "infp", "inf "] {
        assert!(!page.contains(odd), "{name} draws what is not a number: {odd}");
    }
    let html = Html::parse_document(&page);
    assert!(html.errors.is_empty(), "{name}: {:?}", html.errors);
    let count = |what: &str| html.select(&Selector::parse(what).unwrap()).count();
    assert_eq!((count("h1"), count("script"), count("main")), (1, 1, 1), "{name}");
    assert_eq!(count("[onclick],[onload],img,iframe,link,object,embed"), 0, "{name}");
    for (what, attribute) in [("[href]", "href"), ("[src]", "src")] {
        for element in html.select(&Selector::parse(what).unwrap()) {
            let to = element.value().attr(attribute).unwrap();
            let found = to.starts_with('#')
                && html.select(&Selector::parse(&format!("[id='{}']", &to[1..])).unwrap()).next().is_some();
            assert!(found, "{name}: {to} leads nowhere");
        }
    }
    let mut ids: Vec<_> =
        html.select(&Selector::parse("[id]").unwrap()).filter_map(|e| e.value().attr("id")).collect();
    ids.sort_unstable();
    assert!(ids.windows(2).all(|pair| pair[0] != pair[1]), "{name}: an id stands twice");
    assert_eq!(page, render(report), "{name} is not a pure function");
    page
}

fn text(page: &str) -> String {
    let body = Html::parse_document(page);
    let shown = body.select(&Selector::parse("main").unwrap()).next().unwrap().text().collect::<String>();
    shown.replace('\u{202f}', " ")
}

#[test]
fn the_five_states_are_well_formed_and_small() {
    for (name, report) in demo::all() {
        check(name, &report, 300 * 1024);
    }
}

#[test]
fn states_are_sentences() {
    let shown = |report| text(&render(&report));
    let nothing = shown(demo::nothing());
    for sentence in [
        "Normal.",
        "Nothing abnormal in 6 d 22 h. Every source agreed.",
        "No findings. 12 detectors ran, quietest 0.1, loudest 3.9, alarm at 5.9.",
        "No commands in this run.",
        "True values unknown: this is a real plant.",
    ] {
        assert!(nothing.contains(sentence), "{sentence}");
    }
    let learning = shown(demo::learning());
    assert!(learning.contains("Learning: 3 h 10 min of 1 d of normal history."));
    assert!(learning.contains("No vendor twin was given."));
    assert!(learning.contains("kept no journal"));
    assert!(learning.contains("no data"));
    let attack = shown(demo::attack());
    for sentence in [
        "Critical, contained. Plant back to normal at 19 min.",
        "denied ×3",
        "routine; 37 more like it",
        "−31.0 K",
    ] {
        assert!(attack.contains(sentence), "{sentence}");
    }
    assert!(shown(demo::fault()).contains("The coolant pump wore out. No sign of an attack."));
    assert!(shown(demo::real()).contains("5 findings in 30 d. The first to look at: Level and inflow"));
}

#[test]
fn foreign_strings_cannot_pose() {
    let long = "x".repeat(10_240);
    let names = [
        "</script><script>alert(1)</script>",
        "\" onmouseover=\"alert(1)",
        "a\u{202e}b\u{0}\u{1b}[2J\nc",
        "'><img src=x>",
        &long,
    ];
    let mut report = demo::attack();
    for name in names {
        let name = || name.to_owned();
        report.meta.plant = name();
        report.meta.source = name();
        report.lead = name();
        report.happened = name();
        report.files.push(name());
        report.unknowns.push(name());
        report.key_figures = vec![KeyFigure::new(name(), name()).note(name()); 4];
        report.headline = Headline::Attack { what: name(), outcome: None };
        report.attacks.push(Window::new(1.0, 2.0, name()));
        let mut row = SourceRow::new(name(), name());
        (row.reported, row.reading) = (Some(1.0), name());
        report.sources.push(row);
        let plot = Plot::new(name(), name())
            .trace(Trace::new(Speaker::Other, [(0.0, 1.0), (1e3, 2.0)]).named(name()));
        report.plots.insert(
            1,
            plot.limit(Limit::above(2.0, name()))
                .tag(1.0, 1.0, name(), None)
                .mark(1.0, name())
                .describe(name()),
        );
        let template: CommandRow = report.commands[0].clone();
        report.commands.push(CommandRow {
            who: name(),
            address: Some(name()),
            signal: name(),
            value: name(),
            decision: Decision::Deny,
            clamped_to: Some(name()),
            ended: Some(name()),
            why: name(),
            ..template
        });
        let action = report.actions[0].clone();
        report.actions.push(twinguard_report::ActionRow {
            what: name(),
            why: name(),
            undo: name(),
            ..action
        });
        report.actions.retain(|row| row.id != 1);
        let mut card = report.findings[0].clone();
        (card.finding.id.0, card.finding.title, card.finding.summary) =
            (report.findings.len() as u64 + 1, name(), name());
        (card.finding.next_step, card.finding.suspect_element) = (name(), Some(name()));
        card.finding.reasons[0].text = name();
        card.finding.evidence[0].detector = name();
        card.symptoms = vec![name()];
        report.findings.push(card);
        report.evidence.checkpoint = Some(name());
        report.evidence.signers.push(name());
        report.evidence.gaps.push((1, name()));
        report.evidence.commands.push(name());
        report.evidence.model = name();
    }
    let page = check("foreign", &report, 1024 * 1024);
    for forbidden in
        ["<script>alert", "onmouseover=\"alert", "\u{202e}", "\u{0}", "\u{1b}", "<img", &"x".repeat(601)]
    {
        assert!(!page.contains(forbidden), "{forbidden:?}");
    }
    assert!(page.contains("\\u{202E}"));
}

#[test]
fn nothing_is_too_odd_to_draw() {
    let axis = TimeAxis::new(Timestamp::ZERO, 60.0);
    let draw = |name: &str, plot: Plot| {
        let mut report = RunReport::new("p", axis);
        report.plots = vec![plot.clone(), plot];
        check(name, &report, 100 * 1024)
    };
    let reported =
        |samples: Vec<(f64, f64)>| Plot::new("T", "degC").trace(Trace::new(Speaker::Reported, samples));
    let silent = "No usable value in this run";
    assert!(draw("no trace", Plot::new("T", "degC")).contains(silent));
    assert!(draw("empty", reported(vec![])).contains(silent));
    assert!(
        draw("NaN", reported(vec![(0.0, f64::NAN), (1.0, f64::INFINITY), (f64::NAN, 1.0)])).contains(silent)
    );
    assert!(!draw("one sample", reported(vec![(3.0, 71.0)])).contains(silent));
    assert!(!draw("constant", reported((0..60).map(|t| (f64::from(t), 71.0)).collect())).contains(silent));
    assert!(!draw("zero", reported((0..60).map(|t| (f64::from(t), 0.0)).collect())).contains(silent));
    draw("huge", reported(vec![(0.0, -1e308), (60.0, 1e308)]));
    draw("tiny", reported(vec![(0.0, -1e-300), (60.0, 1e-300)]));
    draw("outside", reported(vec![(-1e9, 5.0), (1e9, 6.0)]));
    let mut stale = reported(vec![]);
    stale.traces[0].samples = (0..60).map(|t| Sample::missing(f64::from(t))).collect();
    assert!(draw("stale", stale).contains(silent));
    let far = reported(vec![(0.0, 70.0), (60.0, 71.0)])
        .limit(Limit::above(140.0, "melts"))
        .limit(Limit::below(f64::NAN, ""));
    assert!(draw("far limit", far).replace('\u{202f}', " ").contains("°C, off scale"));
    let mut band = reported(vec![]);
    band.traces = vec![Trace::new(Speaker::Estimate, (0..60).map(|t| (f64::from(t), 1.0, 1e9)))];
    draw("wide band", band);
    let mut report = demo::attack();
    for t in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1e300] {
        report.attacks.push(Window::new(t, t, "odd"));
        report.commands[0].t_s = t;
        (report.actions[0].t_s, report.actions[1].until_s) = (t, Some(t));
        (report.focus[0].from_s, report.normal_again_s) = (t, Some(t));
        report.plots[0].tags[0].value = t;
        report.plots[0].marks[0].0 = t;
        (report.sources[0].model, report.sources[0].sigma) = (Some(t), Some(t));
        report.findings[0].finding.surprise = t;
        report.findings[0].finding.confidence[0].probability = t;
        report.detection.loudest = Some(t);
        check("odd numbers", &report, 300 * 1024);
    }
    for span in [0.0, -5.0, f64::NAN, f64::INFINITY, 1e-6, 1e12] {
        let mut report = demo::attack();
        report.time.span_s = span;
        check("span", &report, 1024 * 1024);
    }
}

#[test]
fn a_thousand_findings_end_in_a_sentence() {
    let mut report = demo::nothing();
    report.findings = (0..1000)
        .map(|n| {
            demo::plain_finding(
                n,
                1_772_443_200.0 + 500.0 * n as f64,
                Severity::High,
                "Flow and level disagree",
            )
        })
        .collect();
    report.focus_on_findings(&[0]);
    assert_eq!(report.focus.len(), 12);
    let page = check("1000 findings", &report, 1024 * 1024);
    assert!(text(&page).contains("more in the machine-readable files."));
}

#[test]
fn a_month_of_two_hundred_signals_stays_below_a_megabyte() {
    let mut report =
        RunReport::new("works", TimeAxis::dated(Timestamp::from_secs(1_772_443_200), 30.0 * 86_400.0));
    let mut noise = demo::Noise(1);
    for n in 0..200 {
        let mut samples = || (0..4320).map(|t| (f64::from(t) * 600.0, noise.draw())).collect::<Vec<_>>();
        let (reported, vendor) = (samples(), samples());
        let estimate: Vec<_> = samples().into_iter().map(|(t, v)| (t, v, 0.3)).collect();
        report.plots.push(
            Plot::new(format!("signal {n}"), "m")
                .trace(Trace::new(Speaker::Reported, reported))
                .trace(Trace::new(Speaker::Vendor, vendor))
                .trace(Trace::new(Speaker::Estimate, estimate)),
        );
    }
    let template = demo::attack().findings.remove(0);
    for n in 0..500_u64 {
        let mut card = template.clone();
        card.finding.id.0 = n;
        card.finding.raised_at = Timestamp::from_secs(1_772_443_200 + n as i64 * 5000);
        card.finding.onset = Timestamp::from_secs(1_772_443_200 + n as i64 * 5000 - 3600);
        report.findings.push(card);
    }
    report.focus_on_findings(&[0, 1]);
    let page = check("a month", &report, 1024 * 1024);
    println!("30 days × 200 signals, 500 findings: {} KiB", page.len() / 1024);
    assert!(text(&page).contains("193 more signals"));
}

#[test]
fn a_page_that_cannot_be_trusted_says_so_first() {
    let mut report = demo::attack();
    report.evidence = Evidence {
        verification: Verification::Failed { reason: "leaf 7 was altered".into() },
        ..report.evidence
    };
    let shown = text(&check("failed", &report, 300 * 1024));
    let alarm = shown.find("This report does not match its journal. Do not rely on it.").unwrap();
    assert!(alarm < shown.find("Old sensor values").unwrap());
    assert!(shown.contains("leaf 7 was altered."));
}

#[test]
fn a_broken_limit_is_red_and_named() {
    let mut report = demo::attack();
    let excess = Quantity::new(4.1, "degC").resolution(0.1);
    report.headline = Headline::Attack {
        what: "The cooling was cut.".into(),
        outcome: Some(twinguard_report::Outcome::beyond(excess, 130.0)),
    };
    let page = check("broken", &report, 300 * 1024);
    assert!(text(&page).contains("The asset passed its limit by 4.1 K for 2 min 10 s."));
}

#[test]
fn traces_stay_small() {
    let mut noise = demo::Noise(1);
    let mut report = RunReport::new("p", TimeAxis::new(Timestamp::ZERO, 1e5));
    let empty = render(&report).len();
    let samples: Vec<_> = (0..100_000).map(|t| (f64::from(t), noise.draw())).collect();
    report.plots.push(Plot::new("noise", "").trace(Trace::new(Speaker::Reported, samples)));
    let cost = render(&report).len() - empty;
    println!("a noisy trace of 100 000 samples costs {cost} bytes");
    assert!(cost <= 18 * 1024, "{cost}");
}

#[test]
fn rows_take_their_words_from_the_nouns() {
    let mut catalogue = Catalogue::new();
    let pump = catalogue.intern(Signal::new("pump.speed", Role::Actuator).unit("%")).unwrap();
    let heat = Signal::new("asset.temperature", Role::Measurement).unit("degC").sigma(0.3).unwrap();
    let heat = catalogue.intern(heat).unwrap();
    let mut principals = Principals::new();
    let who = principals.intern(Principal::new("plc-1")).unwrap();
    let time = TimeAxis::dated(Timestamp::from_secs(100), 60.0);
    let command = Command {
        id: CommandId(1),
        principal: who,
        signal: pump,
        value: Value::real(20.0).unwrap(),
        at: Timestamp::from_secs(109),
        origin: CommandOrigin::Wire,
        from: Some("10.20.0.66:502".parse().unwrap()),
    };
    let verdict = Verdict {
        command: command.id,
        at: Timestamp::from_secs(110),
        decision: Decision::Clamp(Value::real(40.0).unwrap()),
        reasons: vec![VerdictReason { stage: Stage::WhatIf, text: "too hot in 3 min".into() }],
        margin: Some((heat, -2.34)),
    };
    let row = CommandRow::new(&command, &verdict, &time, &catalogue, &principals);
    assert_eq!((row.t_s, &*row.who, &*row.signal), (10.0, "plc-1", "pump.speed"));
    assert_eq!((&*row.value, row.clamped_to.as_deref()), ("20.0\u{202f}%", Some("40.0\u{202f}%")));
    assert_eq!(row.margin.clone().unwrap().text(), "−2.3\u{202f}K");

    let action = |id: u64, at: i64, kind: ActionKind| Action {
        id: ActionId(id),
        finding: FindingId(1),
        at: Timestamp::from_secs(at),
        deadline: Timestamp::from_secs(at + 1),
        expires: Some(Timestamp::from_secs(400)),
        kind,
        reason: "why".into(),
        undo: "how".into(),
        recommended_only: false,
    };
    let actions = [
        action(
            1,
            112,
            ActionKind::Substitute { signal: heat, value: Value::real(71.62).unwrap(), sigma: 0.2 },
        ),
        action(2, 113, ActionKind::Command(command)),
        action(3, 140, ActionKind::Release { action: ActionId(1) }),
    ];
    let rows = ActionRow::rows(&actions, &time, &catalogue);
    assert_eq!(rows[0].what, "Virtual sensor in place of `asset.temperature`, 71.6\u{202f}°C ± 0.2 (1 σ)");
    assert_eq!(rows.iter().map(|row| row.until_s).collect::<Vec<_>>(), [Some(40.0), None, None]);
    let mut report = RunReport::new("p", time);
    (report.commands, report.actions) = (vec![row.clone()], rows);
    check("rows", &report, 100 * 1024);
}

#[cfg(feature = "serde")]
#[test]
fn the_json_twin_is_the_same_structure() {
    let json = serde_json::to_value(demo::learning()).unwrap();
    assert_eq!(json["meta"]["plant"], "line 4");
    assert_eq!(json["plots"][0]["traces"][0]["speaker"], "reported");
    assert!(json["plots"][0]["traces"][0]["samples"][140]["value"].is_null());
}

#[test]
fn navigator_layers_are_json() {
    let mut findings: Vec<_> = demo::attack().findings.into_iter().map(|card| card.finding).collect();
    findings[0].title = "a \"quoted\" \u{202e} title\\".into();
    findings.push(findings[0].clone());
    let layer: serde_json::Value =
        serde_json::from_str(&twinguard_report::navigator::layer(&findings)).unwrap();
    assert_eq!((&layer["domain"], &layer["versions"]["layer"]), (&"ics-attack".into(), &"4.5".into()));
    assert_eq!(layer["techniques"].as_array().unwrap().len(), 4);
    assert_eq!(layer["techniques"][0]["techniqueID"], "T0831");
    assert_eq!(layer["techniques"][0]["score"], 2);
}
