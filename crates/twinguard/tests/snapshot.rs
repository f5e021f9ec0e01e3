//! A guard that was saved and restored says what the one that ran through says: findings, verdicts, actions, receipts.
//!
//! One run of the range is recorded, stimulus by stimulus, and every answer with it; guards restored from snapshots of
//! it are told the rest, and must give the same answers, down to the journal's root.

#![cfg(feature = "redteam")]
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::sync::OnceLock;

use proptest::prelude::*;
use twinguard::integrity::{Sealed, SigningKey, Trust, Verified, entries_of, seal};
use twinguard::protocol::{Frame, LinkType};
use twinguard::redteam::{
    Defender, Range, RangeOptions, Reaction, Scenario, Stimulus, Target, Window, address,
};
use twinguard::response::Autonomy;
use twinguard::twin::Plant;
use twinguard::twin::simulator::cooling_loop::{Options, PLANT};
use twinguard::types::{
    ActionKind, Bundle, Command, CommandId, CommandOrigin, Digest, Duration, Intent, Outcome, Point,
    PrincipalId, SignalId, Timestamp, Value,
};
use twinguard::{Builder, Config, Counters, Error, Guard, Input, Operator, Output};

#[path = "guard/shared.rs"]
mod shared;

use shared::Shared;

const ORIGIN: Timestamp = Timestamp::from_secs(1_773_480_000);
const LEARN_S: i64 = 3_600;
/// The attacker plays back what it heard in the twenty minutes before.
const ATTACK_S: i64 = 22 * 60;
const TOTAL_S: i64 = 32 * 60;

enum Told {
    Frame(u64, Timestamp, LinkType, Vec<u8>, u32),
    Points(Vec<Point>),
    Intent(Intent),
    Outcome(Outcome),
    Tick,
}

impl Told {
    fn tell(&self, guard: &mut Guard, now: Timestamp) -> Vec<Output> {
        match self {
            Self::Frame(index, at, link, bytes, original_len) => {
                let frame = Frame { index: *index, at: *at, link: *link, bytes, original_len: *original_len };
                guard.handle(now, Input::Frame(&frame)).unwrap();
            }
            Self::Points(points) => guard.handle(now, Input::Points(points)).unwrap(),
            Self::Intent(intent) => guard.handle(now, Input::Intent(*intent)).unwrap(),
            Self::Outcome(outcome) => guard.handle(now, Input::Outcome(*outcome)).unwrap(),
            Self::Tick => guard.handle(now, Input::Tick).unwrap(),
        }
        core::iter::from_fn(|| guard.poll()).collect()
    }
}

/// A guard between the range and the recording.
struct Taped {
    guard: Guard,
    told: Vec<(Timestamp, Told)>,
    /// Answers, with the number of stimuli that had been told.
    said: Vec<(usize, Output)>,
    waiting: Vec<Reaction>,
}

impl Defender for Taped {
    type Error = Error;

    fn handle(&mut self, now: Timestamp, stimulus: Stimulus<'_>) -> Result<(), Error> {
        let told = match stimulus {
            Stimulus::Frame(it) => Told::Frame(it.index, it.at, it.link, it.bytes.to_vec(), it.original_len),
            Stimulus::Vendor(points) => Told::Points(points.to_vec()),
            Stimulus::Intent(intent) => Told::Intent(intent),
            Stimulus::Outcome(outcome) => Told::Outcome(outcome),
            _ => Told::Tick,
        };
        for output in told.tell(&mut self.guard, now) {
            match &output {
                Output::Finding(it) => self.waiting.push(Reaction::Finding(it.clone())),
                Output::Verdict(it) => self.waiting.push(Reaction::Verdict(it.verdict.clone())),
                Output::Action(it) => self.waiting.push(Reaction::Action(it.clone())),
                _ => {}
            }
            self.said.push((self.told.len(), output));
        }
        self.told.push((now, told));
        Ok(())
    }

    fn poll(&mut self) -> Option<Reaction> {
        if self.waiting.is_empty() { None } else { Some(self.waiting.remove(0)) }
    }

    fn estimate(&self, signal: SignalId) -> Option<(f64, f64)> {
        self.guard.estimate(signal)
    }
}

