//! One sensor of a plant is lost or lies, and the model's estimate takes its place: does the plant stay within its limits, and is the
//! estimate as exact as it says?
//!
//! The twin runs the plant file, the plant its own equations with constants a few per cent off. Who lies is told to the twin a few
//! samples after the onset, as a finding would; from then on the controller gets the estimate.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::Mutex;
use std::thread;

use anyhow::{Context as _, Result, anyhow};
use serde_json::{Value as Json, json};
use twinguard::twin::plant::LimitKind;
use twinguard::twin::simulator::{self, ClosedLoop, Register, Table, cooling_loop};
use twinguard::twin::{LeftOut, ModelError, Plant, Twin};
use twinguard::types::{
    Binding, Command, CommandId, CommandOrigin, Direction, Duration, Point, PrincipalId, SignalId, Source,
    Timestamp, Value,
};

/// Samples that a model's errors are learnt on.
const LEARN: u32 = 14_400;
/// Samples of normal running before the onset, and from the onset until the sensor is named.
const BEFORE: u32 = 900;
const NAMED_AFTER: u32 = 10;
/// Samples that are watched at least and at most, whatever the limits' horizons say.
const LEAST: i64 = 600;
const MOST: i64 = 7_200;
/// A lie is off by this share of the sensor's range.
const LIE: f64 = 0.1;
/// Two-sided 95 % of a normal law.
const INTERVAL: f64 = 1.96;

/// What happens to a sensor.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    Lost,
    Low,
    High,
}

impl Fault {
    const fn word(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Low => "low",
            Self::High => "high",
        }
    }
}

const FAULTS: [Fault; 3] = [Fault::Lost, Fault::Low, Fault::High];

/// Everything about one plant that runs share.
struct Stage {
    name: &'static str,
    plant: Plant,
}

/// What one run came to.
#[derive(Clone, Debug, Default)]
struct Outcome {
    /// Limits that must never be crossed and were, and how many samples after the onset.
    crossed: BTreeMap<usize, i64>,
    /// Values of the substitutes that were compared, and those inside the interval.
    compared: u64,
    inside: u64,
    /// The truth one sample ago, by the number of the faulty sensor.
    truths: BTreeMap<usize, f64>,
}

impl Stage {
    fn all() -> Result<Vec<Self>> {
        let references = simulator::references().iter().map(|reference| (reference.name, reference.plant));
        [("cooling_loop", cooling_loop::PLANT)]
            .into_iter()
            .chain(references)
            .map(|(name, text)| Ok(Self { name, plant: Plant::parse(text, name)? }))
            .collect()
    }

    /// The site on a stretch of its life: the first one is learnt on, the others are watched.
    fn site(&self, seed: u64, stretch: u64) -> Result<Box<dyn ClosedLoop>> {
        Ok(match simulator::reference(self.name) {
            Some(reference) => reference.site(
                seed,
                &simulator::Options {
                    set_point_changes: true,
                    load_steps: true,
                    stretch,
                    ..simulator::Options::default()
                },
            )?,
            None => {
                let options = cooling_loop::Options {
                    set_point_changes: true,
                    stretch,
                    ..cooling_loop::Options::default()
                };
                let span = Duration::from_secs(i64::from(LEARN));
                Box::new(cooling_loop::Site::new(seed, &options.with_load_steps(seed + stretch, span)))
            }
        })
    }

    /// What the model misses, learnt on normal running.
    fn learn(&self, seed: u64) -> Result<BTreeMap<SignalId, ModelError>> {
        let mut site = self.site(seed, 0)?;
        let (mut twin, mut left_out) = (Twin::new(&self.plant)?, LeftOut::default());
        for _ in 0..LEARN {
            self.step(&mut *site, &mut twin, &[], false)?;
            left_out.look(&twin);
        }
        Ok(left_out.finish(&twin))
    }

    /// Samples that are watched from the onset on: the longest horizon of what must never be crossed.
    fn horizon(&self, period: Duration) -> i64 {
        let longest = self.plant.limits.iter().map(|limit| limit.horizon.as_nanos()).max().unwrap_or(0);
        (longest / period.as_nanos().max(1)).clamp(LEAST, MOST)
    }

    /// Sensors that the model knows.
    fn sensors(&self) -> Result<Vec<SignalId>> {
        let twin = Twin::new(&self.plant)?;
        let measured = |binding: &&Binding| {
            binding.direction != Direction::Write && twin.estimate(binding.signal).is_some()
        };
        let mut sensors: Vec<SignalId> =
            self.plant.bindings.iter().filter(measured).map(|binding| binding.signal).collect();
        sensors.sort_unstable();
        sensors.dedup();
        Ok(sensors)
    }

