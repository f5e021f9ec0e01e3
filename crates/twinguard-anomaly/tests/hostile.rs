//! Bad data, all detectors: a typed error or a degraded result that is stated, never a panic, never a number that is not finite.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use twinguard_anomaly::suite::{MOST_CHANNELS, Suite, Training};
use twinguard_anomaly::{Asked, Bank, Coverage, Detector, Error, Recording, registry};
use twinguard_types::{
    Catalogue, Event, Point, Quality, Role, Row, Signal, SignalId, Source, Timestamp, Value,
};

const CHANNELS: usize = 4;

fn catalogue(signals: usize) -> Catalogue {
    let mut catalogue = Catalogue::new();
    for k in 0..signals {
        catalogue.intern(Signal::new(format!("s{k}"), Role::Measurement)).unwrap();
    }
    catalogue
}

fn every() -> Vec<Box<dyn Detector>> {
    registry::all().into_iter().chain(registry::others()).collect()
}

fn noise(t: usize, channel: usize) -> f64 {
    ((t * 7919 + channel * 104_729) % 1009) as f64 / 1009.0 - 0.5
}

fn normal(t: usize) -> [f64; CHANNELS] {
    let wave = (t as f64 / 20.0).sin();
    [wave + 0.1 * noise(t, 0), 2.0 * wave + 0.1 * noise(t, 1), wave - noise(t, 2), noise(t, 3)]
}

/// Rows and their points; a value that is not finite is bad.
fn record(rows: impl Iterator<Item = (Timestamp, [f64; CHANNELS])>) -> Recording {
    let signals: Vec<SignalId> = (0..CHANNELS as u32).map(SignalId).collect();
    let mut recording = Recording::new();
    for (at, values) in rows {
        let good = values.map(|value| if value.is_finite() { value } else { 0.0 });
        let qualities = values.map(|value| if value.is_finite() { Quality::Good } else { Quality::Bad });
        for (signal, (value, quality)) in signals.iter().zip(good.iter().zip(qualities)) {
            let mut point = Point::new(*signal, Value::real(*value).unwrap(), Source::Field, at);
            point.quality = quality;
            recording.push(&Event::Point(point));
        }
        recording.push(&Event::Row(Row { at, signals: &signals, values: &good, qualities: &qualities }));
        recording.push(&Event::Tick(at));
    }
    recording
}

fn clean(rows: usize) -> Recording {
    record((0..rows).map(|t| (Timestamp::from_secs(t as i64), normal(t))))
}

/// Fits every detector to the history and shows it the other recording; the loudest surprise.
fn check(history: &Recording, shown: &Recording) -> f64 {
    let mut bank = Bank::fit(every(), &history.history(), &catalogue(CHANNELS), &Asked::default()).unwrap();
    let mut most: f64 = 0.0;
    for event in shown.history().events() {
        bank.observe(&event, |seen| {
            assert!(seen.score.surprise.is_finite() && seen.score.surprise >= 0.0, "{:?}", seen.score);
            most = most.max(seen.score.surprise);
        });
    }
    let bytes = bank.snapshot();
    assert_eq!(Bank::restore(&every(), &bytes).unwrap().snapshot(), bytes, "every number it holds is finite");
    most
}

#[test]
fn histories_of_nothing_one_row_and_constants_are_stated() {
    let shown = clean(200);
    for rows in [0, 1, 2] {
        let bank =
            Bank::fit(every(), &clean(rows).history(), &catalogue(CHANNELS), &Asked::default()).unwrap();
        let calibrated =
            |entry: &&twinguard_anomaly::BankEntry| matches!(entry.coverage, Coverage::Calibrated { .. });
        let by_rows = [
            "redundancy",
            "cva",
            "forest",
            "profile",
            "changes",
            "noise",
            "automatic",
            "pasad",
            "glr",
            "clock",
        ];
        for entry in bank.table().iter().filter(calibrated) {
            assert!(!by_rows.contains(&entry.name.as_str()), "{rows} rows, and {} says it knows", entry.name);
        }
        check(&clean(rows), &shown);
    }
    let constant = record((0..600).map(|t| (Timestamp::from_secs(t), [1.0; CHANNELS])));
    check(&constant, &shown);
    check(&constant, &constant);
}

#[test]
fn nothing_but_missing_values_is_survived_on_either_side() {
    let missing = record((0..600).map(|t| (Timestamp::from_secs(t), [f64::NAN; CHANNELS])));
    check(&missing, &missing);
    check(&missing, &clean(200));
    check(&clean(900), &missing);
    let refused = Suite::fit(&Training { channels: 2, values: &[f64::NAN; 400], times: None }).unwrap_err();
    assert!(matches!(refused, Error::Training { .. }), "{refused}");
}

#[test]
fn a_change_of_unit_is_seen() {
    let jumped = record((900..1100).map(|t| {
        let mut row = normal(t);
        if t >= 1000 {
            row[1] *= 1000.0;
        }
        (Timestamp::from_secs(t as i64), row)
    }));
    assert!(check(&clean(900), &jumped) > 5.0);
}

#[test]
fn duplicated_and_reversed_time_does_no_harm() {
    let twice = record((0..900).map(|t| (Timestamp::from_secs(t as i64 / 2), normal(t))));
    let back = record((0..900).map(|t| (Timestamp::from_secs(900 - t as i64), normal(t))));
    let wild = record((0..300).map(|t| {
        let at = [Timestamp::MIN, Timestamp::MAX, Timestamp::ZERO][t % 3];
        (at, normal(t))
    }));
    for history in [&twice, &back, &wild, &clean(900)] {
        for shown in [&twice, &back, &wild] {
            check(history, shown);
        }
    }
}

#[test]
fn a_million_channels_are_refused_or_cut() {
    let wide = 1_000_000;
    let refused =
        Suite::fit(&Training { channels: wide, values: &vec![0.0; wide], times: None }).unwrap_err();
    assert_eq!(refused, Error::Training { reason: "there must be 1 to 256 columns", count: wide });
    assert!(wide > MOST_CHANNELS);
    // rows of a million signals, of which four are known
    let signals: Vec<SignalId> = (0..wide as u32).map(SignalId).collect();
    let (mut values, qualities) = (vec![0.0; wide], vec![Quality::Good; wide]);
    let mut recording = Recording::new();
    for t in 0..3 {
        values.iter_mut().enumerate().for_each(|(k, value)| *value = noise(t, k));
        let at = Timestamp::from_secs(t as i64);
        recording.push(&Event::Row(Row { at, signals: &signals, values: &values, qualities: &qualities }));
    }
    check(&recording, &recording);
    check(&clean(900), &recording);
}
