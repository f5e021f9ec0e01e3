//! Does an unsafe command pass? Random attackers with every right against simulated plants that the model describes only
//! to ± 10 %, with telemetry that is honest, delayed or forged; the truth is the plant itself, run ahead both ways. With honest
//! and delayed telemetry none may pass; with a forged sensor, where no detector stands beside the gate, one in a hundred.
//!
//! Unsafe: the true plant, with this command and otherwise unchanged, breaks a never-exceed limit within its horizon that
//! it would not have broken without it. Loads and weather are part of what is unchanged: where a limit is broken only because a load
//! stepped afterwards, which nobody could know, it is counted apart. The attacker holds a role that may write any actuator any value, so that nothing
//! but the what-if stands in the way. Legitimate: what the plant's own controller writes in undisturbed running. Constants drawn at ± 10 %
//! make some plants that their own controller cannot keep within limits at all: those are counted, and left out.
//!
//! `TWINGUARD_COMMANDS` sets the attack commands per plant (400), `TWINGUARD_UNDISTURBED` the periods in which each plant's own
//! controller writes before (300); `.ci/long/gate` asks for more and adds up. For a closer look:
//! `TWINGUARD_SEED`, `TWINGUARD_SHOW` (each unsafe or blocked command), `TWINGUARD_MODEL_ERROR`.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::collections::VecDeque;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use twinguard_gate::policy::Source as Policy;
use twinguard_gate::{Gate, GateConfig};
use twinguard_twin::plant::{LimitKind, Plant};
use twinguard_twin::simulator::{self, Effect, Event, Options, SimulatedPlant, Simulator, Site};
use twinguard_twin::{Twin, plant::Dynamics};
use twinguard_types::{
    Command, CommandId, CommandOrigin, Decision, Duration, Point, Principal, PrincipalId, Role, SignalId,
    Source, Timestamp, Value,
};

/// Plants whose constants are off by up to this much.
const MISMATCH: f64 = 0.1;
/// Share of refused commands of which the truth is asked for as well.
const LOOK_AT_REFUSED: u64 = 10;

struct Dice(ChaCha8Rng);

impl Dice {
    fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    fn below(&mut self, n: usize) -> usize {
        (self.unit() * n as f64) as usize
    }
}

/// What happens to the telemetry on its way to the twin.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Path {
    Honest,
    /// Each row comes this many periods late, as if it were new.
    Delayed(usize),
    /// A sensor shows this much more, growing over this many periods.
    Biased(SignalId, f64, f64),
    Frozen(SignalId),
}

