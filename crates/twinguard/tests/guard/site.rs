//! One simulated site for all: a guard that has learnt it, and runs of it that are recorded stimulus by stimulus.

// Every test binary takes what it needs.
#![allow(dead_code)]

use std::sync::OnceLock;

use twinguard::protocol::{Frame, LinkType};
use twinguard::redteam::{
    Defender, Range, RangeOptions, Reaction, Scenario, Stimulus, Target, Window, address,
};
use twinguard::response::Autonomy;
use twinguard::twin::Plant;
use twinguard::twin::simulator::cooling_loop::{Options, PLANT};
use twinguard::types::{
    Command, CommandId, CommandOrigin, Digest, Duration, Finding, Intent, Outcome, Point, PrincipalId,
    SignalId, Timestamp, Value,
};
use twinguard::{Config, Error, Guard, Input, Output, Verdicted};

pub(crate) const ORIGIN: Timestamp = Timestamp::from_secs(1_773_480_000);
/// The plant; what differs between runs of it is the stretch of its life.
const SEED: u64 = 7;
const LEARN_S: i64 = 3_600;
/// The attacker plays back what it heard in the twenty minutes before.
pub(crate) const ATTACK_S: i64 = 22 * 60;

pub(crate) fn plant() -> Plant {
    Plant::parse(PLANT, "plant.toml").unwrap()
}

pub(crate) fn signal(path: &str) -> SignalId {
    plant().catalogue.id(path).unwrap()
}

pub(crate) fn config() -> Config {
    Config { autonomy: Autonomy::FULL, seed: 3, ..Config::default() }
}

/// The state of a guard that has learnt the site, which takes a while, so it is done once.
pub(crate) fn learnt() -> &'static [u8] {
    static LEARNT: OnceLock<Vec<u8>> = OnceLock::new();
    LEARNT.get_or_init(|| {
        let plant = plant();
        let history = |guard: &mut Guard| {
            let site = Options { set_point_changes: true, stretch: 1, ..Options::default() };
            let site = site.with_load_steps(SEED, Duration::from_secs(LEARN_S));
            let options = RangeOptions { seed: SEED, origin: ORIGIN - Duration::from_secs(86_400), site };
            let mut range = Range::new(&plant, &options, Scenario::none());
            (0..LEARN_S).for_each(|_| drop(range.step(guard).unwrap()));
            Ok(())
        };
        let builder = Guard::builder_unsealed(plant.clone()).config(config());
        builder.learn(history).unwrap().build().unwrap().snapshot().unwrap()
    })
}

/// A guard that has learnt the site and was told nothing yet.
pub(crate) fn guard(config: Config) -> Guard {
    Guard::builder_unsealed(plant()).config(config).restore(learnt()).unwrap()
}

/// The main scenario: old values come again while the water valve is closed. It lasts to the end of the run.
pub(crate) fn overheat() -> Scenario {
    let window =
        Window { start: ORIGIN + Duration::from_secs(ATTACK_S), end: ORIGIN + Duration::from_secs(1 << 20) };
    let target = Target::of(&plant(), window, address::ATTACKER).unwrap();
    Scenario::build("overheat", &target).unwrap()
}

/// The site at full load, at another time of its life.
pub(crate) fn range(stretch: u64, scenario: Scenario) -> Range {
    let site = Options { load: vec![(Timestamp::ZERO, 1.0)], stretch, ..Options::default() };
    Range::new(&plant(), &RangeOptions { seed: SEED, origin: ORIGIN, site }, scenario)
}

/// What a guard was told, kept.
#[derive(Clone, Debug)]
pub(crate) enum Told {
    Frame(u64, Timestamp, LinkType, Vec<u8>),
    Points(Vec<Point>),
    Intent(Intent),
    Outcome(Outcome),
    Tick,
}

impl Told {
    /// Tells it again; the answers wait in the guard.
    pub(crate) fn tell(&self, guard: &mut Guard, now: Timestamp) -> Result<(), Error> {
        match self {
            Self::Frame(index, at, link, bytes) => {
                let original_len = bytes.len() as u32;
                guard.handle(
                    now,
                    Input::Frame(&Frame { index: *index, at: *at, link: *link, bytes, original_len }),
                )
            }
            Self::Points(points) => guard.handle(now, Input::Points(points)),
            Self::Intent(intent) => guard.handle(now, Input::Intent(*intent)),
            Self::Outcome(outcome) => guard.handle(now, Input::Outcome(*outcome)),
            Self::Tick => guard.handle(now, Input::Tick),
        }
    }
}

pub(crate) fn poll(guard: &mut Guard) -> Vec<Output> {
    core::iter::from_fn(|| guard.poll()).collect()
}

