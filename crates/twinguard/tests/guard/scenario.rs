//! The case that the library exists for: every screen shows normal while the plant overheats.

use std::convert::Infallible;

use twinguard::redteam::{Defender, Reaction, Stimulus};
use twinguard::types::{ActionKind, Duration, Finding, FindingState, SignalId, Suspect, Timestamp};

use crate::site::{ATTACK_S, ORIGIN, Tape, config, findings, guard, overheat, range, signal};

/// Long enough for the unguarded plant to pass its limit.
const TOTAL_S: i64 = ATTACK_S + 90 * 60;
const LIMIT_C: f64 = 140.0;

struct Nobody;

impl Defender for Nobody {
    type Error = Infallible;
    fn handle(&mut self, _now: Timestamp, _stimulus: Stimulus<'_>) -> Result<(), Infallible> {
        Ok(())
    }
    fn poll(&mut self) -> Option<Reaction> {
        None
    }
    fn estimate(&self, _signal: SignalId) -> Option<(f64, f64)> {
        None
    }
}

/// Calm, then attacked, at one time of the plant's life.
fn check(stretch: u64) {
    let start = ORIGIN + Duration::from_secs(ATTACK_S);
    let mut unguarded = range(stretch, overheat());
    let hot_spot = signal("transformer.hotspot.temperature");
    let mut truth = || unguarded.step(&mut Nobody).unwrap().truth(hot_spot).unwrap();
    let hottest = (0..TOTAL_S).map(|_| truth()).fold(0.0, f64::max);
    assert!(hottest > LIMIT_C, "{stretch}: without a guard only {hottest} °C");

    let tape = Tape::new(guard(config())).run(&mut range(stretch, overheat()), TOTAL_S);
    assert!(tape.peak < LIMIT_C, "{stretch}: {} °C", tape.peak);
    let first = findings(&tape.said).next().unwrap();
    assert!(first.raised_at >= start, "{stretch}: a false alarm at {:?}: {}", first.raised_at, first.title);
    assert!(first.raised_at <= start + Duration::from_secs(60), "{stretch}: seen late");

    let named = |finding: &&Finding| {
        finding.id == first.id && finding.at <= first.raised_at + Duration::from_secs(100)
    };
    let named =
        findings(&tape.said).filter(named).filter(|it| it.state != FindingState::Closed).last().unwrap();
    let accused = |suspect| named.suspect_set.contains(&suspect);
    assert!(accused(Suspect::CommandPath), "{stretch}: {:?}", named.suspect_set);
    assert!(accused(Suspect::Sensor) || accused(Suspect::Network), "{stretch}: {:?}", named.suspect_set);
    assert!(!accused(Suspect::Fault), "{stretch}: {:?}", named.suspect_set);

    let acted = |wanted: fn(&ActionKind) -> bool| {
        tape.said.iter().any(|output| matches!(output, twinguard::Output::Action(it) if !it.recommended_only && wanted(&it.kind)))
    };
    assert!(acted(|kind| matches!(kind, ActionKind::IsolatePeer { .. })), "{stretch}");
    assert!(acted(|kind| matches!(kind, ActionKind::Substitute { .. })), "{stretch}");
    assert!(acted(|kind| matches!(kind, ActionKind::Command(_))), "{stretch}");
}

#[test]
fn the_liars_are_named_and_the_plant_stays_cool_at_first() {
    check(0);
}

#[test]
fn the_liars_are_named_and_the_plant_stays_cool_in_another_week() {
    check(2);
}

#[test]
fn the_liars_are_named_and_the_plant_stays_cool_in_a_third_week() {
    check(3);
}
