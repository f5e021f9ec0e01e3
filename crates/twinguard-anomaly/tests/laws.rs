//! Laws that hold for every detector and for the judge: snapshots continue bit by bit, nothing depends on chunking or on
//! what comes later, and nothing is allocated while running.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

#[path = "plant/mod.rs"]
mod plant;

use plant::Plant;
use proptest::prelude::*;
use twinguard_anomaly::{Aligner, Asked, Bank, Judge, JudgeConfig, Recording, registry};
use twinguard_types::{Catalogue, Duration, Event, Point, Role, Signal, SignalId, Source, Timestamp, Value};

fn learnt(seed: u64) -> (Plant, Bank, Judge, Catalogue) {
    let mut plant = Plant::new(seed);
    let recording = plant.run(3_000);
    let catalogue = plant::catalogue();
    let bank = Bank::fit(registry::all(), &recording.history(), &catalogue, &Asked::default()).unwrap();
    let judge = Judge::new(JudgeConfig::default(), &bank, &catalogue);
    (plant, bank, judge, catalogue)
}

/// All scores and findings over a stretch of running, as text with every bit.
fn transcript(bank: &mut Bank, judge: &mut Judge, events: &Recording) -> Vec<String> {
    let mut lines = Vec::new();
    for event in events.history().events() {
        judge.note(&event);
        bank.observe(&event, |seen| {
            let score = seen.score;
            lines.push(format!("{:?} {} {:x}", score.at, score.detector, score.surprise.to_bits()));
            judge.weigh(seen);
        });
        lines.extend(judge.poll(event.at()).map(|finding| format!("{finding:?}")));
    }
    lines
}

fn trouble(plant: &mut Plant, seed: u64) -> Recording {
    let mut recording = plant.run(150);
    match seed % 4 {
        0 => plant.replay(600),
        1 => plant.intruder = Some(0.1),
        2 => plant.freeze(2),
        _ => plant.bias[0] = 3.0,
    }
    let mut rest = |event: &Event<'_>| recording.push(event);
    for _ in 0..150 {
        plant.step(&mut rest);
    }
    recording
}

#[test]
fn a_snapshot_continues_bit_by_bit_at_any_moment() {
    let detectors = registry::all();
    for seed in 0..4 {
        let (mut plant, bank, judge, catalogue) = learnt(40 + seed);
        let events = trouble(&mut plant, seed);
        let (fresh_bank, fresh_judge) = (bank.snapshot(), judge.snapshot());
        let restore = |bank: &[u8], judge: &[u8]| {
            let bank = Bank::restore(&detectors, bank).unwrap();
            let judge = Judge::new(JudgeConfig::default(), &bank, &catalogue).restore(judge).unwrap();
            (bank, judge)
        };
        let (mut whole, mut whole_judge) = restore(&fresh_bank, &fresh_judge);
        let expected = transcript(&mut whole, &mut whole_judge, &events);
        assert!(expected.iter().any(|line| line.starts_with("Finding")), "seed {seed}");
        let mut got = Vec::new();
        let (mut bank, mut judge) = restore(&fresh_bank, &fresh_judge);
        let all: Vec<Event<'_>> = events.history().events().collect();
        for chunk in all.chunks(all.len() / 3) {
            let mut part = Recording::new();
            chunk.iter().for_each(|event| part.push(event));
            got.extend(transcript(&mut bank, &mut judge, &part));
            // what was seen so far does not depend on what comes later
            assert_eq!(got[..], expected[..got.len()], "prefix");
            let (saved, saved_judge) = (bank.snapshot(), judge.snapshot());
            (bank, judge) = restore(&saved, &saved_judge);
            assert_eq!(bank.snapshot(), saved, "a snapshot of the restored is the same");
            assert_eq!(judge.snapshot(), saved_judge);
        }
        assert_eq!(got, expected);
    }
}

