//! A small cooled plant for tests: seeded, linear, with everything that can be done to it.
#![allow(clippy::needless_range_loop, clippy::unwrap_used, dead_code, missing_docs, unreachable_pub)]

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rand_distr::{Distribution, StandardNormal};
use twinguard_anomaly::{Aligner, Context, Detector, Fitted, History, Recording};
use twinguard_types::{
    Catalogue, Command, CommandId, CommandOrigin, DetectorId, Duration, Event, Exchange, ExchangeOutcome,
    Intent, Label, Point, PrincipalId, Residual, Role, Signal, SignalId, Source, Timestamp, Value,
};

pub const SENSORS: usize = 5;
pub const VALVE: SignalId = SignalId(5);
const QUANTUM: [f64; SENSORS] = [0.1, 0.1, 0.1, 0.05, 0.02];
const SIGMA: [f64; SENSORS] = [0.2, 0.3, 0.2, 0.15, 0.05];

pub fn catalogue() -> Catalogue {
    let mut catalogue = Catalogue::new();
    for (path, unit) in [("oil", "degC"), ("hot", "degC"), ("out", "degC"), ("flow", "kg/s"), ("load", "pu")]
    {
        let signal = Signal::new(path, Role::Measurement).unit(unit).range(-50.0, 250.0).unwrap();
        catalogue.intern(signal).unwrap();
    }
    catalogue.intern(Signal::new("valve", Role::Actuator).range(0.0, 1.0).unwrap()).unwrap();
    catalogue
}

#[derive(Clone)]
pub struct Plant {
    rng: ChaCha8Rng,
    second: i64,
    load: f64,
    oil: f64,
    estimate: f64,
    valve: f64,
    integral: f64,
    aligner: Aligner,
    memory: Vec<[f64; SENSORS]>,
    frozen: [Option<f64>; SENSORS],
    replay: Option<(usize, [bool; SENSORS], i64)>,
    commands: u64,
    pub bias: [f64; SENSORS],
    pub noise: [f64; SENSORS],
    pub latency: f64,
    /// One poll in this many stays without an answer; 0 for none.
    pub unanswered: u64,
    pub silent: bool,
    pub intruder: Option<f64>,
    pub lose: f64,
    pub journal: bool,
    pub display_frozen: bool,
    pub display_offset: f64,
    pub load_step: f64,
    pub vendor: bool,
    pub model: bool,
    shown: [f64; SENSORS],
}