/// The state of the recorded guard after a second of the run.
struct Saved {
    told: usize,
    bytes: Vec<u8>,
    journal: Shared,
    size: u64,
}

struct Run {
    plant: Plant,
    told: Vec<(Timestamp, Told)>,
    said: Vec<(usize, Output)>,
    /// Stimuli told by the end of each second.
    seconds: Vec<usize>,
    saved: Vec<Saved>,
    storage: Shared,
    size: u64,
    root: Digest,
    counters: Counters,
}

fn config() -> Config {
    Config { autonomy: Autonomy::FULL, seed: 3, ..Config::default() }
}

fn builder(plant: &Plant) -> Builder {
    Guard::builder_unsealed(plant.clone()).config(config())
}

fn learn(plant: &Plant, guard: &mut Guard) {
    let site = Options { set_point_changes: true, ..Options::default() }
        .with_load_steps(9, Duration::from_secs(LEARN_S));
    let options = RangeOptions { seed: 9, origin: ORIGIN - Duration::from_secs(86_400), site };
    let mut range = Range::new(plant, &options, Scenario::none());
    (0..LEARN_S).for_each(|_| drop(range.step(guard).unwrap()));
}

fn record() -> Run {
    let plant = Plant::parse(PLANT, "plant.toml").unwrap();
    let storage = Shared::default();
    let history = |guard: &mut Guard| {
        learn(&plant, guard);
        Ok(())
    };
    let guard = builder(&plant).learn(history).unwrap().journal(storage.clone()).build().unwrap();
    let window =
        Window { start: ORIGIN + Duration::from_secs(ATTACK_S), end: ORIGIN + Duration::from_secs(TOTAL_S) };
    let target = Target::of(&plant, window, address::ATTACKER).unwrap();
    let site = Options { load: vec![(Timestamp::ZERO, 1.0)], ..Options::default() };
    let options = RangeOptions { seed: 3, origin: ORIGIN, site };
    let mut range = Range::new(&plant, &options, Scenario::build("overheat", &target).unwrap());
    let mut taped = Taped { guard, told: Vec::new(), said: Vec::new(), waiting: Vec::new() };
    let (mut saved, mut seconds) = (Vec::new(), Vec::new());
    for second in 0..TOTAL_S {
        range.step(&mut taped).unwrap();
        seconds.push(taped.told.len());
        if second % 97 == 0 || (ATTACK_S..ATTACK_S + 40).contains(&second) {
            let (told, bytes) = (taped.told.len(), taped.guard.snapshot().unwrap());
            saved.push(Saved { told, bytes, journal: storage.copy(), size: taped.guard.evidence().size() });
        }
    }
    let Taped { guard, told, said, .. } = taped;
    let (size, root, counters) = (guard.evidence().size(), guard.evidence().root(), guard.counters());
    Run { plant, told, said, seconds, saved, storage, size, root, counters }
}

fn run() -> &'static Run {
    static RUN: OnceLock<Run> = OnceLock::new();
    RUN.get_or_init(record)
}

impl Run {
    /// Stimuli told when the attack began, when it was found, when the last action was taken.
    fn story(&self) -> [usize; 3] {
        let start = ORIGIN + Duration::from_secs(ATTACK_S);
        let attack = self.told.iter().position(|(at, _)| *at >= start).unwrap();
        let first = |is: &dyn Fn(&Output) -> bool| {
            self.said
                .iter()
                .find(|(told, output)| *told >= attack && is(output))
                .map(|(told, _)| *told)
                .unwrap()
        };
        let finding = first(&|output| matches!(output, Output::Finding(_)));
        let isolated = first(
            &|output| matches!(output, Output::Action(action) if matches!(action.kind, ActionKind::IsolatePeer { .. })),
        );
        [attack, finding, isolated]
    }

    /// Tells a guard everything from there on, and compares what it says.
    fn same_from(&self, mut guard: Guard, told: usize) -> Guard {
        let mut expected = self.said.iter().filter(|(at, _)| *at >= told);
        for (index, (at, it)) in self.told.iter().enumerate().skip(told) {
            for output in it.tell(&mut guard, *at) {
                let (place, then) = expected.next().expect("the restored guard says more");
                assert_eq!((index, &output), (*place, then));
            }
        }
        assert_eq!(expected.next(), None, "the restored guard says less");
        guard
    }
}