    fn run(
        &self,
        seed: u64,
        errors: &BTreeMap<SignalId, ModelError>,
        faulty: &[(SignalId, Fault)],
    ) -> Result<Outcome> {
        let mut site = self.site(seed, 1)?;
        let mut twin = Twin::new(&self.plant)?;
        twin.set_model_errors(errors);
        let period = site.period();
        let total = i64::from(BEFORE) + self.horizon(period);
        let (mut outcome, mut onset, mut substituted) = (Outcome::default(), None, false);
        for step in 0..total {
            if step == i64::from(BEFORE) {
                onset = Some(site.device().now());
            }
            if step == i64::from(BEFORE + NAMED_AFTER) {
                faulty.iter().for_each(|(signal, _)| twin.exclude(*signal, true));
                twin.rollback_to(onset.unwrap_or_default());
                substituted = true;
            }
            self.step(&mut *site, &mut twin, onset.and(Some(faulty)).unwrap_or(&[]), substituted)?;
            if onset.is_some() {
                let since = step - i64::from(BEFORE);
                self.judge(&*site, &twin, faulty, (since, substituted), &mut outcome)?;
            }
        }
        Ok(outcome)
    }

    /// One period of plant, twin, operator and controller.
    fn step(
        &self,
        site: &mut dyn ClosedLoop,
        twin: &mut Twin,
        faulty: &[(SignalId, Fault)],
        substituted: bool,
    ) -> Result<()> {
        site.device_mut().step();
        let now = site.device().now();
        while twin.advance(now).is_some() {}
        if site.device().answers() {
            self.read(site, twin, now, faulty, substituted)?;
        }
        while let Some(register) = site.operate(now) {
            site.tell_controller(register);
            self.write(site, twin, now, register)?;
        }
        for register in site.control(now) {
            self.write(site, twin, now, register)?;
        }
        Ok(())
    }

    /// One poll: the twin gets what the wire says, the controller the estimate for what is substituted.
    fn read(
        &self,
        site: &mut dyn ClosedLoop,
        twin: &mut Twin,
        now: Timestamp,
        faulty: &[(SignalId, Fault)],
        substituted: bool,
    ) -> Result<()> {
        let registers: Vec<Register> =
            site.device().registers().iter().copied().filter(|it| it.table == Table::Input).collect();
        for mut register in registers {
            let Some(binding) = self.binding(&register) else { continue };
            let fault = faulty.iter().find(|(signal, _)| *signal == binding.signal).map(|(_, fault)| *fault);
            if let Some(fault) = fault {
                let signal = self.plant.catalogue.signal(binding.signal).context("a signal of the plant")?;
                let off = match fault {
                    Fault::Lost => None,
                    Fault::Low => Some(-LIE),
                    Fault::High => Some(LIE),
                };
                let wide = signal.range.map_or(1.0, |range| range.span());
                let read = off.map(|off| binding.word().value(register.raw) + off * wide);
                if let Some(read) = read {
                    register.raw = binding.word().raw(read);
                }
                if substituted {
                    let estimate = twin.estimate(binding.signal).context("a sensor that the model knows")?;
                    site.tell_controller(Register { raw: binding.word().raw(estimate.mean), ..register });
                }
                if read.is_none() || substituted {
                    continue;
                }
            }
            let value = Value::real(binding.word().value(register.raw))?;
            twin.observe(&Point::new(binding.signal, value, Source::Field, now));
            site.tell_controller(register);
        }
        Ok(())
    }

    fn write(
        &self,
        site: &mut dyn ClosedLoop,
        twin: &mut Twin,
        now: Timestamp,
        register: Register,
    ) -> Result<()> {
        site.device_mut().write(register);
        let Some(binding) = self.binding(&register) else { return Ok(()) };
        twin.command(&Command {
            id: CommandId(0),
            principal: PrincipalId(0),
            signal: binding.signal,
            value: Value::real(binding.word().value(register.raw))?,
            at: now,
            origin: CommandOrigin::Wire,
            from: None,
        });
        Ok(())
    }

    fn binding(&self, register: &Register) -> Option<&Binding> {
        let tag = register.tag();
        self.plant.bindings.iter().find(|binding| *binding.tag == *tag)
    }

    fn judge(
        &self,
        site: &dyn ClosedLoop,
        twin: &Twin,
        faulty: &[(SignalId, Fault)],
        (since, substituted): (i64, bool),
        outcome: &mut Outcome,
    ) -> Result<()> {
        let spots = site.spots();
        let truth = |signal: SignalId| {
            let path = self.plant.catalogue.path(signal);
            spots.iter().find(|spot| spot.path == path).and_then(|spot| spot.truth)
        };
        for (place, limit) in self.plant.limits.iter().enumerate() {
            let Some(value) = truth(limit.signal).filter(|_| limit.kind == LimitKind::NeverExceed) else {
                continue;
            };
            let crossed =
                limit.max.is_some_and(|max| value > max) || limit.min.is_some_and(|min| value < min);
            if crossed {
                outcome.crossed.entry(place).or_insert(since);
            }
        }
        for (place, (signal, _)) in faulty.iter().enumerate() {
            let now = truth(*signal).ok_or_else(|| anyhow!("a sensor without a truth"))?;
            // An estimate is of the last slot that is complete.
            let before = outcome.truths.insert(place, now).filter(|_| substituted);
            if let Some(truth) = before {
                let estimate = twin.estimate(*signal).context("a sensor that the model knows")?;
                outcome.compared += 1;
                outcome.inside += u64::from((estimate.mean - truth).abs() <= INTERVAL * estimate.sigma);
            }
        }
        Ok(())
    }
}

