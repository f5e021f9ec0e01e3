//! The transformer in its surroundings, its sensors and the field device in front.
//!
//! Source: plant card 1. Load, air and supply water follow a given course with a slow first-order disturbance around it;
//! sensors add noise and slow drift, the wire type rounds. The thermal parameters differ from the published ones by
//! what [`Options::deviation`] says, drawn by seed: a guard's model is never exactly the plant.

use twinguard_types::{Duration, Timestamp};

use super::super::{Noise, Register, SensorNoise, Simulator, Table, Wander, stream};
use super::physics::{Ambient, Output, Parameters, Physics, State};
use super::{COMMAND_SCALE, MODE, PUMP_COMMAND, SENSORS, SET_POINT, SET_POINT_SCALE, VALVE_COMMAND};
use super::{from_raw, holding, to_raw};

/// How a run goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Load in pu: (from when, value) steps, ascending; before the first one its value holds.
    pub load: Vec<(Timestamp, f64)>,
    /// Air temperature, °C.
    pub air_c: f64,
    /// Supply water temperature, °C.
    pub supply_c: f64,
    /// Whether the load wanders (1 %, 5 min), and air and water as well (0.5 K, 1 h; 0.3 K, 1 h).
    pub disturbances: bool,
    /// Whether sensors are noisy, drift, and one poll in 10,000 stays unanswered.
    pub sensor_noise: bool,
    /// Half width of the uniform draw by which thermal parameters differ from the published ones.
    pub deviation: f64,
    /// Whether the operator moves the set-point now and then.
    pub set_point_changes: bool,
    /// Which stretch of the plant's life this is: noise, weather and the operator's mind differ from one to the next, the
    /// plant and the vendor's twin stay what the seed made them. A guard learns on one and watches another.
    pub stretch: u64,
}

impl Default for Options {
    /// Load 0.8, air 20 °C, water 18 °C, everything disturbed, parameters ±1 %, the operator keeps off.
    fn default() -> Self {
        Self {
            load: vec![(Timestamp::ZERO, 0.8)],
            air_c: 20.0,
            supply_c: 18.0,
            disturbances: true,
            sensor_noise: true,
            deviation: 0.01,
            set_point_changes: false,
            stretch: 0,
        }
    }
}

impl Options {
    /// Load steps between 0.4 and 1.1, every 20 to 60 minutes for `length`, by seed: benign, and never quiet.
    #[must_use]
    pub fn with_load_steps(mut self, seed: u64, length: Duration) -> Self {
        let mut noise = Noise::new(seed, 41);
        let mut at = Timestamp::ZERO;
        self.load.clear();
        while at < Timestamp::ZERO + length {
            self.load.push((at, noise.between(0.4, 1.1)));
            at = at + Duration::from_secs(noise.between(1200.0, 3600.0) as i64);
        }
        self
    }

    fn load_at(&self, now: Timestamp) -> f64 {
        let passed = self.load.partition_point(|(from, _)| *from <= now);
        self.load.get(passed.saturating_sub(1)).map_or(0.8, |(_, load)| *load)
    }
}

/// The plant.
#[derive(Clone, Debug)]
pub struct Plant {
    options: Options,
    physics: Physics,
    state: State,
    ambient: Ambient,
    wander: [Wander; 3],
    weather: Noise,
    sensing: Noise,
    sensors: [SensorNoise; 11],
    registers: [Register; 15],
    seconds: i64,
    answers: bool,
}

impl Plant {
    /// A plant by seed, in equilibrium at the first load with the top oil at 65 °C where pump and valve can hold it.
    #[must_use]
    pub fn new(seed: u64, options: &Options) -> Self {
        let mut draws = Noise::new(seed, 10);
        let parameters =
            Parameters::default().varied(|| draws.between(-options.deviation, options.deviation));
        let mut physics = Physics::new(parameters);
        let ambient = Ambient {
            load_pu: options.load_at(Timestamp::ZERO),
            air_c: options.air_c,
            supply_c: options.supply_c,
        };
        let (state, command) = equilibrium(&mut physics, ambient);
        let mut sensing = Noise::new(seed, stream(11, options.stretch));
        let sensors = SENSORS.map(|(_, sigma)| SensorNoise::new(sigma, &mut sensing));
        let raw = to_raw(command, COMMAND_SCALE);
        let measured = |address| Register { unit: 1, table: Table::Input, address, raw: 0 };
        let mut registers = [holding(0, raw); 15];
        for (address, register) in registers.iter_mut().take(11).enumerate() {
            *register = measured(address as u16);
        }
        registers[11] = holding(PUMP_COMMAND, raw);
        registers[12] = holding(VALVE_COMMAND, raw);
        registers[13] = holding(SET_POINT, to_raw(65.0, SET_POINT_SCALE));
        registers[14] = holding(MODE, 1);
        let mut plant = Self {
            options: options.clone(),
            physics,
            state,
            ambient,
            wander: [(0.01, 300.0), (0.5, 3600.0), (0.3, 3600.0)]
                .map(|(sigma, tau)| Wander::new(sigma, tau, 1.0)),
            weather: Noise::new(seed, stream(12, options.stretch)),
            sensing,
            sensors,
            registers,
            seconds: 0,
            answers: true,
        };
        plant.sense();
        plant
    }

