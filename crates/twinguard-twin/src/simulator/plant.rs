//! A simulated plant in its surroundings, its sensors and actuators, and the field device in front.
//!
//! Source: plant cards of the reference plants. Inputs that nobody commands follow daily and yearly waves, steps and a
//! slow first-order wander; sensors add noise and slow drift, the wire type rounds; one poll in 10,000 stays
//! unanswered. Constants differ from the published ones within their band, drawn by seed: a guard's model is never
//! exactly the plant.

use core::f64::consts::TAU;
use std::sync::Arc;

use twinguard_types::{Duration, SignalId, Timestamp};

use super::reference::{Effect, Incident, Surrounding};
use super::wire::{Origin, Wire};
use super::{Noise, Register, SensorNoise, Simulator, Table, Wander, stream};
use crate::integrators::Rk4;

/// Days are not sampled more often than this for waves and drift.
const SLOW_S: f64 = 60.0;
const DAY_S: f64 = 86_400.0;
const YEAR_S: f64 = 365.25 * DAY_S;
/// Mid-July in seconds of a year.
const MIDSUMMER_S: f64 = 196.0 * DAY_S;

/// How a run goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Whether surroundings wander and follow day, week and year.
    pub disturbances: bool,
    /// Whether the level of surroundings steps now and then, where the plant knows such steps.
    pub load_steps: bool,
    /// Whether sensors are noisy, drift, and one poll in 10,000 stays unanswered.
    pub sensor_noise: bool,
    /// Constants differ from the published ones by up to this multiple of their band.
    pub deviation: f64,
    /// Whether the operator moves set-points now and then.
    pub set_point_changes: bool,
    /// Which stretch of the plant's life this is: noise, weather and the operator's mind differ from one to the next,
    /// the plant and the vendor's twin stay what the seed made them. A guard learns on one and watches another.
    pub stretch: u64,
    /// What the calendar says when the run starts, UTC.
    pub calendar: Timestamp,
    /// How far the plant's local time is ahead of UTC: (from when, by how much), ascending; UTC before the first. Schedules of the
    /// controller and what people do follow the local clock, daylight saving included; sun and weather do not.
    pub zone: Vec<(Timestamp, Duration)>,
    /// Time between two samples; that of the plant file when absent.
    pub sampling: Option<Duration>,
    /// Where the operator holds a set-point from an instant on, by the signal's path: another way to run the plant.
    pub set_points: Vec<(Timestamp, String, f64)>,
    /// Levels that an input takes, by its name: (from when, value), ascending.
    pub courses: Vec<(String, Vec<(Timestamp, f64)>)>,
    /// Faults and benign events.
    pub events: Vec<Event>,
}

impl Default for Options {
    /// Everything disturbed, no steps, no faults, the operator keeps off; Monday 2026-03-16 06:00 UTC.
    fn default() -> Self {
        Self {
            disturbances: true,
            load_steps: false,
            sensor_noise: true,
            deviation: 1.0,
            set_point_changes: false,
            stretch: 0,
            calendar: Timestamp::from_secs(1_773_640_800),
            zone: Vec::new(),
            sampling: None,
            set_points: Vec::new(),
            courses: Vec::new(),
            events: Vec::new(),
        }
    }
}

impl Options {
    /// Seconds since 1970 at an instant of the run: by UTC, and by the plant's local clock.
    pub(super) fn date_s(&self, now: Timestamp) -> (f64, f64) {
        let passed = self.zone.partition_point(|(from, _)| *from <= now);
        let ahead = passed.checked_sub(1).and_then(|at| self.zone.get(at));
        let utc =
            self.calendar.since(Timestamp::ZERO).as_secs_f64() + now.since(Timestamp::ZERO).as_secs_f64();
        (utc, utc + ahead.map_or(0.0, |(_, ahead)| ahead.as_secs_f64()))
    }

    /// With one more event.
    #[must_use]
    pub fn with(mut self, event: Event) -> Self {
        self.events.push(event);
        self
    }
}

/// Something that happens to the plant in this run.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// From when on.
    pub from: Timestamp,
    /// Until when; it stays when absent.
    pub until: Option<Timestamp>,
    /// How long it takes until it is fully there.
    pub ramp: Duration,
    /// What it does.
    pub effects: Vec<Effect>,
}