/// One line of the table: one sensor of a plant, or two, over all seeds and faults.
pub(crate) struct Line {
    pub(crate) plant: &'static str,
    pub(crate) sensors: String,
    pub(crate) runs: usize,
    /// A limit that was crossed and is kept with all sensors: in which run, and after how long.
    pub(crate) harm: Vec<Harm>,
    /// Share of the time in which the truth lay inside the 95 % interval of what stood in.
    pub(crate) inside: f64,
    /// How long each run was watched.
    pub(crate) hours: f64,
}

pub(crate) struct Harm {
    seed: u64,
    fault: Fault,
    signal: String,
    after_h: f64,
}

impl core::fmt::Display for Harm {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { seed, fault, signal, after_h } = self;
        write!(f, "{signal} after {after_h:.1} h (seed {seed}, {})", fault.word())
    }
}

impl Line {
    pub(crate) fn json(&self) -> Json {
        let harm = |it: &Harm| json!({ "signal": it.signal, "seed": it.seed, "fault": it.fault.word(), "after_hours": it.after_h });
        json!({
            "plant": self.plant, "sensors": self.sensors, "runs": self.runs, "hours": self.hours,
            "inside": self.inside, "harm": self.harm.iter().map(harm).collect::<Vec<_>>(),
        })
    }
}

/// The same of each, on all cores, in their order.
fn at_once<A: Sync, B: Send>(items: &[A], run: impl Fn(&A) -> Result<B> + Sync) -> Result<Vec<B>> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let (next, found) = (Mutex::new(items.iter().enumerate()), Mutex::new(BTreeMap::new()));
    let take = || next.lock().ok()?.next();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((place, item)) = take() {
                    let made = run(item);
                    if let Ok(mut found) = found.lock() {
                        found.insert(place, made);
                    }
                }
            });
        }
    });
    let found = found.into_inner().map_err(|_| anyhow!("a run broke off"))?;
    found.into_values().collect()
}

/// The plants.
pub(crate) fn names() -> Vec<&'static str> {
    let references = simulator::references().iter().map(|reference| reference.name);
    ["cooling_loop"].into_iter().chain(references).collect()
}

/// Every sensor of every plant, alone or two at a time, over these seeds; `told` hears of each line.
pub(crate) fn study(
    seeds: u64,
    pairs: bool,
    wanted: impl Fn(&str) -> bool,
    mut told: impl FnMut(Line) -> Result<()>,
) -> Result<()> {
    for stage in Stage::all()?.into_iter().filter(|stage| wanted(stage.name)) {
        let every: Vec<u64> = (1..=seeds).collect();
        let learnt = at_once(&every, |seed| stage.learn(*seed))?;
        let of = |seed: u64| learnt.get(seed as usize - 1).context("a learnt model error of every seed");
        let healthy = at_once(&every, |seed| stage.run(*seed, of(*seed)?, &[]))?;
        let sensors = stage.sensors()?;
        let choices: Vec<Vec<SignalId>> = if pairs {
            let second = |at: usize| sensors.iter().skip(at + 1);
            sensors.iter().enumerate().flat_map(|(at, a)| second(at).map(|b| vec![*a, *b])).collect()
        } else {
            sensors.iter().map(|sensor| vec![*sensor]).collect()
        };
        let runs: Vec<(u64, Fault)> =
            (1..=seeds).flat_map(|seed| FAULTS.map(|fault| (seed, fault))).collect();
        let period_h = stage.site(1, 0)?.period().as_secs_f64() / 3_600.0;
        for choice in choices {
            let outcomes = at_once(&runs, |(seed, fault)| {
                let faulty: Vec<_> = choice.iter().map(|sensor| (*sensor, *fault)).collect();
                stage.run(*seed, of(*seed)?, &faulty)
            })?;
            let mut harm = Vec::new();
            for ((seed, fault), outcome) in runs.iter().zip(&outcomes) {
                let before = healthy.get(*seed as usize - 1).context("a healthy run of every seed")?;
                for (place, since) in &outcome.crossed {
                    if before.crossed.contains_key(place) {
                        continue;
                    }
                    let limit = stage.plant.limits.get(*place).context("a limit of the plant")?;
                    let signal = stage.plant.catalogue.path(limit.signal).to_owned();
                    harm.push(Harm { seed: *seed, fault: *fault, signal, after_h: *since as f64 * period_h });
                }
            }
            let compared: u64 = outcomes.iter().map(|outcome| outcome.compared).sum();
            let inside: u64 = outcomes.iter().map(|outcome| outcome.inside).sum();
            let names: Vec<&str> = choice.iter().map(|sensor| stage.plant.catalogue.path(*sensor)).collect();
            let period = stage.site(1, 0)?.period();
            told(Line {
                plant: stage.name,
                sensors: names.join(", "),
                runs: runs.len(),
                harm,
                inside: inside as f64 / compared.max(1) as f64,
                hours: stage.horizon(period) as f64 * period_h,
            })?;
        }
    }
    Ok(())
}