#[test]
fn a_restored_guard_says_the_same_before_within_and_after_an_attack() {
    let run = run();
    let [attack, finding, isolated] = run.story();
    let last = |from: usize, to: usize| {
        run.saved
            .iter()
            .rev()
            .find(|saved| (from..to).contains(&saved.told))
            .expect("a snapshot in this stretch")
    };
    let whole = run.told.len();
    for saved in [
        last(1, attack / 2),
        last(1, attack),
        last(attack, finding + 1),
        last(isolated, isolated + 100),
        last(isolated, whole),
    ] {
        let guard = builder(&run.plant).journal(saved.journal.copy()).restore(&saved.bytes).unwrap();
        assert_eq!(guard.snapshot().unwrap().len(), saved.bytes.len());
        let guard = run.same_from(guard, saved.told);
        assert_eq!((guard.evidence().size(), guard.evidence().root()), (run.size, run.root));
        assert_eq!(guard.counters(), Counters { restored: 1, ..run.counters });
    }
}

/// A guard that is stopped and restored again and again, each time where chance says, says what the one says that never stopped. The number of
/// stops is `TWINGUARD_CUTS`; `.ci/long/restore` takes a thousand.
#[test]
fn restored_at_many_random_places_it_says_what_the_one_says_that_never_stopped() {
    let run = run();
    let cuts: usize = std::env::var("TWINGUARD_CUTS").ok().and_then(|cuts| cuts.parse().ok()).unwrap_or(25);
    let mut state = 20_u64;
    let mut chance = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let first = run.saved.first().unwrap();
    let later = run.seconds.iter().copied().filter(|told| *told > first.told);
    let mut places: Vec<usize> = later.collect();
    assert!(places.len() >= cuts, "{cuts} cuts asked for, {} seconds to cut at", places.len());
    while places.len() > cuts {
        places.swap_remove(chance(places.len()));
    }
    places.sort_unstable();
    let storage = first.journal.copy();
    let mut guard = builder(&run.plant).journal(storage.clone()).restore(&first.bytes).unwrap();
    let mut expected = run.said.iter().filter(|(at, _)| *at >= first.told);
    let mut places = places.into_iter().peekable();
    for (index, (at, it)) in run.told.iter().enumerate().skip(first.told) {
        if places.next_if_eq(&index).is_some() {
            let bytes = guard.snapshot().unwrap();
            drop(guard);
            guard = builder(&run.plant).journal(storage.clone()).restore(&bytes).unwrap();
        }
        for output in it.tell(&mut guard, *at) {
            let (place, then) = expected.next().expect("the restored guard says more");
            assert_eq!((index, &output), (*place, then));
        }
    }
    assert_eq!(expected.next(), None, "the restored guard says less");
    assert_eq!((guard.evidence().size(), guard.evidence().root()), (run.size, run.root));
    // The last second's end is the end of the run: nothing is told there.
    let restored = 1 + cuts as u64 - places.count() as u64;
    assert_eq!(guard.counters(), Counters { restored, ..run.counters });
}

#[test]
fn a_damaged_snapshot_is_refused_with_its_reason_and_the_last_good_one_goes_on() {
    let run = run();
    let (early, late) = (run.saved.first().unwrap(), run.saved.last().unwrap());
    let mut flipped = late.bytes.clone();
    flipped[late.bytes.len() / 2] ^= 1;
    let cut = &late.bytes[..late.bytes.len() - 1];
    let restore = |snapshots: &[&[u8]]| {
        builder(&run.plant).journal(run.storage.copy()).restore_latest(snapshots.iter().copied())
    };
    let (mut guard, refused) = restore(&[&flipped, cut, b"TWGD", &early.bytes]).unwrap();
    let reasons: Vec<String> = refused.iter().map(ToString::to_string).collect();
    assert_eq!(reasons.len(), 3);
    assert!(reasons.iter().all(|reason| reason.starts_with("snapshot: ")), "{reasons:?}");
    assert!(reasons[0].contains("damaged") && reasons[2].contains("ends too early"), "{reasons:?}");
    // The journal went on since: its next entry says to where the guard went back.
    let size = guard.evidence().size();
    assert_eq!(size, run.size);
    guard.handle(ORIGIN + Duration::from_secs(TOTAL_S), Input::Tick).unwrap();
    assert!(guard.evidence().size() > size);

    let error = restore(&[&flipped, cut]).unwrap_err().to_string();
    assert_eq!(error, "snapshot: its bytes are damaged, or it ends too early");
    assert_eq!(restore(&[]).unwrap_err().to_string(), "snapshot: there is none");
    // A snapshot whose journal the storage does not hold is passed over, too.
    let (guard, refused) = builder(&run.plant)
        .journal(early.journal.copy())
        .restore_latest([late.bytes.as_slice(), early.bytes.as_slice()])
        .unwrap();
    assert!(refused[0].to_string().contains("the storage does not hold its journal of"));
    assert_eq!(guard.evidence().size(), early.size);
}