impl Incident {
    /// The event that this is when it begins at `from`.
    #[must_use]
    pub fn at(&self, from: Timestamp) -> Event {
        let seconds = |s: f64| Duration::from_secs_f64(s).ok();
        Event {
            from,
            until: seconds(self.lasts_s).map(|length| from + length),
            ramp: seconds(self.ramp_s).unwrap_or(Duration::ZERO),
            effects: self.effects.to_vec(),
        }
    }
}

/// An input that moves by itself.
#[derive(Clone, Debug)]
struct Course {
    input: usize,
    about: Surrounding,
    level: f64,
    wave: f64,
    wander: Wander,
    next_step: Timestamp,
    given: Vec<(Timestamp, f64)>,
}

/// An effect with its names resolved.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Touch {
    Constant(usize, f64),
    Input(usize, f64),
    Weak(usize, f64),
    Stuck(usize),
    Bias(usize, f64),
    Scale(usize, f64),
    Frozen(usize),
    Silence,
}

#[derive(Clone, Debug)]
struct Happening {
    from: Timestamp,
    until: Option<Timestamp>,
    ramp_s: f64,
    touches: Vec<Touch>,
}

impl Happening {
    /// How far it is there, 0…1.
    fn share(&self, now: Timestamp) -> f64 {
        if now < self.from || self.until.is_some_and(|until| now >= until) {
            return 0.0;
        }
        let passed = now.since(self.from).as_secs_f64();
        if passed < self.ramp_s { passed / self.ramp_s } else { 1.0 }
    }
}

/// The equations of a plant with constants, integrated: the real plant's and the vendor's are two of these.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    pub(super) wire: Arc<Wire>,
    pub(super) constants: Vec<f64>,
    pub(super) state: Vec<f64>,
    pub(super) input: Vec<f64>,
    pub(super) output: Vec<f64>,
    rk4: Rk4,
}

impl Machine {
    /// With constants that `draw` moves, relative.
    pub(super) fn new(wire: Arc<Wire>, mut draw: impl FnMut(f64) -> f64) -> Self {
        let reference = wire.reference;
        let state: Vec<f64> = reference.states.iter().map(|(_, start)| *start).collect();
        let mut machine = Self {
            constants: reference.constants.iter().map(|c| c.value * (1.0 + draw(c.spread))).collect(),
            input: reference.inputs.iter().map(|(_, rest)| *rest).collect(),
            output: vec![0.0; reference.outputs.len()],
            rk4: Rk4::new(state.len()),
            state,
            wire,
        };
        machine.show();
        machine
    }

    /// One sampling period; inputs hold.
    pub(super) fn advance(&mut self) {
        let physics = self.wire.reference.physics;
        let step_s = self.wire.period_s / f64::from(self.wire.substeps);
        for _ in 0..self.wire.substeps {
            let (constants, input) = (&self.constants, &self.input);
            let rate = |_: f64, state: &[f64], out: &mut [f64]| physics.rate(constants, state, input, out);
            self.rk4.step(rate, 0.0, step_s, &mut self.state);
            physics.settle(&self.constants, &mut self.state, &self.input, step_s);
        }
        self.show();
    }

    pub(super) fn show(&mut self) {
        let physics = self.wire.reference.physics;
        physics.output(&self.constants, &self.state, &self.input, &mut self.output);
    }

    pub(super) fn value(&self, origin: Origin) -> f64 {
        let value = match origin {
            Origin::Output(index) => self.output.get(index),
            Origin::Input(index) => self.input.get(index),
        };
        value.copied().unwrap_or_default()
    }
}

/// The plant with its field device.
#[derive(Clone, Debug)]
pub struct SimulatedPlant {
    machine: Machine,
    /// Constants without faults.
    healthy: Vec<f64>,
    options: Options,
    courses: Vec<Course>,
    happenings: Vec<Happening>,
    weather: Noise,
    sensing: Noise,
    noise: Vec<SensorNoise>,
    registers: Vec<Register>,
    tick: i64,
    period: Duration,
    slow_due: Timestamp,
    answers: bool,
    quiet: bool,
    /// Whether loads and weather stay what they are.
    still: bool,
}

