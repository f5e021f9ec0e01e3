//! Every input is taken, and every view may be missing: what is missing is said, the rest goes on.

use core::fmt::Write as _;

use twinguard::redteam::address;
use twinguard::twin::Plant;
use twinguard::twin::importers::{Telemetry, TelemetryOptions};
use twinguard::types::{
    Access, AccessOutcome, ActionId, Digest, Duration, Intent, Label, Outcome, OutcomeResult, Point,
    PrincipalId, Source, Suspect, Value, View,
};
use twinguard::{Approval, Artefact, Check, Error, Guard, Input, Operator, Recalibration};

use crate::site::{Told, attacked, calm, command, config, findings, plant, poll, signal};

#[test]
fn every_input_is_taken() {
    let (mut guard, now) = calm(config());
    let oil = signal("transformer.oil.temperature");
    let value = Value::real(60.0).unwrap();
    let point = Point::new(oil, value, Source::Model, now);
    let access = Access {
        at: now,
        principal: PrincipalId(3),
        action: Label::literal("login"),
        outcome: AccessOutcome::Granted,
        from: Some(address::PLATFORM.into()),
    };
    let taken = [
        Input::Points(&[point]),
        Input::Points(&[]),
        Input::Command(command(900, address::CONTROLLER, "cooler.valve.command", 1.0, now)),
        Input::Intent(Intent { principal: PrincipalId(1), signal: oil, value, at: now }),
        Input::Check(Check { signal: oil, value: 60.0, at: now }),
        Input::Access(access),
        Input::Artefact(Artefact { measured: plant().digest }),
        Input::Recalibration(Recalibration { sealed: b"a delta" }),
        Input::Operator(Operator::Maintenance { until: now }),
        Input::Operator(Operator::SensorReplaced { signal: oil }),
        Input::Operator(Operator::Mode { mode: "" }),
        Input::Operator(Operator::Override { action: ActionId(900) }),
        Input::Tick,
    ];
    for input in taken {
        guard.handle(now, input).unwrap_or_else(|error| panic!("{input:?}: {error}"));
    }
    let approval =
        Approval { command: twinguard::types::CommandId(901), principal: PrincipalId(1), approved: true };
    assert!(matches!(guard.handle(now, Input::Approval(approval)), Err(Error::Gate(_))));
    let outcome = Outcome { action: ActionId(900), result: OutcomeResult::Done, at: now };
    assert!(matches!(guard.handle(now, Input::Outcome(outcome)), Err(Error::Response(_))));
    let said = poll(&mut guard);
    let raised: Vec<_> = findings(&said).map(|it| (&it.title, &it.suspect_set, &it.evidence)).collect();
    assert!(raised.is_empty(), "{raised:?}");
}

#[test]
fn a_changed_artefact_accuses_the_model() {
    let (mut guard, now) = calm(config());
    for second in 0..20 {
        let now = now + Duration::from_secs(second);
        guard.handle(now, Input::Artefact(Artefact { measured: Digest([9; 32]) })).unwrap();
    }
    let said = poll(&mut guard);
    let finding = findings(&said).last().expect("a finding");
    assert!(finding.suspect_set.contains(&Suspect::Model), "{:?}", finding.suspect_set);
}

/// The attack, without history, told with these views only; what the last finding says it lacked.
fn missing(keep: impl Fn(&Told) -> bool) -> Vec<View> {
    let mut guard = Guard::builder_unsealed(plant()).config(config()).build().unwrap();
    for (now, told) in
        attacked().told.iter().filter(|(_, told)| !matches!(told, Told::Outcome(_)) && keep(told))
    {
        told.tell(&mut guard, *now).unwrap();
    }
    let said = poll(&mut guard);
    let missing: Vec<_> = findings(&said).map(|finding| finding.missing.clone()).collect();
    missing.last().expect("a finding").clone()
}