impl Path {
    const fn kind(self) -> usize {
        match self {
            Self::Honest => 0,
            Self::Delayed(_) => 1,
            Self::Biased(..) => 2,
            Self::Frozen(_) => 3,
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    attacks: u64,
    /// Honest, delayed, biased, frozen.
    by_path: [u64; 4],
    allowed: u64,
    clamped: u64,
    refused: u64,
    unsafe_admitted: [u64; 4],
    /// Admitted, and a limit was broken because of what loads and weather did afterwards.
    overtaken: u64,
    refused_looked_at: u64,
    refused_unsafe: u64,
    legitimate: u64,
    blocked: u64,
}

struct Limit {
    signal: SignalId,
    min: f64,
    max: f64,
    steps: usize,
}

struct World {
    plant: Plant,
    site: Site,
    twin: Twin,
    gate: Gate,
    limits: Vec<Limit>,
    actuators: Vec<(SignalId, f64, f64)>,
    path: Path,
    since: f64,
    queue: VecDeque<Vec<(SignalId, f64)>>,
    frozen: Option<f64>,
    /// Actuators that the attacker has taken from the controller.
    taken: Vec<SignalId>,
    next: u64,
    tally: Tally,
}

impl World {
    fn new(name: &str, seed: u64, dice: &mut Dice) -> Self {
        let reference = simulator::reference(name).unwrap();
        let mut site =
            Site::new(reference, seed, &Options { load_steps: true, ..Options::default() }).unwrap();
        let drawn = reference.constants.iter().filter(|constant| constant.spread > 0.0);
        let effects: Vec<Effect> = drawn
            .map(|it| Effect::Constant(it.name.into(), dice.between(1.0 - MISMATCH, 1.0 + MISMATCH)))
            .collect();
        let from = Timestamp::ZERO;
        site.plant.happen(&Event { from, until: None, ramp: Duration::ZERO, effects });
        let plant = site.file().clone();
        let period_s = plant.time.sampling.as_secs_f64();
        let limit = |it: &twinguard_twin::plant::Limit| Limit {
            signal: it.signal,
            min: it.min.unwrap_or(f64::NEG_INFINITY),
            max: it.max.unwrap_or(f64::INFINITY),
            steps: (it.horizon.as_secs_f64() / period_s).floor() as usize,
        };
        let limits = plant.limits.iter().filter(|it| it.kind == LimitKind::NeverExceed).map(limit).collect();
        let inputs = |dynamics: &Dynamics| dynamics.inputs.clone();
        let modelled = plant.dynamics.as_ref().map(inputs).unwrap_or_default();
        let actuators = plant
            .catalogue
            .iter()
            .filter(|(id, signal)| signal.role == Role::Actuator && modelled.contains(&Some(*id)))
            .filter_map(|(id, signal)| Some((id, signal.range?.min(), signal.range?.max())))
            .filter(|(id, ..)| site.encode(*id, 0.0).is_some())
            .collect();
        let policy = "format = 1\n[[rule]]\nname = \"everything\"\neffect = \"allow\"\nroles = [\"intruder\"]\nsignals = [\"*\"]\n";
        let policy = Policy::parse(policy, "policy.toml", &plant).unwrap();
        let mut config = GateConfig::default();
        if let Some(share) = std::env::var("TWINGUARD_MODEL_ERROR").ok().and_then(|it| it.parse().ok()) {
            config.model_error = share;
        }
        let gate = Gate::with_policy(&plant, config, policy).unwrap();
        let mut world = Self {
            twin: Twin::new(&plant).unwrap(),
            gate,
            plant,
            site,
            limits,
            actuators,
            path: Path::Honest,
            since: 0.0,
            queue: VecDeque::new(),
            frozen: None,
            taken: Vec::new(),
            next: 0,
            tally: Tally::default(),
        };
        // Until twin and controller have found the plant.
        world.run(400, false);
        world
    }

    fn now(&self) -> Timestamp {
        self.site.plant.now()
    }

    fn command(&mut self, signal: SignalId, value: f64) -> Command {
        self.next += 1;
        Command {
            id: CommandId(self.next),
            principal: PrincipalId(0),
            signal,
            value: Value::real(value).unwrap(),
            at: self.now(),
            origin: CommandOrigin::Platform,
            from: None,
        }
    }

    fn ask(&mut self, signal: SignalId, value: f64) -> (Command, Decision) {
        let command = self.command(signal, value);
        let who = Principal::new("mallory").role("intruder");
        let verdict = self.gate.admit(self.now(), &command, &who, Some(&self.twin));
        (command, verdict.decision)
    }

    /// What the twin is told of what was measured.
    fn tell(&mut self, row: Vec<(SignalId, f64)>) {
        self.since += 1.0;
        let row = match self.path {
            Path::Delayed(periods) => {
                self.queue.push_back(row);
                if self.queue.len() <= periods { return } else { self.queue.pop_front().unwrap() }
            }
            _ => row,
        };
        let now = self.now();
        for (signal, value) in row {
            let value = match self.path {
                Path::Biased(lied, most, over) if lied == signal => {
                    value + most * (self.since / over).min(1.0)
                }
                Path::Frozen(lied) if lied == signal => *self.frozen.get_or_insert(value),
                _ => value,
            };
            self.twin.observe(&Point::new(signal, Value::real(value).unwrap(), Source::Field, now));
        }
    }

    fn run(&mut self, periods: usize, count: bool) {
        for _ in 0..periods {
            self.site.plant.step();
            let now = self.now();
            while let Some(residual) = self.twin.advance(now) {
                self.gate.observe(&residual);
                self.gate.follow(&self.twin);
            }
            if self.site.plant.answers() {
                let registers = self.site.plant.registers().to_vec();
                let read = registers.iter().filter_map(|register| self.site.decode(register));
                let measured = |(signal, _): &(SignalId, f64)| {
                    self.plant.catalogue.signal(*signal).is_some_and(|it| it.role == Role::Measurement)
                };
                let row: Vec<(SignalId, f64)> = read.filter(measured).collect();
                registers.iter().for_each(|register| self.site.controller.observe(*register));
                self.tell(row);
            }
            for write in self.site.controller.decide(now) {
                let Some((signal, value)) = self.site.decode(&write) else { continue };
                if self.taken.contains(&signal) {
                    continue;
                }
                if count {
                    let command = self.command(signal, value);
                    let who = Principal::new("mallory").role("intruder");
                    let verdict = self.gate.admit(now, &command, &who, Some(&self.twin));
                    self.tally.legitimate += 1;
                    self.tally.blocked += u64::from(verdict.decision != Decision::Allow);
                    if verdict.decision != Decision::Allow && std::env::var_os("TWINGUARD_SHOW").is_some() {
                        let (plant, path) = (&self.plant.name, self.plant.catalogue.path(signal));
                        let why = &verdict.reasons[0].text;
                        println!(
                            "{plant} BLOCKED {path} {value} {:?}: {why}; {:?}",
                            self.path, verdict.margin
                        );
                    }
                }
                let command = self.command(signal, value);
                self.twin.command(&command);
                self.gate.withdraw(&command);
                self.site.plant.write(write);
            }
            self.site.controller.take_journal();
        }
    }

    /// Which limits the true plant breaks within their horizons when these values are written now and nothing else is, and its
    /// surroundings stay what they are or not.
    fn breaks(&self, writes: &[(SignalId, f64)], still: bool) -> Vec<bool> {
        let mut plant: SimulatedPlant = self.site.plant.clone();
        if still {
            plant.hold_surroundings();
        }
        for (signal, value) in writes {
            plant.write(self.site.encode(*signal, *value).unwrap());
        }
        let mut broken = vec![false; self.limits.len()];
        let steps = self.limits.iter().map(|limit| limit.steps).max().unwrap_or(0);
        for step in 1..=steps {
            plant.step();
            for (limit, broken) in self.limits.iter().zip(&mut broken) {
                if step <= limit.steps && !*broken {
                    let value = plant.truth(limit.signal).unwrap();
                    *broken = !(limit.min..=limit.max).contains(&value);
                }
            }
        }
        broken
    }

    fn is_unsafe(
        &self,
        before: &[(SignalId, f64)],
        write: (SignalId, f64),
        still: bool,
        held: Option<&[Vec<bool>; 2]>,
    ) -> bool {
        let with = self.breaks(&[before, &[write]].concat(), still);
        if with.iter().all(|broken| !broken) {
            return false;
        }
        let without =
            held.map_or_else(|| self.breaks(before, still), |held| held[usize::from(still)].clone());
        with.iter().zip(&without).any(|(with, without)| *with && !without)
    }

    /// One command of the attacker, on top of what was let through before; what is let through.
    fn attack(
        &mut self,
        before: &[(SignalId, f64)],
        (signal, value): (SignalId, f64),
        held: Option<&[Vec<bool>; 2]>,
    ) -> Option<(SignalId, f64)> {
        let (_, decision) = self.ask(signal, value);
        let kind = self.path.kind();
        self.tally.attacks += 1;
        self.tally.by_path[kind] += 1;
        let sent = match decision {
            Decision::Allow => {
                self.tally.allowed += 1;
                value
            }
            Decision::Clamp(safe) => {
                self.tally.clamped += 1;
                safe.as_f64()
            }
            _ => {
                self.tally.refused += 1;
                if self.tally.refused.is_multiple_of(LOOK_AT_REFUSED) {
                    self.tally.refused_looked_at += 1;
                    self.tally.refused_unsafe +=
                        u64::from(self.is_unsafe(before, (signal, value), true, held));
                }
                return None;
            }
        };
        if self.is_unsafe(before, (signal, sent), true, held) {
            self.tally.unsafe_admitted[kind] += 1;
            if std::env::var_os("TWINGUARD_SHOW").is_some() {
                let path = self.plant.catalogue.path(signal);
                println!(
                    "{} UNSAFE {path} {value} → {sent} {decision:?} after {before:?}, {:?} for {} periods",
                    self.plant.name, self.path, self.since
                );
            }
        } else if self.is_unsafe(before, (signal, sent), false, held) {
            self.tally.overtaken += 1;
        }
        Some((signal, sent))
    }

    fn forget(&mut self) {
        for (signal, ..) in self.actuators.clone() {
            let command = self.command(signal, 0.0);
            self.gate.withdraw(&command);
        }
    }

    /// Values that an attacker likes: the ends, anything, near what it is.
    fn value(&self, dice: &mut Dice, (signal, low, high): (SignalId, f64, f64)) -> f64 {
        match dice.below(4) {
            0 => low,
            1 => high,
            2 => dice.between(low, high),
            _ => {
                let now = self.twin.estimate(signal).map_or(low, |estimate| estimate.mean);
                (now + dice.between(-0.2, 0.2) * (high - low)).clamp(low, high)
            }
        }
    }

    fn strike(&mut self, dice: &mut Dice) {
        let pick = |world: &Self, dice: &mut Dice| world.actuators[dice.below(world.actuators.len())];
        match dice.below(4) {
            0 | 1 => {
                let held = [false, true].map(|still| self.breaks(&[], still));
                for _ in 0..20 {
                    let actuator = pick(self, dice);
                    let value = self.value(dice, actuator);
                    self.attack(&[], (actuator.0, value), Some(&held));
                    self.forget();
                }
            }
            2 => {
                for _ in 0..5 {
                    let mut through = Vec::new();
                    for _ in 0..4 {
                        let actuator = pick(self, dice);
                        let value = self.value(dice, actuator);
                        through.extend(self.attack(&through, (actuator.0, value), None));
                    }
                    self.forget();
                }
            }
            _ => {
                // Slowly: the attacker has taken one actuator from the controller and moves it step by step.
                let (signal, low, high) = pick(self, dice);
                let step = dice.between(-0.1, 0.1) * (high - low);
                self.taken = vec![signal];
                for _ in 0..20 {
                    let now = self.twin.estimate(signal).map_or(low, |estimate| estimate.mean);
                    let value = (now + step).clamp(low, high);
                    if let Some((signal, value)) = self.attack(&[], (signal, value), None) {
                        let register = self.site.encode(signal, value).unwrap();
                        self.site.plant.write(register);
                        let command = self.command(signal, value);
                        self.twin.command(&command);
                    }
                    let wait = 1 + dice.below(10);
                    self.run(wait, false);
                }
                self.taken.clear();
                self.forget();
            }
        }
    }

    /// Whether the plant is where its controller keeps it.
    fn sound(&self) -> bool {
        self.limits.iter().all(|limit| {
            let value = self.site.plant.truth(limit.signal).unwrap();
            (limit.min..=limit.max).contains(&value)
        }) && self.breaks(&[], false).iter().all(|broken| !broken)
    }
}

fn campaign(name: &str) {
    let commands: u64 =
        std::env::var("TWINGUARD_COMMANDS").ok().and_then(|it| it.parse().ok()).unwrap_or(400);
    let undisturbed: usize =
        std::env::var("TWINGUARD_UNDISTURBED").ok().and_then(|it| it.parse().ok()).unwrap_or(300);
    let seed: u64 = std::env::var("TWINGUARD_SEED").ok().and_then(|it| it.parse().ok()).unwrap_or(1);
    let mut total = Tally::default();
    let (mut worlds, mut unsound) = (0, 0);
    while total.attacks < commands {
        worlds += 1;
        let mut dice = Dice(ChaCha8Rng::seed_from_u64(seed * 1_000_003 + worlds));
        let mut world = World::new(name, seed * 1_000 + worlds, &mut dice);
        let sound = world.sound();
        world.run(undisturbed, true);
        if !(sound && world.sound()) {
            unsound += 1;
            continue;
        }
        // One plant in three is honestly measured, one delayed, one lied to.
        world.path = match dice.below(3) {
            0 => Path::Honest,
            1 => Path::Delayed(1 + dice.below(5)),
            _ => {
                let outputs: Vec<SignalId> =
                    world.plant.dynamics.iter().flat_map(|it| it.outputs.iter().flatten().copied()).collect();
                let lied = outputs[dice.below(outputs.len())];
                let sigma = world.plant.catalogue.signal(lied).and_then(|it| it.sigma).unwrap_or(0.1);
                let most = sigma * dice.between(-40.0, 40.0);
                if dice.below(4) == 0 {
                    Path::Frozen(lied)
                } else {
                    Path::Biased(lied, most, dice.between(1.0, 120.0))
                }
            }
        };
        world.since = 0.0;
        for _ in 0..12 {
            let wait = 5 + dice.below(60);
            world.run(wait, false);
            if !world.sound() {
                break;
            }
            world.strike(&mut dice);
        }
        let it = world.tally;
        total.attacks += it.attacks;
        total.by_path.iter_mut().zip(it.by_path).for_each(|(sum, it)| *sum += it);
        total.allowed += it.allowed;
        total.clamped += it.clamped;
        total.refused += it.refused;
        total.overtaken += it.overtaken;
        total.unsafe_admitted.iter_mut().zip(it.unsafe_admitted).for_each(|(sum, it)| *sum += it);
        total.refused_looked_at += it.refused_looked_at;
        total.refused_unsafe += it.refused_unsafe;
        total.legitimate += it.legitimate;
        total.blocked += it.blocked;
    }
    let [honest, delayed, biased, frozen] = total.unsafe_admitted;
    let true_path = total.by_path[0] + total.by_path[1];
    println!(
        "{name}: {} attacks on {} plants ({unsound} more do not keep their limits): {} allowed, {} clamped, {} refused ({} of {} looked at were unsafe); \
         {true_path} with true telemetry, {} unsafe admitted; {} with forged telemetry, {} unsafe admitted; \
         {} overtaken by a load; {} legitimate, {} blocked",
        total.attacks,
        worlds - unsound,
        total.allowed,
        total.clamped,
        total.refused,
        total.refused_unsafe,
        total.refused_looked_at,
        honest + delayed,
        total.attacks - true_path,
        biased + frozen,
        total.overtaken,
        total.legitimate,
        total.blocked
    );
    assert_eq!(honest + delayed, 0, "unsafe commands were admitted");
    // A lie that stays within what the model takes for its own error moves the state that the what-if starts from.
    assert!(
        (biased + frozen) * 100 <= total.attacks - true_path,
        "lies let more than one command in a hundred through"
    );
    assert!(total.blocked * 200 <= total.legitimate, "more than 0.5 % of legitimate commands were blocked");
}

macro_rules! plants {
    ($($name:ident),*) => {
        $(#[test] fn $name() { campaign(stringify!($name)) })*
    };
}

plants!(battery, boiler, conveyor, hvac_zone, quadruple_tank, quadruple_tank_nonminimum);