impl Plant {
    pub fn new(seed: u64) -> Self {
        let signals = (0..6).map(SignalId).collect();
        let mut plant = Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            second: 1_000_000 * seed as i64,
            load: 1.0,
            oil: 60.0,
            estimate: 60.0,
            valve: 0.5,
            integral: 0.5,
            aligner: Aligner::new(signals, Duration::from_secs(1), Duration::from_secs(5)).unwrap(),
            memory: Vec::new(),
            frozen: [None; SENSORS],
            replay: None,
            commands: 0,
            bias: [0.0; SENSORS],
            noise: [1.0; SENSORS],
            latency: 0.02,
            unanswered: 0,
            silent: false,
            intruder: None,
            lose: 0.0,
            journal: true,
            display_frozen: false,
            display_offset: 0.0,
            load_step: 0.0,
            vendor: true,
            model: true,
            shown: [0.0; SENSORS],
        };
        // settle
        for _ in 0..3_000 {
            plant.physics();
        }
        plant.estimate = plant.oil;
        for _ in 0..600 {
            plant.step(|_| {});
        }
        plant
    }

    pub fn now(&self) -> Timestamp {
        Timestamp::from_secs(self.second)
    }

    pub fn true_oil(&self) -> f64 {
        self.oil
    }

    pub fn freeze(&mut self, sensor: usize) {
        self.frozen[sensor] = self.memory.last().map(|row| row[sensor]);
    }

    pub fn replay(&mut self, back: usize) {
        self.replay_only(back, &[0, 1, 2, 3, 4]);
    }

    pub fn replay_only(&mut self, back: usize, sensors: &[usize]) {
        let mut which = [false; SENSORS];
        sensors.iter().for_each(|sensor| which[*sensor] = true);
        self.replay = Some((self.memory.len() - back, which, 0));
    }

    pub fn heal(&mut self) {
        (self.frozen, self.replay, self.intruder) = ([None; SENSORS], None, None);
        self.bias = [0.0; SENSORS];
    }

    fn normal(&mut self) -> f64 {
        StandardNormal.sample(&mut self.rng)
    }

    fn uniform(&mut self) -> f64 {
        self.rng.next_u32() as f64 / f64::from(u32::MAX)
    }

    fn cooling(valve: f64, oil: f64) -> f64 {
        0.02 * (0.2 + 0.8 * valve) * (oil - 20.0)
    }

    fn physics(&mut self) {
        let wander = self.normal();
        let target = 1.0 + self.load_step;
        self.load += 0.001 * (target - self.load) + 0.004 * wander;
        self.oil += 0.48 * self.load - Self::cooling(self.valve, self.oil);
    }

    pub fn step(&mut self, mut sink: impl FnMut(&Event<'_>)) {
        self.second += 1;
        let at = self.now();
        self.physics();
        let oil = self.oil;
        let truth = [
            oil,
            oil + 22.0 * self.load * self.load,
            oil - 12.0 * self.load / (0.4 + 0.6 * self.valve),
            10.0 * (0.2 + 0.8 * self.valve),
            self.load,
        ];
        let mut read = [0.0; SENSORS];
        for i in 0..SENSORS {
            let noisy = truth[i] + self.bias[i] + SIGMA[i] * self.noise[i] * self.normal();
            read[i] = (noisy / QUANTUM[i]).round() * QUANTUM[i];
            if let Some(value) = self.frozen[i] {
                read[i] = value;
            }
        }
        if let Some((start, which, step)) = &mut self.replay {
            let row = self.memory[(*start + *step as usize) % self.memory.len()];
            *step += 1;
            for i in 0..SENSORS {
                if which[i] {
                    read[i] = row[i];
                }
            }
        }
        self.memory.push(read);
        // the controller, every ten seconds
        let client = "10.0.0.2:40001".parse().unwrap();
        if self.second % 10 == 0 {
            let error = read[0] - 60.0;
            self.integral = (self.integral + 0.002 * error).clamp(0.0, 1.0);
            let wanted = (self.integral + 0.02 * error).clamp(0.0, 1.0);
            let on_wire = (wanted * 1000.0).round() / 1000.0;
            if self.journal {
                let intent = Intent {
                    principal: PrincipalId(1),
                    signal: VALVE,
                    value: Value::real(wanted).unwrap(),
                    at,
                };
                sink(&Event::Intent(intent));
            }
            self.valve = on_wire;
            if self.uniform() >= self.lose {
                sink(&Event::Command(self.command(on_wire, at, PrincipalId(1), client)));
            } else {
                // the frame was lost by the tap, and an unrelated one shows up without its intent
                let odd = (on_wire * 0.999 * 1000.0).round() / 1000.0 + 0.013;
                sink(&Event::Command(self.command(odd, at, PrincipalId(1), client)));
            }
        }
        if let (Some(value), true) = (self.intruder, self.second % 10 == 3) {
            let from = "10.0.0.66:5000".parse().unwrap();
            sink(&Event::Command(self.command(value, at, PrincipalId(66), from)));
        }
        if let Some(value) = self.intruder {
            self.valve = value;
        }
        if !self.silent {
            let latency = self.latency * libm::exp(0.2 * self.normal());
            let lost = self.unanswered > 0 && (self.second as u64).is_multiple_of(self.unanswered);
            let exchange = Exchange {
                at: at + Duration::from_secs_f64(latency).unwrap(),
                family: Label::literal("modbus"),
                client,
                server: "10.0.0.10:502".parse().unwrap(),
                unit: 1,
                function: 4,
                latency: (!lost).then(|| Duration::from_secs_f64(latency).unwrap()),
                outcome: if lost { ExchangeOutcome::Unanswered } else { ExchangeOutcome::Answered },
            };
            sink(&Event::Exchange(exchange));
            while let Some(row) = self.aligner.poll(at) {
                sink(&Event::Row(row));
            }
            for (i, value) in read.iter().chain([&self.valve]).enumerate() {
                let value = Value::real(*value).unwrap();
                let point = Point::new(SignalId(i as u32), value, Source::Field, at);
                sink(&Event::Point(point));
                self.aligner.push(&point);
            }
            for i in 0..SENSORS {
                if !self.display_frozen {
                    self.shown[i] = read[i] + self.display_offset;
                }
                if self.vendor {
                    let value = Value::real(self.shown[i]).unwrap();
                    sink(&Event::Point(Point::new(SignalId(i as u32), value, Source::Vendor, at)));
                }
            }
            if self.model {
                self.residual(&read, at, &mut sink);
            }
        }
        sink(&Event::Tick(at));
    }

    /// A steady observer whose parameters are three per cent off.
    fn residual(&mut self, read: &[f64; SENSORS], at: Timestamp, sink: &mut impl FnMut(&Event<'_>)) {
        let load = read[4];
        self.estimate += 0.48 * load - 1.03 * Self::cooling(self.valve, self.estimate);
        let valve = self.valve;
        let shown = |estimate: f64| {
            [
                estimate,
                estimate + 22.6 * load * load,
                estimate - 12.2 * load / (0.4 + 0.6 * valve),
                10.0 * (0.2 + 0.8 * valve),
            ]
        };
        let predicted = shown(self.estimate);
        let mut innovation = [0.0; 4];
        for i in 0..4 {
            innovation[i] = read[i] - predicted[i];
        }
        self.estimate += 0.05 * innovation[0] + 0.02 * innovation[1] + 0.02 * innovation[2];
        let signals: [SignalId; 4] = core::array::from_fn(|i| SignalId(i as u32));
        let spread = [0.25, 2.5, 1.0, 0.2];
        let nis = innovation.iter().zip(spread).map(|(nu, s)| nu * nu / (s * s)).sum();
        let mut factor = [0.0; 10];
        for (i, s) in spread.iter().enumerate() {
            factor[i * (i + 3) / 2] = *s;
        }
        sink(&Event::Residual(Residual {
            at,
            signals: &signals,
            innovation: &innovation,
            expected: &predicted,
            believed: &shown(self.estimate),
            factor: &factor,
            nis,
            dof: 4,
            log_likelihood: -nis / 2.0,
        }));
    }

    fn command(
        &mut self,
        value: f64,
        at: Timestamp,
        who: PrincipalId,
        from: core::net::SocketAddr,
    ) -> Command {
        self.commands += 1;
        Command {
            id: CommandId(self.commands),
            principal: who,
            signal: VALVE,
            value: Value::real(value).unwrap(),
            at,
            origin: CommandOrigin::Wire,
            from: Some(from),
        }
    }

    pub fn run(&mut self, seconds: usize) -> Recording {
        let mut recording = Recording::new();
        for _ in 0..seconds {
            self.step(|event| recording.push(event));
        }
        recording
    }
}

pub fn fit(detector: &dyn Detector, recording: Recording) -> Box<dyn Fitted> {
    let catalogue = catalogue();
    let context = Context { id: DetectorId(0), catalogue: &catalogue, seed: 7 };
    let history = if recording.is_empty() { History::empty() } else { recording.history() };
    detector.fit(&history, &context).unwrap()
}

/// The loudest surprise while the plant runs.
pub fn loudest(fitted: &mut dyn Fitted, plant: &mut Plant, seconds: usize) -> f64 {
    let mut most: f64 = 0.0;
    for _ in 0..seconds {
        plant.step(|event| {
            if let Some(observation) = fitted.observe(event) {
                assert!(observation.score.surprise.is_finite() && observation.score.surprise >= 0.0);
                most = most.max(observation.score.surprise);
            }
        });
    }
    most
}

/// The onset of the first score beyond the level.
pub fn onset(fitted: &mut dyn Fitted, plant: &mut Plant, seconds: usize, level: f64) -> Option<Timestamp> {
    let mut found = None;
    for _ in 0..seconds {
        plant.step(|event| {
            if let Some(observation) = fitted.observe(event)
                && observation.score.surprise > level
                && found.is_none()
            {
                found = observation.onset;
            }
        });
    }
    found
}
