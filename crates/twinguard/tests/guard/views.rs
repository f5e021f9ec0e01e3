//! Every input is taken, and every view may be missing: what is missing is said, the rest goes on.

use core::fmt::Write as _;
use std::sync::OnceLock;

use proptest::prelude::*;
use twinguard::redteam::address;
use twinguard::twin::Plant;
use twinguard::twin::importers::{Telemetry, TelemetryOptions};
use twinguard::types::{
    Access, AccessOutcome, ActionId, ActionKind, Digest, Duration, Intent, Label, Outcome, OutcomeResult,
    Point, PrincipalId, Source, Suspect, Timestamp, Value, View,
};
use twinguard::{Approval, Artefact, Builder, Check, Error, Guard, Input, Operator, Output, Recalibration};

use crate::shared::Shared;
use crate::site::{
    ATTACK_S, ORIGIN, Told, attacked, calm, command, config, findings, guard, plant, poll, signal,
};

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
        Input::Check(Check { signal: oil, value: 60.0, sigma: 0.0, at: now }),
        Input::Access(access),
        Input::Artefact(Artefact { measured: plant().digest }),
        Input::Operator(Operator::Maintenance { until: now, signals: &[] }),
        Input::Operator(Operator::SensorReplaced { signal: oil }),
        Input::Operator(Operator::Mode { mode: "" }),
        Input::Tick,
    ];
    for input in taken {
        guard.handle(now, input).unwrap_or_else(|error| panic!("{input:?}: {error}"));
    }
    let approval =
        Approval { command: twinguard::types::CommandId(901), principal: PrincipalId(1), approved: true };
    assert!(matches!(guard.handle(now, Input::Approval(approval)), Err(Error::UnknownPrincipal { .. })));
    let unsigned = Input::Recalibration(Recalibration { sealed: b"a delta" });
    assert!(matches!(guard.handle(now, unsigned), Err(Error::Integrity(_))));
    let unknown = Input::Operator(Operator::Override { action: ActionId(900) });
    assert!(matches!(guard.handle(now, unknown), Err(Error::UnknownAction { .. })));
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

/// The attack, told with these views only; what the last finding says it lacked.
fn missing(mut guard: Guard, keep: impl Fn(&Told) -> bool) -> Vec<View> {
    let keep = |told: &Told| !matches!(told, Told::Outcome(_)) && keep(told);
    for (now, told) in attacked().told.iter().filter(|(_, told)| keep(told)) {
        told.tell(&mut guard, *now).unwrap();
    }
    let said = poll(&mut guard);
    findings(&said).last().expect("a finding").missing.clone()
}

#[test]
fn what_was_missing_is_said() {
    use View::{Access, ControllerJournal, History, VendorTwin};
    let fresh = || Guard::builder_unsealed(plant()).config(config()).build().unwrap();
    assert_eq!(missing(fresh(), |_| true), [Access, History]);
    assert_eq!(missing(fresh(), |told| !matches!(told, Told::Points(_))), [VendorTwin, Access, History]);
    assert_eq!(
        missing(fresh(), |told| !matches!(told, Told::Intent(_))),
        [ControllerJournal, Access, History]
    );
}

#[test]
fn a_feed_that_stops_for_long_is_missing() {
    let from = ORIGIN + Duration::from_secs(ATTACK_S - 120);
    let stops = missing(guard(config()), |told| match told {
        Told::Points(points) => points.first().is_none_or(|point| point.arrived_at < from),
        _ => true,
    });
    // Two minutes are not long, five are.
    assert_eq!(stops, [View::Access]);
    let from = from - Duration::from_secs(300);
    let stops = missing(guard(config()), |told| match told {
        Told::Points(points) => points.first().is_none_or(|point| point.arrived_at < from),
        _ => true,
    });
    assert_eq!(stops, [View::VendorTwin, View::Access]);
}

#[test]
fn a_view_that_only_the_history_had_is_missing() {
    let learnt = || guard(config());
    assert_eq!(missing(learnt(), |_| true), [View::Access]);
    let blind = missing(learnt(), |told| !matches!(told, Told::Points(_)));
    assert_eq!(blind, [View::VendorTwin, View::Access]);
}

