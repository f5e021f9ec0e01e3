//! Every stateful guard alone: rate, sequence, interlock, select, maintenance, budget (travel, energy), cumulative, freshness.

#![allow(clippy::unwrap_used)]

use twinguard_gate::guards::{Asked, Guards, Memory, Refusal, kinds};
use twinguard_gate::policy::{GuardSpec, Source};
use twinguard_twin::Plant;
use twinguard_types::{Principal, PrincipalId, SignalId, Timestamp};

const PLANT: &str = r#"
    format = 1
    name = "p"
    [[signal]]
    path = "valve"
    role = "actuator"
    [[signal]]
    path = "pump"
    role = "actuator"
    [[signal]]
    path = "flow"
"#;

/// Guards of one kind, and a clock in seconds.
struct Bench {
    plant: Plant,
    guards: Guards,
    specs: Vec<GuardSpec>,
    flow: Option<f64>,
}

#[derive(Clone, Copy)]
struct Ask<'a> {
    at: i64,
    path: &'a str,
    value: f64,
    by: u32,
    role: &'a str,
    sequence: Option<u64>,
    select: bool,
    age: i64,
}

const ASK: Ask<'_> =
    Ask { at: 0, path: "valve", value: 1.0, by: 0, role: "", sequence: None, select: false, age: 0 };

impl Bench {
    fn new(guard: &str) -> Self {
        let plant = Plant::parse(PLANT, "plant.toml").unwrap();
        let text = format!("format = 1\n[[guard]]\nname = \"g\"\n{guard}");
        let source = Source::parse(&text, "policy.toml", &plant).unwrap();
        let guards = Guards::new(&source.guards, &plant.catalogue).unwrap();
        Self { plant, guards, specs: source.guards, flow: Some(0.0) }
    }

    /// Asks, tells when it passes, and goes through memory each time.
    fn ask(&mut self, ask: Ask<'_>) -> Result<(), Refusal> {
        let now = Timestamp::from_secs(1_000_000 + ask.at);
        let principal = Principal::new("p").role(ask.role);
        let (flow, id) = (self.flow, self.plant.catalogue.id("flow").unwrap());
        let known = |signal: SignalId| flow.filter(|_| signal == id);
        let asked = Asked {
            now,
            sent_at: Timestamp::from_nanos(now.as_nanos() - ask.age * 1_000_000_000),
            signal: self.plant.catalogue.id(ask.path).unwrap(),
            value: ask.value,
            principal: &principal,
            principal_id: PrincipalId(ask.by),
            sequence: ask.sequence,
            select: ask.select,
            known: &known,
        };
        let answer = self.guards.check(&asked).map_err(|(_, refusal)| refusal);
        if answer.is_ok() {
            self.guards.passed(&asked);
        }
        let memory = self.guards.memory();
        let mut again = Guards::new(&self.specs, &self.plant.catalogue).unwrap();
        again.recall(&memory).unwrap();
        assert_eq!(again.memory(), memory, "what is remembered comes back");
        self.guards = again;
        if let Err(refusal) = &answer {
            assert!(!refusal.words(&self.plant.catalogue).is_empty());
        }
        answer
    }

    fn passes(&mut self, ask: Ask<'_>) -> bool {
        self.ask(ask).is_ok()
    }
}

#[test]
fn rate_lets_a_burst_through_and_then_the_average() {
    let mut bench = Bench::new("kind = \"rate\"\nsignals = [\"valve\"]\nmost = 2\nperiod_s = 60");
    let passed: Vec<i64> = (0..200).filter(|at| bench.passes(Ask { at: *at, ..ASK })).collect();
    assert_eq!(passed, [0, 1, 30, 60, 90, 120, 150, 180]);
    assert!(bench.passes(Ask { at: 181, path: "pump", ..ASK }), "other signals are not counted");
    let mut once = Bench::new("kind = \"rate\"\nsignals = [\"valve\"]\nmost = 2\nperiod_s = 60");
    (0..2).for_each(|at| assert!(once.passes(Ask { at, ..ASK })));
    assert!(
        matches!(once.ask(Ask { at: 2, ..ASK }), Err(Refusal::TooOften { wait_s }) if (wait_s - 28.0).abs() < 1e-6)
    );
}