impl SimulatedPlant {
    pub(super) fn new(wire: Arc<Wire>, seed: u64, options: &Options) -> Self {
        let reference = wire.reference;
        let mut draws = Noise::new(seed, 10);
        let deviation = options.deviation;
        let machine = Machine::new(wire.clone(), |spread| deviation * draws.between(-1.0, 1.0) * spread);
        let mut sensing = Noise::new(seed, stream(11, options.stretch));
        let noise = wire.sensors.iter().map(|sensor| SensorNoise::new(sensor.sigma, &mut sensing)).collect();
        let input_at = |name: &str| reference.inputs.iter().position(|(own, _)| *own == name);
        let mut courses: Vec<Course> = Vec::new();
        for (input, (name, rest)) in reference.inputs.iter().enumerate() {
            if wire.actuators.iter().any(|actuator| actuator.input == input) {
                continue;
            }
            let about = reference.surroundings.iter().find(|around| around.input == *name);
            let about = about.copied().unwrap_or(Surrounding::still(name));
            courses.push(Course {
                input,
                level: *rest,
                wave: 0.0,
                wander: Wander::new(about.sigma, about.tau_s, wire.period_s),
                next_step: Timestamp::ZERO,
                given: Vec::new(),
                about,
            });
        }
        for (name, given) in &options.courses {
            if let Some(course) = courses.iter_mut().find(|course| Some(course.input) == input_at(name)) {
                course.given.clone_from(given);
            }
        }
        let mut registers = wire.registers.clone();
        let mut put = |place: usize, raw: u16| {
            if let Some(register) = registers.get_mut(place) {
                register.raw = raw;
            }
        };
        for actuator in &wire.actuators {
            let rest = reference.inputs.get(actuator.input).map_or(0.0, |(_, rest)| *rest);
            put(actuator.channel.register, actuator.channel.word.raw(rest));
        }
        for held in &wire.held {
            let value = reference.set_points.get(held.index).map_or(0.0, |point| point.value);
            put(held.channel.register, held.channel.word.raw(value));
        }
        let mut plant = Self {
            healthy: machine.constants.clone(),
            machine,
            options: options.clone(),
            courses,
            happenings: Vec::new(),
            weather: Noise::new(seed, stream(12, options.stretch)),
            sensing,
            noise,
            registers,
            tick: 0,
            period: wire.plant.time.sampling,
            slow_due: Timestamp::ZERO,
            answers: true,
            quiet: true,
            still: false,
        };
        plant.surround();
        plant.drive();
        plant.machine.show();
        plant.sense();
        plant
    }

    /// Ends the run-in: from here on time counts, and everything that was asked for happens.
    pub(super) fn begin(&mut self) {
        self.quiet = false;
        self.tick = 0;
        self.slow_due = Timestamp::ZERO;
        for event in self.options.events.clone() {
            self.happen(&event);
        }
    }

    /// From now on loads and weather stay what they are; what was asked to [happen](Self::happen) does so all the same. For a
    /// run ahead that asks what one act does by itself.
    pub fn hold_surroundings(&mut self) {
        self.still = true;
    }

    /// From now on this happens too. Effects on things that the plant does not have are left out.
    pub fn happen(&mut self, event: &Event) {
        let reference = self.machine.wire.reference;
        let constant = |name: &str| reference.constants.iter().position(|constant| constant.name == name);
        let input = |name: &str| reference.inputs.iter().position(|(own, _)| *own == name);
        let sensors = &self.machine.wire.sensors;
        let catalogue = &self.machine.wire.plant.catalogue;
        let sensor = |path: &str| {
            let signal = catalogue.id(path)?;
            sensors.iter().position(|sensor| sensor.channel.signal == signal)
        };
        let touches = event.effects.iter().filter_map(|effect| {
            Some(match effect {
                Effect::Constant(name, factor) => Touch::Constant(constant(name)?, *factor),
                Effect::Input(name, added) => Touch::Input(input(name)?, *added),
                Effect::Weak(name, share) => Touch::Weak(input(name)?, *share),
                Effect::Stuck(name) => Touch::Stuck(input(name)?),
                Effect::Bias(path, added) => Touch::Bias(sensor(path)?, *added),
                Effect::Scale(path, factor) => Touch::Scale(sensor(path)?, *factor),
                Effect::Frozen(path) => Touch::Frozen(sensor(path)?),
                Effect::Silence => Touch::Silence,
            })
        });
        let touches: Vec<Touch> = touches.collect();
        let ramp_s = event.ramp.as_secs_f64();
        self.happenings.push(Happening { from: event.from, until: event.until, ramp_s, touches });
    }