#[test]
fn what_was_missing_is_said() {
    let all = missing(|_| true);
    assert_eq!(all, [View::Access, View::History]);
    let vendor = missing(|told| !matches!(told, Told::Points(_)));
    assert_eq!(vendor, [View::VendorTwin, View::Access, View::History]);
    let journal = missing(|told| !matches!(told, Told::Intent(_)));
    assert_eq!(journal, [View::ControllerJournal, View::Access, View::History]);
}

/// A tenth of a degree of noise around one slow movement that all six share; `bias` sits on the fourth from `from` on.
fn history(seed: u64, rows: usize, from: usize, bias: f64) -> String {
    let mut text = "time,t1,t2,t3,t4,t5,t6\n".to_owned();
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut uniform = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let mut drift = 0.0;
    for row in 0..rows {
        drift = 0.995 * drift + 0.3 * (uniform() - 0.5);
        let common = drift + 3.0 * (row as f64 / 400.0).sin();
        write!(text, "{row}").unwrap();
        for signal in 0..6 {
            let noise: f64 = 0.1 * ((0..6).map(|_| uniform()).sum::<f64>() - 3.0);
            let off = if signal == 3 && row >= from { bias } else { 0.0 };
            let value = 50.0 + f64::from(signal) + (1.0 + 0.2 * f64::from(signal)) * common + noise + off;
            write!(text, ",{value:.3}").unwrap();
        }
        text.push('\n');
    }
    text
}

#[test]
fn a_tag_list_and_a_history_are_enough_to_name_a_lying_sensor() {
    let normal = history(1, 6_000, usize::MAX, 0.0);
    let open = |text: &'static str, catalogue| {
        Telemetry::open(text.as_bytes(), TelemetryOptions { catalogue, ..Default::default() }).unwrap()
    };
    let normal: &'static str = normal.leak();
    let plant = Plant::from_signals("tags", open(normal, Default::default()).catalogue().clone());
    let liar = plant.catalogue.id("t4").unwrap();
    let learn = || {
        let builder = Guard::builder_unsealed(plant.clone()).config(config());
        builder.learn(open(normal, plant.catalogue.clone())).unwrap().build().unwrap()
    };
    let watch = |text: String| {
        let mut guard = learn();
        let mut said = Vec::new();
        let mut rows = open(text.leak(), plant.catalogue.clone());
        let later = Duration::from_secs(86_400);
        while let Some(row) = rows.next_row().unwrap() {
            let points: Vec<Point> = row
                .points
                .iter()
                .map(|point| Point {
                    event_at: point.event_at + later,
                    arrived_at: point.arrived_at + later,
                    ..*point
                })
                .collect();
            guard.handle(row.at + later, Input::Points(&points)).unwrap();
            said.extend(poll(&mut guard));
        }
        said
    };
    assert_eq!(findings(&watch(history(2, 1_500, usize::MAX, 0.0))).count(), 0, "nothing is wrong");
    let said = watch(history(3, 1_500, 900, 2.0));
    let first = findings(&said).next().expect("a finding");
    let start = twinguard::types::Timestamp::from_secs(86_400 + 900);
    assert!(
        first.raised_at >= start && first.raised_at <= start + Duration::from_secs(120),
        "{:?}",
        first.raised_at
    );
    let last = findings(&said).filter(|it| it.id == first.id).last().unwrap();
    assert_eq!(last.attribution.first().map(|share| share.signal), Some(liar), "{:?}", last.attribution);
    assert!(last.suspect_set.contains(&Suspect::Sensor), "{:?}", last.suspect_set);
    assert_eq!(
        last.missing,
        [View::Wire, View::ControllerJournal, View::VendorTwin, View::Model, View::Access]
    );
    assert!(guard_says_no_model(&said));
}

/// Without a model nothing stands in for a measured value, and nothing is commanded.
fn guard_says_no_model(said: &[twinguard::Output]) -> bool {
    use twinguard::types::ActionKind::{Notify, Verify};
    said.iter().all(|output| match output {
        twinguard::Output::Action(action) => {
            action.recommended_only || matches!(action.kind, Notify { .. } | Verify { .. })
        }
        _ => true,
    })
}