#[test]
fn sequence_wants_its_steps_in_order_and_in_time() {
    let spec = "kind = \"sequence\"\nsignals = [\"pump\"]\nrange = [0.1, 9.0]\nwithin_s = 60\n\
                when = [{ signal = \"valve\", range = [0.9, 1.0] }]";
    let mut bench = Bench::new(spec);
    let pump = |at, value| Ask { at, path: "pump", value, ..ASK };
    let valve = |at, value| Ask { at, value, ..ASK };
    assert!(matches!(bench.ask(pump(0, 1.0)), Err(Refusal::OutOfOrder { .. })));
    assert!(bench.passes(pump(0, 0.0)), "stopping needs no valve");
    assert!(bench.passes(valve(1, 1.0)) && bench.passes(pump(30, 1.0)));
    assert!(!bench.passes(pump(62, 1.0)), "the valve was opened too long ago");
    assert!(bench.passes(valve(70, 1.0)) && bench.passes(valve(71, 0.2)));
    assert!(!bench.passes(pump(72, 1.0)), "it was closed again");
}

#[test]
fn interlock_bars_while_its_conditions_hold_or_nobody_knows() {
    let spec = "kind = \"interlock\"\nsignals = [\"pump\"]\nrange = [0.1, 9.0]\nwhen = [{ signal = \"flow\", range = [-1.0, 0.5] }]";
    let mut bench = Bench::new(spec);
    let pump = Ask { path: "pump", ..ASK };
    assert!(!bench.passes(pump));
    assert!(bench.passes(Ask { value: 0.0, ..pump }));
    bench.flow = Some(0.6);
    assert!(bench.passes(pump));
    bench.flow = None;
    assert!(matches!(bench.ask(pump), Err(Refusal::Interlocked { value: None, .. })));
}

#[test]
fn select_comes_before_operate_by_the_same_sender_with_the_same_value() {
    let mut bench = Bench::new("kind = \"select\"\nsignals = [\"valve\"]\nwithin_s = 10");
    let select = |at, by| Ask { at, by, select: true, ..ASK };
    let operate = |at, by| Ask { at, by, ..ASK };
    assert!(!bench.passes(operate(0, 1)));
    assert!(bench.passes(select(1, 1)));
    assert!(!bench.passes(select(2, 2)), "taken");
    assert!(!bench.passes(operate(3, 2)) && !bench.passes(Ask { value: 0.5, ..operate(3, 1) }));
    assert!(bench.passes(operate(4, 1)));
    assert!(!bench.passes(operate(5, 1)), "a selection is for one operation");
    assert!(bench.passes(select(20, 1)) && !bench.passes(operate(31, 1)), "too late");
    assert!(bench.passes(select(32, 2)));
}

#[test]
fn maintenance_keeps_everybody_else_off() {
    // The bench's clock starts at 13:46:40 UTC on a Monday.
    let spec = "kind = \"maintenance\"\nsignals = [\"*\"]\nroles = [\"fitter\"]\n\
                windows = [{ days = [\"mon\"], from = \"13:00\", to = \"14:00\" }]";
    let mut bench = Bench::new(spec);
    assert_eq!(bench.ask(ASK), Err(Refusal::Maintenance));
    assert!(bench.passes(Ask { role: "fitter", ..ASK }));
    assert!(bench.passes(Ask { at: 3_600, ..ASK }));
}

#[test]
fn travel_adds_up_and_starts_anew_each_period() {
    let mut bench = Bench::new("kind = \"travel\"\nsignals = [\"valve\"]\nmost = 2.0\nperiod_s = 1000");
    let to = |at, value| Ask { at, value, ..ASK };
    assert!(bench.passes(to(0, 0.0)) && bench.passes(to(1, 1.0)) && bench.passes(to(2, 0.0)));
    assert!(matches!(bench.ask(to(3, 0.5)), Err(Refusal::Spent { would, .. }) if would == 2.5));
    assert!(bench.passes(to(4, 0.0)), "what moves nothing spends nothing");
    assert!(bench.passes(to(1_000, 0.5)));
}