    /// The true value of a signal of the plant file; for reports, never for a guard.
    #[must_use]
    pub fn truth(&self, signal: SignalId) -> Option<f64> {
        let wire = &self.machine.wire;
        let sensor = wire.sensors.iter().find(|sensor| sensor.channel.signal == signal);
        let driven = || wire.actuators.iter().find(|actuator| actuator.channel.signal == signal);
        match (sensor, driven()) {
            (Some(sensor), _) => Some(self.machine.value(sensor.origin)),
            (None, Some(actuator)) => self.machine.input.get(actuator.input).copied(),
            (None, None) => {
                if let Some((_, origin)) = wire.modelled.iter().find(|(known, _)| *known == signal) {
                    return Some(self.machine.value(*origin));
                }
                let channel = wire.channels.iter().find(|channel| channel.signal == signal)?;
                Some(channel.word.value(self.registers.get(channel.register)?.raw))
            }
        }
    }

    /// The true state; for reports, never for a guard.
    #[must_use]
    pub fn state(&self) -> &[f64] {
        &self.machine.state
    }

    /// The true inputs: what actuators do, what the surroundings are.
    #[must_use]
    pub fn inputs(&self) -> &[f64] {
        &self.machine.input
    }

    /// The true outputs.
    #[must_use]
    pub fn outputs(&self) -> &[f64] {
        &self.machine.output
    }

    /// The true constants, as they are at this moment.
    #[must_use]
    pub fn constants(&self) -> &[f64] {
        &self.machine.constants
    }

