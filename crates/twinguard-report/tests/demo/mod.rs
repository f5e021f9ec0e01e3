//! Invented runs of invented plants, one per state of the page. Sums and products only, so that the
//! golden files are the same on every machine.
#![allow(dead_code, reason = "each test uses some of the runs")]

use twinguard_report::{
    ActionRow, CommandRow, Consequence, Evidence, FindingCard, Headline, KeyFigure, Limit, Meta, Outcome,
    Plot, Quantity, RunReport, Sample, SourceRow, Speaker, TimeAxis, Trace, Verification, Window,
};
use twinguard_types as types;
use twinguard_types::{
    Confidence, Decision, Digest, Finding, FindingId, FindingKind, FindingState, Label, Reason, Severity,
    Suspect, Symptom, Technique, Timestamp, Value, View,
};

/// A small linear congruential generator (Knuth, MMIX), three draws summed: roughly normal, σ = 1.
pub(crate) struct Noise(pub(crate) u64);

impl Noise {
    pub(crate) fn draw(&mut self) -> f64 {
        let mut uniform = || {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 40) as f64 / f64::from(1_u32 << 24) - 0.5
        };
        (uniform() + uniform() + uniform()) * 2.0
    }
}

/// A slow swing of period `period`: parabolas in place of a sine.
fn swing(t: f64, period: f64) -> f64 {
    let phase = (t / period).fract() * 2.0;
    let half = |x: f64| 4.0 * x * (1.0 - x);
    if phase < 1.0 { half(phase) } else { -half(phase - 1.0) }
}

/// First-order lag towards a target.
fn lag(state: &mut f64, target: f64, dt: f64, tau: f64) -> f64 {
    *state += (target - *state) * (dt / tau).min(1.0);
    *state
}

fn finding(id: u64, at: f64, severity: Severity, title: &str) -> Finding {
    Finding {
        id: FindingId(id),
        revision: 0,
        at: Timestamp::from_secs_f64(at).unwrap(),
        raised_at: Timestamp::from_secs_f64(at).unwrap(),
        onset: Timestamp::from_secs_f64(at).unwrap(),
        severity,
        title: title.into(),
        summary: String::new(),
        suspect: Suspect::Network,
        suspect_element: None,
        suspect_set: vec![],
        kind: FindingKind::Attack,
        confidence: vec![],
        surprise: 6.3,
        threshold: 5.9,
        attribution: vec![],
        evidence: vec![],
        reasons: vec![],
        techniques: vec![],
        next_step: String::new(),
        missing: vec![],
        inputs: Digest([0x4b; 32]),
        inputs_count: 1204,
        state: FindingState::Open,
    }
}

pub(crate) fn plain_finding(id: u64, at: f64, severity: Severity, title: &str) -> FindingCard {
    FindingCard::new(finding(id, at, severity, title))
}

fn reasons(finding: &mut Finding, texts: &[&str]) {
    finding.reasons = texts.iter().map(|text| Reason { text: (*text).into(), nats: 1.0 }).collect();
}

fn belief(finding: &mut Finding, shares: &[(Suspect, f64)]) {
    finding.confidence = shares
        .iter()
        .map(|(suspect, probability)| Confidence { suspect: *suspect, probability: *probability })
        .collect();
}

fn raised(finding: &mut Finding, detectors: &[(&str, f64)]) {
    finding.evidence = detectors
        .iter()
        .map(|(detector, surprise)| types::Evidence {
            detector: (*detector).into(),
            symptom: Symptom::Residual,
            surprise: *surprise,
            threshold: 4.0,
            since: finding.raised_at,
        })
        .collect();
}

fn command(
    t: f64,
    who: &str,
    signal: &str,
    value: &str,
    decision: Decision,
    why: &str,
    margin: f64,
) -> CommandRow {
    CommandRow {
        t_s: t,
        who: who.into(),
        address: None,
        signal: signal.into(),
        value: value.into(),
        decision,
        clamped_to: None,
        ended: None,
        why: why.into(),
        margin: Some(Quantity::new(margin, "K").resolution(0.1)),
    }
}

