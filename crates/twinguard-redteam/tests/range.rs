//! The range against defenders that do nothing, look only, or do what a good one would.
#![allow(missing_docs, clippy::unwrap_used)]

use std::convert::Infallible;

use twinguard_protocol::{Item, Stack};
use twinguard_redteam::{
    Defender, Range, RangeOptions, Reaction, Scenario, Stimulus, Target, Window, address,
};
use twinguard_twin::Plant;
use twinguard_twin::simulator::cooling_loop::{Options, PLANT};
use twinguard_types::{
    Action, ActionId, ActionKind, Command, CommandId, CommandOrigin, FindingId, PrincipalId, SignalId,
    Timestamp, Value,
};

fn plant() -> Plant {
    Plant::parse(PLANT, "plant.toml").unwrap()
}

fn overheat(start_s: i64) -> Scenario {
    let window = Window { start: Timestamp::from_secs(start_s), end: Timestamp::from_secs(1 << 20) };
    Scenario::build("overheat", &Target::of(&plant(), window, address::ATTACKER).unwrap()).unwrap()
}

fn options(seed: u64) -> RangeOptions {
    let site = Options { load: vec![(Timestamp::ZERO, 1.0)], ..Options::default() };
    RangeOptions { seed, origin: Timestamp::ZERO, site }
}

/// Decodes what it sees, and does what it is told at one time.
struct Watcher {
    stack: Stack,
    messages: u64,
    oddities: u64,
    bytes: running::Sum,
    orders: Vec<(Timestamp, ActionKind)>,
    out: Vec<Reaction>,
    next: u64,
    outcomes: u64,
}

impl Watcher {
    fn new(orders: Vec<(Timestamp, ActionKind)>) -> Self {
        Self {
            stack: Stack::new(twinguard_protocol::stack::Config::default()),
            messages: 0,
            oddities: 0,
            bytes: running::Sum::default(),
            orders,
            out: Vec::new(),
            next: 0,
            outcomes: 0,
        }
    }
}

mod running {
    /// A plain running sum of what was seen, to compare two runs by.
    #[derive(Default, Debug, PartialEq, Eq, Clone, Copy)]
    pub(crate) struct Sum(pub(crate) u64);
    impl Sum {
        pub(crate) fn add(&mut self, bytes: &[u8]) {
            for byte in bytes {
                self.0 = self.0.wrapping_mul(0x0100_0000_01b3) ^ u64::from(*byte);
            }
        }
    }
}

impl Defender for Watcher {
    type Error = Infallible;
    fn handle(&mut self, now: Timestamp, stimulus: Stimulus<'_>) -> Result<(), Infallible> {
        match stimulus {
            Stimulus::Frame(frame) => {
                self.bytes.add(frame.bytes);
                self.stack.handle(frame);
                while let Some(item) = self.stack.poll() {
                    match item {
                        Item::Message(message) => {
                            self.messages += 1;
                            self.oddities += u64::from(!message.oddities.is_empty());
                        }
                        Item::Exchange(_) => {}
                        _ => self.oddities += 1,
                    }
                }
            }
            Stimulus::Outcome(_) => self.outcomes += 1,
            _ => {}
        }
        while let Some((_, kind)) = self.orders.pop_if(|(at, _)| *at <= now) {
            self.next += 1;
            self.out.push(Reaction::Action(Action {
                id: ActionId(self.next),
                finding: FindingId(0),
                at: now,
                deadline: now,
                expires: None,
                kind,
                reason: String::new(),
                undo: String::new(),
                recommended_only: false,
            }));
        }
        Ok(())
    }
    fn poll(&mut self) -> Option<Reaction> {
        self.out.pop()
    }
    fn estimate(&self, _signal: SignalId) -> Option<(f64, f64)> {
        None
    }
}

fn run(seed: u64, scenario: Scenario, seconds: i64, watcher: &mut Watcher) -> f64 {
    let mut range = Range::new(&plant(), &options(seed), scenario);
    let hot_spot = plant().catalogue.id("transformer.hotspot.temperature").unwrap();
    (0..seconds).map(|_| range.step(watcher).unwrap().truth(hot_spot).unwrap()).fold(0.0, f64::max)
}

#[test]
fn all_traffic_is_whole_and_two_runs_are_equal() {
    let sums: Vec<_> = (0..2)
        .map(|_| {
            let mut watcher = Watcher::new(Vec::new());
            run(3, overheat(600), 1_200, &mut watcher);
            assert_eq!(watcher.oddities, 0);
            assert!(watcher.messages > 2 * 1_100, "{}", watcher.messages);
            watcher.bytes
        })
        .collect();
    assert_eq!(sums[0], sums[1]);
}

#[test]
fn without_a_guard_the_plant_overheats_while_screens_show_normal() {
    let peak = run(1, overheat(600), 600 + 90 * 60, &mut Watcher::new(Vec::new()));
    assert!(peak > 140.0, "{peak}");
    let calm = run(1, Scenario::none(), 600 + 90 * 60, &mut Watcher::new(Vec::new()));
    assert!(calm < 110.0, "{calm}");
}

#[test]
fn isolation_and_the_safe_state_keep_it_cool() {
    let plant = plant();
    let signal = plant.catalogue.id("cooler.valve.command").unwrap();
    let command = Command {
        id: CommandId(0),
        principal: PrincipalId(0),
        signal,
        value: Value::real(1.0).unwrap(),
        at: Timestamp::ZERO,
        origin: CommandOrigin::Guard,
        from: None,
    };
    let at = Timestamp::from_secs(660);
    let peer = std::net::IpAddr::V4(address::ATTACKER);
    let orders = vec![(at, ActionKind::Command(command)), (at, ActionKind::IsolatePeer { peer })];
    let mut watcher = Watcher::new(orders);
    let peak = run(1, overheat(600), 600 + 90 * 60, &mut watcher);
    assert_eq!(watcher.outcomes, 2);
    assert!(peak < 115.0, "{peak}");
}