#[test]
fn energy_counts_what_is_held_and_leaves_the_way_down_open() {
    let mut bench =
        Bench::new("kind = \"energy\"\nsignals = [\"valve\"]\nmost = 100.0\ngain = 2.0\nperiod_s = 1000");
    let to = |at, value| Ask { at, value, ..ASK };
    assert!(bench.passes(to(0, 1.0)) && bench.passes(to(40, 2.0)));
    // 40 s at 2 are 80; 10 s at 4 are 40 more.
    assert!(!bench.passes(to(50, 3.0)));
    assert!(bench.passes(to(51, 0.0)));
    assert!(!bench.passes(to(52, 0.1)));
    assert!(bench.passes(to(1_000, 1.0)));
}

#[test]
fn cumulative_sees_many_small_steps() {
    let spec = "kind = \"cumulative\"\nsignals = [\"valve\"]\nmost = 0.5\nwithin_s = 310";
    let mut bench = Bench::new(spec);
    let mut value = 0.0;
    let mut refused_at = None;
    for step in 0..20 {
        if bench.passes(Ask { at: step * 10, value: value + 0.05, ..ASK }) {
            value += 0.05;
        } else {
            refused_at = refused_at.or(Some(step));
        }
    }
    assert_eq!(refused_at, Some(11), "ten steps make 0.5");
    assert!((value - 0.55).abs() < 1e-9);
    assert!(bench.passes(Ask { at: 250, value: 0.3, ..ASK }), "back is not away");
    assert!(bench.passes(Ask { at: 1_000, value: 0.7, ..ASK }), "the steps are out of the window");
    assert!(!bench.passes(Ask { at: 1_001, value: 0.1, ..ASK }));
}

#[test]
fn freshness_wants_new_numbers_and_young_commands() {
    let mut bench = Bench::new("kind = \"freshness\"\nsignals = [\"*\"]\nwithin_s = 5");
    let number = |sequence| Ask { sequence: Some(sequence), ..ASK };
    assert!(bench.passes(Ask { age: 5, ..ASK }));
    assert!(matches!(bench.ask(Ask { age: 6, ..ASK }), Err(Refusal::Stale { .. })));
    assert!(matches!(bench.ask(Ask { age: -6, ..ASK }), Err(Refusal::Early { .. })));
    assert!(bench.passes(number(10)) && !bench.passes(number(10)));
    assert!(bench.passes(number(9)), "late, but new");
    assert!(bench.passes(number(2_000)) && !bench.passes(number(10)), "too old to tell");
    assert!(bench.passes(Ask { by: 7, ..number(10) }), "another sender's numbers");
    // Against a set of all numbers.
    let mut bench = Bench::new("kind = \"freshness\"\nsignals = [\"*\"]\nwithin_s = 5");
    let (mut seen, mut newest, mut state) = (std::collections::BTreeSet::new(), 0u64, 1u64);
    for _ in 0..3_000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let sequence = (newest + 200).saturating_sub(state >> 54);
        let fresh = seen.is_empty() || (!seen.contains(&sequence) && sequence + 1_024 > newest);
        assert_eq!(bench.passes(number(sequence)), fresh, "{sequence} {newest}");
        if fresh {
            seen.insert(sequence);
            newest = newest.max(sequence);
        }
    }
}

#[test]
fn memory_of_others_is_refused() {
    for (kind, rest) in [
        ("rate", "most = 1\nperiod_s = 1"),
        ("sequence", "within_s = 1\nwhen = [{ signal = \"flow\", range = [0.0, 1.0] }]"),
        ("interlock", "when = [{ signal = \"flow\", range = [0.0, 1.0] }]"),
        ("select", "within_s = 1"),
        ("maintenance", "windows = [{}]"),
        ("travel", "most = 1\nperiod_s = 1"),
        ("energy", "most = 1\nperiod_s = 1"),
        ("cumulative", "most = 1\nwithin_s = 1"),
        ("freshness", "within_s = 1"),
    ] {
        let mut bench = Bench::new(&format!("kind = \"{kind}\"\nsignals = [\"valve\"]\n{rest}"));
        let odd = Memory { whole: vec![1; 5], real: vec![f64::NAN; 7] };
        assert!(bench.guards.recall(&[odd]).is_err(), "{kind}");
        assert!(bench.guards.recall(&[]).is_err());
        assert!(kinds().any(|known| known == kind));
    }
    assert_eq!(kinds().count(), 9);
}