#[test]
fn the_same_state_gives_the_same_bytes() {
    let run = run();
    let saved = run.saved.last().unwrap();
    let restore = || builder(&run.plant).journal(saved.journal.copy()).restore(&saved.bytes).unwrap();
    let once = restore().snapshot().unwrap();
    assert_eq!(restore().snapshot().unwrap(), once);
    assert_eq!(once.get(..44), saved.bytes.get(..44), "magic, format, plant, parts");
    assert_eq!(once.get(..8), Some(b"TWGD\x01\0\0\0".as_slice()), "format 1");
    assert_eq!(once.get(8..40), Some(run.plant.digest.0.as_slice()));
}

#[test]
fn answers_that_nobody_polled_are_kept() {
    let plant = Plant::parse(PLANT, "plant.toml").unwrap();
    let mut guard = builder(&plant).build().unwrap();
    let valve = plant.bindings.last().unwrap().signal;
    let command = Command {
        id: CommandId(7),
        principal: PrincipalId(9),
        signal: valve,
        value: Value::real(0.1).unwrap(),
        at: ORIGIN,
        origin: CommandOrigin::Platform,
        from: None,
    };
    guard.handle(ORIGIN, Input::Command(command)).unwrap();
    let mut again = builder(&plant).restore(&guard.snapshot().unwrap()).unwrap();
    let said: Vec<Output> = core::iter::from_fn(|| guard.poll()).collect();
    assert!(
        matches!(said[..], [Output::Receipt(_), Output::Verdict(_), ..]),
        "how the guard began, then its answer"
    );
    assert_eq!(core::iter::from_fn(|| again.poll()).collect::<Vec<_>>(), said);
}

fn refused(builder: Builder, bytes: &[u8]) -> String {
    builder.restore(bytes).unwrap_err().to_string()
}

#[test]
fn a_journal_goes_on_or_says_where_it_was_left() {
    let run = run();
    let (early, late) = (run.saved.first().unwrap(), run.saved.last().unwrap());
    assert!(early.size < late.size);
    let restore = |bytes: &[u8], storage: &Shared| builder(&run.plant).journal(storage.copy()).restore(bytes);
    // It went on since the snapshot: the next entry says so.
    let mut guard = restore(&early.bytes, &run.storage).unwrap();
    let size = guard.evidence().size();
    assert_eq!(size, run.size);
    guard.handle(ORIGIN, Input::Tick).unwrap();
    assert_eq!(guard.evidence().size(), size + 1, "it says that it starts again");
    // It is shorter than the snapshot says, or another one.
    let other = Shared::default();
    let mut stranger = builder(&run.plant).journal(other.clone()).build().unwrap();
    stranger.handle(ORIGIN, Input::Tick).unwrap();
    for storage in [&early.journal, &other, &Shared::default()] {
        let text = restore(&late.bytes, storage).unwrap_err().to_string();
        assert!(text.contains("the storage does not hold its journal of"), "{text}");
    }
    // In memory a new one begins, and names the old one.
    let mut guard = builder(&run.plant).restore(&late.bytes).unwrap();
    assert_eq!(guard.evidence().size(), 0);
    guard.handle(ORIGIN, Input::Tick).unwrap();
    assert_eq!(guard.evidence().size(), 1);
    // Another configuration is entered too.
    let config = Config { autonomy: Autonomy::default(), ..config() };
    let mut guard =
        builder(&run.plant).config(config).journal(late.journal.copy()).restore(&late.bytes).unwrap();
    guard.handle(ORIGIN, Input::Tick).unwrap();
    assert_eq!(guard.evidence().size(), late.size + 1);
}