    /// The true values of everything that can be measured; for reports, never for a guard.
    #[must_use]
    pub fn truth(&self) -> Output {
        self.physics.output(&self.state)
    }

    /// The true state; for reports and for starting a vendor's twin, never for a guard.
    #[must_use]
    pub fn truth_state(&self) -> State {
        self.state
    }

    /// The true surroundings.
    #[must_use]
    pub fn ambient(&self) -> Ambient {
        self.ambient
    }

    /// The true constants.
    #[must_use]
    pub fn parameters(&self) -> Parameters {
        self.physics.parameters
    }

    /// What the device tells pump and valve to do, pu.
    #[must_use]
    pub fn commands(&self) -> [f64; 2] {
        [self.registers[11], self.registers[12]]
            .map(|register| from_raw(register.raw, COMMAND_SCALE).min(1.0))
    }

    fn sense(&mut self) {
        let seen = self.physics.output(&self.state).to_array();
        let around = [self.ambient.load_pu, self.ambient.air_c, self.ambient.supply_c];
        let truth = seen.iter().chain(&around);
        for (((register, sensor), (scale, _)), truth) in
            self.registers.iter_mut().zip(&mut self.sensors).zip(SENSORS).zip(truth)
        {
            let error = if self.options.sensor_noise { sensor.sample(&mut self.sensing) } else { 0.0 };
            register.raw = to_raw(truth + error, scale);
        }
    }
}

impl Simulator for Plant {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(self.seconds)
    }

    fn period(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn step(&mut self) {
        let load = self.options.load_at(self.now());
        let around = [load, self.options.air_c, self.options.supply_c];
        let mut values = around;
        if self.options.disturbances {
            let [k, air, supply] = &mut self.wander;
            values[0] = (load * (1.0 + k.step(&mut self.weather))).max(0.0);
            values[1] += air.step(&mut self.weather);
            values[2] += supply.step(&mut self.weather);
        }
        let [load_pu, air_c, supply_c] = values;
        self.ambient = Ambient { load_pu, air_c, supply_c };
        let commands = self.commands();
        self.physics.step(&mut self.state, 1.0, commands, self.ambient);
        self.seconds += 1;
        self.answers = !self.options.sensor_noise || self.sensing.uniform() >= 1e-4;
        self.sense();
    }

    fn answers(&self) -> bool {
        self.answers
    }

    fn registers(&self) -> &[Register] {
        &self.registers
    }

    fn write(&mut self, register: Register) -> bool {
        let place = self.registers.iter_mut().find(|held| {
            held.table == Table::Holding
                && (held.unit, held.table, held.address) == (register.unit, register.table, register.address)
        });
        place.map(|held| held.raw = register.raw).is_some()
    }
}

/// Where the plant rests: by bisection of the command c in 0…1, and by running the balance out for each.
fn equilibrium(physics: &mut Physics, ambient: Ambient) -> (State, f64) {
    let settle = |physics: &mut Physics, command: f64| {
        let mut state = State {
            theta_oil_c: 65.0,
            theta_water_c: ambient.supply_c + 10.0,
            pump_pu: command,
            valve_pu: command,
            ..State::default()
        };
        let rise = physics.parameters.gradient_k * libm::pow(ambient.load_pu.abs(), 1.3);
        state.gradient_1_k = 1.3 * rise;
        state.gradient_2_k = 0.3 * rise;
        for _ in 0..6_000 {
            physics.step(&mut state, 10.0, [command; 2], ambient);
        }
        state
    };
    let (mut low, mut high) = (0.2, 1.0);
    for _ in 0..14 {
        let middle = 0.5 * (low + high);
        if settle(physics, middle).theta_oil_c > 65.0 { low = middle } else { high = middle }
    }
    // As the device can store it.
    let command = from_raw(to_raw(0.5 * (low + high), COMMAND_SCALE), COMMAND_SCALE);
    (settle(physics, command), command)
}