fn action(id: u64, t: f64, until: Option<f64>, what: &str, why: &str, undo: &str) -> ActionRow {
    ActionRow {
        id,
        t_s: t,
        until_s: until,
        what: what.into(),
        why: why.into(),
        undo: undo.into(),
        recommended_only: false,
    }
}

/// What the plant did, what was reported, what the vendor's twin showed and what the model made of it.
struct Speakers {
    truth: Vec<Sample>,
    reported: Vec<Sample>,
    vendor: Vec<Sample>,
    estimate: Vec<Sample>,
}

/// Speaks for a true course; between `lie.0` and `lie.1` the field repeats what was `lie.2` seconds earlier.
fn speak(course: &[(f64, f64)], sigma: f64, lie: Option<(f64, f64, f64)>, seed: u64) -> Speakers {
    let mut noise = Noise(seed);
    let dt = course[1].0 - course[0].0;
    let mut reported: Vec<f64> = course.iter().map(|(_, v)| v + sigma * noise.draw()).collect();
    if let Some((from, to, back)) = lie {
        for index in (from / dt) as usize..(to / dt) as usize {
            reported[index] = reported[index - (back / dt) as usize];
        }
    }
    let (mut twin, mut model) = (reported[0], course[0].1);
    let mut out = Speakers { truth: vec![], reported: vec![], vendor: vec![], estimate: vec![] };
    for ((t, v), r) in course.iter().zip(&reported) {
        let blind = lie.is_some_and(|(from, to, _)| (from..to).contains(t));
        out.truth.push(Sample::new(*t, *v));
        out.reported.push(Sample::new(*t, *r));
        out.vendor.push(Sample::new(*t, lag(&mut twin, *r, dt, 6.0)));
        let estimate = lag(&mut model, *v + sigma * 0.3 * noise.draw(), dt, 1.5 * dt);
        out.estimate.push(Sample::with_sigma(*t, estimate, if blind { sigma * 2.2 } else { sigma * 0.6 }));
    }
    out
}

fn plot(title: &str, unit: &str, speakers: Speakers) -> Plot {
    Plot::new(title, unit)
        .trace(Trace::new(Speaker::Reported, speakers.reported))
        .trace(Trace::new(Speaker::True, speakers.truth))
        .trace(Trace::new(Speaker::Vendor, speakers.vendor))
        .trace(Trace::new(Speaker::Estimate, speakers.estimate))
}

fn evidence() -> Evidence {
    Evidence {
        checkpoint: Some(
            "cooling_loop.example/journal\n1874\nVw3c9mT1x0cU3kq2bq7YHn5oA1s4eRzF8Jd6uQpLk9E=\n\n\
             — cooling_loop.example/journal 7Qm1xgV0hNn3dW5sZk8LwT2yR6cB4aE9f0Q=\n\
             — witness-a.example hK2p0wU7mC1vX4nQ8sD6gJ3tY5rA91A=\n"
                .into(),
        ),
        verification: Verification::Verified { leaves: 1874 },
        signers: vec!["7Qm1xg".into()],
        witnesses: Some((2, 2)),
        gaps: vec![],
        proof: Some((1203, 11)),
        model: "Seal verified at load and 120 times since.".into(),
        commands: vec![
            "seal log verify journal/ --public-key guard.pub".into(),
            "seal prove journal/ --leaf 1203".into(),
        ],
    }
}

fn files() -> Vec<String> {
    ["summary.json", "layer.navigator.json", "journal/"].map(Into::into).to_vec()
}

fn surprise(span: f64, seed: u64, loud: impl Fn(f64) -> Option<f64>) -> Plot {
    let mut noise = Noise(seed);
    let samples = (0..=(span as u32)).map(|t| {
        let t = f64::from(t);
        let quiet = noise.draw().abs() * noise.draw().abs() * 0.8;
        (t, loud(t).unwrap_or(quiet.min(4.0)))
    });
    Plot::surprise(samples, 5.9)
}