#[test]
fn signals_that_were_found_in_traffic_are_found_again() {
    let run = run();
    let plant = Plant::parse("format = 1\nname = \"unknown\"\n", "plant.toml").unwrap();
    let history = |guard: &mut Guard| {
        for (at, told) in run.told.iter().take(6_000) {
            told.tell(guard, *at);
        }
        Ok(())
    };
    let mut guard = builder(&plant).learn(history).unwrap().build().unwrap();
    let mut rest = run.told.iter().skip(6_000).filter(|(_, told)| !matches!(told, Told::Outcome(_)));
    for (at, told) in rest.by_ref().take(600) {
        told.tell(&mut guard, *at);
    }
    let (at, _) = rest.by_ref().find(|(_, told)| matches!(told, Told::Tick)).unwrap();
    Told::Tick.tell(&mut guard, *at);
    assert!(guard.catalogue().len() > 11);
    let mut again = builder(&plant).restore(&guard.snapshot().unwrap()).unwrap();
    assert_eq!(again.catalogue(), guard.catalogue());
    let words = |outputs: Vec<Output>| -> Vec<Output> {
        outputs.into_iter().filter(|output| !matches!(output, Output::Receipt(_))).collect()
    };
    for (at, told) in rest {
        assert_eq!(words(told.tell(&mut again, *at)), words(told.tell(&mut guard, *at)));
        assert_eq!(again.surprise(), guard.surprise());
    }
    assert!(guard.surprise().0 > 0.0, "the detectors hear something");
    let (once, twice) = (guard.snapshot().unwrap(), again.snapshot().unwrap());
    // The incident has seen one exchange less: a request of the isolated attacker that was open, and never answered.
    let part = |bytes: &[u8], index: usize| {
        let (begin, end) =
            (parts(bytes)[index], parts(bytes).get(index + 1).map_or(bytes.len() - 32, |next| next - 8));
        bytes[begin..end].to_vec()
    };
    assert!(part(&once, 2) == part(&twice, 2), "the detectors are the same");
    assert!(part(&once, 4) == part(&twice, 4), "the rows are the same");
}

fn sealed(text: &str, version: u64) -> Verified<Plant> {
    let key = SigningKey::from_seed("vendor.example/plant", &[5; 32]).unwrap();
    let mut bundle = Bundle::default();
    bundle.insert("plant.toml", text.as_bytes().to_vec());
    let seal = seal::create(entries_of(&bundle).unwrap(), "plant", version, &key).unwrap();
    Sealed::from_bundle(bundle, &seal, &Trust::new(key.public().clone())).unwrap().load().unwrap()
}

#[test]
fn a_plant_file_that_says_the_same_changes_no_word() {
    let run = run();
    let [attack, ..] = run.story();
    let saved = run.saved.iter().rev().find(|saved| saved.told <= attack).unwrap();
    let restore = || builder(&run.plant).journal(saved.journal.copy()).restore(&saved.bytes).unwrap();
    let words = |guard: &mut Guard| -> Vec<Output> {
        let rest = run.told.iter().skip(saved.told).flat_map(|(at, told)| told.tell(guard, *at));
        rest.filter(|output| !matches!(output, Output::Receipt(_))).collect()
    };
    let (mut guard, mut again) = (restore(), restore());
    let size = again.evidence().size();
    let (at, _) = run.told[saved.told - 1];
    again.reload(at, sealed(&format!("{PLANT}\n# the same again\n"), 2)).unwrap();
    assert_eq!(again.evidence().size(), size + 1, "the journal says what was loaded");
    assert_eq!(again.seal().unwrap().version, 2);
    let (then, now) = (words(&mut guard), words(&mut again));
    // Only that no verdict says any more that the same value was looked at a minute ago.
    let judged = |outputs: &[Output]| -> Vec<Output> {
        outputs.iter().filter(|output| !matches!(output, Output::Verdict(_))).map(without_inputs).collect()
    };
    assert_eq!(judged(&now), judged(&then));
    assert_eq!(now.len(), then.len());
    let refused = |guard: &mut Guard, text: &str, version| {
        guard.reload(at, sealed(text, version)).unwrap_err().to_string()
    };
    assert!(refused(&mut again, PLANT, 1).contains("older than the one in force"));
    let more = format!("{PLANT}\n[[signal]]\npath = \"one.more\"\n");
    assert!(refused(&mut again, &more, 3).contains("its signals or bindings are others"));
}