/// Six sensors around one slow movement, as a historian exports them; `bias` sits on the fourth from row `from` on.
fn export(seed: u64, rows: usize, from: usize, bias: f64) -> String {
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

/// What a tag list and a normal export give.
struct Historian {
    plant: Plant,
    state: Vec<u8>,
}

/// The exports begin at 0; what is watched is a day later.
const LATER: Duration = Duration::from_secs(86_400);

impl Historian {
    fn new() -> Self {
        let normal = export(1, 6_000, usize::MAX, 0.0);
        let open = |catalogue| {
            Telemetry::open(normal.as_bytes(), TelemetryOptions { catalogue, ..Default::default() }).unwrap()
        };
        let plant = Plant::from_signals("tags", open(Default::default()).catalogue().clone());
        let builder = Guard::builder_unsealed(plant.clone()).config(config());
        let guard = builder.learn(open(plant.catalogue.clone())).unwrap().build().unwrap();
        Self { state: guard.snapshot().unwrap(), plant }
    }

    fn builder(&self) -> Builder {
        Guard::builder_unsealed(self.plant.clone()).config(config())
    }

    fn watch(&self, text: &str, tell: impl Fn(&mut Guard, Timestamp, &[Point])) -> (Vec<Output>, Digest) {
        self.watch_with(Shared::default(), text, tell)
    }

    fn watch_with(
        &self,
        journal: Shared,
        text: &str,
        mut tell: impl FnMut(&mut Guard, Timestamp, &[Point]),
    ) -> (Vec<Output>, Digest) {
        let mut guard = self.builder().journal(journal).restore(&self.state).unwrap();
        let options = TelemetryOptions { catalogue: self.plant.catalogue.clone(), ..Default::default() };
        let mut rows = Telemetry::open(text.as_bytes(), options).unwrap();
        let mut said = Vec::new();
        while let Some(row) = rows.next_row().unwrap() {
            let at = row.at + LATER;
            let points: Vec<Point> =
                row.points.iter().map(|point| Point { event_at: at, arrived_at: at, ..*point }).collect();
            tell(&mut guard, at, &points);
            said.extend(poll(&mut guard));
        }
        (said, guard.evidence().root())
    }
}

fn whole(guard: &mut Guard, at: Timestamp, points: &[Point]) {
    guard.handle(at, Input::Points(points)).unwrap();
}

#[test]
fn a_tag_list_and_a_history_are_enough_to_name_a_lying_sensor() {
    let historian = Historian::new();
    let (said, _) = historian.watch(&export(2, 1_500, usize::MAX, 0.0), whole);
    assert_eq!(findings(&said).count(), 0, "nothing is wrong");

    let (said, _) = historian.watch(&export(3, 1_500, 900, 2.0), whole);
    let first = findings(&said).next().expect("a finding");
    let start = Timestamp::from_secs(900) + LATER;
    assert!(
        first.raised_at >= start && first.raised_at <= start + Duration::from_secs(60),
        "{:?}",
        first.raised_at
    );
    let last = findings(&said).filter(|it| it.id == first.id).last().unwrap();
    let liar = historian.plant.catalogue.id("t4");
    assert_eq!(last.attribution.first().map(|share| share.signal), liar, "{:?}", last.attribution);
    assert!(last.suspect_set.contains(&Suspect::Sensor), "{:?}", last.suspect_set);
    assert_eq!(
        last.missing,
        [View::Wire, View::ControllerJournal, View::VendorTwin, View::Model, View::Access]
    );
    // Without a model nothing stands in for a measured value, and nothing is commanded.
    assert!(said.iter().all(|output| match output {
        Output::Action(it) =>
            it.recommended_only || matches!(it.kind, ActionKind::Notify { .. } | ActionKind::Verify { .. }),
        _ => true,
    }));
}

#[test]
fn a_row_in_pieces_is_the_row() {
    let historian = Historian::new();
    let text = export(3, 1_200, 900, 2.0);
    let (said, root) = historian.watch(&text, whole);
    assert!(findings(&said).count() > 2);
    for size in [1, 4] {
        let (pieces, same) = historian.watch(&text, |guard, at, points| {
            points.chunks(size).for_each(|it| whole(guard, at, it));
        });
        assert_eq!((&pieces, same), (&said, root), "{size} at a time");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    #[test]
    fn rows_may_be_cut_saved_and_restored_anywhere(cuts in prop::collection::vec(any::<u8>(), 3..200)) {
        static HISTORIAN: OnceLock<Historian> = OnceLock::new();
        let historian = HISTORIAN.get_or_init(Historian::new);
        let text = export(3, 960, 900, 2.0);
        let (said, root) = historian.watch(&text, whole);
        prop_assert!(findings(&said).count() > 0);
        let mut cuts = cuts.iter().cycle();
        let mut cut = || usize::from(*cuts.next().unwrap_or(&0));
        let journal = Shared::default();
        let (pieces, same) = historian.watch_with(journal.clone(), &text, |guard, at, mut points| {
            while !points.is_empty() {
                let (piece, rest) = points.split_at(1 + cut() % points.len());
                points = rest;
                whole(guard, at, piece);
                if cut() < 2 {
                    let state = guard.snapshot().unwrap();
                    *guard = historian.builder().journal(journal.clone()).restore(&state).unwrap();
                }
            }
        });
        prop_assert_eq!(pieces, said);
        prop_assert_eq!(same, root);
    }
}