/// Old sensor values are replayed while the cooling is cut; the guard sees it and takes over.
pub(crate) fn attack() -> RunReport {
    let span = 1200.0;
    let mut report =
        RunReport::new("cooling_loop", TimeAxis::dated(Timestamp::from_secs(1_772_443_200), span));
    let at = |t: f64| Timestamp::from_secs(1_772_443_200) + types::Duration::from_secs_f64(t).unwrap();
    report.headline = Headline::Attack {
        what: "Old sensor values were replayed while the cooling was cut.".into(),
        outcome: Some(Outcome::below(Quantity::new(22.6, "degC").resolution(0.1))),
    };
    report.lead = "twinguard named the network path after 14.2 s, put virtual sensors in place of three readings and \
                   restored the cooling. Every screen, the vendor’s twin included, showed a calm 71.4 °C to 73.1 °C \
                   throughout."
        .into();
    report.normal_again_s = Some(1140.0);
    report.key_figures = vec![
        KeyFigure::duration("Seen after", 14.2).note("3 min 11 s before the limit"),
        KeyFigure::new("False alarms before", "0").note("in 10 min; asked for: 0.1 a day"),
        KeyFigure::quantity("Peak with twinguard", &Quantity::new(72.4, "degC").resolution(0.1))
            .note("limit 95.0 °C"),
        KeyFigure::quantity("Peak without", &Quantity::new(124.1, "degC").resolution(0.1))
            .note("29.1 K over, still rising")
            .beyond(true),
    ];
    report.meta = Meta::simulated("cooling_loop", 7).sealed(Digest([0x9f; 32]), 12);
    report.meta.inputs = vec![(4802, "Modbus TCP frames".into())];
    report.meta.policy = Some(Digest([0x51; 32]));
    report.happened =
        "At 10 min the wire began to repeat the readings of the first eight minutes. Two seconds later \
                       somebody cut pump and valve."
            .into();
    report.attacks = vec![Window::new(600.0, 1080.0, "ground truth: replay, cooling cut")];

    let seconds: Vec<f64> = (0..=2400).map(|n| f64::from(n) * 0.5).collect();
    let lie = Some((600.0, 1080.0, 480.0));
    let (mut flow_now, mut hot, mut bare) = (321.0, 71.2, 70.4);
    let mut flow = vec![];
    let mut temperature = vec![];
    let mut without = vec![];
    let mut pump = vec![];
    let mut valve = vec![];
    for t in &seconds {
        let (speed, opening) = match *t {
            t if (602.5..614.5).contains(&t) => (22.0, 20.0),
            t if (614.5..1140.0).contains(&t) => (100.0, 85.0),
            _ => (78.0, 62.0),
        };
        pump.push((*t, speed));
        valve.push((*t, opening));
        let q = lag(&mut flow_now, 410.0 * speed / 100.0 + 1.2 * swing(*t, 310.0), 0.5, 4.0);
        flow.push((*t, q));
        let wished = 72.0
            + 1.4 * swing(*t, 520.0)
            + if q > 380.0 { -14.0 } else { 0.0 }
            + if q < 200.0 { 40.0 } else { 0.0 };
        temperature.push((*t, lag(&mut hot, wished, 0.5, 150.0)));
        if *t >= 600.0 {
            without.push((*t, lag(&mut bare, 162.0, 0.5, 680.0)));
        }
    }
    let sampled =
        |course: &[(f64, f64)]| -> Vec<Sample> { course.iter().copied().map(Sample::from).collect() };
    report.plots = vec![
        plot("Asset temperature", "degC", speak(&temperature, 0.3, lie, 3))
            .trace(Trace::new(Speaker::WithoutGuard, sampled(&without)))
            .limit(Limit::above(95.0, "above it the asset is damaged"))
            .resolution(0.1)
            .tag(818.0, 91.0, "limit crossed at +3 min 38 s", None)
            .tag(1010.0, 74.5, "what every screen showed", Some(Speaker::Reported))
            .tag(690.0, 62.0, "what the asset did", Some(Speaker::True))
            .mark(602.3, "pump cut"),
        plot("Coolant flow", "L/min", speak(&flow, 3.0, lie, 5))
            .from_zero()
            .resolution(1.0)
            .mark(602.3, "pump cut"),
        Plot::new("Pump speed and valve", "%")
            .from_zero()
            .resolution(1.0)
            .trace(Trace::new(Speaker::True, sampled(&pump)).named("pump (true)"))
            .trace(Trace::new(Speaker::Other, sampled(&valve)).named("valve (true)")),
        surprise(span, 11, |t| {
            if (602.0..1084.0).contains(&t) { Some(((t - 602.0) * 0.52).min(28.0)) } else { None }
        }),
    ];

    let mut replay = finding(1, 614.2, Severity::Critical, "Replayed sensor values hide a loss of cooling");
    (replay.onset, replay.raised_at, replay.at) = (at(600.0), at(614.2), at(640.0));
    replay.state = FindingState::Contained;
    replay.summary = "From 10 min, flow and both temperatures repeat, bit for bit, what was sent from 2 min to 10 min. \
                      At 10 min 2.3 s `pump.speed` fell from 78 % to 22 % by a write the controller did not send."
        .into();
    reasons(
        &mut replay,
        &[
            "field and vendor twin agree with each other and contradict the sealed model",
            "pump and valve obeyed writes from `10.20.0.66`, never seen in 9 days of history",
        ],
    );
    replay.suspect_set = vec![Suspect::CommandPath, Suspect::Network];
    belief(
        &mut replay,
        &[
            (Suspect::Network, 0.974),
            (Suspect::Feed, 0.011),
            (Suspect::Sensor, 0.007),
            (Suspect::Fault, 0.006),
            (Suspect::Model, 0.002),
        ],
    );
    raised(
        &mut replay,
        &[
            ("repeated_noise", 5.6),
            ("unfamiliar_writer", 5.2),
            ("flow_residual", 4.9),
            ("command_response", 3.1),
        ],
    );
    replay.techniques = [
        ("T0856", "Spoof Reporting Message"),
        ("T0855", "Unauthorized Command Message"),
        ("T0832", "Manipulation of View"),
        ("T0831", "Manipulation of Control"),
    ]
    .map(|(id, name)| Technique { id: Label::literal(id), name })
    .to_vec();
    replay.next_step = "Read the local flow gauge at the pump. When F-1 was raised it had to show 101 L/min ± 6 L/min, \
                        and 410 L/min after A-3; the wire says 322 L/min. If the gauge agrees with the wire, the model \
                        is wrong."
        .into();
    report.findings = vec![
        FindingCard::new(replay)
            .consequence(
                Consequence::new("With the cooling cut, the asset passes 95.0 °C")
                    .after(191.0, 160.0, 230.0)
                    .margin(Quantity::new(23.3, "degC").resolution(0.1)),
            )
            .leaf(1203),
    ];
    report.detection.detectors = 12;
    report.detection.quietest = Some(0.1);
    report.detection.loudest = Some(28.0);
    report.detection.alarm = Some(5.9);
    report.detection.asked_per_day = Some(0.1);
    report.detection.false_alarms = Some(0);

    let row = |signal: &str, unit: &str, [reported, vendor, model, sigma]: [f64; 4], reading: &str| {
        let mut row = SourceRow::new(signal, unit);
        (row.reported, row.vendor) = (Some(reported), Some(vendor));
        (row.model, row.sigma, row.reading) = (Some(model), Some(sigma), reading.into());
        row
    };
    report.sources = vec![
        row(
            "asset.temperature",
            "degC",
            [71.3, 71.1, 71.6, 0.27],
            "too early to see: the mass is slow to heat",
        ),
        row(
            "coolant.flow",
            "L/min",
            [322.0, 321.0, 101.0, 6.0],
            "field and vendor agree with each other, not with physics",
        ),
        row(
            "coolant.temperature",
            "degC",
            [51.1, 51.1, 49.7, 0.16],
            "repeats, to the last bit, the values of 2 min to 2 min 14 s",
        ),
        row("pump.speed", "%", [22.0, 78.0, 22.3, 1.2], "plant obeys a write that the controller never sent"),
    ];

    let (allow, deny, hold) = (Decision::Allow, Decision::Deny, Decision::Hold);
    for n in 0..38 {
        let t = 118.0 + 12.0 * f64::from(n);
        report.commands.push(command(t, "controller", "asset.setpoint", "72.0 °C", allow, "routine", 22.4));
    }
    report.commands.push(command(
        614.6,
        "twinguard",
        "pump.speed",
        "100 %",
        allow,
        "safe state of the plant file; hottest point stays below today’s normal",
        23.1,
    ));
    let clamp = Decision::Clamp(Value::real(85.0).unwrap());
    let mut clamped = command(
        614.6,
        "twinguard",
        "valve.position",
        "100 %",
        clamp,
        "coolant may not cool faster than 3 K/min",
        23.1,
    );
    clamped.clamped_to = Some("85 %".into());
    report.commands.push(clamped);
    for n in 0..3 {
        let mut denied = command(
            665.4 + 2.0 * f64::from(n),
            "unknown",
            "pump.speed",
            "20 %",
            deny,
            "peer isolated (A-1); also what-if: limit crossed after 3 min 9 s",
            -31.0,
        );
        denied.address = Some("10.20.0.66:50122".into());
        report.commands.push(denied);
    }
    let mut held = command(
        811.0,
        "vendor platform",
        "asset.setpoint",
        "78.0 °C",
        hold,
        "the twin’s state is under attack, so the bound is wide",
        4.2,
    );
    held.ended = Some("refused by operator".into());
    report.commands.push(held);
    report.commands.push(command(
        1140.0,
        "twinguard",
        "pump.speed",
        "78 %",
        allow,
        "given back after 60 s of agreement",
        22.8,
    ));

    report.actions = vec![
        action(
            1,
            614.3,
            None,
            "Isolate peer `10.20.0.66` from the control conduit",
            "two independent kinds of evidence; no process signal lost",
            "automatic after 60 min, or by operator",
        ),
        action(
            2,
            614.3,
            Some(1140.0),
            "Virtual sensors in place of three readings",
            "uncertainty grows to ± 1.9 K; control stays closed-loop",
            "returned at 19 min after 60 s of agreement",
        ),
        action(
            3,
            614.6,
            None,
            "Command pump 100 %, valve 85 % through the gate",
            "pump energy + 0.42 kWh; production unaffected",
            "returned at 19 min, bumpless",
        ),
    ];
    report.evidence = evidence();
    report.files = files();
    report.focus_on_findings(&[1, 0]);
    if let Some(focus) = report.focus.first_mut() {
        focus.title = "The first 30 seconds".into();
        focus.lead =
            "Seconds from the start of the attack. The flow gives it away long before the temperature does."
                .into();
        (focus.from_s, focus.to_s) = (595.0, 630.0);
    }
    report
}