/// The digest over all inputs sees the verdicts' reasons.
fn without_inputs(output: &Output) -> Output {
    let mut output = output.clone();
    if let Output::Finding(finding) = &mut output {
        finding.inputs = Digest::default();
    }
    output
}

#[test]
fn other_plants_formats_and_learning_guards_are_refused() {
    let run = run();
    let bytes = &run.saved.last().unwrap().bytes;
    let other = Plant::parse(&PLANT.replace("format = 1", "format = 1\n# changed"), "plant.toml").unwrap();
    assert!(refused(builder(&other), bytes).contains("it is of the plant with digest"));
    let mut newer = bytes.clone();
    *newer.get_mut(4).unwrap() = 2;
    assert!(refused(builder(&run.plant), &newer).contains("it has format 2, this version reads format 1"));
    assert!(refused(builder(&run.plant), b"").contains("it ends too early"));
    assert!(refused(builder(&run.plant), b"PK\x03\x04").contains("it is not a guard's"));
    let learning = builder(&run.plant).learn_first(Duration::from_secs(60)).unwrap();
    assert!(learning.snapshot().unwrap_err().to_string().contains("still learns"));
}

/// Where the parts begin.
fn parts(bytes: &[u8]) -> Vec<usize> {
    let mut at = 44;
    core::iter::from_fn(|| {
        let len = u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().unwrap());
        let begin = at + 8;
        at = begin + len as usize;
        Some(begin).filter(|_| at <= bytes.len())
    })
    .take(5)
    .collect()
}

/// The bytes with these bits flipped, anywhere or near the beginning of a part, and the check at their end made right
/// again.
fn forged(bytes: &[u8], bits: &[(Option<u8>, usize)]) -> Vec<u8> {
    let parts = parts(bytes);
    let mut bytes = bytes.get(..bytes.len() - 32).unwrap().to_vec();
    for (part, bit) in bits {
        let bit = match part {
            Some(part) => parts[usize::from(*part) % parts.len()] * 8 + bit % 4096,
            None => *bit,
        };
        let bit = bit % (bytes.len() * 8);
        *bytes.get_mut(bit / 8).unwrap() ^= 1 << (bit % 8);
    }
    let check = blake3::hash(&bytes);
    bytes.extend_from_slice(check.as_bytes());
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn damaged_bytes_are_refused(place in any::<usize>(), cut in any::<usize>()) {
        let run = run();
        let bytes = &run.saved.last().unwrap().bytes;
        let mut flipped = bytes.clone();
        let bit = place % (bytes.len() * 8);
        *flipped.get_mut(bit / 8).unwrap() ^= 1 << (bit % 8);
        prop_assert!(builder(&run.plant).restore(&flipped).is_err());
        prop_assert!(builder(&run.plant).restore(bytes.get(..cut % bytes.len()).unwrap()).is_err());
    }

    #[test]
    fn forged_bytes_are_refused_or_make_a_guard_that_runs(bits in prop::collection::vec(any::<(Option<u8>, usize)>(), 1..4)) {
        let run = run();
        let saved = run.saved.last().unwrap();
        if let Ok(mut guard) = builder(&run.plant).restore(&forged(&saved.bytes, &bits)) {
            for (at, told) in run.told.iter().skip(saved.told).take(60) {
                if !matches!(told, Told::Outcome(_)) {
                    told.tell(&mut guard, *at);
                }
            }
            let finding = twinguard::types::FindingId(0);
            let _ = guard.handle(ORIGIN, Input::Operator(Operator::Close { finding, reason: "forged" }));
        }
    }
}
