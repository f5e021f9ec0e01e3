//! Odd input, old time, little room: an error or a finding, never a panic, never a lost verdict.

use proptest::prelude::*;
use twinguard::integrity::storage::{Part, Storage};
use twinguard::protocol::{Frame, LinkType};
use twinguard::redteam::Scenario;
use twinguard::twin::Plant;
use twinguard::types::{Duration, FindingState, Point, Quality, SignalId, Source, Timestamp, Value};
use twinguard::{Config, Error, Guard, Input, Output};

use crate::shared::Shared;
use crate::site::{
    self, ORIGIN, Tape, Told, attacked, calm, command, config, findings, guard, plant, poll, range, signal,
    verdicts,
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
fn a_full_queue_folds_findings_refuses_input_and_loses_no_verdict() {
    let tape = attacked();
    let mut guard = guard(Config { queue: 6, ..config() });
    let mut said = Vec::new();
    for (at, (now, told)) in tape.told.iter().enumerate() {
        while let Err(error) = told.tell(&mut guard, *now) {
            assert!(matches!(error, Error::Full { .. }), "{error}");
            // One at a time, so that it stays full.
            said.extend(guard.poll());
        }
        assert!(at % 16 != 0 || guard.snapshot().is_ok());
    }
    said.extend(poll(&mut guard));
    let counted = guard.counters();
    assert!(counted.coalesced > 0 && counted.refused > 0, "{counted:?}");
    assert!(findings(&said).count() < findings(&tape.said).count());
    assert!(verdicts(&said).eq(verdicts(&tape.said)));
    let last = |said: &[Output]| findings(said).last().map(|finding| (finding.id, finding.revision));
    assert_eq!(last(&said), last(&tape.said), "the newest word is kept");
    let receipts: Vec<u64> = said
        .iter()
        .filter_map(|output| match output {
            Output::Receipt(receipt) => Some(receipt.leaf),
            _ => None,
        })
        .collect();
    assert!(receipts.is_sorted() && receipts.len() as u64 == guard.evidence().size(), "each leaf has one");
    // Once there is room the journal says what was lost.
    let size = guard.evidence().size();
    guard.handle(tape.told.last().unwrap().0, Input::Tick).unwrap();
    assert!(guard.evidence().size() >= size && guard.evidence().size() > tape.size);
}

#[test]
fn a_year_of_trouble_fits_in_the_same_memory() {
    let plant = Plant::parse(TANK, "plant.toml").unwrap();
    let (level, valve) = (plant.catalogue.id("level").unwrap(), plant.catalogue.id("valve").unwrap());
    let mut guard = Guard::builder_unsealed(plant).build().unwrap();
    let (mut closed, mut sizes) = (0, Vec::new());
    // Every two hours the level leaves its range, somebody new commands, and then all is quiet.
    for hour in 0..4_380_i64 {
        let start = ORIGIN + Duration::from_secs(2 * 3_600 * hour);
        for second in 0..8 {
            let at = start + Duration::from_secs(second);
            let value = Value::real(if second < 4 { 99.0 } else { 5.0 }).unwrap();
            guard.handle(at, Input::Points(&[Point::new(level, value, Source::Field, at)])).unwrap();
        }
        let from = std::net::Ipv4Addr::from_bits(0x0a00_0000 + hour as u32);
        let asked = twinguard::types::Command {
            signal: valve,
            ..command(hour as u64, from, "cooler.valve.command", 1.0, start)
        };
        guard.handle(start + Duration::from_secs(8), Input::Command(asked)).unwrap();
        guard.handle(start + Duration::from_secs(900), Input::Tick).unwrap();
        closed += findings(&poll(&mut guard)).filter(|it| it.state == FindingState::Closed).count();
        if hour % 438 == 437 {
            sizes.push(guard.snapshot().unwrap().len());
        }
    }
    assert!(closed > 4_000, "{closed} findings came and went");
    let (middle, end) = (sizes[sizes.len() / 2], *sizes.last().unwrap());
    assert!(end < middle + middle / 50, "{sizes:?}");
    let evidence = guard.evidence();
    assert!(
        evidence.size() > 17_200 && evidence.size() - evidence.first_kept() < 17_000,
        "{}",
        evidence.size()
    );
}

const TANK: &str = r#"
format = 1
name = "tank"
[[signal]]
path = "level"
range = [0.0, 10.0]
[[signal]]
path = "valve"
role = "actuator"
[[principal]]
name = "operator"
addresses = ["10.0.0.20"]
roles = ["operator"]
[[rule]]
name = "operators open it"
effect = "allow"
roles = ["operator"]
signals = ["valve"]
"#;

/// A storage that fails from some number of writes on.
#[derive(Clone, Debug)]
struct Failing(Shared, u32);

impl Storage for Failing {
    fn read(&self, part: Part) -> Result<Option<Vec<u8>>, twinguard::integrity::Error> {
        self.0.read(part)
    }
    fn replace(&mut self, part: Part, bytes: &[u8]) -> Result<(), twinguard::integrity::Error> {
        self.0.replace(part, bytes)
    }
    fn append(&mut self, bytes: &[u8]) -> Result<(), twinguard::integrity::Error> {
        self.1 = self.1.checked_sub(1).ok_or(twinguard::integrity::Error::Broken)?;
        self.0.append(bytes)
    }
    fn remove_partial(&mut self, full: Part) -> Result<(), twinguard::integrity::Error> {
        self.0.remove_partial(full)
    }
    fn remove(&mut self, part: Part) -> Result<(), twinguard::integrity::Error> {
        self.0.remove(part)
    }
    fn sync(&mut self) -> Result<(), twinguard::integrity::Error> {
        Ok(())
    }
}

#[test]
fn a_storage_that_fails_is_told_and_costs_no_answer() {
    let tape = attacked();
    let words = |said: &[Output]| -> Vec<Output> {
        said.iter().filter(|output| !matches!(output, Output::Receipt(_))).cloned().collect()
    };
    for good in [0, 1, 100] {
        let journal = Failing(Shared::default(), good);
        let builder = Guard::builder_unsealed(plant()).config(config()).journal(journal);
        let mut guard = builder.restore(site::learnt()).unwrap();
        let (mut said, mut failed) = (Vec::new(), 0);
        for (now, told) in &tape.told {
            failed += u32::from(told.tell(&mut guard, *now).is_err());
            said.extend(poll(&mut guard));
        }
        assert!(failed > 0, "{good}");
        assert_eq!(guard.counters().points, tape.points, "nothing of a frame is lost");
        assert!(words(&said) == words(&tape.said), "{good}: every answer is given");
    }
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