/// The coolant pump wears out: a fault, no attack.
pub(crate) fn fault() -> RunReport {
    let span = 3600.0;
    let mut report = RunReport::new("cooling_loop", TimeAxis::new(Timestamp::ZERO, span));
    report.headline = Headline::Fault { what: "The coolant pump wore out.".into(), outcome: None };
    report.lead =
        "Its speed held while the flow fell by a fifth in 40 min; every source saw the same flow.".into();
    report.meta = Meta::simulated("cooling_loop", 3).sealed(Digest([0x9f; 32]), 12);
    let flow: Vec<(f64, f64)> = (0..=1800)
        .map(|n| f64::from(n) * 2.0)
        .map(|t| (t, 320.0 - if t > 1200.0 { (t - 1200.0) * 0.027 } else { 0.0 } + swing(t, 400.0)))
        .collect();
    report.plots = vec![
        plot("Coolant flow", "L/min", speak(&flow, 3.0, None, 9))
            .limit(Limit::below(220.0, "the asset is not cooled"))
            .resolution(1.0),
        surprise(span, 12, |t| (t > 1500.0).then(|| ((t - 1500.0) * 0.01).min(9.0))),
    ];
    let mut wear = finding(1, 2130.0, Severity::Medium, "Pump gives less flow at the same speed");
    wear.onset = Timestamp::from_secs(1200);
    (wear.kind, wear.suspect) = (FindingKind::Fault, Suspect::Fault);
    wear.suspect_set = vec![Suspect::Fault];
    wear.suspect_element = Some("pump-1".into());
    wear.summary = "From 20 min the flow fell by 1.6 L/min each minute at a constant speed of 78 %.".into();
    reasons(
        &mut wear,
        &["all sources agree on the flow", "the model explains it with a pump efficiency of 82 %"],
    );
    belief(&mut wear, &[(Suspect::Fault, 0.91), (Suspect::Actuator, 0.08), (Suspect::Sensor, 0.006)]);
    raised(&mut wear, &[("flow_residual", 6.2), ("slow_drift", 6.0)]);
    wear.next_step =
        "Listen at the pump and read its current: below 3.1 A it slips, above 4 A it is clogged.".into();
    wear.missing = vec![View::Access];
    report.findings = vec![FindingCard::new(wear)];
    report.detection.detectors = 12;
    report.evidence = evidence();
    report.focus_on_findings(&[0]);
    report
}

