//! Odd input, old time, little room: an error or a finding, never a panic, never a lost verdict.

use proptest::prelude::*;
use twinguard::protocol::{Frame, LinkType};
use twinguard::redteam::Scenario;
use twinguard::types::{Duration, Point, Quality, SignalId, Source, Timestamp, Value};
use twinguard::{Config, Error, Guard, Input, Output};

use crate::site::{
    ORIGIN, Tape, Told, attacked, calm, config, findings, guard, plant, poll, range, signal, verdicts,
};

fn is_send<T: Send>() {}

#[test]
fn a_guard_may_move_between_threads() {
    is_send::<Guard>();
    is_send::<twinguard::Builder>();
    is_send::<Output>();
    is_send::<Error>();
}

#[test]
fn a_full_queue_folds_findings_and_loses_no_verdict() {
    let tape = attacked();
    let mut guard = guard(Config { queue: 4, ..config() });
    tape.told.iter().for_each(|(now, told)| told.tell(&mut guard, *now).unwrap());
    let said = poll(&mut guard);
    assert!(guard.counters().coalesced > 0);
    assert!(findings(&said).count() < findings(&tape.said).count());
    assert!(verdicts(&said).eq(verdicts(&tape.said)));
    let count = |said: &[Output]| said.iter().filter(|output| matches!(output, Output::Receipt(_))).count();
    assert_eq!(count(&said), count(&tape.said));
    let last = |said: &[Output]| findings(said).last().map(|finding| (finding.id, finding.revision));
    assert_eq!(last(&said), last(&tape.said), "the newest word is kept");
}

#[test]
fn a_queue_has_room() {
    let built = Guard::builder_unsealed(plant()).config(Config { queue: 0, ..config() }).build();
    assert!(matches!(built, Err(Error::Setting { key: "queue", .. })));
}

#[test]
fn time_does_not_go_backwards() {
    let (mut guard, now) = calm(config());
    assert_eq!(guard.counters().clamped, 0);
    for earlier in [now - Duration::from_secs(1), Timestamp::ZERO, Timestamp::MIN] {
        guard.handle(earlier, Input::Tick).unwrap();
    }
    assert_eq!(guard.counters().clamped, 3);
    guard.handle(now + Duration::from_secs(1), Input::Tick).unwrap();
    assert_eq!(guard.counters().clamped, 3);
    assert_eq!(findings(&poll(&mut guard)).count(), 0);
}

#[test]
fn gaps_are_survived() {
    for gap in [Duration::from_secs(3_600), Duration::from_secs(400 * 86_400), Duration::MAX] {
        let (mut guard, now) = calm(config());
        guard.handle(now + gap, Input::Tick).unwrap();
        guard.handle(now + gap, Input::Tick).unwrap();
        poll(&mut guard);
    }
}

#[test]
fn after_an_hours_silence_the_guard_still_watches() {
    let told = Tape::new(guard(config())).run(&mut range(2, Scenario::none()), 400).told;
    let mut guard = guard(config());
    for (now, told) in told {
        let shift = if now - ORIGIN > Duration::from_secs(200) {
            Duration::from_secs(2 * 3_600)
        } else {
            Duration::ZERO
        };
        if let Told::Frame(index, at, link, bytes) = told {
            Told::Frame(index, at + shift, link, bytes).tell(&mut guard, now + shift).unwrap();
        }
        poll(&mut guard);
    }
    assert!(guard.counters().points > 11 * 390, "{:?}", guard.counters());
    assert!(guard.estimate(signal("transformer.oil.temperature")).is_some());
}

#[test]
fn bad_late_and_foreign_points_do_no_harm() {
    let (mut guard, now) = calm(config());
    let oil = signal("transformer.oil.temperature");
    let estimate = guard.estimate(oil).unwrap().0;
    let wild = Value::real(1e300).unwrap();
    let at = now + Duration::from_millis(100);
    let point = Point::new(oil, wild, Source::Field, at);
    let odd = [
        Point { quality: Quality::Bad, ..point },
        Point { quality: Quality::Stale, ..point },
        Point { quality: Quality::Substituted, ..point },
        Point { event_at: Timestamp::ZERO, ..point },
        Point { event_at: Timestamp::MAX, ..point },
        Point { signal: SignalId(u32::MAX), ..point },
        Point { source: Source::Model, ..point },
        Point { source: Source::Vendor, signal: SignalId(77), ..point },
    ];
    for point in odd {
        guard.handle(at, Input::Points(&[point])).unwrap();
    }
    for later in 1..5 {
        guard.handle(now + Duration::from_secs(later), Input::Tick).unwrap();
    }
    let (mean, sigma) = guard.estimate(oil).unwrap();
    assert!((mean - estimate).abs() < 1.0 && sigma.is_finite(), "{estimate} became {mean} ± {sigma}");
}

#[test]
fn nan_has_no_way_in() {
    assert!(Value::real(f64::NAN).is_err());
    assert!(Value::real(f64::INFINITY).is_err());
}

fn frame(index: u64, at: Timestamp, link: LinkType, bytes: &[u8]) -> Frame<'_> {
    Frame { index, at, link, bytes, original_len: bytes.len() as u32 }
}

#[test]
fn every_flipped_byte_of_a_frame_is_taken() {
    let frames = attacked().told.iter().filter_map(|(_, told)| match told {
        Told::Frame(_, _, link, bytes) => Some((*link, bytes)),
        _ => None,
    });
    let mut guard = guard(config());
    let mut at = ORIGIN;
    for (index, (link, bytes)) in (0..).zip(frames.take(200)) {
        let mut bytes = bytes.clone();
        let place = (index as usize * 31) % bytes.len();
        bytes[place] ^= 0xff;
        guard.handle(at, Input::Frame(&frame(index, at, link, &bytes))).unwrap();
        guard.handle(at, Input::Frame(&frame(index, at, link, &bytes[..place]))).unwrap();
        at = at + Duration::from_millis(5);
        poll(&mut guard);
    }
    assert_eq!(guard.counters().frames, 400);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn garbage_is_taken(garbage in prop::collection::vec((any::<u16>(), prop::collection::vec(any::<u8>(), 0..200)), 1..20)) {
        let mut guard = Guard::builder_unsealed(plant()).build().unwrap();
        let mut at = ORIGIN;
        for (index, (link, bytes)) in garbage.iter().enumerate() {
            let link = if link % 3 == 0 { LinkType::Ethernet } else { LinkType::from_number(*link) };
            guard.handle(at, Input::Frame(&frame(index as u64, at, link, bytes))).unwrap();
            at = at + Duration::from_millis(10);
        }
        prop_assert_eq!(guard.counters().frames, garbage.len() as u64);
    }

    #[test]
    fn any_values_at_any_time_are_taken(
        points in prop::collection::vec((0u32..20, prop::num::f64::NORMAL, any::<i64>(), any::<i64>()), 1..40),
    ) {
        let (mut guard, now) = (Guard::builder_unsealed(plant()).build().unwrap(), ORIGIN);
        for (index, (signal, value, event, arrival)) in (0..).zip(points) {
            let mut point = Point::new(SignalId(signal), Value::real(value).unwrap(), Source::Field, Timestamp::from_nanos(arrival));
            point.event_at = Timestamp::from_nanos(event);
            guard.handle(now + Duration::from_millis(index * 300), Input::Points(&[point])).unwrap();
        }
        poll(&mut guard);
    }
}