    fn touches(&self, now: Timestamp) -> impl Iterator<Item = (Touch, f64)> + '_ {
        self.happenings.iter().flat_map(move |happening| {
            let share = happening.share(now);
            happening.touches.iter().filter(move |_| share > 0.0).map(move |touch| (*touch, share))
        })
    }

    /// Weather and load.
    fn surround(&mut self) {
        if self.still {
            return;
        }
        let now = self.now();
        let alive = !self.quiet && self.options.disturbances;
        let slow = now >= self.slow_due;
        if slow {
            let wait = Duration::from_secs_f64(SLOW_S).unwrap_or(self.period);
            self.slow_due = now + wait.max(self.period);
        }
        let (utc_s, local_s) = self.options.date_s(now);
        for course in &mut self.courses {
            let about = course.about;
            if let Some((_, value)) =
                course.given.get(course.given.partition_point(|(from, _)| *from <= now).saturating_sub(1))
            {
                course.level = *value;
            } else if !self.quiet && self.options.load_steps && about.steps.2 > 0.0 && now >= course.next_step
            {
                if now > Timestamp::ZERO {
                    course.level = self.weather.between(about.steps.0, about.steps.1);
                }
                let wait = about.steps.2 * self.weather.between(0.5, 1.5);
                course.next_step = now + Duration::from_secs_f64(wait).unwrap_or(self.period);
            }
            if slow && self.options.disturbances {
                // What knows weekends is people's doing.
                course.wave = wave(&about, if about.weekend == 0.0 { utc_s } else { local_s });
            }
            let wander = if alive && about.sigma > 0.0 { course.wander.step(&mut self.weather) } else { 0.0 };
            if let Some(input) = self.machine.input.get_mut(course.input) {
                *input = (course.level + course.wave + wander).clamp(about.band.0, about.band.1);
            }
        }
    }

    /// Actuators follow their commands, as far as they can.
    fn drive(&mut self) {
        let now = self.now();
        let wire = self.machine.wire.clone();
        for actuator in &wire.actuators {
            let raw = self.registers.get(actuator.channel.register).map_or(0, |register| register.raw);
            let mut told = actuator.channel.word.value(raw);
            if let Some(range) = wire.plant.catalogue.signal(actuator.channel.signal).and_then(|s| s.range) {
                told = told.clamp(range.min(), range.max());
            }
            let before = self.machine.input.get(actuator.input).copied().unwrap_or(told);
            for (touch, share) in self.touches(now) {
                match touch {
                    Touch::Weak(input, left) if input == actuator.input => {
                        told *= 1.0 + share * (left - 1.0);
                    }
                    Touch::Stuck(input) if input == actuator.input => told = before,
                    _ => {}
                }
            }
            if let Some(input) = self.machine.input.get_mut(actuator.input) {
                *input = told;
            }
        }
        if self.happenings.is_empty() {
            return;
        }
        self.machine.constants.copy_from_slice(&self.healthy);
        let touches: Vec<(Touch, f64)> = self.touches(now).collect();
        for (touch, share) in touches {
            match touch {
                Touch::Constant(index, factor) => {
                    if let Some(constant) = self.machine.constants.get_mut(index) {
                        *constant *= 1.0 + share * (factor - 1.0);
                    }
                }
                Touch::Input(index, added) => {
                    if let Some(input) = self.machine.input.get_mut(index) {
                        *input += share * added;
                    }
                }
                _ => {}
            }
        }
    }

    fn sense(&mut self) {
        let now = self.now();
        let wire = self.machine.wire.clone();
        let noisy = !self.quiet && self.options.sensor_noise;
        let drift = noisy && now == self.slow_due;
        for (index, (sensor, noise)) in wire.sensors.iter().zip(&mut self.noise).enumerate() {
            let mut value = self.machine.value(sensor.origin);
            let mut frozen = false;
            for happening in &self.happenings {
                let share = happening.share(now);
                for touch in happening.touches.iter().filter(|_| share > 0.0) {
                    match *touch {
                        Touch::Bias(at, added) if at == index => value += share * added,
                        Touch::Scale(at, factor) if at == index => value *= 1.0 + share * (factor - 1.0),
                        Touch::Frozen(at) if at == index => frozen = true,
                        _ => {}
                    }
                }
            }
            if noisy {
                if drift {
                    noise.walk(SLOW_S.max(wire.period_s), &mut self.sensing);
                }
                value += noise.error(&mut self.sensing);
            }
            if let Some(register) = self.registers.get_mut(sensor.channel.register).filter(|_| !frozen) {
                register.raw = sensor.channel.word.raw(value);
            }
        }
    }
}

/// Day, week and year.
fn wave(about: &Surrounding, date_s: f64) -> f64 {
    let mut wave = 0.0;
    if about.day != 0.0 {
        wave += about.day * libm::cos(TAU * (date_s / DAY_S - about.peak_h / 24.0));
    }
    if about.season != 0.0 {
        wave += about.season * libm::cos(TAU * (date_s - MIDSUMMER_S) / YEAR_S);
    }
    // Day 0 of the calendar, 1970-01-01, was a Thursday.
    if about.weekend != 0.0 && (libm::floor(date_s / DAY_S) + 3.0).rem_euclid(7.0) >= 5.0 {
        wave += about.weekend;
    }
    wave
}

impl Simulator for SimulatedPlant {
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.tick.saturating_mul(self.period.as_nanos()))
    }

    fn period(&self) -> Duration {
        self.period
    }

    fn step(&mut self) {
        self.surround();
        self.drive();
        self.machine.advance();
        self.tick += 1;
        let silent = self.touches(self.now()).any(|(touch, _)| touch == Touch::Silence);
        let noisy = !self.quiet && self.options.sensor_noise;
        self.answers = !silent && (!noisy || self.sensing.uniform() >= 1e-4);
        self.sense();
    }

    fn answers(&self) -> bool {
        self.answers
    }

    fn registers(&self) -> &[Register] {
        &self.registers
    }

    fn write(&mut self, register: Register) -> bool {
        let place = self.machine.wire.place(&register).filter(|_| register.table == Table::Holding);
        let held = place.and_then(|place| self.registers.get_mut(place));
        held.map(|held| held.raw = register.raw).is_some()
    }
}