pub(crate) fn findings(said: &[Output]) -> impl Iterator<Item = &Finding> {
    said.iter().filter_map(|output| match output {
        Output::Finding(finding) => Some(finding),
        _ => None,
    })
}

pub(crate) fn verdicts(said: &[Output]) -> impl Iterator<Item = &Verdicted> {
    said.iter().filter_map(|output| match output {
        Output::Verdict(verdicted) => Some(verdicted),
        _ => None,
    })
}

/// A guard at the range, and all that was said to it and by it.
#[derive(Debug)]
pub(crate) struct Tape {
    pub(crate) guard: Guard,
    pub(crate) told: Vec<(Timestamp, Told)>,
    pub(crate) said: Vec<Output>,
    waiting: std::collections::VecDeque<Reaction>,
    /// The hottest that the plant truly was, °C.
    pub(crate) peak: f64,
}

impl Tape {
    pub(crate) fn new(guard: Guard) -> Self {
        Self {
            guard,
            told: Vec::new(),
            said: Vec::new(),
            waiting: Default::default(),
            peak: f64::NEG_INFINITY,
        }
    }

    /// Goes on for so many seconds of the range.
    pub(crate) fn run(mut self, range: &mut Range, seconds: i64) -> Self {
        let hot_spot = signal("transformer.hotspot.temperature");
        for _ in 0..seconds {
            let sample = range.step(&mut self).unwrap();
            self.peak = self.peak.max(sample.truth(hot_spot).unwrap());
        }
        self
    }

    /// Time of the last stimulus.
    pub(crate) fn end(&self) -> Timestamp {
        self.told.last().unwrap().0
    }
}

impl Defender for Tape {
    type Error = Error;

    fn handle(&mut self, now: Timestamp, stimulus: Stimulus<'_>) -> Result<(), Error> {
        let told = match stimulus {
            Stimulus::Frame(it) => Told::Frame(it.index, it.at, it.link, it.bytes.to_vec()),
            Stimulus::Vendor(points) => Told::Points(points.to_vec()),
            Stimulus::Intent(intent) => Told::Intent(intent),
            Stimulus::Outcome(outcome) => Told::Outcome(outcome),
            _ => Told::Tick,
        };
        told.tell(&mut self.guard, now)?;
        for output in poll(&mut self.guard) {
            match &output {
                Output::Finding(it) => self.waiting.push_back(Reaction::Finding(it.clone())),
                Output::Verdict(it) => self.waiting.push_back(Reaction::Verdict(it.verdict.clone())),
                Output::Action(it) => self.waiting.push_back(Reaction::Action(it.clone())),
                _ => {}
            }
            self.said.push(output);
        }
        self.told.push((now, told));
        Ok(())
    }

    fn poll(&mut self) -> Option<Reaction> {
        self.waiting.pop_front()
    }

    fn estimate(&self, signal: SignalId) -> Option<(f64, f64)> {
        self.guard.estimate(signal)
    }
}

/// A run that is over: what was told and said, the guard's state at its end, its journal.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) told: Vec<(Timestamp, Told)>,
    pub(crate) said: Vec<Output>,
    pub(crate) state: Vec<u8>,
    pub(crate) size: u64,
    pub(crate) root: Digest,
    /// Field points that were taken.
    pub(crate) points: u64,
}

/// The main scenario, guarded, three minutes into the attack.
pub(crate) fn attacked() -> &'static Recorded {
    static RUN: OnceLock<Recorded> = OnceLock::new();
    RUN.get_or_init(|| {
        let Tape { guard, told, said, .. } =
            Tape::new(guard(config())).run(&mut range(0, overheat()), ATTACK_S + 180);
        let (state, size, root) =
            (guard.snapshot().unwrap(), guard.evidence().size(), guard.evidence().root());
        let points = guard.counters().points;
        Recorded { told, said, state, size, root, points }
    })
}

/// A guard that watched five calm minutes at full load, and when they ended.
pub(crate) fn calm(config: Config) -> (Guard, Timestamp) {
    let tape = Tape::new(guard(config)).run(&mut range(2, Scenario::none()), 300);
    assert_eq!(findings(&tape.said).count(), 0);
    let end = tape.end();
    (tape.guard, end)
}

/// A command that the platform wants to send on behalf of an address.
pub(crate) fn command(id: u64, from: std::net::Ipv4Addr, path: &str, value: f64, at: Timestamp) -> Command {
    Command {
        id: CommandId(id),
        // Nobody that the guard knows: the address says who it is.
        principal: PrincipalId(u32::MAX),
        signal: signal(path),
        value: Value::real(value).unwrap(),
        at,
        origin: CommandOrigin::Platform,
        from: Some((from, 50_000).into()),
    }
}