/// Nearly a week in which nothing happened.
pub(crate) fn nothing() -> RunReport {
    let span = 6.0 * 86_400.0 + 22.0 * 3600.0;
    let mut report =
        RunReport::new("cooling_loop", TimeAxis::dated(Timestamp::from_secs(1_772_443_200), span));
    report.meta = Meta::new("cooling_loop").sealed(Digest([0x9f; 32]), 12);
    report.meta.source = "tap-7.pcapng".into();
    report.meta.inputs = vec![(2_390_412, "Modbus TCP frames".into())];
    let course: Vec<(f64, f64)> =
        (0..=3320).map(|n| f64::from(n) * 180.0).map(|t| (t, 72.0 + 2.0 * swing(t, 86_400.0))).collect();
    let mut plot =
        plot("Asset temperature", "degC", speak(&course, 0.3, None, 21)).limit(Limit::above(95.0, "damage"));
    plot.traces.retain(|trace| trace.speaker != Speaker::True);
    report.plots = vec![plot];
    (report.detection.detectors, report.detection.alarm) = (12, Some(5.9));
    (report.detection.quietest, report.detection.loudest) = (Some(0.1), Some(3.9));
    (report.detection.asked_per_day, report.detection.coverage) = (Some(0.1), Some(0.998));
    report.key_figures = vec![
        KeyFigure::new("Findings", "0"),
        KeyFigure::quantity("Least margin", &Quantity::new(20.4, "K").resolution(0.1))
            .note("`asset.temperature`".replace('`', "")),
    ];
    report.evidence = evidence();
    report.files = files();
    report
}