#[test]
fn damaged_snapshots_are_refused_or_harmless() {
    let detectors = registry::all();
    let bank =
        Bank::fit(registry::all(), &Recording::new().history(), &plant::catalogue(), &Asked::default());
    let bytes = bank.unwrap().snapshot();
    for cut in 0..bytes.len() {
        assert!(Bank::restore(&detectors, &bytes[..cut]).is_err(), "cut at {cut}");
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(Bank::restore(&detectors, &longer).is_err());
    let mut other = bytes;
    other[0] = 99;
    let error = Bank::restore(&detectors, &other).unwrap_err().to_string();
    assert_eq!(error, "snapshot has version 99, this build reads up to version 3");
}

#[test]
fn nothing_is_allocated_while_running() {
    let (mut plant, mut bank, mut judge, _) = learnt(50);
    let quiet = plant.run(120);
    let events: Vec<Event<'_>> = quiet.history().events().collect();
    let counted = allocation_counter::measure(|| {
        for event in &events {
            judge.note(event);
            bank.observe(event, |seen| judge.weigh(seen));
            assert!(judge.poll(event.at()).is_none());
        }
    });
    assert_eq!(counted.count_total, 0, "quiet running");
    // under attack only findings are built
    plant.replay(600);
    plant.intruder = Some(0.1);
    plant.bias[1] = 5.0;
    let loud = plant.run(60);
    let events: Vec<Event<'_>> = loud.history().events().collect();
    let counted = allocation_counter::measure(|| {
        for event in &events {
            judge.note(event);
            bank.observe(event, |seen| judge.weigh(seen));
        }
    });
    assert_eq!(counted.count_total, 0, "under attack");
}

#[test]
fn renaming_signals_permutes_verdicts() {
    // the same traffic with the ids of oil and hot exchanged
    let swap = |id: SignalId| SignalId([1, 0, 2, 3, 4, 5][id.index()]);
    let mut plant = Plant::new(60);
    let history = plant.run(4_000);
    plant.bias[0] = 4.0;
    let harm = plant.run(60);
    let catalogue = plant::catalogue();
    let swapped = |recording: &Recording| {
        let mut out = Recording::new();
        for event in recording.history().events() {
            match event {
                Event::Point(mut point) => {
                    point.signal = swap(point.signal);
                    out.push(&Event::Point(point));
                }
                Event::Row(mut row) => {
                    let signals: Vec<SignalId> = row.signals.iter().map(|id| swap(*id)).collect();
                    row.signals = &signals;
                    out.push(&Event::Row(row));
                }
                Event::Residual(mut residual) => {
                    let signals: Vec<SignalId> = residual.signals.iter().map(|id| swap(*id)).collect();
                    residual.signals = &signals;
                    out.push(&Event::Residual(residual));
                }
                other => out.push(&other),
            }
        }
        out
    };
    for name in ["cusum", "ewma", "freeze", "noise", "range", "rate", "redundancy", "replay", "vendor"] {
        let top = |history: &Recording, harm: &Recording| {
            let detectors = registry::named(&[name]).unwrap();
            let mut bank = Bank::fit(detectors, &history.history(), &catalogue, &Asked::default()).unwrap();
            let mut best = (0.0, None);
            for event in harm.history().events() {
                bank.observe(&event, |seen| {
                    if seen.score.surprise > best.0 {
                        best = (seen.score.surprise, seen.score.attribution.first().map(|it| it.signal));
                    }
                });
            }
            best
        };
        let (surprise, signal) = top(&history, &harm);
        let (again, renamed) = top(&swapped(&history), &swapped(&harm));
        assert!((surprise - again).abs() < 1e-6, "{name}: {surprise} against {again}");
        if surprise > 3.0 {
            assert_eq!(renamed, signal.map(swap), "{name}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_points_make_rows_of_finite_numbers(
        points in proptest::collection::vec((0u32..5, -1e300_f64..1e300, 0i64..5_000_000, -2_000i64..2_000), 0..200),
    ) {
        let signals = (0..4).map(SignalId).collect();
        let mut aligner = Aligner::new(signals, Duration::from_secs(1), Duration::from_secs(3)).unwrap();
        let mut now = 0;
        let mut last = None;
        for (signal, value, step, skew) in points {
            now += step;
            let at = Timestamp::from_millis(now);
            let mut point = Point::new(SignalId(signal), Value::real(value).unwrap(), Source::Field, at);
            point.event_at = Timestamp::from_millis(now + skew);
            let mut rows = 0;
            while let Some(row) = aligner.poll(at) {
                prop_assert!(last.is_none_or(|last| row.at > last) && row.at < at);
                prop_assert!(row.values.iter().all(|value| value.is_finite()));
                last = Some(row.at);
                rows += 1;
            }
            prop_assert!(rows <= 602);
            aligner.push(&point);
        }
    }

    #[test]
    fn any_values_give_finite_scores(
        values in proptest::collection::vec(prop_oneof![Just(0.0), -1e9_f64..1e9, Just(1e300)], 700..900),
    ) {
        let mut catalogue = Catalogue::new();
        for path in ["a", "b", "c"] {
            catalogue.intern(Signal::new(path, Role::Measurement)).unwrap();
        }
        let mut recording = Recording::new();
        let signals: Vec<SignalId> = (0..3).map(SignalId).collect();
        let mut aligner = Aligner::new(signals, Duration::from_secs(1), Duration::from_secs(3)).unwrap();
        for (k, value) in values.iter().enumerate() {
            let at = Timestamp::from_secs(k as i64);
            while let Some(row) = aligner.poll(at) {
                recording.push(&Event::Row(row));
            }
            for (signal, factor) in [(0, 1.0), (1, 0.5), (2, 0.0)] {
                let point = Point::new(SignalId(signal), Value::real(value * factor).unwrap(), Source::Field, at);
                aligner.push(&point);
                recording.push(&Event::Point(point));
            }
        }
        let mut bank = Bank::fit(registry::all(), &recording.history(), &catalogue, &Asked::default()).unwrap();
        let bytes = bank.snapshot();
        prop_assert!(Bank::restore(&registry::all(), &bytes).is_ok(), "every learnt number is finite");
        for event in recording.history().events() {
            bank.observe(&event, |seen| {
                assert!(seen.score.surprise.is_finite() && seen.score.surprise >= 0.0);
                let sum: f64 = seen.score.attribution.iter().map(|it| it.share).sum();
                assert!(sum <= 1.0 + 1e-9);
            });
        }
    }
}