/// Three hours into the first day.
pub(crate) fn learning() -> RunReport {
    let span = 11_400.0;
    let mut report = RunReport::new("line 4", TimeAxis::dated(Timestamp::from_secs(1_772_443_200), span));
    report.headline = Headline::Learning { have_s: span, want_s: 86_400.0 };
    report.meta.source = "broker.example, topic line4/#".into();
    let mut noise = Noise(4);
    let readings = (0..=380).map(|n| {
        let t = f64::from(n) * 30.0;
        if (4000.0..5200.0).contains(&t) {
            Sample::missing(t)
        } else {
            Sample::new(t, 3.1 + 0.05 * noise.draw())
        }
    });
    report.plots = vec![
        Plot::new("Line pressure", "bar").trace(Trace::new(Speaker::Reported, readings)).resolution(0.01),
    ];
    report.detection.detectors = 7;
    report
}

/// A real plant with labels but without true values: several findings of several kinds.
pub(crate) fn real() -> RunReport {
    let days = 30.0;
    let span = days * 86_400.0;
    let mut report = RunReport::new("town water", TimeAxis::dated(Timestamp::from_secs(1_467_331_200), span));
    report.headline = Headline::Findings;
    report.meta.source = "telemetry.csv".into();
    report.meta.inputs = vec![(721, "rows of 43 signals".into())];
    let hourly = |seed: u64, middle: f64, depth: f64| -> Vec<(f64, f64)> {
        let mut noise = Noise(seed);
        (0..=720)
            .map(|n| f64::from(n) * 3600.0)
            .map(|t| (t, middle + depth * swing(t, 86_400.0) + depth * 0.2 * noise.draw()))
            .collect()
    };
    for n in 1..=9_u32 {
        let course = hourly(u64::from(n), 2.0 + 0.3 * f64::from(n), 0.8);
        let estimate = hourly(u64::from(n), 2.05 + 0.3 * f64::from(n), 0.8);
        report.plots.push(
            Plot::new(format!("L_T{n}"), "m")
                .trace(Trace::new(Speaker::Reported, course).gap_after(7200.0))
                .trace(Trace::new(Speaker::Estimate, estimate))
                .resolution(0.01),
        );
    }
    report.plots[0].limits.push(Limit::above(6.5, "overflow"));
    report.plots[0].limits.push(Limit::below(0.5, "runs dry"));
    report.attacks = vec![Window::new(8.0 * 86_400.0, 10.0 * 86_400.0, "labelled: level of T1 hidden")];
    let kinds = [Severity::Low, Severity::High, Severity::Medium, Severity::Critical, Severity::Low];
    for (n, severity) in kinds.into_iter().enumerate() {
        let at = 1_467_331_200.0 + (2.0 + 5.3 * n as f64) * 86_400.0;
        let mut one = finding(n as u64 + 1, at, severity, "Level and inflow do not fit together");
        one.onset = Timestamp::from_secs_f64(at - 14_000.0).unwrap();
        (one.kind, one.suspect) = (FindingKind::Undetermined, Suspect::Sensor);
        one.suspect_element = Some("L_T1".into());
        one.suspect_set = vec![Suspect::Sensor, Suspect::Fault];
        one.summary = "The level rose by 0.4 m while no pump ran and no valve moved.".into();
        reasons(&mut one, &["43 signals were redundant in the history and are not now"]);
        belief(&mut one, &[(Suspect::Sensor, 0.55), (Suspect::Fault, 0.40), (Suspect::None, 0.05)]);
        raised(&mut one, &[("redundancy", 6.1 + n as f64)]);
        one.next_step = "Look at the sight glass of the tank: at 3.1 m the sensor lies, at 3.5 m there is a leak into it.".into();
        one.missing = vec![View::Wire, View::VendorTwin, View::Model];
        report.findings.push(FindingCard::new(one));
    }
    report.detection.detectors = 7;
    report.detection.asked_per_day = Some(0.1);
    report.detection.coverage = Some(0.98);
    report.focus_on_findings(&[0, 1]);
    report
}

/// A run with a hole in its data and a journal that was tampered with.
pub(crate) fn untrusted() -> RunReport {
    let mut report = learning();
    report.headline = Headline::Gaps { missing_s: 1230.0 };
    report.evidence = evidence();
    report.evidence.verification =
        Verification::Failed { reason: "leaf 1 203 does not hash to what the signed root says".into() };
    report.evidence.gaps = vec![(17, "the disk was full for 4 s".into())];
    report
}

/// All of them, by name.
pub(crate) fn all() -> Vec<(&'static str, RunReport)> {
    vec![
        ("attack", attack()),
        ("fault", fault()),
        ("nothing", nothing()),
        ("learning", learning()),
        ("real", real()),
        ("untrusted", untrusted()),
    ]
}
